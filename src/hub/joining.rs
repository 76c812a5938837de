//! Coming into rooms: creating one, joining one, being added to one, and a first direct message.

use super::common::{Reservations, rooms_a_day};
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
        if !self.settings.anyone_creates && !asker.is_admin {
            let message = "only admins can create rooms here";
            return Err(Refusal::new(RefusalCode::Forbidden, message));
        }
        let room = self.new_name(room)?;
        let named = members.clone();
        members.retain(|member| *member != asker.user);
        members.sort();
        members.dedup();
        // Before the reservations are held: this may walk many rooms.
        let (known, strangers) = self.who_knows(asker, members);
        let common = self.common.clone();
        let mut reserved = common.lock();
        if self.is_behind() {
            return self.comes_again();
        }
        if !asker.is_program {
            self.check_quota(&reserved, asker)?;
        }
        self.check_all_rooms(&reserved, asker)?;
        // Others may be joining by that name.
        let all = known.len() + strangers.len() + 1;
        self.check_members(reserved.of_room(&room).members as usize + all)?;
        self.check_made(&mut reserved, effects.now, asker)?;
        let (members, mut invited) = self.with_consent(&reserved, asker, known);
        invited.extend(strangers);
        invited.sort();
        for user in &invited {
            if let Err(refusal) = self.check_invites(&reserved, asker, user) {
                reserved.makers.give_back(effects.now.moment, &asker.user);
                let index = named.iter().position(|one| one == user);
                let field = index.map(|index| format!("members[{index}]").into());
                return Err(Refusal { field, ..refusal });
            }
        }
        // A room that the program creates counts towards no user's number of rooms.
        let is_own = !asker.is_program;
        if is_own {
            reserved.with_user(&asker.user, |user| user.rooms += 1);
        }
        reserved.rooms += 1;
        let added_members = members.len() as u32 + 1;
        reserved.with_room(&room, |room| room.members += added_members);
        reserved.invites_come(&invited, &asker.user);
        let added = if asker.is_admin { Vec::new() } else { members.clone() };
        for user in &added {
            reserved.with_user(user, |user| user.added_rooms += 1);
        }
        drop(reserved);
        let owner = asker.user.clone();
        let user = asker.user.clone();
        let (by_themselves, told) = (is_own, invited.clone());
        let write = Write::Join {
            user,
            room: room.clone(),
            ix: None,
            members: added_members,
            by_themselves,
            invited: told,
            added,
        };
        let record = Record::Create { room, title, open, owner, members, invited, is_own };
        self.persist(asker, record, write, true, effects)
    }

    /// The name of a new room, made up if none is wanted.
    fn new_name(&mut self, wanted: Option<RoomId>) -> Result<RoomId, Refusal> {
        const NAME_LEN: usize = 12;
        match wanted {
            Some(room) if room.is_direct() => {
                let message = "names that begin with dm: are reserved";
                Err(Refusal::new(RefusalCode::Forbidden, message))
            }
            Some(room) if self.room_ix(&room).is_some() => {
                Err(Refusal::new(RefusalCode::Conflict, "a room of this name exists"))
            }
            Some(room) => Ok(room),
            None => loop {
                let name = RoomId::parse(&self.chance.word(NAME_LEN));
                if let Ok(name) = name
                    && self.room_ix(&name).is_none()
                {
                    break Ok(name);
                }
            },
        }
    }

    pub(super) fn join(
        &mut self,
        asker: &Requester,
        name: &RoomId,
        effects: &mut Effects,
    ) -> Progress {
        let joining = self.begin_to_join(asker, name, effects);
        if let (Err(_), Some(conn)) = (&joining, asker.origin.conn())
            && let Some(room) = self.room_ix(name)
        {
            self.unfollow_leaving(conn, room);
        }
        joining
    }

    fn begin_to_join(
        &mut self,
        asker: &Requester,
        name: &RoomId,
        effects: &mut Effects,
    ) -> Progress {
        let common = self.common.clone();
        let mut reserved = common.lock();
        if self.is_behind() {
            return self.comes_again();
        }
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
                self.check_members(
                    room.members.len() + reserved.of_room(name).members as usize + 1,
                )?;
            }
            // The name of an ended room stays taken.
            None if self.room_ix(name).is_some() => return Err(Refusal::NOT_MEMBER),
            None if name.is_direct() => return Err(asker.stranger()),
            None if !self.settings.anyone_creates && !asker.is_admin => {
                return Err(Refusal::NOT_MEMBER);
            }
            None => {
                self.check_members(reserved.of_room(name).members as usize + 1)?;
                self.check_all_rooms(&reserved, asker)?;
            }
        }
        self.check_quota(&reserved, asker)?;
        let room = self.room_ix(name);
        if room.is_none() {
            self.check_made(&mut reserved, effects.now, asker)?;
            reserved.rooms += 1;
        }
        reserved.with_room(name, |room| room.members += 1);
        reserved.with_user(&asker.user, |user| user.rooms += 1);
        drop(reserved);
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
        let common = self.common.clone();
        let mut reserved = common.lock();
        if self.is_behind() {
            return self.comes_again();
        }
        self.check_members(of_room.members.len() + reserved.of_room(&name).members as usize + 1)?;
        reserved.with_room(&name, |room| room.members += 1);
        drop(reserved);
        let by = Some(asker.authority());
        let record = Record::Join { room: name.clone(), user: user.clone(), by };
        self.persist(asker, record, Write::join(user, (name, Some(room)), false), true, effects)
    }

    fn check_quota(&self, reserved: &Reservations, asker: &Requester) -> Result<(), Refusal> {
        let (limit, user) = (self.quotas_for(asker).rooms, &asker.user);
        let own = self.user(user).map_or(0, |user| user.own_rooms);
        // Rooms in flight count too, so that twenty requests at once do not exceed the limit.
        if own + reserved.user(user).rooms >= limit {
            let message = "you are in as many rooms as a user may be in";
            return Err(Refusal::quota("rooms", message, u64::from(limit)));
        }
        Ok(())
    }

    /// Checks the daily limit before a room is created. Admins have none.
    fn check_made(
        &self,
        reserved: &mut Reservations,
        now: Now,
        asker: &Requester,
    ) -> Result<(), Refusal> {
        if asker.is_admin || reserved.makers.may_take(now.moment, &asker.user) {
            return Ok(());
        }
        let message = "you have created as many rooms as a user may create in a day";
        Err(Refusal::quota("rooms", message, u64::from(rooms_a_day(&self.settings.limits))))
    }

    /// Whether the asker may have one more room. A user's rooms (created, joined, begun or left
    /// empty) must be fewer than the free ones.
    fn check_all_rooms(&self, reserved: &Reservations, asker: &Requester) -> Result<(), Refusal> {
        let limit = self.settings.limits.all_rooms as usize;
        let free = limit.saturating_sub(self.live_rooms + reserved.rooms);
        let own = if asker.is_admin {
            0
        } else {
            let committed =
                self.user(&asker.user).map_or(0, |user| user.own_rooms + user.direct_rooms);
            let in_flight = reserved.user(&asker.user);
            u64::from(committed + in_flight.rooms + in_flight.direct_rooms)
                + self.left_rooms.of(&asker.user)
        };
        if own >= free as u64 {
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
        &self,
        reserved: &mut Reservations,
        now: Now,
        asker: &Requester,
        to: Option<&UserId>,
    ) -> Result<(), Refusal> {
        self.check_all_rooms(reserved, asker)?;
        let limit = self.quotas_for(asker).direct_rooms;
        let direct_rooms = self.user(&asker.user).map_or(0, |user| user.direct_rooms);
        if direct_rooms + reserved.user(&asker.user).direct_rooms >= limit {
            let message = "you have as many direct conversations as a user may have";
            return Err(Refusal::quota("direct_rooms", message, u64::from(limit)));
        }
        if asker.is_admin || to.is_none_or(|user| self.is_known(user)) {
            return Ok(());
        }
        if reserved.first_messages.may_take(now.moment, &asker.user) {
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

    /// Splits the named users into those who share a room with the asker, and others. To admins and
    /// the embedding program everybody is known.
    fn who_knows(&self, asker: &Requester, named: Vec<UserId>) -> (Vec<UserId>, Vec<UserId>) {
        let rooms_of =
            |user: &UserId| self.user(user).map(|user| user.rooms.as_slice()).unwrap_or_default();
        let own = rooms_of(&asker.user);
        let shares = |user: &UserId| {
            // Walk the shorter list: a user may be in thousands of rooms and name hundreds of
            // users.
            let theirs = rooms_of(user);
            let shorter = if theirs.len() < own.len() { theirs } else { own };
            shorter.iter().any(|room| {
                let room = &self.rooms[*room];
                // A user who only received direct messages has agreed to nothing.
                let has_agreed = |member: &Member| !room.name.is_direct() || member.has_written;
                room.member(&asker.user).is_some() && room.member(user).is_some_and(has_agreed)
            })
        };
        named.into_iter().partition(|user| asker.is_admin || shares(user))
    }

    /// Splits those who know the asker into those who are added directly and those who are invited
    /// instead, as they were already added to many rooms. Admins and the embedding program add
    /// everybody directly.
    fn with_consent(
        &self,
        reserved: &Reservations,
        asker: &Requester,
        known: Vec<UserId>,
    ) -> (Vec<UserId>, Vec<UserId>) {
        let may_be_added = |user: &UserId| {
            let committed = self.user(user).map_or(0, |user| user.added_rooms);
            committed + reserved.user(user).added_rooms < self.settings.limits.added_rooms
        };
        known.into_iter().partition(|user| asker.is_admin || may_be_added(user))
    }
}
