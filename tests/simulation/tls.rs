//! TLS on the simulator's connections: rustls' client, and when the server took the bytes that it
//! reads. Keys and nonces are random; no length is, so that a seed plays the same each time.

use super::net::Departures;
use parlor::tls::{Certificate, ShownCertificates};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig};
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::sync::{Arc, LazyLock};

const NAME: &str = "chat.example";

struct Authority {
    certificate: CertificateDer<'static>,
    server: Arc<ServerConfig>,
}

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| {
    // Signatures of ECDSA differ in length.
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
    let params = rcgen::CertificateParams::new([NAME.to_owned()]).expect("a name");
    let signed = params.self_signed(&key).expect("a certificate");
    let own = Certificate::from_pem(signed.pem().as_bytes(), key.serialize_pem().as_bytes());
    let shown = ShownCertificates::new(vec![own.expect("they fit")]);
    let server = parlor::tls::server_config(shown, None).expect("random numbers");
    Authority { certificate: signed.der().clone(), server }
});

/// As the server speaks TLS in every seed.
pub(crate) fn server_config() -> Arc<ServerConfig> {
    Arc::clone(&AUTHORITY.server)
}

/// For the clients of one seed, who share the sessions that they resume.
pub(crate) fn client_config() -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(AUTHORITY.certificate.clone()).expect("it is one");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

/// The client's end of a connection.
#[derive(Debug)]
pub(crate) struct ClientEnd {
    tls: ClientConnection,
    /// Up to which byte the server took what it sends, in which turn.
    taken: VecDeque<(u64, u64)>,
    taken_bytes: u64,
    read_bytes: u64,
}

impl ClientEnd {
    pub(crate) fn new(config: &Arc<ClientConfig>) -> ClientEnd {
        let name = ServerName::try_from(NAME).expect("it is a name");
        let mut tls = ClientConnection::new(Arc::clone(config), name).expect("it can begin");
        tls.set_buffer_limit(None);
        ClientEnd { tls, taken: VecDeque::new(), taken_bytes: 0, read_bytes: 0 }
    }

    /// Encrypts bytes, or keeps them until the handshake is done.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.tls.writer().write_all(bytes).expect("it has no limit");
    }

    /// Says that nothing follows.
    pub(crate) fn ends(&mut self) {
        self.tls.send_close_notify();
    }

    /// The records to send.
    pub(crate) fn records(&mut self) -> Vec<u8> {
        let mut records = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut records).expect("memory takes them");
        }
        records
    }

    /// The server has taken so many bytes in all until this turn.
    pub(crate) fn takes(&mut self, bytes: u64, turn: u64) {
        if bytes > self.taken_bytes {
            self.taken_bytes = bytes;
            self.taken.push_back((bytes, turn));
        }
    }

    /// Decrypts records; tells `departures` when what they hold left the server.
    pub(crate) fn read(&mut self, mut records: &[u8], departures: &mut Departures) -> Vec<u8> {
        let mut plain = Vec::new();
        while !records.is_empty() {
            let read = self.tls.read_tls(&mut records).expect("memory has them");
            let state = self.tls.process_new_packets();
            let state = state.unwrap_or_else(|error| panic!("the server broke TLS: {error}"));
            let begin = plain.len();
            plain.resize(begin + state.plaintext_bytes_to_read(), 0);
            self.tls.reader().read_exact(&mut plain[begin..]).expect("so much is there");
            if read == 0 {
                break;
            }
        }
        let mut rest = plain.as_slice();
        while !rest.is_empty() {
            let &(until, turn) = self.taken.front().expect("the server has taken what it sends");
            let here = rest.len().min((until - self.read_bytes) as usize);
            departures.pass(&rest[..here], turn);
            self.read_bytes += here as u64;
            rest = &rest[here..];
            if self.read_bytes == until {
                self.taken.pop_front();
            }
        }
        plain
    }
}
