//! Counts of what the hub holds.

use super::hub::Hub;

/// Counts for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HubCounts {
    /// Connections whose user is known.
    pub connections: usize,
    /// Users who are online.
    pub online: usize,
    /// Rooms.
    pub rooms: usize,
    /// Pairs of a connection and a room whose cursor is behind.
    pub behind: usize,
    /// Streams.
    pub streams: usize,
    /// Subscriptions of all connections together.
    pub subscriptions: usize,
    /// Events that streams dropped for their bytes, not for their number.
    pub cut_events: u64,
}

/// Counts of all that a hub holds. Anything left after all users have gone is a leak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Users who are online, or members or invited somewhere.
    pub users: usize,
    /// Connections.
    pub connections: usize,
    /// Rooms, including ended ones whose logs are still on disk.
    pub rooms: usize,
    /// Members of all rooms.
    pub members: usize,
    /// Cursors in all rooms.
    pub followers: usize,
    /// Pairs of a connection and a room whose cursor is behind.
    pub behind: usize,
    /// Requests that wait for the store.
    pub pending: usize,
    /// Rooms and users for which limits count what is in flight, at all hubs of the store.
    pub reserved: usize,
    /// Invitations and bans.
    pub permits: usize,
    /// Users who are typing, per room.
    pub typing: usize,
    /// Subscriptions to streams.
    pub subscriptions: usize,
    /// Other state of subscriptions: filters, watching connections, rates.
    pub of_subscriptions: usize,
}

impl Hub {
    /// Counts for metrics, without walking the state.
    #[must_use]
    pub fn counts(&self) -> HubCounts {
        let of_streams = self.streams.lock();
        let (streams, subscriptions) = of_streams.counts();
        HubCounts {
            connections: self.connected,
            online: self.presence.online.len(),
            rooms: self.live_rooms,
            behind: self.behind,
            streams,
            subscriptions,
            cut_events: of_streams.cut_events(),
        }
    }

    /// Counts everything by walking the state.
    #[must_use]
    pub fn census(&self) -> Census {
        let (subscriptions, of_subscriptions) = self.streams.lock().census();
        let mut census = Census {
            subscriptions,
            of_subscriptions,
            users: self.users.len(),
            rooms: self.rooms.len(),
            pending: self.pending.len(),
            reserved: self.common.lock().len(),
            ..Census::default()
        };
        for (_, connection) in self.connections.following(None) {
            census.connections += 1;
            census.behind += connection.behind.as_ref().map_or(0, |behind| behind.len());
        }
        for (_, room) in &self.rooms {
            census.members += room.members.len();
            census.followers += room.followers.len();
            census.typing += room.typing.len();
            if let Some(permits) = &room.permits {
                census.permits += permits.invites.len() + permits.bans.len();
            }
        }
        census
    }
}
