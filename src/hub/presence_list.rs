//! Lists who is online now, a page at a time, in the order of ids.

use super::hub::Hub;
use super::presence::Scope;
use super::request::Requester;
use super::user::UserIx;
use crate::base::table::following;
use crate::base::{Answer, Refusal, RefusalCode, RoomId, UserId};
use std::collections::BTreeSet;

impl Hub {
    /// Lists who is online now. Users who change within the window or are in the grace are
    /// announced again even if nothing differs then: the asker has seen what others have not.
    pub(super) fn list_presence(
        &mut self,
        asker: &Requester,
        room: Option<RoomId>,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Answer, Refusal> {
        let limit = limit.min(self.settings.limits.page as usize);
        let (after, most) = (after.as_ref(), limit + 1);
        let of_room = match &room {
            Some(room) => Some(self.room_of_member(asker, room)?.1),
            None => None,
        };
        let mut found: Vec<&UserId> = match (of_room, self.settings.presence) {
            (_, Scope::Off) => {
                let message = "this server does not tell who is online";
                return Err(Refusal::new(RefusalCode::Forbidden, message));
            }
            (Some(room), _) => room.online.following(after).map(|(id, ())| id).take(most).collect(),
            (None, Scope::Everyone) => {
                following(&self.presence.online, after).map(|(id, _)| id).take(most).collect()
            }
            (None, Scope::Rooms) => self.known_people(&asker.user, after, most),
        };
        let more = found.len() > limit;
        found.truncate(limit);
        let users = found.into_iter().filter_map(|id| self.known_user(id)).collect();
        self.presence.lists += 1;
        Ok(Answer::Presence { users, version: self.presence.version, more })
    }

    /// The online users who share a room with `user`, and `user` themselves. Takes the shorter way:
    /// through all online users, or through the pages of each room (a user may share many rooms
    /// with the same people).
    fn known_people<'h>(
        &'h self,
        user: &UserId,
        after: Option<&UserId>,
        most: usize,
    ) -> Vec<&'h UserId> {
        let Some(own) = self.users.ix(user) else { return Vec::new() };
        let of_user = self.users[own].rooms.as_slice();
        let is_in = |room: &&super::room::RoomIx| self.rooms[**room].member(user).is_some();
        let rooms: BTreeSet<super::room::RoomIx> = of_user.iter().filter(is_in).copied().collect();
        let of_rooms: usize =
            rooms.iter().map(|room| self.rooms[*room].online.len().min(most)).sum();
        if of_rooms > self.presence.online.len() {
            let shares = |(_, ix): &(&UserId, &UserIx)| {
                let theirs = self.users[**ix].rooms.as_slice();
                **ix == own || theirs.iter().any(|room| rooms.contains(room))
            };
            let online = following(&self.presence.online, after).filter(shares);
            return online.map(|(id, _)| id).take(most).collect();
        }
        let mut all: BTreeSet<&UserId> = BTreeSet::new();
        for room in rooms {
            let online = &self.rooms[room].online;
            all.extend(online.following(after).take(most).map(|(id, ())| id));
        }
        // A user in no room is still online.
        if self.presence.online.contains_key(user) && after.is_none_or(|after| user > after) {
            all.insert(&self.users[own].id);
        }
        all.into_iter().take(most).collect()
    }
}
