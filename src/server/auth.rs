//! Who somebody is: JSON Web Tokens (RFC 7519) signed with HS256, checked and made.
//!
//! The key decides which algorithm it is for, never the token. A token's times are judged against
//! the time that is handed in.

use crate::base::{NameError, Timestamp, UserId};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use std::fmt;
use std::sync::Arc;

/// A secret has at least as many bytes as HS256's hash (RFC 7518 §3.2).
pub const SECRET_BYTES_MIN: usize = 32;

/// A secret that signs tokens.
#[derive(Clone)]
pub struct Secret(Arc<[u8]>);

impl Secret {
    /// Takes a secret; white space around it, as a file's last newline, does not belong to it.
    ///
    /// # Errors
    /// The number of its bytes, if there are fewer than [`SECRET_BYTES_MIN`].
    pub fn new(bytes: &[u8]) -> Result<Secret, usize> {
        let bytes = bytes.trim_ascii();
        if bytes.len() < SECRET_BYTES_MIN { Err(bytes.len()) } else { Ok(Secret(bytes.into())) }
    }

    /// Makes a token.
    ///
    /// # Errors
    /// What the cryptographic library says.
    pub fn sign(&self, claims: &Claims) -> Result<String, jsonwebtoken::errors::Error> {
        jsonwebtoken::encode(
            &Header::new(Algorithm::HS256),
            claims,
            &EncodingKey::from_secret(&self.0),
        )
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What a token says.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Claims {
    /// The user's id: a string, or an integer that is read as its digits.
    pub sub: serde_json::Value,
    /// Until when it is good, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exp: Option<serde_json::Number>,
    /// From when on it is good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<serde_json::Number>,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat: Option<serde_json::Number>,
    /// Display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether the user may do what admins may.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub admin: bool,
}

/// Who somebody has proved to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Their id.
    pub user: UserId,
    /// Their display name.
    pub name: Option<Arc<str>>,
    /// Whether they may do what admins may.
    pub admin: bool,
    /// Until when that holds; none in open mode.
    pub expires: Option<Timestamp>,
}

/// Why a token is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// It is no token, it was signed with another key or algorithm, or its claims are not those of
    /// a token.
    Invalid,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    NotYet,
    /// It has no `exp`.
    NoExpiry,
    /// Its `sub` is no user id.
    Subject(NameError),
    /// Its `name` is too long.
    Name,
    /// No secret is configured: nobody could have made it.
    OpenMode,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TokenError::Invalid => f.write_str("the token is not valid here"),
            TokenError::Expired => f.write_str("the token has expired"),
            TokenError::NotYet => f.write_str("the token is not valid yet"),
            TokenError::NoExpiry => f.write_str("the token has no exp"),
            TokenError::Subject(error) => write!(f, "the token's sub is no user id: it {error}"),
            TokenError::Name => f.write_str("the token's name is too long"),
            TokenError::OpenMode => {
                f.write_str("this server has no secret and takes no tokens: use ?user=NAME")
            }
        }
    }
}

/// Judges tokens.
#[derive(Clone)]
pub struct Verifier {
    key: Option<DecodingKey>,
    leeway_ms: i64,
    name_bytes_max: usize,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("is_open", &self.is_open()).finish_non_exhaustive()
    }
}

impl Verifier {
    /// Takes tokens signed with `secret`; with none it is open mode, which takes none.
    #[must_use]
    pub fn new(secret: Option<&Secret>, leeway_ms: u64, name_bytes_max: usize) -> Verifier {
        let key = secret.map(|Secret(bytes)| DecodingKey::from_secret(bytes));
        Verifier { key, leeway_ms: i64::try_from(leeway_ms).unwrap_or(i64::MAX), name_bytes_max }
    }

    /// Whether there is no secret, so that everybody is who they say.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.key.is_none()
    }

    /// How long a token is good after its `exp`, in ms.
    #[must_use]
    pub fn leeway_ms(&self) -> i64 {
        self.leeway_ms
    }

    /// Judges a token at `now`.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Identity, TokenError> {
        let key = self.key.as_ref().ok_or(TokenError::OpenMode)?;
        let mut validation = Validation::new(Algorithm::HS256);
        // Times are judged below, against the time that is handed in.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let token = jsonwebtoken::decode::<Claims>(token, key, &validation)
            .map_err(|_| TokenError::Invalid)?;
        let claims = token.claims;
        let expires = millis(claims.exp.as_ref()).ok_or(TokenError::NoExpiry)?;
        if now.0 >= expires.saturating_add(self.leeway_ms) {
            return Err(TokenError::Expired);
        }
        if claims.nbf.is_some() {
            let from = millis(claims.nbf.as_ref()).ok_or(TokenError::Invalid)?;
            if now.0.saturating_add(self.leeway_ms) < from {
                return Err(TokenError::NotYet);
            }
        }
        let user = match &claims.sub {
            serde_json::Value::String(text) => UserId::parse(text),
            // 1 and "1" are one user.
            serde_json::Value::Number(number) if number.is_i64() || number.is_u64() => {
                UserId::parse(&number.to_string())
            }
            _ => return Err(TokenError::Invalid),
        };
        let user = user.map_err(TokenError::Subject)?;
        if claims.name.as_ref().is_some_and(|name| name.len() > self.name_bytes_max) {
            return Err(TokenError::Name);
        }
        let name = claims.name.filter(|name| !name.is_empty()).map(Arc::from);
        Ok(Identity { user, name, admin: claims.admin, expires: Some(Timestamp(expires)) })
    }
}

/// Seconds, which may have a fraction, in whole milliseconds.
fn millis(seconds: Option<&serde_json::Number>) -> Option<i64> {
    let seconds = seconds?;
    match seconds.as_i64() {
        Some(whole) => Some(whole.saturating_mul(1_000)),
        // A cast of a float saturates.
        None => seconds.as_f64().map(|seconds| (seconds * 1_000.0) as i64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn secret() -> Secret {
        Secret::new(b"an example secret of 32 bytes...").unwrap()
    }

    fn claims(json: &str) -> Claims {
        serde_json::from_str(json).unwrap()
    }

    fn verify(json: &str) -> Result<Identity, TokenError> {
        let token = secret().sign(&claims(json)).unwrap();
        Verifier::new(Some(&secret()), 30_000, 128).verify(&token, NOW)
    }

    #[test]
    fn a_good_token_says_who() {
        let identity =
            verify(r#"{"sub":"ada","exp":1800000060,"name":"Ada","admin":true}"#).unwrap();
        assert_eq!(identity.user.as_str(), "ada");
        assert_eq!((identity.name.as_deref(), identity.admin), (Some("Ada"), true));
        assert_eq!(identity.expires, Some(Timestamp(1_800_000_060_000)));
        assert_eq!(verify(r#"{"sub":1,"exp":1800000060}"#).unwrap().user.as_str(), "1");
        assert!(verify(r#"{"sub":"1","exp":1800000060.5}"#).is_ok());
    }

    #[test]
    fn times_are_judged_with_the_leeway() {
        assert!(verify(r#"{"sub":"a","exp":1799999971}"#).is_ok());
        assert_eq!(verify(r#"{"sub":"a","exp":1799999970}"#), Err(TokenError::Expired));
        assert!(verify(r#"{"sub":"a","exp":1800000060,"nbf":1800000030}"#).is_ok());
        assert_eq!(
            verify(r#"{"sub":"a","exp":1800000060,"nbf":1800000031}"#),
            Err(TokenError::NotYet)
        );
        assert_eq!(verify(r#"{"sub":"a"}"#), Err(TokenError::NoExpiry));
    }

    #[test]
    fn what_is_no_user_id_is_refused() {
        assert_eq!(
            verify(r#"{"sub":"a b","exp":1800000060}"#),
            Err(TokenError::Subject(NameError::Character))
        );
        assert_eq!(verify(r#"{"sub":1.5,"exp":1800000060}"#), Err(TokenError::Invalid));
        assert_eq!(verify(r#"{"sub":null,"exp":1800000060}"#), Err(TokenError::Invalid));
        let long = format!(r#"{{"sub":"a","exp":1800000060,"name":"{}"}}"#, "x".repeat(129));
        assert_eq!(verify(&long), Err(TokenError::Name));
    }

    #[test]
    fn another_key_another_algorithm_and_none_are_refused() {
        let verifier = Verifier::new(Some(&secret()), 0, 128);
        let good = claims(r#"{"sub":"a","exp":1800000060}"#);
        let other = Secret::new(b"another secret of 32 bytes......").unwrap();
        assert_eq!(verifier.verify(&other.sign(&good).unwrap(), NOW), Err(TokenError::Invalid));
        let key = EncodingKey::from_secret(b"an example secret of 32 bytes...");
        let hs512 = jsonwebtoken::encode(&Header::new(Algorithm::HS512), &good, &key).unwrap();
        assert_eq!(verifier.verify(&hs512, NOW), Err(TokenError::Invalid));
        // {"alg":"none"}.{"sub":"a","exp":1800000060}.
        let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIiwiZXhwIjoxODAwMDAwMDYwfQ.";
        assert_eq!(verifier.verify(none, NOW), Err(TokenError::Invalid));
        for junk in ["", ".", "..", "a.b.c"] {
            assert_eq!(verifier.verify(junk, NOW), Err(TokenError::Invalid));
        }
        assert_eq!(Verifier::new(None, 0, 128).verify(none, NOW), Err(TokenError::OpenMode));
    }

    #[test]
    fn a_secret_has_its_length_and_is_not_printed() {
        assert_eq!(Secret::new(b" short \n").unwrap_err(), 5);
        assert_eq!(format!("{:?}", secret()), "Secret(…)");
    }
}
