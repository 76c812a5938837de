//! Requests that the application's backend answers: those whose types `[[handlers]]` names.
//!
//! A request becomes a `POST`, whose answer is the reply. [`Remotes`] knows which handler is for which
//! type, how each of them is and who waits for a place, `call` asks, `answer` judges what came.

mod answer;
mod call;
mod table;

pub(super) use call::RemoteCall;
pub(super) use table::{RemoteMetrics, Remotes};
