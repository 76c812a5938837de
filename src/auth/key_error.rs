//! Errors in keys and key files. No message contains anything of a key except its `kid`.

use super::key::Algorithm;
use super::secret::SECRET_BYTES_MIN;
use crate::base::limits::{KEY_FILE_BYTES_MAX, KEY_FILES_MAX, KEYS_MAX, KID_BYTES_MAX};
use std::{fmt, io};

/// An error in a key, and where it was found.
#[derive(Debug, thiserror::Error)]
#[error("{origin}: {}{problem}", .key.as_ref().map(|key| format!("key {key}: ")).unwrap_or_default())]
pub struct KeyError {
    /// The file or other source of the key.
    pub origin: String,
    /// The key's `kid`, or its number in a JWKS, from 1.
    pub key: Option<String>,
    /// The error.
    pub problem: KeyProblem,
}

/// An error in a key or key file.
#[derive(Debug, thiserror::Error)]
pub enum KeyProblem {
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Read(io::Error),
    /// The file has more than [`KEY_FILE_BYTES_MAX`] bytes.
    #[error("has more than {KEY_FILE_BYTES_MAX} bytes: this is no key file")]
    FileSize,
    /// There are more than [`KEY_FILES_MAX`] files.
    #[error("there are more than {KEY_FILES_MAX} key files")]
    Files,
    /// There are more than [`KEYS_MAX`] keys.
    #[error("there are more than {KEYS_MAX} keys")]
    Keys,
    /// The file is neither PEM nor a JWKS.
    #[error(r#"is neither PEM (-----BEGIN …) nor a JWKS ({{"keys":[…]}})"#)]
    Format,
    /// The file has no key.
    #[error("has no key")]
    Empty,
    /// A PEM file has several blocks.
    #[error("has several PEM blocks: give each key a file of its own, or all of them in a JWKS")]
    Blocks,
    /// A PEM block has no end, or is not base64.
    #[error("has a PEM block without its end, or that is not base64")]
    Block,
    /// A PEM block of an unsupported kind.
    #[error("has a PEM block {0:?}, which is not a supported key")]
    Label(String),
    /// A private key, where only public keys belong.
    #[error(
        "is a private key, and tokens are checked with the public key: make it with `openssl pkey -in FILE -pubout`"
    )]
    Private,
    /// A private JWK.
    #[error("is a private key (it has a d), and tokens are checked with the public key")]
    PrivateMember,
    /// A public key, where a private one is needed to sign.
    #[error("is a public key, and tokens are signed with the private key")]
    Public,
    /// An encrypted private key.
    #[error("is encrypted: decrypt it with `openssl pkey -in FILE -out OTHER`")]
    Encrypted,
    /// A certificate.
    #[error("is a certificate: take its key with `openssl x509 -in FILE -noout -pubkey`")]
    Certificate,
    /// A key of an unsupported kind.
    #[error("is no key of RSA, of EC P-256 or of Ed25519")]
    Kind,
    /// An invalid key: a point not on its curve, or an even modulus.
    #[error("is no valid key of its kind")]
    Broken,
    /// An RSA key of an unsupported size.
    #[error("is an RSA key of {bits} bits, and needs {min} to {max}")]
    RsaBits {
        /// Its bits.
        bits: usize,
        /// The minimum.
        min: usize,
        /// The maximum.
        max: usize,
    },
    /// A secret with this many bytes, fewer than [`SECRET_BYTES_MIN`].
    #[error(
        "the secret has {0} bytes, and needs at least {SECRET_BYTES_MIN}: make one with `openssl rand -hex 32`"
    )]
    SecretShort(usize),
    /// The environment has no variable of this name.
    #[error(
        "the environment has no such variable: it holds a secret, as `openssl rand -hex 32` makes one"
    )]
    VariableMissing,
    /// Two keys have the same `kid`.
    #[error("another key has this kid, too")]
    KidTwice,
    /// Two keys of one algorithm have no `kid`.
    #[error("is the second key of {0} without a kid: name it (KID=FILE)")]
    NamelessTwice(Algorithm),
    /// A `kid` is empty, or longer than [`KID_BYTES_MAX`].
    #[error("a kid has 1 to {KID_BYTES_MAX} bytes")]
    Kid,
    /// `KID=` before a JWKS, which names its own keys.
    #[error("is a JWKS, which names its keys itself: leave KID= out")]
    KidOfSet,
    /// Not JSON, or no set of keys: line and column.
    #[error("is no JWKS: see line {0}, column {1}")]
    Json(usize, usize),
    /// A JWK with an unsupported `kty`.
    #[error("has the kty {0:?}, and not oct, RSA, EC or OKP")]
    Type(String),
    /// A JWK with an unsupported `crv`.
    #[error("has the crv {0:?}: EC is for P-256, and OKP for Ed25519")]
    Curve(String),
    /// A JWK's `alg` does not match its kind.
    #[error("has the alg {said:?}, but it is a key for {is}")]
    Alg {
        /// Its `alg`.
        said: String,
        /// The key's algorithm.
        is: Algorithm,
    },
    /// A JWK's `use` is not `sig`, or its `key_ops` lack `verify`.
    #[error("is not for signatures: see its use and its key_ops")]
    Use,
    /// A JWK lacks this member, or it is not base64url.
    #[error("has no {0:?}, or one that is not base64url")]
    Member(&'static str),
}

impl KeyError {
    pub(super) fn new(origin: impl fmt::Display, problem: KeyProblem) -> KeyError {
        KeyError { origin: origin.to_string(), key: None, problem }
    }
}
