//! Requests that the application's backend answers: those whose types `[[handlers]]` names.
//!
//! A request becomes a `POST`, whose answer is the reply. [`Remotes`] knows which handler is for which
//! type, how each of them is and who waits for a place; [`judge`](answer::judge) says what an answer means. The chat asks
//! (`server/chat/remote.rs`).

pub(super) mod answer;
pub(super) mod table;

pub(super) use table::{RemoteMetrics, Remotes};
