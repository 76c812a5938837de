//! The ends of memberships and rooms. An end is in force as soon as it is decided: nothing more is
//! delivered. If the store cannot write it, the end is undone and delivery continues where it
//! stopped.

use super::cursor::Cursor;
use super::hub::Hub;
use super::manage::{Progress, Reason};
use super::pending::Write;
use super::request::Requester;
use super::room::{Life, Member, RoomIx};
use crate::base::{ConnId, Effect, Effects, Notice, Record, RoomId, UserId};

impl Hub {
    /// Ends a membership. It is in force at once: the member's connections get nothing more of the
    /// room, unless the store cannot write the end.
    pub(super) fn end_membership(
        &mut self,
        asker: &Requester,
        room: RoomIx,
        user: UserId,
        reason: Reason,
        effects: &mut Effects,
    ) -> Progress {
        self.halt_member(room, &user);
        if let Some(member) = self.rooms[room].members.get_mut(&user) {
            member.endings += 1;
        }
        let (name, of, by) = (self.rooms[room].name.clone(), user.clone(), asker.authority());
        let record = match reason {
            Reason::Banned => Record::Ban { room: name, user: of, by },
            _ => {
                let by = (reason != Reason::Left).then_some(by);
                Record::Leave { room: name, user: of, by }
            }
        };
        self.persist(asker, record, Write::Leave { room, user, reason }, true, effects)
    }

    /// Delivers nothing more of a room to a member's connections.
    pub(super) fn halt_member(&mut self, room: RoomIx, user: &UserId) {
        for conn in self.connections_of(user).to_vec() {
            self.halt(conn, room);
        }
    }

    /// A membership has ended.
    pub(super) fn membership_ended(
        &mut self,
        room: RoomIx,
        user: &UserId,
        by: Option<UserId>,
        reason: Reason,
        effects: &mut Effects,
    ) {
        let Some(member) = self.rooms[room].members.remove(user) else { return };
        self.stop_typing(room, member.user, effects);
        let conns = self.connections_of(user).to_vec();
        for &conn in &conns {
            self.cut_off(conn, room, effects);
        }
        let name = self.rooms[room].name.clone();
        let notice = Notice::Removed { room: name, by, reason: reason.as_str() };
        effects.deliver(notice, conns);
        self.no_member_of(room, &member);
        let mut members = self.rooms[room].members.values();
        if member.is_own && !members.any(|member| member.is_own) {
            self.left_rooms.add(room, user.clone());
        }
    }

    /// The store could not write the end: the membership continues where it was.
    pub(super) fn stays(&mut self, room: RoomIx, user: &UserId, effects: &mut Effects) {
        if let Some(member) = self.rooms[room].members.get_mut(user) {
            member.endings = member.endings.saturating_sub(1);
        }
        for conn in self.connections_of(user).to_vec() {
            self.resume_cursor(conn, room, effects);
        }
        self.end_misinformed(room, user, effects);
    }

    /// Ends a room. It is in force at once, as [`Hub::end_membership`] for all members.
    pub(super) fn end_room(
        &mut self,
        asker: &Requester,
        name: &RoomId,
        effects: &mut Effects,
    ) -> Progress {
        let (room, of_room) = self.managed_room(asker, name)?;
        let followers: Vec<ConnId> = of_room.followers.keys().copied().collect();
        for conn in followers {
            self.halt(conn, room);
        }
        self.rooms[room].life = Life::Ending;
        let record = Record::End { room: name.clone(), by: asker.authority() };
        let write = Write::End { room, name: name.clone() };
        self.persist(asker, record, write, true, effects)
    }

    /// The store did not write the end of a room: it goes on where it was.
    pub(super) fn goes_on(&mut self, room: RoomIx, effects: &mut Effects) {
        let of_room = &mut self.rooms[room];
        // Another end may have been written.
        if of_room.life != Life::Ending {
            return;
        }
        of_room.life = Life::Live;
        let members: Vec<UserId> = of_room.members.keys().cloned().collect();
        let followers: Vec<ConnId> = of_room.followers.keys().copied().collect();
        for conn in followers {
            self.resume_cursor(conn, room, effects);
        }
        for member in members {
            self.end_misinformed(room, &member, effects);
        }
    }

    /// A room has ended.
    pub(super) fn ended(&mut self, room: RoomIx, by: Option<UserId>, effects: &mut Effects) {
        let members: Vec<UserId> = self.rooms[room].members.keys().cloned().collect();
        // Not only those that follow: one that does not may still have entries of it queued.
        for member in &members {
            for conn in self.connections_of(member).to_vec() {
                self.cut_off(conn, room, effects);
            }
        }
        let of_room = &mut self.rooms[room];
        let name = of_room.name.clone();
        let (members, permits) = of_room.end();
        self.live_rooms -= 1;
        self.left_rooms.remove(room);
        self.open_rooms.remove(&name);
        let invited: Vec<UserId> =
            permits.into_iter().flat_map(|permits| permits.invites.into_keys()).collect();
        let told = members.keys().chain(&invited).flat_map(|user| self.connections_of(user));
        let told: Vec<ConnId> = told.copied().collect();
        let notice = Notice::Removed { room: name.clone(), by, reason: Reason::Deleted.as_str() };
        effects.deliver(notice, told);
        for member in members.into_values() {
            self.no_member_of(room, &member);
        }
        for user in invited {
            self.take_from(&user, |user| user.drop_invite(room));
        }
        self.trim_later(room);
        self.forget_ended_room(room, effects);
        self.trim_due(effects);
    }

    /// Takes a room from a connection, for good.
    fn cut_off(&mut self, conn: ConnId, room: RoomIx, effects: &mut Effects) {
        self.drop_unsent_update(conn, room);
        self.rooms[room].followers.remove(&conn);
        self.drop_behind(conn, room);
        // What is queued is theirs no more, either.
        effects.push(Effect::TakeBack { conn, source: room.0 });
    }

    /// Removes a room from a member's user.
    fn no_member_of(&mut self, room: RoomIx, member: &Member) {
        let of_user = &mut self.users[member.user];
        of_user.rooms.retain(|one| *one != room);
        of_user.own_rooms -= u32::from(member.is_own);
        // Direct rooms do not end.
        of_user.added_rooms -= u32::from(!member.is_own);
        self.member_left(room, member.user);
        self.forget_if_unneeded(member.user);
    }

    /// Stops following a room that the user is leaving, as the connection is told now that they are
    /// no member. If the end fails, the connection is closed.
    pub(super) fn unfollow_leaving(&mut self, conn: ConnId, room: RoomIx) {
        if let Some(Cursor::Leaving { .. }) = self.cursor(conn, room) {
            self.rooms[room].followers.remove(&conn);
            self.drop_unsent_update(conn, room);
        }
    }

    /// Closes connections that do not follow the room, as they opened, resumed, listed their rooms or
    /// might not join it again while the membership was to end: nothing would tell them of it.
    fn end_misinformed(&mut self, room: RoomIx, user: &UserId, effects: &mut Effects) {
        let of_room = &self.rooms[room];
        // Another end may be in flight.
        if of_room.member(user).is_none() {
            return;
        }
        for &conn in self.connections_of(user) {
            if !of_room.followers.contains_key(&conn) {
                effects.push(Effect::StaleMembership { conn });
            }
        }
    }
}
