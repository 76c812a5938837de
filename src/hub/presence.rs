//! Who is online, told as changes. However many changes there were in a window, there is at most
//! one list of those who came and one of those who went, or only a count where they are many.

use super::hub::Hub;
use super::room::RoomIx;
use super::user::UserIx;
use crate::base::limits::PRESENCE_WINDOW_MS_MAX;
use crate::base::{ConnId, Effect, Effects, Moment, Notice, UserId};
use std::collections::{BTreeMap, BTreeSet};

/// Who is told who is online.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Everybody.
    #[default]
    Everyone,
    /// Users who share a room with them.
    Rooms,
    /// Nobody.
    Off,
}

impl Scope {
    /// All of them.
    pub const ALL: [Scope; 3] = [Scope::Everyone, Scope::Rooms, Scope::Off];

    /// Its name on the wire and in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Scope::Everyone => "everyone",
            Scope::Rooms => "rooms",
            Scope::Off => "off",
        }
    }
}

/// Presence state of no single user or room.
#[derive(Debug, Default)]
pub(super) struct Presence {
    /// Users with a connection, in the order of lists.
    pub(super) online: BTreeMap<UserId, UserIx>,
    /// Users who are part of the next announcement.
    changed: Vec<UserIx>,
    /// Users who have joined a room since, if the scope is rooms.
    joined: BTreeSet<(RoomIx, UserIx)>,
    /// Users who have gone, and when their grace ends.
    graced: BTreeSet<(Moment, UserIx)>,
    /// When the window of the changes closes.
    window_end: Option<Moment>,
    /// Of the last announcement.
    pub(super) version: u64,
    /// How often clients have listed who is online.
    pub(super) lists: u64,
    /// As announced.
    tally: Tally,
}

/// Users online in an audience, as announced.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    announced: usize,
    /// They are so many that only their number is told.
    is_counting: bool,
}

impl Presence {
    fn next_version(&mut self) -> u64 {
        self.version += 1;
        self.version
    }
}

enum AnnouncementForm {
    Lists,
    /// Only the number.
    Count,
    /// Lists are told again; clients must ask for them.
    Reset,
}

impl Tally {
    fn count(&mut self, is_online: bool) {
        self.announced =
            if is_online { self.announced + 1 } else { self.announced.saturating_sub(1) };
    }

    /// Chooses the form, with a margin against going back and forth.
    fn form(&mut self, people_max: usize) -> AnnouncementForm {
        let was_counting = self.is_counting;
        let back_below = people_max - people_max / 10;
        self.is_counting =
            if was_counting { self.announced >= back_below } else { self.announced > people_max };
        match (was_counting, self.is_counting) {
            (_, true) => AnnouncementForm::Count,
            (true, false) => AnnouncementForm::Reset,
            (false, false) => AnnouncementForm::Lists,
        }
    }
}

#[derive(Default)]
struct PresenceChanges {
    online: Vec<UserId>,
    offline: Vec<UserId>,
}

impl PresenceChanges {
    fn add(&mut self, user: &UserId, is_online: bool) {
        if is_online { &mut self.online } else { &mut self.offline }.push(user.clone());
    }
}

impl Hub {
    /// A user's first connection has opened, here or at another hub.
    pub(super) fn came_online(&mut self, ix: UserIx, effects: &mut Effects) {
        let user = &mut self.users[ix];
        user.since = effects.now.timestamp;
        self.presence.online.insert(user.id.clone(), ix);
        for room in user.rooms.as_slice() {
            self.rooms[*room].online.insert(user.id.clone(), ());
        }
        if user.grace != Moment::NEVER {
            self.presence.graced.remove(&(user.grace, ix));
            user.grace = Moment::NEVER;
        } else if !user.is_changed {
            user.lists_before = self.presence.lists;
        }
        // Back within the grace: nobody saw them go, unless someone listed meanwhile.
        if !user.is_announced || self.presence.lists > user.lists_before {
            self.mark_changed(ix, effects);
        }
    }

    /// A user's last connection has closed, wherever it was. It is told after the grace.
    pub(super) fn went_offline(&mut self, ix: UserIx, effects: &mut Effects) {
        for room in self.users[ix].rooms.as_slice().to_vec() {
            self.stop_typing(room, ix, effects);
        }
        let grace = effects.now.moment.plus_millis(self.settings.limits.presence_grace_ms);
        let user = &mut self.users[ix];
        self.presence.online.remove(&user.id);
        for room in user.rooms.as_slice() {
            self.rooms[*room].online.remove(&user.id);
        }
        if !user.is_changed {
            user.lists_before = self.presence.lists;
        }
        user.grace = grace;
        self.presence.graced.insert((grace, ix));
        effects.push(Effect::WakeAt(grace));
    }

    pub(super) fn member_joined(&mut self, room: RoomIx, ix: UserIx) {
        let user = &self.users[ix];
        let of_room = &mut self.rooms[room];
        if user.is_online() {
            of_room.online.insert(user.id.clone(), ());
        }
        if user.is_announced {
            of_room.tally.count(true);
        }
    }

    /// Tells a room's members that a new member is online.
    pub(super) fn tell_of_newcomer(&mut self, room: RoomIx, ix: UserIx, effects: &mut Effects) {
        if self.settings.presence == Scope::Rooms && self.users[ix].is_announced {
            self.presence.joined.insert((room, ix));
            self.open_window(effects);
        }
    }

    pub(super) fn member_left(&mut self, room: RoomIx, ix: UserIx) {
        let user = &self.users[ix];
        let of_room = &mut self.rooms[room];
        of_room.online.remove(&user.id);
        if user.is_announced {
            of_room.tally.count(false);
        }
        self.presence.joined.remove(&(room, ix));
    }

    fn mark_changed(&mut self, ix: UserIx, effects: &mut Effects) {
        let user = &mut self.users[ix];
        if std::mem::replace(&mut user.is_changed, true) {
            return;
        }
        self.presence.changed.push(ix);
        self.open_window(effects);
    }

    fn open_window(&mut self, effects: &mut Effects) {
        if self.presence.window_end.is_none() {
            let end = effects.now.moment.plus_millis(self.window_ms());
            self.presence.window_end = Some(end);
            effects.push(Effect::WakeAt(end));
        }
    }

    /// The window grows with the audience: an announcement costs a frame per connection.
    fn window_ms(&self) -> u64 {
        const AUDIENCE_PER_WINDOW: u64 = 100;
        let shortest = self.settings.limits.presence_window_ms;
        let grown = shortest.saturating_mul(self.connected as u64) / AUDIENCE_PER_WINDOW;
        grown.clamp(shortest, PRESENCE_WINDOW_MS_MAX.max(shortest))
    }

    /// Announces users whose grace is over, and changes whose window has closed.
    pub(super) fn presence_due(&mut self, effects: &mut Effects) {
        while let Some(&(grace, ix)) = self.presence.graced.first() {
            if grace > effects.now.moment {
                effects.push(Effect::WakeAt(grace));
                break;
            }
            self.presence.graced.pop_first();
            self.users[ix].grace = Moment::NEVER;
            self.mark_changed(ix, effects);
        }
        match self.presence.window_end {
            Some(end) if end <= effects.now.moment => self.announce(effects),
            Some(end) => effects.push(Effect::WakeAt(end)),
            None => {}
        }
    }

    fn announce(&mut self, effects: &mut Effects) {
        self.presence.window_end = None;
        let mut of_all = PresenceChanges::default();
        let mut of_rooms: BTreeMap<RoomIx, PresenceChanges> = BTreeMap::new();
        for (room, ix) in std::mem::take(&mut self.presence.joined) {
            let user = &self.users[ix];
            // Changed users are in the list below.
            if !user.is_changed && user.is_announced {
                of_rooms.entry(room).or_default().add(&user.id, true);
            }
        }
        for ix in std::mem::take(&mut self.presence.changed) {
            let user = &mut self.users[ix];
            user.is_changed = false;
            // Within the grace a user counts as online; their going is told at its end.
            let is_online = user.is_online() || user.grace != Moment::NEVER;
            let is_new = is_online != user.is_announced;
            // Someone may have listed a state that was true only for a moment.
            let is_told = is_new || self.presence.lists > user.lists_before;
            user.is_announced = is_online;
            if is_new {
                self.presence.tally.count(is_online);
                for room in user.rooms.as_slice() {
                    self.rooms[*room].tally.count(is_online);
                }
            }
            match self.settings.presence {
                Scope::Everyone if is_told => of_all.add(&user.id, is_online),
                Scope::Rooms if is_told => {
                    for room in user.rooms.as_slice() {
                        of_rooms.entry(*room).or_default().add(&user.id, is_online);
                    }
                }
                Scope::Everyone | Scope::Rooms | Scope::Off => {}
            }
            self.forget_if_unneeded(ix);
        }
        let people_max = self.settings.limits.presence_listed_people as usize;
        if self.settings.presence == Scope::Everyone {
            let audience: Vec<ConnId> = self.all_connections().collect();
            let form = self.presence.tally.form(people_max);
            let online = self.presence.tally.announced;
            self.tell_changes(None, of_all, form, online, &audience, effects);
        }
        for (room, changes) in of_rooms {
            let of_room = &mut self.rooms[room];
            let (form, online) = (of_room.tally.form(people_max), of_room.tally.announced);
            let audience: Vec<ConnId> = of_room.audience().collect();
            self.tell_changes(Some(room), changes, form, online, &audience, effects);
        }
    }

    fn tell_changes(
        &mut self,
        room: Option<RoomIx>,
        mut changes: PresenceChanges,
        form: AnnouncementForm,
        online: usize,
        audience: &[ConnId],
        effects: &mut Effects,
    ) {
        if changes.online.is_empty() && changes.offline.is_empty() {
            return;
        }
        let room = room.map(|room| (self.rooms[room].name.clone(), room.0));
        let mut tell = |notice: Notice| effects.deliver(notice, audience.iter().copied());
        match form {
            AnnouncementForm::Lists => {
                changes.online.sort();
                changes.offline.sort();
                if !changes.offline.is_empty() {
                    let (users, version) = (changes.offline, self.presence.next_version());
                    tell(Notice::Offline { users, version, room: room.clone() });
                }
                if !changes.online.is_empty() {
                    let (users, version) = (changes.online, self.presence.next_version());
                    tell(Notice::Online { users, version, reset: false, room });
                }
            }
            AnnouncementForm::Count => {
                let version = self.presence.next_version();
                tell(Notice::Count { online, version, again: false, room });
            }
            AnnouncementForm::Reset => {
                let version = self.presence.next_version();
                tell(Notice::Online { users: Vec::new(), version, reset: true, room });
            }
        }
    }

    /// A change did not reach a connection: it must list again when there is room.
    pub(super) fn presence_missed(&mut self, conn: ConnId) {
        if let Some(connection) = self.connections.get_mut(conn) {
            connection.misses_presence = true;
        }
    }

    pub(super) fn presence_caught_up(&mut self, conn: ConnId, effects: &mut Effects) {
        if let Some(connection) = self.connections.get_mut(conn)
            && std::mem::take(&mut connection.misses_presence)
        {
            let Tally { announced: online, is_counting } = self.presence.tally;
            let is_counting = is_counting && self.settings.presence == Scope::Everyone;
            // Clients accept a number only with a newer version.
            self.presence.version += u64::from(is_counting);
            let version = self.presence.version;
            let notice = if is_counting {
                Notice::Count { online, version, again: true, room: None }
            } else {
                Notice::Online { users: Vec::new(), version, reset: true, room: None }
            };
            effects.deliver(notice, [conn]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::schema_tests::assert_words;

    #[test]
    fn the_schema_has_the_scopes_of_presence() {
        for place in ["/pushes/hello", "/replies/info"] {
            let place = format!("{place}/properties/presence/enum");
            assert_words(&place, Scope::ALL.map(Scope::as_str));
        }
    }
}
