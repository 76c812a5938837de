//! The files for TLS.

use super::config::Config;
use super::error::ConfigError;
use crate::auth::small_file;
use crate::base::limits::KEY_FILE_BYTES_MAX;
use crate::tls::{Certificate, CertificateError};
use std::io;
use std::path::Path;

pub(super) const CERT_FILE: &str = "tls.cert_file";
pub(super) const KEY_FILE: &str = "tls.key_file";

/// Why a file for TLS cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsFileError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Read(io::Error),
    /// It has more than [`KEY_FILE_BYTES_MAX`] bytes.
    #[error("has more than {KEY_FILE_BYTES_MAX} bytes: this is no certificate and no key")]
    FileSize,
    /// Its content cannot be used.
    #[error(transparent)]
    Certificate(CertificateError),
}

impl Config {
    /// Whether connections are encrypted.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        self.tls_cert_file.is_some() && self.tls_key_file.is_some()
    }

    /// What clients are shown; `None` if connections are plain. Blocks on the disk.
    ///
    /// # Errors
    /// [`ConfigError::Tls`].
    pub fn read_certificate(&self) -> Result<Option<Certificate>, ConfigError> {
        let (Some(cert_file), Some(key_file)) = (&self.tls_cert_file, &self.tls_key_file) else {
            return Ok(None);
        };
        let certificates = read(CERT_FILE, cert_file)?;
        let private_key = read(KEY_FILE, key_file)?;
        Certificate::from_pem(&certificates, &private_key).map(Some).map_err(|error| {
            let (key, path) =
                if error.is_of_key() { (KEY_FILE, key_file) } else { (CERT_FILE, cert_file) };
            fault(key, path, TlsFileError::Certificate(error))
        })
    }
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, ConfigError> {
    let read = small_file::read(path, KEY_FILE_BYTES_MAX).map_err(TlsFileError::Read);
    let bytes = read.and_then(|bytes| bytes.ok_or(TlsFileError::FileSize));
    bytes.map_err(|error| fault(key, path, error))
}

fn fault(key: &'static str, path: &Path, error: TlsFileError) -> ConfigError {
    ConfigError::Tls { key, path: path.to_owned(), error }
}
