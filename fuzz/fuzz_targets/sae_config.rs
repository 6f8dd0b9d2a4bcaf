//! Any text as the config of an SAE.
#![no_main]

use std::path::Path;

use candor_fuzz::detect::sae::SaeConfig;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = SaeConfig::parse(text, Path::new("/nowhere/cfg.json"));
    }
});
