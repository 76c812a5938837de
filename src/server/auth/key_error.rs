//! What is wrong with a key or with a file of keys. No message has anything of a key in it but its
//! `kid`.

use super::key::Algorithm;
use super::secret::SECRET_BYTES_MIN;
use crate::base::limits::{KEY_FILE_BYTES_MAX, KEY_FILES_MAX, KEYS_MAX, KID_BYTES_MAX};
use std::{fmt, io};

/// What is wrong with a key, and where that was found.
#[derive(Debug)]
pub struct KeyError {
    /// The file, or what else gave the key.
    pub origin: String,
    /// The key's `kid`, if it has one, or its place in a JWKS, from 1.
    pub key: Option<String>,
    /// What.
    pub problem: KeyProblem,
}

/// What is wrong with a key or with a file of keys.
#[derive(Debug)]
pub enum KeyProblem {
    /// The file cannot be read.
    Read(io::Error),
    /// The file has more than [`KEY_FILE_BYTES_MAX`] bytes.
    FileSize,
    /// There are more than [`KEY_FILES_MAX`] files.
    Files,
    /// There are more than [`KEYS_MAX`] keys.
    Keys,
    /// The file is neither PEM nor a JWKS.
    Format,
    /// The file has no key.
    Empty,
    /// A PEM file has several blocks.
    Blocks,
    /// A PEM block has no end, or is not base64.
    Block,
    /// A PEM block is of another kind.
    Label(String),
    /// A private key, where only public ones belong.
    Private,
    /// A private JWK.
    PrivateMember,
    /// A public key, where a private one is needed to sign.
    Public,
    /// A private key that is encrypted.
    Encrypted,
    /// A certificate.
    Certificate,
    /// A key of another kind than those that are known.
    Kind,
    /// A key that is none: a point that is not on its curve, a modulus that is even.
    Broken,
    /// An RSA key of another size.
    RsaBits {
        /// Its bits.
        bits: usize,
        /// The fewest.
        min: usize,
        /// The most.
        max: usize,
    },
    /// A secret with so many bytes, fewer than [`SECRET_BYTES_MIN`].
    SecretShort(usize),
    /// The environment has no variable of this name.
    VariableMissing,
    /// Two keys have the same `kid`.
    KidTwice,
    /// Two keys of one algorithm have no `kid`.
    NamelessTwice(Algorithm),
    /// A `kid` is empty, or longer than [`KID_BYTES_MAX`].
    Kid,
    /// `KID=` before a JWKS, which names its keys itself.
    KidOfSet,
    /// A JWKS is not JSON, or not a set of keys; the line and the column.
    Json(usize, usize),
    /// A JWK's `kty` is another.
    Type(String),
    /// A JWK's `crv` is another.
    Curve(String),
    /// A JWK's `alg` is not that of its kind.
    Alg {
        /// What it says.
        said: String,
        /// What it is.
        is: Algorithm,
    },
    /// A JWK's `use` is not `sig`, or its `key_ops` are without `verify`.
    Use,
    /// A JWK has not this member, or it is not base64url.
    Member(&'static str),
}

impl KeyError {
    pub(super) fn new(origin: impl fmt::Display, problem: KeyProblem) -> KeyError {
        KeyError { origin: origin.to_string(), key: None, problem }
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "{}: key {key}: {}", self.origin, self.problem),
            None => write!(f, "{}: {}", self.origin, self.problem),
        }
    }
}

impl fmt::Display for KeyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentence = match self {
            KeyProblem::Read(error) => return write!(f, "cannot be read: {error}"),
            KeyProblem::FileSize => {
                return write!(f, "has more than {KEY_FILE_BYTES_MAX} bytes: this is no key file");
            }
            KeyProblem::Files => return write!(f, "there are more than {KEY_FILES_MAX} key files"),
            KeyProblem::Keys => return write!(f, "there are more than {KEYS_MAX} keys"),
            KeyProblem::Format => "is neither PEM (-----BEGIN …) nor a JWKS ({\"keys\":[…]})",
            KeyProblem::Empty => "has no key",
            KeyProblem::Blocks => {
                "has several PEM blocks: give each key a file of its own, or all of them in a JWKS"
            }
            KeyProblem::Block => "has a PEM block without its end, or that is not base64",
            KeyProblem::Label(label) => {
                return write!(f, "has a PEM block {label:?}, which is no key that is known here");
            }
            KeyProblem::Private => {
                "is a private key, and tokens are judged by the public one alone: make that with \
                 `openssl pkey -in FILE -pubout`"
            }
            KeyProblem::PrivateMember => {
                "is a private key (it has a d), and tokens are judged by the public part alone"
            }
            KeyProblem::Public => "is a public key, and tokens are signed with the private one",
            KeyProblem::Encrypted => {
                "is encrypted: decrypt it with `openssl pkey -in FILE -out OTHER`"
            }
            KeyProblem::Certificate => {
                "is a certificate: take its key with `openssl x509 -in FILE -noout -pubkey`"
            }
            KeyProblem::Kind => "is no key of RSA, of EC P-256 or of Ed25519",
            KeyProblem::Broken => "is no valid key of its kind",
            KeyProblem::RsaBits { bits, min, max } => {
                return write!(f, "is an RSA key of {bits} bits, and needs {min} to {max}");
            }
            KeyProblem::VariableMissing => {
                return write!(
                    f,
                    "the environment has no such variable: it holds a secret, as `openssl rand -hex 32` \
                     makes one"
                );
            }
            KeyProblem::SecretShort(len) => {
                return write!(
                    f,
                    "the secret has {len} bytes, and needs at least {SECRET_BYTES_MIN}: make one \
                     with `openssl rand -hex 32`"
                );
            }
            KeyProblem::KidTwice => "another key has this kid, too",
            KeyProblem::NamelessTwice(algorithm) => {
                return write!(
                    f,
                    "is the second key of {algorithm} without a kid: name it (KID=FILE)"
                );
            }
            KeyProblem::Kid => return write!(f, "a kid has 1 to {KID_BYTES_MAX} bytes"),
            KeyProblem::KidOfSet => "is a JWKS, which names its keys itself: leave KID= out",
            KeyProblem::Json(line, column) => {
                return write!(f, "is no JWKS: see line {line}, column {column}");
            }
            KeyProblem::Type(kty) => {
                return write!(f, "has the kty {kty:?}, and not oct, RSA, EC or OKP");
            }
            KeyProblem::Curve(crv) => {
                return write!(f, "has the crv {crv:?}: EC is for P-256, and OKP for Ed25519");
            }
            KeyProblem::Alg { said, is } => {
                return write!(f, "has the alg {said:?}, but it is a key for {is}");
            }
            KeyProblem::Use => "is not for signatures: see its use and its key_ops",
            KeyProblem::Member(name) => {
                return write!(f, "has no {name:?}, or one that is not base64url");
            }
        };
        f.write_str(sentence)
    }
}

impl std::error::Error for KeyError {}
