//! RFC 6455 as slowly and as plainly as it can be written: a whole stream in, all that must come
//! of it out. It shares no code with the endpoint that it is there to contradict, but for
//! the table of violations.
//!
//! Where one frame breaks several clauses, the RFC leaves open which of them is named. The order
//! here is that of the bytes that tell: the first byte, the length, then, when the header is
//! whole, reserved bits, mask, place in the message, limits, payload.

use crate::conversation::{CountedKeys, Outcome, Seen, Settings};
use crate::slow_header::{Header, header};
use crate::slow_inflate::SlowInflater;
use parlor::protocol::{MaskKeys, ProtocolError, Role, Violation};

/// A message that has begun.
struct Begun {
    is_text: bool,
    is_compressed: bool,
    payload: Vec<u8>,
    fragments: u32,
}

struct Model<'s> {
    settings: &'s Settings,
    outcome: Outcome,
    keys: CountedKeys,
    has_closed: bool,
    /// Where permessage-deflate was agreed.
    inflater: Option<SlowInflater>,
}

/// How much of a text there is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Text {
    Whole,
    WithinCharacter,
    Impossible,
}

/// All that must come of a stream.
pub(crate) fn outcome(settings: &Settings, stream: &[u8]) -> Outcome {
    let mut model = Model {
        settings,
        outcome: Outcome::default(),
        keys: CountedKeys::default(),
        has_closed: false,
        inflater: settings.deflate.map(|agreed| match settings.role {
            Role::Server => {
                SlowInflater::new(!agreed.client_no_context_takeover, agreed.client_max_window_bits)
            }
            Role::Client => {
                SlowInflater::new(!agreed.server_no_context_takeover, agreed.server_max_window_bits)
            }
        }),
    };
    if settings.has_closed {
        model.close(&1000u16.to_be_bytes());
    }
    let mut frame_offset = 0;
    if let Err(violation) = model.go_through(stream, &mut frame_offset) {
        let frame_offset = frame_offset as u64;
        model.outcome.error = Some(ProtocolError { violation, frame_offset });
        // §7.1.7: fail the connection, with a Close that says why.
        let code = violation.close_code().0;
        model.close(&[&code.to_be_bytes(), violation.sentence().as_bytes()].concat());
    }
    model.outcome
}

impl Model<'_> {
    fn go_through(&mut self, stream: &[u8], frame_offset: &mut usize) -> Result<(), Violation> {
        let mut begun: Option<Begun> = None;
        while let Some(header) = header(&stream[*frame_offset..])? {
            self.judge(&header, begun.as_ref())?;
            let payload = &stream[*frame_offset + header.header_len..];
            let here = payload.len().min(usize::try_from(header.payload_len).unwrap_or(usize::MAX));
            let is_whole = here as u64 == header.payload_len;
            // §5.3: octet i is transformed with octet i modulo 4 of the key.
            let key = header.key.unwrap_or([0; 4]);
            let payload: Vec<u8> =
                payload[..here].iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect();
            match header.opcode {
                8..=10 if !is_whole => {}
                8 => {
                    self.closed(&payload)?;
                    return Ok(());
                }
                9 => {
                    // §5.5.2: a Pong in response, with the same payload.
                    self.send(10, &payload);
                    self.outcome.events.push(Seen::Ping(payload));
                }
                10 => self.outcome.events.push(Seen::Pong(payload)),
                opcode => {
                    let message = begun.get_or_insert(Begun {
                        is_text: opcode == 1,
                        is_compressed: header.rsv & 4 != 0,
                        payload: Vec::new(),
                        fragments: 0,
                    });
                    message.fragments += 1;
                    if message.fragments > self.settings.limits.fragments.max(1) {
                        return Err(Violation::TooManyFragments);
                    }
                    message.payload.extend(payload);
                    let ends = header.fin && is_whole;
                    // RFC 7692 §6.2: what is compressed is judged when it is whole.
                    if message.is_compressed && !ends {
                        if !is_whole {
                            return Ok(());
                        }
                        *frame_offset += header.header_len + here;
                        continue;
                    }
                    if message.is_compressed {
                        let inflater = self.inflater.as_mut().unwrap();
                        let bytes_max = self.settings.limits.message_bytes;
                        message.payload = inflater
                            .inflate(&message.payload, bytes_max)
                            .map_err(|defect| defect.violation())?;
                    }
                    if message.is_text {
                        match text(&message.payload) {
                            Text::Impossible => return Err(Violation::TextNotUtf8),
                            Text::WithinCharacter if ends => return Err(Violation::TextNotUtf8),
                            Text::WithinCharacter | Text::Whole => {}
                        }
                    }
                    if ends {
                        let message = begun.take().unwrap();
                        self.outcome.events.push(if message.is_text {
                            Seen::Text(String::from_utf8(message.payload).unwrap())
                        } else {
                            Seen::Binary(message.payload)
                        });
                    }
                }
            }
            if !is_whole {
                return Ok(());
            }
            *frame_offset += header.header_len + here;
        }
        Ok(())
    }

    fn judge(&self, header: &Header, begun: Option<&Begun>) -> Result<(), Violation> {
        let limits = &self.settings.limits;
        let is_data = header.opcode < 8;
        // §5.2: RSV2 and RSV3 have no meaning, RSV1 has one where RFC 7692 was agreed upon.
        let is_marked = header.rsv & 4 != 0;
        if header.rsv & 3 != 0 || is_marked && self.settings.deflate.is_none() {
            return Err(Violation::ReservedBits);
        }
        // RFC 7692 §6.1: on the first frame of a message.
        if is_marked && !matches!(header.opcode, 1 | 2) {
            return Err(Violation::CompressedBitMisplaced);
        }
        match self.settings.role {
            Role::Server if header.key.is_none() => return Err(Violation::MaskMissing),
            Role::Client if header.key.is_some() => return Err(Violation::MaskUnexpected),
            _ => {}
        }
        if header.opcode == 0 && begun.is_none() {
            return Err(Violation::ContinuationWithoutStart);
        }
        if matches!(header.opcode, 1 | 2) && begun.is_some() {
            return Err(Violation::MessageWithinMessage);
        }
        // What cannot be compressed grows: by an eighth and 64 bytes at most.
        let is_compressed = is_marked || begun.is_some_and(|message| message.is_compressed);
        let bytes_max = |limit: u64| match u128::from(limit) {
            limit if is_compressed => limit + limit / 8 + 64,
            limit => limit,
        };
        if is_data && u128::from(header.payload_len) > bytes_max(limits.frame_bytes) {
            return Err(Violation::FrameTooLarge);
        }
        let before = begun.map_or(0, |message| message.payload.len());
        let message_len = u128::from(header.payload_len) + before as u128;
        if is_data && message_len > bytes_max(limits.message_bytes) {
            return Err(Violation::MessageTooLarge);
        }
        Ok(())
    }

    fn closed(&mut self, body: &[u8]) -> Result<(), Violation> {
        if body.is_empty() {
            self.outcome.events.push(Seen::Closed(None, String::new()));
            self.close(b"");
            return Ok(());
        }
        if body.len() == 1 {
            return Err(Violation::CloseBodyOneByte);
        }
        let code = u16::from(body[0]) * 256 + u16::from(body[1]);
        // §7.4.1, §7.4.2, §11.7.
        let is_registered = (1000..=1014).contains(&code) && ![1004, 1005, 1006].contains(&code);
        let is_private = (3000..5000).contains(&code);
        if !is_registered && !is_private {
            return Err(Violation::CloseCodeInvalid);
        }
        if text(&body[2..]) != Text::Whole {
            return Err(Violation::CloseReasonNotUtf8);
        }
        let reason = String::from_utf8(body[2..].to_vec()).unwrap();
        self.outcome.events.push(Seen::Closed(Some(code), reason));
        // §5.5.1: the answer typically echoes the status code.
        self.close(&body[..2]);
        Ok(())
    }

    /// Sends a Close, if it is the first.
    fn close(&mut self, body: &[u8]) {
        if !self.has_closed {
            self.has_closed = true;
            self.send(8, body);
        }
    }

    fn send(&mut self, opcode: u8, payload: &[u8]) {
        assert!(payload.len() <= 125);
        let sent = &mut self.outcome.sent;
        sent.push(0x80 + opcode);
        match self.settings.role {
            Role::Server => {
                sent.push(payload.len() as u8);
                sent.extend(payload);
            }
            Role::Client => {
                let key = self.keys.next_key();
                sent.push(0x80 + payload.len() as u8);
                sent.extend(key);
                sent.extend(payload.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]));
            }
        }
    }
}

/// The grammar of RFC 3629 §4, row by row.
fn text(bytes: &[u8]) -> Text {
    const TAIL: (u8, u8) = (0x80, 0xBF);
    const CHARACTERS: [&[(u8, u8)]; 9] = [
        &[(0x00, 0x7F)],
        &[(0xC2, 0xDF), TAIL],
        &[(0xE0, 0xE0), (0xA0, 0xBF), TAIL],
        &[(0xE1, 0xEC), TAIL, TAIL],
        &[(0xED, 0xED), (0x80, 0x9F), TAIL],
        &[(0xEE, 0xEF), TAIL, TAIL],
        &[(0xF0, 0xF0), (0x90, 0xBF), TAIL, TAIL],
        &[(0xF1, 0xF3), TAIL, TAIL, TAIL],
        &[(0xF4, 0xF4), (0x80, 0x8F), TAIL, TAIL],
    ];
    let mut rest = bytes;
    while !rest.is_empty() {
        let is_begun = |character: &&&[(u8, u8)]| {
            let pairs = character.iter().zip(rest);
            pairs.into_iter().all(|((low, high), byte)| (low..=high).contains(&byte))
        };
        match CHARACTERS.iter().find(is_begun) {
            None => return Text::Impossible,
            Some(character) if character.len() > rest.len() => return Text::WithinCharacter,
            Some(character) => rest = &rest[character.len()..],
        }
    }
    Text::Whole
}
