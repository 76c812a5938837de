//! Edits, deletions and reactions. The store changes the message, and checks in the same
//! transaction that it exists and whose it is.

use super::hub::Hub;
use super::manage::Progress;
use super::pending::Write;
use super::request::Requester;
use super::room::{Room, RoomIx};
use crate::base::{Effects, Record, Refusal, RoomId};
use std::sync::Arc;

impl Hub {
    pub(super) fn edit(
        &mut self,
        asker: &Requester,
        name: &RoomId,
        target: u64,
        text: Arc<str>,
        effects: &mut Effects,
    ) -> Progress {
        let room = self.room_of_message(asker, name, target)?;
        let by = asker.user.clone();
        let record = Record::Edit { room: name.clone(), target, text, by };
        self.change(asker, room, record, effects)
    }

    pub(super) fn delete(
        &mut self,
        asker: &Requester,
        name: &RoomId,
        target: u64,
        effects: &mut Effects,
    ) -> Progress {
        // Admins may delete messages that they cannot read.
        let room = if asker.is_admin {
            let (room, of_room) = self.room(name).ok_or(asker.stranger())?;
            has_entry(of_room, target)?;
            room
        } else {
            self.room_of_message(asker, name, target)?
        };
        let record = Record::Delete { room: name.clone(), target, by: asker.authority() };
        self.change(asker, room, record, effects)
    }

    pub(super) fn react(
        &mut self,
        asker: &Requester,
        name: &RoomId,
        target: u64,
        emoji: Arc<str>,
        on: bool,
        effects: &mut Effects,
    ) -> Progress {
        let room = self.room_of_message(asker, name, target)?;
        let by = asker.user.clone();
        let record = Record::React { room: name.clone(), target, emoji, on, by };
        self.change(asker, room, record, effects)
    }

    fn room_of_message(
        &self,
        asker: &Requester,
        name: &RoomId,
        target: u64,
    ) -> Result<RoomIx, Refusal> {
        let (room, of_room, _) = self.room_of_member(asker, name)?;
        has_entry(of_room, target)?;
        Ok(room)
    }

    fn change(
        &mut self,
        asker: &Requester,
        room: RoomIx,
        record: Record,
        effects: &mut Effects,
    ) -> Progress {
        let is_admin = asker.is_admin && matches!(record, Record::Delete { .. });
        self.persist(asker, record, Write::Alter { room, is_admin }, false, effects)
    }
}

fn has_entry(room: &Room, seq: u64) -> Result<(), Refusal> {
    if (room.first..=room.head).contains(&seq) { Ok(()) } else { Err(Refusal::NO_SUCH_MESSAGE) }
}
