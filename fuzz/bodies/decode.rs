//! What `parlor decode` says of a stream from anybody: every byte once and in order, the events and
//! the violation that an endpoint has for it, the same as text and as JSON.
//!
//! ```text
//! byte 0     bit 0: a server sent it; bit 1: permessage-deflate was negotiated
//! bytes 1…   the stream
//! ```

use parlor::base::Outbox;
use parlor::decode::decode as print;
use parlor::protocol::annotate::{INFLATED_BYTES_MAX, Note, Reading, annotate};
use parlor::protocol::deflate::{Codecs, CodecsConfig, Deflate, Parameters};
use parlor::protocol::{
    Endpoint, EndpointLimits, Event, MaskKey, MaskKeys, ProtocolError, Received, Role,
};
use std::sync::Arc;

/// What came of a stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Decoded {
    pub(crate) events: Vec<String>,
    pub(crate) violation: Option<ProtocolError>,
    pub(crate) unfinished: Option<String>,
}

/// Asserts all that is said above; gives what came of the stream, or nothing if there was none.
pub(crate) fn decode(data: &[u8]) -> Option<Decoded> {
    let (&flags, stream) = data.split_first()?;
    let from = if flags & 0x01 != 0 { Role::Server } else { Role::Client };
    let reading = Reading { from, inflate: flags & 0x02 != 0 };
    let (decoded, head_len) = said(stream, reading);
    if let Some(head_len) = head_len {
        let (events, violation) = plainly(&stream[head_len..], reading, head_len as u64);
        assert_eq!((&decoded.events, decoded.violation), (&events, violation), "the endpoint");
    }
    is_printed(stream, reading, &decoded);
    Some(decoded)
}

/// What is said of a stream, and how long the HTTP head at its beginning is, if it is whole.
fn said(stream: &[u8], reading: Reading) -> (Decoded, Option<usize>) {
    let (mut decoded, mut said) = (Decoded::default(), 0);
    annotate(stream, reading, &mut |note| match note {
        Note::Frame(_) => {}
        Note::Bytes { offset, bytes, len, meaning, clause } => {
            assert_eq!(bytes.len() as u64, len);
            assert_eq!(offset, said, "bytes are said in their order");
            assert_eq!(bytes, &stream[said as usize..][..bytes.len()]);
            assert!(!bytes.is_empty() && !meaning.is_empty() && clause.starts_with("RFC "));
            said += bytes.len() as u64;
        }
        Note::Ignored { offset, len, .. } => {
            assert_eq!((offset, offset + len), (said, stream.len() as u64));
            said = stream.len() as u64;
        }
        Note::Event(event) => decoded.events.push(format!("{event:?}")),
        Note::Violation(error) => assert_eq!(decoded.violation.replace(error), None),
        Note::Unfinished(what) => assert_eq!(decoded.unfinished.replace(what), None),
    });
    assert_eq!(said, stream.len() as u64, "every byte is said");
    (decoded, head_len(stream))
}

/// The length of the head that a stream begins with, 0 without one, nothing if it does not end.
fn head_len(stream: &[u8]) -> Option<usize> {
    if !stream.starts_with(b"GET ") && !stream.starts_with(b"HTTP/") {
        return Some(0);
    }
    let mut len = 0;
    for line in stream.split_inclusive(|byte| *byte == b'\n') {
        len += line.len();
        if line == b"\n" || line == b"\r\n" {
            return Some(len);
        }
    }
    None
}

/// What an endpoint makes of a stream that it gets in one piece.
fn plainly(stream: &[u8], reading: Reading, head_len: u64) -> (Vec<String>, Option<ProtocolError>) {
    let message_bytes = if reading.inflate { INFLATED_BYTES_MAX } else { u64::MAX };
    let limits =
        Arc::new(EndpointLimits { frame_bytes: u64::MAX, message_bytes, fragments: u32::MAX });
    let agreed = Parameters::default();
    let codecs = Codecs::new(CodecsConfig::default());
    let (mut endpoint, deflate) = match reading.from {
        Role::Client => (Endpoint::server(limits), Deflate::server(&agreed, &codecs)),
        Role::Server => {
            (Endpoint::client(limits, Box::new(Silent)), Deflate::client(&agreed, &codecs))
        }
    };
    if reading.inflate {
        endpoint = endpoint.with_deflate(deflate);
    }
    let (mut bytes, mut out) = (stream.to_vec(), Outbox::alone(u32::MAX));
    let mut input = Received::new(&mut bytes);
    let mut events = Vec::new();
    loop {
        match endpoint.next_event(&mut input, &mut out) {
            Ok(Some(event)) => {
                let is_last = matches!(event, Event::Closed { .. });
                events.push(format!("{event:?}"));
                if is_last {
                    return (events, None);
                }
            }
            Ok(None) => return (events, None),
            Err(error) => {
                let frame_offset = error.frame_offset + head_len;
                return (events, Some(ProtocolError { frame_offset, ..error }));
            }
        }
    }
}

#[derive(Debug)]
struct Silent;

impl MaskKeys for Silent {
    fn next_key(&mut self) -> MaskKey {
        [0; 4]
    }
}

/// Both forms are printed, and say the same.
fn is_printed(stream: &[u8], reading: Reading, decoded: &Decoded) {
    let printed = |json| {
        let mut out = Vec::new();
        print(stream, reading, json, &mut out).expect("a vector takes everything");
        String::from_utf8(out).expect("what is printed is text")
    };
    let json: serde_json::Value = serde_json::from_str(&printed(true)).expect("it is JSON");
    let said: usize = json["annotations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|note| note["bytes"].as_str().unwrap().len() / 2)
        .sum();
    let ignored = json["ignored"]["bytes"].as_u64().unwrap_or(0);
    assert_eq!(said as u64 + ignored, stream.len() as u64);
    assert_eq!(json["events"].as_array().unwrap().len(), decoded.events.len());
    let code = json["violation"]["close_code"].as_u64();
    assert_eq!(code, decoded.violation.map(|error| error.violation.close_code().0.into()));
    assert_eq!(json["unfinished"]["what"].as_str(), decoded.unfinished.as_deref());
    let text = printed(false);
    assert_eq!(text.contains("\n  Failed "), decoded.violation.is_some());
    assert!(text.lines().all(|line| !line.chars().any(char::is_control)), "{text:?}");
}
