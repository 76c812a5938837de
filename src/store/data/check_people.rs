//! Checks who is in a room, by its rows and by its log.

use super::check::{Checker, shown};
use super::check_log::{LogSummary, LoggedPerson};
use super::check_values::is_short;
use crate::base::{MemberState, RoomId, UserId};
use crate::store::permits::{self, BANS, INVITES};
use crate::store::rows::{MEMBERS_OF_ROOM, RoomRow, each, find_row, member, unsigned, user_of};
use crate::store::sums::check;
use rusqlite::{Result, params};

/// Checks a room's members, invitations and bans. `seen` is what its log says, if it could be read.
pub(super) fn check_people(
    checker: &mut Checker<'_>,
    row: &RoomRow,
    seen: Option<&LogSummary>,
) -> Result<()> {
    let seen = seen.filter(|seen| seen.is_whole);
    let mut people = PeopleChecker { checker, row, seen, owner_is_in: false, rows: 0, members: 0 };
    people.members()?;
    people.permits("an invitation", INVITES, &["members"])?;
    people.permits("a ban", BANS, &["members", INVITES])?;
    people.room();
    Ok(())
}

struct PeopleChecker<'a, 'b> {
    checker: &'a mut Checker<'b>,
    row: &'a RoomRow,
    /// What the log says, if all of it could be read.
    seen: Option<&'a LogSummary>,
    owner_is_in: bool,
    rows: u64,
    members: u64,
}

impl PeopleChecker<'_, '_> {
    fn rule(&mut self, holds: bool, broken: impl FnOnce() -> String) {
        self.checker.rule(holds, broken);
    }

    fn members(&mut self) -> Result<()> {
        let state = &self.row.state;
        let mut sound = Vec::new();
        each(self.checker.db, MEMBERS_OF_ROOM, [self.row.id], |found| {
            self.checker.done.members += 1;
            self.rows += 1;
            self.members += 1;
            let read = member(found).and_then(|state| Ok((user_of(found, 1)?, state)));
            let name = || format!("the row of member {}", shown(found, 1));
            let Some((user, member)) = self.checker.sound(read, name)? else { return Ok(()) };
            self.owner_is_in |= state.owner.as_ref() == Some(&user);
            self.marks(&user, &member)?;
            self.by_the_log(&user, &member);
            sound.push(user);
            Ok(())
        })?;
        if state.room.is_direct() {
            self.two(&sound);
        } else if let Some(seen) = self.seen.filter(|_| !state.is_ended) {
            for (user, person) in &seen.users {
                let is_missing = person.is_in == Some(true) && sound.binary_search(user).is_err();
                let what = || format!("{user} is a member by the log, and has no sound row");
                self.rule(!is_missing, what);
            }
        }
        Ok(())
    }

    /// Checks how far a member has read and received.
    fn marks(&mut self, user: &UserId, member: &MemberState) -> Result<()> {
        let state = &self.row.state;
        let before = state.first.saturating_sub(1);
        let MemberState { read, read_messages, deleted_unread, delivered, .. } = *member;
        if (before..=state.head).contains(&read) {
            let messages = if read == before {
                Some(state.first_messages)
            } else {
                let sql = "SELECT messages FROM entries WHERE room = ?1 AND seq = ?2";
                let key = params![self.row.id, read as i64];
                find_row(self.checker.db, sql, key, |row| unsigned(row, 0))?
            };
            if let Some(messages) = messages {
                self.rule(messages == read_messages, || {
                    format!("{user} has read {messages} messages, and the row says {read_messages}")
                });
            }
            if let Some(seen) = self.seen {
                let before = seen.deleted.partition_point(|seq| *seq <= read);
                let unread = (seen.deleted.len() - before) as u64;
                self.rule(unread == deleted_unread, || {
                    format!(
                        "{unread} messages that {user} has not read are deleted, \
                         and the row says {deleted_unread}"
                    )
                });
            }
        } else {
            let what = format!("{user} has read up to {read}, which is not within the log");
            self.checker.fault(what);
        }
        let broken = || format!("{user} has received up to {delivered}, beyond the log");
        self.rule(delivered <= state.head, broken);
        Ok(())
    }

    /// Checks when a member came, and whether they have written since.
    fn by_the_log(&mut self, user: &UserId, member: &MemberState) {
        let Some(seen) = self.seen else { return };
        let state = &self.row.state;
        let nobody = LoggedPerson::default();
        let person = seen.users.get(user).unwrap_or(&nobody);
        let is_direct = state.room.is_direct();
        let joined = member.joined;
        let is_kept = if is_direct { state.first == 1 } else { joined >= state.first };
        let is_right = if is_direct || !is_kept {
            person.joined.is_none() && person.is_in.is_none() && (joined == 0) == is_direct
        } else {
            person.joined == Some(joined) && person.is_in == Some(true)
        };
        if !is_right {
            let what = format!("{user} came by entry {joined}, which the log does not say");
            return self.checker.fault(what);
        }
        let is_known = is_kept || person.wrote;
        let broken = || format!("the row of {user} does not say right whether they wrote");
        self.rule(person.wrote == member.has_written || !is_known, broken);
    }

    /// Checks that a direct message has its two members, or one who writes to themselves.
    fn two(&mut self, found: &[UserId]) {
        let state = &self.row.state;
        let ids: Option<Vec<UserId>> =
            state.room.as_str().split(':').skip(1).map(|id| UserId::parse(id).ok()).collect();
        let Some([one, other]) = ids.as_deref() else {
            return self.checker.fault("its name is not one of two users".into());
        };
        let is_in_order = RoomId::direct(one, other) == state.room;
        self.rule(is_in_order, || "its name does not have its users in order".into());
        let are_right = found.len() == if one == other { 1 } else { 2 }
            && found.iter().all(|user| user == one || user == other);
        self.rule(are_right || state.is_ended, || "its members are not the two of its name".into());
    }

    /// Checks invitations or bans, whose users must have no row in the tables `others`.
    fn permits(&mut self, what: &str, table: &str, others: &[&str]) -> Result<()> {
        let db = self.checker.db;
        each(db, &permits::select(table), [self.row.id], |found| {
            self.rows += 1;
            let read = check(found, 2, "").and_then(|()| user_of(found, 0));
            let name = || format!("{what} of {}", shown(found, 0));
            let Some(user) = self.checker.sound(read, name)? else { return Ok(()) };
            self.rule(user_of(found, 1).is_ok(), || {
                let by = shown(found, 1);
                format!("{what} of {user} is by {by}, which is no user's id")
            });
            let mut has_other = false;
            for other in others {
                let sql = format!("SELECT 1 FROM {other} WHERE room = ?1 AND user = ?2");
                let key = params![self.row.id, user.as_str()];
                has_other |= db.prepare_cached(&sql)?.exists(key)?;
            }
            let broken = || format!("there is {what} of {user}, who is a member or invited");
            self.rule(!has_other, broken);
            Ok(())
        })
    }

    /// Checks what the room's row says of its people.
    fn room(&mut self) {
        let RoomRow { state, people, .. } = self.row;
        let (rows, members, owner_is_in) = (self.rows, self.members, self.owner_is_in);
        self.rule(*people == rows, || {
            format!(
                "there are {rows} rows of members, invitations and bans, and the room says {people}"
            )
        });
        self.rule(is_short(&state.title), || "its title is too long".into());
        let (has_owner, has_title) = (state.owner.is_some(), !state.title.is_empty());
        if state.is_ended {
            let broken = || "it has ended, and has a title, an owner or people".into();
            self.rule(rows == 0 && !has_owner && !has_title, broken);
        } else if state.room.is_direct() {
            if let Some(owner) = &state.owner {
                let what = format!("it is one of direct messages, and {owner} is its owner");
                self.checker.fault(what);
            }
            let broken = || "it is one of direct messages, and is open or has a title".into();
            self.rule(!state.is_open && !has_title, broken);
        } else if let Some(owner) = &state.owner {
            let broken = || format!("its owner {owner} is no member, or their row is damaged");
            self.rule(owner_is_in, broken);
        } else {
            self.rule(members == 0, || "it has members and no owner".into());
        }
    }
}
