//! Moves bytes: the only place with sockets and the only one with a clock. One thread, mio,
//! edge-triggered. It knows connections and bytes, not WebSocket: what they mean is a
//! [`Handler`]'s, who sees the world through [`Io`] and can run on a simulated one.

mod accept;
#[cfg(feature = "server")]
pub(crate) mod child;
mod clock;
mod connection;
mod flush;
mod io;
mod listener;
#[allow(clippy::module_inception)]
mod reactor;
mod read;
mod send;
pub mod simulated;
mod system;
mod timers;
mod wake;

pub use clock::Clock;
pub use io::{CloseCause, Handler, Io};
pub use listener::file_limit;
pub use reactor::{Reactor, ReactorConfig};
pub use system::{Machine, Stream, System};
pub use wake::{SIGINT, SIGTERM, Wake, on_signal};
