//! A server that runs.

use super::abi::parlor_server;
use super::replies::Replies;
use crate::abi::{
    PARLOR_E_ARGUMENT, PARLOR_E_CLOSED, PARLOR_E_FULL, PARLOR_E_MODE, PARLOR_E_REFUSED,
    PARLOR_E_REQUEST, PARLOR_E_TIMEOUT, parlor_rc,
};
use crate::call::{Failure, call, failure};
use crate::registry::Registry;
use crate::user_data::UserData;
use parlor::base::ConnId;
use parlor::server::{Handle, HandleError, Reloader, Running, Socket};
use std::cell::Cell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) static SERVERS: Registry<OpenServer> = Registry::new();

/// Whoever waits for the end of a server waits for this.
pub(crate) enum Thread {
    Runs(Running),
    /// Why it has ended, if by a fault.
    HasEnded(Result<(), String>),
}

/// A server.
pub(crate) struct OpenServer {
    pub(crate) handle: Handle,
    pub(crate) reloader: Reloader,
    pub(crate) address: SocketAddr,
    pub(crate) thread: Mutex<Thread>,
    pub(crate) replies: Mutex<Replies>,
    /// The WebSockets on the program's paths that are open.
    pub(crate) sockets: Mutex<HashMap<ConnId, Socket>>,
    pub(crate) is_being_freed: AtomicBool,
    /// Until it is freed, its functions may be called.
    pub(crate) user: Arc<UserData>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds one calls the program.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl OpenServer {
    /// The program's WebSocket of this number.
    pub(crate) fn socket(&self, connection: u64) -> Result<Socket, Failure> {
        let found = lock(&self.sockets).get(&ConnId::from_u64(connection)).cloned();
        found.ok_or_else(|| failure(PARLOR_E_REQUEST, "there is no such WebSocket: it is closed"))
    }
}

/// Does something with a server.
pub(crate) fn call_of(
    server: *mut parlor_server,
    act: impl FnOnce(&Arc<OpenServer>) -> Result<(), Failure>,
) -> parlor_rc {
    call(|| act(&SERVERS.find(server.addr())?))
}

pub(crate) fn not_done(error: &HandleError) -> parlor_rc {
    match error {
        HandleError::Stopped => PARLOR_E_CLOSED,
        HandleError::Full => PARLOR_E_FULL,
        HandleError::Refused { .. } | HandleError::Event { .. } => PARLOR_E_REFUSED,
        HandleError::Timeout => PARLOR_E_TIMEOUT,
        HandleError::WouldDeadlock => PARLOR_E_MODE,
        _ => PARLOR_E_ARGUMENT,
    }
}

pub(crate) fn fault(error: HandleError) -> Failure {
    failure(not_done(&error), error)
}

thread_local! {
    /// How many functions of the program's this thread is in.
    static WITHIN: Cell<u32> = const { Cell::new(0) };
}

/// This thread calls the program, until it is dropped.
pub(crate) struct Within(());

impl Within {
    pub(crate) fn enter() -> Within {
        WITHIN.with(|within| within.set(within.get() + 1));
        Within(())
    }

    /// Whether this thread was called by a server: it must not wait for one.
    pub(crate) fn is() -> bool {
        WITHIN.with(|within| within.get() > 0)
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        let _ = WITHIN.try_with(|within| within.set(within.get() - 1));
    }
}
