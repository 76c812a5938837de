//! Reads what passes on a connection: heads of HTTP until a WebSocket is open, then frames. It changes nothing, but the
//! `Host` of a request if that is wanted.

use super::http::{HEAD_BYTES_MAX, PassingBody, PassingHead, with_host};
use super::item::TapWhat;
use super::secrets::hide;
use super::sighting::{FrameParts, MESSAGE_BYTES_MAX, TapSighting, WatchSettings};
use crate::http1::BodyReader;
use crate::protocol::Role;
use crate::protocol::endpoint::annotate::{Annotator, Reading};
use std::collections::VecDeque;

/// Requests of a connection that wait for their answers. With more, it is not read on.
const ASKED_MAX: usize = 1_024;
/// What a client may send before its WebSocket is open, and is read when it is.
const EARLY_BYTES_MAX: usize = 64 * 1024;

/// The bytes to be passed on, and from where on they are behind the opening handshake.
#[derive(Debug)]
pub(super) struct PassedBytes {
    pub(super) bytes: Vec<u8>,
    pub(super) frames_from: usize,
}

/// A request that waits for its answer.
#[derive(Debug)]
struct AskedRequest {
    line: String,
    method: String,
    is_upgrade: bool,
}

#[derive(Debug)]
enum WatchStage {
    /// A head, as far as it has come.
    Head(Vec<u8>),
    Body(BodyReader),
    /// All until the end is the body of an answer.
    Rest,
    /// What a client sends before its WebSocket is open.
    Early(Box<Annotator>, Vec<u8>),
    Frames(Box<Annotator>),
    /// Nothing is read any more.
    Unread,
}

/// What is known of one end's bytes.
#[derive(Debug)]
struct WatchedEnd {
    stage: WatchStage,
    /// How many bytes have come before those that are read now.
    at: u64,
    frame: FrameParts,
}

impl WatchedEnd {
    fn new(from: Role) -> WatchedEnd {
        WatchedEnd { stage: WatchStage::Head(Vec::new()), at: 0, frame: FrameParts::new(from) }
    }
}

/// Reads both ends of a connection.
#[derive(Debug)]
pub(super) struct WireWatch {
    settings: WatchSettings,
    client: WatchedEnd,
    server: WatchedEnd,
    asked: VecDeque<AskedRequest>,
    inflates: bool,
    seen: Vec<TapSighting>,
}

impl WireWatch {
    pub(super) fn new(settings: WatchSettings) -> WireWatch {
        WireWatch {
            settings,
            client: WatchedEnd::new(Role::Client),
            server: WatchedEnd::new(Role::Server),
            asked: VecDeque::new(),
            inflates: false,
            seen: Vec::new(),
        }
    }

    /// Reads bytes of one end. Returns what is to be passed on.
    pub(super) fn saw(&mut self, from: Role, bytes: &[u8]) -> PassedBytes {
        let mut passed = Vec::with_capacity(bytes.len());
        let mut frames_from = None;
        let mut rest = bytes;
        while !rest.is_empty() {
            if matches!(self.end(from).stage, WatchStage::Frames(_)) {
                frames_from.get_or_insert(passed.len());
            }
            let taken = self.step(from, rest, &mut passed).min(rest.len());
            self.end(from).at += taken as u64;
            rest = rest.get(taken..).unwrap_or_default();
        }
        let frames_from = frames_from.unwrap_or(passed.len());
        PassedBytes { bytes: passed, frames_from }
    }

    /// What was seen since the last call.
    pub(super) fn take_seen(&mut self) -> Vec<TapSighting> {
        std::mem::take(&mut self.seen)
    }

    /// How many bytes came from the client and from the server.
    pub(super) fn bytes_each_way(&self) -> (u64, u64) {
        (self.client.at, self.server.at)
    }

    /// Whether permessage-deflate was agreed on.
    pub(super) fn inflates(&self) -> bool {
        self.inflates
    }

    /// One end sends nothing more.
    pub(super) fn ended(&mut self, from: Role) {
        match std::mem::replace(&mut self.end(from).stage, WatchStage::Unread) {
            WatchStage::Frames(annotator) | WatchStage::Early(annotator, _) => {
                let (end, settings, seen) = self.parts_of(from);
                annotator.end(&mut |note| end.frame.note(&note, settings, seen));
            }
            WatchStage::Head(head) if !head.is_empty() => {
                self.remark(from, "a head of HTTP has begun and not ended");
            }
            WatchStage::Head(_) | WatchStage::Body(_) | WatchStage::Rest | WatchStage::Unread => {}
        }
    }

    fn end(&mut self, from: Role) -> &mut WatchedEnd {
        self.parts_of(from).0
    }

    fn parts_of(&mut self, from: Role) -> (&mut WatchedEnd, &WatchSettings, &mut Vec<TapSighting>) {
        let WireWatch { settings, client, server, seen, .. } = self;
        match from {
            Role::Client => (client, settings, seen),
            Role::Server => (server, settings, seen),
        }
    }

    /// Takes some of the bytes; returns how many. `passed` gets what passes on in their place.
    fn step(&mut self, from: Role, bytes: &[u8], passed: &mut Vec<u8>) -> usize {
        // What passes as it is, unless a head is rewritten.
        let mut pass = |taken: usize| {
            passed.extend_from_slice(bytes.get(..taken).unwrap_or_default());
            taken
        };
        match &mut self.end(from).stage {
            WatchStage::Head(_) => self.step_in_head(from, bytes, passed),
            WatchStage::Body(body) => match body.read(bytes, |_| true) {
                Ok(taken) => {
                    if body.is_whole() {
                        self.end(from).stage = WatchStage::Head(Vec::new());
                    }
                    pass(taken)
                }
                Err(_) => {
                    self.stop_reading(from, "a body that is not HTTP/1.1");
                    pass(bytes.len())
                }
            },
            WatchStage::Rest | WatchStage::Unread => pass(bytes.len()),
            WatchStage::Early(_, early) => {
                early.extend_from_slice(bytes);
                if early.len() > EARLY_BYTES_MAX {
                    self.stop_reading(from, "too much before the WebSocket is open");
                }
                pass(bytes.len())
            }
            WatchStage::Frames(_) => {
                self.frames(from, bytes);
                pass(bytes.len())
            }
        }
    }

    fn step_in_head(&mut self, from: Role, bytes: &[u8], passed: &mut Vec<u8>) -> usize {
        let host = self.settings.host.clone().filter(|_| from == Role::Client);
        let WatchStage::Head(head) = &mut self.end(from).stage else { return bytes.len() };
        let before = head.len();
        head.extend_from_slice(bytes);
        // The empty line may have begun with the last bytes.
        match PassingHead::end(head, before.saturating_sub(3)) {
            Some(end) if end <= HEAD_BYTES_MAX && may_be_head(from, head) => {
                let mut head = std::mem::take(head);
                head.truncate(end);
                let taken = end.saturating_sub(before);
                match host {
                    Some(host) => passed.extend(with_host(&head, &host)),
                    None => passed.extend_from_slice(bytes.get(..taken).unwrap_or_default()),
                }
                match from {
                    Role::Client => self.request(&head, before),
                    Role::Server => self.answer(&head, before),
                }
                taken
            }
            None if head.len() <= HEAD_BYTES_MAX && may_be_head(from, head) => {
                if host.is_none() {
                    passed.extend_from_slice(bytes);
                }
                bytes.len()
            }
            _ => {
                // Of a head that would have been rewritten nothing has passed.
                let start = if host.is_some() { 0 } else { before };
                passed.extend_from_slice(head.get(start..).unwrap_or_default());
                self.stop_reading(from, "this is not HTTP/1.1");
                bytes.len()
            }
        }
    }

    /// A request's head is whole; so many of its bytes came earlier.
    fn request(&mut self, bytes: &[u8], before: usize) {
        let head = PassingHead::parse(bytes);
        let is_upgrade = head.asks_for_websocket();
        let method = head.word(0).to_owned();
        let line = beginning(&format!("{method} {}", head.word(1)));
        let line = if self.settings.hides { hide(&line).into_owned() } else { line };
        if self.asked.len() >= ASKED_MAX {
            return self.stop_reading(Role::Client, "too many requests without an answer");
        }
        self.asked.push_back(AskedRequest { line, method, is_upgrade });
        self.client.stage = if is_upgrade {
            let annotator = self.handshake(Role::Client, bytes, before, &head.first);
            WatchStage::Early(Box::new(annotator), Vec::new())
        } else {
            stage_of(head.body_of_request())
        };
    }

    /// An answer's head is whole.
    fn answer(&mut self, bytes: &[u8], before: usize) {
        let head = PassingHead::parse(bytes);
        let status = head.status();
        let is_upgrade = self.asked.front().is_some_and(|asked| asked.is_upgrade);
        if status == 101 && is_upgrade {
            self.inflates = head.agrees_on_deflate();
            let mut annotator = self.handshake(Role::Server, bytes, before, &head.first);
            annotator.set_inflate(self.inflates);
            self.server.stage = WatchStage::Frames(Box::new(annotator));
            self.open_client();
            return;
        }
        if (100..200).contains(&status) && status != 101 {
            self.server.stage = WatchStage::Head(Vec::new());
            return;
        }
        let asked = self.asked.pop_front();
        let line = asked.as_ref().map_or("an answer to no request", |asked| &asked.line);
        let len = head.field("content-length").map(|len| format!(", {len} bytes"));
        let reason = head.first.splitn(3, ' ').nth(2).unwrap_or_default().trim();
        let line = format!("{line}: {status} {reason}{}", len.unwrap_or_default());
        self.tell(Role::Server, TapWhat::Http(line));
        let method = asked.as_ref().map_or("GET", |asked| &asked.method);
        self.server.stage = match status {
            // Another protocol.
            101 => WatchStage::Unread,
            _ => stage_of(head.body_of_answer(method)),
        };
        if is_upgrade {
            self.read_on_after_refusal();
        }
    }

    /// No WebSocket was opened: what the client sent behind its request is another one.
    fn read_on_after_refusal(&mut self) {
        let WatchStage::Early(_, early) = &mut self.client.stage else { return };
        let early = std::mem::take(early);
        self.client.stage = WatchStage::Head(Vec::new());
        if !early.is_empty() && self.settings.host.is_some() {
            return self
                .stop_reading(Role::Client, "a request has passed before its host was changed");
        }
        self.read_early(&early);
    }

    /// The client's frames may be read.
    fn open_client(&mut self) {
        let stage = std::mem::replace(&mut self.client.stage, WatchStage::Unread);
        let (mut annotator, early) = match stage {
            WatchStage::Early(annotator, early) => (annotator, early),
            other => {
                self.client.stage = other;
                return;
            }
        };
        annotator.set_inflate(self.inflates);
        for frame in [&mut self.client.frame, &mut self.server.frame] {
            frame.inflates = self.inflates;
        }
        self.client.stage = WatchStage::Frames(annotator);
        self.read_early(&early);
    }

    /// Reads what has passed already.
    fn read_early(&mut self, early: &[u8]) {
        self.client.at -= early.len() as u64;
        self.saw(Role::Client, early);
    }

    /// Describes a half of the opening handshake; whoever does it goes on with the frames.
    fn handshake(&mut self, from: Role, head: &[u8], before: usize, first: &str) -> Annotator {
        let start = self.end(from).at - before as u64;
        let reading = Reading { from, inflate: false };
        let mut annotator = Annotator::new(reading).starting_at(start);
        annotator = annotator.with_message_bytes(MESSAGE_BYTES_MAX);
        let (end, settings, seen) = self.parts_of(from);
        annotator.read(head, &mut |note| end.frame.note(&note, settings, seen));
        let first = beginning(first);
        let first = if settings.hides { hide(&first).into_owned() } else { first };
        let sighting = end.frame.take(TapWhat::Head(first));
        self.seen.push(sighting);
        annotator
    }

    fn frames(&mut self, from: Role, bytes: &[u8]) {
        let (end, settings, seen) = self.parts_of(from);
        if let WatchStage::Frames(annotator) = &mut end.stage {
            annotator.read(bytes, &mut |note| end.frame.note(&note, settings, seen));
        }
    }

    fn stop_reading(&mut self, from: Role, why: &str) {
        self.end(from).stage = WatchStage::Unread;
        self.remark(from, &format!("{why}: what follows passes unread"));
    }

    fn remark(&mut self, from: Role, text: &str) {
        self.tell(from, TapWhat::Remark(text.to_owned()));
    }

    fn tell(&mut self, from: Role, what: TapWhat) {
        let has_match = match (&self.settings.grep, &what) {
            (Some(grep), TapWhat::Http(line)) => line.contains(grep.as_str()),
            _ => false,
        };
        self.seen.push(TapSighting { from, what, parts: Vec::new(), has_match });
    }
}

/// The beginning of a first line: its target may be long.
fn beginning(line: &str) -> String {
    const CHARS_MAX: usize = 1_000;
    line.chars().take(CHARS_MAX).collect()
}

fn stage_of(body: PassingBody) -> WatchStage {
    match body {
        PassingBody::None => WatchStage::Head(Vec::new()),
        PassingBody::Read(body) => WatchStage::Body(body),
        PassingBody::Rest => WatchStage::Rest,
    }
}

/// Whether a head of HTTP/1.1 may begin like this.
fn may_be_head(from: Role, begin: &[u8]) -> bool {
    match from {
        Role::Client => begin.first().is_some_and(u8::is_ascii_uppercase),
        Role::Server => begin.iter().zip(b"HTTP/").all(|(one, other)| one == other),
    }
}

#[cfg(test)]
mod tests {
    use super::super::http::HostNames;
    use super::super::item::{LOOKED_BYTES_MAX, TapMessage};
    use super::*;

    const ASK: &[u8] = b"GET /ws?token=abc HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n";
    const OPEN: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";
    const OPEN_DEFLATE: &[u8] =
        b"HTTP/1.1 101 x\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";

    fn watch() -> WireWatch {
        WireWatch::new(WatchSettings { hides: true, grep: None, host: None })
    }

    /// What is seen, in short.
    fn seen(watch: &mut WireWatch) -> Vec<String> {
        let short = |one: TapSighting| match one.what {
            TapWhat::Frame(frame) => {
                let message = frame.message.as_ref().map(|message| &message.text);
                format!("{:?} {} {} {message:?}", one.from, frame.kind(), frame.is_compressed)
            }
            TapWhat::Head(line) | TapWhat::Http(line) => format!("{:?} {line}", one.from),
            TapWhat::Violation(error) => format!("! {error}"),
            other => format!("{other:?}"),
        };
        watch.take_seen().into_iter().map(short).collect()
    }

    #[test]
    fn a_websocket_is_read_in_any_pieces_and_passes_unchanged() {
        for size in [1, 2, 3, 7, 1_000] {
            let mut watch = watch();
            let client = [ASK, b"\x81\x85\0\0\0\0Hello"].concat();
            let server =
                [OPEN_DEFLATE, &[0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]].concat();
            let (mut passed, mut frames) = ([Vec::new(), Vec::new()], [0, 0]);
            for (index, (from, bytes)) in
                [(Role::Client, &client), (Role::Server, &server)].iter().enumerate()
            {
                for piece in bytes.chunks(size) {
                    let PassedBytes { bytes, frames_from } = watch.saw(*from, piece);
                    frames[index] += bytes.len() - frames_from;
                    passed[index].extend(bytes);
                }
            }
            assert_eq!(passed, [client, server]);
            // The client's came before the answer.
            assert_eq!(frames, [0, 9]);
            assert_eq!(
                seen(&mut watch),
                [
                    "Client GET /ws?token=(hidden) HTTP/1.1",
                    "Server HTTP/1.1 101 x",
                    "Client text false Some(\"Hello\")",
                    "Server text true Some(\"Hello\")",
                ],
                "{size}"
            );
        }
    }

    #[test]
    fn requests_of_a_page_are_lines_and_a_websocket_may_follow() {
        let mut watch = watch();
        let get = b"GET /app.js HTTP/1.1\r\n\r\nPOST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nGET";
        watch.saw(Role::Client, get);
        watch.saw(Role::Server, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nHTTP");
        watch.saw(Role::Server, b"HTTP/1.1 100 Continue\r\n\r\n");
        watch.saw(
            Role::Server,
            b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        );
        watch.saw(Role::Client, ASK);
        watch.saw(Role::Server, b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
        watch.saw(Role::Client, ASK);
        watch.saw(Role::Server, OPEN);
        watch.saw(Role::Server, b"\x89\x00");
        assert_eq!(
            seen(&mut watch),
            [
                "Server GET /app.js: 200 OK, 4 bytes",
                "Server POST /a: 201 Created",
                "Client GET /ws?token=(hidden) HTTP/1.1",
                "Server GET /ws?token=(hidden): 401 Unauthorized, 0 bytes",
                "Client GET /ws?token=(hidden) HTTP/1.1",
                "Server HTTP/1.1 101 Switching Protocols",
                "Server ping false Some(\"\")",
            ]
        );
    }

    #[test]
    fn what_breaks_the_protocol_or_is_no_http_is_told_and_passes() {
        let mut one = watch();
        one.saw(Role::Client, ASK);
        one.saw(Role::Server, OPEN);
        let unmasked = b"\x81\x05Hello";
        assert_eq!(one.saw(Role::Client, unmasked).bytes, unmasked);
        one.ended(Role::Client);
        let said = seen(&mut one);
        assert_eq!(
            said[2],
            "! a client's frame is not masked, in the frame at byte 59 (RFC 6455 §5.1)"
        );
        assert_eq!(said[3], "Remark(\"5 bytes behind the end of the WebSocket, not read\")");
        let mut other = watch();
        assert_eq!(other.saw(Role::Client, b"\x16\x03\x01").bytes, b"\x16\x03\x01");
        assert_eq!(
            seen(&mut other),
            ["Remark(\"this is not HTTP/1.1: what follows passes unread\")"]
        );
        let mut long = watch();
        let endless = [b"GET / HTTP/1.1\r\nA: ".as_slice(), &[b'a'; HEAD_BYTES_MAX]].concat();
        assert_eq!(long.saw(Role::Client, &endless).bytes, endless);
        assert_eq!(seen(&mut long).len(), 1);
    }

    #[test]
    fn secrets_are_in_no_part() {
        let mut watch = watch();
        watch.saw(Role::Client, ASK);
        watch.saw(Role::Server, OPEN);
        let text = br#"{"type":"auth","payload":{"token":"s3cr3t"}}"#;
        let frame = [&[0x81, 0x80 | text.len() as u8, 0, 0, 0, 0], &text[..]].concat();
        watch.saw(Role::Client, &frame);
        let key = [7, 8, 9, 10];
        let mut masked = text.to_vec();
        crate::protocol::mask::apply(&mut masked, key, 0);
        let begun =
            [&[0x81, 0x80 | text.len() as u8][..], &key, &masked[..text.len() - 3]].concat();
        watch.saw(Role::Client, &begun);
        watch.ended(Role::Client);
        for sighting in watch.take_seen() {
            let shown = format!("{sighting:?}");
            assert!(!shown.contains("s3cr3t") && !shown.contains("abc"), "{shown}");
            let bytes =
                sighting.parts.iter().flat_map(|part| part.bytes.clone()).collect::<Vec<_>>();
            assert!(!String::from_utf8_lossy(&bytes).contains("s3cr"), "{sighting:?}");
            assert!(bytes.len() < 40 || sighting.from == Role::Server, "{sighting:?}");
        }
    }

    #[test]
    fn a_secret_behind_what_is_quoted_is_in_no_byte() {
        let mut watch = watch();
        let target = format!("/ws?user={}&token=s3cr3t", "a".repeat(60));
        let head = format!("GET {target} HTTP/1.1\r\nUpgrade: websocket\r\n\r\n");
        watch.saw(Role::Client, head.as_bytes());
        let seen = watch.take_seen();
        assert_eq!(seen[0].parts.len(), 3);
        assert!(seen[0].parts[0].is_hidden() && !seen[0].parts[1].is_hidden());
    }

    /// A whole message of the server's, of 64 KiB to 4 GiB.
    fn message(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let len = (payload.len() as u64).to_be_bytes();
        [&[0x80 | opcode, 127], &len[..], payload].concat()
    }

    fn message_of(sighting: &TapSighting) -> &TapMessage {
        match &sighting.what {
            TapWhat::Frame(frame) => frame.message.as_ref().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn of_a_message_that_is_too_long_to_look_through_no_byte_is_shown() {
        let mut watch = watch();
        watch.saw(Role::Client, ASK);
        watch.saw(Role::Server, OPEN);
        watch.take_seen();
        for len in [LOOKED_BYTES_MAX, LOOKED_BYTES_MAX + 1] {
            watch.saw(Role::Server, &message(1, &vec![b'a'; len]));
            let seen = watch.take_seen();
            let payload = seen[0].parts.last().unwrap();
            assert_eq!(payload.is_hidden(), len > LOOKED_BYTES_MAX, "{payload:?}");
            let shown = message_of(&seen[0]);
            assert_eq!((shown.len, shown.text.len(), shown.is_cut), (len as u64, 4_096, true));
        }
        // A secret at the end of what is looked through, far behind what is shown.
        let mut long = vec![b' '; LOOKED_BYTES_MAX - 10];
        long.extend(b"token=abcd");
        watch.saw(Role::Server, &message(2, &long));
        assert_eq!(message_of(&watch.take_seen()[0]).text, "(hidden)");
    }

    #[test]
    fn a_long_message_made_to_cost_much_does_not() {
        let mut watch = watch();
        watch.saw(Role::Client, ASK);
        watch.saw(Role::Server, OPEN);
        for piece in ["\\", "://", "token", "token:", "bearer.", "token \"", "\\u00", "%74oken"] {
            let begun = std::time::Instant::now();
            let text = piece.repeat(1024 * 1024 / piece.len());
            watch.saw(Role::Server, &message(1, text.as_bytes()));
            assert_eq!(message_of(watch.take_seen().last().unwrap()).len, text.len() as u64);
            // Where each backslash looked at all that follow, it took minutes.
            assert!(begun.elapsed().as_secs() < 10, "{piece}: {:?}", begun.elapsed());
        }
    }

    #[test]
    fn a_host_is_rewritten_in_each_request_and_nothing_else() {
        let tap = "127.0.0.1:7000".parse().unwrap();
        let host = HostNames { tap, authority: "upstream".to_owned(), scheme: "http" };
        let own = "127.0.0.1:7000";
        let ask = String::from_utf8_lossy(ASK).replace("Host: a", &format!("Host: {own}"));
        for size in [1, 5, 1_000] {
            let host = Some(host.clone());
            let mut watch = WireWatch::new(WatchSettings { hides: true, grep: None, host });
            let mut passed = Vec::new();
            let head =
                |host| format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 9\r\n\r\n");
            let sent = [&head(own), "Host: a\r\n", &ask].concat();
            for piece in sent.as_bytes().chunks(size) {
                passed.extend(watch.saw(Role::Client, piece).bytes);
            }
            let expected =
                [&head("upstream"), "Host: a\r\n", &ask.replace(own, "upstream")].concat();
            assert_eq!(String::from_utf8(passed).unwrap(), expected);
        }
    }
}
