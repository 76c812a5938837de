//! TLS of a client: records ⇄ bytes, in memory.

use rustls::ClientConnection;
use std::io::{self, Read, Write};

pub(in crate::client) enum TlsFault {
    Tls(rustls::Error),
    Io(io::Error),
}

/// Takes records of the peer's, and what is in them.
pub(in crate::client) fn decrypt(
    tls: &mut ClientConnection,
    mut records: &[u8],
    to: &mut Vec<u8>,
) -> Result<(), TlsFault> {
    while !records.is_empty() {
        tls.read_tls(&mut records).map_err(TlsFault::Io)?;
        tls.process_new_packets().map_err(TlsFault::Tls)?;
        match tls.reader().read_to_end(to) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                return Err(TlsFault::Io(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The records that TLS wants sent. They go to memory: rustls writes several at once, which to a socket would be
/// `writev`, and end a C program whose peer is gone (SIGPIPE).
pub(in crate::client) fn take_records(tls: &mut ClientConnection, to: &mut Vec<u8>) {
    while tls.wants_write() && tls.write_tls(to).is_ok() {}
}

/// Makes records of bytes.
pub(in crate::client) fn encrypt(
    tls: &mut ClientConnection,
    mut bytes: &[u8],
    to: &mut Vec<u8>,
) -> io::Result<()> {
    while !bytes.is_empty() {
        let taken = tls.writer().write(bytes)?;
        bytes = bytes.get(taken..).unwrap_or_default();
        take_records(tls, to);
    }
    Ok(())
}
