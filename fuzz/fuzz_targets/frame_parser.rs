//! See `bodies/frame_parser.rs`.
#![no_main]

#[path = "../bodies/conversation.rs"]
mod conversation;
#[path = "../bodies/frame_parser.rs"]
mod frame_parser;
#[path = "../bodies/model.rs"]
mod model;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    frame_parser::frame_parser(data);
});
