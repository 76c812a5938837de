//! See `bodies/envelope.rs`.
#![no_main]
#![allow(dead_code, reason = "the tests look at more than a target does")]

#[path = "../bodies/envelope.rs"]
mod envelope;
#[path = "../bodies/slow_json.rs"]
mod slow_json;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = std::hint::black_box(envelope::envelope(data));
});
