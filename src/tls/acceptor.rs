//! Makes a TLS connection of each accepted socket, and what those connections share.

use super::connection::TlsConnection;
use super::stream::TlsStream;
use crate::base::counters::Handshakes;
use crate::base::limits::TLS_HANDSHAKES_PER_TURN;
use crate::base::{Budget, ListenerId};
use crate::reactor::{Acceptor, Transport};
use rustls::ServerConfig;
use rustls::server::UnbufferedServerConnection;
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;

/// Accepts connections with TLS, or plain ones, as each listener has it.
#[derive(Debug)]
pub struct TlsAcceptor {
    configs: Vec<Option<Arc<ServerConfig>>>,
    shared: Rc<TlsShared>,
}

/// What all connections of a reactor share.
#[derive(Debug)]
pub(super) struct TlsShared {
    /// Encrypted bytes on their way to a socket. Empty between calls.
    pub(super) outgoing: RefCell<Vec<u8>>,
    /// How many more handshakes may be continued in this turn: each costs a signature.
    pub(super) handshakes_left: Cell<usize>,
    pub(super) handshakes: Cell<Handshakes>,
    /// Bytes that have arrived in part, on all connections.
    pub(super) arrived: Cell<usize>,
}

impl TlsAcceptor {
    /// An acceptor for these listeners, in the order of their ids. Without a configuration, a
    /// listener's connections are plain.
    #[must_use]
    pub fn new(configs: Vec<Option<Arc<ServerConfig>>>) -> TlsAcceptor {
        let shared = TlsShared {
            outgoing: RefCell::new(Vec::new()),
            handshakes_left: Cell::new(TLS_HANDSHAKES_PER_TURN),
            handshakes: Cell::default(),
            arrived: Cell::new(0),
        };
        TlsAcceptor { configs, shared: Rc::new(shared) }
    }
}

impl Acceptor for TlsAcceptor {
    type Stream<T: Transport> = TlsStream<T>;

    fn accept<T: Transport>(
        &mut self,
        socket: T,
        listener: ListenerId,
        budget: &Rc<Budget>,
    ) -> io::Result<TlsStream<T>> {
        let Some(Some(config)) = self.configs.get(listener.index()) else {
            return Ok(TlsStream::plain(socket));
        };
        let tls = UnbufferedServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
        let tls = TlsConnection::new(tls, Rc::clone(budget), Rc::clone(&self.shared));
        Ok(TlsStream::encrypted(socket, tls))
    }

    fn dialled<T: Transport>(&mut self, socket: T) -> TlsStream<T> {
        TlsStream::plain(socket)
    }

    fn socket<T: Transport>(stream: &mut TlsStream<T>) -> &mut T {
        stream.socket()
    }

    fn turn_begins(&mut self) -> Handshakes {
        self.shared.handshakes_left.set(TLS_HANDSHAKES_PER_TURN);
        self.shared.handshakes.get()
    }
}
