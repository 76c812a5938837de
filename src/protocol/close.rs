//! Status codes and body of a Close frame (RFC 6455 §5.5.1, §7.4).
//!
//! The closing handshake itself is in `endpoint/closing.rs`.

use crate::protocol::violation::Violation;

/// Longest reason in a Close frame: a control frame's 125 bytes less two for the code
/// (RFC 6455 §5.5).
pub const REASON_BYTES_MAX: usize = 123;

/// Why a WebSocket is closed (RFC 6455 §7.4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// 1000: the connection has served its purpose.
    pub const NORMAL: CloseCode = CloseCode(1000);
    /// 1001: the server shuts down, or the browser leaves the page.
    pub const GOING_AWAY: CloseCode = CloseCode(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: CloseCode = CloseCode(1002);
    /// 1003: this endpoint does not accept that kind of data.
    pub const UNSUPPORTED_DATA: CloseCode = CloseCode(1003);
    /// 1007: data that does not match its message type, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: CloseCode = CloseCode(1007);
    /// 1008: the message violates this endpoint's policy.
    pub const POLICY: CloseCode = CloseCode(1008);
    /// 1009: the message is too large.
    pub const TOO_BIG: CloseCode = CloseCode(1009);
    /// 1011: the server met an unexpected condition.
    pub const INTERNAL_ERROR: CloseCode = CloseCode(1011);
    /// 1012: the server restarts.
    pub const RESTART: CloseCode = CloseCode(1012);
    /// 1013: try again later.
    pub const TRY_AGAIN_LATER: CloseCode = CloseCode(1013);

    /// Whether a frame may carry the code: RFC 6455 §7.4.1 keeps 1004, 1005, 1006 and 1015 off the
    /// wire; 1012–1014 are registered (§11.7); §7.4.2 leaves 3000–4999 to libraries and
    /// applications and reserves the others.
    #[must_use]
    pub const fn may_be_sent(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

impl std::fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl std::fmt::Display for CloseCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a code means (RFC 6455 §7.4.1, §7.4.2, §11.7), in a few words.
#[must_use]
pub const fn meaning(code: u16) -> &'static str {
    match code {
        1000 => "normal closure",
        1001 => "going away",
        1002 => "protocol error",
        1003 => "unsupported data",
        1004..=1006 | 1015 => "reserved, never in a frame",
        1007 => "invalid payload data",
        1008 => "policy violation",
        1009 => "message too big",
        1010 => "an extension is missing",
        1011 => "internal error",
        1012 => "service restart",
        1013 => "try again later",
        1014 => "bad gateway",
        3000..=3999 => "a library's or framework's",
        4000..=4999 => "the application's own",
        _ => "not to be used",
    }
}

/// Reads a Close frame's body: nothing, or a code and a reason.
///
/// # Errors
/// The [`Violation`] in the body.
pub fn parse_body(body: &[u8]) -> Result<(Option<CloseCode>, &str), Violation> {
    match body {
        [] => Ok((None, "")),
        // RFC 6455 §5.5.1: if there is a body, its first two bytes must be a code.
        [_] => Err(Violation::CloseBodyOneByte),
        [high, low, reason @ ..] => {
            let code = CloseCode(u16::from_be_bytes([*high, *low]));
            if !code.may_be_sent() {
                return Err(Violation::CloseCodeInvalid);
            }
            let reason = std::str::from_utf8(reason).map_err(|_| Violation::CloseReasonNotUtf8)?;
            Ok((Some(code), reason))
        }
    }
}

/// Writes a Close frame's body. A reason that does not fit is cut between two characters.
#[must_use]
pub fn body(code: Option<CloseCode>, reason: &str) -> Vec<u8> {
    let Some(code) = code else { return Vec::new() };
    let reason = &reason[..reason.floor_char_boundary(REASON_BYTES_MAX)];
    let mut body = Vec::with_capacity(2 + reason.len());
    body.extend_from_slice(&code.0.to_be_bytes());
    body.extend_from_slice(reason.as_bytes());
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_judged_as_section_7_4_says() {
        for code in 0..=u16::MAX {
            let allowed = match code {
                0..=999 => false,
                1000..=1003 | 1007..=1014 => true,
                1004..=1006 | 1015..=2999 => false,
                3000..=4999 => true,
                5000.. => false,
            };
            assert_eq!(CloseCode(code).may_be_sent(), allowed, "{code}");
            let body = code.to_be_bytes();
            let expected = if allowed {
                Ok((Some(CloseCode(code)), ""))
            } else {
                Err(Violation::CloseCodeInvalid)
            };
            assert_eq!(parse_body(&body), expected);
        }
    }

    #[test]
    fn a_body_is_empty_or_a_code_and_a_reason() {
        assert_eq!(parse_body(b""), Ok((None, "")));
        assert_eq!(parse_body(b"\x03"), Err(Violation::CloseBodyOneByte));
        assert_eq!(parse_body(b"\x03\xe8bye"), Ok((Some(CloseCode::NORMAL), "bye")));
        assert_eq!(parse_body(b"\x03\xe8\xff"), Err(Violation::CloseReasonNotUtf8));
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let reason = "é".repeat(100);
        let written = body(Some(CloseCode::NORMAL), &reason);
        assert_eq!(written.len(), 2 + 122);
        assert_eq!(parse_body(&written).unwrap().1, "é".repeat(61));
        assert_eq!(body(None, "unsaid"), b"");
    }
}
