//! The sending half: messages to frames (RFC 6455 §6.1, RFC 7692 §6.1), and the Close frame (RFC
//! 6455 §7.1.2).

use super::closing::Closing;
use super::{MaskKeys, Role};
use crate::base::{Class, Frame, Moment, Outbox};
use crate::protocol::close::{self, CloseCode};
use crate::protocol::deflate::RSV1;
use crate::protocol::deflate::compress::{Compressor, Forms, compress_for_many};
use crate::protocol::frame_header::{CONTROL_PAYLOAD_BYTES_MAX, ShortHeader};
use crate::protocol::{FrameHeader, MaskKey, Opcode, mask};

/// A message to send in one frame.
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
    closing: Closing,
    /// None for a server's endpoint without compression, so that most connections pay only for a
    /// pointer.
    extra: Option<Box<Extra>>,
}

/// State of a client's endpoint, or of one that compresses.
#[derive(Debug, Default)]
struct Extra {
    keys: Option<Box<dyn MaskKeys>>,
    compressor: Option<Compressor>,
}

impl Send {
    pub(super) fn server() -> Send {
        Send { closing: Closing::Open, extra: None }
    }

    pub(super) fn client(keys: Box<dyn MaskKeys>) -> Send {
        let extra = Extra { keys: Some(keys), compressor: None };
        Send { closing: Closing::Open, extra: Some(Box::new(extra)) }
    }

    pub(super) fn compress_with(&mut self, compressor: Compressor) {
        self.extra.get_or_insert_default().compressor = Some(compressor);
    }

    /// The role of this endpoint.
    #[must_use]
    pub fn role(&self) -> Role {
        let has_keys = self.extra.as_ref().is_some_and(|extra| extra.keys.is_some());
        if has_keys { Role::Client } else { Role::Server }
    }

    /// The state of the closing handshake.
    #[must_use]
    pub fn closing(&self) -> Closing {
        self.closing
    }

    /// Queues `message` as one frame. It is never refused for lack of room.
    ///
    /// # Errors
    /// [`NotSent`] after a Close.
    pub fn message(&mut self, message: Message<'_>, out: &mut Outbox) -> Result<(), NotSent> {
        if !self.closing.may_send_data() {
            return Err(NotSent);
        }
        let (opcode, payload) = message.parts();
        match message {
            Message::Ping(_) => self.push(opcode, payload, Class::Control, out),
            Message::Text(_) | Message::Binary(_) => match ShortHeader::encode(opcode, payload) {
                // A short message of a server without compression, in fewer steps than below.
                Some(header) if self.extra.is_none() => {
                    out.push_own(header.len() + payload.len(), Class::Reply, |bytes| {
                        bytes.extend_from_slice(&header);
                        bytes.extend_from_slice(payload);
                    });
                }
                _ => self.push_data(opcode, payload, out),
            },
        }
        Ok(())
    }

    /// Queues a message that other connections get too, or that may be refused or taken back
    /// ([`Outbox::push`]).
    ///
    /// # Errors
    /// [`NotSent`] after a Close, and if `out` has no room for `class`.
    pub fn broadcast(
        &mut self,
        broadcast: &mut Broadcast<'_>,
        class: Class,
        source: u32,
        out: &mut Outbox,
    ) -> Result<(), NotSent> {
        if !self.closing.may_send_data() {
            return Err(NotSent);
        }
        let frame = match self.extra.as_deref_mut() {
            None => broadcast.plain(),
            Some(Extra { keys: None, compressor: None }) => broadcast.plain(),
            Some(Extra { keys: None, compressor: Some(compressor) }) => {
                let (frame, is_compressed) = broadcast.compressed(compressor);
                if is_compressed {
                    compressor.forget_window();
                }
                frame
            }
            // RFC 6455 §5.3: a client masks each frame with a fresh key, so it shares none.
            Some(Extra { keys: Some(_), compressor: _ }) => {
                Frame::Own(broadcast.bytes(|| self.next_key()).into())
            }
        };
        out.push(frame, class, source).map_err(|_| NotSent)
    }

    /// Begins the closing handshake (RFC 6455 §7.1.2): queues a Close frame and waits for the
    /// peer's until `deadline`. Does nothing if a Close was already sent. A `code` that a frame
    /// must not carry is the caller's fault and is sent as none. A reason of more than 123 bytes is
    /// cut.
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

    /// Handles the peer's Close: answers it with the same code if no Close was sent yet
    /// (RFC 6455 §5.5.1). The handshake is then over.
    pub(super) fn answer_close(&mut self, code: Option<CloseCode>, out: &mut Outbox) {
        if self.closing == Closing::Open {
            self.close_frame(code, "", out);
        }
        self.closing = Closing::Closed;
    }

    /// Fails the connection (RFC 6455 §7.1.7): queues a Close with the reason, and nothing after
    /// it.
    pub(super) fn fail(&mut self, code: CloseCode, reason: &str, out: &mut Outbox) {
        if self.closing == Closing::Open {
            self.close_frame(Some(code), reason, out);
        }
        self.closing = Closing::Closed;
    }

    /// RFC 6455 §5.5.2, §5.5.3: a Ping is answered by a Pong with the same payload, unless a Close
    /// was received before; of several Pings only the newest needs an answer.
    pub(super) fn pong(&mut self, payload: &[u8], out: &mut Outbox) {
        if self.closing != Closing::Closed {
            self.push(Opcode::Pong, payload, Class::Pong, out);
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
        self.push(Opcode::Close, &close::body(code, reason), Class::Control, out);
    }

    /// Queues a message as one frame, compressed if that was negotiated and makes it smaller.
    fn push_data(&mut self, opcode: Opcode, payload: &[u8], out: &mut Outbox) {
        if let Some(Extra { keys, compressor: Some(compressor) }) = self.extra.as_deref_mut() {
            let key = keys.as_mut().map(|keys| keys.next_key());
            let pushed = compressor.compress(payload, |body| {
                OwnFrame::new(opcode, RSV1, key, body).push(Class::Reply, out);
            });
            if pushed.is_none() {
                OwnFrame::new(opcode, 0, key, payload).push(Class::Reply, out);
            }
            return;
        }
        self.push(opcode, payload, Class::Reply, out);
    }

    #[inline]
    fn push(&mut self, opcode: Opcode, payload: &[u8], class: Class, out: &mut Outbox) {
        OwnFrame::new(opcode, 0, self.next_key(), payload).push(class, out);
    }

    /// RFC 6455 §5.1, §5.3: a client masks each frame with a fresh key.
    #[inline]
    fn next_key(&mut self) -> Option<MaskKey> {
        let keys = self.extra.as_deref_mut()?.keys.as_mut()?;
        Some(keys.next_key())
    }
}

/// A frame for a single connection, not yet encoded.
struct OwnFrame<'p> {
    header: FrameHeader,
    payload: &'p [u8],
}

impl<'p> OwnFrame<'p> {
    #[inline]
    fn new(opcode: Opcode, rsv: u8, mask: Option<MaskKey>, payload: &'p [u8]) -> OwnFrame<'p> {
        let payload_len = payload.len() as u64;
        OwnFrame { header: FrameHeader { fin: true, rsv, opcode, mask, payload_len }, payload }
    }

    #[inline]
    fn len(&self) -> usize {
        self.header.encoded_len() + self.payload.len()
    }

    #[inline]
    fn push(self, class: Class, out: &mut Outbox) {
        out.push_own(self.len(), class, |bytes| self.write(bytes));
    }

    #[inline]
    fn write(&self, bytes: &mut Vec<u8>) {
        self.header.encode(bytes);
        let start = bytes.len();
        bytes.extend_from_slice(self.payload);
        if let Some(key) = self.header.mask {
            mask::apply(&mut bytes[start..], key, 0);
        }
    }
}

/// One message, or several that belong together, for any number of a server's connections. A
/// server's frames are not masked (RFC 6455 §5.1), so all connections get the same bytes: encoded
/// once, and compressed once for each negotiated window size.
#[derive(Debug)]
pub struct Broadcast<'m> {
    message: Message<'m>,
    more: &'m [Message<'m>],
    plain: Option<Frame>,
    /// For each window size: not tried yet, not worth it, or a frame.
    compressed: Forms<Option<Frame>>,
}

impl<'m> Broadcast<'m> {
    /// Nothing is encoded until a connection needs it.
    #[must_use]
    pub fn new(message: Message<'m>) -> Broadcast<'m> {
        Broadcast::several(message, &[])
    }

    /// Several messages that are queued or refused together.
    #[must_use]
    pub fn several(message: Message<'m>, more: &'m [Message<'m>]) -> Broadcast<'m> {
        Broadcast { message, more, plain: None, compressed: Forms::default() }
    }

    /// How many messages it contains.
    #[must_use]
    pub const fn messages_count(&self) -> usize {
        1 + self.more.len()
    }

    fn messages(&self) -> impl Iterator<Item = (Opcode, &'m [u8])> {
        std::iter::once(self.message).chain(self.more.iter().copied()).map(Message::parts)
    }

    /// The frames of all messages, uncompressed.
    fn bytes(&self, mut next_key: impl FnMut() -> Option<MaskKey>) -> Vec<u8> {
        let frames =
            self.messages().map(|(opcode, payload)| OwnFrame::new(opcode, 0, None, payload));
        // With room for masking keys, if there are any.
        let len = frames.map(|own| own.len() + size_of::<MaskKey>()).sum();
        let mut bytes = Vec::with_capacity(len);
        for (opcode, payload) in self.messages() {
            OwnFrame::new(opcode, 0, next_key(), payload).write(&mut bytes);
        }
        bytes
    }

    fn plain(&mut self) -> Frame {
        let make = || Frame::shared(self.bytes(|| None));
        match &self.plain {
            Some(frame) => frame.clone(),
            None => self.plain.insert(make()).clone(),
        }
    }

    /// The form for one connection, and whether it is compressed.
    fn compressed(&mut self, compressor: &Compressor) -> (Frame, bool) {
        let Some(form) = compressor.form() else { return (self.plain(), false) };
        if self.compressed[form].is_none() {
            self.compressed[form] = Some(self.compress(compressor, form));
        }
        match &self.compressed[form] {
            Some(Some(frame)) => (frame.clone(), true),
            // Compression is not worth it.
            Some(None) | None => (self.plain(), false),
        }
    }

    /// The frames of all messages, compressed where it is worth it; `None` if it never is.
    fn compress(&self, compressor: &Compressor, form: usize) -> Option<Frame> {
        let (mut bytes, mut is_worth_it) = (Vec::new(), false);
        for (opcode, payload) in self.messages() {
            let mut write =
                |rsv, body: &[u8]| OwnFrame::new(opcode, rsv, None, body).write(&mut bytes);
            let codecs = compressor.codecs();
            let done = match opcode.is_control() {
                true => None,
                false => compress_for_many(codecs, form, payload, |body| write(RSV1, body)),
            };
            match done {
                Some(()) => is_worth_it = true,
                None => write(0, payload),
            }
        }
        is_worth_it.then(|| Frame::shared(bytes))
    }
}

impl<'m> Message<'m> {
    fn parts(self) -> (Opcode, &'m [u8]) {
        match self {
            Message::Text(text) => (Opcode::Text, text.as_bytes()),
            Message::Binary(bytes) => (Opcode::Binary, bytes),
            Message::Ping(bytes) => {
                let len = bytes.len().min(CONTROL_PAYLOAD_BYTES_MAX as usize);
                (Opcode::Ping, &bytes[..len])
            }
        }
    }
}
