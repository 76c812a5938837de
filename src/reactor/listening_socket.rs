//! Sockets that listen: of TCP, or at a path of the file system (`unix(7)`).

use crate::base::limits::{ACCEPT_BACKLOG, SOCKET_SEND_BYTES, SOCKET_TURN_MS};
use mio::Interest;
use mio::net::{TcpListener, TcpStream, UnixListener};
use mio::{Registry, Token};
use rustix::fs::{Mode, OFlags};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::fs::{self, File, Permissions};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The address of a peer at a Unix socket: it is on this machine.
const LOCAL_PEER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A socket that listens.
#[derive(Debug)]
pub struct ListeningSocket(SocketKind);

#[derive(Debug)]
enum SocketKind {
    Tcp(TcpListener),
    Unix { listener: UnixListener, file: SocketFile },
}

/// The file of a Unix socket, removed with it.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    /// Device and inode: another process may have put its own file there since. `None` for one that
    /// stays.
    identity: Option<(u64, u64)>,
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
    /// The system's; [`io::ErrorKind::AddrInUse`] if somebody listens there, and
    /// [`io::ErrorKind::AlreadyExists`] if another file is there.
    pub fn unix(path: &Path, access: SocketAccess) -> io::Result<ListeningSocket> {
        let address = SockAddr::unix(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // Two processes that begin at once would each take the other's file for a stale one.
        let _turn = Turn::take(path)?;
        remove_stale(path, &address)?;
        socket.bind(&address)?;
        let mut file = SocketFile { path: path.to_owned(), identity: identity(path).ok() };
        // Before `listen`, each attempt to connect is refused.
        file.identity = Some(set_access(path, access)?);
        socket.listen(ACCEPT_BACKLOG)?;
        socket.set_nonblocking(true)?;
        let listener = UnixListener::from(OwnedFd::from(socket));
        Ok(ListeningSocket(SocketKind::Unix { listener, file }))
    }

    /// One that listens already, passed from another process. Its file, if it has one, is left when
    /// this is dropped.
    ///
    /// # Errors
    /// The system's; [`io::ErrorKind::InvalidInput`] if it is no socket of a stream that listens.
    pub fn passed(fd: OwnedFd) -> io::Result<ListeningSocket> {
        let socket = Socket::from(fd);
        let is_one = socket.r#type()? == Type::STREAM && socket.is_listener()?;
        let address = socket.local_addr()?;
        if is_one && address.as_socket().is_some() {
            return ListeningSocket::of_tcp(socket);
        }
        if !is_one || !address.is_unix() {
            let message = "it is no socket that listens for streams";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        socket.set_nonblocking(true)?;
        let path = address.as_pathname().map(Path::to_owned).unwrap_or_default();
        let file = SocketFile { path, identity: None };
        let listener = UnixListener::from(OwnedFd::from(socket));
        Ok(ListeningSocket(SocketKind::Unix { listener, file }))
    }

    /// Its descriptor, to be passed to another process. Its file stays.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        match self.0 {
            SocketKind::Tcp(listener) => std::net::TcpListener::from(listener).into(),
            SocketKind::Unix { listener, mut file } => {
                file.identity = None;
                listener.into()
            }
        }
    }

    /// Gives its file, if it has one, this access, and removes it when this is dropped, also if
    /// another process has passed the socket.
    ///
    /// # Errors
    /// The system's, and if there is no socket at its path.
    pub fn own_file(&mut self, access: SocketAccess) -> io::Result<()> {
        if let SocketKind::Unix { file, .. } = &mut self.0 {
            file.identity = Some(set_access(&file.path, access)?);
        }
        Ok(())
    }

    /// The mode of its file, if it is a Unix socket; that of one without a file, to which everybody
    /// can connect, is 0o777.
    #[must_use]
    pub fn mode(&self) -> Option<u32> {
        let file_mode = |path: &Path| {
            let found = fs::symlink_metadata(path);
            found.map_or(0o777, |found| found.permissions().mode() & 0o777)
        };
        self.path().map(file_mode)
    }

    /// Whether its file is removed with it.
    #[must_use]
    pub fn owns_file(&self) -> bool {
        matches!(&self.0, SocketKind::Unix { file, .. } if file.identity.is_some())
    }

    /// Its path, if it is a Unix socket; empty for one without a file.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.0 {
            SocketKind::Tcp(_) => None,
            SocketKind::Unix { file, .. } => Some(&file.path),
        }
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

    /// Takes it out of this loop, so that another can have it.
    pub(super) fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        match &mut self.0 {
            SocketKind::Tcp(listener) => registry.deregister(listener),
            SocketKind::Unix { listener, .. } => registry.deregister(listener),
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
        if self.identity.is_some() && identity(&self.path).ok() == self.identity {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The lock (`flock(2)`) of a directory, in which sockets are bound one after the other.
struct Turn {
    _directory: Option<File>,
}

impl Turn {
    /// Waits for it, but not for ever: anybody who may read the directory can hold it.
    fn take(path: &Path) -> io::Result<Turn> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = File::open(parent.unwrap_or(Path::new(".")))?;
        for _ in 0..SOCKET_TURN_MS {
            if directory.try_lock().is_ok() {
                return Ok(Turn { _directory: Some(directory) });
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(Turn { _directory: None })
    }
}

/// Device and inode of a socket's file.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.file_type().is_socket() {
        Ok((metadata.dev(), metadata.ino()))
    } else {
        Err(io::Error::other("there is no socket any more"))
    }
}

/// Sets mode and owner of a socket's file, and returns device and inode. Whoever may write to its
/// directory can put something else in its place at any time, and root may be who calls this: so the
/// file is held, and not followed.
fn set_access(path: &Path, access: SocketAccess) -> io::Result<(u64, u64)> {
    // Not by `custom_flags`: the standard library takes `O_PATH` away from them where libc is musl.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let held = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let metadata = held.metadata()?;
    if !metadata.file_type().is_socket() {
        return Err(io::Error::other("there is no socket any more"));
    }
    // `proc_pid_fd(5)`: the file that is held, whatever is at the path now.
    let file = PathBuf::from(format!("/proc/self/fd/{}", held.as_raw_fd()));
    if access.user.is_some() || access.group.is_some() {
        chown(&file, access.user, access.group)?;
    }
    fs::set_permissions(&file, Permissions::from_mode(access.mode))?;
    Ok((metadata.dev(), metadata.ino()))
}

/// Removes a socket's file that a process left which has ended.
fn remove_stale(path: &Path, address: &SockAddr) -> io::Result<()> {
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(()) };
    if !metadata.file_type().is_socket() {
        let message = "there is a file that is no socket";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
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
    fn nothing_that_takes_the_place_of_its_file_is_changed() {
        let directory = tempfile::tempdir().unwrap();
        let (path, other) = (directory.path().join("s"), directory.path().join("other"));
        fs::write(&other, "somebody's").unwrap();
        fs::set_permissions(&other, Permissions::from_mode(0o400)).unwrap();
        let mut socket =
            ListeningSocket::passed(ListeningSocket::unix(&path, PRIVATE).unwrap().into_fd())
                .unwrap();
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        assert!(socket.own_file(SocketAccess { mode: 0o666, ..PRIVATE }).is_err());
        drop(socket);
        assert_eq!(fs::metadata(&other).unwrap().permissions().mode() & 0o777, 0o400);
        assert!(path.symlink_metadata().is_ok());
    }

    #[test]
    fn of_many_that_begin_at_once_one_has_the_path() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        for _ in 0..20 {
            let bound = std::thread::scope(|scope| {
                let bind = || scope.spawn(|| ListeningSocket::unix(&path, PRIVATE).ok());
                let threads: Vec<_> = (0..8).map(|_| bind()).collect();
                threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
            });
            assert_eq!(bound.len(), 1);
            UnixStream::connect(&path).unwrap();
        }
    }

    #[test]
    fn one_is_passed_with_its_file_or_without() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let first = ListeningSocket::unix(&path, PRIVATE).unwrap();
        let second = ListeningSocket::passed(first.into_fd()).unwrap();
        assert_eq!(second.path(), Some(path.as_path()));
        let third = ListeningSocket::passed(second.into_fd()).unwrap();
        UnixStream::connect(&path).unwrap();
        drop(third);
        assert!(path.exists(), "it is whose it was");
        fs::remove_file(&path).unwrap();
        let mut own =
            ListeningSocket::passed(ListeningSocket::unix(&path, PRIVATE).unwrap().into_fd())
                .unwrap();
        own.own_file(SocketAccess { mode: 0o640, ..PRIVATE }).unwrap();
        assert_eq!(own.mode(), Some(0o640));
        drop(own);
        assert!(!path.exists());
        let tcp = ListeningSocket::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = tcp.local_addr().unwrap();
        let passed = ListeningSocket::passed(tcp.into_fd()).unwrap();
        assert_eq!(passed.local_addr(), Some(address));
        for fd in [
            fs::File::open("/dev/null").unwrap().into(),
            OwnedFd::from(std::net::TcpStream::connect(address).unwrap()),
            OwnedFd::from(std::net::UdpSocket::bind("127.0.0.1:0").unwrap()),
        ] {
            assert!(ListeningSocket::passed(fd).is_err());
        }
    }

    #[test]
    fn what_others_have_at_the_path_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let first = ListeningSocket::unix(&path, PRIVATE).unwrap();
        let refused = |path: &Path| ListeningSocket::unix(path, PRIVATE).unwrap_err().kind();
        assert_eq!(refused(&path), io::ErrorKind::AddrInUse);
        UnixStream::connect(&path).unwrap();
        // One whose process was killed is left there.
        let other = directory.path().join("left");
        drop(std::os::unix::net::UnixListener::bind(&other).unwrap());
        ListeningSocket::unix(&other, PRIVATE).unwrap();
        fs::write(&other, "a file").unwrap();
        assert_eq!(refused(&other), io::ErrorKind::AlreadyExists);
        // A file that took the place of the first one is not removed with it.
        fs::remove_file(&path).unwrap();
        let second = ListeningSocket::unix(&path, PRIVATE).unwrap();
        drop(first);
        UnixStream::connect(&path).unwrap();
        drop(second);
    }
}
