//! An event of a stream: a newer state, or the next of a log.

use crate::base::limits::{EVENT_BYTES, PUBLICATION_ID_BYTES};
use crate::base::{Timestamp, UserId};
use std::sync::Arc;

/// One event of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEvent {
    /// Its place in the stream: 1, 2, 3 … without a hole, within an epoch.
    pub seq: u64,
    /// When it was published; never falls within a stream.
    pub ts: Timestamp,
    /// What.
    pub data: Data,
    /// What its publisher calls it, where a repeat of it is to be known.
    pub id: Option<Arc<PublicationId>>,
}

impl StreamEvent {
    /// Bytes of memory that it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        StreamEvent::bytes_of(&self.data, self.id.as_deref())
    }

    /// Bytes of memory that an event takes that says this.
    #[must_use]
    pub fn bytes_of(data: &Data, id: Option<&PublicationId>) -> usize {
        let of_id = id.map_or(0, |id| id.bytes() + PUBLICATION_ID_BYTES);
        data.len() + of_id + EVENT_BYTES
    }
}

/// What a publisher calls an event. Two publishers may use the same words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicationId {
    /// Whose publication it is; nobody's if the embedding program publishes.
    pub by: Option<UserId>,
    /// Their word for it.
    pub id: Arc<str>,
}

impl PublicationId {
    /// Whose it is, as a column has it: empty if it is no user's.
    #[must_use]
    pub fn publisher(&self) -> &str {
        self.by.as_ref().map_or("", UserId::as_str)
    }

    /// How many bytes it has.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.publisher().len() + self.id.len()
    }
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
