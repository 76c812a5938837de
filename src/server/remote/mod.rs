//! Requests that the application's backend answers: those whose types `[[handlers]]` names.
//!
//! A request becomes a `POST`, whose answer is the reply. [`Remotes`] knows which handler is for
//! which type, the state of each, and which requests wait; [`judge`](answer::judge) says what an
//! answer means. The chat asks (`server/chat/remote.rs`).

pub(super) mod answer;
pub(super) mod table;

pub(super) use table::{RemoteMetrics, Remotes};
