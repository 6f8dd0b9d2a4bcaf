//! Any config beside any weights, under the names of every format.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| candor_fuzz::saes::open(bytes));
