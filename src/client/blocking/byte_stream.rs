//! Bytes to and from one of a host's addresses, over TCP or TLS, each call in a time of its own.

use crate::client::error::ConnectError;
use crate::client::net::records::{TlsFault, decrypt, encrypt, take_records};
use crate::client::tls::{self, Tls};
use crate::client::url::WebSocketUrl;
use crate::reactor::Clock;
use rustls::ClientConnection;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::time::Duration;

/// What is read at once.
const READ_BYTES: usize = 16 * 1024;

/// A connection below HTTP and WebSocket: what is written goes out as it is. For a program that looks at the protocol
/// itself; others take [`BlockingWebSocket`](super::BlockingWebSocket).
#[derive(Debug)]
pub struct ByteStream {
    socket: TcpStream,
    tls: Option<ClientConnection>,
    host: Box<str>,
    /// What came before somebody read.
    early: Vec<u8>,
}

/// A time that several steps share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time {
    clock: Clock,
    most: Duration,
}

impl Time {
    pub(super) fn begin(most: Duration) -> Time {
        Time { clock: Clock::start(), most }
    }

    pub(super) fn left(&self) -> Result<Duration, ConnectError> {
        let left = self.most.saturating_sub(self.clock.elapsed());
        if left.is_zero() { Err(ConnectError::Timeout) } else { Ok(left) }
    }
}

impl ByteStream {
    /// Connects to the URL's host; the URL's scheme says whether with TLS. Without `tls` it then trusts whom the system
    /// trusts. Looking the name up takes as long as the system lets it.
    ///
    /// # Errors
    /// A [`ConnectError`].
    pub fn connect(
        url: &WebSocketUrl,
        tls: Option<&Tls>,
        timeout: Duration,
    ) -> Result<ByteStream, ConnectError> {
        let time = Time::begin(timeout);
        let socket = dial(url, time)?;
        let host = url.host();
        let tls = match (url.is_secure(), tls) {
            (false, _) => None,
            (true, Some(tls)) => Some(tls.clone()),
            (true, None) => Some(Tls::system().map_err(ConnectError::Trust)?),
        };
        let failed = |error| ConnectError::Tls(tls::fault(&error, host));
        let tls = tls.map(|tls| tls.connect(host).map_err(failed)).transpose()?;
        let mut stream = ByteStream { socket, tls, host: host.into(), early: Vec::new() };
        let mut early = Vec::new();
        while stream.tls.as_ref().is_some_and(|tls| tls.is_handshaking()) {
            stream.write(b"", time.left()?)?;
            if stream.receive(&mut early, time)? == 0 {
                return Err(ConnectError::Io(io::ErrorKind::UnexpectedEof.into()));
            }
        }
        stream.early = early;
        Ok(stream)
    }

    /// A connection that a listener has accepted, without TLS.
    ///
    /// # Errors
    /// What the system says.
    pub fn accepted(socket: TcpStream) -> io::Result<ByteStream> {
        socket.set_nodelay(true)?;
        Ok(ByteStream { socket, tls: None, host: "".into(), early: Vec::new() })
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// [`ConnectError::Timeout`], after which a part of it may have left, or [`ConnectError::Io`].
    pub fn write(&mut self, bytes: &[u8], timeout: Duration) -> Result<(), ConnectError> {
        self.socket.set_write_timeout(Some(timeout)).map_err(ConnectError::Io)?;
        let Some(tls) = &mut self.tls else {
            return self.socket.write_all(bytes).map_err(in_time);
        };
        let mut records = Vec::new();
        take_records(tls, &mut records);
        encrypt(tls, bytes, &mut records).map_err(ConnectError::Io)?;
        self.socket.write_all(&records).map_err(in_time)
    }

    /// Reads what comes next behind what is in `to`; how much that is, and 0 at the end of the connection.
    ///
    /// # Errors
    /// [`ConnectError::Timeout`] if nothing came: the next call goes on. [`ConnectError::Io`], [`ConnectError::Tls`].
    pub fn read(&mut self, to: &mut Vec<u8>, timeout: Duration) -> Result<usize, ConnectError> {
        if !self.early.is_empty() {
            let len = self.early.len();
            to.append(&mut self.early);
            return Ok(len);
        }
        let (time, before) = (Time::begin(timeout), to.len());
        // A record of TLS may have nothing for us.
        while self.receive(to, time)? > 0 {
            if to.len() > before {
                break;
            }
        }
        Ok(to.len() - before)
    }

    /// Reads once; how much came from the socket.
    fn receive(&mut self, to: &mut Vec<u8>, time: Time) -> Result<usize, ConnectError> {
        let mut bytes = [0; READ_BYTES];
        let len = loop {
            self.socket.set_read_timeout(Some(time.left()?)).map_err(ConnectError::Io)?;
            match self.socket.read(&mut bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read.map_err(in_time)?,
            }
        };
        let came = bytes.get(..len).unwrap_or_default();
        let Some(tls) = &mut self.tls else {
            to.extend_from_slice(came);
            return Ok(len);
        };
        let decrypted = decrypt(tls, came, to);
        // What TLS answers, an alert, too.
        let answered = self.write(b"", time.left()?);
        decrypted.map_err(|error| match error {
            TlsFault::Tls(error) => ConnectError::Tls(tls::fault(&error, &self.host)),
            TlsFault::Io(error) => ConnectError::Io(error),
        })?;
        answered.map(|()| len)
    }

    /// Sends nothing more, and still reads (TCP's half-close).
    pub fn end_writing(&mut self) {
        // A connection that is gone has ended in both directions.
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    pub(super) fn into_parts(self) -> (TcpStream, Option<ClientConnection>) {
        (self.socket, self.tls)
    }
}

/// Connects to one of the host's addresses, each in its share of the time.
fn dial(url: &WebSocketUrl, time: Time) -> Result<TcpStream, ConnectError> {
    let found = (url.host(), url.port()).to_socket_addrs().map_err(ConnectError::Resolve)?;
    let addresses: Vec<_> = found.collect();
    let mut failed = io::Error::from(io::ErrorKind::NotFound);
    for (place, address) in addresses.iter().enumerate() {
        let left = time.left()?;
        let others = u32::try_from(addresses.len() - place).unwrap_or(u32::MAX);
        match TcpStream::connect_timeout(address, (left / others).max(Duration::from_millis(1))) {
            Ok(socket) => {
                // A message is a segment: it does not wait for others.
                socket.set_nodelay(true).map_err(ConnectError::Io)?;
                return Ok(socket);
            }
            Err(error) => failed = error,
        }
    }
    match failed.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Err(ConnectError::Timeout),
        _ => Err(ConnectError::Connect(failed)),
    }
}

/// A failure of a socket that has a time.
fn in_time(error: io::Error) -> ConnectError {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ConnectError::Timeout,
        _ => ConnectError::Io(error),
    }
}
