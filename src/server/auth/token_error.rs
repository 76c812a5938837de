//! Why a token is not good.

use crate::base::NameError;
use std::fmt;

/// Why a token is not good. The sentence is for the one who brought it: it tells nothing of the
/// keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// It is no token, it was signed with another key or algorithm, it asks for what is not
    /// understood (`crit`), or its claims are not those of a token.
    Invalid,
    /// No key has its `kid`; or it has none, and that does not tell which key is meant.
    UnknownKey,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYet,
    /// It has no `exp`.
    NoExpiry,
    /// Its `aud` is not who is configured.
    Audience,
    /// Its `iss` is not who is configured.
    Issuer,
    /// Its `sub` is no user id.
    Subject(NameError),
    /// Its `name` is too long.
    Name,
    /// Its `jti` is too long.
    Id,
    /// Its `publish` or `subscribe` is no list of patterns of streams.
    Streams,
    /// Its `limits` is no object, or has a value that a limit does not take.
    Limits,
    /// It is a code that signs a browser in, which is good for that alone.
    Code,
    /// It is no code that signs a browser in: it has no `sign_in`, or no `jti`.
    NotACode,
    /// It was revoked.
    Revoked,
    /// No key is configured: nobody could have made it.
    OpenMode,
    /// It was not looked at: as many proofs from the same address have failed as may. In so many ms another one may
    /// come.
    TooManyFailed(u64),
}

/// Said to an address whose proofs fail again and again.
pub(in crate::server) const TOO_MANY_FAILED: &str = "too many tokens or signatures from your address were not valid: wait before you send another one";

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TokenError::Invalid => "the token is not valid here",
            TokenError::UnknownKey => "the token names no key that is known here",
            TokenError::Expired => "the token has expired",
            TokenError::NotYet => "the token is not valid yet",
            TokenError::NoExpiry => "the token has no exp",
            TokenError::Audience => "the token is for somebody else: see its aud",
            TokenError::Issuer => "the token is from somebody else: see its iss",
            TokenError::Subject(error) => {
                return write!(f, "the token's sub is no user id: it {error}");
            }
            TokenError::Name => "the token's name is too long",
            TokenError::Id => "the token's jti is too long",
            TokenError::Streams => "the token's publish or subscribe is no list of stream patterns",
            TokenError::Limits => "the token's limits have a value that is none of a limit",
            TokenError::Code => {
                "this is the code of a link, which signs a browser in and is no token"
            }
            TokenError::NotACode => "this is a token, and no code that signs a browser in",
            TokenError::Revoked => "the token was revoked",
            TokenError::OpenMode => {
                "this server has no secret and takes no tokens of users: say ?user=NAME"
            }
            TokenError::TooManyFailed(_) => TOO_MANY_FAILED,
        })
    }
}

impl std::error::Error for TokenError {}
