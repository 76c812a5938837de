//! The end of a run: nothing goes wrong any more, everybody gets what is theirs, and all that is
//! left is what was there at the beginning.

use super::checker::What;
use super::client::{Client, View};
use super::world::{Event, World};
use parlor::client::core::CoreInput;
use parlor::hub::{Census, Hub, Retentions, Scope, Settings};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

impl World {
    /// Plays a run to its end.
    pub(crate) fn plays(&mut self) {
        // In some worlds so much goes wrong that nobody can do anything for long.
        const SCRIPT_MS_MAX: u64 = 200_000;
        let end = self.now + SCRIPT_MS_MAX;
        self.run_until(end, |world| world.actions_left == 0);
        self.becomes_quiet();
        self.catches_up();
        self.sees_who_is_there();
        self.leaves_in_vain();
        self.knows_all_rooms();
        self.streams_are_drained();
        self.streams_are_old();
        self.reads_all();
        self.everybody_goes();
        self.streams.is_whole();
        let stored = self.shelf.borrow().snapshot().streams;
        self.streams.is_stored(&stored);
        self.coverage.add_all(&self.streams.coverage);
        let shelf = self.shelf.borrow();
        self.coverage.add("entries", shelf.ledger().entries);
        self.coverage.add("helped the store", shelf.helped);
        self.coverage.add("nobody let in, as a hub is held up", shelf.held_up);
        self.coverage.add("acknowledged", self.checker.acked());
        self.coverage.add("repeats", self.checker.repeats);
        self.coverage.add("turns", self.turn);
        self.coverage.add("events", self.happened);
        self.coverage.add("connections", self.links.len() as u64);
        self.coverage.add("simulated seconds", self.now / 1_000);
    }

    fn becomes_quiet(&mut self) {
        self.trace(|| "all is quiet".to_owned());
        self.is_quiet = true;
        {
            let shelf = &mut *self.shelf.borrow_mut();
            (shelf.is_full, shelf.queue_max, shelf.told_max) = (false, usize::MAX, usize::MAX);
        }
        self.at(self.now, Event::Start);
        for index in 0..self.clients.len() {
            self.with(index, |world, client| {
                if client.is_rogue {
                    client.has_gone = true;
                    if let Some(link) = client.link {
                        world.hangs_up(link, false);
                        world.loses(client, false);
                    }
                }
            });
        }
        for link in &mut self.links {
            link.paused_until = 0;
            (link.up.cut_after, link.down.cut_after) = (None, None);
        }
    }

    /// Nobody publishes any more: whoever watches knows it, whatever did not fit their outbox before.
    fn streams_are_old(&mut self) {
        const MOST_MS: u64 = 60_000;
        let is_told = |world: &World| {
            world.behaving().all(|client| {
                let mut watches = client.session.watches.iter();
                watches.all(|(stream, watch)| {
                    watch.is_stale == world.streams.stale_ms(stream).is_some()
                })
            })
        };
        assert!(
            self.run_until(self.now + MOST_MS, is_told),
            "somebody takes an old stream for new"
        );
    }

    /// What clients do by themselves at the end.
    pub(crate) fn looks_after_quietly(&mut self, client: &mut Client) {
        let is_listing = client.session.asked.values().any(|asked| asked.what == What::Presence);
        let is_told = self.plan.presence != Scope::Off;
        if is_told && !client.view.is_known && !is_listing {
            self.lists_presence(client);
        }
        for (room, after) in client.reads.clone() {
            let is_asked = client.session.asked.values().any(|asked| {
                asked.room == room && matches!(asked.what, What::History { after: Some(_), .. })
            });
            if !is_asked && self.may_ask(client) {
                let what = What::History { after: Some(after), before: None };
                let payload = json!({"room": room, "after": after});
                self.asks(client, "chat:history", payload, what, &room);
            }
        }
    }

    fn behaving(&self) -> impl Iterator<Item = &Client> {
        self.clients.iter().filter(|client| !client.is_rogue)
    }

    fn is_caught_up(&self) -> bool {
        self.behaving().all(|client| {
            if let Some(program) = &client.program {
                return program.is_online()
                    && !client.is_missing_streams()
                    && program.lacks(&self.heads(client), self.tells()).is_empty();
            }
            client.is_ready
                && client.unsent.is_empty()
                && client.under_way.is_empty()
                && client.refused.is_empty()
                && client.reads.is_empty()
                && client.lists_after.is_none()
                && !client.is_missing_streams()
                && (client.view.is_known || self.plan.presence == Scope::Off)
        })
    }

    /// Whether anybody is told who is online.
    fn tells(&self) -> bool {
        self.plan.presence != Scope::Off
    }

    /// The rooms of which a user is a member, and how far their logs go.
    fn heads(&self, client: &Client) -> BTreeMap<String, u64> {
        let shelf = self.shelf.borrow();
        let own = shelf.ledger().rooms_of(&client.user);
        own.map(|room| (room.clone(), shelf.ledger().head(room))).collect()
    }

    fn catches_up(&mut self) {
        const MOST_MS: u64 = 400_000;
        let is_caught_up = self.run_until(self.now + MOST_MS, World::is_caught_up);
        if !is_caught_up {
            let late: Vec<String> = self
                .behaving()
                .map(|client| {
                    if let Some(program) = &client.program {
                        let lacks = program.lacks(&self.heads(client), self.tells());
                        let (index, missing) = (client.index, client.missing_streams());
                        let missing: Vec<&String> = missing.collect();
                        return format!("c{index}: {lacks:?}, streams missing {missing:?}");
                    }
                    format!(
                        "c{}: ready {}, rooms after {:?}, unsent {:?}, under way {:?}, refused {:?}, reads {:?}, view {}, streams missing {}",
                        client.index,
                        client.is_ready,
                        client.lists_after,
                        client.unsent,
                        client.under_way,
                        client.refused,
                        client.reads,
                        client.view.is_known,
                        client.is_missing_streams()
                    )
                })
                .collect();
            panic!("not everybody has caught up:\n{}", late.join("\n"));
        }
    }

    /// Old connections end, windows close: then everybody knows who is there.
    fn sees_who_is_there(&mut self) {
        const REST_MS: u64 = 120_000;
        const WINDOW_MS: u64 = 12_000;
        self.run_until(self.now + REST_MS, |_| false);
        self.catches_up();
        // Whoever comes back in this time, as their token has expired, is told of in the window after it.
        // The new one lasts for long.
        let mut links = Vec::new();
        for _ in 0..=self.clients.len() {
            links = self.clients.iter().map(|client| client.link).collect();
            self.run_until(self.now + WINDOW_MS, |_| false);
            self.catches_up();
            if self.plan.presence == Scope::Rooms {
                // Who leaves a room is seen no more by those in it, and nobody is told: they list again.
                for client in &mut self.clients {
                    client.view = View::default();
                }
                self.catches_up();
            }
            if self.clients.iter().map(|client| client.link).eq(links.iter().copied()) {
                break;
            }
        }
        let is_calm = self.clients.iter().map(|client| client.link).eq(links);
        assert!(is_calm, "connections end although all is well");
        let there: BTreeSet<String> = self.behaving().map(|client| client.user.clone()).collect();
        let members = self.shelf.borrow().ledger().memberships();
        let shares = |one: &String, other: &String| {
            one == other
                || members.iter().any(|(room, user)| {
                    user == one && members.contains(&(room.clone(), other.clone()))
                })
        };
        for client in self.behaving() {
            let is_seen = |user: &&String| match self.plan.presence {
                Scope::Everyone => true,
                Scope::Rooms => shares(&client.user, user),
                Scope::Off => false,
            };
            if client.program.is_some() && self.plan.presence == Scope::Rooms {
                continue;
            }
            let seen: BTreeSet<String> = there.iter().filter(is_seen).cloned().collect();
            let online = match &client.program {
                Some(program) => program.online(),
                None => Some(&client.view.online),
            };
            // Where they are too many, programs are told their number.
            let Some(online) = online else { continue };
            assert_eq!(*online, seen, "who is online, as c{} knows it", client.index);
        }
        let servers = self.servers.iter_mut();
        let connections: usize = servers.map(|server| server.reactor.io().connections()).sum();
        assert_eq!(connections, self.behaving().count(), "connections of the server");
    }

    /// Somebody leaves a room on one connection, comes anew on another while that is at the store, and the
    /// store cannot write it: the room is theirs after all.
    fn leaves_in_vain(&mut self) {
        const AT_STORE_MS: u64 = 4_000;
        const FULL_MS: u64 = 2_000;
        let rooms = self.shelf.borrow().ledger().memberships();
        let found = rooms.into_iter().filter(|(room, _)| !room.starts_with("dm:")).find_map(
            |(room, user)| {
                let mut own =
                    self.behaving().filter(|client| client.user == user).map(|client| client.index);
                Some((room, own.next()?, own.next()?))
            },
        );
        let Some((room, leaver, comer)) = found else { return };
        self.trace(|| format!("c{leaver} leaves {room} in vain, and c{comer} comes meanwhile"));
        // It takes nothing until it is let.
        self.shelf.borrow_mut().is_at_work = true;
        self.with(leaver, |world, client| match client.program {
            Some(_) => world.core_joins(client, &room, false),
            None => {
                let payload = json!({ "room": room });
                world.asks(client, "room:leave", payload, What::Other, &room);
            }
        });
        self.with(comer, |world, client| {
            if client.program.is_some() {
                return world.is_told(client, CoreInput::Open);
            }
            if let Some(link) = client.link {
                world.hangs_up(link, false);
                world.loses(client, true);
            }
        });
        self.run_until(self.now + AT_STORE_MS, |_| false);
        self.shelf.borrow_mut().is_full = true;
        self.shelf.borrow_mut().is_at_work = false;
        self.set_store_to_work();
        self.run_until(self.now + FULL_MS, |_| false);
        self.shelf.borrow_mut().is_full = false;
        self.coverage.count("rooms left in vain");
        self.catches_up();
    }

    /// Everybody follows the rooms that are theirs, and no others, and knows what they are like.
    fn knows_all_rooms(&self) {
        let members = self.shelf.borrow().ledger().memberships();
        for client in self.behaving() {
            let of_user = members.iter().filter(|(_, user)| *user == client.user);
            let rooms: BTreeSet<&str> = of_user.map(|(room, _)| room.as_str()).collect();
            assert_eq!(client.session.rooms(), rooms, "the rooms of c{}", client.index);
            for (room, (state, _)) in &client.session.states {
                let newest = self.shelf.borrow().ledger().newest_state(room);
                assert_eq!(Some(state), newest.as_ref(), "{room}, as c{} knows it", client.index);
            }
        }
    }

    /// Everybody comes anew, and reads all that they may.
    fn reads_all(&mut self) {
        for index in 0..self.clients.len() {
            self.with(index, |world, client| {
                if client.program.is_some() {
                    let rooms: Vec<String> = world.heads(client).into_keys().collect();
                    client.forgets();
                    return world.reads_anew(client, &rooms);
                }
                if let Some(link) = client.link {
                    world.hangs_up(link, false);
                    world.loses(client, true);
                }
                // Also one that is not connected, for example because its token expired.
                client.forgets();
            });
        }
        self.catches_up();
        let members = self.shelf.borrow().ledger().memberships();
        let mut told = BTreeSet::new();
        for client in self.behaving() {
            let of_program = client.program.iter().flat_map(|program| program.rooms());
            let raw = client.program.is_none();
            let of_raw = client.rooms.iter().filter(|_| raw).map(|(room, head)| (room, *head));
            for (room, head) in of_program.chain(of_raw) {
                told.insert((room.clone(), client.user.clone()));
                assert_eq!(head, self.shelf.borrow().ledger().head(room), "the head of {room}");
            }
        }
        let expected: BTreeSet<(String, String)> =
            members.into_iter().filter(|(_, user)| user.starts_with('u')).collect();
        assert_eq!(told, expected, "who is in which room");
        let is_raw = |client: &&mut Client| !client.is_rogue && client.program.is_none();
        for client in self.clients.iter_mut().filter(is_raw) {
            client.reads = client.rooms.keys().map(|room| (room.clone(), 0)).collect();
        }
        self.catches_up();
        let mut read = BTreeSet::new();
        for client in self.behaving() {
            for (room, kept) in &client.has_read {
                read.insert((room.clone(), *kept));
            }
            let of_program = client.program.iter().flat_map(|program| program.has_read());
            read.extend(of_program.map(|(room, kept)| (room.clone(), kept)));
        }
        let shelf = self.shelf.borrow();
        for (room, kept) in read {
            self.checker.whole(shelf.ledger(), &room, kept, self.latest_believed().0);
        }
    }

    fn everybody_goes(&mut self) {
        const REST_MS: u64 = 40_000;
        for index in 0..self.clients.len() {
            self.with(index, |world, client| {
                client.has_gone = true;
                if client.program.is_some() {
                    return world.is_told(client, CoreInput::Close);
                }
                if let Some(link) = client.link {
                    world.hangs_up(link, false);
                    world.loses(client, false);
                }
            });
        }
        self.run_until(self.now + REST_MS, |_| false);
        // What has become too old at this moment may be on its way to the store.
        self.run_until(self.now + REST_MS, |world| world.census().all(|one| one.pending == 0));
        for server in &mut self.servers {
            assert_eq!(server.reactor.io().connections(), 0, "connections that are left");
            assert_eq!(server.reactor.io().waiting_bytes(), 0, "bytes that wait for nobody");
        }
        let snapshot = self.shelf.borrow().snapshot();
        let kept = Retentions { default: self.plan.kept, ..Retentions::default() };
        let settings = Settings::from(&self.plan.limits).keep(kept);
        let fresh = Hub::new(settings, snapshot, 1).census();
        assert_eq!(self.servers.len(), self.hubs, "hubs that live");
        let left: Vec<Census> = self.census().collect();
        assert_eq!(left, vec![fresh; self.hubs], "what is left in memory");
    }

    fn census(&self) -> impl Iterator<Item = Census> {
        self.servers.iter().map(|server| server.web.application().hub().census())
    }
}
