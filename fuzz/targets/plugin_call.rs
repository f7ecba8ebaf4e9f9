#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wix_edge_core::fuzz::plugin_call(data));
