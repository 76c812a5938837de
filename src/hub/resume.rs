//! `resume`: each room continues from where the client was, or is refused with the reason. A client
//! never gets part of a gap.

use super::cursor::{Cursor, Standing};
use super::hub::Hub;
use super::manage::Progress;
use super::request::Requester;
use crate::base::answer::{NotResumed, Resumed};
use crate::base::{Answer, ConnId, Effects, Refusal, RefusalCode, RoomId};

impl Hub {
    pub(super) fn resume(
        &mut self,
        asker: &Requester,
        epoch: &str,
        rooms: Vec<(RoomId, u64)>,
        more: bool,
        effects: &mut Effects,
    ) -> Progress {
        let Some(conn) = asker.origin.conn() else { return Ok(None) };
        if !self.is_resuming(conn) {
            return Err(Refusal::new(
                RefusalCode::Conflict,
                "a resume must be announced when connecting (?resume=1), and has one last piece",
            ));
        }
        let is_same_life = epoch == &*self.epoch;
        let mut resumed = Resumed::default();
        for (room, seq) in rooms {
            self.resume_room(asker, conn, room, seq, is_same_life, &mut resumed);
        }
        if !more {
            self.resume_unnamed_rooms(conn);
        }
        // The answer first, then the entries.
        effects.answer(asker.origin.clone(), Ok(Answer::Resumed(resumed)));
        self.feed(conn, effects);
        Ok(None)
    }

    pub(super) fn resume_room(
        &mut self,
        asker: &Requester,
        conn: ConnId,
        name: RoomId,
        seq: u64,
        is_same_life: bool,
        resumed: &mut Resumed,
    ) {
        let Ok((ix, room, _)) = self.room_of_member(asker, &name) else {
            let code =
                if is_same_life { RefusalCode::NotMember } else { RefusalCode::EpochChanged };
            // If an end fails, a client that was told that it is no member must come again. Told to
            // read the room anew, it does: the room stays refused.
            if let Some(ix) = self.room_ix(&name) {
                if is_same_life {
                    self.unfollow_leaving(conn, ix);
                } else if let Some(Cursor::Leaving { was, .. }) = self.cursor(conn, ix) {
                    *was = Standing::Refused;
                }
            }
            resumed.refused.push(NotResumed { room: name, code, kept: None });
            return;
        };
        let (first, head) = (room.first, room.head);
        let waits = matches!(room.followers.get(&conn), Some(Cursor::Waiting { .. }));
        let refused = if !waits {
            // Named before: a position is taken only once.
            Some(RefusalCode::Conflict)
        } else if !is_same_life {
            Some(RefusalCode::EpochChanged)
        } else if seq > head || seq.saturating_add(1) < first {
            // This log never had it, or no longer has all of the gap.
            Some(RefusalCode::Gone)
        } else {
            None
        };
        match refused {
            Some(code) => {
                if waits && let Some(cursor) = self.cursor(conn, ix) {
                    *cursor = Cursor::Refused;
                }
                let kept = Some((first, head));
                resumed.refused.push(NotResumed { room: name, code, kept });
            }
            None => {
                self.follow_after(conn, ix, seq);
                resumed.rooms.push((name, seq, head));
            }
        }
    }

    /// After the last part, rooms that were not named continue from the heads in `hello`.
    pub(super) fn resume_unnamed_rooms(&mut self, conn: ConnId) {
        let Some(connection) = self.connections.get_mut(conn) else { return };
        connection.is_resuming = false;
        let user = connection.user;
        for ix in self.users[user].rooms.as_slice().to_vec() {
            if let Some(&mut Cursor::Waiting { from }) = self.cursor(conn, ix) {
                self.follow_after(conn, ix, from);
            }
        }
    }
}
