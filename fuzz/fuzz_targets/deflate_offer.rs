//! See `bodies/deflate_offer.rs`.
#![no_main]
#![allow(dead_code, reason = "the tests look at more than a target does")]

#[path = "../bodies/deflate_offer.rs"]
mod deflate_offer;
#[path = "../bodies/slow_negotiation.rs"]
mod slow_negotiation;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    std::hint::black_box(deflate_offer::deflate_offer(data));
});
