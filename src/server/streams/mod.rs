//! Streams on the wire: what clients ask of them, and how they are told.

mod ask;
mod dispatch;
mod encode;
mod filter;

pub(super) use dispatch::largest_binary;
pub(super) use encode::{event, info, newest, stream, subscribed, subscriber, unsubscribed};
