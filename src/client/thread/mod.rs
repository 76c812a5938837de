//! What clients with a thread of the network's have in common: the thread, a state that it shares with the program's
//! threads, a queue of events.

mod descriptor;
mod events;
mod locks;
mod monitor;
mod network;
mod queue;
mod wait;

pub(super) use events::EventSource;
pub use events::Events;
pub(super) use locks::lock;
pub(super) use monitor::{Monitor, Monitored};
pub(super) use network::{NetworkThread, StartFn, start_network};
pub(super) use queue::EventQueue;
pub(super) use wait::Waited;
