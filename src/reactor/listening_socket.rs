//! Sockets that listen: of TCP, or at a path of the file system (`unix(7)`).

use crate::base::limits::{ACCEPT_BACKLOG, SOCKET_SEND_BYTES};
use mio::Interest;
use mio::net::{TcpListener, TcpStream, UnixListener};
use mio::{Registry, Token};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::fs::{self, Permissions};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

/// The address of a peer at a Unix socket: it is on this machine.
const LOCAL_PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A socket that listens.
#[derive(Debug)]
pub struct ListeningSocket(SocketKind);

#[derive(Debug)]
enum SocketKind {
    Tcp(TcpListener),
    Unix { listener: UnixListener, _file: SocketFile },
}

/// The file of a Unix socket, removed with it.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// Device and inode: another process may have put its own file there since.
    identity: (u64, u64),
}

/// Who may connect to a Unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketAccess {
    /// The file's mode, such as 0o660: who may write to it may connect.
    pub mode: u32,
    /// The file's owner, if it is not the process's user.
    pub user: Option<u32>,
    /// The file's group, if it is not the process's.
    pub group: Option<u32>,
}

impl ListeningSocket {
    /// Listens at an address; port 0 picks a free one.
    ///
    /// # Errors
    /// The system's, such as that the address is in use.
    pub fn tcp(address: SocketAddr) -> io::Result<ListeningSocket> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // A restart must not wait for the old connections' TIME_WAIT.
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(ACCEPT_BACKLOG)?;
        ListeningSocket::of_tcp(socket)
    }

    fn of_tcp(socket: Socket) -> io::Result<ListeningSocket> {
        socket.set_nonblocking(true)?;
        // Accepted sockets inherit it, which saves one call per connection.
        socket.set_tcp_nodelay(true)?;
        // Otherwise the system buffers up to 4 MiB more for a slow reader, outside of every budget.
        // At a Unix socket it buffers 208 KiB (`net.core.wmem_default`).
        socket.set_send_buffer_size(SOCKET_SEND_BYTES)?;
        Ok(ListeningSocket(SocketKind::Tcp(TcpListener::from_std(socket.into()))))
    }

    /// Listens at a path. A socket's file that nobody listens at any more is replaced. Nobody can
    /// connect before `access` holds.
    ///
    /// # Errors
    /// The system's; [`io::ErrorKind::AddrInUse`] if somebody listens there, or another file is
    /// there.
    pub fn unix(path: &Path, access: SocketAccess) -> io::Result<ListeningSocket> {
        let address = SockAddr::unix(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        remove_stale(path, &address)?;
        socket.bind(&address)?;
        // Before `listen`, each attempt to connect is refused.
        fs::set_permissions(path, Permissions::from_mode(access.mode))?;
        if access.user.is_some() || access.group.is_some() {
            chown(path, access.user, access.group)?;
        }
        let metadata = fs::symlink_metadata(path)?;
        let identity = (metadata.dev(), metadata.ino());
        socket.listen(ACCEPT_BACKLOG)?;
        socket.set_nonblocking(true)?;
        let listener = UnixListener::from(OwnedFd::from(socket));
        let _file = SocketFile { path: path.to_owned(), identity };
        Ok(ListeningSocket(SocketKind::Unix { listener, _file }))
    }

    /// The address, if it is one of TCP.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match &self.0 {
            SocketKind::Tcp(listener) => listener.local_addr().ok(),
            SocketKind::Unix { .. } => None,
        }
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match &mut self.0 {
            SocketKind::Tcp(listener) => registry.register(listener, token, Interest::READABLE),
            SocketKind::Unix { listener, .. } => {
                registry.register(listener, token, Interest::READABLE)
            }
        }
    }

    /// Accepts a connection. The calls for its bytes are the same for both kinds of sockets, so
    /// that one at a Unix socket costs nothing more.
    pub(super) fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match &self.0 {
            SocketKind::Tcp(listener) => listener.accept(),
            SocketKind::Unix { listener, .. } => {
                let (stream, _) = listener.accept()?;
                Ok((TcpStream::from(OwnedFd::from(stream)), LOCAL_PEER))
            }
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let found = fs::symlink_metadata(&self.path);
        if found.is_ok_and(|found| (found.dev(), found.ino()) == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes a socket's file that a process left which has ended.
fn remove_stale(path: &Path, address: &SockAddr) -> io::Result<()> {
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "there is a file that is no socket"));
    }
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A full backlog must not block.
    probe.set_nonblocking(true)?;
    match probe.connect(address) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Ok(()) => Err(io::ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(io::ErrorKind::AddrInUse.into())
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    const PRIVATE: SocketAccess = SocketAccess { mode: 0o600, user: None, group: None };

    #[test]
    fn a_socket_of_a_path_has_its_mode_and_takes_its_file_away() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let listening = ListeningSocket::unix(&path, SocketAccess { mode: 0o640, ..PRIVATE });
        let listening = listening.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(listening.local_addr(), None);
        let mut client = UnixStream::connect(&path).unwrap();
        let (mut stream, peer) = listening.accept().unwrap();
        assert!(peer.ip().is_loopback());
        client.write_all(b"there").unwrap();
        let mut buffer = [0; 8];
        assert_eq!(stream.read(&mut buffer).unwrap(), 5);
        stream.write_all(b"back").unwrap();
        assert_eq!(client.read(&mut buffer).unwrap(), 4);
        drop(listening);
        assert!(!path.exists());
    }

    #[test]
    fn what_others_have_at_the_path_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let first = ListeningSocket::unix(&path, PRIVATE).unwrap();
        let in_use = |path: &Path| {
            ListeningSocket::unix(path, PRIVATE).unwrap_err().kind() == io::ErrorKind::AddrInUse
        };
        assert!(in_use(&path));
        UnixStream::connect(&path).unwrap();
        // One whose process was killed is left there.
        let other = directory.path().join("left");
        drop(std::os::unix::net::UnixListener::bind(&other).unwrap());
        ListeningSocket::unix(&other, PRIVATE).unwrap();
        fs::write(&other, "a file").unwrap();
        assert!(in_use(&other));
        // A file that took the place of the first one is not removed with it.
        fs::remove_file(&path).unwrap();
        let second = ListeningSocket::unix(&path, PRIVATE).unwrap();
        drop(first);
        UnixStream::connect(&path).unwrap();
        drop(second);
    }
}
