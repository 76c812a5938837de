//! Requests of users: checks the rights and carries them out.

use super::hub::Hub;
use super::manage::Progress;
use super::peers::KeptRequest;
use super::pending::{Pending, Write};
use super::quotas::Quotas;
use crate::base::request::{ListedRooms, Target};
use crate::base::{
    Answer, Authority, Body, ConnId, Effect, Effects, Origin, Record, Refusal, RefusalCode,
    Request, RequestId, Revocation, Rights, RoomId, UserId,
};
use std::sync::Arc;

/// Who asks, and who waits for the answer.
#[derive(Clone, Debug)]
pub(super) struct Requester {
    pub(super) user: UserId,
    pub(super) origin: Origin,
    pub(super) is_admin: bool,
    /// It is the embedding program, in the user's name.
    pub(super) is_program: bool,
    /// Quotas for this request alone.
    pub(super) quotas: Option<Quotas>,
}

impl Requester {
    /// The refusal for a room that the asker may not know of. Admins and the program learn that it
    /// does not exist.
    pub(super) const fn stranger(&self) -> Refusal {
        if self.is_admin { Refusal::NO_SUCH_ROOM } else { Refusal::NOT_MEMBER }
    }

    /// In whose name the store is to write, and by what right.
    pub(super) fn authority(&self) -> Authority {
        let rights = match (self.is_program, self.is_admin) {
            (true, _) => Rights::Program,
            (false, true) => Rights::Admin,
            (false, false) => Rights::User,
        };
        Authority { user: self.user.clone(), rights }
    }
}

impl Hub {
    pub(super) fn handle_request(
        &mut self,
        conn: ConnId,
        (is_admin, id, request): (bool, RequestId, Request),
        resumes: bool,
        effects: &mut Effects,
    ) {
        let Some(user) = self.user_on(conn).cloned() else { return };
        let origin = Origin::Conn(conn, id);
        let asker = Requester { user, origin, is_admin, is_program: false, quotas: None };
        self.dispatch(KeptRequest { asker, request, resumes, rounds: 0 }, effects);
        // After a `resume` or a history, the connection may follow a room from here on.
        self.tell_missed_updates(conn, effects);
    }

    pub(super) fn called(
        &mut self,
        call: u64,
        user: UserId,
        (rights, quotas): (Rights, Option<Quotas>),
        request: Request,
        effects: &mut Effects,
    ) {
        let (is_admin, is_program) = match rights {
            Rights::User => (false, false),
            Rights::Admin => (true, false),
            Rights::Program => (true, true),
        };
        let asker = Requester { user, origin: Origin::Call(call), is_admin, is_program, quotas };
        self.dispatch(KeptRequest { asker, request, resumes: false, rounds: 0 }, effects);
    }

    pub(super) fn carry_out(
        &mut self,
        asker: &Requester,
        request: Request,
        effects: &mut Effects,
    ) -> Progress {
        match request {
            Request::Send { target, body, cid } => self.send(asker, target, body, cid, effects),
            Request::Create { room, title, open, members } => {
                self.create(asker, room, title, open, members, effects)
            }
            Request::Join(room) => self.join(asker, &room, effects),
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
            Request::ListRooms { which: ListedRooms::All, after, limit } => {
                self.list_all_rooms(asker, after.as_ref(), limit).map(Some)
            }
            Request::ListRooms { which, after, limit } => {
                let joinable = which == ListedRooms::Joinable;
                Ok(Some(self.list_rooms(asker, joinable, after, limit)))
            }
            Request::ListMembers { room, after, limit } => {
                self.list_members(asker, &room, after, limit).map(Some)
            }
            Request::History { room, part, limit } => {
                self.history(asker, &room, part, limit, effects)
            }
            Request::Typing(room, typing) => self.typing(asker, &room, typing, effects).map(Some),
            Request::Read(room, seq) => self.read(asker, &room, seq, effects),
            Request::Info { after } => Ok(Some(Answer::Info {
                rooms: self.rooms_of(asker, after.as_ref()),
                invites: self.invites_of(&asker.user),
            })),
            Request::Room(room) => self.room_info(asker, &room).map(Some),
            Request::ListPresence { room, after, limit } => {
                self.list_presence(asker, room, after, limit).map(Some)
            }
            Request::ResumeAt { epoch, since } => self.resume_at(asker, &epoch, since, effects),
            Request::Resume { epoch, rooms, more } => {
                self.resume(asker, &epoch, rooms, more, effects)
            }
        }
    }

    fn send(
        &mut self,
        asker: &Requester,
        target: Target,
        body: Body,
        cid: Option<Arc<str>>,
        effects: &mut Effects,
    ) -> Progress {
        let (room, to) = match target {
            Target::Room(room) => (room, None),
            Target::User(user) if user == asker.user => {
                return Err(Refusal::bad_request("to", "a direct message goes to another user"));
            }
            Target::User(_) if asker.user.is_of_server() => {
                let message = "a direct message is from a user: say whose, by ?user=";
                return Err(Refusal::bad_request("to", message));
            }
            Target::User(user) => (RoomId::direct(&asker.user, &user), Some(user)),
        };
        let known = match self.room_of_member(asker, &room) {
            Ok((_, room, _)) => Some(room),
            Err(refusal) if to.is_none() => return Err(refusal),
            Err(_) => None,
        };
        let head = known.map_or(0, |room| room.head);
        if body.reply_to.is_some_and(|seq| seq == 0 || seq > head) {
            let message = "there is no such entry to reply to";
            return Err(Refusal::new(RefusalCode::NoSuchMessage, message));
        }
        // The first direct message creates its room and so widens rights: later requests must wait.
        let is_barrier = known.is_none();
        if is_barrier {
            let common = self.common.clone();
            let mut reserved = common.lock();
            if self.is_behind() {
                return self.comes_again();
            }
            self.check_first_message(&mut reserved, effects.now, asker, to.as_ref())?;
            reserved.first_message_comes(&asker.user);
        }
        let write = Write::Send { room: room.clone(), is_first: is_barrier };
        let record = Record::Message { room, from: asker.user.clone(), to, body, cid };
        self.persist(asker, record, write, is_barrier, effects)
    }

    fn revoke(
        &mut self,
        asker: &Requester,
        revocation: Revocation,
        once: bool,
        effects: &mut Effects,
    ) -> Progress {
        if !asker.is_admin {
            return Err(Refusal::FOR_ADMINS);
        }
        let record = Record::Revoke { revocation: revocation.clone(), once };
        self.persist(asker, record, Write::Revoke { revocation }, false, effects)
    }

    /// Hands a record to the store. The asker is answered when its change has been applied, or the
    /// store says why there is none.
    pub(super) fn persist(
        &mut self,
        asker: &Requester,
        record: Record,
        write: Write,
        is_barrier: bool,
        effects: &mut Effects,
    ) -> Progress {
        let ticket = self.ticket(Pending::Write(asker.clone(), write));
        if let Some(conn) = asker.origin.conn()
            && let Some(connection) = self.connections.get_mut(conn)
        {
            connection.writes += 1;
            connection.has_barrier |= is_barrier;
        }
        effects.push(Effect::Persist { ticket, record });
        Ok(None)
    }
}
