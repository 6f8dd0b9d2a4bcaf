//! Any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| candor_fuzz::read(bytes.to_vec()));
