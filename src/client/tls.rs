//! TLS of a client: whom it trusts, and what is wrong with a server's certificate, in words.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, pem};
use rustls::{CertificateError, ClientConfig, ClientConnection, RootCertStore};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Whom a client trusts to say that a server is who it claims to be.
#[derive(Clone, Debug)]
pub struct Tls {
    config: Arc<ClientConfig>,
}

/// Why there is nobody to trust.
#[derive(Debug)]
#[non_exhaustive]
pub enum TrustError {
    /// A file cannot be read as certificates in PEM.
    File {
        /// Its path.
        path: PathBuf,
        /// Why not.
        error: pem::Error,
    },
    /// A file has no certificate that could be an authority's.
    Empty(PathBuf),
    /// The system has no authorities, or they cannot be read; on Debian they are in the package `ca-certificates`.
    System(String),
    /// The program was built without what TLS computes with: the feature `ring` or `aws-lc` of this crate.
    NoProvider,
}

/// What the judge of certificates says of an authority's that a server shows (RFC 5280 §4.2.1.9); it has no name here.
const CA_AS_SERVER: &str = "CaUsedAsEndEntity";

impl Tls {
    /// Trusts whom the system trusts.
    ///
    /// # Errors
    /// [`TrustError::System`] if that is nobody, [`TrustError::NoProvider`].
    pub fn system() -> Result<Tls, TrustError> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (added, _ignored) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            let errors: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
            return Err(TrustError::System(errors.join("; ")));
        }
        Tls::with_roots(roots)
    }

    /// Trusts the authorities of a file in PEM, and nobody else.
    ///
    /// # Errors
    /// [`TrustError::File`], [`TrustError::Empty`], [`TrustError::NoProvider`].
    pub fn ca_file(path: impl AsRef<Path>) -> Result<Tls, TrustError> {
        let path = path.as_ref();
        let failed = |error| TrustError::File { path: path.to_owned(), error };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(path).map_err(failed)? {
            // One that is none is passed over: such files have remarks and keys, too.
            let _ = roots.add(certificate.map_err(failed)?);
        }
        if roots.is_empty() {
            return Err(TrustError::Empty(path.to_owned()));
        }
        Tls::with_roots(roots)
    }

    /// As a program has it, for example with a certificate of its own.
    #[must_use]
    pub fn config(config: Arc<ClientConfig>) -> Tls {
        Tls { config }
    }

    fn with_roots(roots: RootCertStore) -> Result<Tls, TrustError> {
        let provider = crate::crypto_provider().ok_or(TrustError::NoProvider)?;
        let config = ClientConfig::builder_with_provider(provider);
        let config =
            config.with_safe_default_protocol_versions().map_err(|_| TrustError::NoProvider)?;
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        // RFC 7301: a WebSocket begins as HTTP/1.1, whatever else the server speaks.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Tls { config: Arc::new(config) })
    }

    /// The client's end of a connection to this host.
    pub(super) fn connect(&self, host: &str) -> Result<ClientConnection, rustls::Error> {
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| rustls::Error::General("no name of a host".to_owned()))?;
        ClientConnection::new(Arc::clone(&self.config), name)
    }
}

impl fmt::Display for TrustError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TrustError::File { path, error } => write!(f, "{}: {error}", path.display()),
            TrustError::Empty(path) => write!(f, "{} has no certificate", path.display()),
            TrustError::System(errors) if errors.is_empty() => {
                f.write_str("the system has no certificate authorities")
            }
            TrustError::System(errors) => {
                write!(f, "the system's certificate authorities cannot be read: {errors}")
            }
            TrustError::NoProvider => f.write_str(
                "this program was built without the feature `ring` or `aws-lc` of parlor",
            ),
        }
    }
}

impl std::error::Error for TrustError {}

/// What is wrong between this end and the server's at `host`, in the words of whoever has to mend it.
pub(crate) fn fault(error: &rustls::Error, host: &str) -> String {
    let rustls::Error::InvalidCertificate(error) = error else {
        return format!("TLS with {host} failed: {error}");
    };
    let why = match error {
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!("is not for {host}: ask for it by a name that it has")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "has expired: it is to be renewed".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "is not valid yet, or the clock here is wrong".to_owned()
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "is signed by nobody whom this program trusts: name its authority's file, or ask for one \
             that is known"
                .to_owned()
        }
        CertificateError::Other(other) if other.to_string().contains(CA_AS_SERVER) => {
            "is that of an authority, as one that signs itself mostly is: have a server's own signed, or make one \
             that is no authority's (CA:FALSE)"
                .to_owned()
        }
        other => format!("is not valid: {other}"),
    };
    format!("the certificate of {host} {why}")
}
