//! See `bodies/endpoint.rs`.
#![no_main]

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
    endpoint::endpoint(data);
});
