//! What a client decides: states of its connection, requests, messages on their way, rooms, streams, presence. It has no
//! I/O and no clock: [`Core::handle`] takes an input with the time, and says what is to be done.
//!
//! Its names, states, codes and defaults are those of `clients/js`.

#[allow(clippy::module_inception)]
mod core;
mod deadlines;
mod effect;
mod error;
#[cfg(test)]
mod for_tests;
mod greeting;
mod hello;
mod link;
mod membership;
mod options;
mod outbox;
mod presence;
mod requests;
mod room;
#[cfg(test)]
mod scenario_tests;
mod state;
mod stream;

pub use self::core::Core;
pub use effect::{
    ClientEvent, CoreEffect, CoreInput, Gap, Hint, Mark, Membership, Presences, StreamData,
    StreamUpdate, TokenFailure, WatchOptions,
};
pub use error::RequestError;
pub use hello::Hello;
pub use options::{CoreOptions, TokenSource};
pub use outbox::{Kept, TicketStatus, message_id};
pub use room::RoomView;
pub use state::{
    Backoff, FailCode, Level, Quality, State, Step, TOKEN_CODES, TokenReason, Verdict, verdict,
};
