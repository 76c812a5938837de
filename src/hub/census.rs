//! How much there is.

use super::hub::Hub;

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HubCounts {
    /// Connections that have said whose they are.
    pub connections: usize,
    /// Users who are online.
    pub online: usize,
    /// Rooms.
    pub rooms: usize,
    /// Rooms in which cursors of connections are behind.
    pub behind: usize,
    /// Streams.
    pub streams: usize,
    /// How many streams the connections watch, all together.
    pub subscriptions: usize,
    /// Events that streams have let go of for their bytes, not for their number.
    pub cut_events: u64,
}

/// All that a hub holds, by its kinds: what stays when everybody has gone is a leak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Users who are online, or members or invited somewhere.
    pub users: usize,
    /// Connections.
    pub connections: usize,
    /// Rooms, also those that have ended and whose logs are still on disk.
    pub rooms: usize,
    /// Members of all rooms.
    pub members: usize,
    /// Cursors in all rooms.
    pub followers: usize,
    /// Rooms in which cursors of connections are behind.
    pub behind: usize,
    /// Requests that wait for the store.
    pub pending: usize,
    /// Invitations and bans.
    pub permits: usize,
    /// Whoever is typing.
    pub typing: usize,
    /// Subscriptions to streams.
    pub subscriptions: usize,
    /// What else is remembered for them: filters, connections that watch, rates that hold back.
    pub of_subscriptions: usize,
}

impl Hub {
    /// How much there is.
    #[must_use]
    pub fn counts(&self) -> HubCounts {
        let (streams, subscriptions) = self.streams.counts();
        HubCounts {
            connections: self.connected,
            online: self.presence.online.len(),
            rooms: self.live_rooms,
            behind: self.behind,
            streams,
            subscriptions,
            cut_events: self.streams.cut_events(),
        }
    }

    /// All that there is, counted through.
    #[must_use]
    pub fn census(&self) -> Census {
        let (subscriptions, of_subscriptions) = self.streams.census();
        let mut census = Census {
            subscriptions,
            of_subscriptions,
            users: self.users.len().max(self.user_by_id.len()),
            rooms: self.rooms.len(),
            pending: self.pending.len(),
            ..Census::default()
        };
        for connection in self.connections.iter().flatten() {
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
