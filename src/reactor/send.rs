//! Writes an outbox to a socket, usually with one call.

use super::system::Transport;
use crate::base::limits::{JOINED_FRAME_BYTES_MAX, SEND_PIECES_MAX};
use crate::base::{Buffer, Outbox};
use std::io::{self, IoSlice};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SendResult {
    pub(super) bytes: usize,
    /// The system accepts no more for now.
    pub(super) is_blocked: bool,
}

/// Sends until the outbox is empty or the system accepts no more. Small frames are joined in
/// `joined`, bounded by its capacity; large ones are sent by reference.
pub(super) fn send(
    stream: &mut impl Transport,
    outbox: &mut Outbox,
    joined: &mut Buffer,
) -> io::Result<SendResult> {
    let mut sent = SendResult { bytes: 0, is_blocked: false };
    match stream.flush() {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            sent.is_blocked = true;
            return Ok(sent);
        }
        flushed => flushed?,
    }
    while !outbox.is_empty() {
        let (result, offered) = send_once(stream, outbox, joined);
        match result {
            Ok(len) => {
                outbox.advance(len);
                sent.bytes += len;
                // A partial write: the socket's buffer is full. An event reports when it is not, so
                // another call would be wasted.
                if len < offered {
                    sent.is_blocked = true;
                    return Ok(sent);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                sent.is_blocked = true;
                return Ok(sent);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    sent.is_blocked = stream.has_unsent();
    Ok(sent)
}

/// Sends bytes in one call; returns how many the system accepted.
#[inline]
pub(super) fn send_bytes(stream: &mut impl Transport, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match stream.write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Makes one call; also returns how many bytes it offered.
fn send_once(
    stream: &mut impl Transport,
    outbox: &Outbox,
    joined: &mut Buffer,
) -> (io::Result<usize>, usize) {
    let mut pieces = outbox.pieces();
    if let (Some(only), None) = (pieces.next(), pieces.next()) {
        return (stream.write(only), only.len());
    }
    joined.clear();
    for piece in outbox.pieces() {
        if piece.len() > JOINED_FRAME_BYTES_MAX {
            return send_by_reference(stream, outbox);
        }
        if joined.room() < piece.len() {
            break;
        }
        joined.vec().extend_from_slice(piece);
    }
    (stream.write(joined.content()), joined.content().len())
}

fn send_by_reference(stream: &mut impl Transport, outbox: &Outbox) -> (io::Result<usize>, usize) {
    let mut slices: [IoSlice<'_>; SEND_PIECES_MAX] = std::array::from_fn(|_| IoSlice::new(&[]));
    let mut count = 0;
    let mut offered = 0;
    for (slice, piece) in slices.iter_mut().zip(outbox.pieces()) {
        *slice = IoSlice::new(piece);
        count += 1;
        offered += piece.len();
    }
    (stream.write_pieces(&slices[..count]), offered)
}
