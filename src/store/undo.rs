//! Takes back what a batch has changed of rooms in memory, because it is not committed.

use super::hot::{HotMember, HotPoint, HotRooms, Undo};

impl HotRooms {
    /// How far the batch has come.
    pub(super) fn point(&self) -> HotPoint {
        HotPoint { undo: self.undo.len(), added: self.added.len() }
    }

    /// Takes back what the batch has changed since.
    pub(super) fn back_to(&mut self, point: HotPoint) {
        self.added.truncate(point.added);
        while self.undo.len() > point.undo {
            match self.undo.pop() {
                None => return,
                Some(Undo::Created(room)) => {
                    self.rooms.remove(&room);
                }
                // What was read since is not committed.
                Some(Undo::Left(room, None)) => {
                    self.rooms.remove(&room);
                }
                Some(Undo::Left(room, Some(hot))) => {
                    self.unmerged += hot.unmerged;
                    self.rooms.insert(room, hot);
                }
                Some(Undo::Changed { room, row, user, member, was_changed }) => {
                    let Some(hot) = self.rooms.get_mut(&room) else { continue };
                    let unmerged = hot.unmerged;
                    match row {
                        Some(row) => hot.pop(row),
                        None => hot.unmerged -= 1,
                    }
                    self.unmerged -= unmerged - hot.unmerged;
                    hot.members.insert(user, HotMember { state: member, is_changed: was_changed });
                }
            }
        }
    }
}
