//! Decodes and encodes the header of a frame (RFC 6455 §5.2).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-------+-+-------------+-------------------------------+
//! |F|R|R|R| opcode|M| length:     | 126: length in 2 bytes        |
//! |I|S|S|S| 4 bits|A| 0–125,      | 127: length in 8 bytes        |
//! |N|V|V|V|       |S| 126, 127    |                               |
//! | |1|2|3|       |K|             |                               |
//! +-+-+-+-+-------+-+-------------+-------------------------------+
//! | … length, then 4 bytes of masking key if MASK is set          |
//! +---------------------------------------------------------------+
//! ```
//!
//! Checks only what a single header shows. `endpoint` checks what depends on the role, on earlier
//! frames or on the negotiation.

use crate::protocol::{MaskKey, Opcode, Violation};

/// The longest header: 2 bytes, 8 of length, 4 of key.
pub const HEADER_BYTES_MAX: usize = 14;
/// RFC 6455 §5.5: a control frame has at most 125 bytes of payload.
pub const CONTROL_PAYLOAD_BYTES_MAX: u64 = 125;

const FIN: u8 = 0x80;
const RSV: u8 = 0x70;
const OPCODE: u8 = 0x0F;
const MASK: u8 = 0x80;
const LENGTH: u8 = 0x7F;
const LENGTH_IN_2_BYTES: u8 = 126;
const LENGTH_IN_8_BYTES: u8 = 127;

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Whether this frame ends its message.
    pub fin: bool,
    /// The bits RSV1, RSV2 and RSV3, from the highest of three to the lowest.
    pub rsv: u8,
    /// The kind of frame.
    pub opcode: Opcode,
    /// The masking key, if the payload is masked.
    pub mask: Option<MaskKey>,
    /// Bytes of payload; at most 2^63 − 1.
    pub payload_len: u64,
}

impl FrameHeader {
    /// Reads the header at the beginning of `bytes`: the header and its length (2–14 bytes).
    /// `Ok(None)` if it is incomplete.
    ///
    /// # Errors
    /// The first [`Violation`] in byte order, as soon as the bytes show it: a header that arrives
    /// byte by byte fails with the same violation as one that arrives whole.
    #[inline]
    pub fn decode(bytes: &[u8]) -> Result<Option<(FrameHeader, usize)>, Violation> {
        let [first, after_first @ ..] = bytes else {
            return Ok(None);
        };
        let fin = first & FIN != 0;
        let rsv = (first & RSV) >> 4;
        let opcode = Opcode::from_bits(first & OPCODE).ok_or(Violation::ReservedOpcode)?;
        // RFC 6455 §5.5: control frames must not be fragmented.
        if opcode.is_control() && !fin {
            return Err(Violation::ControlFragmented);
        }
        let [second, after_second @ ..] = after_first else {
            return Ok(None);
        };
        // RFC 6455 §5.5: control frames have at most 125 bytes, so the short form always suffices.
        if opcode.is_control() && u64::from(second & LENGTH) > CONTROL_PAYLOAD_BYTES_MAX {
            return Err(Violation::ControlTooLong);
        }
        let (payload_len, rest) = match second & LENGTH {
            LENGTH_IN_2_BYTES => {
                let Some((length, rest)) = after_second.split_first_chunk::<2>() else {
                    return Ok(None);
                };
                let length = u64::from(u16::from_be_bytes(*length));
                // RFC 6455 §5.2: the minimal number of bytes must be used to encode the length.
                if length < 126 {
                    return Err(Violation::LengthNotMinimal);
                }
                (length, rest)
            }
            LENGTH_IN_8_BYTES => {
                let Some((length, rest)) = after_second.split_first_chunk::<8>() else {
                    return Ok(None);
                };
                let length = u64::from_be_bytes(*length);
                // RFC 6455 §5.2: the most significant bit must be 0.
                if length > i64::MAX as u64 {
                    return Err(Violation::LengthTopBit);
                }
                if length <= 0xFFFF {
                    return Err(Violation::LengthNotMinimal);
                }
                (length, rest)
            }
            length => (u64::from(length), after_second),
        };
        let (mask, rest) = if second & MASK != 0 {
            let Some((key, rest)) = rest.split_first_chunk::<4>() else {
                return Ok(None);
            };
            (Some(*key), rest)
        } else {
            (None, rest)
        };
        let header = FrameHeader { fin, rsv, opcode, mask, payload_len };
        Ok(Some((header, bytes.len() - rest.len())))
    }

    /// Bytes of the encoded header.
    #[must_use]
    pub const fn encoded_len(&self) -> usize {
        let length_bytes = match self.payload_len {
            0..=125 => 0,
            126..=0xFFFF => 2,
            _ => 8,
        };
        2 + length_bytes + if self.mask.is_some() { 4 } else { 0 }
    }

    /// Appends the header to `into`, with the length in its shortest form.
    #[inline]
    pub fn encode(&self, into: &mut Vec<u8>) {
        let mask_bit = if self.mask.is_some() { MASK } else { 0 };
        let fin_bit = if self.fin { FIN } else { 0 };
        let first = fin_bit | (self.rsv << 4) & RSV | self.opcode.bits();
        match self.payload_len {
            length @ 0..=125 => into.extend_from_slice(&[first, mask_bit | length as u8]),
            length @ 126..=0xFFFF => {
                let [a, b] = (length as u16).to_be_bytes();
                into.extend_from_slice(&[first, mask_bit | LENGTH_IN_2_BYTES, a, b]);
            }
            length => {
                into.extend_from_slice(&[first, mask_bit | LENGTH_IN_8_BYTES]);
                into.extend_from_slice(&length.to_be_bytes());
            }
        }
        if let Some(key) = self.mask {
            into.extend_from_slice(&key);
        }
    }
}

/// The header of a short message alone in its frame, without reserved bits: what most frames have.
/// [`FrameHeader`] reads and writes the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ShortHeader {
    /// Text or Binary.
    pub(super) opcode: Opcode,
    /// A client masks each frame.
    pub(super) key: MaskKey,
    /// Bytes of payload; at most 125.
    pub(super) payload_len: u8,
}

impl ShortHeader {
    /// Its length, with the key.
    pub(super) const BYTES: usize = 2 + size_of::<MaskKey>();

    /// Reads a client's; `None` for any other header, and for an incomplete one.
    #[inline]
    pub(super) fn decode(bytes: &[u8]) -> Option<ShortHeader> {
        const TEXT_ALONE: u8 = FIN | Opcode::Text.bits();
        const BINARY_ALONE: u8 = FIN | Opcode::Binary.bits();
        const MASKED_125: u8 = MASK | 125;
        let [first, second, key @ ..] = *bytes.first_chunk::<{ ShortHeader::BYTES }>()?;
        let opcode = match first {
            TEXT_ALONE => Opcode::Text,
            BINARY_ALONE => Opcode::Binary,
            _ => return None,
        };
        match second {
            MASK..=MASKED_125 => Some(ShortHeader { opcode, key, payload_len: second & LENGTH }),
            _ => None,
        }
    }

    /// Writes a server's, if the payload is short.
    #[inline]
    pub(super) const fn encode(opcode: Opcode, payload: &[u8]) -> Option<[u8; 2]> {
        match payload.len() {
            length @ 0..=125 => Some([FIN | opcode.bits(), length as u8]),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(header: FrameHeader) -> Vec<u8> {
        let mut bytes = Vec::new();
        header.encode(&mut bytes);
        bytes
    }

    fn text(payload_len: u64) -> FrameHeader {
        FrameHeader { fin: true, rsv: 0, opcode: Opcode::Text, mask: None, payload_len }
    }

    #[test]
    fn the_examples_of_section_5_7_decode_and_encode() {
        let key = Some([0x37, 0xfa, 0x21, 0x3d]);
        let frame =
            |fin, opcode, mask, payload_len| FrameHeader { fin, rsv: 0, opcode, mask, payload_len };
        for (bytes, header) in [
            (&[0x81, 0x05][..], frame(true, Opcode::Text, None, 5)),
            (&[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d], frame(true, Opcode::Text, key, 5)),
            (&[0x01, 0x03], frame(false, Opcode::Text, None, 3)),
            (&[0x80, 0x02], frame(true, Opcode::Continuation, None, 2)),
            (&[0x89, 0x05], frame(true, Opcode::Ping, None, 5)),
            (&[0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d], frame(true, Opcode::Pong, key, 5)),
            (&[0x82, 0x7E, 0x01, 0x00], frame(true, Opcode::Binary, None, 256)),
            (&[0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0], frame(true, Opcode::Binary, None, 65_536)),
        ] {
            assert_eq!(FrameHeader::decode(bytes), Ok(Some((header, bytes.len()))));
            assert_eq!(encoded(header), bytes);
        }
    }

    #[test]
    fn all_two_byte_prefixes_are_judged_as_the_clauses_say() {
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                let control = first & 0x08 != 0;
                let expected = if !matches!(first & 0x0F, 0..=2 | 8..=10) {
                    Err(Violation::ReservedOpcode)
                } else if control && first & 0x80 == 0 {
                    Err(Violation::ControlFragmented)
                } else if control && second & 0x7F > 125 {
                    Err(Violation::ControlTooLong)
                } else if second & 0x80 != 0 || second & 0x7F > 125 {
                    Ok(None)
                } else {
                    Ok(Some((
                        FrameHeader {
                            fin: first & 0x80 != 0,
                            rsv: first >> 4 & 7,
                            opcode: Opcode::from_bits(first & 0x0F).unwrap(),
                            mask: None,
                            payload_len: u64::from(second),
                        },
                        2,
                    )))
                };
                assert_eq!(
                    FrameHeader::decode(&[first, second]),
                    expected,
                    "{first:02x} {second:02x}"
                );
            }
        }
    }

    #[test]
    fn lengths_at_every_boundary_take_their_shortest_form_and_come_back() {
        for (length, header_len) in [
            (0, 2),
            (1, 2),
            (125, 2),
            (126, 4),
            (127, 4),
            (0xFF, 4),
            (0x100, 4),
            (0xFFFF, 4),
            (0x1_0000, 10),
            (1 << 32, 10),
            (1 << 62, 10),
            ((1 << 63) - 1, 10),
        ] {
            let bytes = encoded(text(length));
            assert_eq!(bytes.len(), header_len);
            if length <= 0x100 {
                let payload = vec![0; length as usize];
                let short = ShortHeader::encode(Opcode::Text, &payload);
                assert_eq!(short, (length <= 125).then(|| [bytes[0], bytes[1]]));
            }
            assert_eq!(FrameHeader::decode(&bytes), Ok(Some((text(length), header_len))));
        }
    }

    #[test]
    fn a_short_header_is_what_the_long_way_reads() {
        for first in 0..=u8::MAX {
            for second in 0..=u8::MAX {
                let bytes = [first, second, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
                let long = FrameHeader::decode(&bytes).ok().flatten();
                let is_short = |header: &FrameHeader| {
                    let is_message = matches!(header.opcode, Opcode::Text | Opcode::Binary);
                    header.fin && header.rsv == 0 && is_message && header.payload_len <= 125
                };
                let expected = long.filter(|(header, _)| is_short(header));
                let expected = expected.and_then(|(header, len)| {
                    assert!(header.mask.is_none() || len == ShortHeader::BYTES);
                    let payload_len = header.payload_len as u8;
                    Some(ShortHeader { opcode: header.opcode, key: header.mask?, payload_len })
                });
                assert_eq!(ShortHeader::decode(&bytes), expected, "{first:02x} {second:02x}");
                assert_eq!(ShortHeader::decode(&bytes[..ShortHeader::BYTES - 1]), None);
            }
        }
    }

    #[test]
    fn a_length_that_is_not_minimal_is_refused() {
        for length in [0u16, 1, 125] {
            let bytes = [&[0x81, 126][..], &length.to_be_bytes()].concat();
            assert_eq!(FrameHeader::decode(&bytes), Err(Violation::LengthNotMinimal));
        }
        for length in [0u64, 125, 126, 0xFFFF] {
            let bytes = [&[0x81, 127][..], &length.to_be_bytes()].concat();
            assert_eq!(FrameHeader::decode(&bytes), Err(Violation::LengthNotMinimal));
        }
    }

    #[test]
    fn a_64_bit_length_with_its_top_bit_set_is_refused() {
        for length in [1u64 << 63, u64::MAX] {
            let bytes = [&[0x82, 127][..], &length.to_be_bytes()].concat();
            assert_eq!(FrameHeader::decode(&bytes), Err(Violation::LengthTopBit));
        }
    }

    prop_compose! {
        fn any_header()(
            control: bool, pick in 0usize..3, fin: bool, rsv in 0u8..8, mask: Option<[u8; 4]>,
            small in 0u64..=125, shift in 0u32..63, wide: u64,
        ) -> FrameHeader {
            let data = [Opcode::Continuation, Opcode::Text, Opcode::Binary];
            let controls = [Opcode::Close, Opcode::Ping, Opcode::Pong];
            if control {
                FrameHeader { fin: true, rsv, opcode: controls[pick], mask, payload_len: small }
            } else {
                let payload_len = wide >> 1 >> shift;
                FrameHeader { fin, rsv, opcode: data[pick], mask, payload_len }
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself_and_no_earlier(header in any_header()) {
            let bytes = encoded(header);
            prop_assert!(bytes.len() <= HEADER_BYTES_MAX && bytes.len() == header.encoded_len());
            prop_assert_eq!(FrameHeader::decode(&bytes), Ok(Some((header, bytes.len()))));
            for end in 0..bytes.len() {
                prop_assert_eq!(FrameHeader::decode(&bytes[..end]), Ok(None));
            }
        }

        #[test]
        fn a_violation_is_the_same_at_every_later_byte(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            let mut first = None;
            for end in 0..=bytes.len() {
                let decoded = FrameHeader::decode(&bytes[..end]);
                if let Some(first) = first {
                    prop_assert_eq!(decoded, first);
                } else if decoded != Ok(None) {
                    first = Some(decoded);
                }
            }
        }
    }
}
