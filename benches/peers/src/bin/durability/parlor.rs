//! parlor's protocol: JSON in WebSocket frames. The few members that are needed are searched for; a
//! parser for all of it would cost the load more than the server spends.

use crate::Fallible;
use crate::dialect::{Came, Dialect, Line, shown};
use memchr::memmem;
use parlor_peers::frame::{self, Header, Key};
use parlor_peers::handshake;
use std::net::SocketAddr;

const KEY: Key = [0x37, 0xfa, 0x21, 0x3d];
const REPLY: &[u8] = br#"{"type":"reply","id":"#;
const MESSAGE: &[u8] = br#"{"type":"chat:message","payload":{"#;
const ERROR: &[u8] = br#"{"type":"error""#;
const TEXT_MEMBER: &[u8] = br#""text":""#;
/// Requests that are not messages.
const SETUP_ID: u64 = u64::MAX >> 11;

pub(crate) struct Parlor {
    pub(crate) address: SocketAddr,
    pub(crate) senders: usize,
    /// All in one room, so that everybody hears everybody. Otherwise each sender has a room, which
    /// only the receiver is in besides.
    pub(crate) in_one_room: bool,
}

impl Parlor {
    fn room(&self, sender: usize) -> String {
        if self.in_one_room { "all".into() } else { format!("room-{sender}") }
    }

    fn open(&self, user: &str, rooms: &[String]) -> Fallible<Line> {
        let mut line = Line::open(self.address)?;
        let path = format!("/ws?user={user}");
        let request = handshake::request(&self.address.to_string(), &path, false);
        line.call(&request, |input| {
            Ok(handshake::accepted(input)?.map_or(0, |accepted| accepted.head_len))
        })?;
        for room in rooms {
            let mut request = Vec::new();
            let json =
                format!(r#"{{"type":"room:join","id":{SETUP_ID},"payload":{{"room":"{room}"}}}}"#);
            put_text(&mut request, json.as_bytes());
            line.ask(self, &request, |came| {
                Ok(matches!(came, Came::Acknowledged(Some(SETUP_ID))))
            })?;
        }
        Ok(line)
    }
}

impl Dialect for Parlor {
    fn receiver(&mut self) -> Fallible<Line> {
        let mut rooms: Vec<String> = (0..self.senders).map(|sender| self.room(sender)).collect();
        rooms.dedup();
        self.open("receiver", &rooms)
    }

    fn sender(&mut self, sender: usize) -> Fallible<Line> {
        self.open(&format!("sender-{sender}"), &[self.room(sender)])
    }

    fn put(&self, sender: usize, number: u64, text: &[u8], into: &mut Vec<u8>) {
        let text = String::from_utf8_lossy(text);
        let room = self.room(sender);
        let json = format!(
            r#"{{"type":"chat:send","id":{number},"payload":{{"room":"{room}","text":"{text}"}}}}"#
        );
        put_text(into, json.as_bytes());
    }

    fn take(
        &self,
        input: &[u8],
        came: &mut dyn FnMut(Came<'_>) -> Fallible<()>,
    ) -> Fallible<usize> {
        let Some(header) = Header::decode(input) else { return Ok(0) };
        let Some(payload) = input.get(header.header_len..header.frame_len()) else { return Ok(0) };
        match header.first {
            frame::TEXT => take_json(payload, came)?,
            frame::PING => {
                let mut pong = Vec::new();
                put_frame(&mut pong, frame::PONG, payload);
                came(Came::Asked(pong))?;
            }
            _ => return Err(format!("parlor says {}", shown(payload)).into()),
        }
        Ok(header.frame_len())
    }
}

/// Pushes of other kinds (who comes, what was read) are none of our business.
fn take_json(json: &[u8], came: &mut dyn FnMut(Came<'_>) -> Fallible<()>) -> Fallible<()> {
    if let Some(rest) = json.strip_prefix(REPLY) {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit());
        let id = digits.fold(0, |id, digit| id * 10 + u64::from(digit - b'0'));
        came(Came::Acknowledged(Some(id)))
    } else if let Some(rest) = json.strip_prefix(MESSAGE) {
        let at = memmem::find(rest, TEXT_MEMBER).ok_or("a message without text")?;
        let text = &rest[at + TEXT_MEMBER.len()..];
        // Nothing in our texts is escaped.
        let len = memchr::memchr(b'"', text).ok_or("a text without end")?;
        came(Came::Message(&text[..len]))
    } else if json.starts_with(ERROR) {
        Err(format!("parlor refuses: {}", shown(json)).into())
    } else {
        Ok(())
    }
}

fn put_text(into: &mut Vec<u8>, json: &[u8]) {
    put_frame(into, frame::TEXT, json);
}

fn put_frame(into: &mut Vec<u8>, first: u8, payload: &[u8]) {
    frame::put_client_header(into, first, payload.len(), KEY);
    let start = into.len();
    into.extend_from_slice(payload);
    frame::mask(&mut into[start..], KEY, 0);
}
