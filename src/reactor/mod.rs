//! Network I/O: the only module with sockets and the only one with a clock. One thread, mio,
//! edge-triggered. It knows connections and bytes, not WebSocket. A [`Handler`] interprets the
//! bytes; it sees the world through [`Io`] and can run on a simulated one.

mod accept;
mod clock;
mod connection;
mod dial;
mod flush;
mod halves;
mod holders;
mod io;
mod listener;
mod listening_socket;
mod memory;
mod places;
#[allow(clippy::module_inception)]
mod reactor;
mod read;
mod seat;
mod send;
pub mod simulated;
mod slot;
mod system;
mod timers;
mod wait;
mod wake;

pub use clock::Clock;
pub use io::{Handler, Io};
pub use listener::{can_listen, file_limit};
pub use listening_socket::{ListeningSocket, SocketAccess};
pub use memory::{all_outboxes_bytes, memory_left};
pub use reactor::{Reactor, ReactorConfig, ReactorListener};
pub use seat::ReactorSeat;
pub use slot::CloseCause;
pub use system::{Acceptor, Machine, Plain, System, Transport};
pub use wake::{SIGINT, SIGTERM, Wake, on_signal};
