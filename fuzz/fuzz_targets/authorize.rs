#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tmcp_fuzz_targets::run("authorize", data));
