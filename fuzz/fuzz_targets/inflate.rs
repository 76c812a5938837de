//! See `bodies/inflate.rs`.
#![no_main]
#![allow(dead_code, reason = "the tests look at more than a target does")]

#[path = "../bodies/inflate.rs"]
mod inflate;
#[path = "../bodies/slow_inflate.rs"]
mod slow_inflate;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    std::hint::black_box(inflate::inflate(data));
});
