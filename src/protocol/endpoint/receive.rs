//! The receiving half: bytes to events (RFC 6455 §5.2–§5.6, §6.2; RFC 7692 §6.2).
//!
//! A message that lies whole in the input is unmasked in place and handed out without a copy.
//! Messages that arrive in pieces or are inflated go into a box that an idle connection does not
//! own.

use super::{EndpointLimits, Event, Role, Send};
use crate::base::Outbox;
use crate::protocol::assembler::Assembler;
use crate::protocol::close;
use crate::protocol::deflate::inflate::compressed_bytes_max;
use crate::protocol::deflate::{Inflater, RSV1};
use crate::protocol::frame_header::{HEADER_BYTES_MAX, ShortHeader};
use crate::protocol::{FrameHeader, Opcode, ProtocolError, Violation, mask};
use std::ops::Range;
use std::sync::Arc;

/// Received bytes, and how many of them are used up.
///
/// ```text
/// 0 <= used <= bytes.len()
/// |  used up (unmasked in place)  |  still to be read  |
/// 0                             used              bytes.len()
/// ```
#[derive(Debug)]
pub struct Received<'b> {
    bytes: &'b mut [u8],
    used: usize,
}

impl<'b> Received<'b> {
    /// Bytes as received. They are unmasked in place.
    pub fn new(bytes: &'b mut [u8]) -> Received<'b> {
        Received { bytes, used: 0 }
    }

    /// How many bytes are used up.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.used..]
    }

    /// Uses up at most `max` bytes and returns their range.
    fn take(&mut self, max: u64) -> Range<usize> {
        let here = self.bytes.len() - self.used;
        let len = usize::try_from(max).map_or(here, |max| max.min(here));
        let start = self.used;
        self.used += len;
        start..self.used
    }
}

/// The receiving half of an endpoint.
#[derive(Debug)]
pub struct Receive {
    limits: Arc<EndpointLimits>,
    /// The offset of the current frame, counted from the first byte after the handshake.
    frame_offset: u64,
    stage: ReceiveStage,
    role: Role,
    /// Present if permessage-deflate was negotiated.
    inflater: Option<Box<Inflater>>,
    pieces: Option<Box<Pieces>>,
}

#[derive(Debug)]
enum ReceiveStage {
    /// A header comes next; `pieces` holds what has arrived of it.
    Header,
    /// The rest of a frame's payload comes next; `pieces` holds the frame's header.
    Payload,
    /// After a Close or a violation all input is ignored (RFC 6455 §1.4, §7.1.7). No transition
    /// leaves this state.
    Discard,
}

/// State kept between two inputs.
#[derive(Debug, Default)]
struct Pieces {
    header: [u8; HEADER_BYTES_MAX],
    header_len: u8,
    frame: Option<PartialFrame>,
    control: Vec<u8>,
    message: Assembler,
}

/// A frame of which `done` bytes of payload have arrived.
#[derive(Clone, Copy, Debug)]
struct PartialFrame {
    header: FrameHeader,
    header_len: u8,
    done: u64,
}

/// A complete, unmasked message or control frame.
struct Complete {
    opcode: Opcode,
    place: PayloadPlace,
    /// Bytes of its last frame, header included.
    frame_len: u64,
}

enum PayloadPlace {
    Input(Range<usize>),
    Control,
    Message,
}

impl Receive {
    pub(super) fn new(role: Role, limits: Arc<EndpointLimits>) -> Receive {
        Receive {
            limits,
            frame_offset: 0,
            stage: ReceiveStage::Header,
            role,
            inflater: None,
            pieces: None,
        }
    }

    /// Accepts compressed messages from now on: permessage-deflate was negotiated.
    pub(super) fn inflate_with(&mut self, inflater: Inflater) {
        self.inflater = Some(Box::new(inflater));
    }

    /// Applies other limits, from the next header on.
    pub fn set_limits(&mut self, limits: Arc<EndpointLimits>) {
        self.limits = limits;
    }

    /// Whether a frame or a message has begun and not ended.
    #[must_use]
    pub fn is_within_message(&self) -> bool {
        matches!(self.stage, ReceiveStage::Payload)
            || self
                .pieces
                .as_ref()
                .is_some_and(|p| p.header_len > 0 || p.message.current_opcode().is_some())
    }

    /// Whether nothing is kept between two inputs: no partial frame, no message that was handed
    /// out. An input that is used up then has no further event.
    #[must_use]
    pub fn keeps_nothing(&self) -> bool {
        self.pieces.is_none()
    }

    /// See [`Endpoint::next_event`](super::Endpoint::next_event).
    ///
    /// # Errors
    /// As there.
    pub fn next_event<'a>(
        &'a mut self,
        send: &mut Send,
        input: &'a mut Received<'_>,
        out: &mut Outbox,
    ) -> Result<Option<Event<'a>>, ProtocolError> {
        let complete = match self.short_alone(input) {
            Some(complete) => complete,
            None => match self.advance(input) {
                Ok(Some(complete)) => complete,
                Ok(None) => return Ok(None),
                Err(violation) => return Err(self.fail(violation, send, out)),
            },
        };
        let frame_offset = self.frame_offset;
        self.frame_offset += complete.frame_len;
        if complete.opcode == Opcode::Close {
            self.stage = ReceiveStage::Discard;
        }
        let payload = match complete.place {
            PayloadPlace::Input(range) => &input.bytes[range],
            PayloadPlace::Control => self.pieces.as_ref().map_or(&[][..], |pieces| &pieces.control),
            PayloadPlace::Message => {
                self.pieces.as_ref().map_or(&[][..], |pieces| pieces.message.whole())
            }
        };
        match judged(complete.opcode, payload) {
            Ok(event) => {
                answer(&event, send, out);
                Ok(Some(event))
            }
            Err(violation) => {
                self.stage = ReceiveStage::Discard;
                send.fail(violation.close_code(), violation.sentence(), out);
                Err(ProtocolError { violation, frame_offset })
            }
        }
    }

    /// Frees the bytes of the last event, as the next call would: for a caller that will not make
    /// it soon.
    pub fn release(&mut self) {
        let Some(pieces) = &mut self.pieces else { return };
        let is_inflated = self.inflater.is_some() && !pieces.message.is_compressed();
        if let Some(bytes) = pieces.message.forget_whole()
            && is_inflated
            && let Some(inflater) = &mut self.inflater
        {
            inflater.give_back(bytes);
        }
        if matches!(self.stage, ReceiveStage::Header) {
            pieces.control = Vec::new();
        }
    }

    /// The usual message of a client, in fewer steps than by [`Receive::advance`], which gives the
    /// same: alone in one short frame, whole in the input, not compressed. `None` for anything
    /// else, and nothing is used up.
    #[inline]
    fn short_alone(&mut self, input: &mut Received<'_>) -> Option<Complete> {
        let ShortHeader { opcode, key, payload_len } = ShortHeader::decode(input.rest())?;
        let is_between = matches!(self.stage, ReceiveStage::Header) && self.pieces.is_none();
        let EndpointLimits { frame_bytes, message_bytes, .. } = *self.limits;
        let is_too_long = u64::from(payload_len) > frame_bytes.min(message_bytes);
        if !is_between || self.role != Role::Server || is_too_long {
            return None;
        }
        let start = input.used + ShortHeader::BYTES;
        let range = start..start + usize::from(payload_len);
        mask::apply(input.bytes.get_mut(range.clone())?, key, 0);
        let frame_len = (range.end - input.used) as u64;
        input.used = range.end;
        Some(Complete { opcode, place: PayloadPlace::Input(range), frame_len })
    }

    /// Reads `input` up to the end of the next message or control frame.
    fn advance(&mut self, input: &mut Received<'_>) -> Result<Option<Complete>, Violation> {
        self.release();
        loop {
            match self.stage {
                ReceiveStage::Discard => {
                    input.take(u64::MAX);
                    self.pieces = None;
                    return Ok(None);
                }
                ReceiveStage::Header => {
                    let Some((header, header_len)) = self.next_header(input)? else {
                        self.release_when_idle();
                        return Ok(None);
                    };
                    self.judge(&header)?;
                    let whole = header.payload_len <= input.rest().len() as u64;
                    let alone = header.fin && header.opcode != Opcode::Continuation;
                    if whole && alone {
                        let range = input.take(header.payload_len);
                        unmask(&mut input.bytes[range.clone()], &header, 0);
                        let frame_len = u64::from(header_len) + header.payload_len;
                        let place = if is_compressed(&header) {
                            let message = self.inflated(&input.bytes[range])?;
                            self.pieces.get_or_insert_default().message.put_whole(message);
                            PayloadPlace::Message
                        } else {
                            PayloadPlace::Input(range)
                        };
                        return Ok(Some(Complete { opcode: header.opcode, place, frame_len }));
                    }
                    let pieces = self.pieces.get_or_insert_default();
                    if !header.opcode.is_control() {
                        pieces.message.begin_frame(header.opcode, self.limits.fragments)?;
                        if is_compressed(&header) {
                            pieces.message.mark_compressed();
                        }
                    }
                    pieces.frame = Some(PartialFrame { header, header_len, done: 0 });
                    self.stage = ReceiveStage::Payload;
                }
                ReceiveStage::Payload => {
                    let pieces = self.pieces.get_or_insert_default();
                    let Some(frame) = &mut pieces.frame else {
                        self.stage = ReceiveStage::Header;
                        continue;
                    };
                    let PartialFrame { header, header_len, done } = *frame;
                    let range = input.take(header.payload_len - done);
                    let piece = &mut input.bytes[range];
                    unmask(piece, &header, done);
                    frame.done += piece.len() as u64;
                    let is_whole = frame.done == header.payload_len;
                    if header.opcode.is_control() {
                        pieces.control.extend_from_slice(piece);
                    } else {
                        pieces.message.append(piece)?;
                    }
                    if !is_whole {
                        return Ok(None);
                    }
                    pieces.frame = None;
                    self.stage = ReceiveStage::Header;
                    let frame_len = u64::from(header_len) + header.payload_len;
                    let (opcode, place) = if header.opcode.is_control() {
                        (header.opcode, PayloadPlace::Control)
                    } else if header.fin {
                        let opcode = pieces.message.finish()?;
                        if pieces.message.is_compressed() {
                            self.inflate_whole()?;
                        }
                        (opcode, PayloadPlace::Message)
                    } else {
                        self.frame_offset += frame_len;
                        continue;
                    };
                    return Ok(Some(Complete { opcode, place, frame_len }));
                }
            }
        }
    }

    /// The next header, if it is complete; otherwise keeps what has arrived of it.
    fn next_header(
        &mut self,
        input: &mut Received<'_>,
    ) -> Result<Option<(FrameHeader, u8)>, Violation> {
        let kept = self.pieces.as_ref().map_or(0, |pieces| pieces.header_len);
        if kept == 0 {
            if let Some((header, len)) = FrameHeader::decode(input.rest())? {
                input.take(len as u64);
                return Ok(Some((header, len as u8)));
            }
            if input.rest().is_empty() {
                return Ok(None);
            }
        }
        let pieces = self.pieces.get_or_insert_default();
        // Byte by byte: at most fourteen times, and never a byte of the payload.
        while let [byte, ..] = *input.rest() {
            input.take(1);
            pieces.header[pieces.header_len as usize] = byte;
            pieces.header_len += 1;
            let begun = &pieces.header[..pieces.header_len as usize];
            if let Some((header, len)) = FrameHeader::decode(begun)? {
                pieces.header_len = 0;
                return Ok(Some((header, len as u8)));
            }
        }
        Ok(None)
    }

    /// Checks a header against the role, the negotiation, earlier frames and the limits, before any
    /// byte of its payload is read or allocated.
    fn judge(&self, header: &FrameHeader) -> Result<(), Violation> {
        // RFC 6455 §5.2: reserved bits must be 0 unless an extension defines them.
        let with_meaning = if self.inflater.is_some() { RSV1 } else { 0 };
        if header.rsv & !with_meaning != 0 {
            return Err(Violation::ReservedBits);
        }
        // RFC 7692 §6.1: control frames and fragments after the first must not set it.
        let begins_message = matches!(header.opcode, Opcode::Text | Opcode::Binary);
        if is_compressed(header) && !begins_message {
            return Err(Violation::CompressedBitMisplaced);
        }
        // RFC 6455 §5.1: a client masks every frame, a server none.
        match (self.role, header.mask) {
            (Role::Server, None) => return Err(Violation::MaskMissing),
            (Role::Client, Some(_)) => return Err(Violation::MaskUnexpected),
            (Role::Server, Some(_)) | (Role::Client, None) => {}
        }
        if header.opcode.is_control() {
            return Ok(());
        }
        let message = self.pieces.as_ref().map(|pieces| &pieces.message);
        let is_begun = message.is_some_and(|message| message.current_opcode().is_some());
        // RFC 6455 §5.4: fragments of different messages must not be interleaved.
        match (header.opcode, is_begun) {
            (Opcode::Continuation, false) => return Err(Violation::ContinuationWithoutStart),
            (Opcode::Text | Opcode::Binary, true) => return Err(Violation::MessageWithinMessage),
            _ => {}
        }
        // RFC 6455 §10.4: limits apply to the frame and to the message over all its fragments.
        let EndpointLimits { mut frame_bytes, mut message_bytes, .. } = *self.limits;
        if is_compressed(header) || message.is_some_and(Assembler::is_compressed) {
            // The inflated size is checked while inflating.
            frame_bytes = compressed_bytes_max(frame_bytes);
            message_bytes = compressed_bytes_max(message_bytes);
        }
        if header.payload_len > frame_bytes {
            return Err(Violation::FrameTooLarge);
        }
        let before = message.map_or(0, |message| message.len() as u64);
        match before.checked_add(header.payload_len) {
            Some(len) if len <= message_bytes => Ok(()),
            _ => Err(Violation::MessageTooLarge),
        }
    }

    /// RFC 7692 §6.2: inflates a complete message.
    fn inflated(&mut self, payload: &[u8]) -> Result<Vec<u8>, Violation> {
        // Without the extension `judge` refuses every frame with the bit.
        let inflater = self.inflater.as_mut().ok_or(Violation::ReservedBits)?;
        inflater.inflate(payload, self.limits.message_bytes)
    }

    /// Inflates a message that arrived in pieces.
    fn inflate_whole(&mut self) -> Result<(), Violation> {
        if let Some(mut pieces) = self.pieces.take() {
            let message = self.inflated(pieces.message.whole())?;
            pieces.message.put_whole(message);
            self.pieces = Some(pieces);
        }
        Ok(())
    }

    fn fail(&mut self, violation: Violation, send: &mut Send, out: &mut Outbox) -> ProtocolError {
        self.stage = ReceiveStage::Discard;
        self.pieces = None;
        send.fail(violation.close_code(), violation.sentence(), out);
        ProtocolError { violation, frame_offset: self.frame_offset }
    }

    fn release_when_idle(&mut self) {
        let idle = self.pieces.as_ref().is_some_and(|p| p.header_len == 0 && p.message.is_idle());
        if idle {
            self.pieces = None;
        }
    }
}

fn is_compressed(header: &FrameHeader) -> bool {
    header.rsv & RSV1 != 0
}

fn unmask(piece: &mut [u8], header: &FrameHeader, done: u64) {
    if let Some(key) = header.mask {
        mask::apply(piece, key, done);
    }
}

/// The event for a complete message or control frame, if its payload is valid.
fn judged(opcode: Opcode, payload: &[u8]) -> Result<Event<'_>, Violation> {
    match opcode {
        // RFC 6455 §8.1: text that is not UTF-8 fails the connection.
        Opcode::Text => {
            simdutf8::basic::from_utf8(payload).map(Event::Text).map_err(|_| Violation::TextNotUtf8)
        }
        // A message has the kind of its first frame: no event is a continuation.
        Opcode::Binary | Opcode::Continuation => Ok(Event::Binary(payload)),
        Opcode::Ping => Ok(Event::Ping(payload)),
        Opcode::Pong => Ok(Event::Pong(payload)),
        Opcode::Close => {
            close::parse_body(payload).map(|(code, reason)| Event::Closed { code, reason })
        }
    }
}

/// Queues what the RFC requires this endpoint to send.
fn answer(event: &Event<'_>, send: &mut Send, out: &mut Outbox) {
    match event {
        Event::Ping(payload) => send.pong(payload, out),
        Event::Closed { code, .. } => send.answer_close(*code, out),
        Event::Text(_) | Event::Binary(_) | Event::Pong(_) => {}
    }
}
