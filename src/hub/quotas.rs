//! How many connections, rooms and subscriptions a user may have: as many as all, or by an exception of their own.

use super::hub::Hub;
use super::user::UserIx;
use crate::base::{ConnId, Limits, UserId};

/// What a user may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// Connections at one time.
    pub connections: u32,
    /// Rooms that they created or joined.
    pub rooms: u32,
    /// Rooms of direct messages in which they wrote.
    pub direct_rooms: u32,
    /// Streams that each of their connections watches.
    pub subscriptions: u32,
}

impl From<&Limits> for Quotas {
    fn from(limits: &Limits) -> Quotas {
        Quotas {
            connections: limits.connections_per_user,
            rooms: limits.rooms,
            direct_rooms: limits.direct_rooms,
            subscriptions: limits.subscriptions,
        }
    }
}

impl Hub {
    /// Lets other quotas hold for a user than for all, until they are set again or the user's last
    /// connection is over; `None` for those of all. Returns what was set before. Whoever sets them for
    /// somebody who has no connection and will have none sets them back.
    pub fn set_quotas(&mut self, user: &UserId, quotas: Option<Quotas>) -> Option<Quotas> {
        match quotas {
            Some(quotas) => self.quotas.insert(user.clone(), quotas),
            None => self.quotas.remove(user),
        }
    }

    pub(super) fn quotas_of(&self, user: &UserId) -> Quotas {
        self.quotas.get(user).copied().unwrap_or(self.settings.quotas)
    }

    /// How many streams a connection may watch; it need not be a user's.
    pub(super) fn subscriptions_on(&self, conn: ConnId) -> usize {
        let quotas = self.user_on(conn).map_or(self.settings.quotas, |user| self.quotas_of(user));
        quotas.subscriptions as usize
    }

    /// A user has no connection any more, or has got none: then an exception ends.
    pub(super) fn forget_quotas(&mut self, ix: UserIx) {
        let user = &self.users[ix];
        if !user.is_online() && !self.quotas.is_empty() {
            self.quotas.remove(&user.id);
        }
    }
}
