//! Who is typing: told to the others in the room, never stored, never guaranteed.

use super::hub::Hub;
use super::request::Requester;
use super::room::RoomIx;
use super::user::UserIx;
use crate::base::limits::{TYPING_EVERY_MS, TYPING_LASTS_MS, TYPING_MEMBERS_MAX};
use crate::base::{Answer, Effects, News, Notice, Refusal, RoomId};

impl Hub {
    pub(super) fn typing(
        &mut self,
        asker: &Requester,
        name: &RoomId,
        typing: bool,
        effects: &mut Effects,
    ) -> Result<Answer, Refusal> {
        let (room, of_room, member) = self.room_of_member(asker, name)?;
        let user = member.user;
        let is_told = if typing {
            of_room.members.len() <= TYPING_MEMBERS_MAX && self.start_typing(room, user, effects)
        } else {
            self.stop_typing(room, user, effects)
        };
        if is_told {
            let (room, user) = (name.clone(), asker.user.clone());
            self.tell_others(|| News::Typing { room, user, typing }, effects);
        }
        Ok(Answer::Noted)
    }

    /// Tells that a user is typing, unless that was told a moment ago. Returns whether it was told.
    pub(super) fn start_typing(
        &mut self,
        room: RoomIx,
        user: UserIx,
        effects: &mut Effects,
    ) -> bool {
        let told = self.rooms[room].typing.iter().find(|(one, _)| *one == user);
        if told.is_some_and(|(_, at)| effects.now.moment.millis_since(*at) < TYPING_EVERY_MS) {
            // A repeat that comes too soon is answered but not told.
            return false;
        }
        self.begins_to_type(room, user, effects);
        true
    }

    /// Tells that a user is typing.
    pub(super) fn begins_to_type(&mut self, room: RoomIx, user: UserIx, effects: &mut Effects) {
        let (typing, now) = (&mut self.rooms[room].typing, effects.now.moment);
        typing.retain(|(one, told)| *one != user && now.millis_since(*told) < TYPING_LASTS_MS);
        typing.push((user, now));
        self.tell_typing(room, user, true, effects);
    }

    /// Typing ends by request, by a message, with the last connection or with the membership.
    /// Returns whether the user was typing.
    pub(super) fn stop_typing(
        &mut self,
        room: RoomIx,
        user: UserIx,
        effects: &mut Effects,
    ) -> bool {
        let typing = &mut self.rooms[room].typing;
        let Some(place) = typing.iter().position(|(one, _)| *one == user) else {
            return false;
        };
        let (_, told) = typing.swap_remove(place);
        // Clients have forgotten an older notice by themselves.
        if effects.now.moment.millis_since(told) < TYPING_LASTS_MS {
            self.tell_typing(room, user, false, effects);
        }
        true
    }

    fn tell_typing(&self, room: RoomIx, user: UserIx, typing: bool, effects: &mut Effects) {
        let of_room = &self.rooms[room];
        let user = &self.users[user];
        let others = of_room.audience().filter(|conn| !user.conns.as_slice().contains(conn));
        let name = of_room.name.clone();
        let notice = Notice::Typing { room: name, user: user.id.clone(), typing, source: room.0 };
        effects.deliver(notice, others);
    }
}
