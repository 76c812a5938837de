//! `parlor check`: whether a server, or a client, keeps to RFC 6455 and RFC 7692.
//!
//! Each case is a connection of its own. What is sent is made by hand, as most of it is wrong; what comes back is judged
//! by `protocol`.

mod accepted;
mod bounds;
mod case;
mod chat;
mod closing;
mod command;
mod compression;
mod frames;
mod judge;
mod opening;
mod peer;
mod raw_frame;
mod report;
mod server;
mod utf8;

pub(super) use command::{CheckArgs, run};
