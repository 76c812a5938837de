//! Replays `fuzz/corpus` without a fuzzer. Everything that the targets assert is asserted for each
//! file. Together the files reach every row of the table of violations, every refusal of the
//! opening handshake, every error in DEFLATE data, and every request of the chat.
//!
//! A file is named after its meaning: `length_not_minimal.bin` must fail with
//! [`Violation::LengthNotMinimal`]. Files found by a fuzzer, each for something that no other file
//! reaches, are in `found`, named by hash.

#[path = "../fuzz/bodies/conversation.rs"]
mod conversation;
#[cfg(feature = "server")]
#[path = "../fuzz/bodies/decode.rs"]
mod decode;
#[path = "../fuzz/bodies/deflate_offer.rs"]
mod deflate_offer;
#[path = "../fuzz/bodies/endpoint.rs"]
mod endpoint;
#[cfg(feature = "server")]
#[path = "../fuzz/bodies/envelope.rs"]
mod envelope;
#[path = "../fuzz/bodies/handshake.rs"]
mod handshake;
#[path = "../fuzz/bodies/header.rs"]
mod header;
#[path = "../fuzz/bodies/independent.rs"]
mod independent;
#[path = "../fuzz/bodies/inflate.rs"]
mod inflate;
#[path = "../fuzz/bodies/model.rs"]
mod model;
#[path = "../fuzz/bodies/proxy_header.rs"]
mod proxy_header;
#[path = "../fuzz/bodies/slow_header.rs"]
mod slow_header;
#[path = "../fuzz/bodies/slow_inflate.rs"]
mod slow_inflate;
#[cfg(feature = "server")]
#[path = "../fuzz/bodies/slow_json.rs"]
mod slow_json;
#[path = "../fuzz/bodies/slow_negotiation.rs"]
mod slow_negotiation;
#[path = "../fuzz/bodies/slow_proxy_header.rs"]
mod slow_proxy_header;

use handshake::Verdicts;
use parlor::protocol::Violation;
use parlor::protocol::handshake::client::ClientError;
use slow_inflate::Defect;
use slow_proxy_header::Plain;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

fn fuzz(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(folder)
}

/// What a folder has, by name.
fn entries(folder: &Path) -> BTreeMap<String, PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let named = entries.map(|entry| {
        let path = entry.unwrap().path();
        (path.file_stem().unwrap().to_str().unwrap().to_owned(), path)
    });
    named.collect()
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = entries(folder).into_iter().filter(|(_, path)| path.is_file());
    files.map(|(name, path)| (name, std::fs::read(path).unwrap())).collect()
}

/// The files of a target that have a name, by that.
fn corpus(target: &str) -> BTreeMap<String, Vec<u8>> {
    files(&fuzz("corpus").join(target))
}

/// `LengthNotMinimal` is `length_not_minimal`.
fn file_name(variant: impl std::fmt::Debug) -> String {
    let mut name = String::new();
    for character in format!("{variant:?}").chars() {
        if character.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(character.to_lowercase());
    }
    name
}

#[test]
fn each_target_has_a_corpus_and_all_that_it_asserts_is_true_of_each_file() {
    let targets: Vec<String> = entries(&fuzz("fuzz_targets")).into_keys().collect();
    let corpora: Vec<String> = entries(&fuzz("corpus")).into_keys().collect();
    assert_eq!(targets, corpora);
    for target in targets {
        let named = corpus(&target);
        let found = fuzz("corpus").join(&target).join("found");
        let found = if found.exists() { files(&found) } else { BTreeMap::new() };
        assert!(named.len() > 10, "{target} has {} files", named.len());
        for (name, data) in named.into_iter().chain(found) {
            let replayed = std::panic::catch_unwind(|| replay(&target, &data));
            assert!(replayed.is_ok(), "fuzz/corpus/{target}: {name}");
        }
    }
}

fn replay(target: &str, data: &[u8]) {
    match target {
        #[cfg(feature = "server")]
        "decode" => drop(decode::decode(data)),
        #[cfg(not(feature = "server"))]
        "decode" => {}
        "deflate_offer" => drop(deflate_offer::deflate_offer(data)),
        "endpoint" => drop(endpoint::endpoint(data)),
        #[cfg(feature = "server")]
        "envelope" => drop(envelope::envelope(data)),
        #[cfg(not(feature = "server"))]
        "envelope" => {}
        "handshake" => drop(handshake::handshake(data)),
        "header" => drop(header::header(data)),
        "inflate" => drop(inflate::inflate(data)),
        "proxy_header" => drop(proxy_header::proxy_header(data)),
        other => panic!("{other} is not replayed"),
    }
}

#[test]
fn headers_are_read_as_the_plain_reader_reads_them() {
    let files = corpus("header");
    let read = |name: &str| header::header(&files[name]);
    let mut lengths = BTreeSet::new();
    for (name, data) in &files {
        match header::header(data) {
            Err(violation) => assert!(name.starts_with(&file_name(violation)), "{name}.bin"),
            Ok(None) => assert!(name.starts_with("cut"), "{name}.bin"),
            Ok(Some((_, len))) => drop(lengths.insert(len)),
        }
    }
    assert_eq!(Vec::from_iter(lengths), [2, 4, 6, 8, 10, 14], "headers of every length");
    for violation in [
        Violation::ReservedOpcode,
        Violation::LengthNotMinimal,
        Violation::LengthTopBit,
        Violation::ControlFragmented,
        Violation::ControlTooLong,
    ] {
        assert_eq!(read(&file_name(violation)), Err(violation));
    }
}

#[test]
fn what_a_proxy_says_is_what_the_names_say() {
    for (name, data) in corpus("proxy_header") {
        let verdict = match proxy_header::proxy_header(&data).expect("a setting") {
            Plain::Header(Some(_), _) => "source",
            Plain::Header(None, _) => "nobody",
            Plain::Cut => "cut",
            Plain::Other => "missing",
            Plain::TooLong => "too_long",
            Plain::Malformed => "malformed",
        };
        assert!(name.starts_with(verdict), "{name}.bin is {verdict}");
    }
}

#[test]
fn deflate_data_is_read_as_the_slow_inflater_reads_it_and_every_defect_is_reached() {
    let files = corpus("inflate");
    let reached: BTreeMap<&str, Option<Defect>> = files
        .iter()
        .map(|(name, data)| {
            let results = inflate::inflate(data).expect("settings");
            (name.as_str(), results.into_iter().find_map(Result::err))
        })
        .collect();
    for defect in Defect::ALL {
        let name = file_name(defect);
        assert_eq!(reached.get(name.as_str()), Some(&Some(defect)), "{name}.bin");
    }
    for (name, defect) in reached {
        match defect {
            Some(defect) => assert!(name.starts_with(&file_name(defect)), "{name}.bin: {defect:?}"),
            None => assert!(name.starts_with("inflated"), "{name}.bin"),
        }
    }
}

#[test]
fn what_is_agreed_of_compression_is_what_the_names_say() {
    for (name, data) in corpus("deflate_offer") {
        let verdicts = deflate_offer::deflate_offer(&data);
        let (kind, _) = name.split_once('_').unwrap();
        let Some(deflate_offer::Verdicts { server, client, both }) = verdicts else {
            assert_eq!(kind, "malformed", "{name}.bin");
            continue;
        };
        match kind {
            "agreed" => assert!(server.is_some(), "{name}.bin"),
            "declined" => assert!(server.is_none(), "{name}.bin"),
            "accepted" => assert!(client.is_some(), "{name}.bin"),
            "refused" => assert!(client.is_none(), "{name}.bin"),
            "both" => assert!(both.is_some(), "{name}.bin"),
            "neither" => assert!(both.is_none(), "{name}.bin"),
            other => panic!("{other} says nothing: {name}.bin"),
        }
    }
}

#[cfg(feature = "server")]
#[test]
fn each_message_to_the_chat_has_the_verdict_that_its_name_says_and_every_request_is_there() {
    let mut kinds = BTreeSet::new();
    let mut codes = BTreeSet::new();
    for (name, data) in corpus("envelope") {
        let code = match envelope::envelope(&data).expect("text") {
            Ok(((_, kind), Ok(Some(_)))) => {
                kinds.insert(kind);
                "asks"
            }
            Ok((_, Ok(None))) => "unknown",
            Ok((_, Err((code, _)))) | Err((code, _)) => code,
        };
        assert!(name.starts_with(code), "{name}.bin: {code}");
        codes.insert(code);
    }
    assert_eq!(
        Vec::from_iter(&kinds),
        [
            "chat:history",
            "chat:read",
            "chat:send",
            "chat:typing",
            "presence:list",
            "resume",
            "room:create",
            "room:join",
            "room:leave",
            "room:list",
            "room:members",
        ]
    );
    assert_eq!(Vec::from_iter(codes), ["asks", "bad_json", "bad_request", "too_large", "unknown"]);
}

#[test]
fn frames_are_read_as_the_model_reads_them_and_every_violation_is_reached() {
    let files = corpus("endpoint");
    let reached: BTreeMap<&str, Option<Violation>> = files
        .iter()
        .map(|(name, data)| {
            let outcome = endpoint::endpoint(data).expect("settings").outcome;
            (name.as_str(), outcome.error.map(|error| error.violation))
        })
        .collect();
    for violation in Violation::ALL {
        let name = file_name(violation);
        assert_eq!(reached.get(name.as_str()), Some(&Some(*violation)), "{name}.bin");
    }
    assert!(reached.values().any(Option::is_none), "good streams are among them");
}

#[test]
fn the_other_implementation_takes_what_the_list_says_and_nothing_else() {
    let verdicts = corpus("endpoint").into_values().filter_map(|data| endpoint::endpoint(&data));
    let taken: Vec<Violation> = verdicts.filter_map(|verdict| verdict.taken).collect();
    for violation in independent::LENIENT {
        assert!(taken.contains(violation), "it does not take {violation:?} any more");
    }
    assert!(taken.iter().all(|violation| independent::LENIENT.contains(violation)));
}

#[test]
fn every_cut_of_every_stream_says_the_same() {
    for (name, data) in corpus("endpoint") {
        for first_piece in 1..=data.len().min(255) as u8 {
            let mut cut = data.clone();
            cut[4..endpoint::SETTINGS_BYTES].copy_from_slice(&[first_piece, 255, 255, 255]);
            endpoint::endpoint(&cut).unwrap_or_else(|| panic!("{name}"));
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
        ("refused_host", "Host is no host"),
        ("refused_target_with_fragment", "the request target has what no URI may have there"),
        ("refused_protocols_too_many", "Sec-WebSocket-Protocol offers too many subprotocols"),
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
        ("refused_extensions", "Sec-WebSocket-Extensions is not a list of extensions"),
        ("refused_extensions_not_ascii", "the value of a field is not ASCII"),
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
    assert_eq!(verdict("answer_cut"), None);
    for (name, error) in [
        ("answer_not_http", ClientError::NotHttp),
        ("answer_http_1_0", ClientError::NotHttp),
        ("answer_status", ClientError::Status { status: 401, retry_after_s: None }),
        ("answer_redirect", ClientError::Redirect { status: 302, location: "/elsewhere".into() }),
        ("answer_upgrade", ClientError::Upgrade),
        ("answer_connection", ClientError::Connection),
        ("answer_accept", ClientError::Accept),
        ("answer_extension", ClientError::Extension),
        ("answer_extensions_empty", ClientError::Extension),
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
            "asked" | "asked_of_several_protocols" => {
                assert_eq!(request, Some(Ok(())));
                continue;
            }
            "asked_host" | "asked_host_that_is_none" => {
                "the host is empty or has characters that must not stand in a head"
            }
            "asked_target" => {
                "the target is no path, or has characters that must be percent-encoded"
            }
            "asked_protocol" => "a subprotocol is no token",
            "asked_protocol_twice" => "a subprotocol is asked for twice",
            "asked_field" => "a header field has characters that must not stand in it",
            "asked_field_of_the_handshake" => {
                "a header field is one that the handshake writes itself, or must not have"
            }
            _ => continue,
        };
        assert_eq!(request, Some(Err(ClientError::BadRequest(sentence))), "{name}.bin");
    }
}

#[cfg(feature = "server")]
#[test]
fn each_stream_that_is_decoded_ends_as_its_name_says() {
    let files = corpus("decode");
    let decoded = |name: &str| {
        let data = files.get(name).unwrap_or_else(|| panic!("{name}.bin is missing"));
        decode::decode(data).expect("settings")
    };
    for (name, violation) in [
        ("length_not_minimal", Violation::LengthNotMinimal),
        ("masked_from_a_server", Violation::MaskUnexpected),
        ("unmasked_from_a_client", Violation::MaskMissing),
        ("close_of_one_byte", Violation::CloseBodyOneByte),
        ("close_code_invalid", Violation::CloseCodeInvalid),
        ("text_not_utf8_early", Violation::TextNotUtf8),
        ("reserved_opcode", Violation::ReservedOpcode),
        ("compressed_not_negotiated", Violation::ReservedBits),
        ("not_deflate", Violation::NotDeflate),
    ] {
        let error = decoded(name).violation.unwrap_or_else(|| panic!("{name} is no violation"));
        assert_eq!(error.violation, violation, "{name}.bin");
    }
    for name in ["payload_missing", "head_begun", "length_in_eight_bytes_begun"] {
        assert!(decoded(name).unfinished.is_some(), "{name}.bin");
    }
    for (name, event) in [
        ("hello_masked", "Text(\"Hello\")"),
        ("hello_from_a_server", "Text(\"Hello\")"),
        ("compressed_in_fragments", "Text(\"Hello\")"),
        ("character_cut_between_fragments", "Text(\"é\")"),
        ("request_and_a_frame", "Text(\"Hello\")"),
        ("answer_and_a_frame", "Ping([])"),
    ] {
        assert_eq!(decoded(name).events, [event], "{name}.bin");
    }
}
