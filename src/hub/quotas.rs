//! How many connections, rooms and subscriptions a user may have: the general limits, or an
//! exception of their own.

use super::hub::Hub;
use super::request::Requester;
use super::user::UserIx;
use crate::base::{ConnId, Limits, UserId};

/// What a user may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// Connections at one time.
    pub connections: u32,
    /// Rooms that they created or joined.
    pub rooms: u32,
    /// Direct rooms in which they wrote.
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
    /// Sets a user's own quotas, until they are set again or the user's last connection closes;
    /// `None` for the general ones.
    pub fn set_quotas(&mut self, user: &UserId, quotas: Option<Quotas>) {
        match quotas {
            Some(quotas) => self.quotas.insert(user.clone(), quotas),
            None => self.quotas.remove(user),
        };
    }

    /// The quotas for a request.
    pub(super) fn quotas_for(&self, asker: &Requester) -> Quotas {
        match asker.quotas {
            Some(quotas) => quotas,
            None if asker.origin.conn().is_none() && !asker.is_program => {
                Quotas::from(&self.settings.limits)
            }
            None => self.quotas_of(&asker.user),
        }
    }

    pub(super) fn quotas_of(&self, user: &UserId) -> Quotas {
        self.quotas.get(user).copied().unwrap_or(Quotas::from(&self.settings.limits))
    }

    /// How many streams a connection may watch. It need not belong to a user.
    pub(super) fn subscriptions_on(&self, conn: ConnId) -> usize {
        let own = self.user_on(conn).and_then(|user| self.quotas.get(user));
        own.map_or(self.settings.limits.subscriptions, |own| own.subscriptions) as usize
    }

    /// Removes an exception: the user has no connection any more, or was refused one.
    pub(super) fn forget_quotas(&mut self, ix: UserIx) {
        let user = &self.users[ix];
        if user.conns.as_slice().is_empty() && !self.quotas.is_empty() {
            self.quotas.remove(&user.id);
        }
    }
}
