//! How connections speak TLS, beside who the server is.

use super::certificate::{ClientAuthorities, ShownCertificates};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::NoServerSessionStorage;
use rustls::server::WebPkiClientVerifier;
use std::sync::Arc;

/// What a client that says at all which protocols it speaks must offer (RFC 7301): no HTTP/2.
const PROTOCOL: &[u8] = b"http/1.1";

/// How a listener speaks TLS, for any thread.
pub type ListenerTls = Arc<ServerConfig>;

/// TLS 1.2 and 1.3 with these certificates, and session tickets (RFC 5077, RFC 8446
/// §2.2) under keys that change every six hours. Nothing of a session is kept here, and no request
/// is read before the handshake is done (no early data). With `client_authorities`, clients must
/// show a certificate that one of them has signed, and get no tickets: whoever resumes a session is
/// not asked for a certificate again, also when it has ended. A ticket of another call of this is
/// none.
///
/// # Errors
/// If the system gives no random numbers.
pub fn server_config(
    certificates: Arc<ShownCertificates>,
    client_authorities: Option<ClientAuthorities>,
) -> Result<ListenerTls, rustls::Error> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let gives_tickets = client_authorities.is_none();
    let verifier = client_authorities.map(|ClientAuthorities(roots)| {
        let builder = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider));
        builder.build().map_err(|error| rustls::Error::General(error.to_string()))
    });
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = match verifier.transpose()? {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(certificates);
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    if gives_tickets {
        config.ticketer = aws_lc_rs::Ticketer::new()?;
    } else {
        config.send_tls13_tickets = 0;
    }
    Ok(Arc::new(config))
}
