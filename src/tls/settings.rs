//! How connections speak TLS, beside who the server is.

use super::certificate::ShownCertificate;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::NoServerSessionStorage;
use std::sync::Arc;

/// What a client that says at all which protocols it speaks must offer (RFC 7301): no HTTP/2.
const PROTOCOL: &[u8] = b"http/1.1";

/// TLS 1.2 and 1.3 with this certificate, and session tickets (RFC 5077, RFC 8446
/// §2.2) under keys that change every six hours. Nothing of a session is kept here, and no request
/// is read before the handshake is done (no early data).
///
/// # Errors
/// If the system gives no random numbers.
pub fn server_config(
    certificate: Arc<ShownCertificate>,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(certificate);
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = aws_lc_rs::Ticketer::new()?;
    Ok(Arc::new(config))
}
