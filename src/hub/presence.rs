//! Who is online, told as changes: at most one list of those who came and one of those who went
//! in a window, however many changes there were.

use super::effect::{Answer, Effect, Effects, Notice, PresenceInfo, Refusal};
use super::hub::Hub;
use super::input::Now;
use super::request::Asker;
use super::user::UserIx;
use crate::base::limits::PRESENCE_WINDOW_MS_MAX;
use crate::base::{ConnId, Moment, RoomId, UserId};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// What the hub remembers of presence, beside each user's own.
#[derive(Debug, Default)]
pub(super) struct Presence {
    /// Who has a connection, in the order of lists.
    pub(super) online: BTreeMap<UserId, UserIx>,
    /// Who is to be told in the next announcement.
    changed: Vec<UserIx>,
    /// Who has gone, and until when that is not told.
    graced: BTreeSet<(Moment, UserIx)>,
    /// When the window of the changes closes.
    window_end: Option<Moment>,
    /// Of the last announcement.
    version: u64,
}

impl Hub {
    /// A connection of a user came; if it is their first, they are online.
    pub(super) fn came(&mut self, now: Now, ix: UserIx, effects: &mut Effects) {
        let user = &mut self.users[ix.0 as usize];
        if user.conns.as_slice().len() > 1 {
            return;
        }
        self.presence.online.insert(user.id.clone(), ix);
        if user.grace != Moment::NEVER {
            self.presence.graced.remove(&(user.grace, ix));
            user.grace = Moment::NEVER;
        }
        // Back within the grace: nobody saw them go, unless they listed meanwhile.
        if !user.is_announced || user.is_forced {
            self.mark_changed(now, ix, effects);
        }
    }

    /// The last connection of a user went; it is told after the grace.
    pub(super) fn went(&mut self, now: Now, ix: UserIx, effects: &mut Effects) {
        let grace = now.moment.plus_millis(self.settings.grace_ms);
        let user = &mut self.users[ix.0 as usize];
        self.presence.online.remove(&user.id);
        user.grace = grace;
        self.presence.graced.insert((grace, ix));
        effects.push(Effect::WakeAt(grace));
    }

    fn mark_changed(&mut self, now: Now, ix: UserIx, effects: &mut Effects) {
        let user = &mut self.users[ix.0 as usize];
        if std::mem::replace(&mut user.is_changed, true) {
            return;
        }
        self.presence.changed.push(ix);
        if self.presence.window_end.is_none() {
            let end = now.moment.plus_millis(self.window_ms());
            self.presence.window_end = Some(end);
            effects.push(Effect::WakeAt(end));
        }
    }

    /// The window grows with the audience: what is told costs a frame for each of them.
    fn window_ms(&self) -> u64 {
        const AUDIENCE_PER_WINDOW: u64 = 100;
        let shortest = self.settings.window_ms;
        let grown = shortest.saturating_mul(self.connected as u64) / AUDIENCE_PER_WINDOW;
        grown.clamp(shortest, PRESENCE_WINDOW_MS_MAX.max(shortest))
    }

    /// Tells what is due: goings whose grace is over, and changes whose window has closed.
    pub(super) fn presence_due(&mut self, now: Now, effects: &mut Effects) {
        while let Some(&(grace, ix)) = self.presence.graced.first() {
            if grace > now.moment {
                effects.push(Effect::WakeAt(grace));
                break;
            }
            self.presence.graced.pop_first();
            self.users[ix.0 as usize].grace = Moment::NEVER;
            self.mark_changed(now, ix, effects);
        }
        match self.presence.window_end {
            Some(end) if end <= now.moment => self.announce(effects),
            Some(end) => effects.push(Effect::WakeAt(end)),
            None => {}
        }
    }

    fn announce(&mut self, effects: &mut Effects) {
        self.presence.window_end = None;
        let (mut online, mut offline) = (Vec::new(), Vec::new());
        for ix in std::mem::take(&mut self.presence.changed) {
            let user = &mut self.users[ix.0 as usize];
            user.is_changed = false;
            // Within the grace one counts as online: one's going is told at its end.
            let is_online = user.is_online() || user.grace != Moment::NEVER;
            if is_online != user.is_announced || user.is_forced {
                if is_online { &mut online } else { &mut offline }.push(user.id.clone());
            }
            user.is_announced = is_online;
            user.is_forced = false;
            self.forget_if_unneeded(ix);
        }
        online.sort();
        offline.sort();
        let audience: Vec<ConnId> = self.all_connections().collect();
        if !offline.is_empty() {
            self.presence.version += 1;
            let notice = Notice::Offline { users: offline, version: self.presence.version };
            effects.deliver(notice, audience.iter().copied());
        }
        if !online.is_empty() {
            self.presence.version += 1;
            let version = self.presence.version;
            effects.deliver(Notice::Online { users: online, version, reset: false }, audience);
        }
    }

    /// Who is online now. Whoever changes within the window, or is in the grace, is told of again
    /// even if nothing differs then: the asker has seen what the others have not.
    pub(super) fn list_presence(
        &mut self,
        asker: &Asker,
        room: Option<RoomId>,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Answer, Refusal> {
        let limit = limit.min(self.settings.page);
        for ix in &self.presence.changed {
            self.users[ix.0 as usize].is_forced = true;
        }
        for (_, ix) in &self.presence.graced {
            self.users[ix.0 as usize].is_forced = true;
        }
        let start = after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let range: (Bound<&UserId>, Bound<&UserId>) = (start, Bound::Unbounded);
        let mut found: Box<dyn Iterator<Item = UserIx>> = match room {
            None => Box::new(self.presence.online.range::<UserId, _>(range).map(|(_, ix)| *ix)),
            Some(room) => {
                let (_, room) = self.room_of_member(asker, &room)?;
                Box::new(room.members.range::<UserId, _>(range).map(|(_, member)| member.user))
            }
        };
        let mut online = found.by_ref().filter(|ix| self.users[ix.0 as usize].is_online());
        let users: Vec<PresenceInfo> = online
            .by_ref()
            .take(limit)
            .map(|ix| {
                let user = &self.users[ix.0 as usize];
                PresenceInfo {
                    user: user.id.clone(),
                    name: user.name.clone(),
                    connections: user.conns.as_slice().len(),
                    since: user.since,
                }
            })
            .collect();
        let more = online.next().is_some();
        Ok(Answer::Presence { users, version: self.presence.version, more })
    }

    /// A change did not reach a connection: it is to list again when there is room.
    pub(super) fn presence_missed(&mut self, conn: ConnId) {
        if let Some(connection) = self.connection_mut(conn) {
            connection.misses_presence = true;
        }
    }

    pub(super) fn presence_caught_up(&mut self, conn: ConnId, effects: &mut Effects) {
        let version = self.presence.version;
        if let Some(connection) = self.connection_mut(conn)
            && std::mem::take(&mut connection.misses_presence)
        {
            let notice = Notice::Online { users: Vec::new(), version, reset: true };
            effects.deliver(notice, [conn]);
        }
    }
}
