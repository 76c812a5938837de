//! What the store tells: changes, which are applied, and answers. A request's answer is given once
//! its own change has been applied.

use super::hub::Hub;
use super::manage::{Progress, Reason};
use super::pending::{Pending, Write};
use super::request::Requester;
use super::room::{Life, RoomIx};
use super::user::User;
use crate::base::request::Part;
use crate::base::{Answer, Effect, Effects, Outcome, Refusal, RoomId, StoreChange, Told, UserId};

impl Hub {
    pub(super) fn told(&mut self, told: Told, effects: &mut Effects) {
        match told {
            Told::Changed { change, ticket } => {
                self.hears();
                self.changed(change, ticket, effects);
            }
            Told::News(news) => {
                self.hears();
                self.heard_news(news, effects);
            }
            Told::Answer { ticket, outcome } => self.answered(ticket, outcome, effects),
        }
    }

    fn changed(&mut self, change: StoreChange, ticket: Option<u64>, effects: &mut Effects) {
        match ticket.and_then(|ticket| self.pending.remove(&ticket)) {
            Some(Pending::Write(asker, write)) => {
                self.write_returned(&asker, &write, None, effects);
                let origin = matches!(write, Write::Revoke { .. }).then(|| asker.origin.clone());
                self.apply(change, origin, effects);
                let done = self.written(&asker, write, None, effects);
                self.write_done(&asker, done, effects);
            }
            Some(Pending::Publish { origin, stream }) => {
                self.streams.lock().returned(&stream);
                let answer = match &change {
                    StoreChange::Event { event, .. } => {
                        let (seq, ts) = (event.seq, event.ts);
                        Ok(Answer::Published { stream, seq, ts, duplicate: false })
                    }
                    _ => Err(Refusal::from(&Outcome::Done)),
                };
                self.apply(change, None, effects);
                self.publication_returned(origin, answer, effects);
            }
            Some(Pending::Trim { room }) => {
                self.trim_returned(room);
                self.apply(change, None, effects);
            }
            Some(Pending::Name { user }) => {
                self.name_returned(&user);
                self.apply(change, None, effects);
            }
            Some(Pending::Seek { .. } | Pending::Feed { .. } | Pending::History { .. }) | None => {
                self.apply(change, None, effects);
            }
        }
    }

    fn answered(&mut self, ticket: u64, outcome: Outcome, effects: &mut Effects) {
        let Some(pending) = self.pending.remove(&ticket) else { return };
        match pending {
            Pending::Name { user } => self.name_returned(&user),
            Pending::Seek { conn } => self.places_found(conn, outcome, effects),
            Pending::Feed { conn, room } => {
                let page = if let Outcome::Page(page) = outcome { Some(page) } else { None };
                self.loaded_for_feeding(conn, room, page, effects);
            }
            Pending::History { asker, room, part, limit } => {
                self.history_read(&asker, room, (part, limit), outcome, effects);
            }
            Pending::Trim { room } => {
                self.trim_returned(room);
                self.not_trimmed(room, &outcome, effects);
            }
            Pending::Publish { origin, stream } => {
                self.streams.lock().returned(&stream);
                let answer = self.streams.lock().not_stored(effects.now, &stream, &outcome);
                self.publication_returned(origin, answer, effects);
            }
            Pending::Write(asker, write) => {
                self.write_returned(&asker, &write, Some(&outcome), effects);
                let done = self.written(&asker, write, Some(outcome), effects);
                self.write_done(&asker, done, effects);
            }
        }
    }

    fn name_returned(&mut self, user: &UserId) {
        self.take_from(user, User::name_returned);
    }

    /// Answers a request whose record is no longer in flight.
    fn write_done(&mut self, asker: &Requester, done: Progress, effects: &mut Effects) {
        if let Some(answer) = done.transpose() {
            effects.answer(asker.origin.clone(), answer);
        }
        self.settled(asker.origin.conn(), |connection| &mut connection.writes, effects);
    }

    /// Releases what was reserved while a record was in flight. Without an `outcome`, its change
    /// is about to be applied.
    fn write_returned(
        &mut self,
        asker: &Requester,
        write: &Write,
        outcome: Option<&Outcome>,
        effects: &mut Effects,
    ) {
        match write {
            Write::Send { is_first: true, .. } => {
                self.common.lock().first_message_returns(&asker.user);
            }
            Write::Join { user, room, ix, members, by_themselves, invited, added } => {
                let mut reserved = self.common.lock();
                reserved.with_room(room, |room| room.members -= members);
                if ix.is_none() {
                    reserved.rooms -= 1;
                    reserved.return_invites(invited, user);
                    if done(outcome).is_err() {
                        reserved.makers.give_back(effects.now.moment, user);
                    }
                }
                for one in added {
                    reserved.with_user(one, |user| user.added_rooms -= 1);
                }
                if *by_themselves {
                    reserved.with_user(user, |user| user.rooms -= 1);
                }
            }
            Write::Leave { room, user, reason: Reason::Banned } => self.ban_returned(*room, user),
            Write::Invite { room, user } => {
                let mut reserved = self.common.lock();
                reserved.return_invites(std::slice::from_ref(user), &asker.user);
                reserved.with_room(&self.rooms[*room].name, |room| room.invites -= 1);
            }
            _ => {}
        }
    }

    /// The answer to a request. Without an `outcome`, its change has been applied.
    fn written(
        &mut self,
        asker: &Requester,
        write: Write,
        outcome: Option<Outcome>,
        effects: &mut Effects,
    ) -> Progress {
        let outcome = outcome.as_ref();
        let name = |hub: &Hub, room: RoomIx| hub.rooms[room].name.clone();
        let answer = match write {
            Write::Send { room, .. } => self.sent(room, &asker.user, outcome)?,
            Write::Alter { room, is_admin } => {
                let (seq, ts, duplicate) = match outcome {
                    None => (self.rooms[room].head, self.rooms[room].ts, false),
                    Some(Outcome::Earlier { seq, ts }) => (*seq, *ts, true),
                    Some(other) => return Err(Refusal::from(other)),
                };
                // Membership is checked again before an old result is told.
                let is_member = self.rooms[room].member(&asker.user).is_some();
                if duplicate && !is_member && !is_admin {
                    return Err(Refusal::NOT_MEMBER);
                }
                Answer::Changed { room: name(self, room), seq, ts, duplicate }
            }
            Write::Join { user, room, invited, .. } => {
                done(outcome)?;
                let ix = self.room_ix(&room).ok_or(Refusal::NOT_MEMBER)?;
                Answer::Joined(self.rooms[ix].summary(&user), invited)
            }
            Write::Leave { room, user, reason } => {
                if let Err(refusal) = done(outcome) {
                    self.stays(room, &user, effects);
                    return Err(refusal);
                }
                let user = (reason != Reason::Left).then_some(user);
                Answer::Done { room: name(self, room), user }
            }
            Write::Invite { room, user } | Write::Unban { room, user } => {
                done(outcome)?;
                Answer::Done { room: name(self, room), user: Some(user) }
            }
            Write::Uninvite { room, user, is_own } => {
                done(outcome)?;
                Answer::Done { room: name(self, room), user: (!is_own).then_some(user) }
            }
            Write::Update { room } => {
                done(outcome)?;
                Answer::Room(self.rooms[room].summary(&asker.user))
            }
            Write::End { room, name } => {
                if let Err(refusal) = done(outcome) {
                    self.goes_on(room, effects);
                    return Err(refusal);
                }
                Answer::Done { room: name, user: None }
            }
            Write::Delivered => {
                done(outcome)?;
                Answer::Noted
            }
            Write::Revoke { revocation } => {
                done(outcome)?;
                // Whoever applies it answers. What was revoked for longer is applied again.
                if outcome.is_some() {
                    let origin = Some(asker.origin.clone());
                    effects.push(Effect::Revoked { origin, revocation });
                }
                return Ok(None);
            }
            Write::Read { room } => {
                done(outcome)?;
                self.read_mark(room, &asker.user)?
            }
        };
        Ok(Some(answer))
    }

    fn sent(
        &self,
        room: RoomId,
        author: &UserId,
        outcome: Option<&Outcome>,
    ) -> Result<Answer, Refusal> {
        let of_room = self.room_ix(&room).map(|ix| &self.rooms[ix]);
        let (seq, ts, duplicate) = match outcome {
            None => of_room.map(|room| (room.head, room.ts, false)).ok_or(Refusal::NOT_MEMBER)?,
            Some(Outcome::Earlier { seq, ts }) => (*seq, *ts, true),
            Some(other) => return Err(Refusal::from(other)),
        };
        // Membership is checked again before an old result is told.
        if duplicate && of_room.is_none_or(|room| room.member(author).is_none()) {
            return Err(Refusal::NOT_MEMBER);
        }
        Ok(Answer::Sent { room, seq, ts, duplicate })
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
        effects.answer(asker.origin.clone(), answer);
        if let Some(conn) = asker.origin.conn() {
            self.tell_missed_updates(conn, effects);
        }
        self.settled(asker.origin.conn(), |connection| &mut connection.pages, effects);
    }
}

/// Without an outcome, the change has been applied.
fn done(outcome: Option<&Outcome>) -> Result<(), Refusal> {
    match outcome {
        None | Some(Outcome::Done) => Ok(()),
        Some(other) => Err(Refusal::from(other)),
    }
}
