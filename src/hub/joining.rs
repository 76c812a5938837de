//! Coming into rooms: creating one, joining one, being added to one, and a first direct message.

use super::hub::Hub;
use super::manage::Progress;
use super::pending::Write;
use super::request::Requester;
use super::room::Member;
use crate::base::limits::FIRST_MESSAGES_A_DAY;
use crate::base::{Answer, Effects, Now, Record, Refusal, RefusalCode, RoomId, UserId};
use std::sync::Arc;

impl Hub {
    pub(super) fn create(
        &mut self,
        asker: &Requester,
        room: Option<RoomId>,
        title: Option<Arc<str>>,
        open: bool,
        mut members: Vec<UserId>,
        effects: &mut Effects,
    ) -> Progress {
        const NAME_LEN: usize = 12;
        if !self.settings.anyone_creates && !asker.is_admin {
            let message = "only admins can create rooms here";
            return Err(Refusal::new(RefusalCode::Forbidden, message));
        }
        let room = match room {
            Some(room) if room.is_direct() => {
                let message = "names that begin with dm: are reserved";
                return Err(Refusal::new(RefusalCode::Forbidden, message));
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
        self.check_made(effects.now, asker)?;
        let (members, invited) = self.with_consent(asker, members);
        for user in &invited {
            if let Err(refusal) = self.check_invites(asker, user) {
                self.makers.give_back(effects.now.moment, &asker.user);
                let index = named.iter().position(|one| one == user);
                let field = index.map(|index| format!("members[{index}]").into());
                return Err(Refusal { field, ..refusal });
            }
        }
        // A room that the program creates counts towards no user's number of rooms.
        let is_own = !asker.is_program;
        if is_own {
            self.user_or_new(&asker.user).pending_rooms += 1;
        }
        self.pending_rooms += 1;
        self.invites_come(&invited, &asker.user);
        let added = if asker.is_admin { Vec::new() } else { members.clone() };
        for user in &added {
            self.user_or_new(user).pending_added_rooms += 1;
        }
        let owner = asker.user.clone();
        let user = asker.user.clone();
        let (by_themselves, told) = (is_own, invited.clone());
        let write =
            Write::Join { user, room: room.clone(), ix: None, by_themselves, invited: told, added };
        let record = Record::Create { room, title, open, owner, members, invited, is_own };
        self.persist(asker, record, write, true, effects)
    }

    pub(super) fn join(
        &mut self,
        asker: &Requester,
        name: &RoomId,
        effects: &mut Effects,
    ) -> Progress {
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
            // The name of an ended room stays taken.
            None if self.room_ix(name).is_some() => return Err(Refusal::NOT_MEMBER),
            None if name.is_direct() => return Err(asker.stranger()),
            None if !self.settings.anyone_creates && !asker.is_admin => {
                return Err(Refusal::NOT_MEMBER);
            }
            None => self.check_all_rooms(asker)?,
        }
        self.check_quota(&asker.user)?;
        let room = self.room_ix(name);
        match room {
            Some(room) => self.rooms[room].pending_members += 1,
            None => {
                self.check_made(effects.now, asker)?;
                self.pending_rooms += 1;
            }
        }
        self.user_or_new(&asker.user).pending_rooms += 1;
        let user = asker.user.clone();
        let record = Record::Join { room: name.clone(), user: user.clone(), by: None };
        self.persist(asker, record, Write::join(user, (name.clone(), room), true), true, effects)
    }

    pub(super) fn add(
        &mut self,
        asker: &Requester,
        name: RoomId,
        user: UserId,
        effects: &mut Effects,
    ) -> Progress {
        if name.is_direct() {
            return Err(Refusal::DIRECT);
        }
        // The room must exist: one created here would be open to everybody by accident.
        let Some((room, of_room)) = self.room(&name) else { return Err(Refusal::NO_SUCH_ROOM) };
        if of_room.member(&user).is_some() {
            return Ok(Some(Answer::Joined(of_room.summary(&user), Vec::new())));
        }
        if of_room.is_banned(&user) {
            return Err(Refusal::BANNED);
        }
        let members = of_room.members.len() + of_room.pending_members as usize;
        self.check_members(members + 1)?;
        self.rooms[room].pending_members += 1;
        let by = Some(asker.authority());
        let record = Record::Join { room: name.clone(), user: user.clone(), by };
        self.persist(asker, record, Write::join(user, (name, Some(room)), false), true, effects)
    }

    fn check_quota(&self, user: &UserId) -> Result<(), Refusal> {
        let limit = self.quotas_of(user).rooms;
        let user = self.user(user);
        // Rooms in flight count too, so that twenty requests at once do not exceed the limit.
        if user.is_some_and(|user| user.own_rooms + user.pending_rooms >= limit) {
            let message = "you are in as many rooms as a user may be in";
            return Err(Refusal::quota("rooms", message, u64::from(limit)));
        }
        Ok(())
    }

    /// Checks the daily limit before a room is created. Admins have none.
    fn check_made(&mut self, now: Now, asker: &Requester) -> Result<(), Refusal> {
        if asker.is_admin || self.makers.may_take(now.moment, &asker.user) {
            return Ok(());
        }
        let message = "you have created as many rooms as a user may create in a day";
        Err(Refusal::quota("rooms", message, u64::from(self.settings.rooms_a_day())))
    }

    /// Counts a message in flight that is to create a direct room.
    pub(super) fn first_message_comes(&mut self, author: &UserId) {
        self.pending_rooms += 1;
        self.user_or_new(author).pending_direct_rooms += 1;
    }

    /// A message that was to create a direct room has come back.
    pub(super) fn first_message_finished(&mut self, author: &UserId) {
        self.pending_rooms -= 1;
        self.take_from(author, |user| {
            user.pending_direct_rooms = user.pending_direct_rooms.saturating_sub(1);
        });
    }

    /// Whether the asker may have one more room. A user's rooms (created, joined, begun or left
    /// empty) must be fewer than the free ones.
    fn check_all_rooms(&self, asker: &Requester) -> Result<(), Refusal> {
        let limit = self.settings.limits.all_rooms as usize;
        let free = limit.saturating_sub(self.live_rooms + self.pending_rooms);
        let user = self.user(&asker.user).filter(|_| !asker.is_admin);
        let own = user.map_or(0, |user| {
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
        let limit = self.settings.limits.room_members as usize;
        if members > limit {
            let message = "the room has as many members as a room may have";
            return Err(Refusal::quota("room_members", message, limit as u64));
        }
        Ok(())
    }

    /// Checks the limits before the first message between two users, which creates their room.
    pub(super) fn check_first_message(
        &mut self,
        now: Now,
        asker: &Requester,
        to: Option<&UserId>,
    ) -> Result<(), Refusal> {
        self.check_all_rooms(asker)?;
        let limit = self.quotas_of(&asker.user).direct_rooms;
        let user = self.user(&asker.user);
        if user.is_some_and(|user| user.direct_rooms + user.pending_direct_rooms >= limit) {
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

    /// Whether a user was ever here: they are online, or have created or joined a room, or have
    /// written to somebody.
    fn is_known(&self, user: &UserId) -> bool {
        self.user(user)
            .is_some_and(|user| user.is_online() || user.own_rooms > 0 || user.direct_rooms > 0)
    }

    /// Splits the named users into those who are added directly and those who are invited instead.
    /// A user is invited if they share no room with the asker, or were already added to many rooms.
    /// Admins and the embedding program add everybody directly.
    fn with_consent(&self, asker: &Requester, named: Vec<UserId>) -> (Vec<UserId>, Vec<UserId>) {
        if asker.is_admin {
            return (named, Vec::new());
        }
        let rooms_of =
            |user: &UserId| self.user(user).map(|user| user.rooms.as_slice()).unwrap_or_default();
        let own = rooms_of(&asker.user);
        let shares = |user: &UserId| {
            // Walk the shorter list: a user may be in thousands of rooms and name hundreds of
            // users.
            let theirs = rooms_of(user);
            let of_user = self.user(user);
            let brought = of_user.map_or(0, |user| user.added_rooms + user.pending_added_rooms);
            if brought >= self.settings.limits.added_rooms {
                return false;
            }
            let shorter = if theirs.len() < own.len() { theirs } else { own };
            shorter.iter().any(|room| {
                let room = &self.rooms[*room];
                // A user who only received direct messages has agreed to nothing.
                let has_agreed = |member: &Member| !room.name.is_direct() || member.has_written;
                room.member(&asker.user).is_some() && room.member(user).is_some_and(has_agreed)
            })
        };
        named.into_iter().partition(shares)
    }
}
