//! Who is online: the list, and what has changed since, by version (`docs/protocol.md`, "Presence").

use super::core::Core;
use super::deadlines::Timer;
use super::effect::{ClientEvent, Presences};
use super::error::RequestError;
use super::requests::Question;
use crate::base::UserId;
use crate::wire::json::object;
use crate::wire::told::ToldObject;
use std::collections::BTreeMap;
use std::sync::Arc;

const RETRY_MS: u64 = 2_000;
/// How many changes are kept that come while the list does, and how many people are known: more than a server tells of.
const EARLY_MAX: usize = 10_000;
const PEOPLE_MAX: usize = 100_000;

/// Who is online, as far as the client knows.
#[derive(Debug, Default)]
pub(super) struct Presence {
    /// The program wants to know.
    is_watched: bool,
    /// The list that is being read: answers of others are nobody's.
    listing: Option<u64>,
    last_listing: u64,
    is_listed: bool,
    users: BTreeMap<UserId, Box<str>>,
    /// So many are there that only their number is told.
    count: Option<u64>,
    /// That of the first page, or of the newest change; `None` before.
    version: Option<u64>,
    /// Changes that came while the list did.
    early: Vec<Change>,
    is_untold: bool,
}

#[derive(Debug)]
struct Change {
    version: u64,
    is_online: bool,
    users: Vec<UserId>,
}

impl Presence {
    /// The connection is another, or gone: what was known is of that one.
    pub(super) fn lose(&mut self) {
        (self.listing, self.is_listed, self.version) = (None, false, None);
        self.early.clear();
    }

    fn apply(&mut self, change: Change) {
        if self.version.is_some_and(|version| change.version <= version) {
            return;
        }
        self.version = Some(change.version);
        for user in change.users {
            if !change.is_online {
                self.users.remove(&user);
            } else if self.users.len() < PEOPLE_MAX {
                let name = user.as_str().into();
                self.users.entry(user).or_insert(name);
            }
        }
    }
}

impl Core {
    /// The program wants to know who is online.
    pub(super) fn watch_presence(&mut self) {
        self.presence.is_watched = true;
        self.list_presence();
    }

    /// Asks for the list, if it is wanted and not known.
    pub(super) fn list_presence(&mut self) {
        let presence = &mut self.presence;
        let is_wanted = presence.is_watched && !presence.is_listed && presence.listing.is_none();
        if is_wanted && self.link.state.is_online() {
            presence.last_listing += 1;
            let listing = presence.last_listing;
            presence.listing = Some(listing);
            presence.users.clear();
            presence.version = None;
            presence.early.clear();
            self.ask_for("presence:list", "{}".to_owned(), Question::Presence(listing));
        }
    }

    /// A page of the list came.
    pub(super) fn presence_listed(&mut self, listing: u64, answer: Result<&str, RequestError>) {
        let presence = &mut self.presence;
        if presence.listing != Some(listing) {
            return;
        }
        let page = match answer {
            Ok(raw) => ToldObject::parse(raw).unwrap_or_default(),
            Err(error) => {
                presence.listing = None;
                if &*error.code == "disconnected" {
                    return;
                }
                if error.is_passing() {
                    let at = self.now.moment.plus_millis(RETRY_MS);
                    return self.deadlines.set(Timer::Presence, at);
                }
                presence.is_watched = false;
                return self.tell_or_leave_out(ClientEvent::Error(error));
            }
        };
        // Of a list in pages the first version counts.
        if presence.version.is_none() {
            presence.version = page.number("version");
        }
        let mut last = None;
        for one in page.objects("users") {
            let Some(user) = one.user("user") else { continue };
            let name = one.text("name").unwrap_or_else(|| user.as_str().into());
            if presence.users.len() < PEOPLE_MAX {
                presence.users.insert(user.clone(), name.into_owned().into());
            }
            last = Some(user);
        }
        if let Some(last) = last.filter(|_| page.flag("more")) {
            let payload = object(|w| w.text("after", last.as_str()));
            return self.ask_for("presence:list", payload, Question::Presence(listing));
        }
        presence.listing = None;
        presence.is_listed = true;
        presence.count = None;
        for change in std::mem::take(&mut presence.early) {
            presence.apply(change);
        }
        self.presence_changed();
    }

    /// A push about presence came; whether all about it is told.
    pub(super) fn presence_told(&mut self, kind: &str, payload: &ToldObject<'_>) -> bool {
        let presence = &mut self.presence;
        // Of a room alone, or a program's own.
        let Some(version) = payload.number("version") else { return false };
        if payload.raw("room").is_some() || !presence.is_watched {
            return false;
        }
        if kind == "user:count" {
            // A list that is being read is void.
            (presence.listing, presence.is_listed) = (None, true);
            presence.count = payload.number("online");
            presence.users.clear();
            self.presence_changed();
            return true;
        }
        // A reset has the version of the change before it.
        if payload.flag("reset") && presence.version <= Some(version) {
            presence.is_listed = false;
            presence.listing = None;
            self.list_presence();
            return true;
        }
        let users = payload.texts("users");
        let users = users.iter().filter_map(|user| UserId::parse_any(user).ok()).collect();
        let change = Change { version, is_online: kind == "user:online", users };
        if presence.is_listed {
            presence.apply(change);
            self.presence_changed();
        } else if presence.listing.is_some() && presence.early.len() < EARLY_MAX {
            presence.early.push(change);
        }
        true
    }

    fn presence_changed(&mut self) {
        self.presence.is_untold = true;
        self.tell_presence();
    }

    /// Tells the program who is there, if it has not been told.
    pub(super) fn tell_presence(&mut self) {
        let presence = &self.presence;
        if !presence.is_untold || self.credit == 0 {
            return;
        }
        let told = Presences {
            users: presence.users.clone(),
            count: presence.count.unwrap_or(presence.users.len() as u64),
            is_counted: presence.count.is_some(),
        };
        self.presence.is_untold = !self.tell(ClientEvent::Presence(Arc::new(told)));
    }
}

#[cfg(test)]
mod tests {
    use super::super::effect::CoreInput;
    use super::super::for_tests::Scene;
    use super::super::options::CoreOptions;
    use super::*;
    use serde_json::{Value, json};

    fn watching(queue: u32) -> Scene {
        let options = CoreOptions { ping_interval_ms: 0, queue, ..CoreOptions::default() };
        let mut scene = Scene::online(options, &[]);
        scene.input(CoreInput::WatchPresence);
        scene
    }

    fn change(kind: &str, version: u64, users: Value) -> Value {
        json!({"type": kind, "payload": {"version": version, "users": users, "online": 3}})
    }

    fn people(scene: &Scene) -> Vec<String> {
        let told = scene.told.iter().rev().find_map(|told| match told {
            ClientEvent::Presence(presences) => Some(Arc::clone(presences)),
            _ => None,
        });
        let Some(told) = told else { return Vec::new() };
        told.users.iter().map(|(user, name)| format!("{}={name}", user.as_str())).collect()
    }

    #[test]
    fn the_list_and_what_has_changed_since_the_first_of_its_pages() {
        let mut scene = watching(100);
        let list = json!({"version": 5, "more": true, "users": [{"user": "ada", "name": "Ada"}, {"user": "bob", "name": "B"}]});
        scene.replies("presence:list", list);
        scene.hears(&change("user:offline", 6, json!(["ada"])));
        scene.hears(&change("user:offline", 5, json!(["cyd"])));
        let asked = scene.replies(
            "presence:list",
            json!({"version": 9, "users": [{"user": "cyd", "name": "C"}]}),
        );
        assert_eq!(asked, json!({"after": "bob"}));
        assert_eq!(people(&scene), ["bob=B", "cyd=C"]);
        scene.hears(&change("user:online", 10, json!(["dan"])));
        assert_eq!(people(&scene), ["bob=B", "cyd=C", "dan=dan"]);
        // That of a room is another list.
        scene.hears(&json!({"type": "user:offline", "payload": {"room": "tea", "version": 11, "users": ["bob"]}}));
        assert_eq!(people(&scene).len(), 3);
    }

    #[test]
    fn a_list_that_begins_with_nothing_changed_misses_nothing() {
        let mut scene = watching(100);
        let first = json!({"version": 0, "more": true, "users": [{"user": "bob", "name": "B"}]});
        scene.replies("presence:list", first);
        scene.hears(&change("user:online", 1, json!(["ada"])));
        scene.replies("presence:list", json!({"version": 1, "users": []}));
        assert_eq!(people(&scene), ["ada=ada", "bob=B"]);
    }

    #[test]
    fn of_two_lists_the_older_is_nobodys() {
        let mut scene = watching(100);
        let old = scene.asked("presence:list");
        scene.hears(
            &json!({"type": "user:online", "payload": {"version": 9, "reset": true, "users": []}}),
        );
        let users = json!({"version": 5, "users": [{"user": "eve", "name": "E"}]});
        scene.hears(&json!({"type": "reply", "id": old["id"], "payload": users}));
        scene.replies(
            "presence:list",
            json!({"version": 9, "users": [{"user": "bob", "name": "B"}]}),
        );
        assert_eq!(people(&scene), ["bob=B"]);
    }

    #[test]
    fn it_is_listed_anew_after_a_loss_and_where_the_server_says_so() {
        let mut scene = watching(100);
        scene.replies(
            "presence:list",
            json!({"version": 5, "users": [{"user": "bob", "name": "B"}]}),
        );
        scene.hears(
            &json!({"type": "user:online", "payload": {"version": 9, "reset": true, "users": []}}),
        );
        scene.replies("presence:list", json!({"version": 9, "users": []}));
        assert!(people(&scene).is_empty());
        scene.loses(1006);
        scene.passes(1_000);
        scene.greets(&[], "e1");
        scene.refuses("presence:list", json!({"code": "unavailable", "message": ""}));
        scene.passes(2_000);
        scene.replies(
            "presence:list",
            json!({"version": 1, "users": [{"user": "eve", "name": "E"}]}),
        );
        assert_eq!(people(&scene), ["eve=E"]);
    }

    #[test]
    fn of_too_many_the_number_is_told() {
        let mut scene = watching(100);
        scene.replies(
            "presence:list",
            json!({"version": 5, "users": [{"user": "bob", "name": "B"}]}),
        );
        scene.hears(&json!({"type": "user:count", "payload": {"version": 6, "online": 70_000}}));
        let Some(ClientEvent::Presence(told)) = scene.told.last() else { panic!() };
        assert_eq!((told.count, told.is_counted, told.users.len()), (70_000, true, 0));
        // Lists are there again.
        scene.hears(
            &json!({"type": "user:online", "payload": {"version": 6, "reset": true, "users": []}}),
        );
        let half = json!({"version": 7, "more": true, "users": [{"user": "bob", "name": "B"}]});
        scene.replies("presence:list", half);
        scene.hears(&json!({"type": "user:count", "payload": {"version": 8, "online": 80_000}}));
        scene.replies(
            "presence:list",
            json!({"version": 8, "users": [{"user": "eve", "name": "E"}]}),
        );
        let Some(ClientEvent::Presence(told)) = scene.told.last() else { panic!() };
        assert_eq!((told.count, told.is_counted, told.users.len()), (80_000, true, 0));
    }

    #[test]
    fn for_a_program_that_takes_nothing_the_newest_is_kept() {
        let mut scene = watching(4);
        scene.replies("presence:list", json!({"version": 5, "users": []}));
        for version in 6..20 {
            scene.hears(&change("user:online", version, json!([format!("u{version}")])));
        }
        let before = scene.told.len();
        scene.input(CoreInput::Taken(4));
        assert_eq!((scene.told.len() - before, people(&scene).len()), (1, 14));
    }
}
