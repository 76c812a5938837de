//! A connection's socket, with TLS or without.

use super::connection::TlsConnection;
use crate::reactor::Transport;
use std::io::{self, IoSlice, Read, Write};

/// A plain connection, or one with TLS.
#[derive(Debug)]
pub struct TlsStream<T> {
    socket: T,
    tls: Option<Box<TlsConnection>>,
}

impl<T: Transport> TlsStream<T> {
    pub(super) fn plain(socket: T) -> TlsStream<T> {
        TlsStream { socket, tls: None }
    }

    pub(super) fn encrypted(socket: T, tls: TlsConnection) -> TlsStream<T> {
        TlsStream { socket, tls: Some(Box::new(tls)) }
    }

    pub(super) fn socket(&mut self) -> &mut T {
        &mut self.socket
    }
}

impl<T: Transport> Read for TlsStream<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => tls.read(&mut self.socket, buffer),
            None => self.socket.read(buffer),
        }
    }
}

impl<T: Transport> Write for TlsStream<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => tls.write(&mut self.socket, bytes),
            None => self.socket.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => tls.flush(&mut self.socket),
            None => self.socket.flush(),
        }
    }
}

impl<T: Transport> Transport for TlsStream<T> {
    fn write_pieces(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => tls.write_pieces(&mut self.socket, pieces),
            None => self.socket.write_pieces(pieces),
        }
    }

    fn notify_end(&mut self) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => tls.close_notify(&mut self.socket),
            None => self.socket.notify_end(),
        }
    }

    fn end(&mut self) -> io::Result<()> {
        self.socket.end()
    }

    fn discard_unsent(&mut self) {
        self.socket.discard_unsent();
    }

    fn may_have_more(&self, len: usize, room: usize) -> bool {
        match &self.tls {
            Some(tls) => tls.may_have_more(),
            None => self.socket.may_have_more(len, room),
        }
    }

    fn read_away(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.tls {
            Some(tls) => tls.read_away(&mut self.socket, buffer),
            None => self.socket.read_away(buffer),
        }
    }

    fn is_ready(&self) -> bool {
        self.tls.as_ref().is_none_or(|tls| tls.is_ready())
    }

    fn has_begun(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.has_begun && !tls.is_ready())
    }

    fn has_unsent(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.has_unsent())
    }
}
