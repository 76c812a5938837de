//! An event of a stream: a newer state, or the next of a log.

use crate::base::Timestamp;
use std::sync::Arc;

/// One event of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its place in the stream: 1, 2, 3 … without a hole, within an epoch.
    pub seq: u64,
    /// When it was published; never falls within a stream.
    pub ts: Timestamp,
    /// What.
    pub data: Data,
}

/// What an event says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// JSON, as it came.
    Json(Arc<str>),
    /// Bytes that mean nothing here.
    Binary(Arc<[u8]>),
}

impl Data {
    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Data::Json(text) => text.len(),
            Data::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
