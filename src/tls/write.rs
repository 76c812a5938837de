//! Bytes written become records, which go to the socket at once.

use super::connection::{PLAINTEXT_BYTES_MAX, TlsConnection, encode};
use crate::reactor::Transport;
use rustls::server::ServerConnectionData;
use rustls::unbuffered::{ConnectionState, EncryptError, UnbufferedStatus, WriteTraffic};
use std::io::{self, ErrorKind, IoSlice};
use std::rc::Rc;

/// What a record has beside its plaintext, and a message of rustls' own that goes before it, at
/// most. If it is more, rustls says so.
const SEALED_EXTRA_BYTES: usize = 256;

impl TlsConnection {
    /// Encrypts bytes and sends them, a record at a time. Returns how many were taken.
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlock`] during the handshake, and while records wait that the system has
    /// not accepted.
    pub(super) fn write(&mut self, socket: &mut impl Transport, bytes: &[u8]) -> io::Result<usize> {
        self.begin_writing(socket)?;
        let mut taken = 0;
        for chunk in bytes.chunks(PLAINTEXT_BYTES_MAX) {
            if self.has_unsent() {
                break;
            }
            self.write_record(socket, chunk)?;
            taken += chunk.len();
        }
        Ok(taken)
    }

    /// Like [`TlsConnection::write`], with as many pieces in a record as it has room for.
    pub(super) fn write_pieces(
        &mut self,
        socket: &mut impl Transport,
        pieces: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        self.begin_writing(socket)?;
        let mut plain = Vec::with_capacity(PLAINTEXT_BYTES_MAX);
        let mut taken = 0;
        for piece in pieces {
            let mut piece: &[u8] = piece;
            while !piece.is_empty() {
                let room = PLAINTEXT_BYTES_MAX - plain.len();
                let (now, later) = piece.split_at(room.min(piece.len()));
                plain.extend_from_slice(now);
                piece = later;
                if plain.len() == PLAINTEXT_BYTES_MAX {
                    self.write_record(socket, &plain)?;
                    taken += plain.len();
                    plain.clear();
                    if self.has_unsent() {
                        return Ok(taken);
                    }
                }
            }
        }
        if !plain.is_empty() {
            self.write_record(socket, &plain)?;
            taken += plain.len();
        }
        Ok(taken)
    }

    fn begin_writing(&mut self, socket: &mut impl Transport) -> io::Result<()> {
        if self.has_failed {
            return Err(ErrorKind::BrokenPipe.into());
        }
        if !self.is_ready() {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.flush(socket)
    }

    fn write_record(&mut self, socket: &mut impl Transport, plain: &[u8]) -> io::Result<()> {
        let shared = Rc::clone(&self.shared);
        let mut outgoing = shared.outgoing.borrow_mut();
        self.seal(&mut outgoing, Sealed::Data(plain))?;
        self.send(socket, &mut outgoing)
    }

    /// Tells the peer that nothing follows (RFC 8446 §6.1), once.
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlock`] if the system does not accept it now.
    pub(super) fn close_notify(&mut self, socket: &mut impl Transport) -> io::Result<()> {
        if self.is_ready() && !self.has_failed && !self.has_sent_close_notify {
            self.has_sent_close_notify = true;
            let shared = Rc::clone(&self.shared);
            let mut outgoing = shared.outgoing.borrow_mut();
            self.seal(&mut outgoing, Sealed::CloseNotify)?;
            self.send(socket, &mut outgoing)?;
        }
        self.flush(socket)
    }

    /// Appends a record to `outgoing`, after what rustls has to send itself.
    fn seal(&mut self, outgoing: &mut Vec<u8>, sealed: Sealed<'_>) -> io::Result<()> {
        // It goes on from the records that wait, and uses up none.
        let mut arrived = std::mem::take(&mut self.arrived);
        let done = loop {
            let UnbufferedStatus { discard, state, .. } =
                self.tls.process_tls_records(&mut arrived);
            debug_assert_eq!(discard, 0);
            match state {
                Ok(ConnectionState::EncodeTlsData(mut data)) => encode(&mut data, outgoing),
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.is_read_closed = true,
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    break sealed.write(&mut traffic, outgoing).map_err(io::Error::other);
                }
                Ok(state) => break Err(io::Error::other(format!("cannot send: {state:?}"))),
                Err(error) => break Err(io::Error::other(error)),
            }
        };
        self.arrived = arrived;
        if done.is_err() {
            // All connections share it.
            outgoing.clear();
        }
        done
    }
}

/// What a record is made of.
enum Sealed<'a> {
    /// At most [`PLAINTEXT_BYTES_MAX`].
    Data(&'a [u8]),
    CloseNotify,
}

impl Sealed<'_> {
    fn write(
        &self,
        traffic: &mut WriteTraffic<'_, ServerConnectionData>,
        outgoing: &mut Vec<u8>,
    ) -> Result<(), EncryptError> {
        let end = outgoing.len();
        let mut size = SEALED_EXTRA_BYTES;
        if let Sealed::Data(plain) = self {
            size += plain.len();
        }
        loop {
            outgoing.resize(end + size, 0);
            let room = &mut outgoing[end..];
            let written = match self {
                Sealed::Data(plain) => traffic.encrypt(plain, room),
                Sealed::CloseNotify => traffic.queue_close_notify(room),
            };
            match written {
                Err(EncryptError::InsufficientSize(needed)) if needed.required_size > size => {
                    size = needed.required_size;
                }
                written => {
                    outgoing.truncate(end + written.as_ref().copied().unwrap_or(0));
                    return written.map(drop);
                }
            }
        }
    }
}
