//! Why a token is not good.

use crate::base::NameError;

/// Why a token is not good. The sentence is for the one who brought it: it tells nothing of the
/// keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is no token, it was signed with another key or algorithm, it asks for what is not
    /// understood (`crit`), or its claims are not those of a token.
    #[error("the token is not valid here")]
    Invalid,
    /// No key has its `kid`; or it has none, and that does not tell which key is meant.
    #[error("the token names a key that this server does not have")]
    UnknownKey,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    NotYet,
    /// It has no `exp`.
    #[error("the token has no exp")]
    NoExpiry,
    /// Its `aud` is not who is configured.
    #[error("the token is for another audience: see its aud")]
    Audience,
    /// Its `iss` is not who is configured.
    #[error("the token is from another issuer: see its iss")]
    Issuer,
    /// Its `sub` is no user id.
    #[error("the token's sub is no user id: it {0}")]
    Subject(NameError),
    /// Its `name` is too long.
    #[error("the token's name is too long")]
    Name,
    /// Its `jti` is too long.
    #[error("the token's jti is too long")]
    Id,
    /// Its `publish` or `subscribe` is no list of patterns of streams.
    #[error("the token's publish or subscribe is no list of stream patterns")]
    Streams,
    /// Its `limits` is no object, or has a value that a limit does not take.
    #[error("the token's limits have an invalid value")]
    Limits,
    /// It is a code that signs a browser in, which is good for that alone.
    #[error("this is a link's code, which signs in a browser; it is not a token")]
    Code,
    /// It is no code that signs a browser in: it has no `sign_in`, or no `jti`.
    #[error("this is a token, not a link's code")]
    NotACode,
    /// It was revoked.
    #[error("the token was revoked")]
    Revoked,
    /// No key is configured: nobody could have made it.
    #[error("this server has no secret and accepts no user tokens: use ?user=NAME")]
    OpenMode,
    /// It was not looked at: as many proofs from the same address have failed as may. In so many ms another one may
    /// come.
    #[error("{TOO_MANY_FAILED}")]
    TooManyFailed(u64),
}

/// Said to an address whose proofs fail again and again.
pub(crate) const TOO_MANY_FAILED: &str = "too many tokens or signatures from your address were not valid: wait before you send another one";
