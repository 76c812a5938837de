//! Why a server could not start, or ended.

use crate::config::{ConfigError, ListenAddress};
use crate::store::{LockError, OpenError};
use std::net::SocketAddr;
use std::{fmt, io};

/// Why a server could not start, or ended with an error. `Debug` shows the same text as `Display`,
/// because a program whose `main` returns this error prints its `Debug` form.
#[derive(thiserror::Error)]
pub enum ServerError {
    /// The configuration contradicts itself.
    #[error("{0}")]
    Config(ConfigError),
    /// An address cannot be listened on.
    #[error("{}", cannot_listen(.0, .1))]
    Listen(ListenAddress, io::Error),
    /// The owner of a Unix socket is no user, or no group.
    #[error("{0}: {1} is no user or no group of this machine")]
    NoOwner(ListenAddress, String),
    /// No socket of this name was passed.
    #[error(
        "systemd:{0}: no socket of this name was passed: give it one with FileDescriptorName={0} (systemd.socket(5))"
    )]
    NotPassed(String),
    /// No listener takes a socket that was passed.
    #[error(
        "a socket at {0} was passed, with the name {1:?}, and no listener takes it: give one this address, or systemd:NAME"
    )]
    Unused(ListenAddress, String),
    /// A passed Unix socket serves users, who would all be administrators.
    #[error(
        "{0}: at a Unix socket everybody is an administrator if admin is served: serve the public at another one"
    )]
    AdminsAndUsers(ListenAddress),
    /// More users may write to the file of a passed Unix socket than its listener says, and all who do
    /// would be administrators.
    #[error(
        "{0}: its mode is {1:o}, and the listener's {2:o}: everybody who may write to it is an administrator. Give it that mode, \
         for systemd by SocketMode={2:04o}"
    )]
    Loose(ListenAddress, u32, u32),
    /// The address cannot be listened on, and another process holds the data: most likely this
    /// server runs already.
    #[error("{}", already_running(.0, .1))]
    Twice(ListenAddress, LockError),
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

fn cannot_listen(address: &ListenAddress, error: &io::Error) -> String {
    match (address, error.kind()) {
        (ListenAddress::Tcp(tcp), io::ErrorKind::AddrInUse) => {
            let other = suggestion(*tcp);
            format!(
                "{address} is in use by another program, or by another listener: end that one, or listen elsewhere, for instance on \
                 {other} (--listen)"
            )
        }
        (ListenAddress::Unix(_), io::ErrorKind::AddrInUse) => {
            format!("{address} is in use: another program listens there")
        }
        (ListenAddress::Tcp(tcp), io::ErrorKind::PermissionDenied) if tcp.port() < 1_024 => {
            format!(
                "cannot listen on {address}: ports below 1024 are for root: begin as root with --user NAME, or give the \
                 program the capability cap_net_bind_service"
            )
        }
        _ => format!("cannot listen on {address}: {error}"),
    }
}

fn already_running(address: &ListenAddress, held: &LockError) -> String {
    let another = match address {
        ListenAddress::Tcp(tcp) => {
            format!("another port, for instance --listen {}", suggestion(*tcp))
        }
        ListenAddress::Unix(_) | ListenAddress::Passed(_) => "other listeners".to_owned(),
    };
    format!(
        "{held}, and {address} is in use: this server runs already. Another one in its place begins with --replace; \
         one beside it needs another --data and {another}"
    )
}

/// Another port to suggest: the next one.
fn suggestion(address: SocketAddr) -> SocketAddr {
    let port = address.port().checked_add(1).unwrap_or(8080);
    SocketAddr::new(address.ip(), port)
}
