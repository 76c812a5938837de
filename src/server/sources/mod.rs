//! What feeds streams beside clients: URLs, commands and functions that are polled, and webhooks.
//!
//! [`Sources`] knows what is declared, which streams are to be polled when, and how each of them is; it
//! asks nothing itself. `drive` asks, on the reactor's thread, and publishes what came.

mod deliveries;
mod drive;
mod fill;
mod late;
mod operate;
mod polled;
mod running;
mod table;
mod turns;
mod webhook;

pub(super) use operate::{Overview, SourceMetrics};
pub(super) use running::FunctionPoll;
pub(super) use table::Sources;
pub(super) use webhook::{Hook, HookCall, hook_at, hooked, is_form};
