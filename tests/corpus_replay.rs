//! Replays `fuzz/corpus` without a fuzzer: everything that the targets assert is asserted of each
//! file, and together the files reach every row of the table of violations and every refusal of
//! the opening handshake.
//!
//! A file is named after its meaning; `length_not_minimal.bin` is the one that must fail with
//! [`Violation::LengthNotMinimal`].

#[path = "../fuzz/bodies/conversation.rs"]
mod conversation;
#[path = "../fuzz/bodies/frame_parser.rs"]
mod frame_parser;
#[path = "../fuzz/bodies/handshake.rs"]
mod handshake;
#[path = "../fuzz/bodies/model.rs"]
mod model;

use handshake::Verdicts;
use parlor::protocol::Violation;
use parlor::protocol::handshake::client::ClientError;
use std::collections::BTreeMap;
use std::path::Path;

/// The files of a target, by name.
fn corpus(target: &str) -> BTreeMap<String, Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let files = std::fs::read_dir(directory).expect("the corpus is there");
    let named = files.map(|file| {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, std::fs::read(path).unwrap())
    });
    named.collect()
}

/// `LengthNotMinimal` is `length_not_minimal`.
fn file_name(violation: Violation) -> String {
    let mut name = String::new();
    for character in format!("{violation:?}").chars() {
        if character.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(character.to_lowercase());
    }
    name
}

#[test]
fn frames_are_read_as_the_model_reads_them_and_every_violation_is_reached() {
    let files = corpus("frame_parser");
    let reached: BTreeMap<&str, Option<Violation>> = files
        .iter()
        .map(|(name, data)| {
            let outcome = frame_parser::frame_parser(data).expect("settings");
            (name.as_str(), outcome.error.map(|error| error.violation))
        })
        .collect();
    for violation in Violation::ALL {
        let name = file_name(*violation);
        assert_eq!(reached.get(name.as_str()), Some(&Some(*violation)), "{name}.bin");
    }
    assert!(reached.values().any(Option::is_none), "good streams are among them");
}

#[test]
fn every_cut_of_every_stream_says_the_same() {
    for (name, data) in corpus("frame_parser") {
        for first_piece in 1..=data.len().min(255) as u8 {
            let mut cut = data.clone();
            cut[4..frame_parser::SETTINGS_BYTES].copy_from_slice(&[first_piece, 255, 255, 255]);
            frame_parser::frame_parser(&cut).unwrap_or_else(|| panic!("{name}"));
        }
    }
}

#[test]
fn every_cut_of_every_head_says_the_same() {
    for (name, data) in corpus("handshake") {
        for first_piece in 1..=data.len().min(255) as u8 {
            let mut cut = data.clone();
            cut[2..handshake::SETTINGS_BYTES].copy_from_slice(&[first_piece, 255]);
            handshake::handshake(&cut).unwrap_or_else(|| panic!("{name}"));
        }
    }
}

#[test]
fn each_request_has_the_verdict_that_its_name_says() {
    let files = corpus("handshake");
    let verdict = |name: &str| {
        let data = files.get(name).unwrap_or_else(|| panic!("{name}.bin is missing"));
        handshake::handshake(data).expect("settings").server
    };
    for name in files.keys().filter(|name| name.starts_with("request_")) {
        let expected = if name == "request_cut" { None } else { Some(Ok(())) };
        assert_eq!(verdict(name), expected, "{name}.bin");
    }
    let refusals = [
        ("refused_too_long", "the request head is too long"),
        ("refused_one_byte_too_long", "the request head is too long"),
        ("refused_too_many_fields", "the request head has too many header fields"),
        ("refused_line_ends_in_lf", "a line of the head does not end in CR LF"),
        ("refused_nul", "the head has a NUL"),
        ("refused_empty_head", "the head is not whole"),
        ("refused_not_http", "the head is not that of an HTTP request"),
        ("refused_folded_field", "the head is not that of an HTTP request"),
        ("refused_http_1_0", "the HTTP version is not 1.1"),
        ("refused_host_missing", "the Host field is missing"),
        ("refused_host_twice", "a field comes twice that may come once"),
        ("refused_host_not_ascii", "the value of a field is not ASCII"),
        ("refused_host_of_another_target", "Host is not the host of the target"),
        ("refused_target", "the request target is neither a path nor an http URI"),
        ("refused_method", "a WebSocket begins with GET"),
        ("refused_no_upgrade", "this is a WebSocket's path: ask for an upgrade"),
        ("refused_body", "a request for a WebSocket has no body"),
        ("refused_body_chunked", "a request for a WebSocket has no body"),
        ("refused_upgrade", "Upgrade does not list websocket"),
        ("refused_connection", "Connection does not list Upgrade"),
        ("refused_version", "only version 13 of WebSocket is spoken here"),
        ("refused_version_missing", "Sec-WebSocket-Version is missing"),
        ("refused_key_missing", "Sec-WebSocket-Key is missing"),
        ("refused_key_twice", "a field comes twice that may come once"),
        ("refused_key", "Sec-WebSocket-Key is not the base64 of 16 bytes"),
        ("refused_protocol_no_token", "Sec-WebSocket-Protocol is not a list of tokens"),
        ("refused_protocol_twice", "Sec-WebSocket-Protocol offers a subprotocol twice"),
    ];
    for (name, sentence) in refusals {
        let message = verdict(name).and_then(Result::err).map(|refusal| refusal.message);
        assert_eq!(message.as_deref(), Some(sentence), "{name}.bin");
    }
    let named = files.keys().filter(|name| name.starts_with("refused_"));
    assert_eq!(named.count(), refusals.len(), "each refusal has its sentence here");
}

#[test]
fn each_answer_has_the_verdict_that_its_name_says() {
    let files = corpus("handshake");
    let verdict = |name: &str| {
        let data = files.get(name).unwrap_or_else(|| panic!("{name}.bin is missing"));
        handshake::handshake(data).expect("settings").client
    };
    let protocol = |name| verdict(name).map(|opened| opened.unwrap().protocol);
    assert_eq!(protocol("answer_of_section_1_3"), Some(Some("chat".to_owned())));
    assert_eq!(protocol("answer_without_protocol_and_early_frames"), Some(None));
    assert_eq!(protocol("answer_with_empty_extensions"), Some(Some("chat".to_owned())));
    assert_eq!(verdict("answer_cut"), None);
    for (name, error) in [
        ("answer_not_http", ClientError::NotHttp),
        ("answer_http_1_0", ClientError::NotHttp),
        ("answer_status", ClientError::Status(302)),
        ("answer_upgrade", ClientError::Upgrade),
        ("answer_connection", ClientError::Connection),
        ("answer_accept", ClientError::Accept),
        ("answer_extension", ClientError::Extension),
        ("answer_protocol", ClientError::Protocol),
        ("answer_protocol_twice", ClientError::Protocol),
    ] {
        assert_eq!(verdict(name), Some(Err(error)), "{name}.bin");
    }
}

#[test]
fn what_the_client_is_told_to_ask_for_has_the_verdict_that_its_name_says() {
    for (name, data) in corpus("handshake") {
        let Verdicts { request, .. } = handshake::handshake(&data).expect("settings");
        let sentence = match name.as_str() {
            "asked" => {
                assert_eq!(request, Some(Ok(())));
                continue;
            }
            "asked_host" => "the host is empty or has characters that must not stand in a head",
            "asked_target" => {
                "the target is no path, or has characters that must be percent-encoded"
            }
            "asked_protocol" => "a subprotocol is no token",
            "asked_field" => "a header field has characters that must not stand in it",
            _ => continue,
        };
        assert_eq!(request, Some(Err(ClientError::BadRequest(sentence))), "{name}.bin");
    }
}
