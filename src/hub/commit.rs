//! Handles the outcomes of records and pages. Nothing is delivered before this point.

use super::hub::Hub;
use super::manage::{Progress, Reason};
use super::pending::{Pending, Write};
use super::request::Requester;
use super::room::{Life, RoomIx};
use crate::base::request::Part;
use crate::base::{Answer, Effect, Effects, Now, Outcome, Refusal, UserId};
use std::rc::Rc;

impl Hub {
    pub(super) fn outcome(&mut self, ticket: u64, outcome: Outcome, effects: &mut Effects) {
        let Some(pending) = self.pending.remove(&ticket) else { return };
        match pending {
            Pending::Nobody => {}
            Pending::Seek { conn } => self.places_found(conn, outcome, effects),
            Pending::Feed { conn, room } => {
                let page = if let Outcome::Page(page) = outcome { Some(page) } else { None };
                self.loaded_for_feeding(conn, room, page, effects);
            }
            Pending::History { asker, room, part, limit } => {
                self.history_read(&asker, room, (part, limit), outcome, effects);
            }
            Pending::Trim { room } => self.trimmed(room, &outcome, effects),
            Pending::Publish { origin, publication } => {
                self.event_stored(origin, publication, &outcome, effects);
            }
            Pending::Write(asker, write) => {
                let is_end = matches!(write, Write::End { .. });
                let done = self.written(&asker, write, outcome, effects);
                let conn = asker.origin.conn();
                if let Some(answer) = done.transpose() {
                    effects.answer(asker.origin, answer);
                }
                self.settled(conn, |connection| &mut connection.writes, effects);
                if is_end {
                    self.trim_due(effects);
                }
            }
        }
    }

    /// The store has written what a request asked for, or says why not.
    fn written(
        &mut self,
        asker: &Requester,
        write: Write,
        outcome: Outcome,
        effects: &mut Effects,
    ) -> Progress {
        let answer = match write {
            Write::Send { is_first } => {
                if is_first {
                    self.first_message_finished(&asker.user);
                }
                self.committed(&asker.user, outcome, effects)?
            }
            Write::Change { room, is_admin } => {
                self.changed(room, &asker.user, is_admin, outcome, effects)?
            }
            Write::Join { user, room, by_themselves, invited, added } => {
                let place = (room, by_themselves);
                self.join_finished(effects.now, &user, place, &added, &invited, &outcome);
                self.joined(&user, by_themselves, invited, outcome, effects)?
            }
            Write::Leave { room, user, by, reason } => {
                self.leave_finished(room, user, (by, reason), outcome, effects)?
            }
            Write::Invite { room, user } => {
                self.return_invites(std::slice::from_ref(&user), &asker.user);
                self.rooms[room].pending_invites -= 1;
                done(&outcome)?;
                self.invited(room, user, &asker.user, effects)
            }
            Write::Uninvite { room, user, by } => {
                done(&outcome)?;
                self.uninvited(room, &user, by, effects)
            }
            Write::Unban { room, user } => {
                done(&outcome)?;
                self.unbanned(room, user)
            }
            Write::Update => match outcome {
                Outcome::Room { room, .. } => self.updated(asker, room, effects),
                other => return Err(Refusal::from(&other)),
            },
            Write::End { room } => self.ended(room, asker.by(), &outcome, effects)?,
            Write::Delivered { marks } => {
                done(&outcome)?;
                self.delivered(&asker.user, marks, effects)
            }
            Write::Revoke { revocation } => {
                done(&outcome)?;
                // Whoever applies it answers.
                effects.push(Effect::Revoked { origin: asker.origin.clone(), revocation });
                return Ok(None);
            }
            Write::Read { room } => self.read_mark(room, &asker.user, outcome, effects)?,
        };
        Ok(Some(answer))
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
            self.take_from(one, |user| {
                user.pending_added_rooms = user.pending_added_rooms.saturating_sub(1);
            });
        }
        if by_themselves {
            self.take_from(user, |user| user.pending_rooms = user.pending_rooms.saturating_sub(1));
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
        let Outcome::Room { room, entries } = outcome else {
            return Err(Refusal::from(&outcome));
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
        let Outcome::Message { entry, is_duplicate, is_first } = outcome else {
            return Err(Refusal::from(&outcome));
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
        asker: &UserId,
        is_admin: bool,
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
                let is_member = self.rooms[room].member(asker).is_some();
                if !is_member && !is_admin {
                    return Err(Refusal::NOT_MEMBER);
                }
                Ok(Answer::Changed { room: name, seq, ts, duplicate: true })
            }
            other => Err(Refusal::from(&other)),
        }
    }
}

fn done(outcome: &Outcome) -> Result<(), Refusal> {
    match outcome {
        Outcome::Done => Ok(()),
        other => Err(Refusal::from(other)),
    }
}
