//! Frames of RFC 6455 §5.2 as the floor and the load generator need them: unfragmented messages,
//! nothing judged.

/// FIN and the opcode of a text message.
pub const TEXT: u8 = 0x81;
/// FIN and the opcode of a binary message.
pub const BINARY: u8 = 0x82;
pub const CLOSE: u8 = 0x88;
pub const PING: u8 = 0x89;
pub const PONG: u8 = 0x8A;
/// RSV1 of the first byte: the message is compressed (RFC 7692 §6).
pub const COMPRESSED: u8 = 0x40;
/// The longest header: two bytes, eight of length, four of key.
pub const HEADER_BYTES_MAX: usize = 14;

const MASKED: u8 = 0x80;

pub type Key = [u8; 4];

/// What stands before a payload.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// FIN, reserved bits and opcode.
    pub first: u8,
    pub key: Option<Key>,
    pub header_len: usize,
    pub payload_len: usize,
}

impl Header {
    /// Reads the header at the beginning of `bytes`, if it is all there.
    #[inline]
    pub fn decode(bytes: &[u8]) -> Option<Header> {
        let (&first, &second) = (bytes.first()?, bytes.get(1)?);
        let (payload_len, key_at) = match second & !MASKED {
            126 => (u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?) as usize, 4),
            127 => (u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?) as usize, 10),
            short => (short as usize, 2),
        };
        if second & MASKED == 0 {
            return Some(Header { first, key: None, header_len: key_at, payload_len });
        }
        let key = *bytes.get(key_at..)?.first_chunk()?;
        Some(Header { first, key: Some(key), header_len: key_at + 4, payload_len })
    }

    /// Bytes of the whole frame.
    pub fn frame_len(&self) -> usize {
        self.header_len + self.payload_len
    }
}

/// How long the header of a server's frame is.
#[inline]
pub fn server_header_len(payload_len: usize) -> usize {
    match payload_len {
        0..=125 => 2,
        126..=0xFFFF => 4,
        _ => 10,
    }
}

/// Writes a header without a key that ends where `into` ends; tells where it begins.
#[inline]
pub fn put_server_header(into: &mut [u8], first: u8, payload_len: usize) -> usize {
    let start = into.len() - server_header_len(payload_len);
    let header = &mut into[start..];
    header[0] = first;
    match payload_len {
        0..=125 => header[1] = payload_len as u8,
        126..=0xFFFF => {
            header[1] = 126;
            header[2..].copy_from_slice(&(payload_len as u16).to_be_bytes());
        }
        _ => {
            header[1] = 127;
            header[2..].copy_from_slice(&(payload_len as u64).to_be_bytes());
        }
    }
    start
}

/// Writes a client's header to the end of `into`.
pub fn put_client_header(into: &mut Vec<u8>, first: u8, payload_len: usize, key: Key) {
    let mut header = [0; HEADER_BYTES_MAX];
    let start = put_server_header(&mut header, first, payload_len);
    header[start + 1] |= MASKED;
    into.extend_from_slice(&header[start..]);
    into.extend_from_slice(&key);
}

/// Masks or unmasks in place, eight bytes at a time; `offset` is the place of the first byte in its
/// payload.
#[inline]
pub fn mask(payload: &mut [u8], mut key: Key, offset: usize) {
    key.rotate_left(offset % 4);
    let [a, b, c, d] = key;
    let wide_key = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide_key).to_ne_bytes();
    }
    for (byte, key_byte) in rest.iter_mut().zip([a, b, c, d, a, b, c, d]) {
        *byte ^= key_byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_writes_is_read_again() {
        for len in [0, 1, 125, 126, 65_535, 65_536] {
            let mut bytes = Vec::new();
            put_client_header(&mut bytes, TEXT, len, [1, 2, 3, 4]);
            for cut in 0..bytes.len() {
                assert!(Header::decode(&bytes[..cut]).is_none());
            }
            let header = Header::decode(&bytes).unwrap();
            assert_eq!((header.first, header.key), (TEXT, Some([1, 2, 3, 4])));
            assert_eq!((header.header_len, header.payload_len), (bytes.len(), len));
        }
    }

    #[test]
    fn masking_in_pieces_is_masking_whole() {
        let mut whole: Vec<u8> = (0..100).collect();
        let mut pieces = whole.clone();
        mask(&mut whole, [5, 6, 7, 8], 0);
        mask(&mut pieces[..37], [5, 6, 7, 8], 0);
        mask(&mut pieces[37..], [5, 6, 7, 8], 37);
        assert_eq!(whole, pieces);
        assert_eq!(whole[41], 41 ^ 6);
    }
}
