//! Frames as somebody else's implementation reads them: tungstenite, which shares no line with
//! ours.
//!
//! Where our endpoint takes a stream, it must hear the same. Where ours fails, it must fail, or
//! still be waiting for the end of the frame, which it reads whole before it judges it, or it is
//! one of [`LENIENT`].

use crate::conversation::{Seen, Settings, run};
use crate::slow_header::header;
use parlor::protocol::{CloseCode, EndpointLimits, ProtocolError, Role, Violation};
use std::io::{self, ErrorKind, Read, Write};
use tungstenite::protocol::{Role as TheirRole, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

/// What it takes although it must not.
pub(crate) const LENIENT: &[Violation] = &[
    // RFC 6455 §5.2: it does not look whether a length has its shortest form.
    Violation::LengthNotMinimal,
    // RFC 6455 §5.5: for the same reason it takes a control frame of at most 125 bytes whose length
    // is in the long form, of which ours says that it is too long as soon as the form shows.
    Violation::ControlTooLong,
    // RFC 6455 §7.4: it takes any code; in the place of one that must not be sent it gives 1002 to
    // its caller and in its answer.
    Violation::CloseCodeInvalid,
];

/// What it does not know: a code that was registered later (RFC 6455 §11.7), which it takes as one
/// that must not be sent.
const UNKNOWN_TO_IT: CloseCode = CloseCode(1014);

/// How it ends.
enum End {
    /// With a Close.
    Closed,
    /// It waits for more.
    Waiting,
    Failed(Error),
}

/// Asserts all that is said above, of a stream that is not compressed; gives the violation that it
/// has taken, if it has.
pub(crate) fn assert_agrees(settings: &Settings, stream: &[u8]) -> Option<Violation> {
    // What only one of the two has a limit for has none here.
    let settings = Settings {
        deflate: None,
        limits: EndpointLimits {
            frame_bytes: settings.limits.frame_bytes.clamp(125, 1 << 20),
            message_bytes: settings.limits.message_bytes.clamp(125, 1 << 20),
            fragments: u32::MAX,
        },
        ..settings.clone()
    };
    let ours = run(&settings, [stream]);
    let (theirs, end, sent) = read(&settings, stream);
    let same = ours.events.iter().zip(&theirs).take_while(|(our, their)| is_same(our, their));
    let same = same.count();
    assert_eq!(same, ours.events.len().min(theirs.len()), "{ours:?}: {theirs:?}");
    let taken = match ours.error {
        None => {
            assert_eq!(ours.events.len(), theirs.len(), "{ours:?}: {theirs:?}");
            let is_closed = matches!(ours.events.last(), Some(Seen::Closed(..)));
            match end {
                End::Closed => assert!(is_closed, "{ours:?}"),
                End::Waiting => assert!(!is_closed, "{ours:?}"),
                End::Failed(error) => panic!("it fails with {error}: {ours:?}"),
            }
            None
        }
        Some(ProtocolError { violation, frame_offset }) => {
            assert!(theirs.len() >= ours.events.len(), "{ours:?}: {theirs:?}");
            let frame = &stream[frame_offset as usize..];
            let is_lenient = is_lenient(violation, frame);
            match end {
                End::Failed(_) => {}
                _ if is_lenient => {}
                End::Waiting => assert!(!is_whole(frame), "{ours:?}"),
                End::Closed => panic!("it takes what ours does not: {ours:?}: {theirs:?}"),
            }
            assert!(is_lenient || theirs.len() == ours.events.len(), "{ours:?}: {theirs:?}");
            (theirs.len() > ours.events.len()).then_some(violation)
        }
    };
    // It sends no Pong after its own Close, and masks with keys of chance.
    if !settings.has_closed && settings.role == Role::Server && ours.error.is_none() {
        assert_eq!(pongs(&sent), pongs(&ours.sent));
    }
    taken
}

/// The lengths of a frame's header and payload, by which it is judged if they are all there.
fn lengths(frame: &[u8]) -> Option<(usize, u64)> {
    let second = frame.get(1)?;
    let length_bytes = match second & 0x7F {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let payload_len = match frame.get(2..2 + length_bytes)? {
        [] => u64::from(second & 0x7F),
        bytes => bytes.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
    };
    let key_bytes = if second & 0x80 != 0 { 4 } else { 0 };
    Some((2 + length_bytes + key_bytes, payload_len))
}

fn is_whole(frame: &[u8]) -> bool {
    lengths(frame).is_some_and(|(header_len, payload_len)| {
        frame.len() as u128 >= header_len as u128 + u128::from(payload_len)
    })
}

fn is_lenient(violation: Violation, frame: &[u8]) -> bool {
    let is_really_too_long = violation == Violation::ControlTooLong
        && lengths(frame).is_none_or(|(_, payload_len)| payload_len > 125);
    LENIENT.contains(&violation) && !is_really_too_long
}

fn is_same(ours: &Seen, theirs: &Seen) -> bool {
    match (ours, theirs) {
        (Seen::Closed(Some(code), _), Seen::Closed(Some(told), _)) if *code == UNKNOWN_TO_IT.0 => {
            [*code, CloseCode::PROTOCOL_ERROR.0].contains(told)
        }
        _ => ours == theirs,
    }
}

/// What it hears, how that ends, and what it sends.
fn read(settings: &Settings, stream: &[u8]) -> (Vec<Seen>, End, Vec<u8>) {
    let role = match settings.role {
        Role::Server => TheirRole::Server,
        Role::Client => TheirRole::Client,
    };
    let config = WebSocketConfig::default()
        .read_buffer_size(4_096)
        .max_frame_size(Some(settings.limits.frame_bytes as usize))
        .max_message_size(Some(settings.limits.message_bytes as usize));
    let wire = Wire { input: stream, sent: Vec::new() };
    let mut socket = WebSocket::from_raw_socket(wire, role, Some(config));
    if settings.has_closed {
        socket.close(None).expect("the wire takes all");
    }
    let mut heard = Vec::new();
    let end = loop {
        match socket.read() {
            Ok(Message::Text(text)) => heard.push(Seen::Text(text.as_str().to_owned())),
            Ok(Message::Binary(bytes)) => heard.push(Seen::Binary(bytes.to_vec())),
            Ok(Message::Ping(bytes)) => heard.push(Seen::Ping(bytes.to_vec())),
            Ok(Message::Pong(bytes)) => heard.push(Seen::Pong(bytes.to_vec())),
            Ok(Message::Close(close)) => {
                heard.push(match close {
                    None => Seen::Closed(None, String::new()),
                    Some(close) => {
                        Seen::Closed(Some(close.code.into()), close.reason.as_str().to_owned())
                    }
                });
                break End::Closed;
            }
            Ok(Message::Frame(_)) => unreachable!("it is never read"),
            Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => break End::Waiting,
            Err(error) => break End::Failed(error),
        }
    };
    (heard, end, socket.into_inner().sent)
}

/// The Pongs that a server sent.
fn pongs(mut sent: &[u8]) -> Vec<&[u8]> {
    let mut pongs = Vec::new();
    while let Ok(Some(header)) = header(sent) {
        let (frame, rest) = sent.split_at(header.header_len + header.payload_len as usize);
        if header.opcode == 10 {
            pongs.push(&frame[header.header_len..]);
        }
        sent = rest;
    }
    pongs
}

/// A socket on which everything has come that will come.
struct Wire<'b> {
    input: &'b [u8],
    sent: Vec<u8>,
}

impl Read for Wire<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.input.read(into)? {
            0 => Err(ErrorKind::WouldBlock.into()),
            read => Ok(read),
        }
    }
}

impl Write for Wire<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sent.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
