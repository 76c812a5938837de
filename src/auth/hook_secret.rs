//! The secret shared by a webhook's sender and receiver, and its signatures: HMAC-SHA256 over the
//! body, as in `X-Hub-Signature-256`.

use super::key_error::{KeyError, KeyProblem};
use super::key_sources::read_bounded;
use super::secret::judged;
use aws_lc_rs::hmac;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Precedes the digits of a signature.
const PREFIX: &str = "sha256=";
const SHA256_BYTES: usize = 32;

/// A secret and its source. It signs and verifies only after it was read.
#[derive(Clone, PartialEq, Eq)]
pub struct HookSecret {
    origin: SecretOrigin,
    bytes: Option<Arc<[u8]>>,
}

#[derive(Clone, PartialEq, Eq)]
enum SecretOrigin {
    File(PathBuf),
    Variable(String),
    Given,
}

impl HookSecret {
    /// A secret in a file.
    #[must_use]
    pub fn of_file(path: impl Into<PathBuf>) -> HookSecret {
        HookSecret { origin: SecretOrigin::File(path.into()), bytes: None }
    }

    /// A secret in an environment variable.
    #[must_use]
    pub fn of_variable(name: impl Into<String>) -> HookSecret {
        HookSecret { origin: SecretOrigin::Variable(name.into()), bytes: None }
    }

    /// Takes a secret. White space around it, such as a file's last newline, is not part of it.
    ///
    /// # Errors
    /// The number of its bytes, if there are fewer than [`SECRET_BYTES_MIN`](super::SECRET_BYTES_MIN).
    pub fn new(bytes: &[u8]) -> Result<HookSecret, usize> {
        Ok(HookSecret { origin: SecretOrigin::Given, bytes: Some(judged(bytes)?) })
    }

    /// Reads the secret, or reads it again. Waits for the disk.
    ///
    /// # Errors
    /// [`KeyError`], as for a file with a secret; the secret is then unchanged.
    pub fn read(&mut self) -> Result<(), KeyError> {
        let (bytes, origin) = match &self.origin {
            SecretOrigin::Given => return Ok(()),
            SecretOrigin::File(path) => (read_bounded(path), path.display().to_string()),
            SecretOrigin::Variable(name) => {
                let value = std::env::var_os(name).ok_or(KeyProblem::VariableMissing);
                (value.map(OsString::into_encoded_bytes), name.clone())
            }
        };
        let judged = bytes.and_then(|bytes| judged(&bytes).map_err(KeyProblem::SecretShort));
        self.bytes = Some(judged.map_err(|why| KeyError::new(origin, why))?);
        Ok(())
    }

    /// The file with the secret.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match &self.origin {
            SecretOrigin::File(path) => Some(path),
            SecretOrigin::Variable(_) | SecretOrigin::Given => None,
        }
    }

    /// The variable with the secret.
    #[must_use]
    pub fn variable(&self) -> Option<&str> {
        match &self.origin {
            SecretOrigin::Variable(name) => Some(name),
            SecretOrigin::File(_) | SecretOrigin::Given => None,
        }
    }

    /// The signature of a body; `None` if the secret has not been read.
    pub(crate) fn sign(&self, content: &[u8]) -> Option<String> {
        use std::fmt::Write;
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.bytes.as_ref()?);
        let mut text = String::from(PREFIX);
        for byte in hmac::sign(&key, content).as_ref() {
            // Writing to a `String` does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        Some(text)
    }

    /// Whether this is the signature of a body. The time that it takes does not reveal the right
    /// one.
    pub(crate) fn has_signed(&self, content: &[u8], signature: &str) -> bool {
        let (Some(secret), Some(tag)) = (&self.bytes, digits(signature)) else { return false };
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        hmac::verify(&key, content, &tag).is_ok()
    }
}

/// The bytes of `sha256=<hex>`.
fn digits(signature: &str) -> Option<[u8; SHA256_BYTES]> {
    let (pairs, rest) = signature.strip_prefix(PREFIX)?.as_bytes().as_chunks::<2>();
    if pairs.len() != SHA256_BYTES || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; SHA256_BYTES];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let value = |digit: u8| char::from(digit).to_digit(16);
        *byte = u8::try_from(value(*high)? * 16 + value(*low)?).ok()?;
    }
    Some(bytes)
}

impl fmt::Debug for HookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HookSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_one_content_and_one_secret() {
        // GitHub's own example has a shorter secret. OpenSSL computed this one.
        let secret = HookSecret::new(b"It's a Secret to Everybody, to all of them\n").unwrap();
        let signed = secret.sign(b"Hello, World!").unwrap();
        assert_eq!(signed.len(), PREFIX.len() + 2 * SHA256_BYTES);
        assert!(secret.has_signed(b"Hello, World!", &signed));
        assert!(secret.has_signed(b"Hello, World!", &signed.to_uppercase().replace("SHA", "sha")));
        assert!(!secret.has_signed(b"Hello, World", &signed));
        let other = HookSecret::new(&[b'k'; 32]).unwrap();
        assert!(!other.has_signed(b"Hello, World!", &signed));
        for wrong in ["", "sha256=", &signed[..70], &format!("{signed}0"), &signed[7..]] {
            assert!(!secret.has_signed(b"Hello, World!", wrong), "{wrong}");
        }
        let not_hex = format!("{PREFIX}{}", "g".repeat(64));
        assert!(!secret.has_signed(b"", &not_hex));
        assert_eq!(format!("{secret:?}"), "HookSecret(…)");
    }

    #[test]
    fn a_secret_that_was_not_read_signs_nothing() {
        let mut secret = HookSecret::of_file("/nowhere/at/all");
        assert!(secret.sign(b"").is_none() && !secret.has_signed(b"", ""));
        assert!(secret.read().is_err());
        let mut unset = HookSecret::of_variable("A_VARIABLE_THAT_IS_NOT_SET");
        assert!(matches!(unset.read().unwrap_err().problem, KeyProblem::VariableMissing));
        assert_eq!(HookSecret::new(b"short").unwrap_err(), 5);
    }
}
