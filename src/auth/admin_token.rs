//! The operators' token for HTTP calls: a secret that is sent as it is.

use super::{KeyError, Secret};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use std::fmt;
use std::path::Path;

/// The admin token.
#[derive(Clone)]
pub struct AdminToken(Secret);

impl AdminToken {
    /// Takes a token. White space around it, such as a file's last newline, is not part of it.
    ///
    /// # Errors
    /// The number of its bytes, if there are fewer than [`SECRET_BYTES_MIN`](super::SECRET_BYTES_MIN).
    pub fn new(bytes: &[u8]) -> Result<AdminToken, usize> {
        Secret::new(bytes).map(AdminToken)
    }

    /// Reads a token from a file.
    ///
    /// # Errors
    /// [`KeyError`], as of a file with a secret.
    pub fn read(path: &Path) -> Result<AdminToken, KeyError> {
        let secret = Secret::read(path).map_err(|why| KeyError::new(path.display(), why))?;
        Ok(AdminToken(secret))
    }

    /// Whether this is the token. The time that it takes reveals only the lengths.
    #[must_use]
    pub fn is(&self, presented: &str) -> bool {
        verify_slices_are_equal(self.0.bytes(), presented.as_bytes()).is_ok()
    }
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AdminToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_itself_alone_and_is_not_printed() {
        let token = AdminToken::new(b" 0123456789abcdef0123456789abcdef\n").unwrap();
        assert!(token.is("0123456789abcdef0123456789abcdef"));
        for other in ["", "0123456789abcdef0123456789abcdeF", "0123456789abcdef0123456789abcdef0"] {
            assert!(!token.is(other), "{other}");
        }
        assert_eq!(format!("{token:?}"), "AdminToken(…)");
        assert_eq!(AdminToken::new(b"short").unwrap_err(), 5);
    }
}
