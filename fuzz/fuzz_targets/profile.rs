#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| chargewarden_fuzz::profile(bytes));
