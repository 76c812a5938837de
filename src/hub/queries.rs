//! What the server reads from the hub, for its pushes, lists for admins, and answers.

use super::hub::Hub;
use super::user::UserIx;
use crate::base::answer::PresenceInfo;
use crate::base::table::following;
use crate::base::{ConnId, RoomId, UserId};

impl Hub {
    /// A user's display name, if it differs from their id.
    #[must_use]
    pub fn name_of(&self, user: &UserId) -> Option<&str> {
        self.user(user)?.name.as_deref()
    }

    /// A user's id as the hub holds it, if it knows them.
    #[must_use]
    pub fn id_of(&self, user: &UserId) -> Option<&UserId> {
        self.user(user).map(|user| &user.id)
    }

    /// The connections of a user.
    #[must_use]
    pub fn connections_of(&self, user: &UserId) -> &[ConnId] {
        self.user(user).map_or(&[], |user| user.conns.as_slice())
    }

    /// All connections whose user is known.
    pub fn all_connections(&self) -> impl Iterator<Item = ConnId> {
        self.connections.following(None).map(|(conn, _)| conn)
    }

    /// The connections that follow a room; `None` if there is no such room.
    pub fn followers_of(&self, room: &RoomId) -> Option<impl Iterator<Item = ConnId>> {
        self.room(room).map(|(_, room)| room.followers.keys().copied())
    }

    /// Whether there is such a room.
    #[must_use]
    pub fn has_room(&self, room: &RoomId) -> bool {
        self.room(room).is_some()
    }

    /// The user of a connection.
    #[must_use]
    pub fn user_on(&self, conn: ConnId) -> Option<&UserId> {
        self.connections.get(conn).map(|connection| &self.users[connection.user].id)
    }

    /// The users who are online, in the order of ids, and whether there are more than `limit`. The
    /// presence scope does not apply.
    #[must_use]
    pub fn online(&self, after: Option<&UserId>, limit: usize) -> (Vec<PresenceInfo>, bool) {
        let limit = limit.min(self.settings.limits.page as usize);
        let mut found = following(&self.presence.online, after);
        let users = found.by_ref().take(limit).map(|(_, ix)| self.presence_of(*ix)).collect();
        (users, found.next().is_some())
    }

    /// A user who is online, or whom the hub knows as a member or by an invitation.
    #[must_use]
    pub fn known_user(&self, user: &UserId) -> Option<PresenceInfo> {
        self.users.ix(user).map(|ix| self.presence_of(ix))
    }

    pub(super) fn presence_of(&self, ix: UserIx) -> PresenceInfo {
        let user = &self.users[ix];
        PresenceInfo {
            user: user.id.clone(),
            name: user.name.clone(),
            connections: self.connections_everywhere(&user.id),
            since: user.since,
        }
    }
}
