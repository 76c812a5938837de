//! A stream that a program watches.

use super::client::Client;
use crate::base::StreamId;

/// A stream that is watched until [`Stream::stop`], also if this is dropped.
#[derive(Clone, Debug)]
pub struct Stream {
    pub(super) client: Client,
    pub(super) stream: StreamId,
}

impl Stream {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &StreamId {
        &self.stream
    }

    /// Watches it no more, whoever else of this client has asked for it.
    pub fn stop(self) {
        self.client.unwatch(self.stream);
    }
}
