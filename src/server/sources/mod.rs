//! What feeds streams beside clients: URLs, commands and functions that are polled, and webhooks.
//!
//! [`Sources`] knows what is declared, which streams are to be polled when, and how each of them is; it
//! asks nothing itself: the chat does, on the reactor's thread, and publishes what came (`server/chat/sources.rs`).

pub(super) mod deliveries;
pub(super) mod fill;
pub(super) mod operate;
pub(super) mod polled;
pub(super) mod running;
pub(super) mod table;
pub(super) mod turns;
pub(super) mod webhook;

pub(super) use operate::{Overview, SourceMetrics};
pub(super) use running::FunctionPoll;
pub(super) use table::Sources;
pub(super) use webhook::{Hook, HookCall, hook_at, hooked, is_form};
