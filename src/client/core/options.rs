//! How a client behaves.

use super::state::Backoff;
use crate::base::UserId;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How a client behaves. The defaults are those of `clients/js`.
#[derive(Clone, Debug, PartialEq)]
pub struct CoreOptions {
    /// Who says who this is.
    pub token: TokenSource,
    /// The user as whom the server knows this client, if the program knows it: what an earlier process left unsent
    /// without having known is theirs.
    pub user: Option<UserId>,
    /// How long it waits between attempts.
    pub backoff: Backoff,
    /// Close codes after which it does not come back, beside those of the protocol.
    pub fatal: BTreeSet<u16>,
    /// How often the round trip is measured, in ms; 0 for never: then the server is asked only when it has been silent
    /// for as long as it pings.
    pub ping_interval_ms: u64,
    /// How long the answer to that may take, in ms.
    pub ping_timeout_ms: u64,
    /// How long any other answer may take, in ms.
    pub timeout_ms: u64,
    /// How many events of [`ClientEvent`](super::ClientEvent) wait for the program at most.
    pub queue: u32,
}

/// Who says who this is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TokenSource {
    /// Nobody: the URL, or the head of the request.
    #[default]
    None,
    /// A token that is always the same.
    Given(Arc<str>),
    /// The program, when it is asked: at first, when the token ends, when it was refused; not with each connection.
    Asked,
}

impl Default for CoreOptions {
    fn default() -> CoreOptions {
        CoreOptions {
            token: TokenSource::None,
            user: None,
            backoff: Backoff::default(),
            fatal: BTreeSet::new(),
            ping_interval_ms: 5_000,
            ping_timeout_ms: 10_000,
            timeout_ms: 20_000,
            queue: 4_096,
        }
    }
}
