//! Frames as somebody might send them, wrong ones as well: `protocol` makes only right ones.

use crate::protocol::{MaskKey, Role, mask};

/// FIN and the opcode of a text (RFC 6455 §5.2).
pub(super) const TEXT: u8 = 0x81;
pub(super) const BINARY: u8 = 0x82;
pub(super) const CLOSE: u8 = 0x88;
pub(super) const PING: u8 = 0x89;
pub(super) const PONG: u8 = 0x8A;
/// A message that goes on: no FIN.
pub(super) const TEXT_BEGIN: u8 = 0x01;
pub(super) const BINARY_BEGIN: u8 = 0x02;
pub(super) const MIDDLE: u8 = 0x00;
pub(super) const LAST: u8 = 0x80;

/// The masking key of RFC 6455 §5.7.
const KEY: MaskKey = [0x37, 0xfa, 0x21, 0x3d];

/// How the length is written.
#[derive(Clone, Copy, Debug)]
enum LengthForm {
    Shortest,
    /// In 16 bits behind a 126, however short it is.
    Two,
    /// In 64 bits behind a 127, however short it is.
    Eight,
    /// In 64 bits; the payload is another.
    Claimed(u64),
}

/// A frame.
#[derive(Clone, Debug)]
pub(super) struct RawFrame {
    first: u8,
    length: LengthForm,
    payload: Vec<u8>,
    key: MaskKey,
    /// Masked by a server, not by a client.
    is_masked_wrong: bool,
}

impl RawFrame {
    pub(super) fn new(first: u8, payload: impl Into<Vec<u8>>) -> RawFrame {
        let (length, payload) = (LengthForm::Shortest, payload.into());
        RawFrame { first, length, payload, key: KEY, is_masked_wrong: false }
    }

    /// A Close with this code, as it is.
    pub(super) fn close(code: u16, reason: &[u8]) -> RawFrame {
        RawFrame::new(CLOSE, [&code.to_be_bytes(), reason].concat())
    }

    pub(super) fn with_wrong_mask(self) -> RawFrame {
        RawFrame { is_masked_wrong: true, ..self }
    }

    pub(super) fn with_key(self, key: MaskKey) -> RawFrame {
        RawFrame { key, ..self }
    }

    pub(super) fn with_two_bytes(self) -> RawFrame {
        RawFrame { length: LengthForm::Two, ..self }
    }

    pub(super) fn with_eight_bytes(self) -> RawFrame {
        RawFrame { length: LengthForm::Eight, ..self }
    }

    pub(super) fn claiming(self, len: u64) -> RawFrame {
        RawFrame { length: LengthForm::Claimed(len), ..self }
    }

    /// The bytes of the frame, sent by this end.
    pub(super) fn to_bytes(&self, role: Role) -> Vec<u8> {
        let is_masked = (role == Role::Client) != self.is_masked_wrong;
        let mask_bit = if is_masked { 0x80 } else { 0 };
        let len = self.payload.len() as u64;
        let mut bytes = vec![self.first];
        match self.length {
            LengthForm::Shortest if len < 126 => bytes.push(mask_bit | len as u8),
            LengthForm::Shortest if len > 0xFFFF => long(&mut bytes, mask_bit, len),
            LengthForm::Shortest | LengthForm::Two => {
                bytes.push(mask_bit | 126);
                bytes.extend_from_slice(&(len as u16).to_be_bytes());
            }
            LengthForm::Eight => long(&mut bytes, mask_bit, len),
            LengthForm::Claimed(len) => long(&mut bytes, mask_bit, len),
        }
        if is_masked {
            bytes.extend_from_slice(&self.key);
        }
        let begin = bytes.len();
        bytes.extend_from_slice(&self.payload);
        if is_masked {
            mask::apply(&mut bytes[begin..], self.key, 0);
        }
        bytes
    }
}

fn long(bytes: &mut Vec<u8>, mask_bit: u8, len: u64) {
    bytes.push(mask_bit | 127);
    bytes.extend_from_slice(&len.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_section_5_7() {
        let hello = RawFrame::new(TEXT, "Hello");
        assert_eq!(hello.to_bytes(Role::Server), b"\x81\x05Hello");
        let masked = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(hello.to_bytes(Role::Client), masked);
        assert_eq!(hello.clone().with_wrong_mask().to_bytes(Role::Client), b"\x81\x05Hello");
        assert_eq!(hello.clone().with_wrong_mask().to_bytes(Role::Server), masked);
        let ping = RawFrame::new(PING, "Hello").with_two_bytes();
        assert_eq!(ping.to_bytes(Role::Server), b"\x89\x7e\x00\x05Hello");
        let begin = RawFrame::new(BINARY, [0; 256]).to_bytes(Role::Server);
        assert_eq!(begin[..4], [0x82, 0x7e, 0x01, 0x00]);
        let begin = RawFrame::new(BINARY, [0; 65_536]).to_bytes(Role::Server);
        assert_eq!(begin[..10], [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]);
        let claims = RawFrame::new(BINARY, "").claiming(1 << 40).to_bytes(Role::Server);
        assert_eq!(claims, [0x82, 0x7f, 0, 0, 1, 0, 0, 0, 0, 0]);
        assert_eq!(RawFrame::close(1000, b"bye").to_bytes(Role::Server), b"\x88\x05\x03\xe8bye");
    }
}
