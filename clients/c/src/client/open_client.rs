//! A client that is open.

use super::delivery::Shared;
use crate::abi::{PARLOR_E_MODE, parlor_client, parlor_rc};
use crate::call::{Failure, call, failure};
use crate::logging::{LogSink, Logging};
use crate::registry::Registry;
use parlor::client::{Client, ClientEvent, Events, WebSocket, WebSocketEvent};
use std::os::fd::OwnedFd;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

pub(crate) static CLIENTS: Registry<OpenClient> = Registry::new();

/// What a client is underneath.
pub(crate) enum Kind {
    Chat(Client, Events<ClientEvent>),
    Socket(WebSocket, Events<WebSocketEvent>),
}

/// A client.
pub(crate) struct OpenClient {
    pub(crate) name: usize,
    pub(crate) kind: Kind,
    pub(crate) shared: Arc<Shared>,
    pub(crate) sink: Option<Arc<LogSink>>,
    pub(crate) has_callback: bool,
    /// What `parlor_wait_handle` has given.
    pub(crate) wait_handle: OnceLock<Option<OwnedFd>>,
    /// The end was told.
    pub(crate) has_ended: AtomicBool,
    pub(crate) is_being_freed: AtomicBool,
}

/// Does something with a client.
pub(crate) fn call_of(
    client: *mut parlor_client,
    act: impl FnOnce(&Arc<OpenClient>) -> Result<(), Failure>,
) -> parlor_rc {
    call(|| {
        let client = CLIENTS.find(client.addr())?;
        let _logging = Logging::to(client.sink.clone());
        act(&client)
    })
}

/// The same, with one of a parlor.
pub(crate) fn call_of_chat(
    client: *mut parlor_client,
    act: impl FnOnce(&Arc<OpenClient>, &Client) -> Result<(), Failure>,
) -> parlor_rc {
    call_of(client, |open| match &open.kind {
        Kind::Chat(client, _) => act(open, client),
        Kind::Socket(..) => Err(failure(PARLOR_E_MODE, "this is for PARLOR_MODE_CHAT")),
    })
}

/// The same, with one of any server.
pub(crate) fn call_of_socket(
    client: *mut parlor_client,
    act: impl FnOnce(&WebSocket) -> Result<(), Failure>,
) -> parlor_rc {
    call_of(client, |open| match &open.kind {
        Kind::Socket(socket, _) => act(socket),
        Kind::Chat(..) => Err(failure(PARLOR_E_MODE, "this is for PARLOR_MODE_SOCKET")),
    })
}
