//! Changes to a small valid decoder.
#![no_main]

use libfuzzer_sys::arbitrary::Unstructured;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut choices = Unstructured::new(bytes);
    if let Ok(model) = candor_fuzz::decoder::changed(&mut choices) {
        candor_fuzz::read(candor_fuzz::model::encode(&model));
    }
});
