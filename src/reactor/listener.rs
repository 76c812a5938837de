//! A listening socket in the loop. Accepts in bounded portions and recovers when the process runs
//! out of file descriptors.

use super::listening_socket::ListeningSocket;
use crate::base::Moment;
use crate::base::limits::ACCEPT_PAUSE_MS;
use mio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;

/// The result of an accept call.
pub(super) enum AcceptResult {
    Connection(TcpStream, SocketAddr),
    /// The backlog is empty.
    Nothing,
    /// No file descriptor or no memory is left. The backlog causes no new event: accepting is
    /// retried after a pause and whenever a connection ends.
    Exhausted(io::Error),
}

#[derive(Debug)]
pub(super) struct OpenListener {
    pub(super) socket: ListeningSocket,
    /// An event reported waiting connections, and no attempt has found the backlog empty since.
    pub(super) is_ready: bool,
    pub(super) paused_until: Option<Moment>,
}

impl OpenListener {
    pub(super) fn new(socket: ListeningSocket) -> OpenListener {
        OpenListener { socket, is_ready: true, paused_until: None }
    }

    pub(super) fn accept(&mut self, now: Moment) -> AcceptResult {
        loop {
            match self.socket.accept() {
                Ok((stream, peer)) => return AcceptResult::Connection(stream, peer),
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => {
                        self.is_ready = false;
                        return AcceptResult::Nothing;
                    }
                    // Gone before it was accepted, or a signal: try the next one.
                    io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::Interrupted => {}
                    _ => {
                        self.pause(now);
                        return AcceptResult::Exhausted(error);
                    }
                },
            }
        }
    }

    pub(super) fn pause(&mut self, now: Moment) {
        self.paused_until = Some(now.plus_millis(ACCEPT_PAUSE_MS));
    }

    /// Whether connections may wait that can be accepted now.
    pub(super) fn accepts(&self) -> bool {
        self.is_ready && self.paused_until.is_none()
    }
}

/// Finds what would keep a socket from listening at this address. Nobody can connect meanwhile.
///
/// # Errors
/// The system's, such as that the address is in use.
pub fn can_listen(address: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())
}

/// The limit on this process's open files, where the system reports it.
#[must_use]
pub fn file_limit() -> Option<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}
