//! What feeds streams beside clients: polled URLs, commands and functions, and webhooks.
//!
//! [`Sources`] knows what is declared, when each stream is polled next, and the state of each
//! source. It asks nothing itself: the chat does, on the reactor's thread, and publishes the
//! results (`server/chat/sources.rs`).

pub(super) mod deliveries;
pub(super) mod operate;
pub(super) mod placeholders;
pub(super) mod polled;
mod reserved;
pub(super) mod running;
pub(super) mod table;
pub(super) mod turns;
pub(super) mod webhook;

pub(super) use operate::{Overview, SourceMetrics};
pub(super) use running::FunctionPoll;
pub(super) use table::Sources;
pub(super) use webhook::{Hook, HookCall, find_webhook, hook_at, is_form};
