//! See `bodies/header.rs`.
#![no_main]
#![allow(dead_code, reason = "the tests look at more than a target does")]

#[path = "../bodies/header.rs"]
mod header;
#[path = "../bodies/slow_header.rs"]
mod slow_header;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = header::header(data);
});
