//! The listening socket: accepting in bounded portions, and going on when the process has run out
//! of file descriptors.

use crate::base::Moment;
use crate::base::limits::{ACCEPT_PAUSE_MS, SOCKET_SEND_BYTES};
use mio::net::{TcpListener, TcpStream};
use std::io;
use std::net::SocketAddr;

/// What became of a try to accept.
pub(super) enum AcceptResult {
    Connection(TcpStream, SocketAddr),
    /// The backlog is empty.
    Nothing,
    /// No file descriptor or no memory is left. What waits in the backlog makes no new event:
    /// it is tried again after a pause and whenever a connection goes.
    Exhausted(io::Error),
}

#[derive(Debug)]
pub(super) struct Listener {
    pub(super) socket: TcpListener,
    /// An event said that something waits, and no try has said that nothing does.
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
        // Inherited by what is accepted: one call less for each connection.
        socket.set_tcp_nodelay(true)?;
        // Or the system gives a slow reader up to 4 MiB more, outside of every budget.
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
                    // Gone again before it was accepted, or a signal: the next one.
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

/// How many files this process may have open, where the system says so.
#[must_use]
pub fn file_limit() -> Option<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}
