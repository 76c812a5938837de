//! The table of all protocol violations: clause, close code and sentence.

use crate::protocol::close::CloseCode;
use std::fmt;

macro_rules! violations {
    ($($name:ident, $clause:literal, $code:ident, $sentence:literal;)+) => {
        /// A way in which received bytes break the protocol.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Violation {
            $(#[doc = concat!($sentence, " (", $clause, ").")] $name,)+
        }

        impl Violation {
            /// Every violation, in the order of the table.
            pub const ALL: &'static [Violation] = &[$(Violation::$name,)+];

            /// The violated clause.
            #[must_use]
            pub const fn clause(self) -> &'static str {
                match self { $(Violation::$name => $clause,)+ }
            }

            /// The close code with which the connection is failed (RFC 6455 §7.1.7).
            #[must_use]
            pub const fn close_code(self) -> CloseCode {
                match self { $(Violation::$name => CloseCode::$code,)+ }
            }

            /// What happened, as a sentence without its full stop.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Violation::$name => $sentence,)+ }
            }
        }
    };
}

violations! {
    ReservedBits,             "RFC 6455 §5.2",   PROTOCOL_ERROR,  "a reserved bit is set that no extension gave a meaning";
    ReservedOpcode,           "RFC 6455 §5.2",   PROTOCOL_ERROR,  "the opcode is reserved";
    LengthNotMinimal,         "RFC 6455 §5.2",   PROTOCOL_ERROR,  "the payload length is not in its shortest form";
    LengthTopBit,             "RFC 6455 §5.2",   PROTOCOL_ERROR,  "the most significant bit of a 64-bit payload length is set";
    MaskMissing,              "RFC 6455 §5.1",   PROTOCOL_ERROR,  "a client's frame is not masked";
    MaskUnexpected,           "RFC 6455 §5.1",   PROTOCOL_ERROR,  "a server's frame is masked";
    ControlFragmented,        "RFC 6455 §5.5",   PROTOCOL_ERROR,  "a control frame is fragmented";
    ControlTooLong,           "RFC 6455 §5.5",   PROTOCOL_ERROR,  "a control frame has more than 125 bytes of payload";
    ContinuationWithoutStart, "RFC 6455 §5.4",   PROTOCOL_ERROR,  "a continuation frame has no message to go on with";
    MessageWithinMessage,     "RFC 6455 §5.4",   PROTOCOL_ERROR,  "a message begins before the last one has ended";
    CloseBodyOneByte,         "RFC 6455 §5.5.1", PROTOCOL_ERROR,  "the body of a Close frame has a single byte";
    CloseCodeInvalid,         "RFC 6455 §7.4",   PROTOCOL_ERROR,  "the status code of a Close frame must not be sent";
    CloseReasonNotUtf8,       "RFC 6455 §5.5.1", INVALID_PAYLOAD, "the reason of a Close frame is not UTF-8";
    TextNotUtf8,              "RFC 6455 §8.1",   INVALID_PAYLOAD, "a text message is not UTF-8";
    CompressedBitMisplaced,   "RFC 7692 §6.1",   PROTOCOL_ERROR,  "the bit that marks compressed messages is set on a frame that does not begin one";
    NotDeflate,               "RFC 7692 §7.2.2", INVALID_PAYLOAD, "a compressed message is not whole DEFLATE data";
    TooManyFinalBlocks,       "RFC 6455 §10.4",  TOO_BIG,         "a compressed message has more final blocks than this end takes";
    FrameTooLarge,            "RFC 6455 §10.4",  TOO_BIG,         "a frame is larger than this end takes";
    MessageTooLarge,          "RFC 6455 §10.4",  TOO_BIG,         "a message is larger than this end takes";
    TooManyFragments,         "RFC 6455 §10.4",  TOO_BIG,         "a message has more fragments than this end takes";
}

/// A violation and its position, which does not depend on how the bytes were split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProtocolError {
    /// What was wrong.
    pub violation: Violation,
    /// The offset of the frame's first byte, counted from the first byte after the handshake.
    pub frame_offset: u64,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ProtocolError { violation, frame_offset } = self;
        write!(
            f,
            "{}, in the frame at byte {frame_offset} ({})",
            violation.sentence(),
            violation.clause()
        )
    }
}

impl std::error::Error for ProtocolError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_clause_a_code_that_may_be_sent_and_a_reason_that_fits() {
        for violation in Violation::ALL {
            assert!(
                violation.clause().starts_with("RFC 6455 §")
                    || violation.clause().starts_with("RFC 7692 §")
            );
            assert!(violation.close_code().may_be_sent());
            assert!(violation.sentence().len() <= crate::protocol::close::REASON_BYTES_MAX);
        }
    }

    #[test]
    fn an_error_says_what_and_where() {
        let error = ProtocolError { violation: Violation::LengthNotMinimal, frame_offset: 4_102 };
        assert_eq!(
            error.to_string(),
            "the payload length is not in its shortest form, in the frame at byte 4102 (RFC 6455 §5.2)"
        );
    }
}
