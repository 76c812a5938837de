//! What the messages say: a number that tells whose and which message it is, and words.

use parlor_peers::frame::{self, Key};

/// The number, in hexadecimal digits.
pub(crate) const NUMBER_BYTES: usize = 16;

/// Any key does; servers must not care.
const KEY: Key = [0x37, 0xfa, 0x21, 0x3d];

pub(crate) type Number = [u8; NUMBER_BYTES];

/// The number of a group's message.
pub(crate) fn number(group: usize, message: u64) -> Number {
    let value = (group as u64) << 40 | message & 0xFF_FFFF_FFFF;
    std::array::from_fn(|place| b"0123456789abcdef"[(value >> (60 - 4 * place) & 15) as usize])
}

/// `bytes` of words, of which the first are to be the number. Always the same, and such that
/// compressing them is neither for nothing nor a trick.
pub(crate) fn words(bytes: usize) -> Vec<u8> {
    const WORDS: &str = "the of and to in is you that it he was for on are as with his they at be \
        this have from or one had by word but not what all were we when your can said there use an \
        each which she do how their if will up other about out many then them these so some her \
        would make like him into time has look two more write go see number no way could people my \
        than first water been call who oil its now find long down day did get come made may part";
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let mut chance: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut text = Vec::with_capacity(bytes + 16);
    while text.len() < bytes {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        text.extend_from_slice(words[(chance >> 33) as usize % words.len()].as_bytes());
        text.push(b' ');
    }
    text.truncate(bytes);
    text
}

/// A client's frame that lacks nothing but its number.
#[derive(Debug)]
pub(crate) struct Template {
    frame: Vec<u8>,
    number_at: usize,
    /// The key as it meets the number.
    number_key: Key,
}

impl Template {
    /// A frame with `body` behind `addressee`.
    pub(crate) fn new(first: u8, addressee: &str, body: &[u8]) -> Template {
        let mut frame = Vec::new();
        frame::put_client_header(&mut frame, first, addressee.len() + body.len(), KEY);
        let payload_at = frame.len();
        frame.extend_from_slice(addressee.as_bytes());
        frame.extend_from_slice(body);
        frame::mask(&mut frame[payload_at..], KEY, 0);
        let mut number_key = KEY;
        number_key.rotate_left(addressee.len() % 4);
        Template { frame, number_at: payload_at + addressee.len(), number_key }
    }

    pub(crate) fn frame_len(&self) -> usize {
        self.frame.len()
    }

    /// Writes the frame with this number.
    pub(crate) fn put(&self, into: &mut Vec<u8>, mut number: Number) {
        let start = into.len() + self.number_at;
        into.extend_from_slice(&self.frame);
        frame::mask(&mut number, self.number_key, 0);
        into[start..start + NUMBER_BYTES].copy_from_slice(&number);
    }
}

/// A client's frame that is sent seldom.
pub(crate) fn control_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    frame::put_client_header(&mut frame, first, payload.len(), KEY);
    let payload_at = frame.len();
    frame.extend_from_slice(payload);
    frame::mask(&mut frame[payload_at..], KEY, 0);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use parlor_peers::frame::Header;

    #[test]
    fn a_frame_says_what_it_should() {
        for addressee in ["", "7 ", "249 "] {
            let template = Template::new(frame::TEXT, addressee, &words(40));
            let mut bytes = Vec::new();
            template.put(&mut bytes, number(3, 0xABC));
            let header = Header::decode(&bytes).unwrap();
            frame::mask(&mut bytes[header.header_len..], header.key.unwrap(), 0);
            let text = str::from_utf8(&bytes[header.header_len..]).unwrap();
            let words = String::from_utf8(words(40)).unwrap();
            assert_eq!(text, format!("{addressee}0000030000000abc{}", &words[NUMBER_BYTES..]));
        }
    }
}
