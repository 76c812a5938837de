//! A table of connections.

use super::ConnId;

/// A value for each of some connections, at the place of its index. An index is used again: who
/// asks for a connection that is gone does not get the value of the next one there.
#[derive(Debug)]
pub struct ByConnection<T>(Vec<Option<(ConnId, T)>>);

impl<T> Default for ByConnection<T> {
    fn default() -> ByConnection<T> {
        ByConnection(Vec::new())
    }
}

impl<T> ByConnection<T> {
    /// With room for so many connections.
    #[must_use]
    pub fn with_capacity(connections: usize) -> ByConnection<T> {
        ByConnection(Vec::with_capacity(connections))
    }

    /// Puts a value at the place of its connection.
    pub fn put(&mut self, conn: ConnId, value: T) {
        if self.0.len() <= conn.index() {
            self.0.resize_with(conn.index() + 1, || None);
        }
        self.0[conn.index()] = Some((conn, value));
    }

    /// The value of a connection.
    #[must_use]
    pub fn get(&self, conn: ConnId) -> Option<&T> {
        let (own, value) = self.0.get(conn.index())?.as_ref()?;
        (*own == conn).then_some(value)
    }

    /// The value of a connection.
    pub fn get_mut(&mut self, conn: ConnId) -> Option<&mut T> {
        let (own, value) = self.0.get_mut(conn.index())?.as_mut()?;
        (*own == conn).then_some(value)
    }

    /// Removes the value of a connection.
    pub fn take(&mut self, conn: ConnId) -> Option<T> {
        let place = self.0.get_mut(conn.index())?;
        place.take_if(|(own, _)| *own == conn).map(|(_, value)| value)
    }

    /// Those behind `after`, or all, in the order of their indices.
    pub fn following(&self, after: Option<ConnId>) -> impl Iterator<Item = (ConnId, &T)> {
        let start = after.map_or(0, |conn| conn.index() + 1);
        let places = self.0.get(start..).into_iter().flatten();
        places.flatten().map(|(conn, value)| (*conn, value))
    }
}
