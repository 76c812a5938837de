//! The header of a frame from anybody: it is read as the plain reader reads it, as early as that
//! and no later, and what was read is written as it came.
//!
//! All bytes are those that are read; the first fourteen also say which header is written and read
//! again.

use crate::slow_header::{self, Header};
use parlor::protocol::frame_header::HEADER_BYTES_MAX;
use parlor::protocol::{FrameHeader, Opcode, Violation};

/// What was made of the bytes: a header and its length.
pub(crate) type Read = Result<Option<(FrameHeader, usize)>, Violation>;

/// Asserts all that is said above; gives what was read.
pub(crate) fn header(data: &[u8]) -> Read {
    let read = FrameHeader::decode(data);
    assert_eq!(read, plainly(data), "the plain reader");
    for end in 0..data.len().min(HEADER_BYTES_MAX + 1) {
        let early = FrameHeader::decode(&data[..end]);
        assert_eq!(early, plainly(&data[..end]), "the plain reader, of {end} bytes");
        assert!(early == Ok(None) || early == read, "{end} bytes tell what more of them do not");
    }
    if data.len() >= HEADER_BYTES_MAX {
        assert_ne!(read, Ok(None), "no header is longer");
    }
    if let Ok(Some((header, len))) = read {
        assert_eq!(written(header), data[..len], "there is one way to write a header");
        assert_eq!(FrameHeader::decode(&data[..len - 1]), Ok(None), "no byte of it is left out");
    }
    if let Some(said) = data.first_chunk() {
        is_read_as_it_was_written(said);
    }
    read
}

fn plainly(data: &[u8]) -> Read {
    let of_opcode = |opcode| Opcode::from_bits(opcode).expect("the plain reader knows it");
    slow_header::header(data).map(|header| {
        header.map(|Header { fin, rsv, opcode, key, header_len, payload_len }| {
            let opcode = of_opcode(opcode);
            (FrameHeader { fin, rsv, opcode, mask: key, payload_len }, header_len)
        })
    })
}

fn written(header: FrameHeader) -> Vec<u8> {
    let mut bytes = Vec::new();
    header.encode(&mut bytes);
    assert_eq!(bytes.len(), header.encoded_len());
    bytes
}

fn is_read_as_it_was_written(&[flags, shift, rest @ ..]: &[u8; HEADER_BYTES_MAX]) {
    const OPCODES: [Opcode; 6] = [
        Opcode::Continuation,
        Opcode::Text,
        Opcode::Binary,
        Opcode::Close,
        Opcode::Ping,
        Opcode::Pong,
    ];
    let [a, b, c, d, e, f, g, h, key @ ..] = rest;
    let opcode = OPCODES[usize::from(flags >> 4) % OPCODES.len()];
    // Lengths of all widths are as likely.
    let payload_len = u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1 >> (shift % 63);
    let header = FrameHeader {
        fin: flags & 1 != 0 || opcode.is_control(),
        rsv: flags >> 1 & 7,
        opcode,
        mask: (shift & 0x80 != 0).then_some(key),
        payload_len: if opcode.is_control() { payload_len % 126 } else { payload_len },
    };
    let bytes = written(header);
    assert_eq!(FrameHeader::decode(&bytes), Ok(Some((header, bytes.len()))));
    assert_eq!(plainly(&bytes), Ok(Some((header, bytes.len()))));
}
