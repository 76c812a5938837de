//! How far members have read and received a room's log. Marks only move forward, and are on disk
//! before anybody is told.

use super::cursor::Cursor;
use super::hub::Hub;
use super::manage::Progress;
use super::pending::Write;
use super::request::Requester;
use super::room::RoomIx;
use crate::base::limits::MARKS_MEMBERS_MAX;
use crate::base::{Answer, ConnId, Effects, Notice, Record, Refusal, RoomId, UserId};

impl Hub {
    pub(super) fn read(
        &mut self,
        asker: &Requester,
        name: &RoomId,
        seq: u64,
        effects: &mut Effects,
    ) -> Progress {
        let (room, of_room, member) = self.room_of_member(asker, name)?;
        let seq = seq.min(of_room.head);
        if seq <= member.read || seq < of_room.first {
            return self.read_mark(room, &asker.user).map(Some);
        }
        let record = Record::Read { room: name.clone(), user: asker.user.clone(), seq };
        self.persist(asker, record, Write::Read { room }, false, effects)
    }

    /// A user has read a room up to an entry: `messages` of it, and `deleted` are after it.
    pub(super) fn has_read(
        &mut self,
        room: RoomIx,
        user: UserId,
        (seq, messages, deleted): (u64, u64, u64),
        effects: &mut Effects,
    ) {
        let of_room = &mut self.rooms[room];
        let Some(member) = of_room.members.get_mut(&user) else { return };
        if seq <= member.read {
            return;
        }
        member.has_read(seq, messages, deleted);
        let of_room = &self.rooms[room];
        // They may be leaving.
        let Some(member) = of_room.member(&user) else { return };
        let (name, seq) = (of_room.name.clone(), of_room.read_of(member));
        let tells_others = of_room.members.len() <= MARKS_MEMBERS_MAX;
        let told = self.recipients_of_mark(room, &user, tells_others);
        effects.deliver(Notice::Read { room: name, user, seq, source: room.0 }, told);
    }

    /// How far a member has read a room.
    pub(super) fn read_mark(&self, room: RoomIx, user: &UserId) -> Result<Answer, Refusal> {
        let of_room = &self.rooms[room];
        let member = of_room.member(user).ok_or(Refusal::NOT_MEMBER)?;
        let (seq, unread) = (of_room.read_of(member), of_room.unread(member));
        Ok(Answer::Read { room: of_room.name.clone(), seq, unread })
    }

    pub(super) fn ack(
        &mut self,
        asker: &Requester,
        marks: Vec<(RoomId, u64)>,
        is_one: bool,
        effects: &mut Effects,
    ) -> Progress {
        let mut moved = Vec::new();
        for (name, seq) in marks {
            match self.room_of_member(asker, &name) {
                Ok((_, room, member)) => {
                    let seq = seq.min(room.head);
                    if seq > member.delivered {
                        moved.push((name, seq));
                    }
                }
                Err(refusal) if is_one => return Err(refusal),
                // They may have left or been removed meanwhile.
                Err(_) => {}
            }
        }
        if moved.is_empty() {
            return Ok(Some(Answer::Noted));
        }
        let record = Record::Delivered { user: asker.user.clone(), marks: moved };
        self.persist(asker, record, Write::Delivered, false, effects)
    }

    /// Marks of delivery have moved.
    pub(super) fn delivered(
        &mut self,
        user: &UserId,
        marks: Vec<(RoomId, u64)>,
        effects: &mut Effects,
    ) {
        for (name, seq) in marks {
            let Some(room) = self.room_ix(&name) else { continue };
            let of_room = &mut self.rooms[room];
            let Some(member) = of_room.members.get_mut(user) else { continue };
            if seq <= member.delivered {
                continue;
            }
            member.delivered = seq;
            if of_room.members.len() <= MARKS_MEMBERS_MAX && of_room.member(user).is_some() {
                let told = self.recipients_of_mark(room, user, true);
                let notice =
                    Notice::Delivered { room: name, user: user.clone(), seq, source: room.0 };
                effects.deliver(notice, told);
            }
        }
    }

    fn recipients_of_mark(&self, room: RoomIx, user: &UserId, tells_others: bool) -> Vec<ConnId> {
        let of_room = &self.rooms[room];
        if tells_others {
            return of_room.audience().collect();
        }
        let is_told = |conn: &&ConnId| of_room.followers.get(conn).is_some_and(Cursor::is_told);
        self.connections_of(user).iter().filter(is_told).copied().collect()
    }
}
