//! A connection to what is checked: sends whatever is to be tried, and judges each frame that comes.

use super::raw_frame::{PONG, RawFrame};
use crate::base::Outbox;
use crate::client::{ByteStream, ConnectError};
use crate::protocol::deflate::{Codecs, CodecsConfig, Deflate, Parameters};
use crate::protocol::{
    Endpoint, EndpointLimits, Event, FrameHeader, MaskKey, MaskKeys, ProtocolError, Received, Role,
};
use crate::reactor::Clock;
use std::sync::Arc;
use std::time::Duration;

/// So many of the bytes that were sent are shown with a finding.
const SHOWN_BYTES: usize = 48;
/// So many of those that came are looked at for their masking keys.
const RECEIVED_BYTES: usize = 4 * 1024;
/// Most that is taken of a message.
const MESSAGE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Came {
    Text(String),
    Bytes(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
    /// So many bytes behind its Close.
    AfterClose(usize),
    /// The end of the connection, in order or not.
    End,
    /// It breaks the protocol.
    Violation(ProtocolError),
    /// Nothing in time.
    Nothing,
}

/// A connection on which the opening handshake is over.
pub(super) struct Peer {
    stream: ByteStream,
    endpoint: Endpoint,
    /// What this end plays.
    role: Role,
    unread: Vec<u8>,
    is_closed: bool,
    /// The beginning of what was sent.
    pub(super) sent: Vec<u8>,
    /// The beginning of what came.
    received: Vec<u8>,
    /// Since when it is waited, and how long: whatever comes meanwhile.
    waits: Clock,
    waits_most: Duration,
    pub(super) timeout: Duration,
}

impl Peer {
    /// A connection on which this end plays a role; `early` came behind the handshake.
    pub(super) fn new(
        stream: ByteStream,
        role: Role,
        early: Vec<u8>,
        agreed: Option<&Parameters>,
        timeout: Duration,
    ) -> Peer {
        let limits = Arc::new(EndpointLimits {
            frame_bytes: MESSAGE_BYTES_MAX,
            message_bytes: MESSAGE_BYTES_MAX,
            ..EndpointLimits::default()
        });
        let codecs = Codecs::new(CodecsConfig::default());
        let (mut endpoint, deflate): (_, fn(&_, &_) -> Deflate) = match role {
            Role::Server => (Endpoint::server(limits), Deflate::server),
            Role::Client => (Endpoint::client(limits, Box::new(SampleKey)), Deflate::client),
        };
        if let Some(agreed) = agreed {
            endpoint = endpoint.with_deflate(deflate(agreed, &codecs));
        }
        let (is_closed, sent, received) = (false, Vec::new(), early.clone());
        let (waits, waits_most) = (Clock::start(), timeout);
        let unread = early;
        Peer {
            stream,
            endpoint,
            role,
            unread,
            is_closed,
            sent,
            received,
            waits,
            waits_most,
            timeout,
        }
    }

    pub(super) fn role(&self) -> Role {
        self.role
    }

    /// Sends bytes as they are. If the connection has ended, what comes next says so.
    pub(super) fn send_bytes(&mut self, bytes: &[u8]) {
        let shown = bytes.len().min(SHOWN_BYTES.saturating_sub(self.sent.len()));
        self.sent.extend_from_slice(bytes.get(..shown).unwrap_or_default());
        let _ = self.stream.write(bytes, self.timeout);
    }

    pub(super) fn send(&mut self, frame: &RawFrame) {
        self.send_bytes(&frame.to_bytes(self.role));
    }

    /// Sends something that is no part of what is tried.
    pub(super) fn send_aside(&mut self, frame: &RawFrame) {
        let _ = self.stream.write(&frame.to_bytes(self.role), self.timeout);
    }

    /// Ends its half of the TCP connection.
    pub(super) fn end_writing(&mut self) {
        self.stream.end_writing();
    }

    /// Waits so long from now on, for all that comes together: a server that never falls silent ends no wait.
    pub(super) fn wait(&mut self, most: Duration) {
        (self.waits, self.waits_most) = (Clock::start(), most);
    }

    /// What comes next, while it is waited; pings are answered.
    pub(super) fn next(&mut self) -> Came {
        loop {
            if self.is_closed && !self.unread.is_empty() {
                return Came::AfterClose(std::mem::take(&mut self.unread).len());
            }
            if let Some(came) = self.judge() {
                if let Came::Ping(payload) = &came {
                    self.send_aside(&RawFrame::new(PONG, payload.clone()));
                }
                self.is_closed |= matches!(came, Came::Close(..));
                return came;
            }
            let left = self.waits_most.saturating_sub(self.waits.elapsed());
            let before = self.unread.len();
            let read = self.stream.read(&mut self.unread, left);
            if self.received.len() < RECEIVED_BYTES {
                self.received.extend_from_slice(self.unread.get(before..).unwrap_or_default());
            }
            match read {
                Ok(0) => return Came::End,
                Ok(_) => {}
                Err(ConnectError::Timeout) => return Came::Nothing,
                Err(_) => return Came::End,
            }
        }
    }

    /// The masking keys of the first frames that came.
    pub(super) fn masks(&self) -> Vec<MaskKey> {
        let (mut rest, mut masks) = (&self.received[..], Vec::new());
        while let Ok(Some((header, len))) = FrameHeader::decode(rest) {
            masks.extend(header.mask);
            let len = usize::try_from(header.payload_len)
                .map_or(usize::MAX, |rest| rest.saturating_add(len));
            rest = rest.get(len..).unwrap_or_default();
        }
        masks
    }

    /// The next event of what was read.
    fn judge(&mut self) -> Option<Came> {
        // What the endpoint would answer is not sent: this end says what it says.
        let mut unsent = Outbox::alone(u32::MAX);
        let mut input = Received::new(&mut self.unread);
        let came = match self.endpoint.next_event(&mut input, &mut unsent) {
            Ok(None) => None,
            Ok(Some(Event::Text(text))) => Some(Came::Text(text.to_owned())),
            Ok(Some(Event::Binary(bytes))) => Some(Came::Bytes(bytes.to_vec())),
            Ok(Some(Event::Ping(bytes))) => Some(Came::Ping(bytes.to_vec())),
            Ok(Some(Event::Pong(bytes))) => Some(Came::Pong(bytes.to_vec())),
            Ok(Some(Event::Closed { code, reason })) => {
                Some(Came::Close(code.map(|code| code.0), reason.to_owned()))
            }
            Err(error) => Some(Came::Violation(error)),
        };
        let used = input.used();
        self.unread.drain(..used);
        came
    }
}

/// The endpoint sends nothing.
#[derive(Debug)]
struct SampleKey;

impl MaskKeys for SampleKey {
    fn next_key(&mut self) -> MaskKey {
        [0; 4]
    }
}
