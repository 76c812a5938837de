//! A user: their connections, their rooms, and what was announced of them.

use super::room::RoomIx;
use crate::base::table::index_in_slab;
use crate::base::{ConnId, Moment, SmallList, Timestamp, UserId};
use std::sync::Arc;

index_in_slab!(pub(super) UserIx, User);

/// A user who is online, or is a member of a room or invited to one.
#[derive(Debug)]
pub(super) struct User {
    pub(super) id: UserId,
    /// Their display name, if it differs from their id.
    pub(super) name: Option<Arc<str>>,
    /// At how many other hubs they have connections.
    pub(super) elsewhere: u16,
    pub(super) conns: SmallList<ConnId>,
    pub(super) rooms: SmallList<RoomIx>,
    /// Rooms that they created or joined themselves.
    pub(super) own_rooms: u32,
    /// Direct rooms in which they wrote.
    pub(super) direct_rooms: u32,
    /// Rooms to which others added them, except direct rooms.
    pub(super) added_rooms: u32,
    /// Most users have none of it.
    seldom: Option<Box<SeldomOfUser>>,
    /// When they came online.
    pub(super) since: Timestamp,
    /// What others were told last.
    pub(super) is_announced: bool,
    /// They are in the list of changes.
    pub(super) is_changed: bool,
    /// The count of presence lists when they last came or went. If someone has listed since, they
    /// are announced even if nothing differs: a list may have shown a momentary state.
    pub(super) lists_before: u64,
    /// Until when their going is not told; [`Moment::NEVER`] while online, or once told.
    pub(super) grace: Moment,
}

#[derive(Debug, Default)]
struct SeldomOfUser {
    /// Closed rooms to which they are invited.
    invites: SmallList<RoomIx>,
    /// How many names of theirs this hub has decided that are in flight.
    names_in_flight: u16,
    /// The one that was stored meanwhile.
    stored_name: Option<Arc<str>>,
}

impl User {
    /// Gives them another name, which goes to the store.
    pub(super) fn rename(&mut self, name: Arc<str>) {
        self.name = Some(name);
        let seldom = self.seldom.get_or_insert_default();
        seldom.names_in_flight = seldom.names_in_flight.saturating_add(1);
    }

    /// A name of theirs has come back from the store. If that was the last one, what was stored
    /// meanwhile holds.
    pub(super) fn name_returned(&mut self) {
        let Some(seldom) = &mut self.seldom else { return };
        seldom.names_in_flight = seldom.names_in_flight.saturating_sub(1);
        if seldom.names_in_flight == 0 {
            let stored = seldom.stored_name.take();
            self.name = stored.or_else(|| self.name.take());
            self.drop_empty_seldom();
        }
    }

    /// A name of theirs is stored. A newer one may be on its way.
    pub(super) fn name_stored(&mut self, name: Arc<str>) {
        match self.seldom.as_mut().filter(|seldom| seldom.names_in_flight > 0) {
            Some(seldom) => seldom.stored_name = Some(name),
            None => self.name = Some(name),
        }
    }

    /// Closed rooms to which they are invited.
    pub(super) fn invites(&self) -> &[RoomIx] {
        self.seldom.as_ref().map_or(&[], |seldom| seldom.invites.as_slice())
    }

    pub(super) fn add_invite(&mut self, room: RoomIx) {
        let invites = &mut self.seldom.get_or_insert_default().invites;
        if !invites.as_slice().contains(&room) {
            invites.push(room);
        }
    }

    pub(super) fn drop_invite(&mut self, room: RoomIx) {
        if let Some(seldom) = &mut self.seldom {
            seldom.invites.retain(|one| *one != room);
            self.drop_empty_seldom();
        }
    }

    fn drop_empty_seldom(&mut self) {
        self.seldom
            .take_if(|seldom| seldom.invites.as_slice().is_empty() && seldom.names_in_flight == 0);
    }

    pub(super) fn new(id: UserId) -> User {
        User {
            id,
            name: None,
            elsewhere: 0,
            conns: SmallList::new(),
            rooms: SmallList::new(),
            own_rooms: 0,
            direct_rooms: 0,
            added_rooms: 0,
            seldom: None,
            since: Timestamp(0),
            is_announced: false,
            is_changed: false,
            lists_before: 0,
            grace: Moment::NEVER,
        }
    }

    pub(super) fn is_online(&self) -> bool {
        self.elsewhere > 0 || !self.conns.as_slice().is_empty()
    }

    /// Whether nothing needs this user to be remembered.
    pub(super) fn is_forgettable(&self) -> bool {
        !self.is_online()
            && self.rooms.as_slice().is_empty()
            && self.invites().is_empty()
            && !self.is_announced
            && !self.is_changed
            && self.grace == Moment::NEVER
    }
}
