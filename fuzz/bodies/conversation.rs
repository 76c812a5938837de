//! One end of a WebSocket that is given bytes in pieces, and all that comes of it.

use parlor::base::{Moment, Outbox};
use parlor::protocol::deflate::{Codecs, CodecsConfig, Deflate, Parameters};
use parlor::protocol::{
    CloseCode, Endpoint, EndpointLimits, Event, MaskKey, MaskKeys, ProtocolError, Received, Role,
};
use std::sync::{Arc, LazyLock};

/// What an end is like before the first byte comes.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) role: Role,
    /// What was agreed of permessage-deflate, if it was.
    pub(crate) deflate: Option<Parameters>,
    /// Whether this end has sent a Close before anything came.
    pub(crate) has_closed: bool,
    pub(crate) limits: EndpointLimits,
}

/// An event that owns what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Closed(Option<u16>, String),
}

impl From<Event<'_>> for Seen {
    fn from(event: Event<'_>) -> Seen {
        match event {
            Event::Text(text) => Seen::Text(text.to_owned()),
            Event::Binary(bytes) => Seen::Binary(bytes.to_owned()),
            Event::Ping(bytes) => Seen::Ping(bytes.to_owned()),
            Event::Pong(bytes) => Seen::Pong(bytes.to_owned()),
            Event::Closed { code, reason } => {
                Seen::Closed(code.map(|CloseCode(code)| code), reason.to_owned())
            }
        }
    }
}

/// All that comes of some bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) events: Vec<Seen>,
    pub(crate) error: Option<ProtocolError>,
    /// Every byte that this end sent.
    pub(crate) sent: Vec<u8>,
}

/// The masking keys of a client: each another than the last, and no two bytes of one the same, so
/// that a byte masked with a wrong one shows.
#[derive(Debug, Default)]
pub(crate) struct CountedKeys(u8);

impl MaskKeys for CountedKeys {
    fn next_key(&mut self) -> MaskKey {
        self.0 = self.0.wrapping_add(1);
        [self.0, self.0 ^ 0x55, self.0 ^ 0xAA, !self.0]
    }
}

/// For all endpoints, so that it would show if one left something behind for the next. Whatever can
/// be compressed is.
static CODECS: LazyLock<Arc<Codecs>> =
    LazyLock::new(|| Codecs::new(CodecsConfig { threshold_bytes: 0, ..CodecsConfig::default() }));

/// An endpoint with these settings; what it has sent already is in the outbox.
pub(crate) fn endpoint(settings: &Settings, out: &mut Outbox) -> Endpoint {
    let limits = Arc::new(settings.limits.clone());
    let mut endpoint = match settings.role {
        Role::Server => Endpoint::server(limits),
        Role::Client => Endpoint::client(limits, Box::new(CountedKeys::default())),
    };
    if let Some(agreed) = &settings.deflate {
        endpoint = endpoint.with_deflate(match settings.role {
            Role::Server => Deflate::server(agreed, &CODECS),
            Role::Client => Deflate::client(agreed, &CODECS),
        });
    }
    if settings.has_closed {
        endpoint.send.start_close(Some(CloseCode::NORMAL), "", Moment::NEVER, out);
    }
    endpoint
}

/// Gives the pieces to an endpoint, one after the other. What is sent leaves at once.
pub(crate) fn run<'p>(settings: &Settings, pieces: impl IntoIterator<Item = &'p [u8]>) -> Outcome {
    let mut out = Outbox::alone(1 << 20);
    let mut endpoint = endpoint(settings, &mut out);
    let mut outcome = Outcome::default();
    drain(&mut out, &mut outcome.sent);
    for piece in pieces {
        let mut bytes = piece.to_vec();
        let mut input = Received::new(&mut bytes);
        let mut is_done = false;
        loop {
            let next = endpoint.next_event(&mut input, &mut out).map(|e| e.map(Seen::from));
            assert!(!is_done || next == Ok(None), "{next:?} out of nothing");
            is_done = endpoint.receive.keeps_nothing() && input.used() == piece.len();
            drain(&mut out, &mut outcome.sent);
            match next {
                Ok(Some(event)) => outcome.events.push(event),
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(outcome.error, None, "an endpoint fails once");
                    outcome.error = Some(error);
                }
            }
        }
        assert_eq!(input.used(), piece.len(), "nothing is left when there is no event");
    }
    outcome
}

/// Takes all that waits.
pub(crate) fn drain(out: &mut Outbox, into: &mut Vec<u8>) {
    let before = into.len();
    for piece in out.pieces() {
        into.extend_from_slice(piece);
    }
    out.advance(into.len() - before);
}
