//! The sockets that a server listens at, bound before anything else is done: a program that began
//! with the right to bind a low port can give that right up then.

use super::owner::{NotAnOwner, Owner};
use super::server_error::ServerError;
use crate::config::{Config, ConfigError, ListenAddress, Listener};
use crate::reactor::{ListeningSocket, ReactorListener, SocketAccess};
use crate::store::{Place, Store};
use std::io;
use std::net::SocketAddr;
use std::thread::sleep;
use std::time::Duration;

/// Looks whether the system has freed the address and data of a killed server, for half a second.
const KILLED_LOOKS: u32 = 25;
const KILLED_LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A socket that listens already, passed by another process.
#[derive(Debug)]
pub struct PassedSocket {
    /// The socket.
    pub socket: ListeningSocket,
    /// Its name, for `systemd:NAME`; may be empty. `None` for one of the server whose place this one
    /// takes: it is closed if no listener has its address.
    pub name: Option<String>,
}

/// All sockets of a server, in the order of its listeners.
#[derive(Debug)]
pub struct Listening {
    listeners: Vec<Listener>,
    sockets: Vec<ListeningSocket>,
    /// Those of the server whose place this one takes that no listener has. What their files are may
    /// be decided by whoever owns them, so that they go when root's rights are given up.
    left: Vec<ListeningSocket>,
}

impl Listening {
    /// Binds all listeners of a configuration, or takes those that were passed: each by its name or
    /// its address. Where the configuration has no list of listeners, a single passed socket stands
    /// for `listen`, whatever its address is.
    ///
    /// # Errors
    /// [`ServerError`], with what to do about it; also for a passed socket that no listener takes.
    pub fn bind(config: &Config, passed: Vec<PassedSocket>) -> Result<Listening, ServerError> {
        config.check().map_err(ServerError::Config)?;
        let mut passed = passed;
        let is_named = |one: &&PassedSocket| one.name.is_some();
        let stands_for_all =
            config.listeners.is_empty() && passed.iter().filter(is_named).count() == 1;
        let mut listening =
            Listening { listeners: Vec::new(), sockets: Vec::new(), left: Vec::new() };
        let wanted = config.all_listeners();
        let mut taken: Vec<Option<PassedSocket>> = Vec::new();
        for listener in &wanted {
            let is_its = |one: &PassedSocket| {
                (stands_for_all && one.name.is_some()) || one.is_for(&listener.address)
            };
            let place = passed.iter().position(is_its);
            taken.push(place.map(|place| passed.swap_remove(place)));
        }
        // Before others are bound, which may have the same port.
        for PassedSocket { socket, name } in passed {
            match name {
                Some(name) => return Err(ServerError::Unused(address_of(&socket), name)),
                None => log::info!("no longer listening on {}", address_of(&socket)),
            }
            if socket.path().is_some() {
                listening.left.push(socket);
            }
        }
        for (listener, taken) in wanted.into_iter().zip(taken) {
            let socket = match taken {
                Some(passed) => take(passed, &listener, config)?,
                None => bind_soon(&listener, config)?,
            };
            let address = address_of(&socket);
            listening.listeners.push(Listener { address, ..listener });
            listening.sockets.push(socket);
        }
        listening.check(config)?;
        Ok(listening)
    }

    /// Finds what would keep [`Listening::bind`] from binding the addresses that nobody has yet.
    ///
    /// # Errors
    /// As [`Listening::bind`], but for addresses in use.
    pub fn probe(config: &Config) -> Result<(), ServerError> {
        for listener in config.all_listeners() {
            match bind(&listener, config) {
                Ok(_) | Err(ServerError::NotPassed(_) | ServerError::Twice(..)) => {}
                Err(ServerError::Listen(_, error)) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What can be judged only now that the addresses of passed sockets are known.
    fn check(&self, config: &Config) -> Result<(), ServerError> {
        let elsewhere = self.listeners.iter().find_map(Listener::people_elsewhere);
        if let Some(address) = elsewhere.filter(|_| config.is_open()) {
            return Err(ServerError::Config(ConfigError::OpenElsewhere(address)));
        }
        let is_wrong = |one: &&Listener| {
            matches!(one.address, ListenAddress::Unix(_)) && one.serves.admin && one.serves.public
        };
        match self.listeners.iter().find(is_wrong) {
            Some(listener) => Err(ServerError::AdminsAndUsers(listener.address.clone())),
            None => Ok(()),
        }
    }

    /// The first address that other machines can reach.
    #[must_use]
    pub fn beyond_loopback(&self) -> Option<SocketAddr> {
        self.listeners.iter().find_map(|listener| listener.address.beyond_loopback())
    }

    /// The listeners, with the addresses at which they listen.
    #[must_use]
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    pub(super) fn into_parts(self) -> (Vec<Listener>, Vec<ReactorListener>) {
        let Listening { listeners, sockets, .. } = self;
        let with_limit = |(socket, listener): (_, &Listener)| ReactorListener {
            socket,
            connections: listener.own_connections(),
        };
        let of_reactor = sockets.into_iter().zip(&listeners).map(with_limit).collect();
        (listeners, of_reactor)
    }
}

impl PassedSocket {
    fn is_for(&self, address: &ListenAddress) -> bool {
        match address {
            ListenAddress::Passed(name) => self.name.as_deref() == Some(&**name),
            // Any port does.
            ListenAddress::Tcp(address) if address.port() == 0 && self.name.is_none() => {
                self.socket.local_addr().is_some_and(|own| own.ip() == address.ip())
            }
            address => address_of(&self.socket) == *address,
        }
    }
}

fn address_of(socket: &ListeningSocket) -> ListenAddress {
    match (socket.local_addr(), socket.path()) {
        (Some(address), _) => ListenAddress::Tcp(address),
        (None, path) => ListenAddress::Unix(path.map(Into::into).unwrap_or_default()),
    }
}

/// Who may write to a Unix socket's file may connect (`unix(7)`).
const MAY_CONNECT: u32 = 0o222;

/// A socket that was passed, for this listener. At a Unix socket the file's mode says who is an
/// administrator: that of a server before this one is set anew, that of systemd is judged.
fn take(
    passed: PassedSocket,
    listener: &Listener,
    config: &Config,
) -> Result<ListeningSocket, ServerError> {
    let PassedSocket { mut socket, name } = passed;
    let Some(mode) = socket.mode() else { return Ok(socket) };
    if name.is_none() && socket.owns_file() {
        let address = address_of(&socket);
        let set = socket.own_file(access(listener, config)?);
        set.map_err(|error| ServerError::Listen(address, error))?;
    } else if listener.serves.admin && mode & !listener.mode & MAY_CONNECT != 0 {
        return Err(ServerError::Loose(address_of(&socket), mode, listener.mode));
    }
    Ok(socket)
}

/// Who may connect to a listener's Unix socket.
fn access(listener: &Listener, config: &Config) -> Result<SocketAccess, ServerError> {
    let owner = listener.owner.as_deref().or(config.user.as_deref());
    let owner = owner.map(Owner::find).transpose().map_err(|unknown| match unknown {
        NotAnOwner::User(name) | NotAnOwner::Group(name) => {
            ServerError::NoOwner(listener.address.clone(), name)
        }
    })?;
    let user = owner.as_ref().and_then(|owner| Some(owner.user.as_ref()?.id.as_raw()));
    let group = owner.and_then(|owner| owner.group).map(|group| group.as_raw());
    Ok(SocketAccess { mode: listener.mode, user, group })
}

/// Binds an address. A server with the same data that has it may have been killed a moment ago: it
/// is waited for.
fn bind_soon(listener: &Listener, config: &Config) -> Result<ListeningSocket, ServerError> {
    for _ in 0..KILLED_LOOKS {
        match bind(listener, config) {
            Err(ServerError::Twice(..)) => sleep(KILLED_LOOK_AGAIN),
            bound => return bound,
        }
    }
    bind(listener, config)
}

fn bind(listener: &Listener, config: &Config) -> Result<ListeningSocket, ServerError> {
    let address = &listener.address;
    let socket = match address {
        ListenAddress::Tcp(address) => ListeningSocket::tcp(*address),
        ListenAddress::Unix(path) => ListeningSocket::unix(path, access(listener, config)?),
        ListenAddress::Passed(name) => return Err(ServerError::NotPassed(name.to_string())),
    };
    socket.map_err(|error| cannot_bind(address, error, &config.data))
}

fn cannot_bind(address: &ListenAddress, error: io::Error, data: &Place) -> ServerError {
    match Store::held_by_another(data) {
        // Another process that holds the data most likely uses the address, too.
        Some(held) if error.kind() == io::ErrorKind::AddrInUse => {
            ServerError::Twice(address.clone(), held)
        }
        _ => ServerError::Listen(address.clone(), error),
    }
}
