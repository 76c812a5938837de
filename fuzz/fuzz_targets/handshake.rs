//! See `bodies/handshake.rs`.
#![no_main]
#![allow(dead_code, reason = "the tests look at more than a target does")]

#[path = "../bodies/handshake.rs"]
mod handshake;
#[path = "../bodies/slow_negotiation.rs"]
mod slow_negotiation;

use handshake::Verdicts;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Some(Verdicts { server, client, request }) = handshake::handshake(data) {
        std::hint::black_box((server, client, request));
    }
});
