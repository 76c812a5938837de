//! Requests of owners and admins: invitations, removals, bans, a room's properties and its end.

use super::common::Reservations;
use super::hub::Hub;
use super::pending::Write;
use super::request::Requester;
use super::room::{Ban, Life, Room, RoomIx};
use super::user::User;
use crate::base::answer::InviteInfo;
use crate::base::{Answer, Effects, Notice, Record, Refusal, RefusalCode, RoomId, UserId};
use std::sync::Arc;

/// A request's result so far: an answer, or `None` if that was given, or waits for the store.
pub(super) type Progress = Result<Option<Answer>, Refusal>;

impl Hub {
    /// A room that the asker may manage: their own, or any for an admin.
    pub(super) fn managed_room(
        &self,
        asker: &Requester,
        name: &RoomId,
    ) -> Result<(RoomIx, &Room), Refusal> {
        let Some((ix, room)) = self.room(name) else { return Err(asker.stranger()) };
        let is_member = room.member(&asker.user).is_some();
        if !asker.is_admin && !is_member {
            return Err(Refusal::NOT_MEMBER);
        }
        if name.is_direct() {
            return Err(Refusal::DIRECT);
        }
        if !asker.is_admin && !room.is_owner(&asker.user) {
            return Err(Refusal::NOT_OWNER);
        }
        Ok((ix, room))
    }

    pub(super) fn invite(
        &mut self,
        asker: &Requester,
        name: &RoomId,
        user: UserId,
        effects: &mut Effects,
    ) -> Progress {
        let (room, of_room) = self.managed_room(asker, name)?;
        if of_room.is_banned(&user) {
            let message = "the user is banned from this room";
            return Err(Refusal::new(RefusalCode::Conflict, message));
        }
        if of_room.member(&user).is_some() || of_room.is_invited(&user) {
            return Ok(Some(Answer::Done { room: name.clone(), user: Some(user) }));
        }
        let limit = self.settings.limits.room_members as usize;
        let invites = of_room.permits.as_ref().map_or(0, |permits| permits.invites.len());
        let common = self.common.clone();
        let mut reserved = common.lock();
        if self.is_behind() {
            return self.comes_again();
        }
        if invites + reserved.of_room(name).invites as usize >= limit {
            let message = "the room has as many invitations as a room may have";
            return Err(Refusal::quota("room_members", message, limit as u64));
        }
        self.check_invites(&reserved, asker, &user)?;
        reserved.invites_come(std::slice::from_ref(&user), &asker.user);
        reserved.with_room(name, |room| room.invites += 1);
        drop(reserved);
        let by = asker.authority();
        let record = Record::Invite { room: name.clone(), user: user.clone(), by };
        self.persist(asker, record, Write::Invite { room, user }, true, effects)
    }

    /// Checks that a user may have one more invitation. The asker's invitations to that user must
    /// be fewer than the free ones.
    pub(super) fn check_invites(
        &self,
        reserved: &Reservations,
        asker: &Requester,
        user: &UserId,
    ) -> Result<(), Refusal> {
        let limit = self.settings.limits.invites as usize;
        let rooms = self.user(user).map(User::invites).unwrap_or_default();
        let is_theirs = |room: &&RoomIx| {
            let permits = self.rooms[**room].permits.as_ref();
            permits.is_some_and(|permits| permits.invites.get(user) == Some(&asker.user))
        };
        let coming = &reserved.user(user).invited_by;
        let free = limit.saturating_sub(rooms.len() + coming.len());
        let own = rooms.iter().filter(is_theirs).count()
            + coming.iter().filter(|by| **by == asker.user).count();
        let own = if asker.is_admin { 0 } else { own };
        if own >= free {
            let message = match free {
                0 => "the user has as many invitations as a user may have",
                _ => "the user has as many invitations from you as they may have",
            };
            return Err(Refusal::quota("invites", message, limit as u64));
        }
        Ok(())
    }

    /// A user has been invited.
    pub(super) fn invited(
        &mut self,
        room: RoomIx,
        user: &UserId,
        by: UserId,
        effects: &mut Effects,
    ) {
        let info = self.invite_info(room, &by);
        self.add_invite(room, user, by);
        effects.deliver(Notice::Invited(info), self.connections_of(user).to_vec());
    }

    pub(super) fn add_invite(&mut self, room: RoomIx, user: &UserId, by: UserId) {
        let ix = self.users.ix_or_new(user);
        self.rooms[room].permits().invites.insert(user.clone(), by);
        self.users[ix].add_invite(room);
    }

    pub(super) fn drop_invite(&mut self, room: RoomIx, user: &UserId) {
        let Some(permits) = &mut self.rooms[room].permits else { return };
        permits.invites.remove(user);
        self.rooms[room].drop_empty_permits();
        self.take_from(user, |user| user.drop_invite(room));
    }

    fn uninvite(
        &mut self,
        asker: &Requester,
        room: RoomIx,
        name: &RoomId,
        user: UserId,
        is_own: bool,
        effects: &mut Effects,
    ) -> Progress {
        let by = (!is_own).then(|| asker.authority());
        let record = Record::Uninvite { room: name.clone(), user: user.clone(), by };
        self.persist(asker, record, Write::Uninvite { room, user, is_own }, true, effects)
    }

    /// An invitation has ended without a join: tells the user.
    pub(super) fn invite_ended(
        &mut self,
        room: RoomIx,
        user: &UserId,
        by: Option<UserId>,
        reason: Reason,
        effects: &mut Effects,
    ) {
        let of_room = &self.rooms[room];
        if of_room.is_invited(user) {
            let name = of_room.name.clone();
            let notice = Notice::Removed { room: name, by, reason: reason.as_str() };
            effects.deliver(notice, self.connections_of(user).to_vec());
        }
        self.drop_invite(room, user);
    }

    pub(super) fn invites_of(&self, user: &UserId) -> Vec<InviteInfo> {
        let Some(of_user) = self.user(user) else { return Vec::new() };
        let invites = of_user.invites().iter();
        let mut invites: Vec<InviteInfo> = invites
            .filter_map(|room| {
                let of_room = &self.rooms[*room];
                let by = of_room.permits.as_ref()?.invites.get(user)?;
                (of_room.life == Life::Live).then(|| self.invite_info(*room, by))
            })
            .collect();
        invites.sort_by(|one, other| one.room.cmp(&other.room));
        invites
    }

    fn invite_info(&self, room: RoomIx, by: &UserId) -> InviteInfo {
        let of_room = &self.rooms[room];
        let (name, title) = (of_room.name.clone(), Arc::clone(&of_room.title));
        InviteInfo { room: name, title, by: by.clone() }
    }

    pub(super) fn leave(
        &mut self,
        asker: &Requester,
        name: &RoomId,
        effects: &mut Effects,
    ) -> Progress {
        // An invited user declines by leaving.
        if let Some((room, of_room)) = self.room(name)
            && of_room.member(&asker.user).is_none()
            && of_room.is_invited(&asker.user)
        {
            return self.uninvite(asker, room, name, asker.user.clone(), true, effects);
        }
        let (room, ..) = self.room_of_member(asker, name)?;
        if name.is_direct() {
            return Err(Refusal::DIRECT);
        }
        self.end_membership(asker, room, asker.user.clone(), Reason::Left, effects)
    }

    pub(super) fn remove(
        &mut self,
        asker: &Requester,
        name: &RoomId,
        user: UserId,
        effects: &mut Effects,
    ) -> Progress {
        let (room, of_room) = self.managed_room(asker, name)?;
        if of_room.member(&user).is_none() {
            if of_room.is_invited(&user) {
                return self.uninvite(asker, room, name, user, false, effects);
            }
            // The embedding program asks in this user's name.
            if asker.is_program {
                return Err(Refusal::NOT_MEMBER);
            }
            let message = "the user is no member of this room";
            return Err(Refusal::new(RefusalCode::NoSuchUser, message));
        }
        self.end_membership(asker, room, user, Reason::Removed, effects)
    }

    pub(super) fn ban(
        &mut self,
        asker: &Requester,
        name: &RoomId,
        user: UserId,
        effects: &mut Effects,
    ) -> Progress {
        let (room, of_room) = self.managed_room(asker, name)?;
        if user == asker.user {
            return Err(Refusal::bad_request("user", "you cannot ban yourself"));
        }
        let is_stored = of_room.ban(&user).is_some_and(|ban| ban.is_stored);
        if is_stored && !of_room.members.contains_key(&user) {
            return Ok(Some(Answer::Done { room: name.clone(), user: Some(user) }));
        }
        let limit = self.settings.limits.room_members as usize;
        let stored = of_room.permits.iter().flat_map(|permits| permits.bans.values());
        let stored = stored.filter(|ban| ban.is_stored).count();
        let common = self.common.clone();
        let mut reserved = common.lock();
        if self.is_behind() {
            return self.comes_again();
        }
        if stored + reserved.of_room(name).bans as usize >= limit {
            let message = "the room has as many bans as a room may have";
            return Err(Refusal::quota("room_members", message, limit as u64));
        }
        reserved.with_room(name, |room| room.bans += 1);
        drop(reserved);
        // The ban is in force from here.
        let bans = &mut self.rooms[room].permits().bans;
        bans.entry(user.clone()).or_default().in_flight += 1;
        self.end_membership(asker, room, user, Reason::Banned, effects)
    }

    pub(super) fn unban(
        &mut self,
        asker: &Requester,
        name: &RoomId,
        user: UserId,
        effects: &mut Effects,
    ) -> Progress {
        let (room, of_room) = self.managed_room(asker, name)?;
        if !of_room.is_banned(&user) {
            return Ok(Some(Answer::Done { room: name.clone(), user: Some(user) }));
        }
        let by = asker.authority();
        let record = Record::Unban { room: name.clone(), user: user.clone(), by };
        self.persist(asker, record, Write::Unban { room, user }, true, effects)
    }

    /// The record of a ban is no longer in flight.
    pub(super) fn ban_returned(&mut self, room: RoomIx, user: &UserId) {
        self.common.lock().with_room(&self.rooms[room].name, |room| room.bans -= 1);
        self.change_ban(room, user, |ban| ban.in_flight = ban.in_flight.saturating_sub(1));
    }

    /// A user has been banned, or can join again. A ban decided since stays in force.
    pub(super) fn ban_stored(&mut self, room: RoomIx, user: &UserId, is_stored: bool) {
        if is_stored {
            self.rooms[room].permits().bans.entry(user.clone()).or_default().is_stored = true;
        } else {
            self.change_ban(room, user, |ban| ban.is_stored = false);
        }
    }

    /// Changes a ban. It ends if it is neither stored nor on its way there.
    fn change_ban(&mut self, room: RoomIx, user: &UserId, change: impl FnOnce(&mut Ban)) {
        let of_room = &mut self.rooms[room];
        let Some(permits) = &mut of_room.permits else { return };
        let Some(ban) = permits.bans.get_mut(user) else { return };
        change(ban);
        if !ban.is_stored && ban.in_flight == 0 {
            permits.bans.remove(user);
        }
        of_room.drop_empty_permits();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Left,
    Removed,
    Banned,
    Deleted,
}

impl Reason {
    #[cfg(test)]
    const ALL: [Reason; 4] = [Reason::Left, Reason::Removed, Reason::Banned, Reason::Deleted];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Reason::Left => "left",
            Reason::Removed => "removed",
            Reason::Banned => "banned",
            Reason::Deleted => "deleted",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::schema_tests::assert_words;

    #[test]
    fn the_schema_has_the_reasons_of_a_removal() {
        let said = Reason::ALL.map(Reason::as_str);
        assert_words("/pushes/room:removed/properties/reason/enum", said);
    }
}
