//! HTTP calls to a running server, at a URL or through a Unix socket.

use super::CommandFailure;
use super::held_connections::HeldConnections;
use crate::auth::small_file;
use crate::base::limits::{KEY_FILE_BYTES_MAX, LINK_ANSWER_BYTES_MAX, LINK_TIMEOUT_MS};
use crate::config::{ADMIN_TOKEN_VARIABLE, Config, ConfigSources, ListenAddress, Listener};
use clap::Args;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};
use rustls::CertificateError;
use serde_json::Value;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use ureq::config::Config as AgentConfig;
use ureq::http::{Request, Response, Uri};
use ureq::tls::{
    Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, TlsProvider, parse_pem,
};
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, DefaultConnector, LazyBuffers, NextTimeout, Transport,
};
use ureq::{Agent, Body, Error};

/// How to reach a running server.
#[derive(Debug, Default, Args)]
pub(super) struct LinkArgs {
    /// The server's address, as https://chat.example/ [default: a listener of the configuration]
    #[arg(long, value_name = "URL", conflicts_with = "socket")]
    url: Option<String>,

    /// The path of a Unix socket at which it listens
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,

    /// A file with the admins' token [default: PARLOR_ADMIN_TOKEN, or what the configuration names];
    /// a Unix socket for admins needs none
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// A file with certificates (PEM) that sign the server's, beside those that the system trusts
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// A file with a certificate of your own and its key (PEM), where the server asks for one
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,

    /// The server's configuration file [default: what PARLOR_CONFIG names, or ./parlor.toml if it is
    /// there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Where a server at this machine answers. Not `localhost`: a container need not know the name.
fn at_this_machine(address: SocketAddr) -> SocketAddr {
    let loopback = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(loopback, address.port())
}

/// A server that can be called.
#[derive(Debug)]
pub(super) struct ServerLink {
    agent: Agent,
    base: String,
    token: Option<String>,
    timeout_ms: u64,
}

/// An answer: its status, and its content as JSON.
pub(super) type ServerAnswer = (u16, Value);

impl LinkArgs {
    /// A link to a URL, for anybody or with a user's token. Its connections stay open until it is
    /// dropped.
    pub(super) fn of_url(
        url: &str,
        ca: Option<&Path>,
        token_file: Option<&Path>,
    ) -> Result<ServerLink, CommandFailure> {
        let args = LinkArgs { ca: ca.map(Path::to_owned), ..LinkArgs::default() };
        let token = token_file.map(read_token).transpose()?;
        let connector = DefaultConnector::default().chain(HeldConnections::default());
        let config = agent_config(args.tls()?);
        let agent = Agent::with_parts(config, connector, DefaultResolver::default());
        Ok(ServerLink { agent, ..ServerLink::at(url, TlsConfig::default(), token) })
    }

    /// A link to the server, for admins or for anybody.
    pub(super) fn open(self, is_for_admins: bool) -> Result<ServerLink, CommandFailure> {
        if let Some(path) = &self.socket {
            return Ok(ServerLink::unix(path, self.token(is_for_admins)?));
        }
        if let Some(url) = &self.url {
            let tls = self.tls()?;
            return Ok(ServerLink::at(url, tls, self.token(is_for_admins)?));
        }
        let sources = ConfigSources::of_process(self.config.clone());
        let config = sources.read().map_err(CommandFailure::usage)?.config;
        self.of_config(&config, is_for_admins)
    }

    fn token(&self, is_for_admins: bool) -> Result<Option<String>, CommandFailure> {
        let token = self.token_file.as_deref().map(read_token).transpose()?;
        let token = token.or_else(|| std::env::var(ADMIN_TOKEN_VARIABLE).ok());
        // Who only asks for the server's health shows it to nobody.
        Ok(token.filter(|_| is_for_admins))
    }

    /// A link to a listener of this configuration.
    pub(super) fn of_config(
        &self,
        config: &Config,
        is_for_admins: bool,
    ) -> Result<ServerLink, CommandFailure> {
        let token = self.token(is_for_admins)?;
        let listeners = config.all_listeners();
        let is_its = |one: &&Listener| one.serves.admin || (!is_for_admins && !one.serves.redirect);
        let for_admins = listeners.iter().find(|one| is_for_admins && one.admits_admins());
        let Some(listener) = for_admins.or_else(|| listeners.iter().find(is_its)) else {
            let message = "the configuration has no listener for this: say --url or --socket";
            return Err(CommandFailure::usage(message));
        };
        let token = match (&config.admin_token_file, token) {
            (Some(path), None) if is_for_admins && !listener.admits_admins() => {
                Some(read_token(path)?)
            }
            (_, token) => token,
        };
        self.to_listener(listener, token)
    }

    /// A link to one listener of this machine.
    pub(super) fn to_listener(
        &self,
        listener: &Listener,
        token: Option<String>,
    ) -> Result<ServerLink, CommandFailure> {
        match &listener.address {
            ListenAddress::Unix(path) => Ok(ServerLink::unix(path, token)),
            ListenAddress::Tcp(address) => {
                let scheme = if listener.tls { "https" } else { "http" };
                // It is this machine, whatever name its certificate is for.
                let tls =
                    self.client_certificate(TlsConfig::builder().disable_verification(true))?;
                let url = format!("{scheme}://{}/", at_this_machine(*address));
                Ok(ServerLink::at(&url, tls, token))
            }
            ListenAddress::Passed(_) => {
                let message = "systemd holds the server's socket: say --url or --socket";
                Err(CommandFailure::usage(message))
            }
        }
    }

    fn tls(&self) -> Result<TlsConfig, CommandFailure> {
        let mut roots: Vec<Certificate<'static>> = Vec::new();
        for one in rustls_native_certs::load_native_certs().certs {
            roots.push(Certificate::from_der(&one).to_owned());
        }
        if let Some(path) = &self.ca {
            roots.extend(pem(path)?.0);
        }
        let builder = TlsConfig::builder().root_certs(RootCerts::Specific(Arc::new(roots)));
        self.client_certificate(builder)
    }

    fn client_certificate(
        &self,
        builder: ureq::tls::TlsConfigBuilder,
    ) -> Result<TlsConfig, CommandFailure> {
        let own = match &self.cert {
            None => None,
            Some(path) => {
                let (chain, key) = pem(path)?;
                let key = key.ok_or_else(|| {
                    CommandFailure::usage(format!("{}: has no private key", path.display()))
                })?;
                Some(ClientCert::new_with_certs(&chain, key))
            }
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = builder
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(provider)
            .client_cert(own);
        Ok(builder.build())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CommandFailure> {
    let failed = |why: String| CommandFailure::new(format!("{}: {why}", path.display()));
    let read =
        small_file::read(path, KEY_FILE_BYTES_MAX).map_err(|error| failed(error.to_string()))?;
    read.ok_or_else(|| failed(format!("has more than {KEY_FILE_BYTES_MAX} bytes")))
}

fn read_token(path: &Path) -> Result<String, CommandFailure> {
    let text = String::from_utf8(read(path)?)
        .map_err(|_| CommandFailure::new(format!("{}: the token is not text", path.display())))?;
    Ok(text.trim().to_owned())
}

type PemContent = (Vec<Certificate<'static>>, Option<PrivateKey<'static>>);

fn pem(path: &Path) -> Result<PemContent, CommandFailure> {
    let (mut certificates, mut key) = (Vec::new(), None);
    for item in parse_pem(&read(path)?) {
        match item.map_err(|error| CommandFailure::new(format!("{}: {error}", path.display())))? {
            PemItem::Certificate(one) => certificates.push(one),
            PemItem::PrivateKey(one) => key = Some(one),
            _ => {}
        }
    }
    Ok((certificates, key))
}

impl ServerLink {
    fn at(url: &str, tls: TlsConfig, token: Option<String>) -> ServerLink {
        let base = url.trim_end_matches('/').to_owned();
        ServerLink {
            agent: agent_config(tls).new_agent(),
            base,
            token,
            timeout_ms: LINK_TIMEOUT_MS,
        }
    }

    fn unix(path: &Path, token: Option<String>) -> ServerLink {
        let connector = UnixConnector(path.to_owned());
        let config = agent_config(TlsConfig::default());
        let agent = Agent::with_parts(config, connector, Nowhere);
        let base = "http://localhost".to_owned();
        ServerLink { agent, base, token, timeout_ms: LINK_TIMEOUT_MS }
    }

    /// The same link, which waits so long for each answer.
    pub(super) fn patient_for(self, timeout_ms: u64) -> ServerLink {
        ServerLink { timeout_ms, ..self }
    }

    /// Makes a call. An answer that is no success is one, too.
    pub(super) fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<ServerAnswer, CommandFailure> {
        let content = body.map(Value::to_string).unwrap_or_default();
        self.read(self.send(method, path, &[], content)?)
    }

    /// Opens a WebSocket (RFC 6455 §4.1), as a page of the server does for this client: the answer's
    /// status is 101 if it opens. Of a link to a URL it stays open until the link is dropped.
    pub(super) fn open_websocket(
        &self,
        path: &str,
        client: &str,
    ) -> Result<ServerAnswer, CommandFailure> {
        let fields = [
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            // It need only be new where it tells one of several WebSockets.
            ("Sec-WebSocket-Key", "cGFybG9yIGRvY3RvciAhIQ=="),
            ("Origin", &self.base),
            ("X-Forwarded-For", client),
        ];
        let answer = self.send("GET", path, &fields, String::new())?;
        match answer.status().as_u16() {
            101 => Ok((101, Value::Null)),
            _ => self.read(answer),
        }
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> CommandFailure {
        CommandFailure::new(format!("the server at {} does not answer: {error}", self.base))
    }

    /// Why a call failed, in the words of whoever has to mend it.
    fn not_called(&self, error: &Error) -> CommandFailure {
        let of_tls = match error {
            Error::Rustls(error) => Some(error),
            Error::Io(error) => error.get_ref().and_then(|inner| inner.downcast_ref()),
            _ => None,
        };
        let Some(rustls::Error::InvalidCertificate(fault)) = of_tls else {
            return self.failed(error);
        };
        let host = self.base.split("://").nth(1).unwrap_or(&self.base);
        let why = match fault {
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("is not for {host}")
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "has expired".to_owned()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "is not valid yet, or the clock here is wrong".to_owned()
            }
            CertificateError::UnknownIssuer => {
                "is signed by nobody whom this system trusts (--ca FILE names one more)".to_owned()
            }
            other => format!("is not valid: {other}"),
        };
        CommandFailure::new(format!("the certificate of the server at {} {why}", self.base))
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        content: String,
    ) -> Result<Response<Body>, CommandFailure> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let request = request.body(content).map_err(|error| self.failed(&error))?;
        let timeout = Some(Duration::from_millis(self.timeout_ms));
        let request = self.agent.configure_request(request).timeout_global(timeout).build();
        self.agent.run(request).map_err(|error| self.not_called(&error))
    }

    fn read(&self, mut answer: Response<Body>) -> Result<ServerAnswer, CommandFailure> {
        let limited = answer.body_mut().with_config().limit(LINK_ANSWER_BYTES_MAX);
        let text = limited.read_to_string().map_err(|error| self.failed(&error))?;
        let status = answer.status().as_u16();
        // What stands between may answer with something else.
        Ok((status, serde_json::from_str(&text).unwrap_or(Value::String(text))))
    }
}

fn agent_config(tls: TlsConfig) -> AgentConfig {
    Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .allow_non_standard_methods(true)
        .proxy(None)
        .user_agent(concat!("parlor/", env!("CARGO_PKG_VERSION")))
        .build()
}

#[derive(Debug)]
struct UnixConnector(PathBuf);

impl Connector for UnixConnector {
    type Out = UnixTransport;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<UnixTransport>, Error> {
        let stream = connect(&self.0, details.timeout)?;
        let (input, output) =
            (details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(UnixTransport { stream, buffers: LazyBuffers::new(input, output) }))
    }
}

/// Connects, within the time. While a server's backlog is full, `connect(2)` would wait without end;
/// non-blocking, it says so.
fn connect(path: &Path, timeout: NextTimeout) -> io::Result<UnixStream> {
    const PAUSE: Duration = Duration::from_millis(10);
    let at_socket = |error: io::Error| {
        let message = match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => "nobody listens there".to_owned(),
            _ => error.to_string(),
        };
        io::Error::new(error.kind(), format!("{}: {message}", path.display()))
    };
    let address = SocketAddrUnix::new(path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    let mut left = timeout.not_zero().map_or(Duration::MAX, |time| *time);
    while let Err(error) = rustix::net::connect(&socket, &address) {
        match io::Error::from(error) {
            error if error.kind() != ErrorKind::WouldBlock => return Err(at_socket(error)),
            _ if left < PAUSE => return Err(at_socket(ErrorKind::TimedOut.into())),
            _ => thread::sleep(PAUSE),
        }
        left -= PAUSE;
    }
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

#[derive(Debug)]
struct UnixTransport {
    stream: UnixStream,
    buffers: LazyBuffers,
}

impl Transport for UnixTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.set_write_timeout(timeout.not_zero().map(|time| *time))?;
        self.stream.write_all(&self.buffers.output()[..amount])?;
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.set_read_timeout(timeout.not_zero().map(|time| *time))?;
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        // One call a connection.
        false
    }
}

/// A Unix socket has no address that a name would lead to.
#[derive(Debug)]
struct Nowhere;

impl Resolver for Nowhere {
    fn resolve(
        &self,
        _: &Uri,
        _: &AgentConfig,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let mut addresses = self.empty();
        addresses.push(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        Ok(addresses)
    }
}
