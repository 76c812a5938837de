//! What a WebSocket sends: messages, its Close, and what TLS makes of them.

use super::records::encrypt;
use super::socket::{CLOSE_MS, Socket, SocketStage};
use crate::base::outbox::NO_SOURCE;
use crate::base::{Class, Frame, Outbox};
use crate::protocol::{CloseCode, Endpoint, Message};
use crate::reactor::Io;
use rustls::ClientConnection;

impl Socket {
    /// Sends a message; whether the WebSocket is open.
    pub(crate) fn send(&mut self, io: &mut Io, message: Message<'_>) -> bool {
        self.with_endpoint(io, |endpoint, out| endpoint.send.message(message, out).is_ok())
    }

    /// How many bytes wait to be sent.
    pub(crate) fn waiting_bytes(&self, io: &Io) -> usize {
        self.conn.map_or(0, |conn| io.outbox_bytes(conn))
    }

    /// Begins the closing handshake: the server's Close, or the end, is an event.
    pub(crate) fn close(&mut self, io: &mut Io, code: u16, reason: &str) -> bool {
        let deadline = io.now().plus_millis(CLOSE_MS);
        let code = Some(CloseCode(code)).filter(|code| code.may_be_sent());
        self.with_endpoint(io, |endpoint, out| {
            endpoint.send.start_close(code, reason, deadline, out);
            true
        })
    }

    fn with_endpoint(
        &mut self,
        io: &mut Io,
        act: impl FnOnce(&mut Endpoint, &mut Outbox) -> bool,
    ) -> bool {
        let (SocketStage::Open(endpoint), Some(conn)) = (&mut self.stage, self.conn) else {
            return false;
        };
        if self.tls.is_some() {
            let (mut own, mut records) = (Outbox::alone(u32::MAX), Vec::new());
            let is_done = act(endpoint, &mut own);
            seal(self.tls.as_deref_mut(), &mut own, &mut records);
            self.push(io, records);
            return is_done;
        }
        io.outbox(conn).is_some_and(|out| act(endpoint, out))
    }

    pub(super) fn push(&mut self, io: &mut Io, bytes: Vec<u8>) {
        if let Some(conn) = self.conn.filter(|_| !bytes.is_empty()) {
            // What is of this class is taken as long as the connection is open.
            let _ = io.push(conn, Frame::Own(bytes.into()), Class::Reply, NO_SOURCE);
        }
    }
}

/// Takes frames for the connection, within TLS as records.
pub(super) fn seal(
    mut tls: Option<&mut ClientConnection>,
    frames: &mut Outbox,
    bytes: &mut Vec<u8>,
) {
    for piece in frames.pieces() {
        match &mut tls {
            None => bytes.extend_from_slice(piece),
            // It fails for want of memory only: then the connection does, too.
            Some(tls) => {
                if encrypt(tls, piece, bytes).is_err() {
                    break;
                }
            }
        }
    }
    frames.clear();
}
