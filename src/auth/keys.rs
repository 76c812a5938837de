//! The keys that verify tokens, and the selection of one for a token.

use super::failed_proofs::{ProofPayer, TooManyFailed};
use super::key::{Algorithm, Key};
use super::key_error::KeyProblem;
use super::token_cache::{TokenCache, hash};
use super::{Claims, Secret, TokenError};
use crate::base::Timestamp;
use crate::base::limits::{KEYS_MAX, KID_BYTES_MAX, TOKEN_BYTES_MAX};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The keys that verify tokens: at most [`KEYS_MAX`], no two with the same `kid`, and at most one
/// without a `kid` per algorithm. So a token selects one key, and only one signature is checked; none
/// if the same token was verified lately, with these keys or a clone of them.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    list: Vec<Key>,
    verified: Arc<Mutex<TokenCache>>,
}

impl Keys {
    /// No keys: open mode.
    #[must_use]
    pub fn none() -> Keys {
        Keys::default()
    }

    /// Only a secret, without a `kid`.
    #[must_use]
    pub fn from_secret(secret: &Secret) -> Keys {
        // A `Secret` always has a valid length.
        let list = Key::secret(secret.bytes()).into_iter().collect();
        Keys { list, ..Keys::default() }
    }

    /// The number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn add(&mut self, key: Key) -> Result<(), KeyProblem> {
        if self.list.len() >= KEYS_MAX {
            return Err(KeyProblem::Keys);
        }
        match &key.kid {
            Some(kid) if !(1..=KID_BYTES_MAX).contains(&kid.len()) => return Err(KeyProblem::Kid),
            Some(_) if self.list.iter().any(|other| other.kid == key.kid) => {
                return Err(KeyProblem::KidTwice);
            }
            Some(_) => {}
            None if self.nameless(key.algorithm).is_some() => {
                return Err(KeyProblem::NamelessTwice(key.algorithm));
            }
            None => {}
        }
        self.list.push(key);
        Ok(())
    }

    // Whoever panics while they hold this leaves nothing half done.
    fn verified(&self) -> MutexGuard<'_, TokenCache> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The claims of a token with a valid signature by one of the keys. The sender pays before the
    /// check, and is paid back if it is valid.
    pub(super) fn open(
        &self,
        token: &str,
        now: Timestamp,
        payer: Option<ProofPayer<'_>>,
    ) -> Result<Claims, TokenError> {
        if token.len() > TOKEN_BYTES_MAX || self.is_empty() {
            return Err(TokenError::Invalid);
        }
        let hash = hash(token).ok_or(TokenError::Invalid)?;
        let found = self.verified().find(&hash, now);
        if let Some(result) = found {
            return result;
        }
        let key = self.selected(token)?;
        let too_many = |TooManyFailed(wait_ms)| TokenError::TooManyFailed(wait_ms);
        let price = payer.map(|payer| payer.pay(0).map(|price| (payer, price)));
        let price = price.transpose().map_err(too_many)?;
        let result = key.open(token);
        if let (Ok(_), Some((payer, price))) = (&result, price) {
            payer.give_back(price);
        }
        self.verified().put(hash, token.len(), &result, now);
        result
    }

    /// The key for a token. Only its header decides, which costs no signature check.
    fn selected(&self, token: &str) -> Result<&Key, TokenError> {
        // The header only selects the key. Its jwk, jku, x5c and x5u are not trusted.
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid)?;
        // RFC 7515 §4.1.11: critical extensions must be understood, and none is.
        if header.crit.is_some() {
            return Err(TokenError::Invalid);
        }
        let algorithm = Algorithm::from_library(header.alg).ok_or(TokenError::Invalid)?;
        self.select(algorithm, header.kid.as_deref())
    }

    /// Selects the key for a token by its header.
    ///
    /// With a `kid`, only the key of that name fits. Without one, it is the nameless key of its
    /// algorithm, or else the only key of its algorithm. RFC 8725 §3.1: the key must be for the
    /// algorithm in the header, so the public half of an RSA key is never used as a secret.
    pub(super) fn select(
        &self,
        algorithm: Algorithm,
        kid: Option<&str>,
    ) -> Result<&Key, TokenError> {
        let key = match kid {
            Some(_) => self.list.iter().find(|key| key.kid.as_deref() == kid),
            None => self.nameless(algorithm).or_else(|| self.only(algorithm)),
        };
        let key = key.ok_or(TokenError::UnknownKey)?;
        if key.algorithm == algorithm { Ok(key) } else { Err(TokenError::Invalid) }
    }

    fn nameless(&self, algorithm: Algorithm) -> Option<&Key> {
        self.list.iter().find(|key| key.kid.is_none() && key.algorithm == algorithm)
    }

    fn only(&self, algorithm: Algorithm) -> Option<&Key> {
        let mut keys = self.list.iter().filter(|key| key.algorithm == algorithm);
        keys.next().filter(|_| keys.next().is_none())
    }
}

/// Shows algorithms and `kid`s, and nothing of the keys themselves.
impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.len())?;
        for (key, before) in self.list.iter().zip([": "].into_iter().chain(std::iter::repeat(", ")))
        {
            write!(f, "{before}{key}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(kid: Option<&str>) -> Key {
        Key::secret(&[b'k'; 32]).unwrap().named(kid.map(Into::into))
    }

    fn ed25519(kid: Option<&str>) -> Key {
        let x = b"\xd7\x5a\x98\x01\x82\xb1\x0a\xb7\xd5\x4b\xfe\xd3\xc9\x64\x07\x3a\
                  \x0e\xe1\x72\xf3\xda\xa6\x23\x25\xaf\x02\x1a\x68\xf7\x07\x51\x1a";
        Key::ed25519(x).unwrap().named(kid.map(Into::into))
    }

    fn keys(all: impl IntoIterator<Item = Key>) -> Keys {
        let mut keys = Keys::none();
        for key in all {
            keys.add(key).unwrap();
        }
        keys
    }

    /// The selected key, as shown.
    fn selected(keys: &Keys, algorithm: Algorithm, kid: Option<&str>) -> String {
        keys.select(algorithm, kid).map_or_else(|error| format!("{error:?}"), Key::to_string)
    }

    #[test]
    fn a_kid_means_its_own_key_alone_and_for_its_own_algorithm() {
        let keys = keys([secret(Some("a")), secret(Some("b")), ed25519(Some("c"))]);
        use Algorithm::{EdDsa, Es256, Hs256};
        assert_eq!(selected(&keys, Hs256, Some("b")), "HS256 \"b\"");
        assert_eq!(selected(&keys, EdDsa, Some("c")), "EdDSA \"c\"");
        assert_eq!(selected(&keys, Hs256, Some("c")), "Invalid");
        assert_eq!(selected(&keys, EdDsa, Some("a")), "Invalid");
        for unknown in ["", "B", "d", "../a"] {
            assert_eq!(selected(&keys, Hs256, Some(unknown)), "UnknownKey");
        }
        assert_eq!(selected(&keys, EdDsa, None), "EdDSA \"c\"", "the only one");
        assert_eq!(selected(&keys, Hs256, None), "UnknownKey", "one of two");
        assert_eq!(selected(&keys, Es256, None), "UnknownKey");
    }

    #[test]
    fn the_key_without_a_name_is_for_tokens_without_a_kid() {
        let keys = keys([secret(None), secret(Some("a")), ed25519(None)]);
        assert_eq!(selected(&keys, Algorithm::Hs256, None), "HS256 without a kid");
        assert_eq!(selected(&keys, Algorithm::EdDsa, None), "EdDSA without a kid");
        assert_eq!(selected(&keys, Algorithm::Hs256, Some("a")), "HS256 \"a\"");
        assert_eq!(selected(&keys, Algorithm::Hs256, Some("z")), "UnknownKey");
        assert_eq!(keys.to_string(), "3: HS256 without a kid, HS256 \"a\", EdDSA without a kid");
    }

    #[test]
    fn what_would_leave_it_open_which_key_is_meant_is_refused() {
        let mut both = keys([secret(Some("a")), secret(None)]);
        assert!(matches!(both.add(ed25519(Some("a"))), Err(KeyProblem::KidTwice)));
        assert!(matches!(both.add(secret(None)), Err(KeyProblem::NamelessTwice(_))));
        assert!(matches!(both.add(secret(Some(""))), Err(KeyProblem::Kid)));
        let long = "x".repeat(KID_BYTES_MAX + 1);
        assert!(matches!(both.add(secret(Some(&long))), Err(KeyProblem::Kid)));
        assert!(both.add(secret(Some(&long[1..]))).is_ok());
        let mut full = keys((0..KEYS_MAX).map(|number| secret(Some(&number.to_string()))));
        assert!(matches!(full.add(ed25519(None)), Err(KeyProblem::Keys)));
    }
}
