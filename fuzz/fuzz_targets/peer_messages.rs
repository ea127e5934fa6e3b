#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| caesar_fuzz::run("peer_messages", data));
