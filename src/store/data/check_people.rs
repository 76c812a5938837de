//! Who is in a room, by its rows and by its log.

use super::check::{Checker, shown};
use super::check_log::{LogSummary, LoggedPerson};
use super::check_values::is_short;
use crate::base::{MemberState, RoomId, UserId};
use crate::store::permits::{self, BANS, INVITES};
use crate::store::rows::{MEMBERS_OF_ROOM, RoomRow, check, each, member, unsigned, user_of};
use rusqlite::{Connection, OptionalExtension, Result, params};

/// Checks a room's members, invitations and bans. `seen` is what its log says, if that could be
/// read.
pub(super) fn check_people(
    checker: &mut Checker<'_>,
    db: &Connection,
    row: &RoomRow,
    seen: Option<&LogSummary>,
) -> Result<()> {
    let mut people =
        PeopleChecker { checker, db, row, seen, owner_is_in: false, rows: 0, members: 0 };
    people.members()?;
    people.permits("an invitation", INVITES, &["members"])?;
    people.permits("a ban", BANS, &["members", INVITES])?;
    people.room();
    Ok(())
}

struct PeopleChecker<'a, 'b> {
    checker: &'a mut Checker<'b>,
    db: &'a Connection,
    row: &'a RoomRow,
    seen: Option<&'a LogSummary>,
    owner_is_in: bool,
    rows: u64,
    members: u64,
}

impl PeopleChecker<'_, '_> {
    fn fault(&mut self, what: String) {
        self.checker.fault(Some(&self.row.state.room), what);
    }

    fn members(&mut self) -> Result<()> {
        let mut sound = Vec::new();
        each(self.db, MEMBERS_OF_ROOM, [self.row.id], |found| {
            self.checker.done.members += 1;
            self.rows += 1;
            self.members += 1;
            let read = member(found).and_then(|state| Ok((user_of(found, 1)?, state)));
            let name = || format!("the row of member {}", shown(found, 1));
            if let Some((user, state)) =
                self.checker.sound(Some(&self.row.state.room), read, name)?
            {
                self.owner_is_in |= self.row.state.owner.as_ref() == Some(&user);
                self.marks(&user, &state)?;
                self.by_the_log(&user, &state);
                sound.push(user);
            }
            Ok(())
        })?;
        if self.row.state.room.is_direct() {
            self.two(&sound);
        } else if let Some(seen) = self.seen
            && seen.is_whole
            && !self.row.state.is_ended
        {
            let is_missing = |(user, person): &(&UserId, &LoggedPerson)| {
                person.is_in == Some(true) && sound.binary_search(user).is_err()
            };
            for (user, _) in seen.users.iter().filter(is_missing) {
                self.fault(format!("{user} is a member by the log, and has no sound row"));
            }
        }
        Ok(())
    }

    /// How far a member has read and received.
    fn marks(&mut self, user: &UserId, member: &MemberState) -> Result<()> {
        let state = &self.row.state;
        let (head, before) = (state.head, state.first.saturating_sub(1));
        if !(before..=head).contains(&member.read) {
            let read = member.read;
            self.fault(format!("{user} has read up to {read}, which is not within the log"));
        } else {
            let messages = if member.read == before {
                Some(state.first_messages)
            } else {
                self.db
                    .prepare_cached("SELECT messages FROM entries WHERE room = ?1 AND seq = ?2")?
                    .query_row(params![self.row.id, member.read as i64], |row| unsigned(row, 0))
                    .optional()?
            };
            if let Some(messages) = messages
                && messages != member.read_messages
            {
                let says = member.read_messages;
                self.fault(format!("{user} has read {messages} messages, and the row says {says}"));
            }
            if let Some(seen) = self.seen.filter(|seen| seen.is_whole) {
                let read = seen.deleted.partition_point(|seq| *seq <= member.read);
                let unread = (seen.deleted.len() - read) as u64;
                if unread != member.deleted_unread {
                    let says = member.deleted_unread;
                    self.fault(format!(
                        "{unread} messages that {user} has not read are deleted, and the row says {says}"
                    ));
                }
            }
        }
        if member.delivered > head {
            let delivered = member.delivered;
            self.fault(format!("{user} has received up to {delivered}, beyond the log"));
        }
        Ok(())
    }

    /// When a member came, and whether they wrote since.
    fn by_the_log(&mut self, user: &UserId, member: &MemberState) {
        let Some(seen) = self.seen.filter(|seen| seen.is_whole) else { return };
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
        let has_written = member.has_written;
        if !is_right {
            self.fault(format!("{user} came by entry {joined}, which the log does not say"));
        } else if person.wrote != has_written && (is_kept || person.wrote) {
            self.fault(format!("the row of {user} does not say right whether they wrote"));
        }
    }

    /// A direct message has its two members, or one who writes to themselves.
    fn two(&mut self, found: &[UserId]) {
        let name = self.row.state.room.clone();
        let ids = name.as_str().split(':').skip(1).map(UserId::parse);
        let Ok(ids) = ids.collect::<std::result::Result<Vec<_>, _>>() else {
            return self.fault("its name is not one of two users".into());
        };
        let [one, other] = ids.as_slice() else {
            return self.fault("its name is not one of two users".into());
        };
        if RoomId::direct(one, other) != name {
            self.fault("its name does not have its users in order".into());
        }
        let are_right = found.len() == if one == other { 1 } else { 2 }
            && found.iter().all(|user| user == one || user == other);
        if !are_right && !self.row.state.is_ended {
            self.fault("its members are not the two of its name".into());
        }
    }

    /// Invitations or bans, of whom no other table has a row.
    fn permits(&mut self, what: &str, table: &str, others: &[&str]) -> Result<()> {
        each(self.db, &permits::select(table), [self.row.id], |found| {
            self.rows += 1;
            let read = check(found, 2, "").and_then(|()| user_of(found, 0));
            let name = || format!("{what} of {}", shown(found, 0));
            let sound = self.checker.sound(Some(&self.row.state.room), read, name)?;
            let Some(user) = sound else { return Ok(()) };
            if user_of(found, 1).is_err() {
                let by = shown(found, 1);
                self.fault(format!("{what} of {user} is by {by}, which is no user's id"));
            }
            let mut is_of_other = false;
            for other in others {
                let sql = format!("SELECT 1 FROM {other} WHERE room = ?1 AND user = ?2");
                let key = params![self.row.id, user.as_str()];
                is_of_other |= self.db.prepare_cached(&sql)?.exists(key)?;
            }
            if is_of_other {
                self.fault(format!("there is {what} of {user}, who is a member or invited"));
            }
            Ok(())
        })
    }

    /// What the room's row says of its people.
    fn room(&mut self) {
        let state = &self.row.state;
        let (says, rows) = (self.row.people, self.rows);
        let is_direct = state.room.is_direct();
        let owner = state.owner.clone();
        if says != rows {
            self.fault(format!(
                "there are {rows} rows of members, invitations and bans, and the room says {says}"
            ));
        }
        if !is_short(&state.title) {
            self.fault("its title is too long".into());
        }
        if state.is_ended {
            if rows > 0 || owner.is_some() || !state.title.is_empty() {
                self.fault("it has ended, and has a title, an owner or people".into());
            }
            return;
        }
        match owner {
            Some(owner) if is_direct => {
                self.fault(format!("it is one of direct messages, and {owner} is its owner"));
            }
            Some(owner) if !self.owner_is_in => {
                self.fault(format!("its owner {owner} is no member, or their row is damaged"));
            }
            None if !is_direct && self.members > 0 => {
                self.fault("it has members and no owner".into());
            }
            _ => {}
        }
        if is_direct && (state.is_open || !state.title.is_empty()) {
            self.fault("it is one of direct messages, and is open or has a title".into());
        }
    }
}
