//! A descriptor that is readable while events wait: for the loops of other libraries.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// A pair of sockets: a byte is in it, or none.
#[derive(Debug)]
pub(super) struct Descriptor {
    reader: UnixStream,
    writer: UnixStream,
}

impl Descriptor {
    pub(super) fn new() -> io::Result<Descriptor> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        Ok(Descriptor { reader, writer })
    }

    /// The end that is readable.
    pub(super) fn reader(&self) -> io::Result<OwnedFd> {
        self.reader.as_fd().try_clone_to_owned()
    }

    /// Makes it readable. If it is full, it is.
    pub(super) fn set(&self) {
        let _ = (&self.writer).write(&[1]);
    }

    /// Makes it unreadable.
    pub(super) fn clear(&self) {
        let mut bytes = [0; 64];
        while (&self.reader).read(&mut bytes).is_ok_and(|len| len == bytes.len()) {}
    }
}
