//! A room's properties: its title, whether it is open, its owner. Every connection of every member
//! receives each change, or the newest one as soon as it may be told and has room.

use super::hub::Hub;
use super::manage::Progress;
use super::pending::Write;
use super::request::Requester;
use super::room::RoomIx;
use crate::base::{ConnId, Effects, Notice, Record, Refusal, RefusalCode, RoomId, UserId};
use std::sync::Arc;

impl Hub {
    pub(super) fn update(
        &mut self,
        asker: &Requester,
        name: &RoomId,
        title: Option<Arc<str>>,
        open: Option<bool>,
        owner: Option<UserId>,
        effects: &mut Effects,
    ) -> Progress {
        let (room, of_room) = self.managed_room(asker, name)?;
        if let Some(owner) = &owner
            && of_room.member(owner).is_none()
        {
            let message = "the new owner is no member of this room";
            return Err(Refusal {
                field: Some("owner".into()),
                ..Refusal::new(RefusalCode::NoSuchUser, message)
            });
        }
        let by = asker.authority();
        let record = Record::Update { room: name.clone(), title, open, owner, by };
        self.persist(asker, record, Write::Update { room }, true, effects)
    }

    /// A room's properties have changed.
    pub(super) fn updated(
        &mut self,
        room: RoomIx,
        (title, is_open, owner): (Arc<str>, bool, Option<UserId>),
        by: Option<UserId>,
        effects: &mut Effects,
    ) {
        let of_room = &mut self.rooms[room];
        (of_room.title, of_room.is_open, of_room.owner) = (title, is_open, owner);
        let name = of_room.name.clone();
        if is_open {
            self.open_rooms.insert(name, room);
        } else {
            self.open_rooms.remove(&name);
        }
        self.tell_update(room, by, effects);
    }

    /// Tells followers a room's properties, and remembers those who may not be told yet.
    fn tell_update(&mut self, room: RoomIx, by: Option<UserId>, effects: &mut Effects) {
        let of_room = &self.rooms[room];
        effects.deliver(self.update_notice(room, by), of_room.audience());
        let others = of_room.followers.iter().filter(|(_, cursor)| !cursor.is_told());
        for conn in others.map(|(conn, _)| *conn).collect::<Vec<ConnId>>() {
            self.update_missed(conn, room);
        }
    }

    fn update_notice(&self, room: RoomIx, by: Option<UserId>) -> Notice {
        let of_room = &self.rooms[room];
        Notice::Updated {
            room: of_room.name.clone(),
            title: Arc::clone(&of_room.title),
            open: of_room.is_open,
            owner: of_room.owner.clone(),
            by,
            source: room.0,
        }
    }

    /// A connection has missed an update: its outbox was full, or it may not be told yet.
    pub(super) fn update_missed(&mut self, conn: ConnId, room: RoomIx) {
        if self.cursor(conn, room).is_none() {
            return;
        }
        if let Some(connection) = self.connections.get_mut(conn) {
            let rooms = connection.unsent_updates.get_or_insert_default();
            if !rooms.contains(&room) {
                rooms.push(room);
            }
        }
    }

    /// Sends a connection the updates that it missed, for rooms of which it may be told now.
    pub(super) fn tell_missed_updates(&mut self, conn: ConnId, effects: &mut Effects) {
        let rooms =
            self.connections.get_mut(conn).and_then(|connection| connection.unsent_updates.take());
        let Some(mut rooms) = rooms else { return };
        rooms.retain(|room| match self.cursor(conn, *room) {
            Some(cursor) if cursor.is_told() => {
                effects.deliver(self.update_notice(*room, None), [conn]);
                false
            }
            cursor => cursor.is_some(),
        });
        if let Some(connection) = self.connections.get_mut(conn) {
            connection.unsent_updates = (!rooms.is_empty()).then_some(rooms);
        }
    }

    pub(super) fn drop_unsent_update(&mut self, conn: ConnId, room: RoomIx) {
        if let Some(connection) = self.connections.get_mut(conn)
            && let Some(rooms) = &mut connection.unsent_updates
        {
            rooms.retain(|one| *one != room);
            if rooms.is_empty() {
                connection.unsent_updates = None;
            }
        }
    }
}
