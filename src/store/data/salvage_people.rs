//! Keeps what is sound of the people of a room of a damaged store.

use super::check::shown;
use super::readable_rows::{Sql, if_readable};
use super::salvage::{Salvage, SalvagedRoom};
use crate::base::{EntryKind, MemberState, UserId};
use crate::store::permits::{self, BANS, INVITES};
use crate::store::rows::{MEMBERS_OF_ROOM, each, member, save_member, user_of};
use crate::store::sums::check;
use std::collections::BTreeMap;

impl Salvage<'_> {
    /// Keeps members, invitations and bans with undamaged rows, and members of whom the log says
    /// so.
    pub(super) fn people(&mut self, room: &mut SalvagedRoom) -> Sql<()> {
        let name = room.row.state.room.clone();
        let (mut members, mut damaged) = (BTreeMap::new(), Vec::new());
        let read = each(self.old, MEMBERS_OF_ROOM, [room.old_id], |row| {
            let read = member(row).and_then(|state| Ok((user_of(row, 1)?, state)));
            match if_readable(read)? {
                Some((user, state)) => drop(members.insert(user, state)),
                None => damaged.push(shown(row, 1)),
            }
            Ok(())
        });
        if if_readable(read)?.is_none() {
            self.lost(Some(&name), "some of its members cannot be read".into());
        }
        if name.is_direct() {
            for user in name.as_str().split(':').skip(1).filter_map(|id| UserId::parse(id).ok()) {
                members.entry(user).or_default();
            }
        } else {
            self.by_the_log(room, &mut members, &damaged);
        }
        for (user, mut state) in members.clone() {
            room.set_marks(self.new, &user, &mut state)?;
            save_member(self.new, room.row.id, &user, &state)?;
        }
        let longest = members.iter().min_by_key(|(_, state)| state.joined);
        let owner = &mut room.row.state.owner;
        if !owner.as_ref().is_some_and(|owner| members.contains_key(owner)) {
            let heir = longest.map(|(user, _)| user.clone());
            *owner = heir.filter(|_| !name.is_direct());
        }
        self.permits(room, &members)
    }

    /// Brings members and log together. The rows are the newest state; for damaged rows the log is
    /// used.
    fn by_the_log(
        &mut self,
        room: &mut SalvagedRoom,
        members: &mut BTreeMap<UserId, MemberState>,
        damaged: &[String],
    ) {
        let name = room.row.state.room.clone();
        let of_log = |room: &SalvagedRoom, user: &UserId| {
            let person = room.seen.users.get(user);
            person.filter(|person| person.is_in == Some(true)).and_then(|person| person.joined)
        };
        let end = room.end;
        for (user, state) in members.iter_mut().filter(|(_, state)| state.joined > end) {
            state.joined = match of_log(room, user) {
                Some(joined) => joined,
                // The entry by which they came is lost.
                None => room.write_again(EntryKind::Joined { user: user.clone(), by: None }) as u64,
            };
        }
        let users: Vec<UserId> = room.seen.users.keys().cloned().collect();
        for user in users {
            let joined = of_log(room, &user).filter(|_| !members.contains_key(&user));
            let Some(joined) = joined else { continue };
            if room.is_tail_whole || damaged.iter().any(|one| one == user.as_str()) {
                self.lost(Some(&name), format!("how far {user} has read is lost"));
                let state = MemberState { joined, read: joined, ..MemberState::default() };
                members.insert(user, state);
            } else {
                // The entry by which they went is lost.
                room.write_again(EntryKind::Left { user, by: None });
            }
        }
        for user in damaged.iter().filter(|user| !members.contains_key(user.as_str())) {
            self.lost(Some(&name), format!("the membership of {user} is lost"));
        }
    }

    fn permits(&mut self, room: &SalvagedRoom, members: &BTreeMap<UserId, MemberState>) -> Sql<()> {
        let mut lost = Vec::new();
        for (what, table) in [("invitation", INVITES), ("ban", BANS)] {
            let read = each(self.old, &permits::select(table), [room.old_id], |row| {
                let read =
                    check(row, 2, "").and_then(|()| Ok((user_of(row, 0)?, user_of(row, 1)?)));
                match if_readable(read)? {
                    Some((user, _)) if members.contains_key(&user) => Ok(()),
                    Some((user, by)) => {
                        permits::write(self.new, table, room.row.id, user.as_str(), by.as_str())
                    }
                    None => {
                        lost.push(format!("the {what} of {} is lost", shown(row, 0)));
                        Ok(())
                    }
                }
            });
            if if_readable(read)?.is_none() {
                lost.push(format!("some {what}s cannot be read"));
            }
        }
        for what in lost {
            self.lost(Some(&room.row.state.room), what);
        }
        Ok(())
    }
}
