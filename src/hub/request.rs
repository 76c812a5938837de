//! What users ask for: who may, and what comes of it.

use super::effect::{Answer, Effect, Effects, Refusal, RefusalCode};
use super::hub::{Hub, Pending};
use super::input::{Now, Origin, Request, RequestId, Rights, Target};
use super::quotas::Quotas;
use super::room::RoomIx;
use crate::base::{Body, ConnId, Record, Revocation, RoomId, UserId};
use std::sync::Arc;

/// Who asks, and who waits for the answer.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    pub(super) user: UserId,
    pub(super) conn: Option<ConnId>,
    pub(super) origin: Origin,
    pub(super) is_admin: bool,
    /// It is the embedding program, in the user's name.
    pub(super) is_program: bool,
}

impl Asker {
    /// The refusal of a room that the asker cannot know of: admins and the program are told the truth.
    pub(super) const fn stranger(&self) -> Refusal {
        if self.is_admin { Refusal::NO_SUCH_ROOM } else { Refusal::NOT_MEMBER }
    }

    /// Who has done it; nobody in person if it is the embedding program.
    pub(super) fn by(&self) -> Option<UserId> {
        (!self.is_program).then(|| self.user.clone())
    }
}

impl Hub {
    pub(super) fn handle_request(
        &mut self,
        now: Now,
        conn: ConnId,
        is_admin: bool,
        id: RequestId,
        request: Request,
        effects: &mut Effects,
    ) {
        let Some(user) = self.user_of(conn).cloned() else { return };
        let origin = Origin::Conn(conn, id);
        let asker = Asker { user, conn: Some(conn), origin, is_admin, is_program: false };
        self.dispatch(now, &asker, request, effects);
        // It may follow a room from here on, by a `resume` or by having read its history.
        self.tell_missed_updates(conn, effects);
    }

    pub(super) fn called(
        &mut self,
        now: Now,
        call: u64,
        user: UserId,
        rights: Rights,
        request: Request,
        effects: &mut Effects,
    ) {
        let (is_admin, is_program) = match rights {
            Rights::User => (false, false),
            Rights::Admin => (true, false),
            Rights::Program => (true, true),
        };
        let asker = Asker { user, conn: None, origin: Origin::Call(call), is_admin, is_program };
        self.dispatch(now, &asker, request, effects);
    }

    fn dispatch(&mut self, now: Now, asker: &Asker, request: Request, effects: &mut Effects) {
        let done = match request {
            Request::Send { target, body, cid } => self.send(asker, target, body, cid, effects),
            Request::Create { room, title, open, members } => {
                self.create(now, asker, room, title, open, members, effects)
            }
            Request::Join(room) => self.join(now, asker, &room, effects),
            Request::Edit { room, seq, text } => self.edit(asker, &room, seq, text, effects),
            Request::Delete { room, seq } => self.delete(asker, &room, seq, effects),
            Request::React { room, seq, emoji, on } => {
                self.react(asker, &room, seq, emoji, on, effects)
            }
            Request::Leave(room) => self.leave(asker, &room, effects),
            Request::Add(room, user) => self.add(asker, room, user, effects),
            Request::Invite(room, user) => self.invite(asker, &room, user, effects),
            Request::Remove(room, user) => self.remove(asker, &room, user, effects),
            Request::Ban(room, user) => self.ban(asker, &room, user, effects),
            Request::Unban(room, user) => self.unban(asker, &room, user, effects),
            Request::Update { room, title, open, owner } => {
                self.update(asker, &room, title, open, owner, effects)
            }
            Request::End(room) => self.end_room(asker, &room, effects),
            Request::Revoke { revocation, once } => self.revoke(asker, revocation, once, effects),
            Request::Ack { marks, is_one } => self.ack(asker, marks, is_one, effects),
            Request::ListRooms { open, after, limit } => {
                Ok(Some(self.list_rooms(asker, open, after, limit)))
            }
            Request::ListMembers { room, after, limit } => {
                self.list_members(asker, &room, after, limit).map(Some)
            }
            Request::History { room, part, limit } => {
                self.history(asker, &room, part, limit, effects)
            }
            Request::Typing(room, typing) => {
                self.typing(now, asker, &room, typing, effects).map(Some)
            }
            Request::Read(room, seq) => self.read(asker, &room, seq, effects),
            Request::Info => Ok(Some(Answer::Info {
                rooms: self.rooms_of(&asker.user),
                invites: self.invites_of(&asker.user),
            })),
            Request::Room(room) => self.room_info(asker, &room).map(Some),
            Request::ListPresence { room, after, limit } => {
                self.list_presence(asker, room, after, limit).map(Some)
            }
            Request::ResumeAt { epoch, since } => {
                self.resume_at(asker, &epoch, since, effects);
                return;
            }
            Request::Resume { epoch, rooms, more } => {
                self.resume(asker, &epoch, rooms, more, effects);
                return;
            }
        };
        match done {
            Ok(Some(answer)) => effects.push(answered(asker, Ok(answer))),
            // The answer comes with the store's outcome.
            Ok(None) => {}
            Err(refusal) => effects.push(answered(asker, Err(refusal))),
        }
    }

    fn send(
        &mut self,
        asker: &Asker,
        target: Target,
        body: Body,
        cid: Option<Arc<str>>,
        effects: &mut Effects,
    ) -> Result<Option<Answer>, Refusal> {
        let (room, to) = match target {
            Target::Room(room) => (room, None),
            Target::User(user) if user == asker.user => {
                return Err(Refusal::bad_request("to", "a direct message is to another"));
            }
            Target::User(user) => (RoomId::direct(&asker.user, &user), Some(user)),
        };
        let known = match self.room_of_member(asker, &room) {
            Ok((_, room)) => Some(room),
            Err(refusal) if to.is_none() => return Err(refusal),
            Err(_) => None,
        };
        let head = known.map_or(0, |room| room.head);
        if body.reply_to.is_some_and(|seq| seq == 0 || seq > head) {
            return Err(Refusal::new(
                RefusalCode::NoSuchMessage,
                "there is no such entry to reply to",
            ));
        }
        // A direct message's room comes into being by its first message: rights widen.
        let is_barrier = known.is_none();
        if is_barrier {
            self.check_all_rooms()?;
            let limit = self.quotas_of(&asker.user).direct_rooms;
            let ix = self.user_by_id.get(&asker.user);
            if ix.is_some_and(|ix| self.users[ix.0 as usize].direct_rooms >= limit) {
                let message = "you write to as many people as one may";
                return Err(Refusal::quota("direct_rooms", message, u64::from(limit)));
            }
        }
        let record = Record::Message { room, from: asker.user.clone(), to, body, cid };
        let pending = Pending::Send { origin: asker.origin.clone(), author: asker.user.clone() };
        self.persist(asker, record, pending, is_barrier, effects);
        Ok(None)
    }

    #[allow(clippy::too_many_arguments)]
    fn create(
        &mut self,
        now: Now,
        asker: &Asker,
        room: Option<RoomId>,
        title: Option<Arc<str>>,
        open: bool,
        mut members: Vec<UserId>,
        effects: &mut Effects,
    ) -> Result<Option<Answer>, Refusal> {
        const NAME_LEN: usize = 12;
        if !self.settings.anyone_creates && !asker.is_admin {
            let message = "rooms are made by admins here";
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
        self.check_all_rooms()?;
        members.retain(|member| *member != asker.user);
        members.sort();
        members.dedup();
        self.check_members(members.len() + 1)?;
        // Others may not fill somebody's list without end.
        let Quotas { rooms, direct_rooms, .. } = self.settings.quotas;
        let most = 2 * rooms as usize + direct_rooms as usize;
        let is_full = |member: &UserId| {
            let ix = self.user_by_id.get(member);
            ix.is_some_and(|ix| self.users[ix.0 as usize].rooms.as_slice().len() >= most)
        };
        if members.iter().any(is_full) {
            let message = "one of the members is in as many rooms as one may be";
            return Err(Refusal::quota("rooms", message, most as u64));
        }
        self.check_made(now, asker)?;
        // What a program makes counts towards nobody's number of rooms.
        let is_own = !asker.is_program;
        if is_own {
            self.count_pending(&asker.user);
        }
        let owner = asker.user.clone();
        let record = Record::Create { room, title, open, owner, members, is_own };
        let user = asker.user.clone();
        let origin = asker.origin.clone();
        let pending = Pending::Join { origin, user, room: None, by_themselves: is_own };
        self.persist(asker, record, pending, true, effects);
        Ok(None)
    }

    fn join(
        &mut self,
        now: Now,
        asker: &Asker,
        name: &RoomId,
        effects: &mut Effects,
    ) -> Result<Option<Answer>, Refusal> {
        match self.room(name) {
            Some((_, room)) => {
                if room.member(&asker.user).is_some() {
                    return Ok(Some(Answer::Joined(room.summary(&asker.user))));
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
            None => self.check_all_rooms()?,
        }
        self.check_quota(&asker.user)?;
        if self.room_ix(name).is_none() {
            self.check_made(now, asker)?;
        }
        self.count_pending(&asker.user);
        let room = self.count_pending_member(name);
        let user = asker.user.clone();
        let record =
            Record::Join { room: name.clone(), user: user.clone(), by: None, is_own: true };
        let origin = asker.origin.clone();
        let pending = Pending::Join { origin, user, room, by_themselves: true };
        self.persist(asker, record, pending, true, effects);
        Ok(None)
    }

    /// A user is on their way to the store to become a member of a room that is there.
    fn count_pending_member(&mut self, name: &RoomId) -> Option<RoomIx> {
        let room = self.room_ix(name)?;
        self.rooms[room.0 as usize].pending_members += 1;
        Some(room)
    }

    fn add(
        &mut self,
        asker: &Asker,
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
                    return Ok(Some(Answer::Joined(room.summary(&user))));
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
        let pending = Pending::Join { origin, user, room, by_themselves: false };
        self.persist(asker, record, pending, true, effects);
        Ok(None)
    }

    fn revoke(
        &mut self,
        asker: &Asker,
        revocation: Revocation,
        once: bool,
        effects: &mut Effects,
    ) -> Result<Option<Answer>, Refusal> {
        if !asker.is_admin {
            return Err(Refusal::new(RefusalCode::Forbidden, "this is for admins"));
        }
        let record = Record::Revoke { revocation: revocation.clone(), once };
        let pending = Pending::Revoke { origin: asker.origin.clone(), revocation };
        self.persist(asker, record, pending, false, effects);
        Ok(None)
    }

    pub(super) fn persist(
        &mut self,
        asker: &Asker,
        record: Record,
        pending: Pending,
        is_barrier: bool,
        effects: &mut Effects,
    ) {
        let ticket = self.ticket(pending);
        if let Some(connection) = asker.conn.and_then(|conn| self.connection_mut(conn)) {
            connection.writes += 1;
            connection.has_barrier |= is_barrier;
        }
        effects.push(Effect::Persist { ticket, record });
    }

    fn check_quota(&self, user: &UserId) -> Result<(), Refusal> {
        let limit = self.quotas_of(user).rooms;
        let ix = self.user_by_id.get(user);
        let user = ix.map(|ix| &self.users[ix.0 as usize]);
        // Those on their way to the store count: asking twenty times at once gives no twenty rooms.
        if user.is_some_and(|user| user.own_rooms + user.pending_rooms >= limit) {
            let message = "you are in as many rooms as one may be";
            return Err(Refusal::quota("rooms", message, u64::from(limit)));
        }
        Ok(())
    }

    /// Somebody is about to make a room. Admins may make as many as there is room for.
    fn check_made(&mut self, now: Now, asker: &Asker) -> Result<(), Refusal> {
        if asker.is_admin || self.makers.may_make(now.moment, &asker.user) {
            return Ok(());
        }
        let limit = self.settings.rooms_a_day();
        Err(Refusal::quota(
            "rooms",
            "you have made as many rooms as one may in a day",
            u64::from(limit),
        ))
    }

    /// A room that a user asked for is on its way to the store.
    fn count_pending(&mut self, user: &UserId) {
        let ix = self.user_ix(user);
        self.users[ix.0 as usize].pending_rooms += 1;
    }

    fn check_all_rooms(&self) -> Result<(), Refusal> {
        // Those that have ended count: their names are kept.
        if self.rooms.len() >= self.settings.all_rooms {
            let message = "this server has as many rooms as it may have";
            return Err(Refusal::new(RefusalCode::Overloaded, message));
        }
        Ok(())
    }

    fn check_members(&self, members: usize) -> Result<(), Refusal> {
        let limit = self.settings.room_members;
        if members > limit {
            let message = "the room has as many members as one may have";
            return Err(Refusal::quota("room_members", message, limit as u64));
        }
        Ok(())
    }
}

pub(super) fn answered(asker: &Asker, answer: Result<Answer, Refusal>) -> Effect {
    Effect::Answer { origin: asker.origin.clone(), answer }
}
