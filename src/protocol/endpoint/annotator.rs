//! Explains a stream that comes in pieces: what [`annotate`](super::annotate) says of a whole one.
//!
//! The endpoint judges the stream, as everywhere. This module only puts the bytes into words, and
//! accepts any input. It keeps no more than the endpoint does, a header and the beginning of what it
//! describes next; the same is said however the stream is cut.

use super::annotate::{INFLATED_BYTES_MAX, Note, Reading, quoted_beginning};
use super::annotate_parts::{
    HeadLine, KEPT_BYTES_MAX, PayloadPart, annotate_header, annotate_payload, length_len, name,
};
use super::{Endpoint, EndpointLimits, MaskKeys, Received, Role};
use crate::base::Outbox;
use crate::protocol::deflate::{Codecs, CodecsConfig, Deflate, Parameters};
use crate::protocol::frame_header::{FrameHeader, HEADER_BYTES_MAX};
use crate::protocol::{MaskKey, Opcode, ProtocolError};
use std::sync::Arc;

/// The answers of the endpoint that nobody reads.
const UNREAD_BYTES_MAX: u32 = 64 * 1024;

/// What a head begins with. No valid frame begins like it: `G` and `H` would set reserved bits.
const HEADS: [(&[u8], &str); 2] = [(b"GET ", "RFC 6455 §4.1"), (b"HTTP/", "RFC 6455 §4.2.2")];

/// Describes what one end sends, as it comes.
#[derive(Debug)]
pub struct Annotator {
    reading: Reading,
    message_bytes_max: Option<u64>,
    /// The offset of the next byte.
    at: u64,
    stage: AnnotateStage,
    frames: Option<Frames>,
}

#[derive(Debug)]
enum AnnotateStage {
    /// Nothing has come, or what may become a head.
    Start(Vec<u8>),
    /// A head, of which this line has begun.
    Head(HeadLine, &'static str),
    /// A frame's header, as far as it is here.
    Header(Vec<u8>),
    Payload(Payload),
    /// Nothing is read any more.
    Over(Rest),
}

/// A payload of which `done` bytes have come.
#[derive(Debug)]
struct Payload {
    header: FrameHeader,
    done: u64,
    begin: Vec<u8>,
    /// It is told when the payload has ended.
    failed: Option<ProtocolError>,
}

/// What came after the end of the connection.
#[derive(Debug)]
struct Rest {
    offset: u64,
    len: u64,
    clause: &'static str,
}

impl Annotator {
    /// Reads a stream from its beginning.
    #[must_use]
    pub fn new(reading: Reading) -> Annotator {
        let stage = AnnotateStage::Start(Vec::new());
        Annotator { reading, message_bytes_max: None, at: 0, stage, frames: None }
    }

    /// Counts offsets from here on, for a stream with something before it.
    #[must_use]
    pub fn starting_at(self, offset: u64) -> Annotator {
        Annotator { at: offset, ..self }
    }

    /// Takes messages of at most so many bytes: a longer one is
    /// [`MessageTooLarge`](crate::protocol::Violation::MessageTooLarge). Without it, only inflated ones have a bound.
    #[must_use]
    pub fn with_message_bytes(self, max: u64) -> Annotator {
        Annotator { message_bytes_max: Some(max), ..self }
    }

    /// Says whether permessage-deflate was negotiated. It counts if no frame has begun.
    pub fn set_inflate(&mut self, inflate: bool) {
        if self.frames.is_none() {
            self.reading.inflate = inflate;
        }
    }

    /// Calls `note` for each part that is whole by now.
    pub fn read(&mut self, mut bytes: &[u8], note: &mut dyn FnMut(Note<'_>)) {
        while !bytes.is_empty() {
            let taken = self.take(bytes, note);
            self.at += taken as u64;
            bytes = bytes.get(taken..).unwrap_or_default();
        }
    }

    /// Calls `note` for what has begun and not ended.
    pub fn end(mut self, note: &mut dyn FnMut(Note<'_>)) {
        if let AnnotateStage::Start(begin) = &mut self.stage {
            // It has become no head.
            let begin = std::mem::take(begin);
            self.begin_frames(begin, note);
        }
        let at = self.at;
        match std::mem::replace(&mut self.stage, AnnotateStage::Start(Vec::new())) {
            AnnotateStage::Start(_) => {}
            AnnotateStage::Head(line, clause) => {
                if line.len > 0 {
                    let meaning =
                        format!("beginning of {}", quoted_beginning(&line.begin, line.len));
                    line.say(at, meaning, clause, note);
                }
                note(Note::Unfinished("the head of the handshake is not all there".to_owned()));
            }
            AnnotateStage::Header(header) if header.is_empty() => {
                if let Some(begun) = self.frames.as_ref().and_then(|frames| frames.begun) {
                    let kind = name(begun.opcode.bits());
                    note(Note::Unfinished(format!("a {kind} message has begun and not ended")));
                }
            }
            AnnotateStage::Header(header) => {
                let is_cut = matches!(FrameHeader::decode(&header), Ok(None));
                annotate_header(&header, at - header.len() as u64, self.reading.inflate, note);
                // Further faults show only when the rest of the header arrives.
                if let Err(error) = self.judge(&header, note) {
                    note(Note::Violation(error));
                }
                if is_cut {
                    note(Note::Unfinished("the frame's header is not all there".to_owned()));
                }
            }
            AnnotateStage::Payload(payload) => {
                if payload.done > 0 {
                    self.annotate_payload(&payload, note);
                }
                if let Some(error) = payload.failed {
                    return note(Note::Violation(error));
                }
                let missing = payload.header.payload_len - payload.done;
                let bytes = if missing == 1 { "byte" } else { "bytes" };
                note(Note::Unfinished(format!("{missing} {bytes} of the payload are missing")));
            }
            AnnotateStage::Over(Rest { len: 0, .. }) => {}
            AnnotateStage::Over(Rest { offset, len, clause }) => {
                note(Note::Ignored { offset, len, clause });
            }
        }
    }

    /// Takes some of the bytes, at least one; returns how many.
    fn take(&mut self, bytes: &[u8], note: &mut dyn FnMut(Note<'_>)) -> usize {
        match &mut self.stage {
            AnnotateStage::Start(begin) => {
                let Some(first) = bytes.first() else { return 0 };
                begin.push(*first);
                let may_be = |(head, _): &&(&[u8], &str)| head.starts_with(begin);
                match HEADS.iter().find(may_be) {
                    Some((head, clause)) if head.len() == begin.len() => {
                        let line = HeadLine::of(begin);
                        self.stage = AnnotateStage::Head(line, clause);
                        1
                    }
                    Some(_) => 1,
                    None => {
                        // The last byte comes again, so that its offset is the header's.
                        begin.pop();
                        let begin = std::mem::take(begin);
                        self.begin_frames(begin, note);
                        0
                    }
                }
            }
            AnnotateStage::Head(line, clause) => {
                let end = bytes.iter().position(|byte| *byte == b'\n').map(|end| end + 1);
                let taken = end.unwrap_or(bytes.len());
                line.add(bytes.get(..taken).unwrap_or_default());
                if end.is_none() {
                    return taken;
                }
                let clause = *clause;
                let line = std::mem::take(line);
                let at = self.at + taken as u64;
                if line.is_empty() {
                    line.say(at, "end of the head".to_owned(), "RFC 9112 §2.1", note);
                    self.stage = AnnotateStage::Header(Vec::new());
                } else {
                    let meaning = line.quoted();
                    line.say(at, meaning, clause, note);
                }
                taken
            }
            AnnotateStage::Header(header) => {
                let Some(first) = bytes.first() else { return 0 };
                header.push(*first);
                self.read_header(note);
                1
            }
            AnnotateStage::Payload(_) => self.take_payload(bytes, note),
            AnnotateStage::Over(rest) => {
                rest.len += bytes.len() as u64;
                bytes.len()
            }
        }
    }

    /// Reads as frames what was no head; its bytes are counted already.
    fn begin_frames(&mut self, begin: Vec<u8>, note: &mut dyn FnMut(Note<'_>)) {
        self.at -= begin.len() as u64;
        self.stage = AnnotateStage::Header(Vec::new());
        self.read(&begin, note);
    }

    /// Looks whether the header is whole, or is none.
    fn read_header(&mut self, note: &mut dyn FnMut(Note<'_>)) {
        let AnnotateStage::Header(bytes) = &mut self.stage else { return };
        let header = match FrameHeader::decode(bytes) {
            Ok(None) => return,
            Ok(Some((header, _))) => Some(header),
            // The violation is in the bytes shown: the first two, or a length after them.
            Err(_) => {
                let shown = 2 + bytes.get(1).map_or(0, |second| length_len(second & 0x7F));
                if bytes.len() < shown {
                    return;
                }
                None
            }
        };
        let bytes = std::mem::replace(bytes, Vec::with_capacity(HEADER_BYTES_MAX));
        // The last byte is not counted yet.
        self.at += 1;
        let start = self.at - bytes.len() as u64;
        annotate_header(&bytes, start, self.reading.inflate, note);
        let judged = self.judge(&bytes, note);
        self.at -= 1;
        match (judged, header) {
            (Err(error), _) => {
                note(Note::Violation(error));
                self.be_over(self.at + 1, "RFC 6455 §7.1.7");
            }
            (Ok(()), None) => self.be_over(self.at + 1, "RFC 6455 §7.1.7"),
            (Ok(()), Some(header)) => {
                if let Some(frames) = &mut self.frames
                    && !header.opcode.is_control()
                    && frames.begun.is_none()
                {
                    frames.begun = Some(header);
                }
                if header.payload_len == 0 {
                    self.end_frame(header, self.at + 1, note);
                } else {
                    let begin = Vec::new();
                    self.stage =
                        AnnotateStage::Payload(Payload { header, done: 0, begin, failed: None });
                }
            }
        }
    }

    fn take_payload(&mut self, bytes: &[u8], note: &mut dyn FnMut(Note<'_>)) -> usize {
        let AnnotateStage::Payload(payload) = &mut self.stage else { return 0 };
        let left = payload.header.payload_len - payload.done;
        let taken = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let bytes = bytes.get(..taken).unwrap_or_default();
        let kept = KEPT_BYTES_MAX.saturating_sub(payload.begin.len()).min(taken);
        payload.begin.extend_from_slice(bytes.get(..kept).unwrap_or_default());
        payload.done += taken as u64;
        let is_last = payload.done == payload.header.payload_len;
        // What is said of the payload comes before what it means.
        let ended = if is_last {
            match std::mem::replace(&mut self.stage, AnnotateStage::Header(Vec::new())) {
                AnnotateStage::Payload(payload) => Some(payload),
                _ => None,
            }
        } else {
            None
        };
        if let Some(payload) = &ended {
            self.at += taken as u64;
            self.annotate_payload(payload, note);
            self.at -= taken as u64;
        }
        let judged = self.judge(bytes, note);
        let end = self.at + taken as u64;
        match (ended, &mut self.stage) {
            (None, AnnotateStage::Payload(payload)) => {
                if let Err(error) = judged {
                    payload.failed.get_or_insert(error);
                }
            }
            (None, _) => {}
            (Some(payload), _) => match payload.failed.map_or(judged, Err) {
                Ok(()) => self.end_frame(payload.header, end, note),
                Err(error) => {
                    note(Note::Violation(error));
                    self.be_over(end, "RFC 6455 §7.1.7");
                }
            },
        }
        taken
    }

    /// A frame has ended, before the byte at `end`.
    fn end_frame(&mut self, header: FrameHeader, end: u64, note: &mut dyn FnMut(Note<'_>)) {
        if let Some(frames) = &mut self.frames
            && header.fin
            && !header.opcode.is_control()
        {
            frames.begun = None;
        }
        note(Note::Frame(header));
        if header.opcode == Opcode::Close {
            // RFC 6455 §5.5.1: nothing follows a Close.
            self.be_over(end, "RFC 6455 §1.4");
        }
    }

    fn be_over(&mut self, offset: u64, clause: &'static str) {
        self.stage = AnnotateStage::Over(Rest { offset, len: 0, clause });
    }

    /// Feeds bytes to the endpoint and reports its events.
    fn judge(&mut self, bytes: &[u8], note: &mut dyn FnMut(Note<'_>)) -> Result<(), ProtocolError> {
        let (reading, message_bytes_max, at) = (self.reading, self.message_bytes_max, self.at);
        // The first bytes are those of a header, which is counted by now.
        let start = || at - bytes.len() as u64;
        let frames =
            self.frames.get_or_insert_with(|| Frames::new(reading, message_bytes_max, start()));
        let mut bytes = bytes.to_vec();
        let mut input = Received::new(&mut bytes);
        loop {
            match frames.endpoint.next_event(&mut input, &mut frames.out) {
                Ok(Some(event)) => note(Note::Event(&event)),
                Ok(None) => return Ok(()),
                Err(mut error) => {
                    error.frame_offset += frames.start;
                    return Err(error);
                }
            }
            // The endpoint's answers are not shown.
            frames.out.clear();
        }
    }

    /// Describes a payload, as far as it has come. It ends where the next byte is.
    fn annotate_payload(&self, payload: &Payload, note: &mut dyn FnMut(Note<'_>)) {
        let &Payload { header, done: len, ref begin, .. } = payload;
        let begun = self.frames.as_ref().and_then(|frames| frames.begun);
        let first = begun.filter(|_| !header.opcode.is_control());
        let (offset, inflate) = (self.at - len, self.reading.inflate);
        annotate_payload(&PayloadPart { offset, len, begin, header, first, inflate }, note);
    }
}

/// What is known once frames have begun.
#[derive(Debug)]
struct Frames {
    /// The offset of the first one.
    start: u64,
    endpoint: Endpoint,
    out: Outbox,
    /// The first frame of the unfinished message.
    begun: Option<FrameHeader>,
}

impl Frames {
    fn new(reading: Reading, message_bytes_max: Option<u64>, start: u64) -> Frames {
        let message_bytes = if reading.inflate { INFLATED_BYTES_MAX } else { u64::MAX };
        let message_bytes = message_bytes_max.unwrap_or(message_bytes);
        let frame_bytes = u64::MAX;
        let limits = Arc::new(EndpointLimits { frame_bytes, message_bytes, fragments: u32::MAX });
        // An endpoint with context takeover and the largest window can read any sender.
        let agreed = Parameters::default();
        let codecs = Codecs::new(CodecsConfig::default());
        let (mut endpoint, deflate) = match reading.from {
            Role::Client => (Endpoint::server(limits), Deflate::server(&agreed, &codecs)),
            Role::Server => {
                (Endpoint::client(limits, Box::new(NoKey)), Deflate::client(&agreed, &codecs))
            }
        };
        if reading.inflate {
            endpoint = endpoint.with_deflate(deflate);
        }
        Frames { start, endpoint, out: Outbox::alone(UNREAD_BYTES_MAX), begun: None }
    }
}

/// The keys of a client that never sends.
#[derive(Debug)]
struct NoKey;

impl MaskKeys for NoKey {
    fn next_key(&mut self) -> MaskKey {
        [0; 4]
    }
}
