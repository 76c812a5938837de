//! The header of a frame (RFC 6455 §5.2) as plainly as it can be read. It shares no code with
//! `protocol::frame_header`, which it is there to contradict.

use parlor::protocol::Violation;

pub(crate) struct Header {
    pub(crate) fin: bool,
    pub(crate) rsv: u8,
    pub(crate) opcode: u8,
    pub(crate) key: Option<[u8; 4]>,
    pub(crate) header_len: usize,
    pub(crate) payload_len: u64,
}

/// §5.2: the header at the beginning of `bytes`; `None` if it is not all there.
pub(crate) fn header(bytes: &[u8]) -> Result<Option<Header>, Violation> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    let opcode = first % 16;
    let is_control = opcode >= 8;
    if ![0, 1, 2, 8, 9, 10].contains(&opcode) {
        return Err(Violation::ReservedOpcode);
    }
    let fin = first >= 128;
    if is_control && !fin {
        return Err(Violation::ControlFragmented);
    }
    let Some(&second) = bytes.get(1) else { return Ok(None) };
    let (is_masked, short_len) = (second >= 128, second % 128);
    if is_control && short_len > 125 {
        return Err(Violation::ControlTooLong);
    }
    let len_bytes = match short_len {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let Some(extended) = bytes.get(2..2 + len_bytes) else { return Ok(None) };
    let extended = extended.iter().fold(0, |len, byte| len * 256 + u64::from(*byte));
    let payload_len = match short_len {
        126 if extended < 126 => return Err(Violation::LengthNotMinimal),
        127 if extended >= 1 << 63 => return Err(Violation::LengthTopBit),
        127 if extended < 65_536 => return Err(Violation::LengthNotMinimal),
        126 | 127 => extended,
        short => u64::from(short),
    };
    let key_start = 2 + len_bytes;
    let key = match (is_masked, bytes.get(key_start..key_start + 4)) {
        (false, _) => None,
        (true, None) => return Ok(None),
        (true, Some(key)) => Some([key[0], key[1], key[2], key[3]]),
    };
    let header_len = key_start + if is_masked { 4 } else { 0 };
    Ok(Some(Header { fin, rsv: first / 16 % 8, opcode, key, header_len, payload_len }))
}
