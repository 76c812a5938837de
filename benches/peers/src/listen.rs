//! The listening socket of all servers here that can be given one.

use std::io;
use std::net::{SocketAddr, TcpListener};

/// Listens where the first argument says; does not block, and what it accepts has TCP_NODELAY
/// (it is inherited: no call for each connection).
pub fn listener() -> io::Result<TcpListener> {
    const BACKLOG: i32 = 4_096;
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".into());
    let address: SocketAddr = address.parse().map_err(io::Error::other)?;
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
