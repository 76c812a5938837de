//! Who the server is: a certificate with its private key (RFC 5280, RFC 7468), as clients are shown it.

use crate::base::Timestamp;
use crate::base::limits::CERTIFICATE_WARNING_DAYS;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
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

/// What to say of a certificate that ends soon, or has ended.
#[must_use]
pub fn expiry_warning(expires: Timestamp, now: Timestamp) -> Option<String> {
    match expires.days_since(now) {
        CERTIFICATE_WARNING_DAYS.. => None,
        ..0 => Some("the certificate has ended: renew it".to_owned()),
        0 => Some("the certificate ends within a day: renew it".to_owned()),
        1 => Some("the certificate ends within two days: renew it".to_owned()),
        days => Some(format!("the certificate ends in {days} days: renew it")),
    }
}

/// The certificate in force. It can be replaced at any time: handshakes that begin later show the
/// new one, connections and session tickets stay.
#[derive(Debug)]
pub struct ShownCertificate(RwLock<Certificate>);

impl ShownCertificate {
    /// Shows this one.
    #[must_use]
    pub fn new(certificate: Certificate) -> Arc<ShownCertificate> {
        Arc::new(ShownCertificate(RwLock::new(certificate)))
    }

    /// Shows another one from now on.
    pub fn replace(&self, new: Certificate) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = new;
    }

    /// When it ends to be valid.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.0.read().unwrap_or_else(PoisonError::into_inner).expires
    }
}

impl ResolvesServerCert for ShownCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).certified))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_warned_of_from_thirty_days_before_it() {
        const DAY: i64 = 86_400_000;
        let warning =
            |left_ms: i64| expiry_warning(Timestamp(100 * DAY + left_ms), Timestamp(100 * DAY));
        assert_eq!(warning(30 * DAY), None);
        for (left_ms, told) in [
            (30 * DAY - 1, "ends in 29 days"),
            (2 * DAY, "ends in 2 days"),
            (2 * DAY - 1, "ends within two days"),
            (DAY - 1, "ends within a day"),
            (0, "ends within a day"),
            (-1, "has ended"),
        ] {
            let warning = warning(left_ms).expect("there is one");
            assert!(warning.contains(told), "{left_ms}: {warning}");
        }
    }
}
