//! Handles the outcomes of records and pages. Nothing is delivered before this point.

use super::hub::Hub;
use super::manage::Reason;
use super::pending::Pending;
use super::request::{Requester, answered};
use super::room::{Life, RoomIx};
use crate::base::request::Part;
use crate::base::{
    Answer, ConnId, Effect, Effects, Now, Origin, Outcome, Refusal, RefusalCode, Revocation, UserId,
};
use std::rc::Rc;

impl Hub {
    pub(super) fn outcome(&mut self, ticket: u64, outcome: Outcome, effects: &mut Effects) {
        let Some(pending) = self.pending.remove(&ticket) else { return };
        let (origin, answer) = match pending {
            Pending::Nobody => return,
            Pending::Seek { conn } => return self.places_found(conn, outcome, effects),
            Pending::Feed { conn, room } => {
                let page = if let Outcome::Page(page) = outcome { Some(page) } else { None };
                return self.loaded_for_feeding(conn, room, page, effects);
            }
            Pending::History { asker, room, part, limit } => {
                return self.history_read(&asker, room, (part, limit), outcome, effects);
            }
            Pending::Send { origin, author, is_first } => {
                if is_first {
                    self.first_message_finished(&author);
                }
                (origin, self.committed(&author, outcome, effects))
            }
            Pending::Change { origin, room, asker, is_admin } => {
                let asker = Requester { is_admin, ..self.asker(asker, origin) };
                let answer = self.changed(room, &asker, outcome, effects);
                (asker.origin, answer)
            }
            Pending::Join { origin, user, room, by_themselves, invited, added } => {
                self.join_finished(
                    effects.now,
                    &user,
                    (room, by_themselves),
                    &added,
                    &invited,
                    &outcome,
                );
                (origin, self.joined(&user, by_themselves, invited, outcome, effects))
            }
            Pending::Leave { origin, room, user, by, reason } => {
                (origin, self.leave_finished(room, user, (by, reason), outcome, effects))
            }
            Pending::Invite { origin, room, user, by } => {
                self.return_invites(std::slice::from_ref(&user), &by);
                self.rooms[room].pending_invites -= 1;
                (origin, done(&outcome).map(|()| self.invited(room, user, &by, effects)))
            }
            Pending::Uninvite { origin, room, user, by } => {
                (origin, done(&outcome).map(|()| self.uninvited(room, &user, by, effects)))
            }
            Pending::Unban { origin, room, user } => {
                (origin, done(&outcome).map(|()| self.unbanned(room, user)))
            }
            Pending::Update { origin, user, by } => match outcome {
                Outcome::Room { room, .. } => (origin, Ok(self.updated(&user, by, room, effects))),
                other => (origin, Err(Refusal::from(&other))),
            },
            Pending::End { origin, room, by } => {
                return self.end_finished(origin, room, by, &outcome, effects);
            }
            Pending::Delivered { origin, user, marks } => {
                (origin, done(&outcome).map(|()| self.delivered(&user, marks, effects)))
            }
            Pending::Revoke { origin, revocation } => {
                return self.revocation_stored(origin, revocation, &outcome, effects);
            }
            Pending::Publish { origin, publication } => {
                return self.event_stored(origin, publication, &outcome, effects);
            }
            Pending::Trim { room } => return self.trimmed(room, &outcome, effects),
            Pending::Read { origin, room, user } => {
                (origin, self.read_mark(room, &user, outcome, effects))
            }
        };
        let conn = origin.conn();
        effects.push(Effect::Answer { origin, answer });
        self.write_finished(conn, effects);
    }

    fn end_finished(
        &mut self,
        origin: Origin,
        room: RoomIx,
        by: Option<UserId>,
        outcome: &Outcome,
        effects: &mut Effects,
    ) {
        let conn = origin.conn();
        let answer = self.ended(room, by, outcome, effects);
        effects.push(Effect::Answer { origin, answer });
        self.write_finished(conn, effects);
        self.trim_due(effects);
    }

    fn revocation_stored(
        &mut self,
        origin: Origin,
        revocation: Revocation,
        outcome: &Outcome,
        effects: &mut Effects,
    ) {
        let conn = origin.conn();
        effects.push(match revoked(outcome) {
            Ok(()) => Effect::Revoked { origin, revocation },
            Err(refusal) => Effect::Answer { origin, answer: Err(refusal) },
        });
        self.write_finished(conn, effects);
    }

    fn unbanned(&mut self, room: RoomIx, user: UserId) -> Answer {
        self.lift_ban(room, &user);
        let room = self.rooms[room].name.clone();
        Answer::Done { room, user: Some(user) }
    }

    fn history_read(
        &mut self,
        asker: &Requester,
        room: RoomIx,
        (part, limit): (Part, usize),
        outcome: Outcome,
        effects: &mut Effects,
    ) {
        let of_room = &self.rooms[room];
        let may_read = match asker.is_program {
            true => of_room.life == Life::Live,
            false => of_room.member(&asker.user).is_some(),
        };
        let first = of_room.first;
        let is_gone = matches!(part, Part::After(seq) if seq.saturating_add(1) < first);
        let answer = match outcome {
            _ if !may_read => Err(Refusal::NOT_MEMBER),
            // The entries were removed while the request waited.
            _ if is_gone => Err(Refusal::gone(first)),
            Outcome::Page(page) => {
                let entries = self.page_of_now(room, page, part, limit);
                Ok(self.history_answer(asker, room, entries, part))
            }
            other => Err(Refusal::from(&other)),
        };
        effects.push(answered(asker, answer));
        if let Some(conn) = asker.conn {
            self.tell_missed_updates(conn, effects);
        }
        self.page_read(asker.conn, effects);
    }

    /// Releases what was reserved while a join or creation was in flight.
    fn join_finished(
        &mut self,
        now: Now,
        user: &UserId,
        (room, by_themselves): (Option<RoomIx>, bool),
        added: &[UserId],
        invited: &[UserId],
        outcome: &Outcome,
    ) {
        match room {
            Some(room) => self.rooms[room].pending_members -= 1,
            None => {
                self.pending_rooms -= 1;
                self.return_invites(invited, user);
                if !matches!(outcome, Outcome::Room { .. }) {
                    self.makers.give_back(now.moment, user);
                }
            }
        }
        for one in added {
            let Some(ix) = self.user_by_id.get(one).copied() else { continue };
            let user = &mut self.users[ix];
            user.pending_added_rooms = user.pending_added_rooms.saturating_sub(1);
            self.forget_if_unneeded(ix);
        }
        let ix = self.user_by_id.get(user).copied();
        if let Some(ix) = ix.filter(|_| by_themselves) {
            let user = &mut self.users[ix];
            user.pending_rooms = user.pending_rooms.saturating_sub(1);
            self.forget_if_unneeded(ix);
        }
    }

    fn joined(
        &mut self,
        user: &UserId,
        by_themselves: bool,
        invited: Vec<UserId>,
        outcome: Outcome,
        effects: &mut Effects,
    ) -> Result<Answer, Refusal> {
        let (room, entries) = match outcome {
            Outcome::Room { room, entries } => (room, entries),
            other => return Err(Refusal::from(&other)),
        };
        let ix = self.changed_room(room, entries, by_themselves, effects);
        for one in &invited {
            self.invited(ix, one.clone(), user, effects);
        }
        Ok(Answer::Joined(self.rooms[ix].summary(user), invited))
    }

    fn leave_finished(
        &mut self,
        room: RoomIx,
        user: UserId,
        (by, reason): (Option<UserId>, Reason),
        outcome: Outcome,
        effects: &mut Effects,
    ) -> Result<Answer, Refusal> {
        match outcome {
            Outcome::Room { room: state, entries } => {
                let name = state.room.clone();
                if reason == Reason::Banned {
                    self.ban_finished(room, &user, true);
                    self.invite_ended(room, &user, by.clone(), reason, effects);
                }
                self.changed_room(state, entries, reason == Reason::Left, effects);
                self.membership_ended(room, &user, by, reason, effects);
                let is_other = reason != Reason::Left;
                Ok(Answer::Done { room: name, user: is_other.then_some(user) })
            }
            other => {
                if reason == Reason::Banned {
                    self.ban_finished(room, &user, false);
                }
                self.stays(room, &user, effects);
                Err(Refusal::from(&other))
            }
        }
    }

    fn committed(
        &mut self,
        author: &UserId,
        outcome: Outcome,
        effects: &mut Effects,
    ) -> Result<Answer, Refusal> {
        let (entry, is_duplicate, is_first) = match outcome {
            Outcome::Message { entry, is_duplicate, is_first } => (entry, is_duplicate, is_first),
            other => return Err(Refusal::from(&other)),
        };
        if is_first {
            self.new_direct_room(&entry, effects);
        }
        let room = self.room_ix(&entry.room);
        // Membership is checked again before an old result is told.
        let is_member = room.is_some_and(|room| self.rooms[room].member(author).is_some());
        if is_duplicate && !is_member {
            return Err(Refusal::NOT_MEMBER);
        }
        let answer = Answer::Sent {
            room: entry.room.clone(),
            seq: entry.seq,
            ts: entry.ts,
            duplicate: is_duplicate,
        };
        if !is_duplicate && let Some(room) = room {
            self.apply(room, Rc::new(entry), true, effects);
        }
        Ok(answer)
    }

    fn changed(
        &mut self,
        room: RoomIx,
        asker: &Requester,
        outcome: Outcome,
        effects: &mut Effects,
    ) -> Result<Answer, Refusal> {
        let name = self.rooms[room].name.clone();
        match outcome {
            Outcome::Changed { entry, target } => {
                let (seq, ts) = (entry.seq, entry.ts);
                self.rooms[room].replace(target);
                self.apply(room, Rc::new(entry), true, effects);
                Ok(Answer::Changed { room: name, seq, ts, duplicate: false })
            }
            Outcome::Unchanged { seq, ts } => {
                // Membership is checked again before an old result is told.
                let is_member = self.rooms[room].member(&asker.user).is_some();
                if !is_member && !asker.is_admin {
                    return Err(Refusal::NOT_MEMBER);
                }
                Ok(Answer::Changed { room: name, seq, ts, duplicate: true })
            }
            Outcome::Forbidden => {
                Err(Refusal::new(RefusalCode::Forbidden, "the message is somebody else's"))
            }
            other => Err(Refusal::from(&other)),
        }
    }

    pub(super) fn write_finished(&mut self, conn: Option<ConnId>, effects: &mut Effects) {
        let Some(conn) = conn else { return };
        if let Some(connection) = self.connection_mut(conn) {
            connection.writes = connection.writes.saturating_sub(1);
            self.settled(conn, effects);
        }
    }

    fn page_read(&mut self, conn: Option<ConnId>, effects: &mut Effects) {
        let Some(conn) = conn else { return };
        if let Some(connection) = self.connection_mut(conn) {
            connection.pages = connection.pages.saturating_sub(1);
            self.settled(conn, effects);
        }
    }

    pub(super) fn asker(&self, user: UserId, origin: Origin) -> Requester {
        let conn = origin.conn();
        Requester { user, conn, origin, is_admin: false, is_program: false }
    }
}

fn revoked(outcome: &Outcome) -> Result<(), Refusal> {
    match outcome {
        Outcome::Conflict => Err(Refusal::new(RefusalCode::Conflict, "this was used before")),
        other => done(other),
    }
}

fn done(outcome: &Outcome) -> Result<(), Refusal> {
    match outcome {
        Outcome::Done => Ok(()),
        other => Err(Refusal::from(other)),
    }
}
