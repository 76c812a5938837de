//! The server's threads, each with a reactor and a chat of its own.

use super::chat::{Chat, Seat, Team};
use super::embed::challenges::Challenges;
use super::embed::shared::{FailCallsOnDrop, Shared};
use super::process_memory::{memory_bytes, resident_bytes};
use super::server_error::ServerError;
use crate::auth::{AdminToken, Cookies, Keys};
use crate::base::Snapshot;
use crate::config::{Config, Listener};
use crate::reactor::{Clock, Machine, Reactor, ReactorListener, ReactorSeat, Wake};
use crate::store::Store;
use crate::tls::{ListenerTls, TlsAcceptor};
use crate::web::Web;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

/// What all threads of a server begin with.
#[derive(Clone)]
pub(super) struct Beginning {
    pub(super) config: Config,
    pub(super) listeners: Vec<Listener>,
    pub(super) keys: Keys,
    /// Who speaks TLS at which listener.
    pub(super) tls: Vec<Option<ListenerTls>>,
    pub(super) cookies: Cookies,
    pub(super) admin_token: Option<AdminToken>,
    pub(super) challenges: Option<Challenges>,
}

/// What one of them begins with.
pub(super) struct ThreadStart {
    pub(super) seat: ReactorSeat,
    pub(super) store: Store,
    pub(super) snapshot: Snapshot,
    pub(super) seed: u64,
}

/// A reactor and a chat, which stay on their thread.
#[derive(Debug)]
pub(super) struct RunningParts {
    pub(super) reactor: Reactor<Machine<TlsAcceptor>>,
    pub(super) web: Web<Chat>,
}

impl Beginning {
    /// Puts together what runs on this thread: alone, or as the one of a number in a team. The first
    /// one has the sockets.
    pub(super) fn build(
        self,
        start: ThreadStart,
        team: Option<(&Team, usize)>,
        sockets: Vec<ReactorListener>,
    ) -> Result<RunningParts, ServerError> {
        let ThreadStart { seat, store, snapshot, seed } = start;
        let Beginning { config, listeners, keys, tls, cookies, admin_token, challenges } = self;
        let wake: Wake = seat.wake();
        let clock: Clock = seat.clock();
        let reactor = Reactor::at(seat, sockets, &config.limits, TlsAcceptor::new(tls));
        let reactor = reactor.map_err(ServerError::System)?;
        // `Chat::woken` must run once at the beginning; see there.
        wake.wake();
        let seat = match team {
            None => Seat::Alone(wake),
            Some((team, number)) => Seat::Of(team, number),
        };
        let opened = (store, snapshot);
        let mut web = Chat::build(config, listeners, keys, opened, seat, clock.now(), seed);
        let chat = web.application_mut();
        chat.prove_by(cookies, admin_token);
        chat.measure_memory(resident_bytes, memory_bytes());
        if let Some(challenges) = challenges {
            chat.serve_challenges(challenges);
        }
        Ok(RunningParts { reactor, web })
    }
}

impl RunningParts {
    /// Serves on this thread until the server stops.
    pub(super) fn run(&mut self, shared: &Arc<Shared>, number: usize) -> Result<(), ServerError> {
        let _ = shared.thread(number).id.set(std::thread::current().id());
        let _guard = FailCallsOnDrop(Arc::clone(shared), number);
        let result = self.reactor.run(&mut self.web);
        if result.is_err() {
            shared.abandon();
        }
        self.web.application_mut().end();
        result.map_err(ServerError::System)
    }
}

/// A thread beside the first one. It is ready, and runs once it is told to.
#[derive(Debug)]
pub(super) struct OtherThread {
    go: Option<SyncSender<()>>,
    thread: Option<JoinHandle<Result<(), ServerError>>>,
}

impl OtherThread {
    /// Begins the thread of a number.
    pub(super) fn begin(
        beginning: Beginning,
        start: ThreadStart,
        team: Team,
        number: usize,
    ) -> Result<OtherThread, ServerError> {
        let (go, may_go) = sync_channel(1);
        let (ready, is_ready) = sync_channel(1);
        let lives = move || {
            let shared = Arc::clone(team.shared());
            let parts = beginning.build(start, Some((&team, number)), Vec::new());
            let mut parts = match parts {
                Ok(parts) => parts,
                Err(error) => {
                    // Who begins it waits for this.
                    let _ = ready.send(Err(error));
                    return Ok(());
                }
            };
            let _ = ready.send(Ok(()));
            match may_go.recv() {
                Ok(()) => parts.run(&shared, number),
                // The server was dropped before it ran.
                Err(_) => {
                    parts.web.application_mut().end();
                    Ok(())
                }
            }
        };
        let thread = std::thread::Builder::new().name(format!("parlor-{number}")).spawn(lives);
        let thread = thread.map_err(ServerError::System)?;
        is_ready.recv().map_err(|_| ServerError::Panicked)??;
        Ok(OtherThread { go: Some(go), thread: Some(thread) })
    }

    pub(super) fn go(&self) {
        // It waits for this, unless it has panicked: then its end says so.
        let _ = self.go.as_ref().map(|go| go.send(()));
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// With its panic, if it has panicked.
    pub(super) fn join(mut self) -> Result<(), ServerError> {
        self.go = None;
        let Some(thread) = self.thread.take() else { return Ok(()) };
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// A server that is dropped leaves no thread behind, which would still hold the store.
impl Drop for OtherThread {
    fn drop(&mut self) {
        self.go = None;
        if let Some(thread) = self.thread.take() {
            // It has said so, if it panicked.
            let _ = thread.join();
        }
    }
}
