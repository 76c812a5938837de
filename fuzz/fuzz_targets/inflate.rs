//! See `bodies/inflate.rs`.
#![no_main]

#[path = "../bodies/inflate.rs"]
mod inflate;
#[path = "../bodies/slow_inflate.rs"]
mod slow_inflate;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    std::hint::black_box(inflate::inflate(data));
});
