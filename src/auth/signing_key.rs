//! Keys that sign tokens: a secret or a private key. The server does not use them; `parlor token`
//! and embedding programs do.

use super::key::{Algorithm, Key};
use super::key_error::{KeyError, KeyProblem};
use super::key_sources::read_bounded;
use super::pem::Pem;
use super::{Claims, Secret};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair,
};
use jsonwebtoken::{EncodingKey, Header};
use std::fmt;
use std::path::Path;

/// A key that signs tokens with its one algorithm.
#[derive(Clone)]
pub struct SigningKey {
    algorithm: Algorithm,
    inner: EncodingKey,
}

/// A token could not be signed: its claims cannot be encoded as JSON, or the system has no random
/// numbers.
#[derive(Debug, thiserror::Error)]
#[error("the token cannot be signed: {0}")]
pub struct SignError(jsonwebtoken::errors::Error);

impl SigningKey {
    /// HS256.
    #[must_use]
    pub fn from_secret(secret: &Secret) -> SigningKey {
        let inner = EncodingKey::from_secret(secret.bytes());
        SigningKey { algorithm: Algorithm::Hs256, inner }
    }

    /// RS256, ES256 or EdDSA, depending on the private key in a PEM file.
    ///
    /// # Errors
    /// [`KeyError`], with the file's name.
    pub fn from_file(path: &Path) -> Result<SigningKey, KeyError> {
        let read = || {
            let bytes = read_bounded(path)?;
            SigningKey::from_pem(str::from_utf8(&bytes).map_err(|_| KeyProblem::Format)?)
        };
        read().map_err(|problem| KeyError::new(path.display(), problem))
    }

    /// HS256, with the secret in a file.
    ///
    /// # Errors
    /// [`KeyError`], with the file's name.
    pub fn from_secret_file(path: &Path) -> Result<SigningKey, KeyError> {
        let secret = Secret::read(path).map_err(|why| KeyError::new(path.display(), why))?;
        Ok(SigningKey::from_secret(&secret))
    }

    /// As [`SigningKey::from_file`], for the file's text.
    ///
    /// # Errors
    /// [`KeyProblem`].
    pub fn from_pem(text: &str) -> Result<SigningKey, KeyProblem> {
        let pem = Pem::parse(text)?;
        match pem.label {
            "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" => {}
            "ENCRYPTED PRIVATE KEY" => return Err(KeyProblem::Encrypted),
            "PUBLIC KEY" | "RSA PUBLIC KEY" => return Err(KeyProblem::Public),
            label => return Err(KeyProblem::Label(label.chars().take(32).collect())),
        }
        let der = &pem.der;
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8(der) {
            let pkcs8 = pair.to_pkcs8v1().map_err(|_| KeyProblem::Broken)?;
            let inner = EncodingKey::from_ed_der(pkcs8.as_ref());
            return Ok(SigningKey { algorithm: Algorithm::EdDsa, inner });
        }
        let alg = &ECDSA_P256_SHA256_FIXED_SIGNING;
        if let Ok(pair) = EcdsaKeyPair::from_private_key_der(alg, der) {
            let pkcs8 = pair.to_pkcs8v1().map_err(|_| KeyProblem::Broken)?;
            let inner = EncodingKey::from_ec_der(pkcs8.as_ref());
            return Ok(SigningKey { algorithm: Algorithm::Es256, inner });
        }
        // The library signs with PKCS #1, which is inside PKCS #8.
        let der = content_of_pkcs8(der).unwrap_or(der);
        let pair = RsaKeyPair::from_der(der).map_err(|_| KeyProblem::Kind)?;
        // Reject a key that no server would accept.
        Key::public(pair.public_key().as_ref())?;
        let inner = EncodingKey::from_rsa_der(der);
        Ok(SigningKey { algorithm: Algorithm::Rs256, inner })
    }

    /// The algorithm.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Signs a token, with the `kid` of the verifying key, if it has one.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn sign(&self, claims: &Claims, kid: Option<&str>) -> Result<String, SignError> {
        let mut header = Header::new(self.algorithm.of_library());
        header.kid = kid.map(str::to_owned);
        jsonwebtoken::encode(&header, claims, &self.inner).map_err(SignError)
    }
}

/// RFC 5208 §5: a version, an algorithm, and then the key as an octet string.
fn content_of_pkcs8(der: &[u8]) -> Option<&[u8]> {
    const INTEGER: u8 = 0x02;
    const OCTET_STRING: u8 = 0x04;
    const SEQUENCE: u8 = 0x30;
    let (info, _) = element(der, SEQUENCE)?;
    let (_, rest) = element(info, INTEGER)?;
    let (_, rest) = element(rest, SEQUENCE)?;
    element(rest, OCTET_STRING).map(|(content, _)| content)
}

/// An element of DER (X.690 §8.1) with this tag: its content, and the rest.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (len, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    if *found == tag { rest.split_at_checked(len) } else { None }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.algorithm)
    }
}
