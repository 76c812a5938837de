//! A table of connections.

use crate::base::ConnId;
use crate::base::limits::CONNECTIONS_RESERVED;

/// A value for each of some connections, at the place of its index. An index is used again: who
/// asks for a connection that is gone does not get the value of the next one there.
#[derive(Debug)]
pub(super) struct ByConnection<T>(Vec<Option<(ConnId, T)>>);

impl<T> ByConnection<T> {
    pub(super) fn new() -> ByConnection<T> {
        ByConnection(Vec::with_capacity(CONNECTIONS_RESERVED))
    }

    pub(super) fn put(&mut self, conn: ConnId, value: T) {
        if self.0.len() <= conn.index() {
            self.0.resize_with(conn.index() + 1, || None);
        }
        self.0[conn.index()] = Some((conn, value));
    }

    pub(super) fn get(&self, conn: ConnId) -> Option<&T> {
        let (own, value) = self.0.get(conn.index())?.as_ref()?;
        (*own == conn).then_some(value)
    }

    pub(super) fn get_mut(&mut self, conn: ConnId) -> Option<&mut T> {
        let (own, value) = self.0.get_mut(conn.index())?.as_mut()?;
        (*own == conn).then_some(value)
    }

    pub(super) fn take(&mut self, conn: ConnId) -> Option<T> {
        let place = self.0.get_mut(conn.index())?;
        place.take_if(|(own, _)| *own == conn).map(|(_, value)| value)
    }

    pub(super) fn all(&self) -> Vec<ConnId> {
        self.0.iter().flatten().map(|(conn, _)| *conn).collect()
    }
}
