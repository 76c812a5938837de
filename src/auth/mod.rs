//! Who somebody is: JSON Web Tokens (RFC 7519), checked and made.
//!
//! [`KeySources`] says where keys are, and reads them: a secret, PEM files, JWKS files. [`Keys`] are
//! what came of it; a token selects one of them, and the key decides which algorithm it is for,
//! never the token. [`Verifier`] judges a token by the keys, by its claims and by
//! [`Revocations`]; browsers are signed in by cookies of the server's own; a token's times are judged against the time that is handed in. [`SigningKey`]
//! makes tokens. Nothing here follows an address that stands in a token.

mod access;
mod admin_token;
mod authenticate;
mod browser;
mod claims;
mod cookie_secret;
pub(crate) mod failed_proofs;
mod hook_secret;
mod judged;
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
mod token_error;
mod verifier;

pub use access::Access;
pub use admin_token::AdminToken;
pub use authenticate::{Authenticate, Denied, Head, Proof};
pub(crate) use browser::Code;
pub use claims::{Claims, Identity};
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
