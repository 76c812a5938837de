//! Puts a server together: reactor, store, hub, chat.

use super::certificate_watch::CertificateWatch;
use super::chat::Chat;
use super::embed::handle::{Handle, Stopper};
use super::embed::shared::FailCallsOnDrop;
use super::reload::Reloader;
use crate::auth::cookie_secret;
use crate::base::{Chance, StreamId};
use crate::config::{Config, ConfigError};
use crate::reactor::{Machine, Reactor, ReactorConfig, SIGINT, SIGTERM, on_signal};
use crate::store::{EventsWanted, LockError, OpenError, Store};
use crate::tls::{ShownCertificate, TlsAcceptor, server_config};
use crate::web::Web;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::{fmt, io};

/// Why a server could not start, or ended with an error. `Debug` shows the same text as `Display`,
/// because a program whose `main` returns this error prints its `Debug` form.
#[derive(thiserror::Error)]
pub enum ServerError {
    /// The configuration contradicts itself.
    #[error("{0}")]
    Config(ConfigError),
    /// The address cannot be listened on.
    #[error("{}", cannot_listen(*.0, .1))]
    Listen(SocketAddr, io::Error),
    /// The address cannot be listened on, and another process holds the data: most likely this
    /// server runs already.
    #[error("{}", already_running(*.0, .1))]
    Twice(SocketAddr, LockError),
    /// The data cannot be opened.
    #[error("{0}")]
    Store(OpenError),
    /// The system has no random numbers, or no thread, or the event loop failed.
    #[error("{0}")]
    System(io::Error),
    /// The server's thread has panicked.
    #[error("the server stopped after an internal error")]
    Panicked,
}

impl fmt::Debug for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn cannot_listen(address: SocketAddr, error: &io::Error) -> String {
    if error.kind() != io::ErrorKind::AddrInUse {
        return format!("cannot listen on {address}: {error}");
    }
    let other = suggestion(address);
    format!(
        "{address} is in use by another program: end that one, or listen elsewhere, for instance on {other} (--listen)"
    )
}

fn already_running(address: SocketAddr, held: &LockError) -> String {
    let other = suggestion(address);
    format!(
        "{held}, and {address} is in use: this server runs already. Another one beside it needs another --data and \
         another port, for instance --listen {other}"
    )
}

/// Another port to suggest: the next one.
fn suggestion(address: SocketAddr) -> SocketAddr {
    let port = address.port().checked_add(1).unwrap_or(8080);
    SocketAddr::new(address.ip(), port)
}

/// A server that has bound its address and opened its data; [`Server::run`] serves.
#[derive(Debug)]
pub struct Server {
    reactor: Reactor<Machine<TlsAcceptor>>,
    web: Web<Chat>,
    address: SocketAddr,
}

impl Server {
    /// Binds the address and opens the data.
    ///
    /// # Errors
    /// [`ServerError`], with what to do about it.
    pub fn bind(mut config: Config) -> Result<Server, ServerError> {
        config.check().map_err(ServerError::Config)?;
        let admin_token = config.read_admin_token();
        config.admin_token = admin_token.map_err(|error| ServerError::Config(error.into()))?;
        config.admin_token_file = None;
        config.read_secrets().map_err(ServerError::Config)?;
        let keys = config.key_sources().read();
        let keys = keys.map_err(|error| ServerError::Config(error.into()))?;
        if !keys.is_empty() {
            log::info!("keys: {keys}");
        }
        let reactor_config = ReactorConfig { listen: config.listen, limits: config.limits.clone() };
        let certificate = config.read_certificate().map_err(ServerError::Config)?;
        let certificate = certificate.map(ShownCertificate::new);
        let tls = certificate.clone().map(server_config).transpose();
        let tls = tls.map_err(|error| ServerError::System(io::Error::other(error)))?;
        let acceptor = TlsAcceptor::new(tls);
        let mut reactor = Reactor::bind_with(&reactor_config, acceptor).map_err(|error| {
            // If another process holds the data, it most likely uses the address, too.
            match Store::held_by_another(&config.data) {
                Some(held) => ServerError::Twice(config.listen, held),
                None => ServerError::Listen(config.listen, error),
            }
        })?;
        let address = reactor.local_addr().map_err(ServerError::System)?;
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).map_err(|error| ServerError::System(io::Error::other(error)))?;
        let mut chance = Chance::new(u64::from_le_bytes(seed));
        const EPOCH_LEN: usize = 16;
        let wake = reactor.wake();
        let clock = reactor.clock();
        let epoch = chance.word(EPOCH_LEN);
        let (wake, elapsed) = (move || wake.wake(), move || clock.elapsed());
        let keep = |stream: &StreamId| config.kept_on_disk(stream);
        let wanted = EventsWanted {
            keep: &keep,
            stream_bytes: config.limits.stream_bytes as usize,
            all_bytes: config.limits.all_streams_bytes,
        };
        let opened = Store::open_timed(&config.data, &epoch, &wanted, wake, elapsed);
        let opened = opened.map_err(ServerError::Store)?;
        let (wake, started) = (reactor.wake(), reactor.io().now());
        // `Chat::woken` must run once at the beginning; see there.
        wake.wake();
        let secret = cookie_secret(config.data.directory()).map_err(ServerError::System)?;
        let mut web = Chat::build(config, keys, opened, wake, started, chance.next_u64());
        web.application_mut().sign_browsers_in_with(secret);
        if let Some(certificate) = certificate {
            let _ = web.application().shared().certificate.set(certificate);
        }
        Ok(Server { reactor, web, address })
    }

    /// The address that it listens on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// A handle for other threads, valid before and while the server runs.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle::new(self.web.application().shared())
    }

    /// Only stops the server. It costs less than a [`Handle`], for which the server keeps an index
    /// of who is online.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper { shared: Arc::clone(self.web.application().shared()) }
    }

    /// Changes the configuration of the running server, and reads its keys again.
    #[must_use]
    pub fn reloader(&self) -> Reloader {
        Reloader::new(Arc::clone(self.web.application().shared()))
    }

    /// Serves on this thread until [`Handle::stop`]. When it returns, everything acknowledged is on
    /// disk.
    ///
    /// # Errors
    /// [`ServerError::System`] when waiting for events fails.
    pub fn run(mut self) -> Result<(), ServerError> {
        let shared = Arc::clone(self.web.application().shared());
        let _ = shared.reactor_thread.set(std::thread::current().id());
        let _guard = FailCallsOnDrop(Arc::clone(&shared));
        let _watch = match shared.certificate.get() {
            Some(_) => Some(CertificateWatch::start(self.reloader()).map_err(ServerError::System)?),
            None => None,
        };
        log::info!(address:% = self.address, version = env!("CARGO_PKG_VERSION"); "started");
        let result = self.reactor.run(&mut self.web);
        self.web.application_mut().end();
        log::info!("stopped");
        result.map_err(ServerError::System)
    }

    /// Binds, opens and serves on a thread of its own.
    ///
    /// # Errors
    /// As [`Server::bind`].
    pub fn start(config: Config) -> Result<Running, ServerError> {
        let (to_starter, from_thread) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("parlor".into())
            .spawn(move || {
                let server = match Server::bind(config) {
                    Ok(server) => server,
                    Err(error) => {
                        // The starter waits for this message.
                        let _ = to_starter.send(Err(error));
                        return Ok(());
                    }
                };
                let started = (server.handle(), server.reloader(), server.local_addr());
                let _ = to_starter.send(Ok(started));
                server.run()
            })
            .map_err(ServerError::System)?;
        let started = from_thread.recv().map_err(|_| ServerError::Panicked)?;
        let (handle, reloader, address) = started?;
        Ok(Running { handle, reloader, address, thread })
    }
}

/// A server on a thread of its own.
#[derive(Debug)]
pub struct Running {
    handle: Handle,
    reloader: Reloader,
    address: SocketAddr,
    thread: JoinHandle<Result<(), ServerError>>,
}

impl Running {
    /// Its handle.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Changes its configuration, and reads its keys again.
    #[must_use]
    pub fn reloader(&self) -> Reloader {
        self.reloader.clone()
    }

    /// The address that it listens on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// From now on SIGTERM ends the server as [`Handle::restart`] does, and SIGINT as
    /// [`Handle::stop`] does, as in the `parlor` program. Without this call the library catches no
    /// signal.
    ///
    /// # Errors
    /// [`ServerError::System`] when the system does not let a signal be caught.
    pub fn stop_on_signals(&self) -> Result<(), ServerError> {
        let handle = self.handle();
        let stop = move |signal| {
            // It can only have stopped already.
            let _ = if signal == SIGTERM { handle.restart() } else { handle.stop() };
        };
        on_signal(&[SIGINT, SIGTERM], stop).map_err(ServerError::System)
    }

    /// Waits until it has stopped.
    ///
    /// # Errors
    /// Why it ended, if it ended with an error.
    pub fn join(self) -> Result<(), ServerError> {
        self.thread.join().map_err(|_| ServerError::Panicked)?
    }
}
