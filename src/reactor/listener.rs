//! The listening socket. Accepts in bounded portions and recovers when the process runs out of file
//! descriptors.

use crate::base::Moment;
use crate::base::limits::{ACCEPT_PAUSE_MS, SOCKET_SEND_BYTES};
use mio::net::{TcpListener, TcpStream};
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
pub(super) struct Listener {
    pub(super) socket: TcpListener,
    /// An event reported waiting connections, and no attempt has found the backlog empty since.
    pub(super) is_ready: bool,
    pub(super) paused_until: Option<Moment>,
}

impl Listener {
    pub(super) fn bind(address: SocketAddr) -> io::Result<Listener> {
        const BACKLOG: i32 = 4_096;
        let domain = socket2::Domain::for_address(address);
        let socket =
            socket2::Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
        // A restart must not wait for the old connections' TIME_WAIT.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        // Accepted sockets inherit it, which saves one call per connection.
        socket.set_tcp_nodelay(true)?;
        // Otherwise the system buffers up to 4 MiB more for a slow reader, outside of every budget.
        socket.set_send_buffer_size(SOCKET_SEND_BYTES)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let socket = TcpListener::from_std(socket.into());
        Ok(Listener { socket, is_ready: true, paused_until: None })
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
}

/// The limit on this process's open files, where the system reports it.
#[must_use]
pub fn file_limit() -> Option<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}
