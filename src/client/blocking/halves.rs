//! The two halves of a WebSocket over a socket that blocks. They share what is to be written, and take turns at writing:
//! a writer waits until all of it has left, the reader writes what the socket takes at once.

use super::Incoming;
use crate::base::{Moment, Outbox};
use crate::client::error::SocketError;
use crate::client::net::records::{TlsFault, decrypt, encrypt, take_records};
use crate::protocol::endpoint::Closing;
use crate::protocol::{CloseCode, Endpoint, Event, Message, Received};
use crate::reactor::Clock;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::SendFlags;
use rustls::ClientConnection;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

/// What is read at once.
const READ_BYTES: usize = 64 * 1024;
/// While more than this is to be written, only the newest ping is answered (RFC 6455 §5.5.3).
const PENDING_BYTES_MAX: usize = 64 * 1024;

/// Its reading half.
#[derive(Debug)]
pub struct BlockingReader {
    shared: Arc<Shared>,
    plain: Vec<u8>,
    /// Of `plain`: what came, and was not looked at.
    begin: usize,
    end: usize,
    raw: Vec<u8>,
}

/// Its writing half. Each thread may have one.
#[derive(Clone, Debug)]
pub struct BlockingWriter {
    shared: Arc<Shared>,
}

/// What both halves have.
#[derive(Debug)]
struct Shared {
    socket: TcpStream,
    state: Mutex<Halves>,
    /// Whoever holds it writes, also what others have left to be written meanwhile. The reader never waits, neither for
    /// it nor for the socket: a server that reads nothing until it has sent would wait for the reader.
    turn: Mutex<Leaving>,
}

#[derive(Debug)]
pub(super) struct Halves {
    pub(super) endpoint: Endpoint,
    pub(super) tls: Option<ClientConnection>,
    /// What is to be written to the socket.
    pending: Vec<u8>,
    /// An answer to a ping for which there was no room in `pending`.
    newest_pong: Vec<u8>,
}

/// What leaves by one write or several.
#[derive(Debug, Default)]
struct Leaving {
    bytes: Vec<u8>,
    sent: usize,
}

impl Leaving {
    /// What is to be written next; empty if there is nothing.
    fn next(&mut self, shared: &Shared) -> Result<&[u8], SocketError> {
        if self.sent >= self.bytes.len() {
            let mut state = shared.lock();
            state.queue_pong()?;
            *self = Leaving { bytes: std::mem::take(&mut state.pending), sent: 0 };
        }
        Ok(self.bytes.get(self.sent..).unwrap_or_default())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Halves> {
        // A thread that has failed within these few lines has left nothing half done that matters more than going on.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what is to be written, and waits until it is.
    fn flush(&self) -> Result<(), SocketError> {
        loop {
            let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
            loop {
                let bytes = turn.next(self)?;
                if bytes.is_empty() {
                    break;
                }
                let written = (&self.socket).write_all(bytes);
                written.map_err(|error| self.cut(error))?;
                *turn = Leaving::default();
            }
            drop(turn);
            // Between the last look and the end of the turn somebody may have left something.
            if self.lock().has_written_all() {
                return Ok(());
            }
        }
    }

    /// Writes what the socket takes now, unless another writes; whether something is left for the next call.
    fn flush_now(&self) -> Result<bool, SocketError> {
        loop {
            let mut turn = match self.turn.try_lock() {
                Ok(turn) => turn,
                Err(TryLockError::Poisoned(turn)) => turn.into_inner(),
                Err(TryLockError::WouldBlock) => return Ok(false),
            };
            loop {
                let bytes = turn.next(self)?;
                if bytes.is_empty() {
                    break;
                }
                let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                match rustix::net::send(&self.socket, bytes, flags) {
                    Ok(sent) => turn.sent += sent,
                    Err(Errno::INTR) => {}
                    Err(Errno::WOULDBLOCK) => return Ok(true),
                    Err(error) => return Err(self.cut(error.into())),
                }
            }
            drop(turn);
            // As in `flush`.
            if self.lock().has_written_all() {
                return Ok(false);
            }
        }
    }

    /// Half a frame may have left: what came behind it would be read as its rest.
    fn cut(&self, error: io::Error) -> SocketError {
        let _ = self.socket.shutdown(Shutdown::Both);
        error.into()
    }

    /// Waits until something has come, and writes meanwhile what could not be written before.
    fn wait_readable(&self) -> Result<(), SocketError> {
        if !self.flush_now()? {
            return Ok(());
        }
        let (clock, most) = (Clock::start(), self.socket.read_timeout()?);
        loop {
            let left = most.map(|most| most.saturating_sub(clock.elapsed()));
            if left.is_some_and(|left| left.is_zero()) {
                return Err(SocketError::Timeout);
            }
            let timeout = left.and_then(|left| Timespec::try_from(left).ok());
            let mut socket = [PollFd::new(&self.socket, PollFlags::IN | PollFlags::OUT)];
            match poll(&mut socket, timeout.as_ref()) {
                Err(Errno::INTR) => {}
                polled => drop(polled.map_err(io::Error::from)?),
            }
            let [socket] = socket;
            // An error or an end is read, too.
            if socket.revents().intersects(!PollFlags::OUT) || !self.flush_now()? {
                return Ok(());
            }
        }
    }
}

impl Halves {
    pub(super) fn new(endpoint: Endpoint, tls: Option<ClientConnection>) -> Halves {
        Halves { endpoint, tls, pending: Vec::new(), newest_pong: Vec::new() }
    }

    fn has_written_all(&self) -> bool {
        self.pending.is_empty() && self.newest_pong.is_empty()
    }

    /// Makes bytes for the socket of what the endpoint wants sent.
    fn queue(&mut self, out: &Outbox) -> Result<(), SocketError> {
        self.queue_pong()?;
        out.pieces().try_for_each(|piece| self.queue_bytes(piece))
    }

    /// The same for the answer to a ping, if there is room; otherwise the next one takes its place.
    fn queue_answer(&mut self, out: &Outbox) -> Result<(), SocketError> {
        if self.pending.len() <= PENDING_BYTES_MAX {
            return self.queue(out);
        }
        self.newest_pong.clear();
        self.newest_pong.extend(out.pieces().flatten());
        Ok(())
    }

    fn queue_pong(&mut self) -> Result<(), SocketError> {
        let pong = std::mem::take(&mut self.newest_pong);
        self.queue_bytes(&pong)
    }

    fn queue_bytes(&mut self, bytes: &[u8]) -> Result<(), SocketError> {
        match &mut self.tls {
            None => self.pending.extend_from_slice(bytes),
            Some(tls) => encrypt(tls, bytes, &mut self.pending)?,
        }
        Ok(())
    }

    /// An event of what has come, and how much of that it used.
    fn next(&mut self, bytes: &mut [u8]) -> (usize, Result<Option<Incoming>, SocketError>) {
        let mut out = Outbox::alone(u32::MAX);
        let mut input = Received::new(bytes);
        let incoming = loop {
            break match self.endpoint.next_event(&mut input, &mut out) {
                Ok(Some(Event::Text(text))) => Ok(Some(Incoming::Text(text.to_owned()))),
                Ok(Some(Event::Binary(bytes))) => Ok(Some(Incoming::Bytes(bytes.to_vec()))),
                Ok(Some(Event::Pong(payload))) => Ok(Some(Incoming::Pong(payload.to_vec()))),
                // Its answer is in the outbox, where it would give way to that of the next ping: each is answered while
                // there is room.
                Ok(Some(Event::Ping(_))) => {
                    if let Err(error) = self.queue_answer(&out) {
                        break Err(error);
                    }
                    out.clear();
                    continue;
                }
                Ok(Some(Event::Closed { code, reason })) => {
                    let (code, reason) = (code.map(|code| code.0), reason.to_owned());
                    Ok(Some(Incoming::Closed { code, reason }))
                }
                Ok(None) => Ok(None),
                Err(error) => Err(SocketError::Protocol(error)),
            };
        };
        let used = input.used();
        (used, self.queue(&out).and(incoming))
    }
}

/// The halves of a connection that is open; `early` came behind the answer's head.
pub(super) fn split(
    socket: TcpStream,
    halves: Halves,
    early: Vec<u8>,
) -> (BlockingReader, BlockingWriter) {
    let raw = vec![0; if halves.tls.is_some() { READ_BYTES } else { 0 }];
    let (begin, end) = (0, early.len());
    let mut plain = early;
    plain.resize(READ_BYTES.max(end), 0);
    let shared = Arc::new(Shared { socket, state: Mutex::new(halves), turn: Mutex::default() });
    let writer = BlockingWriter { shared: Arc::clone(&shared) };
    (BlockingReader { shared, plain, begin, end, raw }, writer)
}

impl BlockingReader {
    /// The next message; waits for it. `None` once the connection has ended in order. A message whose beginning has
    /// come is not lost by a timeout: the next call goes on.
    ///
    /// # Errors
    /// A [`SocketError`].
    pub fn read(&mut self) -> Result<Option<Incoming>, SocketError> {
        loop {
            if self.begin < self.end {
                let come = self.plain.get_mut(self.begin..self.end).unwrap_or_default();
                let (used, incoming) = self.shared.lock().next(come);
                self.begin += used;
                let flushed = self.shared.flush_now();
                match incoming {
                    Ok(None) => (self.begin, self.end) = (0, 0),
                    // What came is handed on, also if nothing can be answered any more.
                    incoming => return incoming,
                }
                flushed?;
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    /// Reads from the socket; whether it goes on.
    fn fill(&mut self) -> Result<bool, SocketError> {
        let shared = Arc::clone(&self.shared);
        shared.wait_readable()?;
        let has_tls = !self.raw.is_empty();
        let to = if has_tls { &mut self.raw } else { &mut self.plain };
        let len = match (&shared.socket).read(to) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
            // Once both have said that they close, the server may cut.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => 0,
            read => read?,
        };
        if len == 0 {
            let is_closed = shared.lock().endpoint.send.closing() == Closing::Closed;
            let cut = || SocketError::Io(io::ErrorKind::UnexpectedEof.into());
            return if is_closed { Ok(false) } else { Err(cut()) };
        }
        if !has_tls {
            (self.begin, self.end) = (0, len);
            return Ok(true);
        }
        let mut state = shared.lock();
        let Halves { tls: Some(tls), pending, .. } = &mut *state else { return Ok(true) };
        self.plain.clear();
        let decrypted = decrypt(tls, self.raw.get(..len).unwrap_or_default(), &mut self.plain);
        take_records(tls, pending);
        drop(state);
        (self.begin, self.end) = (0, self.plain.len());
        shared.flush_now()?;
        match decrypted {
            Ok(()) => Ok(true),
            Err(TlsFault::Tls(error)) => Err(SocketError::Tls(format!("TLS failed: {error}"))),
            Err(TlsFault::Io(error)) => Err(error.into()),
        }
    }

    /// How long a read waits; `None` for ever.
    ///
    /// # Errors
    /// What the system says; a time of zero is refused.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.shared.socket.set_read_timeout(timeout)
    }
}

impl BlockingWriter {
    /// Sends a text message.
    ///
    /// # Errors
    /// A [`SocketError`]. After [`SocketError::Timeout`] a part of it may have left: the connection is cut.
    pub fn send(&self, text: &str) -> Result<(), SocketError> {
        self.message(Message::Text(text))
    }

    /// Sends a message of bytes.
    ///
    /// # Errors
    /// As [`BlockingWriter::send`].
    pub fn send_bytes(&self, bytes: &[u8]) -> Result<(), SocketError> {
        self.message(Message::Binary(bytes))
    }

    /// Sends a ping with up to 125 bytes; more are cut. The answer is an [`Incoming::Pong`].
    ///
    /// # Errors
    /// As [`BlockingWriter::send`].
    pub fn ping(&self, payload: &[u8]) -> Result<(), SocketError> {
        self.message(Message::Ping(payload))
    }

    fn message(&self, message: Message<'_>) -> Result<(), SocketError> {
        let mut out = Outbox::alone(u32::MAX);
        let mut state = self.shared.lock();
        state.endpoint.send.message(message, &mut out).map_err(|_| SocketError::Closed)?;
        state.queue(&out)?;
        drop(state);
        self.shared.flush()
    }

    /// Begins the closing handshake (RFC 6455 §7.1.2); a code that a Close must not have is sent as none. The reader gets the server's answer, and then `None`.
    ///
    /// # Errors
    /// As [`BlockingWriter::send`].
    pub fn close(&self, code: u16, reason: &str) -> Result<(), SocketError> {
        let mut out = Outbox::alone(u32::MAX);
        let mut state = self.shared.lock();
        let code = Some(CloseCode(code)).filter(|code| code.may_be_sent());
        state.endpoint.send.start_close(code, reason, Moment::NEVER, &mut out);
        state.queue(&out)?;
        drop(state);
        self.shared.flush()
    }

    /// Ends the connection at once, without a Close: a reader that waits returns.
    pub fn cut(&self) {
        let _ = self.shared.socket.shutdown(Shutdown::Both);
    }
}
