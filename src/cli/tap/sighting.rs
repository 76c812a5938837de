//! What was seen of one end's bytes: a frame, once it is whole, with its parts and its message.

use super::http::HostNames;
use super::item::{TapFrame, TapMessage, TapPart, TapWhat};
use crate::protocol::deflate::RSV1;
use crate::protocol::endpoint::annotate::Note;
use crate::protocol::frame_header::FrameHeader;
use crate::protocol::{Event, MaskKey, Opcode, Role, Violation};

/// A longer message is not read: its bytes pass, and are recorded.
pub(super) const MESSAGE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What is shown of bytes.
#[derive(Clone, Debug)]
pub(super) struct WatchSettings {
    pub(super) hides: bool,
    /// A text that is looked for.
    pub(super) grep: Option<String>,
    pub(super) host: Option<HostNames>,
}

/// Something that was seen, of one end.
#[derive(Debug)]
pub(super) struct TapSighting {
    pub(super) from: Role,
    pub(super) what: TapWhat,
    pub(super) parts: Vec<TapPart>,
    pub(super) has_match: bool,
}

/// Gathers what is said of a frame until it is whole.
#[derive(Debug)]
pub(super) struct FrameParts {
    from: Role,
    parts: Vec<TapPart>,
    message: Option<TapMessage>,
    has_match: bool,
    pub(super) inflates: bool,
    /// The message that has begun is compressed.
    is_compressed: bool,
    /// The key of the payload that follows.
    mask: Option<MaskKey>,
}

impl FrameParts {
    pub(super) fn new(from: Role) -> FrameParts {
        FrameParts {
            from,
            parts: Vec::new(),
            message: None,
            has_match: false,
            inflates: false,
            is_compressed: false,
            mask: None,
        }
    }

    pub(super) fn note(
        &mut self,
        note: &Note<'_>,
        settings: &WatchSettings,
        seen: &mut Vec<TapSighting>,
    ) {
        let grep = settings.grep.as_deref();
        match note {
            Note::Bytes { meaning, bytes, .. } => {
                self.has_match |= grep.is_some_and(|grep| meaning.contains(grep));
                self.parts.extend(TapPart::of(note, settings.hides, self.mask));
                if meaning == "masking key" {
                    self.mask = bytes.first_chunk().copied();
                }
            }
            Note::Event(event) => {
                let message = TapMessage::of(event, settings.hides);
                self.has_match |= grep.is_some_and(|grep| match event {
                    Event::Text(text) => text.contains(grep),
                    _ => message.text.contains(grep),
                });
                self.message = Some(message);
            }
            Note::Frame(header) => {
                let frame = self.frame(*header, settings.hides);
                seen.push(self.take(TapWhat::Frame(frame)));
            }
            Note::Violation(_) | Note::Unfinished(_) if settings.hides && self.inflates => {
                self.hide_payloads();
                self.tell_end(note, seen);
            }
            _ => self.tell_end(note, seen),
        }
    }

    /// What ends what can be read.
    fn tell_end(&mut self, note: &Note<'_>, seen: &mut Vec<TapSighting>) {
        match note {
            Note::Bytes { .. } | Note::Event(_) | Note::Frame(_) => {}
            Note::Violation(error) if error.violation == Violation::MessageTooLarge => {
                let text = format!(
                    "a message of more than {} MiB: this end's bytes pass, and are not read on",
                    MESSAGE_BYTES_MAX >> 20
                );
                seen.push(self.take(TapWhat::Remark(text)));
            }
            Note::Violation(error) => seen.push(self.take(TapWhat::Violation(*error))),
            Note::Unfinished(what) => {
                seen.push(self.take(TapWhat::Remark(format!("unfinished: {what}"))));
            }
            Note::Ignored { len, .. } => {
                let text = format!("{len} bytes behind the end of the WebSocket, not read");
                seen.push(self.take(TapWhat::Remark(text)));
            }
        }
    }

    fn hide_payloads(&mut self) {
        let payloads = self.parts.iter_mut().filter(|part| part.meaning.starts_with("payload"));
        payloads.for_each(TapPart::hide_bytes);
    }

    fn frame(&mut self, header: FrameHeader, hides: bool) -> TapFrame {
        let is_data = !header.opcode.is_control();
        if is_data && header.opcode != Opcode::Continuation {
            self.is_compressed = self.inflates && header.rsv & RSV1 != 0;
        }
        let message = self.message.take();
        // What is compressed cannot be looked at before it is whole.
        let may_have_secret = message
            .as_ref()
            .map_or(is_data && self.is_compressed, |message| message.may_have_secret);
        if hides && may_have_secret {
            self.hide_payloads();
        }
        TapFrame { header, is_compressed: is_data && self.is_compressed, message }
    }

    pub(super) fn take(&mut self, what: TapWhat) -> TapSighting {
        self.mask = None;
        TapSighting {
            from: self.from,
            what,
            parts: std::mem::take(&mut self.parts),
            has_match: std::mem::take(&mut self.has_match),
        }
    }
}
