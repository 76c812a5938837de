//! Identity: JSON Web Tokens (RFC 7519), verified and issued.
//!
//! [`KeySources`] names the sources of keys (a secret, PEM files, JWKS files) and reads them into
//! [`Keys`]. A token selects one of them; the key, never the token, decides the algorithm.
//! [`Verifier`] checks a token with the keys, its claims and [`Revocations`], at a time that the
//! caller passes in. Browsers sign in with cookies of the server's own. [`SigningKey`] issues
//! tokens. Nothing here follows a URL in a token.

mod access;
mod admin_token;
mod authenticate;
mod browser;
mod claims;
mod cookie_secret;
pub(crate) mod failed_proofs;
mod hook_secret;
mod jwks;
mod key;
mod key_error;
mod key_sources;
mod keys;
mod pem;
mod person;
mod revocations;
mod secret;
mod signing_key;
pub(crate) mod small_file;
mod token_cache;
mod token_error;
mod verifier;

pub use access::Access;
pub use admin_token::AdminToken;
pub use authenticate::{Authenticate, Denied, Head, Proof};
pub(crate) use browser::Cookies;
pub use claims::{Claims, Identity, TokenFacts};
pub(crate) use cookie_secret::cookie_secret;
pub use hook_secret::HookSecret;
pub use key::Algorithm;
pub use key_error::{KeyError, KeyProblem};
pub(crate) use key_sources::KeySource;
pub use key_sources::{KeyFile, KeySources};
pub use keys::Keys;
pub(crate) use person::Person;
pub use revocations::Revocations;
pub use secret::{SECRET_BYTES_MIN, Secret};
pub use signing_key::{SignError, SigningKey};
pub(crate) use token_error::TOO_MANY_FAILED;
pub use token_error::TokenError;
pub use verifier::{Expected, Verifier};
