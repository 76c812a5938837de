//! Decides: users, rooms, cursors, presence, typing. A pure state machine: an input and the time
//! go in, effects come out. It never fails, does no I/O and knows no clock and no chance of its
//! own, so that the same inputs give the same effects, in a simulator as in the server.
//!
//! To find who gets a chat message: [`Hub::handle`] → `commit::Hub::committed` →
//! `fan_out::Hub::fan_out`.

mod commit;
mod connection;
mod cursor;
mod effect;
mod fan_out;
mod history;
#[allow(clippy::module_inception)]
mod hub;
mod input;
mod lists;
mod presence;
mod request;
mod resume;
mod room;
mod typing;
mod user;

#[cfg(test)]
mod tests;

pub use effect::{
    Answer, Effect, Effects, MemberInfo, Notice, PresenceInfo, Refusal, RefusalCode, Resumed,
    RoomSummary,
};
pub use hub::{Counts, Hub, Settings};
pub use input::{Input, Now, Origin, Part, Request, RequestId, Target};
