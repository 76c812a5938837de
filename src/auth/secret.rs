//! The secret that signs and verifies tokens with HS256.

use super::key_sources::read_bounded;
use super::{Claims, KeyProblem, SignError, SigningKey};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A secret has at least as many bytes as HS256's hash (RFC 7518 §3.2).
pub const SECRET_BYTES_MIN: usize = 32;

/// A secret that signs tokens.
#[derive(Clone)]
pub struct Secret(Arc<[u8]>);

impl Secret {
    /// Takes a secret. White space around it, such as a file's last newline, is not part of it.
    ///
    /// # Errors
    /// The number of its bytes, if there are fewer than [`SECRET_BYTES_MIN`].
    pub fn new(bytes: &[u8]) -> Result<Secret, usize> {
        judged(bytes).map(Secret)
    }

    /// Reads a secret from a file.
    pub(super) fn read(path: &Path) -> Result<Secret, KeyProblem> {
        Secret::new(&read_bounded(path)?).map_err(KeyProblem::SecretShort)
    }

    /// Signs a token.
    ///
    /// # Errors
    /// [`SignError`], if the claims cannot be encoded.
    pub fn sign(&self, claims: &Claims) -> Result<String, SignError> {
        SigningKey::from_secret(self).sign(claims, None)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A secret without the white space around it, or the number of its bytes, if they are too few.
pub(super) fn judged(bytes: &[u8]) -> Result<Arc<[u8]>, usize> {
    let bytes = bytes.trim_ascii();
    if bytes.len() < SECRET_BYTES_MIN { Err(bytes.len()) } else { Ok(bytes.into()) }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_its_length_and_is_not_printed() {
        assert_eq!(Secret::new(b" short \n").unwrap_err(), 5);
        assert_eq!(format!("{:?}", Secret::new(&[b'k'; 32]).unwrap()), "Secret(…)");
    }
}
