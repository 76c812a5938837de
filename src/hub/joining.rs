//! Coming into rooms: making one, joining one, being brought into one, writing to somebody for the first time.

use super::hub::Hub;
use super::pending::Pending;
use super::request::Requester;
use super::room::{Member, RoomIx};
use crate::base::limits::FIRST_MESSAGES_A_DAY;
use crate::base::{Answer, Effects, Now, Record, Refusal, RefusalCode, RoomId, UserId};
use std::sync::Arc;

impl Hub {
    #[allow(clippy::too_many_arguments)]
    pub(super) fn create(
        &mut self,
        now: Now,
        asker: &Requester,
        room: Option<RoomId>,
        title: Option<Arc<str>>,
        open: bool,
        mut members: Vec<UserId>,
        effects: &mut Effects,
    ) -> Result<Option<Answer>, Refusal> {
        const NAME_LEN: usize = 12;
        if !self.settings.anyone_creates && !asker.is_admin {
            let message = "only admins can create rooms here";
            return Err(Refusal::new(RefusalCode::Forbidden, message));
        }
        let room = match room {
            Some(room) if room.is_direct() => {
                return Err(Refusal::new(
                    RefusalCode::Forbidden,
                    "names that begin with dm: are reserved",
                ));
            }
            Some(room) if self.room_ix(&room).is_some() => {
                return Err(Refusal::new(RefusalCode::Conflict, "a room of this name exists"));
            }
            Some(room) => room,
            None => loop {
                let name = RoomId::parse(&self.chance.word(NAME_LEN));
                if let Ok(name) = name
                    && self.room_ix(&name).is_none()
                {
                    break name;
                }
            },
        };
        if !asker.is_program {
            self.check_quota(&asker.user)?;
        }
        self.check_all_rooms(asker)?;
        let named = members.clone();
        members.retain(|member| *member != asker.user);
        members.sort();
        members.dedup();
        self.check_members(members.len() + 1)?;
        self.check_made(now, asker)?;
        let (members, invited) = self.with_consent(asker, members);
        for user in &invited {
            if let Err(refusal) = self.check_invites(asker, user) {
                self.makers.give_back(now.moment, &asker.user);
                let index = named.iter().position(|one| one == user);
                let field = index.map(|index| format!("members[{index}]").into());
                return Err(Refusal { field, ..refusal });
            }
        }
        // What a program makes counts towards nobody's number of rooms.
        let is_own = !asker.is_program;
        if is_own {
            self.count_pending(&asker.user);
        }
        self.pending_rooms += 1;
        self.invites_come(&invited, &asker.user);
        let added = if asker.is_admin { Vec::new() } else { members.clone() };
        for user in &added {
            let ix = self.user_ix(user);
            self.users[ix].pending_added_rooms += 1;
        }
        let owner = asker.user.clone();
        let told = invited.clone();
        let record = Record::Create { room, title, open, owner, members, invited, is_own };
        let user = asker.user.clone();
        let origin = asker.origin.clone();
        let (by_themselves, invited) = (is_own, told);
        let pending = Pending::Join { origin, user, room: None, by_themselves, invited, added };
        self.persist(asker, record, pending, true, effects);
        Ok(None)
    }

    pub(super) fn join(
        &mut self,
        now: Now,
        asker: &Requester,
        name: &RoomId,
        effects: &mut Effects,
    ) -> Result<Option<Answer>, Refusal> {
        match self.room(name) {
            Some((_, room)) => {
                if room.member(&asker.user).is_some() {
                    return Ok(Some(Answer::Joined(room.summary(&asker.user), Vec::new())));
                }
                let is_invited = room.is_invited(&asker.user);
                if !room.is_open && !is_invited {
                    return Err(Refusal::NOT_MEMBER);
                }
                if room.is_banned(&asker.user) {
                    return Err(Refusal::BANNED);
                }
                let members = room.members.len() + room.pending_members as usize;
                self.check_members(members + 1)?;
            }
            // Its name stays taken.
            None if self.room_ix(name).is_some() => return Err(Refusal::NOT_MEMBER),
            None if name.is_direct() => return Err(asker.stranger()),
            None if !self.settings.anyone_creates && !asker.is_admin => {
                return Err(Refusal::NOT_MEMBER);
            }
            None => self.check_all_rooms(asker)?,
        }
        self.check_quota(&asker.user)?;
        if self.room_ix(name).is_none() {
            self.check_made(now, asker)?;
            self.pending_rooms += 1;
        }
        self.count_pending(&asker.user);
        let room = self.count_pending_member(name);
        let user = asker.user.clone();
        let record =
            Record::Join { room: name.clone(), user: user.clone(), by: None, is_own: true };
        let origin = asker.origin.clone();
        let pending = Pending::join(origin, user, room, true);
        self.persist(asker, record, pending, true, effects);
        Ok(None)
    }

    /// A user is on their way to the store to become a member of a room that is there.
    fn count_pending_member(&mut self, name: &RoomId) -> Option<RoomIx> {
        let room = self.room_ix(name)?;
        self.rooms[room].pending_members += 1;
        Some(room)
    }

    pub(super) fn add(
        &mut self,
        asker: &Requester,
        name: RoomId,
        user: UserId,
        effects: &mut Effects,
    ) -> Result<Option<Answer>, Refusal> {
        if name.is_direct() {
            return Err(Refusal::DIRECT);
        }
        match self.room(&name) {
            Some((_, room)) => {
                if room.member(&user).is_some() {
                    return Ok(Some(Answer::Joined(room.summary(&user), Vec::new())));
                }
                if room.is_banned(&user) {
                    return Err(Refusal::BANNED);
                }
                let members = room.members.len() + room.pending_members as usize;
                self.check_members(members + 1)?;
            }
            // Whoever brings another has made the room before: a room that came into being here would be
            // open to everybody by accident.
            None => return Err(Refusal::NO_SUCH_ROOM),
        }
        let room = self.count_pending_member(&name);
        let by = asker.by();
        let record = Record::Join { room: name, user: user.clone(), by, is_own: false };
        let origin = asker.origin.clone();
        let pending = Pending::join(origin, user, room, false);
        self.persist(asker, record, pending, true, effects);
        Ok(None)
    }

    fn check_quota(&self, user: &UserId) -> Result<(), Refusal> {
        let limit = self.quotas_of(user).rooms;
        let ix = self.user_by_id.get(user);
        let user = ix.map(|ix| &self.users[*ix]);
        // Those on their way to the store count: asking twenty times at once gives no twenty rooms.
        if user.is_some_and(|user| user.own_rooms + user.pending_rooms >= limit) {
            let message = "you are in as many rooms as a user may be in";
            return Err(Refusal::quota("rooms", message, u64::from(limit)));
        }
        Ok(())
    }

    /// Somebody is about to make a room. Admins may make as many as there is room for.
    fn check_made(&mut self, now: Now, asker: &Requester) -> Result<(), Refusal> {
        if asker.is_admin || self.makers.may_take(now.moment, &asker.user) {
            return Ok(());
        }
        let limit = self.settings.rooms_a_day();
        Err(Refusal::quota(
            "rooms",
            "you have created as many rooms as a user may create in a day",
            u64::from(limit),
        ))
    }

    /// A room that a user asked for is on its way to the store.
    fn count_pending(&mut self, user: &UserId) {
        let ix = self.user_ix(user);
        self.users[ix].pending_rooms += 1;
    }

    /// A message goes to the store with which a room of two is to come into being.
    pub(super) fn first_message_comes(&mut self, author: &UserId) {
        self.pending_rooms += 1;
        let ix = self.user_ix(author);
        self.users[ix].pending_direct_rooms += 1;
    }

    /// A message is back with which a room of two was to come into being.
    pub(super) fn first_message_finished(&mut self, author: &UserId) {
        self.pending_rooms -= 1;
        if let Some(ix) = self.user_by_id.get(author).copied() {
            let user = &mut self.users[ix];
            user.pending_direct_rooms = user.pending_direct_rooms.saturating_sub(1);
            self.forget_if_unneeded(ix);
        }
    }

    /// Whether there is room for one more room, of somebody: nobody is in more that they made, joined, began or
    /// left empty than are free.
    fn check_all_rooms(&self, asker: &Requester) -> Result<(), Refusal> {
        let limit = self.settings.all_rooms;
        let free = limit.saturating_sub(self.live_rooms + self.pending_rooms);
        let ix = self.user_by_id.get(&asker.user).filter(|_| !asker.is_admin);
        let own = ix.map_or(0, |ix| {
            let user = &self.users[*ix];
            user.own_rooms + user.pending_rooms + user.direct_rooms + user.pending_direct_rooms
        });
        let left = if asker.is_admin { 0 } else { self.left_rooms.of(&asker.user) };
        if u64::from(own) + left >= free as u64 {
            let message = match free {
                0 => "the server's limit of rooms is reached",
                _ => "the few rooms that are left are for other users",
            };
            return Err(Refusal::quota("all_rooms", message, limit as u64));
        }
        Ok(())
    }

    fn check_members(&self, members: usize) -> Result<(), Refusal> {
        let limit = self.settings.room_members;
        if members > limit {
            let message = "the room has as many members as a room may have";
            return Err(Refusal::quota("room_members", message, limit as u64));
        }
        Ok(())
    }

    /// Somebody is about to write to somebody else for the first time, which makes a room of the two.
    pub(super) fn check_first_message(
        &mut self,
        now: Now,
        asker: &Requester,
        to: Option<&UserId>,
    ) -> Result<(), Refusal> {
        self.check_all_rooms(asker)?;
        let limit = self.quotas_of(&asker.user).direct_rooms;
        let ix = self.user_by_id.get(&asker.user);
        let written = ix.map(|ix| &self.users[*ix]);
        if written.is_some_and(|user| user.direct_rooms + user.pending_direct_rooms >= limit) {
            let message = "you have as many direct conversations as a user may have";
            return Err(Refusal::quota("direct_rooms", message, u64::from(limit)));
        }
        if asker.is_admin || to.is_none_or(|user| self.is_known(user)) {
            return Ok(());
        }
        if self.first_messages.may_take(now.moment, &asker.user) {
            return Ok(());
        }
        let message =
            "you have written to as many people who were never here as a user may in a day";
        Err(Refusal::quota("first_messages", message, FIRST_MESSAGES_A_DAY.into()))
    }

    /// Whether somebody was here: they are online, or have made or joined a room, or written to somebody.
    fn is_known(&self, user: &UserId) -> bool {
        let ix = self.user_by_id.get(user);
        ix.map(|ix| &self.users[*ix])
            .is_some_and(|user| user.is_online() || user.own_rooms > 0 || user.direct_rooms > 0)
    }

    /// Who of those that somebody names comes into a room without being asked, and who gets an invitation: whoever
    /// shares no room with them, or was brought into many already, unless admins or the embedding program do it.
    fn with_consent(&self, asker: &Requester, named: Vec<UserId>) -> (Vec<UserId>, Vec<UserId>) {
        if asker.is_admin {
            return (named, Vec::new());
        }
        let rooms_of = |user: &UserId| {
            let ix = self.user_by_id.get(user);
            ix.map(|ix| self.users[*ix].rooms.as_slice()).unwrap_or_default()
        };
        let own = rooms_of(&asker.user);
        let shares = |user: &UserId| {
            // The shorter list: somebody may be in thousands, and name hundreds.
            let theirs = rooms_of(user);
            let ix = self.user_by_id.get(user);
            let brought = ix.map_or(0, |ix| {
                let user = &self.users[*ix];
                user.added_rooms + user.pending_added_rooms
            });
            if brought >= self.settings.added_rooms {
                return false;
            }
            let shorter = if theirs.len() < own.len() { theirs } else { own };
            shorter.iter().any(|room| {
                let room = &self.rooms[*room];
                // Whoever was only written to has agreed to nothing.
                let has_agreed = |member: &Member| !room.name.is_direct() || member.has_written;
                room.member(&asker.user).is_some() && room.member(user).is_some_and(has_agreed)
            })
        };
        named.into_iter().partition(shares)
    }
}
