//! An event of a stream.

use crate::base::limits::{EVENT_BYTES, PUBLICATION_ID_BYTES};
use crate::base::{Timestamp, UserId};
use std::sync::Arc;

/// One event of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEvent {
    /// Its number in the stream: 1, 2, 3 … without a gap within an epoch.
    pub seq: u64,
    /// When it was published. Times never decrease within a stream.
    pub ts: Timestamp,
    /// The data.
    pub data: Data,
    /// The publisher's id for it, which makes a repeat harmless.
    pub id: Option<Arc<PublicationId>>,
}

impl StreamEvent {
    /// Bytes of memory that it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        StreamEvent::bytes_of(&self.data, self.id.as_deref())
    }

    /// Bytes of memory that an event with this content takes.
    #[must_use]
    pub fn bytes_of(data: &Data, id: Option<&PublicationId>) -> usize {
        let of_id = id.map_or(0, |id| id.bytes() + PUBLICATION_ID_BYTES);
        data.len() + of_id + EVENT_BYTES
    }
}

/// A publisher's id for an event. Two publishers may use the same text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicationId {
    /// The publisher; `None` for the embedding program.
    pub by: Option<UserId>,
    /// The publisher's text.
    pub id: Arc<str>,
}

impl PublicationId {
    /// The publisher, as in the store's column: empty if it is no user.
    #[must_use]
    pub fn publisher(&self) -> &str {
        self.by.as_ref().map_or("", UserId::as_str)
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.publisher().len() + self.id.len()
    }
}

/// The data of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// JSON, unchanged.
    Json(Arc<str>),
    /// Bytes that the server does not interpret.
    Binary(Arc<[u8]>),
}

impl Data {
    /// The length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Data::Json(text) => text.len(),
            Data::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
