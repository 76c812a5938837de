//! One key that verifies signatures: its only algorithm, and the cryptographic library's form of
//! it.
//!
//! A key is checked once, when it is read.

use super::claims::ClaimsSet;
use super::key_error::KeyProblem;
use super::secret::SECRET_BYTES_MIN;
use super::{Claims, TokenError};
use aws_lc_rs::rsa;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256,
    RsaPublicKeyComponents,
};
use jsonwebtoken::{DecodingKey, Validation};
use std::fmt;
use std::sync::Arc;

/// The smallest RSA key, in bits. Smaller ones are not secure (RFC 7518 §3.3).
const RSA_BITS_MIN: usize = 2_048;
/// The largest RSA key, in bits. Larger ones take too long to verify with.
const RSA_BITS_MAX: usize = 8_192;
/// A coordinate of P-256 (RFC 7518 §6.2.1.2), and a public key of Ed25519 (RFC 8032 §5.1.5), in
/// bytes.
const POINT_BYTES: usize = 32;

/// Signature algorithms of tokens. There are no others, and not `none` either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC with SHA-256 and a shared secret.
    Hs256,
    /// RSA, PKCS #1 v1.5, with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// Its name in a token's header (RFC 7518 §3.1, RFC 8037 §3.1).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::Hs256 => "HS256",
            Algorithm::Rs256 => "RS256",
            Algorithm::Es256 => "ES256",
            Algorithm::EdDsa => "EdDSA",
        }
    }

    pub(super) fn of_library(self) -> jsonwebtoken::Algorithm {
        match self {
            Algorithm::Hs256 => jsonwebtoken::Algorithm::HS256,
            Algorithm::Rs256 => jsonwebtoken::Algorithm::RS256,
            Algorithm::Es256 => jsonwebtoken::Algorithm::ES256,
            Algorithm::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }

    pub(super) fn from_library(algorithm: jsonwebtoken::Algorithm) -> Option<Algorithm> {
        let all = [Algorithm::Hs256, Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa];
        all.into_iter().find(|own| own.of_library() == algorithm)
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A key that verifies signatures of its one algorithm.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) kid: Option<Arc<str>>,
    pub(super) algorithm: Algorithm,
    inner: DecodingKey,
}

impl Key {
    /// HS256.
    pub(super) fn secret(bytes: &[u8]) -> Result<Key, KeyProblem> {
        if bytes.len() < SECRET_BYTES_MIN {
            return Err(KeyProblem::SecretShort(bytes.len()));
        }
        Ok(Key::new(Algorithm::Hs256, DecodingKey::from_secret(bytes)))
    }

    /// A public key as in PEM files; its content says which kind (SubjectPublicKeyInfo, RFC 5280
    /// §4.1.2.7; for RSA also RSAPublicKey, RFC 8017 §A.1.1).
    pub(super) fn public(der: &[u8]) -> Result<Key, KeyProblem> {
        if let Ok(key) = rsa::PublicKey::from_der(der) {
            return Key::rsa(&key);
        }
        // The library also accepts a bare point or key, without the envelope (a DER sequence) that
        // names its kind.
        if der.first() == Some(&0x30) && der.len() > POINT_BYTES {
            if ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, der).is_ok() {
                return Ok(Key::new(Algorithm::Es256, DecodingKey::from_ec_der(der)));
            }
            if ParsedPublicKey::new(&ED25519, der).is_ok() {
                return Ok(Key::new(Algorithm::EdDsa, DecodingKey::from_ed_der(der)));
            }
        }
        Err(KeyProblem::Kind)
    }

    /// RS256: modulus and exponent, big-endian.
    pub(super) fn rsa_components(n: &[u8], e: &[u8]) -> Result<Key, KeyProblem> {
        let components = RsaPublicKeyComponents { n, e };
        // Via DER, because only DER is checked thoroughly.
        let parsed = components.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256);
        let parsed = parsed.map_err(|_| KeyProblem::Broken)?;
        let key = rsa::PublicKey::from_der(parsed.as_ref()).map_err(|_| KeyProblem::Broken)?;
        Key::rsa(&key)
    }

    fn rsa(key: &rsa::PublicKey) -> Result<Key, KeyProblem> {
        let (modulus, exponent) = (key.modulus(), key.exponent());
        let modulus = modulus.big_endian_without_leading_zero();
        let unused = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
        let bits = modulus.len().saturating_mul(8).saturating_sub(unused);
        if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
            return Err(KeyProblem::RsaBits { bits, min: RSA_BITS_MIN, max: RSA_BITS_MAX });
        }
        let exponent = exponent.big_endian_without_leading_zero();
        let inner = DecodingKey::from_rsa_raw_components(modulus, exponent);
        Ok(Key::new(Algorithm::Rs256, inner))
    }

    /// ES256: the point's coordinates.
    pub(super) fn p256(x: &[u8], y: &[u8]) -> Result<Key, KeyProblem> {
        if x.len() != POINT_BYTES || y.len() != POINT_BYTES {
            return Err(KeyProblem::Broken);
        }
        // SEC 1 §2.3.3: an uncompressed point.
        let point = [&[4], x, y].concat();
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point).map_err(|_| KeyProblem::Broken)?;
        Ok(Key::new(Algorithm::Es256, DecodingKey::from_ec_der(&point)))
    }

    /// EdDSA.
    pub(super) fn ed25519(x: &[u8]) -> Result<Key, KeyProblem> {
        if x.len() != POINT_BYTES || ParsedPublicKey::new(&ED25519, x).is_err() {
            return Err(KeyProblem::Broken);
        }
        Ok(Key::new(Algorithm::EdDsa, DecodingKey::from_ed_der(x)))
    }

    fn new(algorithm: Algorithm, inner: DecodingKey) -> Key {
        Key { kid: None, algorithm, inner }
    }

    pub(super) fn named(self, kid: Option<Arc<str>>) -> Key {
        Key { kid, ..self }
    }

    /// The claims of a token, if this key signed it.
    pub(super) fn open(&self, token: &str) -> Result<Claims, TokenError> {
        let mut validation = Validation::new(self.algorithm.of_library());
        // The verifier checks the claims, and the times against the time that it is given.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let token = jsonwebtoken::decode::<ClaimsSet>(token, &self.inner, &validation);
        token.map(|token| token.claims.0).map_err(|_| TokenError::Invalid)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kid {
            Some(kid) => write!(f, "{} {kid:?}", self.algorithm),
            None => write!(f, "{} without a kid", self.algorithm),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}
