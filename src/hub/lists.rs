//! Pages of rooms and of members, in the order of names.

use super::hub::Hub;
use super::presence::Scope;
use super::request::Requester;
use super::room::Room;
use crate::base::answer::{MemberInfo, RoomSummary};
use crate::base::table::following;
use crate::base::{Answer, Refusal, RoomId, UserId};
use std::collections::BinaryHeap;

impl Hub {
    pub(super) fn list_rooms(
        &self,
        asker: &Requester,
        open: bool,
        after: Option<RoomId>,
        limit: usize,
    ) -> Answer {
        let limit = limit.min(self.settings.limits.page as usize);
        let is_after = |room: &Room| after.as_ref().is_none_or(|after| room.name > *after);
        let of_user = self.user(&asker.user).map(|user| user.rooms.as_slice());
        let mut found: Vec<&Room> = of_user
            .into_iter()
            .flatten()
            .map(|ix| &self.rooms[*ix])
            .filter(|room| room.member(&asker.user).is_some() && is_after(room))
            .filter(|room| !(open && room.name.is_direct()))
            .collect();
        if open {
            let others = following(&self.open_rooms, after.as_ref())
                .map(|(_, ix)| &self.rooms[*ix])
                .filter(|room| room.life == super::room::Life::Live)
                .filter(|room| room.member(&asker.user).is_none() && !room.is_banned(&asker.user));
            found.extend(others.take(limit + 1));
        }
        found.sort_by(|one, other| one.name.cmp(&other.name));
        let more = found.len() > limit;
        let rooms: Vec<RoomSummary> =
            found.into_iter().take(limit).map(|room| room.summary(&asker.user)).collect();
        Answer::Rooms { rooms, more }
    }

    /// All rooms, also direct ones, for admins.
    pub(super) fn list_all_rooms(
        &self,
        asker: &Requester,
        after: Option<&RoomId>,
        limit: usize,
    ) -> Result<Answer, Refusal> {
        if !asker.is_admin {
            return Err(Refusal::FOR_ADMINS);
        }
        let limit = limit.min(self.settings.limits.page as usize);
        // The first by name, of which one more says that there are more: no room is kept in order
        // for this.
        let mut first: BinaryHeap<&RoomId> = BinaryHeap::with_capacity(limit + 2);
        let is_next = |name: &&RoomId| after.is_none_or(|after| *name > after);
        for name in self.room_by_id.keys().filter(is_next) {
            first.push(name);
            if first.len() > limit + 1 {
                first.pop();
            }
        }
        let names = first.into_sorted_vec();
        let more = names.len() > limit;
        let live = names.into_iter().take(limit).filter_map(|name| self.room(name));
        let rooms = live.map(|(_, room)| room.summary(&asker.user)).collect();
        Ok(Answer::Rooms { rooms, more })
    }

    /// A room's summary, for its members, those who may join, and admins.
    pub(super) fn room_info(&self, asker: &Requester, name: &RoomId) -> Result<Answer, Refusal> {
        let Some((_, room)) = self.room(name) else { return Err(asker.stranger()) };
        let user = &asker.user;
        let may_join = (room.is_open || room.is_invited(user)) && !room.is_banned(user);
        if room.member(user).is_none() && !may_join && !asker.is_admin {
            return Err(Refusal::NOT_MEMBER);
        }
        Ok(Answer::Room(room.summary(user)))
    }

    pub(super) fn list_members(
        &self,
        asker: &Requester,
        room: &RoomId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Answer, Refusal> {
        let (_, room) = self.room_of_reader(asker, room)?;
        let limit = limit.min(self.settings.limits.page as usize);
        let mut found = room.members.following(after.as_ref());
        let tells_online = self.settings.presence != Scope::Off;
        let members: Vec<MemberInfo> = found
            .by_ref()
            .take(limit)
            .map(|(id, member)| {
                let user = &self.users[member.user];
                MemberInfo {
                    user: id.clone(),
                    name: user.name.clone(),
                    online: tells_online.then(|| user.is_online()),
                    owner: room.owner.as_ref() == Some(id),
                    read: room.read_of(member),
                    delivered: member.delivered,
                }
            })
            .collect();
        Ok(Answer::Members { members, more: found.next().is_some() })
    }
}
