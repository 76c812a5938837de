//! The files for TLS.

use super::config::Config;
use super::error::ConfigError;
use super::listeners::Listener;
use crate::auth::small_file;
use crate::base::limits::KEY_FILE_BYTES_MAX;
use crate::tls::{Certificate, CertificateError, ClientAuthorities};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

pub(super) const CERT_FILE: &str = "tls.cert_file";
pub(super) const KEY_FILE: &str = "tls.key_file";
pub(super) const CERTIFICATES: &str = "tls.certificates";

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

/// The files of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, and those above it (PEM).
    pub cert: PathBuf,
    /// Its private key (PEM).
    pub key: PathBuf,
}

impl CertificateFiles {
    /// Reads `CERT:KEY`.
    pub(super) fn parse(text: &str) -> Option<CertificateFiles> {
        let (cert, key) =
            text.split_once(':').filter(|(cert, key)| !cert.is_empty() && !key.is_empty())?;
        Some(CertificateFiles { cert: cert.into(), key: key.into() })
    }

    fn read(
        &self,
        cert_key: &'static str,
        key_key: &'static str,
    ) -> Result<Certificate, ConfigError> {
        let certificates = read(cert_key, &self.cert)?;
        let private_key = read(key_key, &self.key)?;
        Certificate::from_pem(&certificates, &private_key).map_err(|error| {
            let (key, path) =
                if error.is_of_key() { (key_key, &self.key) } else { (cert_key, &self.cert) };
            fault(key, path, TlsFileError::Certificate(error))
        })
    }
}

impl fmt::Display for CertificateFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.cert.display(), self.key.display())
    }
}

impl Config {
    /// Whether there is a certificate.
    #[must_use]
    pub fn has_tls(&self) -> bool {
        self.tls_cert_file.is_some() && self.tls_key_file.is_some()
    }

    /// All files of certificates and their keys.
    #[must_use]
    pub fn certificate_files(&self) -> Vec<&Path> {
        let first = [&self.tls_cert_file, &self.tls_key_file].into_iter().flatten();
        let others = self.tls_certificates.iter().flat_map(|files| [&files.cert, &files.key]);
        first.chain(others).map(PathBuf::as_path).collect()
    }

    /// What clients are shown, the first one by default; none if connections are plain. Blocks on
    /// the disk.
    ///
    /// # Errors
    /// [`ConfigError::Tls`].
    pub fn read_certificates(&self) -> Result<Vec<Certificate>, ConfigError> {
        let (Some(cert), Some(key)) = (self.tls_cert_file.clone(), self.tls_key_file.clone())
        else {
            return Ok(Vec::new());
        };
        let first = CertificateFiles { cert, key }.read(CERT_FILE, KEY_FILE);
        let others = self.tls_certificates.iter();
        let others = others.map(|files| files.read(CERTIFICATES, CERTIFICATES));
        std::iter::once(first).chain(others).collect()
    }

    /// By whom the certificates must be signed that clients show at each listener; by listener,
    /// `None` where they show none. Blocks on the disk.
    ///
    /// # Errors
    /// [`ConfigError::Tls`].
    pub fn read_client_authorities(&self) -> Result<Vec<Option<ClientAuthorities>>, ConfigError> {
        let of_listener = |(number, listener): (usize, &Listener)| {
            let Some(path) = listener.client_ca_file.as_deref().map(Path::new) else {
                return Ok(None);
            };
            let wrong = |error: TlsFileError| {
                let wants = format!("client_ca_file: {} {error}", path.display());
                ConfigError::BadListener { place: Some((number, "client_ca_file")), wants }
            };
            let pem = read_file(path).map_err(wrong)?;
            let authorities = ClientAuthorities::from_pem(&pem).map(Some);
            authorities.map_err(|error| wrong(TlsFileError::Certificate(error)))
        };
        self.all_listeners().iter().enumerate().map(of_listener).collect()
    }
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, ConfigError> {
    read_file(path).map_err(|error| fault(key, path, error))
}

fn read_file(path: &Path) -> Result<Vec<u8>, TlsFileError> {
    let read = small_file::read(path, KEY_FILE_BYTES_MAX).map_err(TlsFileError::Read);
    read.and_then(|bytes| bytes.ok_or(TlsFileError::FileSize))
}

fn fault(key: &'static str, path: &Path, error: TlsFileError) -> ConfigError {
    ConfigError::Tls { key, path: path.to_owned(), error }
}
