//! Decides about users, rooms, cursors, presence and typing. It is a pure state machine: an input
//! and the time go in, effects come out. It never fails, does no I/O, and has no clock and no
//! randomness of its own, so that the same inputs give the same effects in a simulator and in the
//! server. Several hubs on one store share only [`Common`], and what they are told.
//!
//! To find who gets a chat message: [`Hub::handle`] → `commit::Hub::told` → `apply::Hub::apply` →
//! `fan_out::Hub::fan_out`.

mod apply;
mod census;
mod changes;
mod commit;
mod common;
mod connection;
mod cursor;
mod daily;
pub(crate) mod durable_streams;
mod endings;
mod fan_out;
mod history;
#[allow(clippy::module_inception)]
mod hub;
mod input;
mod joining;
mod keep;
mod left_rooms;
mod lists;
mod manage;
mod marks;
mod peers;
mod pending;
mod position;
mod presence;
mod presence_list;
mod queries;
mod quotas;
mod request;
mod resume;
mod room;
pub mod streams;
mod typing;
mod updates;
mod user;
mod users;

pub use census::{Census, HubCounts};
pub use common::Common;
pub use hub::{Hub, Settings};
pub use input::Input;
pub use keep::{Retention, Retentions};
pub use presence::Scope;
pub use quotas::Quotas;
