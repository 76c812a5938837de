//! One connection's TLS, what it holds, and sending. What the system does not accept waits in
//! `unsent`: at most one record of the writer's, and what rustls itself had to say. Of what has
//! arrived, part of a record waits in `arrived`. An idle connection has neither.

use super::acceptor::TlsShared;
use crate::base::Budget;
use crate::base::limits::TLS_ARRIVED_SHARE;
use crate::reactor::Transport;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{EncodeError, EncodeTlsData};
use std::io::{self, ErrorKind};
use std::rc::Rc;

/// The most plaintext in a record (RFC 8446 §5.1).
pub(super) const PLAINTEXT_BYTES_MAX: usize = 16 * 1024;

/// A server's side of a TLS connection.
pub(super) struct TlsConnection {
    pub(super) tls: UnbufferedServerConnection,
    pub(super) shared: Rc<TlsShared>,
    pub(super) budget: Rc<Budget>,
    /// Bytes of `unsent` that are counted in the budget of what waits.
    pub(super) counted_unsent: usize,
    /// Bytes of `arrived` that are counted in what all connections hold of that.
    pub(super) counted_arrived: usize,
    /// The beginning of a record, or of a handshake message in several of them.
    pub(super) arrived: Vec<u8>,
    /// Records that the system has not accepted.
    pub(super) unsent: Vec<u8>,
    /// The reader is told at its next read, the writer at once.
    pub(super) has_failed: bool,
    /// The peer sends nothing more.
    pub(super) is_read_closed: bool,
    pub(super) has_sent_close_notify: bool,
    pub(super) may_have_more: bool,
    /// Something has arrived.
    pub(super) has_begun: bool,
}

impl std::fmt::Debug for TlsConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (arrived, unsent) = (self.arrived.len(), self.unsent.len());
        let is_ready = self.is_ready();
        f.debug_struct("TlsConnection")
            .field("is_ready", &is_ready)
            .field("arrived", &arrived)
            .field("unsent", &unsent)
            .finish_non_exhaustive()
    }
}

impl TlsConnection {
    pub(super) fn new(
        tls: UnbufferedServerConnection,
        budget: Rc<Budget>,
        shared: Rc<TlsShared>,
    ) -> TlsConnection {
        TlsConnection {
            tls,
            shared,
            budget,
            counted_unsent: 0,
            counted_arrived: 0,
            arrived: Vec::new(),
            unsent: Vec::new(),
            has_failed: false,
            is_read_closed: false,
            has_sent_close_notify: false,
            may_have_more: false,
            has_begun: false,
        }
    }

    /// Whether the handshake is done.
    pub(super) fn is_ready(&self) -> bool {
        !self.tls.is_handshaking()
    }

    pub(super) fn may_have_more(&self) -> bool {
        self.may_have_more
    }

    pub(super) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    pub(super) fn fail(&mut self, why: impl std::fmt::Display) {
        log::debug!("TLS: {why}");
        self.arrived = Vec::new();
        self.has_failed = true;
    }

    /// Counts what this connection has not sent, as what waits for it.
    pub(super) fn count_unsent(&mut self) {
        let unsent = self.unsent.len();
        self.budget.count_in(unsent);
        self.budget.count_out(self.counted_unsent);
        self.counted_unsent = unsent;
        if unsent > 0 && self.budget.is_over() && !self.has_failed {
            self.fail("too much waits for all connections together");
        }
    }

    /// Counts what has arrived in part. It has a pool of its own: what strangers begin to send takes
    /// no room from what waits for others.
    pub(super) fn count_arrived(&mut self) {
        let arrived = self.arrived.len();
        let all = &self.shared.arrived;
        all.set(all.get() - self.counted_arrived + arrived);
        self.counted_arrived = arrived;
        let is_over = all.get() > self.budget.limit() / TLS_ARRIVED_SHARE;
        if arrived > 0 && is_over && !self.has_failed {
            self.fail("all connections together have begun too much");
            self.count_arrived();
        }
    }

    /// Sends what waits.
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlock`] if the system does not accept all of it.
    pub(super) fn flush(&mut self, socket: &mut impl Transport) -> io::Result<()> {
        self.send_unsent(socket)?;
        if self.has_unsent() { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
    }

    pub(super) fn send_unsent(&mut self, socket: &mut impl Transport) -> io::Result<()> {
        if self.has_unsent() {
            let mut unsent = std::mem::take(&mut self.unsent);
            self.send(socket, &mut unsent)?;
        }
        Ok(())
    }

    /// Sends records, after those that wait. Keeps what the system does not accept.
    pub(super) fn send(
        &mut self,
        socket: &mut impl Transport,
        records: &mut Vec<u8>,
    ) -> io::Result<()> {
        let mut sent = 0;
        while self.unsent.is_empty() && sent < records.len() {
            match socket.write(&records[sent..]) {
                Ok(len) => {
                    sent += len;
                    // After less than all the next call would be in vain.
                    if sent < records.len() {
                        self.unsent.extend_from_slice(&records[sent..]);
                        sent = records.len();
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => {
                    records.clear();
                    return Err(error);
                }
            }
        }
        self.unsent.extend_from_slice(&records[sent..]);
        records.clear();
        self.count_unsent();
        Ok(())
    }
}

impl Drop for TlsConnection {
    fn drop(&mut self) {
        // A check whether the port is open sends nothing.
        if self.has_begun && !self.is_ready() {
            self.shared.handshakes.update(|mut handshakes| {
                handshakes.failed += 1;
                handshakes
            });
        }
        self.budget.count_out(self.counted_unsent);
        self.shared.arrived.update(|all| all - self.counted_arrived);
    }
}

/// Writes a record that rustls has made to `outgoing`.
pub(super) fn encode(data: &mut EncodeTlsData<'_, ServerConnectionData>, outgoing: &mut Vec<u8>) {
    // An attempt without room says how much it takes, and changes nothing.
    if let Err(EncodeError::InsufficientSize(size)) = data.encode(&mut []) {
        let end = outgoing.len();
        outgoing.resize(end + size.required_size, 0);
        if data.encode(&mut outgoing[end..]).is_err() {
            outgoing.truncate(end);
        }
    }
}
