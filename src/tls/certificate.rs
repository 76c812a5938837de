//! Who the server is: a certificate with its private key (RFC 5280, RFC 7468), as clients are shown it.

use crate::base::Timestamp;
use crate::base::limits::CERTIFICATE_WARNING_DAYS;
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::sync::{Arc, PoisonError, RwLock};
use x509_cert::der::{self, Decode};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::time::Time;

/// A certificate, those above it, and its private key.
#[derive(Clone, Debug)]
pub struct Certificate {
    certified: Arc<CertifiedKey>,
    /// The names of hosts that it is for, in lower case; those of wildcards begin with `*.`.
    hosts: Vec<String>,
    begins: Timestamp,
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
        let FirstCertificate { begins, expires, hosts } = FirstCertificate::read(first)?;
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
        Ok(Certificate { certified: Arc::new(certified), hosts, begins, expires })
    }

    /// When the certificate begins to be valid.
    #[must_use]
    pub fn begins(&self) -> Timestamp {
        self.begins
    }

    /// When the certificate ends to be valid.
    #[must_use]
    pub fn expires(&self) -> Timestamp {
        self.expires
    }

    /// The names of hosts that it is for, in lower case; addresses are not among them.
    #[must_use]
    pub fn hosts(&self) -> &[String] {
        &self.hosts
    }

    /// What is wrong with the order of those above it (RFC 8446 §4.4.2: each certifies the one
    /// before it), by their names; signatures are not checked.
    #[must_use]
    pub fn chain_fault(&self) -> Option<ChainFault> {
        let read = |one: &CertificateDer<'_>| x509_cert::Certificate::from_der(one).ok();
        let chain: Option<Vec<_>> = self.certified.cert.iter().map(read).collect();
        let chain = chain.unwrap_or_default();
        let pairs = chain.iter().zip(chain.iter().skip(1)).enumerate();
        for (place, (one, above)) in pairs {
            if one.tbs_certificate().issuer() != above.tbs_certificate().subject() {
                return Some(ChainFault::Order(place + 2));
            }
        }
        let only = chain.first().filter(|_| chain.len() == 1)?.tbs_certificate();
        (only.issuer() != only.subject()).then(|| ChainFault::Alone(only.issuer().to_string()))
    }

    /// RFC 9525 §6.3: whether it is for this host. A wildcard stands for one label.
    fn is_for(&self, host: &str) -> bool {
        let is_it = |own: &String| match own.strip_prefix("*.") {
            Some(parent) => host.split_once('.').is_some_and(|(_, rest)| rest == parent),
            None => own == host,
        };
        self.hosts.iter().any(is_it)
    }
}

/// Authorities: certificates that they have signed, clients may show.
#[derive(Clone, Debug)]
pub struct ClientAuthorities(pub(super) Arc<RootCertStore>);

impl ClientAuthorities {
    /// Reads their certificates (PEM).
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn from_pem(pem: &[u8]) -> Result<ClientAuthorities, CertificateError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|_| CertificateError::BadCertificateBlock)?;
            roots
                .add(certificate)
                .map_err(|error| CertificateError::BadCertificate(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(CertificateError::NoCertificate);
        }
        Ok(ClientAuthorities(Arc::new(roots)))
    }
}

fn is_encrypted(pem: &[u8]) -> bool {
    pem.windows(9).any(|window| window == b"ENCRYPTED")
}

/// What is wrong with the certificates above the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChainFault {
    /// The one with this number, from 1, does not certify the one before it.
    Order(usize),
    /// There is none, and the first is signed by this one.
    Alone(String),
}

/// What the certificate at the beginning of a file says.
struct FirstCertificate {
    begins: Timestamp,
    expires: Timestamp,
    hosts: Vec<String>,
}

impl FirstCertificate {
    /// RFC 5280 §4.1.2.5: `notBefore` and `notAfter`, in seconds; and §4.2.1.6: the names of hosts.
    fn read(certificate: &CertificateDer<'_>) -> Result<FirstCertificate, CertificateError> {
        let bad = |error: der::Error| CertificateError::BadCertificate(error.to_string());
        let read = x509_cert::Certificate::from_der(certificate).map_err(bad)?;
        let read = read.tbs_certificate();
        let time = |time: Time| {
            let seconds = i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
            Timestamp(seconds.saturating_mul(1_000))
        };
        let validity = read.validity();
        let names = read.get_extension::<SubjectAltName>().map_err(bad)?;
        let names = names.map(|(_, names)| names.0).unwrap_or_default();
        let host = |name: GeneralName| match name {
            GeneralName::DnsName(host) => Some(host.as_str().to_ascii_lowercase()),
            _ => None,
        };
        let hosts = names.into_iter().filter_map(host).collect();
        let (begins, expires) = (time(validity.not_before), time(validity.not_after));
        Ok(FirstCertificate { begins, expires, hosts })
    }
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

/// The certificates in force. They can be replaced at any time: handshakes that begin later show
/// the new ones, connections and session tickets stay.
#[derive(Debug)]
pub struct ShownCertificates(RwLock<Vec<Certificate>>);

impl ShownCertificates {
    /// Shows the first one that is for the host that a client asks for (RFC 6066 §3), or else the
    /// first one of all.
    #[must_use]
    pub fn new(certificates: Vec<Certificate>) -> Arc<ShownCertificates> {
        Arc::new(ShownCertificates(RwLock::new(certificates)))
    }

    /// Shows others from now on.
    pub fn replace(&self, new: Vec<Certificate>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = new;
    }

    /// When the first of them ends to be valid.
    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> {
        let shown = self.0.read().unwrap_or_else(PoisonError::into_inner);
        shown.iter().map(|certificate| certificate.expires).min()
    }

    fn for_host(&self, host: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let shown = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let host = host.map(str::to_ascii_lowercase);
        let is_it = |one: &&Certificate| host.as_ref().is_some_and(|host| one.is_for(host));
        let found = shown.iter().find(is_it).or(shown.first());
        found.map(|certificate| Arc::clone(&certificate.certified))
    }
}

impl ResolvesServerCert for ShownCertificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.for_host(hello.server_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    fn certificate(hosts: &[&str]) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>();
        let signed = CertificateParams::new(hosts).unwrap().self_signed(&key).unwrap();
        Certificate::from_pem(signed.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap()
    }

    #[test]
    fn the_certificate_is_the_one_for_the_host_that_is_asked_for() {
        let all = [&["a.example", "127.0.0.1"][..], &["B.example", "*.c.example"], &["a.example"]];
        let all: Vec<Certificate> = all.into_iter().map(certificate).collect();
        let shown = ShownCertificates::new(all.clone());
        for (host, expected) in [
            (None, 0),
            (Some("a.example"), 0),
            (Some("A.EXAMPLE"), 0),
            (Some("b.example"), 1),
            (Some("x.c.example"), 1),
            (Some("y.x.c.example"), 0),
            (Some("c.example"), 0),
            (Some("elsewhere.example"), 0),
        ] {
            let found = shown.for_host(host).unwrap();
            let is_it = |one: &Certificate| Arc::ptr_eq(&one.certified, &found);
            assert_eq!(all.iter().position(is_it), Some(expected), "{host:?}");
        }
        shown.replace(all[2..].to_vec());
        assert!(Arc::ptr_eq(&shown.for_host(Some("b.example")).unwrap(), &all[2].certified));
    }

    #[test]
    fn authorities_are_certificates() {
        assert!(matches!(ClientAuthorities::from_pem(b""), Err(CertificateError::NoCertificate)));
        let key = KeyPair::generate().unwrap();
        let signed = CertificateParams::new(vec![]).unwrap().self_signed(&key).unwrap();
        assert_eq!(
            ClientAuthorities::from_pem(signed.pem().repeat(2).as_bytes()).unwrap().0.len(),
            2
        );
        let cut = signed.pem().replace("-----END", "");
        assert!(ClientAuthorities::from_pem(cut.as_bytes()).is_err());
    }

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
