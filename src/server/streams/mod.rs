//! Streams on the wire: what clients ask of them, and how they are told.

mod ask;
mod dispatch;
mod encode;
mod filter;
mod path;
mod watch;

pub(super) use ask::asks;
pub(super) use encode::{age, event, info, newest, stream, subscribed, subscriber, unsubscribed};
pub(super) use path::{bind, named_by, overlap, path_fault, placeholder, stream_at, stream_of};
pub(super) use watch::{guest, too_many_guests};
