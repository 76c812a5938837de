//! TLS 1.2 and 1.3 (RFC 5246, RFC 8446) between a socket and the reactor, by rustls. It runs on the
//! reactor's thread and knows no HTTP. rustls holds no bytes here: records are decrypted out of the
//! buffer into which the loop reads, and encrypted into one that all connections share.

mod acceptor;
mod certificate;
mod connection;
mod read;
mod settings;
mod stream;
mod write;

pub use acceptor::TlsAcceptor;
pub use certificate::{
    Certificate, CertificateError, ChainFault, ClientAuthorities, ShownCertificates, expiry_warning,
};
pub use settings::{ListenerTls, server_config};
pub use stream::TlsStream;
