//! What became of records and pages: only now is anything shown to anybody.

use super::effect::{Answer, Effect, Effects, Refusal, RefusalCode};
use super::hub::Hub;
use super::input::{Now, Origin, Part};
use super::manage::Reason;
use super::pending::Pending;
use super::request::{Asker, answered};
use super::room::{Life, RoomIx};
use crate::base::limits::REACTIONS_PER_MESSAGE_MAX;
use crate::base::{ConnId, Outcome, UserId};
use std::rc::Rc;

impl Hub {
    pub(super) fn outcome(
        &mut self,
        now: Now,
        ticket: u64,
        outcome: Outcome,
        effects: &mut Effects,
    ) {
        let Some(pending) = self.pending.remove(&ticket) else { return };
        match pending {
            Pending::Nobody => {}
            Pending::Seek { conn } => self.sought(conn, outcome, effects),
            Pending::Feed { conn, room } => {
                let page = match outcome {
                    Outcome::Page(page) => Some(page),
                    _ => None,
                };
                self.loaded_for_feeding(now, conn, room, page, effects);
            }
            Pending::History { asker, room, part, limit } => {
                let of_room = &self.rooms[room.0 as usize];
                let may_read = match asker.is_program {
                    true => of_room.life == Life::Live,
                    false => of_room.member(&asker.user).is_some(),
                };
                let first = of_room.first;
                let is_gone = matches!(part, Part::After(seq) if seq.saturating_add(1) < first);
                let answer = match outcome {
                    _ if !may_read => Err(Refusal::NOT_MEMBER),
                    // It has been removed while it was asked for.
                    _ if is_gone => Err(Refusal::gone(first)),
                    Outcome::Page(page) => {
                        let entries = self.page_of_now(room, page, part, limit);
                        Ok(self.history_answer(&asker, room, entries, part))
                    }
                    other => Err(refusal(&other)),
                };
                effects.push(answered(&asker, answer));
                if let Some(conn) = asker.conn {
                    self.tell_missed_updates(conn, effects);
                }
                self.page_came(now, asker.conn, effects);
            }
            Pending::Send { origin, author, is_first } => {
                let asker = self.asker(author, origin);
                if is_first {
                    self.first_message_came(&asker.user);
                }
                let answer = self.committed(now, &asker.user, outcome, effects);
                effects.push(answered(&asker, answer));
                self.write_came(now, asker.conn, effects);
            }
            Pending::Change { origin, room, asker, is_admin } => {
                let asker = Asker { is_admin, ..self.asker(asker, origin) };
                let answer = self.changed(now, room, &asker, outcome, effects);
                effects.push(answered(&asker, answer));
                self.write_came(now, asker.conn, effects);
            }
            Pending::Join { origin, user, room, by_themselves, invited, added } => {
                let asker = self.asker(user, origin);
                if room.is_none() {
                    self.pending_rooms -= 1;
                    self.invites_came(&invited, &asker.user);
                    if !matches!(outcome, Outcome::Room { .. }) {
                        self.makers.give_back(now.moment, &asker.user);
                    }
                }
                if let Some(room) = room {
                    self.rooms[room.0 as usize].pending_members -= 1;
                }
                for user in &added {
                    let Some(ix) = self.user_by_id.get(user).copied() else { continue };
                    let user = &mut self.users[ix.0 as usize];
                    user.pending_added_rooms = user.pending_added_rooms.saturating_sub(1);
                    self.forget_if_unneeded(ix);
                }
                let ix = self.user_by_id.get(&asker.user).copied();
                if let Some(ix) = ix.filter(|_| by_themselves) {
                    let user = &mut self.users[ix.0 as usize];
                    user.pending_rooms = user.pending_rooms.saturating_sub(1);
                    self.forget_if_unneeded(ix);
                }
                let answer = match outcome {
                    Outcome::Room { room, entries } => {
                        let ix = self.changed_room(now, room, entries, by_themselves, effects);
                        for user in &invited {
                            self.invited(ix, user.clone(), &asker.user, effects);
                        }
                        let summary = self.rooms[ix.0 as usize].summary(&asker.user);
                        Ok(Answer::Joined(summary, invited))
                    }
                    other => Err(refusal(&other)),
                };
                effects.push(answered(&asker, answer));
                self.write_came(now, asker.conn, effects);
            }
            Pending::Leave { origin, room, user, by, reason } => {
                let asker = self.asker(user.clone(), origin);
                let answer = match outcome {
                    Outcome::Room { room: state, entries } => {
                        let name = state.room.clone();
                        if reason == Reason::Banned {
                            self.ban_came_back(room, &user, true);
                            self.invite_ended(room, &user, by.clone(), reason, effects);
                        }
                        self.changed_room(now, state, entries, reason == Reason::Left, effects);
                        self.membership_ended(now, room, &user, by, reason, effects);
                        let is_other = reason != Reason::Left;
                        Ok(Answer::Done { room: name, user: is_other.then_some(user) })
                    }
                    other => {
                        if reason == Reason::Banned {
                            self.ban_came_back(room, &user, false);
                        }
                        self.stays(room, &user, effects);
                        Err(refusal(&other))
                    }
                };
                effects.push(answered(&asker, answer));
                self.write_came(now, asker.conn, effects);
            }
            Pending::Invite { origin, room, user, by } => {
                let asker = self.asker(by.clone(), origin);
                self.invites_came(std::slice::from_ref(&user), &by);
                self.rooms[room.0 as usize].pending_invites -= 1;
                let answer = match outcome {
                    Outcome::Done => Ok(self.invited(room, user, &by, effects)),
                    other => Err(refusal(&other)),
                };
                effects.push(answered(&asker, answer));
                self.write_came(now, asker.conn, effects);
            }
            Pending::Uninvite { origin, room, user, by } => {
                let asker = self.asker(user.clone(), origin);
                let answer = match outcome {
                    Outcome::Done => Ok(self.uninvited(room, &user, by, effects)),
                    other => Err(refusal(&other)),
                };
                effects.push(answered(&asker, answer));
                self.write_came(now, asker.conn, effects);
            }
            Pending::Unban { origin, room, user } => {
                let asker = self.asker(user.clone(), origin);
                let answer = match outcome {
                    Outcome::Done => {
                        self.lift_ban(room, &user);
                        let room = self.rooms[room.0 as usize].name.clone();
                        Ok(Answer::Done { room, user: Some(user) })
                    }
                    other => Err(refusal(&other)),
                };
                effects.push(answered(&asker, answer));
                self.write_came(now, asker.conn, effects);
            }
            Pending::Update { origin, user, by } => {
                let asker = self.asker(user, origin);
                let answer = match outcome {
                    Outcome::Room { room, .. } => Ok(self.updated(&asker.user, by, room, effects)),
                    other => Err(refusal(&other)),
                };
                effects.push(answered(&asker, answer));
                self.write_came(now, asker.conn, effects);
            }
            Pending::End { origin, room, by } => {
                let conn = origin.conn();
                let answer = self.ended(now, room, by, &outcome, effects);
                effects.push(Effect::Answer { origin, answer });
                self.write_came(now, conn, effects);
                self.trim_due(now, effects);
            }
            Pending::Delivered { origin, user, marks } => {
                let asker = self.asker(user, origin);
                let answer = match outcome {
                    Outcome::Done => Ok(self.delivered(&asker.user, marks, effects)),
                    other => Err(refusal(&other)),
                };
                effects.push(answered(&asker, answer));
                self.write_came(now, asker.conn, effects);
            }
            Pending::Revoke { origin, revocation } => {
                let conn = origin.conn();
                effects.push(match outcome {
                    Outcome::Done => Effect::Revoked { origin, revocation },
                    Outcome::Conflict => {
                        let refusal = Refusal::new(RefusalCode::Conflict, "this was used before");
                        Effect::Answer { origin, answer: Err(refusal) }
                    }
                    other => Effect::Answer { origin, answer: Err(refusal(&other)) },
                });
                self.write_came(now, conn, effects);
            }
            Pending::Publish { origin, publication } => {
                self.event_stored(now, origin, publication, &outcome, effects);
            }
            Pending::Trim { room } => self.trimmed(now, room, &outcome, effects),
            Pending::Read { origin, room, user } => {
                let asker = self.asker(user, origin);
                let answer = self.read_mark(room, &asker.user, outcome, effects);
                effects.push(answered(&asker, answer));
                self.write_came(now, asker.conn, effects);
            }
        }
    }

    /// A message is on disk: it is shown, and answered.
    fn committed(
        &mut self,
        now: Now,
        author: &UserId,
        outcome: Outcome,
        effects: &mut Effects,
    ) -> Result<Answer, Refusal> {
        let (entry, is_duplicate, is_first) = match outcome {
            Outcome::Message { entry, is_duplicate, is_first } => (entry, is_duplicate, is_first),
            other => return Err(refusal(&other)),
        };
        if is_first {
            self.new_direct_room(now, &entry, effects);
        }
        let room = self.room_ix(&entry.room);
        // Membership is checked again before an old result is told.
        let is_member =
            room.is_some_and(|room| self.rooms[room.0 as usize].member(author).is_some());
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
            self.apply(now, room, Rc::new(entry), true, effects);
        }
        Ok(answer)
    }

    /// A message was changed, or was as it should be already.
    fn changed(
        &mut self,
        now: Now,
        room: RoomIx,
        asker: &Asker,
        outcome: Outcome,
        effects: &mut Effects,
    ) -> Result<Answer, Refusal> {
        let name = self.rooms[room.0 as usize].name.clone();
        match outcome {
            Outcome::Changed { entry, target } => {
                let (seq, ts) = (entry.seq, entry.ts);
                self.rooms[room.0 as usize].replace(target);
                self.apply(now, room, Rc::new(entry), true, effects);
                Ok(Answer::Changed { room: name, seq, ts, duplicate: false })
            }
            Outcome::Unchanged { seq, ts } => {
                // Membership is checked again before an old result is told.
                let is_member = self.rooms[room.0 as usize].member(&asker.user).is_some();
                if !is_member && !asker.is_admin {
                    return Err(Refusal::NOT_MEMBER);
                }
                Ok(Answer::Changed { room: name, seq, ts, duplicate: true })
            }
            Outcome::Forbidden => {
                Err(Refusal::new(RefusalCode::Forbidden, "the message is another's"))
            }
            other => Err(refusal(&other)),
        }
    }

    pub(super) fn write_came(&mut self, now: Now, conn: Option<ConnId>, effects: &mut Effects) {
        let Some(conn) = conn else { return };
        if let Some(connection) = self.connection_mut(conn) {
            connection.writes = connection.writes.saturating_sub(1);
            self.settled(now, conn, effects);
        }
    }

    fn page_came(&mut self, now: Now, conn: Option<ConnId>, effects: &mut Effects) {
        let Some(conn) = conn else { return };
        if let Some(connection) = self.connection_mut(conn) {
            connection.pages = connection.pages.saturating_sub(1);
            self.settled(now, conn, effects);
        }
    }

    pub(super) fn asker(&self, user: UserId, origin: Origin) -> Asker {
        let conn = origin.conn();
        Asker { user, conn, origin, is_admin: false, is_program: false }
    }
}

pub(super) fn refusal(outcome: &Outcome) -> Refusal {
    match outcome {
        Outcome::NoSuchMessage => Refusal::NO_SUCH_MESSAGE,
        Outcome::Forbidden => Refusal::BANNED,
        Outcome::Full => Refusal::quota(
            "reactions",
            "the message has as many different reactions as one may have, or leaves those to others",
            REACTIONS_PER_MESSAGE_MAX as u64,
        ),
        Outcome::Damaged => Refusal::new(
            RefusalCode::Internal,
            "what is needed for this is damaged on the server's disk",
        ),
        Outcome::Mismatch => Refusal::new(
            RefusalCode::DuplicateMismatch,
            "this cid was used before for another message",
        ),
        Outcome::OverQuota { limit, retry_after_ms } => {
            Refusal { retry_after_ms: Some(*retry_after_ms), ..Refusal::stored_too_much(*limit) }
        }
        Outcome::Conflict => Refusal::new(RefusalCode::Conflict, "a room of this name exists"),
        Outcome::NotMember => Refusal::NOT_MEMBER,
        Outcome::Overloaded => Refusal::new(
            RefusalCode::Overloaded,
            "too much waits for the store; nothing was stored",
        ),
        Outcome::Unavailable => Refusal::new(
            RefusalCode::Unavailable,
            "the store cannot be used for now; nothing was stored",
        ),
        Outcome::Message { .. }
        | Outcome::Changed { .. }
        | Outcome::Unchanged { .. }
        | Outcome::Room { .. }
        | Outcome::Read { .. }
        | Outcome::Done
        | Outcome::Event { .. }
        | Outcome::Trimmed { .. }
        | Outcome::Page(_)
        | Outcome::Positions(_) => {
            Refusal::new(RefusalCode::Internal, "the store answered what was not asked")
        }
    }
}
