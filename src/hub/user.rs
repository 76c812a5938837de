//! A user: their connections, their rooms, and what was announced of them.

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
    /// If there are names of theirs that this hub has decided and that are in flight.
    pub(super) pending_names: Option<Box<PendingNames>>,
    /// At how many other hubs they have connections.
    pub(super) elsewhere: u16,
    pub(super) conns: SmallList<ConnId>,
    pub(super) rooms: SmallList<super::room::RoomIx>,
    /// Rooms that they created or joined themselves.
    pub(super) own_rooms: u32,
    /// Direct rooms in which they wrote.
    pub(super) direct_rooms: u32,
    /// Rooms to which others added them, except direct rooms.
    pub(super) added_rooms: u32,
    pub(super) invites: SmallList<super::room::RoomIx>,
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

/// A user's names in flight.
#[derive(Debug, Default)]
pub(super) struct PendingNames {
    count: u16,
    /// The one that was stored meanwhile.
    stored: Option<Arc<str>>,
}

impl User {
    /// Gives them another name, which goes to the store.
    pub(super) fn rename(&mut self, name: Arc<str>) {
        self.name = Some(name);
        let pending = self.pending_names.get_or_insert_default();
        pending.count = pending.count.saturating_add(1);
    }

    /// A name of theirs has come back from the store. If that was the last one, what was stored
    /// meanwhile holds.
    pub(super) fn name_returned(&mut self) {
        let Some(pending) = &mut self.pending_names else { return };
        pending.count = pending.count.saturating_sub(1);
        if pending.count == 0 {
            let pending = self.pending_names.take();
            if let Some(stored) = pending.and_then(|pending| pending.stored) {
                self.name = Some(stored);
            }
        }
    }

    /// A name of theirs is stored. A newer one may be on its way.
    pub(super) fn name_stored(&mut self, name: Arc<str>) {
        match &mut self.pending_names {
            Some(pending) => pending.stored = Some(name),
            None => self.name = Some(name),
        }
    }

    pub(super) fn new(id: UserId) -> User {
        User {
            id,
            name: None,
            pending_names: None,
            elsewhere: 0,
            conns: SmallList::new(),
            rooms: SmallList::new(),
            own_rooms: 0,
            direct_rooms: 0,
            added_rooms: 0,
            invites: SmallList::new(),
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
            && self.invites.as_slice().is_empty()
            && !self.is_announced
            && !self.is_changed
            && self.grace == Moment::NEVER
    }
}
