//! Close codes of the protocol's own range (`docs/protocol.md`, "Closing").

/// Why the server closes a connection: status code and reason of the Close frame (RFC 6455 §7.4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Close {
    pub(crate) code: u16,
    /// The reason, for programs; also the `code` of the error message that precedes the close.
    pub(crate) name: &'static str,
}

macro_rules! closes {
    ($($constant:ident, $code:literal, $name:literal;)+) => {
        $(pub(crate) const $constant: Close = Close { code: $code, name: $name };)+

        pub(crate) const ALL: &[Close] = &[$($constant),+];
    };
}

closes! {
    BAD_CLIENT, 4000, "bad_client";
    UNAUTHORIZED, 4001, "unauthorized";
    AUTH_TIMEOUT, 4002, "auth_timeout";
    KICKED, 4003, "kicked";
    TOO_MANY, 4004, "too_many";
    SLOW, 4101, "slow";
    RATE, 4103, "rate";
    OVERLOADED, 4104, "overloaded";
    TOKEN_EXPIRED, 4200, "token_expired";
    TOKEN_REVOKED, 4201, "token_revoked";
}
