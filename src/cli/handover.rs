//! `parlor serve --replace`: a running server drains, closes its data, and passes its listening
//! sockets to the one that takes its place. Whoever comes meanwhile waits at the sockets.
//!
//! They speak through a Unix socket without a file (`unix(7)`, abstract sockets) that is named after
//! the data's directory; each asks the system who the other is (`SO_PEERCRED`). The new one sends
//! [`REQUEST`], the old one [`ANSWER`], and, when its data is closed, a byte for each socket that says
//! whether its file goes with it, together with the sockets (`SCM_RIGHTS`).

use super::CommandFailure;
use crate::base::LineRate;
use crate::base::limits::{
    ACCEPT_PAUSE_MS, HANDOVER_END_MS, HANDOVER_MS_MAX, HANDOVER_REQUEST_MS, LISTENERS_MAX,
};
use crate::reactor::{Clock, ListeningSocket, SocketAccess};
use crate::server::{PassedSocket, Stopper};
use crate::store::Place;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use rustix::process::geteuid;
use std::fs::{self, Metadata};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const REQUEST: &[u8] = b"parlor replace 1\n";
const ANSWER: &[u8] = b"parlor drains 1\n";
const OWN_FILE: u8 = b'1';
const NO_FILE: u8 = b'0';
/// Nobody's, until its listener is found.
const CLOSED: SocketAccess = SocketAccess { mode: 0o600, user: None, group: None };
const AWAITED_EVERY_MS: u64 = 10;
/// Space for the descriptors of all listeners.
const SPACE: usize = rustix::cmsg_space!(ScmRights(LISTENERS_MAX));

/// Has the server that serves this data drain, and takes its sockets. Waits until it has closed the
/// data. None if no server can be asked.
pub(super) fn take_over(data: &Place) -> Result<Vec<PassedSocket>, CommandFailure> {
    let Place::Directory(directory) = data else {
        let message = "--replace finds the running server by its data: data in memory has none";
        return Err(CommandFailure::usage(message));
    };
    let failed = |error: io::Error| {
        let why = match error.kind() {
            io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::UnexpectedEof => {
                "it refuses: it is another user's, or another process replaces it already"
                    .to_owned()
            }
            io::ErrorKind::WouldBlock => format!("it has not ended within {HANDOVER_MS_MAX} ms"),
            _ => error.to_string(),
        };
        CommandFailure::new(format!("the running server cannot be replaced (--replace): {why}"))
    };
    match connect(directory).map_err(failed)? {
        None => {
            log::info!("no server to replace");
            Ok(Vec::new())
        }
        Some(mut stream) => {
            log::info!("the running server drains and passes its sockets");
            let passed = ask(&mut stream).and_then(|()| receive(&stream)).map_err(failed)?;
            if passed.is_empty() {
                await_end(&stream);
            } else {
                await_closed(&stream);
            }
            Ok(passed)
        }
    }
}

/// The server of this data, if there is one.
fn connect(directory: &Path) -> io::Result<Option<UnixStream>> {
    let Ok(metadata) = fs::metadata(directory) else { return Ok(None) };
    let stream = match UnixStream::connect_addr(&address(&metadata)?) {
        Ok(stream) => stream,
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Ok(None),
        Err(error) => return Err(error),
    };
    // Anybody can take the name.
    if is_of(&stream, &[metadata.uid()])? {
        Ok(Some(stream))
    } else {
        Err(io::Error::other("another user's program pretends to be it"))
    }
}

/// Waits until the other end has closed its own descriptors of the sockets: while it has them, nothing
/// else can be bound at their ports.
fn await_closed(mut stream: &UnixStream) {
    // Whether it has ended, or is too late: the sockets are here.
    let _ = stream.set_read_timeout(Some(Duration::from_millis(HANDOVER_END_MS)));
    let _ = stream.read(&mut [0]);
}

/// Waits until the other end's process has closed all of its files: the data's lock, and its sockets,
/// which the system closes one after the other.
fn await_end(stream: &UnixStream) {
    let Ok(peer) = socket_peercred(stream) else { return };
    let process = format!("/proc/{}", peer.pid.as_raw_nonzero());
    let is_there = || {
        let status = fs::read_to_string(format!("{process}/status"));
        let threads = fs::read_dir(format!("{process}/task")).map_or(0, Iterator::count);
        // One that nobody has waited for yet is a zombie; its last thread closes the files.
        status.is_ok_and(|text| !text.contains("\nState:\tZ") || threads > 1)
    };
    for _ in 0..HANDOVER_END_MS / AWAITED_EVERY_MS {
        if !is_there() {
            return;
        }
        std::thread::sleep(Duration::from_millis(AWAITED_EVERY_MS));
    }
}

fn address(directory: &Metadata) -> io::Result<SocketAddr> {
    let name = format!("parlor-replace-{:x}-{:x}", directory.dev(), directory.ino());
    SocketAddr::from_abstract_name(name)
}

/// Whether the other end is root's, this process's user's, or one of these users'.
fn is_of(stream: &UnixStream, users: &[u32]) -> io::Result<bool> {
    let peer = socket_peercred(stream)?.uid;
    Ok(peer.is_root() || peer == geteuid() || users.contains(&peer.as_raw()))
}

fn ask(stream: &mut UnixStream) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_millis(HANDOVER_MS_MAX)))?;
    stream.write_all(REQUEST)?;
    let mut answer = [0; ANSWER.len()];
    stream.read_exact(&mut answer)?;
    if answer == *ANSWER { Ok(()) } else { Err(io::Error::other("it is of another version")) }
}

fn receive(stream: &UnixStream) -> io::Result<Vec<PassedSocket>> {
    let mut files = [0; LISTENERS_MAX];
    let mut space = [MaybeUninit::uninit(); SPACE];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let pieces = &mut [IoSliceMut::new(&mut files)];
    let received = recvmsg(stream, pieces, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let fds = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        _ => None,
    });
    let fds: Vec<OwnedFd> = fds.flatten().collect();
    if received.bytes != fds.len() {
        return Err(io::Error::other("it passes other sockets than it says"));
    }
    if fds.is_empty() {
        log::warn!("the running server ended without passing its sockets: listening anew");
    }
    let socket = |(fd, file): (OwnedFd, u8)| {
        let mut socket = ListeningSocket::passed(fd)?;
        if file == OWN_FILE
            && let Err(error) = socket.own_file(CLOSED)
        {
            log::warn!("a socket's file is left alone: {error}");
        }
        Ok(PassedSocket { socket, name: None })
    };
    fds.into_iter().zip(files).map(socket).collect()
}

/// A running server's offer to be replaced.
#[derive(Clone, Debug)]
pub(super) struct HandoverOffer {
    /// The server that takes its place.
    successor: Arc<Mutex<Option<UnixStream>>>,
}

impl HandoverOffer {
    /// Offers it, on a thread of its own, until somebody takes it.
    ///
    /// # Errors
    /// The system's error.
    pub(super) fn open(directory: &Path, stopper: Stopper) -> io::Result<HandoverOffer> {
        let listener = UnixListener::bind_addr(&address(&fs::metadata(directory)?)?)?;
        let successor = Arc::new(Mutex::new(None));
        let offer = HandoverOffer { successor: Arc::clone(&successor) };
        std::thread::Builder::new().name("parlor-handover".into()).spawn(move || {
            let (clock, lines) = (Clock::start(), LineRate::new(1));
            for stream in listener.incoming() {
                // Without a free file it fails at once, as long as somebody waits.
                let Ok(stream) = stream else {
                    std::thread::sleep(Duration::from_millis(ACCEPT_PAUSE_MS));
                    continue;
                };
                match is_asked(&stream) {
                    Ok(true) => {
                        *successor.lock().unwrap_or_else(PoisonError::into_inner) = Some(stream);
                        // An error means that it has stopped already: the other is told by the end.
                        let _ = stopper.hand_over();
                        return;
                    }
                    Ok(false) => {}
                    // Anybody at this machine can connect, as often as they like.
                    Err(error) if lines.take(clock.now()).is_some() => {
                        log::warn!("a request to replace this server: {error}");
                    }
                    Err(_) => {}
                }
            }
        })?;
        Ok(offer)
    }

    /// Passes the sockets, if somebody has taken the offer.
    pub(super) fn hand_over(&self, sockets: Vec<ListeningSocket>) {
        let successor = self.successor.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(stream) = successor else { return };
        if sockets.is_empty() {
            return log::warn!("this server was ending already: no socket is left to pass on");
        }
        match send(&stream, sockets) {
            Ok(()) => log::info!("the sockets are another server's"),
            Err(error) => log::error!("the sockets cannot be passed on: {error}"),
        }
    }
}

/// Whether the server is asked to hand over, and has said that it will.
fn is_asked(mut stream: &UnixStream) -> io::Result<bool> {
    if !is_of(stream, &[])? {
        return Err(io::Error::other("it came from another user"));
    }
    stream.set_read_timeout(Some(Duration::from_millis(HANDOVER_REQUEST_MS)))?;
    let mut request = [0; REQUEST.len()];
    stream.read_exact(&mut request)?;
    if request != *REQUEST {
        return Ok(false);
    }
    stream.write_all(ANSWER)?;
    Ok(true)
}

fn send(stream: &UnixStream, sockets: Vec<ListeningSocket>) -> io::Result<()> {
    let files: Vec<u8> =
        sockets.iter().map(|socket| if socket.owns_file() { OWN_FILE } else { NO_FILE }).collect();
    let fds: Vec<OwnedFd> = sockets.into_iter().map(ListeningSocket::into_fd).collect();
    let fds: Vec<_> = fds.iter().map(OwnedFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); SPACE];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(io::Error::other("they are too many"));
    }
    sendmsg(stream, &[IoSlice::new(&files)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_passed_in_their_order_and_with_their_files() {
        let directory = tempfile::tempdir().unwrap();
        let tcp = || ListeningSocket::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let access = crate::reactor::SocketAccess { mode: 0o600, user: None, group: None };
        let path = directory.path().join("s");
        let unix = ListeningSocket::unix(&path, access).unwrap();
        let sockets = vec![tcp(), unix, tcp()];
        let addresses: Vec<_> = sockets.iter().map(ListeningSocket::local_addr).collect();
        let (old, new) = UnixStream::pair().unwrap();
        send(&old, sockets).unwrap();
        let received = receive(&new).unwrap();
        let found: Vec<_> = received.iter().map(|one| one.socket.local_addr()).collect();
        assert_eq!(found, addresses);
        assert!(path.exists() && received[1].socket.owns_file());
        drop(received);
        assert!(!path.exists(), "it went with the last");
        drop(old);
        assert!(receive(&new).unwrap().is_empty(), "it has ended");
    }

    #[test]
    fn the_sockets_are_no_longer_the_old_ones_when_they_are_taken() {
        let directory = tempfile::tempdir().unwrap();
        let at = address(&fs::metadata(directory.path()).unwrap()).unwrap();
        let listener = UnixListener::bind_addr(&at).unwrap();
        let socket = ListeningSocket::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
        let port = socket.local_addr().unwrap().port();
        let old = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            assert!(is_asked(&stream).unwrap());
            let fd = socket.into_fd();
            let copy = fd.try_clone().unwrap();
            send(&stream, vec![ListeningSocket::passed(fd).unwrap()]).unwrap();
            std::thread::sleep(Duration::from_millis(100));
            drop(copy);
        });
        drop(take_over(&Place::Directory(directory.path().into())).unwrap());
        // `::` and `0.0.0.0` stand for every address of the port.
        ListeningSocket::tcp(([0, 0, 0, 0], port).into()).unwrap();
        old.join().unwrap();
    }

    #[test]
    fn a_running_server_is_asked_once_and_strangers_are_not_heard() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::Directory(directory.path().into());
        assert!(take_over(&place).unwrap().is_empty(), "there is no server");
        assert!(take_over(&Place::Memory).is_err());
        let at = address(&fs::metadata(directory.path()).unwrap()).unwrap();
        let listener = UnixListener::bind_addr(&at).unwrap();
        let mut stranger = connect(directory.path()).unwrap().unwrap();
        let (stream, _) = listener.accept().unwrap();
        stranger.write_all(b"parlor replace 2\n").unwrap();
        assert!(!is_asked(&stream).unwrap());
        let mut new = connect(directory.path()).unwrap().unwrap();
        let (stream, _) = listener.accept().unwrap();
        let asked = std::thread::spawn(move || ask(&mut new));
        assert!(is_asked(&stream).unwrap());
        asked.join().unwrap().unwrap();
        drop(listener);
        assert!(take_over(&place).unwrap().is_empty(), "one that has ended is nobody");
    }
}
