//! Commands of people and programs at the other end: `parlor chat`, `parlor send`, `parlor listen`.

mod chat;
mod link;
mod listen;
mod send;
mod text;

pub(super) use chat::{ChatArgs, run as chat};
pub(super) use link::{parse_field, parse_seconds, read_token, trust};
pub(super) use listen::{ListenArgs, run as listen};
pub(super) use send::{SendArgs, run as send};
