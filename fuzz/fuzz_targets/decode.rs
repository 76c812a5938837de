//! See `bodies/decode.rs`.
#![no_main]
#![allow(dead_code, reason = "the tests look at more than a target does")]

#[path = "../bodies/decode.rs"]
mod decode;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    std::hint::black_box(decode::decode(data));
});
