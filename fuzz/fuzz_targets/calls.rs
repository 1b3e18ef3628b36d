#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| idioteque_redis_fuzz_properties::calls(data));
