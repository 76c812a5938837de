//! The sending half: messages to frames (RFC 6455 §6.1), and the Close frame in its turn (§7.1.2).

use super::closing::Closing;
use super::{MaskKeys, Role};
use crate::base::outbox::NO_SOURCE;
use crate::base::{Class, Frame, Moment, Outbox};
use crate::protocol::close::{self, CloseCode};
use crate::protocol::frame_header::CONTROL_PAYLOAD_BYTES_MAX;
use crate::protocol::{FrameHeader, Opcode, mask};

/// Something to send, in one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
    /// A Ping with up to 125 bytes; more are cut (RFC 6455 §5.5).
    Ping(&'a [u8]),
}

/// The message was not queued: a Close has been sent (RFC 6455 §5.5.1), or the outbox had no room
/// for its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotSent;

/// The sending half of an endpoint.
#[derive(Debug)]
pub struct Send {
    keys: Option<Box<dyn MaskKeys>>,
    closing: Closing,
}

impl Send {
    pub(super) fn server() -> Send {
        Send { keys: None, closing: Closing::Open }
    }

    pub(super) fn client(keys: Box<dyn MaskKeys>) -> Send {
        Send { keys: Some(keys), closing: Closing::Open }
    }

    /// Which end this is.
    #[must_use]
    pub fn role(&self) -> Role {
        if self.keys.is_some() { Role::Client } else { Role::Server }
    }

    /// How far the closing handshake is.
    #[must_use]
    pub fn closing(&self) -> Closing {
        self.closing
    }

    /// Queues `message` as one frame.
    ///
    /// # Errors
    /// [`NotSent`] after a Close, and when `out` has no room for `class`.
    pub fn message(
        &mut self,
        message: Message<'_>,
        class: Class,
        out: &mut Outbox,
    ) -> Result<(), NotSent> {
        if !self.closing.may_send_data() {
            return Err(NotSent);
        }
        let (opcode, payload) = match message {
            Message::Text(text) => (Opcode::Text, text.as_bytes()),
            Message::Binary(bytes) => (Opcode::Binary, bytes),
            Message::Ping(bytes) => {
                let len = bytes.len().min(CONTROL_PAYLOAD_BYTES_MAX as usize);
                (Opcode::Ping, &bytes[..len])
            }
        };
        let frame = self.frame(opcode, payload);
        out.push(frame, class, NO_SOURCE).map_err(|_| NotSent)
    }

    /// Begins the closing handshake (RFC 6455 §7.1.2): queues a Close frame and waits for the
    /// other's until `deadline`. Does nothing if a Close was sent before. A `code` that must not
    /// stand in a frame is a fault of the caller; it is sent as none. A reason of more than 123
    /// bytes is cut.
    pub fn start_close(
        &mut self,
        code: Option<CloseCode>,
        reason: &str,
        deadline: Moment,
        out: &mut Outbox,
    ) {
        debug_assert!(code.is_none_or(CloseCode::may_be_sent));
        if self.closing == Closing::Open {
            self.close_frame(code.filter(|code| code.may_be_sent()), reason, out);
            self.closing = Closing::CloseSent { deadline };
        }
    }

    /// The other end's Close came: answers it if it is the first (RFC 6455 §5.5.1: with the code
    /// that it had), and is done either way.
    pub(super) fn answer_close(&mut self, code: Option<CloseCode>, out: &mut Outbox) {
        if self.closing == Closing::Open {
            self.close_frame(code, "", out);
        }
        self.closing = Closing::Closed;
    }

    /// Fails the connection (RFC 6455 §7.1.7): a Close with the reason, and nothing after it.
    pub(super) fn fail(&mut self, code: CloseCode, reason: &str, out: &mut Outbox) {
        if self.closing == Closing::Open {
            self.close_frame(Some(code), reason, out);
        }
        self.closing = Closing::Closed;
    }

    /// RFC 6455 §5.5.2, §5.5.3: a Ping is answered by a Pong with the same payload, unless a
    /// Close was received before; of several only the newest needs an answer.
    pub(super) fn pong(&mut self, payload: &[u8], out: &mut Outbox) {
        if self.closing != Closing::Closed {
            let frame = self.frame(Opcode::Pong, payload);
            // Pongs are never refused: at most one waits.
            let _ = out.push(frame, Class::Pong, NO_SOURCE);
        }
    }

    pub(super) fn expire(&mut self, now: Moment) -> bool {
        let late = self.closing.deadline().is_some_and(|deadline| deadline <= now);
        if late {
            self.closing = Closing::Closed;
        }
        late
    }

    fn close_frame(&mut self, code: Option<CloseCode>, reason: &str, out: &mut Outbox) {
        let frame = self.frame(Opcode::Close, &close::body(code, reason));
        // Control frames are never refused.
        let _ = out.push(frame, Class::Control, NO_SOURCE);
    }

    fn frame(&mut self, opcode: Opcode, payload: &[u8]) -> Frame {
        // RFC 6455 §5.1, §5.3: a client masks each frame, with a fresh key.
        let key = self.keys.as_mut().map(|keys| keys.next_key());
        let header =
            FrameHeader { fin: true, rsv: 0, opcode, mask: key, payload_len: payload.len() as u64 };
        let mut bytes = encoded(header, payload);
        if let Some(key) = key {
            let payload_start = bytes.len() - payload.len();
            mask::apply(&mut bytes[payload_start..], key, 0);
        }
        Frame::Own(bytes.into())
    }
}

fn encoded(header: FrameHeader, payload: &[u8]) -> Vec<u8> {
    // Exactly as long as it will be: no byte is moved when it becomes a frame.
    let mut bytes = Vec::with_capacity(header.encoded_len() + payload.len());
    header.encode(&mut bytes);
    bytes.extend_from_slice(payload);
    bytes
}

fn server_text(text: &str) -> Vec<u8> {
    let payload_len = text.len() as u64;
    let header = FrameHeader { fin: true, rsv: 0, opcode: Opcode::Text, mask: None, payload_len };
    encoded(header, text.as_bytes())
}

/// A server's text message for one recipient.
#[must_use]
pub fn own_text(text: &str) -> Frame {
    Frame::Own(server_text(text).into())
}

/// A server's text message for any number of recipients: a server's frames are not masked, so that
/// they are the same for all.
#[must_use]
pub fn shared_text(text: &str) -> Frame {
    Frame::Shared(server_text(text).into())
}
