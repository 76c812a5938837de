//! See `bodies/endpoint.rs`.
#![no_main]
#![allow(dead_code, reason = "the tests look at more than a target does")]

#[path = "../bodies/conversation.rs"]
mod conversation;
#[path = "../bodies/endpoint.rs"]
mod endpoint;
#[path = "../bodies/independent.rs"]
mod independent;
#[path = "../bodies/model.rs"]
mod model;
#[path = "../bodies/slow_header.rs"]
mod slow_header;
#[path = "../bodies/slow_inflate.rs"]
mod slow_inflate;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    std::hint::black_box(endpoint::endpoint(data));
});
