//! Puts a server together: reactor, store, hub, chat.

use super::certificate_watch::CertificateWatch;
use super::chat::Team;
use super::embed::challenges::Challenges;
use super::embed::handle::{Handle, Pulse, Stopper};
use super::embed::shared::Shared;
use super::listening::Listening;
use super::reload::Reloader;
use super::server_error::ServerError;
use super::threads::{Beginning, OtherThread, RunningParts, ThreadStart};
use crate::auth::{Cookies, cookie_secret};
use crate::base::{Chance, Snapshot, StreamId};
use crate::config::{Config, Listener};
use crate::reactor::{Clock, ListeningSocket, ReactorSeat, SIGINT, SIGTERM, on_signal};
use crate::store::{EventsWanted, Store, Waker};
use crate::tls::{ListenerTls, ShownCertificates, server_config};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

const NO_ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Who speaks TLS at which listener.
fn tls_configs(
    config: &Config,
    certificates: Option<&Arc<ShownCertificates>>,
) -> Result<Vec<Option<ListenerTls>>, ServerError> {
    let authorities = config.read_client_authorities().map_err(ServerError::Config)?;
    let of_listener = |(listener, authorities): (Listener, _)| {
        let certificates = certificates.filter(|_| listener.tls).map(Arc::clone);
        certificates.map(|certificates| server_config(certificates, authorities)).transpose()
    };
    let configs = config.all_listeners().into_iter().zip(authorities).map(of_listener);
    let configs: Result<Vec<_>, _> = configs.collect();
    configs.map_err(|error| ServerError::System(io::Error::other(error)))
}

/// Opens the data, with an end for each seat.
fn open_store(
    config: &Config,
    seats: &[ReactorSeat],
    epoch: &str,
) -> Result<(Vec<Store>, Snapshot), ServerError> {
    let waker = |seat: &ReactorSeat| {
        let wake = seat.wake();
        Box::new(move || wake.wake()) as Waker
    };
    let wakers: Vec<Waker> = seats.iter().map(waker).collect();
    let clock = seats.first().map_or_else(Clock::start, ReactorSeat::clock);
    let keep = |stream: &StreamId| config.kept_on_disk(stream);
    let wanted = EventsWanted {
        keep: &keep,
        stream_bytes: config.limits.stream_bytes as usize,
        all_bytes: config.limits.all_streams_bytes,
    };
    let opened = Store::open_ends(&config.data, epoch, &wanted, wakers, move || clock.elapsed());
    opened.map_err(ServerError::Store)
}

/// A server that has bound its address and opened its data; [`Server::run`] serves.
#[derive(Debug)]
pub struct Server {
    /// Of the first thread, which is the caller's.
    first: RunningParts,
    others: Vec<OtherThread>,
}

impl Server {
    /// Binds all listeners and opens the data.
    ///
    /// # Errors
    /// [`ServerError`], with what to do about it.
    pub fn bind(config: Config) -> Result<Server, ServerError> {
        let listening = Listening::bind(&config, Vec::new())?;
        Server::open(config, listening)
    }

    /// Opens the data, for sockets that were bound with the same configuration.
    ///
    /// # Errors
    /// As [`Server::bind`].
    pub fn open(mut config: Config, listening: Listening) -> Result<Server, ServerError> {
        let admin_token = config.read_admin_token();
        let admin_token = admin_token.map_err(|error| ServerError::Config(error.into()))?;
        config.read_secrets().map_err(ServerError::Config)?;
        let keys = config.key_sources().read();
        let keys = keys.map_err(|error| ServerError::Config(error.into()))?;
        if !keys.is_empty() {
            log::info!("keys: {keys}");
        }
        let certificates = config.read_certificates().map_err(ServerError::Config)?;
        let certificates = (!certificates.is_empty()).then(|| ShownCertificates::new(certificates));
        let tls = tls_configs(&config, certificates.as_ref())?;
        let (listeners, sockets) = listening.into_parts();
        let own: Vec<Option<u32>> = sockets.iter().map(|one| one.connections).collect();
        let seats = ReactorSeat::several(config.thread_count(), &config.limits, &own);
        let seats = seats.map_err(ServerError::System)?;
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).map_err(|error| ServerError::System(io::Error::other(error)))?;
        let mut chance = Chance::new(u64::from_le_bytes(seed));
        const EPOCH_LEN: usize = 16;
        let (ends, mut snapshot) = open_store(&config, &seats, &chance.word(EPOCH_LEN))?;
        let cookie_secret = cookie_secret(config.data.directory()).map_err(ServerError::System)?;
        let cookies = Cookies::new(cookie_secret);
        let has_challenges = listeners.iter().any(|listener| listener.acme_webroot.is_some());
        let challenges = has_challenges.then(Challenges::start).transpose();
        let challenges = challenges.map_err(ServerError::System)?;
        let beginning =
            Beginning { config, listeners, keys, tls, cookies, admin_token, challenges };
        let team = (seats.len() > 1).then(|| {
            let streams = std::mem::take(&mut snapshot.streams);
            let wakes = seats.iter().map(ReactorSeat::wake).collect();
            let Beginning { config, listeners, .. } = &beginning;
            Team::new(config, listeners, streams, wakes, chance.next_u64())
        });
        let mut others = Vec::new();
        let mut starts = seats.into_iter().zip(ends).enumerate();
        let first = starts.next();
        for (number, (seat, store)) in starts {
            let Some(team) = team.clone() else { break };
            let start =
                ThreadStart { seat, store, snapshot: snapshot.clone(), seed: chance.next_u64() };
            others.push(OtherThread::begin(beginning.clone(), start, team, number)?);
        }
        let (_, (seat, store)) = first.ok_or(ServerError::Panicked)?;
        let start = ThreadStart { seat, store, snapshot, seed: chance.next_u64() };
        let first = beginning.build(start, team.as_ref().map(|team| (team, 0)), sockets)?;
        let server = Server { first, others };
        if let Some(certificates) = certificates {
            let _ = server.shared().certificates.set(certificates);
        }
        Ok(server)
    }

    fn shared(&self) -> &Arc<Shared> {
        self.first.web.application().shared()
    }

    /// The address of the first listener of TCP; `0.0.0.0:0` if there is none.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.first.reactor.local_addr().unwrap_or(NO_ADDRESS)
    }

    /// The listeners, with the addresses at which they listen.
    #[must_use]
    pub fn listeners(&self) -> &[Listener] {
        self.first.web.application().listeners()
    }

    /// A handle for other threads, valid before and while the server runs.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle::new(self.shared())
    }

    /// Only stops the server. It costs less than a [`Handle`], for which the server keeps an index
    /// of who is online.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper { shared: Arc::clone(self.shared()) }
    }

    /// Shows whether its loop turns.
    #[must_use]
    pub fn pulse(&self) -> Pulse {
        Pulse { shared: Arc::clone(self.shared()) }
    }

    /// Changes the configuration of the running server, and reads its keys again.
    #[must_use]
    pub fn reloader(&self) -> Reloader {
        Reloader::new(Arc::clone(self.shared()))
    }

    /// Serves on this thread, and on others that the configuration asks for, until [`Handle::stop`]. When it returns, everything acknowledged is on
    /// disk.
    ///
    /// # Errors
    /// [`ServerError::System`] when waiting for events fails.
    pub fn run(self) -> Result<(), ServerError> {
        self.run_and_keep_sockets().map(drop)
    }

    /// As [`Server::run`]. After [`Stopper::hand_over`] it returns the sockets that still listen,
    /// when the data is closed; else none.
    ///
    /// # Errors
    /// As [`Server::run`].
    pub fn run_and_keep_sockets(mut self) -> Result<Vec<ListeningSocket>, ServerError> {
        let shared = Arc::clone(self.shared());
        let _watch = match shared.certificates.get() {
            Some(_) => Some(CertificateWatch::start(self.reloader()).map_err(ServerError::System)?),
            None => None,
        };
        let listeners = self.listeners();
        let address = listeners.first().map(|first| first.address.to_string()).unwrap_or_default();
        log::info!(address, version = env!("CARGO_PKG_VERSION"); "started");
        if listeners.len() > 1 {
            for Listener { address, serves, tls, .. } in listeners {
                log::info!(address:%, serves:%, tls; "listening");
            }
        }
        self.others.iter().for_each(OtherThread::go);
        let result = self.first.run(&shared, 0);
        let sockets = self.first.reactor.take_sockets();
        let others: Vec<_> = self.others.into_iter().map(OtherThread::join).collect();
        log::info!("stopped");
        others.into_iter().fold(result, Result::and).map(|()| sockets)
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
