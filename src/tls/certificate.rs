//! Who the server is: certificates with their private keys (RFC 5280, RFC 7468), and which of them a
//! client is shown.

use crate::base::Timestamp;
use rustls::client::verify_server_name;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::sync::{Arc, PoisonError, RwLock};
use x509_cert::der::Decode;

/// A certificate, those above it, and its private key.
#[derive(Clone, Debug)]
pub struct Certificate {
    certified: Arc<CertifiedKey>,
    expires: Timestamp,
}

/// Why a certificate and a key cannot be used. No message contains anything of a key.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The first file has no certificate.
    #[error("has no certificate (-----BEGIN CERTIFICATE-----)")]
    NoCertificate,
    /// The first file is not PEM throughout.
    #[error("has a PEM block that cannot be read")]
    BadCertificateBlock,
    /// A certificate cannot be read.
    #[error("has a certificate that cannot be read: {0}")]
    BadCertificate(String),
    /// The second file has no private key.
    #[error("has no private key (-----BEGIN PRIVATE KEY-----)")]
    NoKey,
    /// The key is encrypted.
    #[error("is encrypted: decrypt it with `openssl pkey -in FILE -out OTHER`")]
    Encrypted,
    /// The key is of an unsupported kind, or damaged.
    #[error("is no key of RSA (2048 bits or more), of EC P-256, P-384 or P-521, or of Ed25519")]
    BadKey,
    /// The key belongs to another certificate.
    #[error("is not the key of the certificate: its first certificate has another public key")]
    OtherKey,
}

impl CertificateError {
    /// Whether the key, or its file, is to blame, and not the certificate.
    #[must_use]
    pub fn is_of_key(&self) -> bool {
        match self {
            CertificateError::NoCertificate
            | CertificateError::BadCertificateBlock
            | CertificateError::BadCertificate(_) => false,
            CertificateError::NoKey
            | CertificateError::Encrypted
            | CertificateError::BadKey
            | CertificateError::OtherKey => true,
        }
    }
}

impl Certificate {
    /// Reads PEM: the certificate first, then those above it; and the private key, in any of its
    /// forms.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Certificate, CertificateError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(certificates).collect();
        let chain = chain.map_err(|_| CertificateError::BadCertificateBlock)?;
        let first = chain.first().ok_or(CertificateError::NoCertificate)?;
        let expires = expiry(first)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
            // RFC 5958 §3, and the older form of RFC 1421 §4.6.1.1.
            _ if is_encrypted(key) => CertificateError::Encrypted,
            pem::Error::NoItemsFound => CertificateError::NoKey,
            _ => CertificateError::BadKey,
        })?;
        let key = any_supported_type(&key).map_err(|_| CertificateError::BadKey)?;
        let certified = CertifiedKey::new(chain, key);
        certified.keys_match().map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => CertificateError::OtherKey,
            other => CertificateError::BadCertificate(other.to_string()),
        })?;
        Ok(Certificate { certified: Arc::new(certified), expires })
    }

    /// When the certificate ends to be valid.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    fn is_of(&self, name: &ServerName<'_>) -> bool {
        let parsed = self.certified.end_entity_cert().and_then(ParsedCertificate::try_from);
        parsed.is_ok_and(|parsed| verify_server_name(&parsed, name).is_ok())
    }
}

fn is_encrypted(pem: &[u8]) -> bool {
    pem.windows(9).any(|window| window == b"ENCRYPTED")
}

/// RFC 5280 §4.1.2.5: `notAfter`, in seconds.
fn expiry(certificate: &CertificateDer<'_>) -> Result<Timestamp, CertificateError> {
    let read = x509_cert::Certificate::from_der(certificate);
    let read = read.map_err(|error| CertificateError::BadCertificate(error.to_string()))?;
    let seconds = read.tbs_certificate().validity().not_after.to_unix_duration().as_secs();
    Ok(Timestamp(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000)))
}

/// The certificates that are in force. They can be replaced at any time: handshakes that begin later
/// show the new ones, connections and session tickets stay.
#[derive(Debug)]
pub struct Certificates {
    /// Never empty.
    list: RwLock<Arc<[Certificate]>>,
}

impl Certificates {
    /// With one, and others for their names.
    #[must_use]
    pub fn new(
        first: Certificate,
        others: impl IntoIterator<Item = Certificate>,
    ) -> Arc<Certificates> {
        let list = std::iter::once(first).chain(others).collect();
        Arc::new(Certificates { list: RwLock::new(list) })
    }

    /// Takes those of `new` from now on.
    pub fn replace(&self, new: &Certificates) {
        let list = new.list();
        *self.list.write().unwrap_or_else(PoisonError::into_inner) = list;
    }

    /// When the first of them ends to be valid.
    #[must_use]
    pub fn first_expiry(&self) -> Timestamp {
        let list = self.list();
        list.iter().map(Certificate::expires).min().unwrap_or(Timestamp(i64::MAX))
    }

    fn list(&self) -> Arc<[Certificate]> {
        Arc::clone(&self.list.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for Certificates {
    /// The first one that has the name that the client asks for (RFC 6066 §3); the first one for
    /// other names, and for clients that name none.
    fn resolve(&self, client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let list = self.list();
        let name = client_hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let of_name =
            name.and_then(|name| list.iter().find(|certificate| certificate.is_of(&name)));
        of_name.or(list.first()).map(|certificate| Arc::clone(&certificate.certified))
    }
}
