//! What users ask for: who may, and what comes of it.

use super::effect::{Answer, Effect, Effects, Refusal, RefusalCode};
use super::hub::{Hub, Pending};
use super::input::{Now, Origin, Request, RequestId, Target};
use super::room::RoomIx;
use crate::base::{Body, ConnId, Record, RoomId, UserId};
use std::sync::Arc;

/// Who asks, and who waits for the answer.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    pub(super) user: UserId,
    pub(super) conn: Option<ConnId>,
    pub(super) origin: Origin,
}

impl Hub {
    pub(super) fn handle_request(
        &mut self,
        now: Now,
        conn: ConnId,
        id: RequestId,
        request: Request,
        effects: &mut Effects,
    ) {
        let Some(user) = self.user_of(conn).cloned() else { return };
        let asker = Asker { user, conn: Some(conn), origin: Origin::Conn(conn, id) };
        self.dispatch(now, &asker, request, effects);
    }

    pub(super) fn called(
        &mut self,
        now: Now,
        call: u64,
        user: UserId,
        request: Request,
        effects: &mut Effects,
    ) {
        let asker = Asker { user, conn: None, origin: Origin::Call(call) };
        self.dispatch(now, &asker, request, effects);
    }

    fn dispatch(&mut self, now: Now, asker: &Asker, request: Request, effects: &mut Effects) {
        let done = match request {
            Request::Send { target, body, cid } => self.send(asker, target, body, cid, effects),
            Request::Create { room, title, open, members } => {
                self.create(asker, room, title, open, members, effects)
            }
            Request::Join(room) => self.join(asker, &room, effects),
            Request::Leave(room) => self.leave(asker, &room, &asker.user, effects),
            Request::Add(room, user) => self.add(asker, room, user, effects),
            Request::Remove(room, user) => self.leave(asker, &room, &user, effects),
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
            Request::ListPresence { room, after, limit } => {
                self.list_presence(asker, room, after, limit).map(Some)
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
                let message = "a direct message is to another";
                let refusal = Refusal::new(RefusalCode::BadRequest, message);
                return Err(Refusal { field: Some("to"), ..refusal });
            }
            Target::User(user) => (RoomId::direct(&asker.user, &user), Some(user)),
        };
        let known = self.room_of_member(&room, &asker.user);
        if known.is_none() && to.is_none() {
            return Err(Refusal::NOT_MEMBER);
        }
        let head = known.map_or(0, |(_, room)| room.head);
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
            let limit = self.settings.direct_rooms;
            let ix = self.user_by_id.get(&asker.user);
            if ix.is_some_and(|ix| self.users[ix.0 as usize].direct_rooms >= limit) {
                return Err(quota("you write to as many people as one may", u64::from(limit)));
            }
        }
        let record = Record::Message { room, from: asker.user.clone(), to, body, cid };
        let pending = Pending::Send { origin: asker.origin.clone(), author: asker.user.clone() };
        self.persist(asker, record, pending, is_barrier, effects);
        Ok(None)
    }

    fn create(
        &mut self,
        asker: &Asker,
        room: Option<RoomId>,
        title: Option<Arc<str>>,
        open: bool,
        mut members: Vec<UserId>,
        effects: &mut Effects,
    ) -> Result<Option<Answer>, Refusal> {
        const NAME_LEN: usize = 12;
        let room = match room {
            Some(room) if room.is_direct() => {
                return Err(Refusal::new(
                    RefusalCode::Forbidden,
                    "names that begin with dm: are reserved",
                ));
            }
            Some(room) if self.room(&room).is_some() => {
                return Err(Refusal::new(RefusalCode::Conflict, "a room of this name exists"));
            }
            Some(room) => room,
            None => loop {
                let name = RoomId::parse(&self.chance.word(NAME_LEN));
                if let Ok(name) = name
                    && self.room(&name).is_none()
                {
                    break name;
                }
            },
        };
        self.check_quota(&asker.user)?;
        self.check_all_rooms()?;
        members.retain(|member| *member != asker.user);
        members.sort();
        members.dedup();
        self.check_members(members.len() + 1)?;
        // Others may not fill somebody's list without end.
        let most = 2 * self.settings.rooms as usize + self.settings.direct_rooms as usize;
        let is_full = |member: &UserId| {
            let ix = self.user_by_id.get(member);
            ix.is_some_and(|ix| self.users[ix.0 as usize].rooms.as_slice().len() >= most)
        };
        if members.iter().any(is_full) {
            return Err(quota("one of the members is in as many rooms as one may be", most as u64));
        }
        self.count_pending(&asker.user);
        let owner = asker.user.clone();
        let record = Record::Create { room, title, open, owner, members };
        let pending = Pending::Join { origin: asker.origin.clone(), user: asker.user.clone() };
        self.persist(asker, record, pending, true, effects);
        Ok(None)
    }

    fn join(
        &mut self,
        asker: &Asker,
        name: &RoomId,
        effects: &mut Effects,
    ) -> Result<Option<Answer>, Refusal> {
        match self.room(name) {
            Some((ix, room)) => {
                if room.member(&asker.user).is_some() {
                    let summary = room.summary(&asker.user);
                    self.follow_if_not(asker, ix);
                    return Ok(Some(Answer::Joined(summary)));
                }
                if !room.is_open {
                    return Err(Refusal::NOT_MEMBER);
                }
                let members = room.members.len();
                self.check_members(members + 1)?;
            }
            None if name.is_direct() => return Err(Refusal::NOT_MEMBER),
            None => self.check_all_rooms()?,
        }
        self.check_quota(&asker.user)?;
        self.count_pending(&asker.user);
        let user = asker.user.clone();
        let record = Record::Join {
            room: name.clone(),
            user: user.clone(),
            by: None,
            is_own: true,
            create: true,
        };
        let pending = Pending::Join { origin: asker.origin.clone(), user };
        self.persist(asker, record, pending, true, effects);
        Ok(None)
    }

    /// A connection that came while its user was leaving does not follow the room; if the leaving
    /// came to nothing, it does from the answer on that says so.
    fn follow_if_not(&mut self, asker: &Asker, room: RoomIx) {
        if let Some(conn) = asker.conn
            && self.cursor(conn, room).is_none()
        {
            let waits = self.connection(conn).is_some_and(|connection| connection.is_resuming);
            self.follow(conn, room, waits);
        }
    }

    fn add(
        &mut self,
        asker: &Asker,
        name: RoomId,
        user: UserId,
        effects: &mut Effects,
    ) -> Result<Option<Answer>, Refusal> {
        if name.is_direct() {
            return Err(Refusal::new(
                RefusalCode::Forbidden,
                "a direct message has its two members for ever",
            ));
        }
        if let Some((_, room)) = self.room(&name) {
            if room.member(&user).is_some() {
                return Ok(Some(Answer::Joined(room.summary(&user))));
            }
            let members = room.members.len();
            self.check_members(members + 1)?;
        }
        let record =
            Record::Join { room: name, user: user.clone(), by: None, is_own: false, create: true };
        let pending = Pending::Join { origin: asker.origin.clone(), user };
        self.persist(asker, record, pending, true, effects);
        Ok(None)
    }

    /// Ends a membership. It holds from here: nothing more of the room is told to the member's
    /// connections, unless the store cannot remember it.
    fn leave(
        &mut self,
        asker: &Asker,
        name: &RoomId,
        user: &UserId,
        effects: &mut Effects,
    ) -> Result<Option<Answer>, Refusal> {
        let Some((room, of_room)) = self.room_of_member(name, user) else {
            return Err(Refusal::NOT_MEMBER);
        };
        if of_room.name.is_direct() {
            return Err(Refusal::new(
                RefusalCode::Forbidden,
                "a direct message has its two members for ever",
            ));
        }
        for conn in self.connections_of(user).to_vec() {
            self.halt(conn, room);
        }
        if let Some(member) = self.rooms[room.0 as usize].members.get_mut(user) {
            member.is_leaving = true;
        }
        let record = Record::Leave { room: name.clone(), user: user.clone(), by: None };
        let is_own = asker.conn.is_some();
        let origin = asker.origin.clone();
        let pending = Pending::Leave { origin, room, user: user.clone(), is_own };
        self.persist(asker, record, pending, true, effects);
        Ok(None)
    }

    fn read(
        &mut self,
        asker: &Asker,
        name: &RoomId,
        seq: u64,
        effects: &mut Effects,
    ) -> Result<Option<Answer>, Refusal> {
        let (room, of_room) = self.room_of_member(name, &asker.user).ok_or(Refusal::NOT_MEMBER)?;
        let Some(member) = of_room.member(&asker.user) else { return Err(Refusal::NOT_MEMBER) };
        let seq = seq.min(of_room.head);
        if seq <= member.read {
            let (seq, unread) = (member.read, of_room.unread(member));
            return Ok(Some(Answer::Read { room: name.clone(), seq, unread }));
        }
        let user = asker.user.clone();
        let record = Record::Read { room: name.clone(), user: user.clone(), seq };
        let pending = Pending::Read { origin: asker.origin.clone(), room, user };
        self.persist(asker, record, pending, false, effects);
        Ok(None)
    }

    fn persist(
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
        let limit = self.settings.rooms;
        let ix = self.user_by_id.get(user);
        let user = ix.map(|ix| &self.users[ix.0 as usize]);
        // Those on their way to the store count: asking twenty times at once gives no twenty rooms.
        if user.is_some_and(|user| user.own_rooms + user.pending_rooms >= limit) {
            return Err(quota("you are in as many rooms as one may be", u64::from(limit)));
        }
        Ok(())
    }

    /// A room that a user asked for is on its way to the store.
    fn count_pending(&mut self, user: &UserId) {
        if let Some(ix) = self.user_by_id.get(user) {
            self.users[ix.0 as usize].pending_rooms += 1;
        }
    }

    fn check_all_rooms(&self) -> Result<(), Refusal> {
        if self.rooms.len() >= self.settings.all_rooms {
            let message = "this server has as many rooms as it may have";
            return Err(Refusal::new(RefusalCode::Overloaded, message));
        }
        Ok(())
    }

    fn check_members(&self, members: usize) -> Result<(), Refusal> {
        let limit = self.settings.room_members;
        if members > limit {
            return Err(quota("the room has as many members as one may have", limit as u64));
        }
        Ok(())
    }
}

fn quota(message: &'static str, limit: u64) -> Refusal {
    Refusal { code: RefusalCode::Quota, message, field: None, limit: Some(limit) }
}

pub(super) fn answered(asker: &Asker, answer: Result<Answer, Refusal>) -> Effect {
    Effect::Answer { origin: asker.origin.clone(), answer }
}
