//! `parlor tap`: a proxy that shows what passes, records it, and makes it go wrong.
//!
//! - `watch` reads the bytes, `sighting` gathers what is said of a frame, `http` finds where a WebSocket begins
//! - `tapped` is one connection with both its ends, `proxy` all of them, on the reactor
//! - `faults` decides what becomes of bytes under way
//! - `show`, `record` and `page` are where the items and the bytes go

mod command;
mod faults;
mod http;
mod item;
mod page;
mod proxy;
mod record;
mod secrets;
mod show;
mod sighting;
mod tapped;
mod watch;

pub(super) use command::{TapArgs, run};
