//! Records that arrive become bytes for the reader. rustls reads records from a buffer and says how
//! much of it is used up; what is left, part of a record, waits in `arrived`.

use super::connection::{PLAINTEXT_BYTES_MAX, TlsConnection, encode};
use crate::base::limits::{TLS_ARRIVED_BYTES_MAX, TLS_READS_PER_TURN};
use crate::protocol::ProxyHeader;
use crate::reactor::Transport;
use rustls::HandshakeKind;
use rustls::unbuffered::{ConnectionState, UnbufferedStatus};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::rc::Rc;

/// Before the records in a read buffer: room for the plaintext of the first.
const GAP: usize = PLAINTEXT_BYTES_MAX + 256;
/// What somebody is told who speaks HTTP without TLS here.
const PLAIN_REQUEST_ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\
    Content-Type: text/plain; charset=utf-8\r\nContent-Length: 48\r\n\r\n\
    this address speaks TLS: use https:// or wss://\n";

/// What reading records from a buffer came to.
struct Decrypted {
    /// Bytes of plaintext, at the beginning of the buffer.
    len: usize,
    /// What is left of the records.
    rest: Range<usize>,
}

impl TlsConnection {
    /// Reads plaintext, and carries on the handshake.
    ///
    /// # Errors
    /// [`ErrorKind::Interrupted`] to be called again in the next turn; [`ErrorKind::InvalidData`] if
    /// the peer broke the protocol, which it was told by an alert.
    pub(super) fn read(
        &mut self,
        socket: &mut impl Transport,
        buffer: &mut [u8],
    ) -> io::Result<usize> {
        // Each read ends with nothing unsent, or with the system having said that it accepts no
        // more: the event that follows is not missed.
        self.send_unsent(socket)?;
        for _ in 0..TLS_READS_PER_TURN {
            if self.is_read_closed {
                return Ok(0);
            }
            if self.has_failed {
                return Err(ErrorKind::InvalidData.into());
            }
            if !self.is_ready() && self.shared.handshakes_left.get() == 0 {
                break;
            }
            let len = self.read_records(socket, buffer)?;
            if len > 0 {
                return Ok(len);
            }
        }
        Err(ErrorKind::Interrupted.into())
    }

    /// Reads once from the socket, and decrypts what came.
    fn read_records(
        &mut self,
        socket: &mut impl Transport,
        buffer: &mut [u8],
    ) -> io::Result<usize> {
        let begin = GAP + self.arrived.len();
        let Some(room) = buffer.get_mut(begin..).filter(|room| !room.is_empty()) else {
            return Err(ErrorKind::OutOfMemory.into());
        };
        let read = socket.read(room)?;
        self.may_have_more = socket.may_have_more(read, room.len());
        if read == 0 {
            self.is_read_closed = true;
            return Ok(0);
        }
        buffer[GAP..begin].copy_from_slice(&self.arrived);
        self.arrived = Vec::new();
        let arrived = GAP..begin + read;
        let header_len = match self.has_begun {
            true => 0,
            false => match proxy_header_len(&buffer[arrived.clone()]) {
                Some(len) => len,
                None => {
                    self.keep_arrived(&buffer[arrived]);
                    return Ok(0);
                }
            },
        };
        // It is for the reader, which judges it.
        buffer.copy_within(GAP..GAP + header_len, 0);
        let records = GAP + header_len..arrived.end;
        let Some(&first) = buffer[records.clone()].first() else { return Ok(header_len) };
        if !std::mem::replace(&mut self.has_begun, true) && first.is_ascii_uppercase() {
            // The method of a plain request. A record begins with its type, below 32.
            self.fail("a plain request at an address for TLS");
            return socket.write(PLAIN_REQUEST_ANSWER).map(|_| 0);
        }
        let shared = Rc::clone(&self.shared);
        let mut outgoing = shared.outgoing.borrow_mut();
        let was_ready = self.is_ready();
        let Decrypted { len, rest } = self.decrypt(buffer, header_len, records, &mut outgoing);
        if !was_ready {
            self.note_handshake(!outgoing.is_empty());
        }
        if !self.has_failed {
            self.keep_arrived(&buffer[rest]);
        }
        self.send(socket, &mut outgoing)?;
        // Its bytes first; the failure or the end at the next read.
        self.may_have_more |= self.has_failed || self.is_read_closed;
        Ok(len)
    }

    /// Something of the handshake was read, and answered if `has_worked`.
    fn note_handshake(&self, has_worked: bool) {
        let shared = &self.shared;
        if has_worked {
            shared.handshakes_left.update(|left| left.saturating_sub(1));
        }
        if self.is_ready() {
            shared.handshakes.update(|mut handshakes| {
                match self.tls.handshake_kind() {
                    Some(HandshakeKind::Resumed) => handshakes.resumed += 1,
                    _ => handshakes.full += 1,
                }
                handshakes
            });
        }
    }

    /// Decrypts the records in `buffer[records]`: their plaintext goes to its beginning, after `len`
    /// bytes that are there; what rustls answers to `outgoing`.
    fn decrypt(
        &mut self,
        buffer: &mut [u8],
        mut len: usize,
        mut records: Range<usize>,
        outgoing: &mut Vec<u8>,
    ) -> Decrypted {
        loop {
            // At least `GAP` lies between the plaintext so far and the next record.
            let (plain, encrypted) = buffer.split_at_mut(records.start);
            let UnbufferedStatus { mut discard, state, .. } =
                self.tls.process_tls_records(&mut encrypted[..records.len()]);
            let mut is_done = false;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(Ok(record)) = traffic.next_record() {
                        let Some(room) = plain.get_mut(len..len + record.payload.len()) else {
                            break;
                        };
                        room.copy_from_slice(record.payload);
                        len += record.payload.len();
                        discard += record.discard;
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => encode(&mut data, outgoing),
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => {
                    self.is_read_closed = true;
                    is_done = true;
                }
                Ok(_) => is_done = true,
                Err(error) => {
                    self.fail(error);
                    self.alert(outgoing);
                    is_done = true;
                }
            }
            records.start += discard;
            if is_done {
                return Decrypted { len, rest: records };
            }
        }
    }

    /// Keeps what is left of the records until more arrives.
    fn keep_arrived(&mut self, rest: &[u8]) {
        self.arrived = rest.to_vec();
        if rest.len() > TLS_ARRIVED_BYTES_MAX {
            self.fail("a handshake message is too long");
        }
        self.count_arrived();
    }

    /// Reads input that nobody wants any more. Its records stay as they are.
    pub(super) fn read_away(
        &mut self,
        socket: &mut impl Transport,
        buffer: &mut [u8],
    ) -> io::Result<usize> {
        // What waits to be sent waits for the handshake.
        if !self.is_ready() && !self.has_failed {
            return self.read(socket, buffer);
        }
        let read = socket.read_away(buffer)?;
        self.may_have_more = socket.may_have_more(read, buffer.len());
        Ok(read)
    }

    /// Appends the alert of a failure to `outgoing`.
    fn alert(&mut self, outgoing: &mut Vec<u8>) {
        // While there is something to send, rustls does not look at the input.
        while self.tls.wants_write()
            && let Ok(ConnectionState::EncodeTlsData(mut data)) =
                self.tls.process_tls_records(&mut []).state
        {
            encode(&mut data, outgoing);
        }
    }
}

/// How long the header of the PROXY protocol is with which a connection begins; 0 if it begins with
/// none, `None` if that cannot be told yet. A proxy sends it before the handshake.
fn proxy_header_len(bytes: &[u8]) -> Option<usize> {
    match ProxyHeader::decode(bytes) {
        Ok(None) => None,
        Ok(Some((_, len))) => Some(len),
        Err(_) => Some(0),
    }
}
