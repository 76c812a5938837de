//! See `bodies/proxy_header.rs`.
#![no_main]
#![allow(dead_code, reason = "the tests look at more than a target does")]

#[path = "../bodies/proxy_header.rs"]
mod proxy_header;
#[path = "../bodies/slow_proxy_header.rs"]
mod slow_proxy_header;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = proxy_header::proxy_header(data);
});
