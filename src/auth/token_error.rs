//! Why a token is rejected.

use crate::base::NameError;

/// Why a token is rejected. The message is for the client and reveals nothing about the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is no token, was signed with another key or algorithm, needs an unknown extension
    /// (`crit`), or has malformed claims.
    #[error("the token is not valid here")]
    Invalid,
    /// No key has its `kid`; or it has none, and its algorithm does not select exactly one key.
    #[error("the token names a key that this server does not have")]
    UnknownKey,
    /// It names a user, and the listener is for administrators.
    #[error("this listener is for admins")]
    Listener,
    /// It has expired.
    #[error("the token has expired")]
    Expired,
    /// It is not valid yet.
    #[error("the token is not valid yet")]
    NotYet,
    /// It has no `exp`.
    #[error("the token has no exp")]
    NoExpiry,
    /// Its `aud` is not the configured one.
    #[error("the token is for another audience: see its aud")]
    Audience,
    /// Its `iss` is not the configured one.
    #[error("the token is from another issuer: see its iss")]
    Issuer,
    /// Its `sub` is not a user id.
    #[error("the token's sub is no user id: it {0}")]
    Subject(NameError),
    /// Its `name` is too long.
    #[error("the token's name is too long")]
    Name,
    /// Its `jti` is too long.
    #[error("the token's jti is too long")]
    Id,
    /// Its `publish` or `subscribe` is not a list of stream patterns.
    #[error("the token's publish or subscribe is no list of stream patterns")]
    Streams,
    /// Its `limits` is not an object, or has an invalid value.
    #[error("the token's limits have an invalid value")]
    Limits,
    /// It is a code for signing a browser in, which is valid only for that.
    #[error("this is a link's code, which signs in a browser; it is not a token")]
    Code,
    /// It is not a code for signing a browser in: it has no `sign_in`, or no `jti`.
    #[error("this is a token, not a link's code")]
    NotACode,
    /// It was revoked.
    #[error("the token was revoked")]
    Revoked,
    /// No key is configured, so nobody could have signed it.
    #[error(
        "this server has no secret: it accepts no token but that of an admin, and this is another; use ?user=NAME"
    )]
    OpenMode,
    /// It was not checked: its address has reached its limit of failed proofs. Another may come in
    /// this many ms.
    #[error("{TOO_MANY_FAILED}")]
    TooManyFailed(u64),
}

/// For an address whose proofs fail again and again.
pub(crate) const TOO_MANY_FAILED: &str = "too many tokens or signatures from your address were not valid: wait before you send another one";
