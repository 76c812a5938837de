//! What people do: every request of the wire, in a mix that makes entries and trouble.

use super::checker::What;
use super::client::{Client, Unsent};
use super::world::{Event, World};
use serde_json::json;

/// What can be done, and how often of all that is done.
const ACTIONS: &[(u64, Action)] = &[
    (100, Action::Say),
    (8, Action::SayDirectly),
    (12, Action::Edit),
    (7, Action::Delete),
    (14, Action::React),
    (12, Action::Read),
    (8, Action::Ack),
    (6, Action::Typing),
    (8, Action::History),
    (4, Action::ListRooms),
    (4, Action::ListMembers),
    (6, Action::ListPresence),
    (22, Action::Join),
    (6, Action::Leave),
    (5, Action::Create),
    (5, Action::Invite),
    (5, Action::Remove),
    (3, Action::Ban),
    (3, Action::Unban),
    (3, Action::Update),
    (1, Action::End),
    (3, Action::Revoke),
    (2, Action::Ping),
    (2, Action::Info),
    (10, Action::Repeat),
    (2, Action::Mismatch),
    (4, Action::Quarrel),
    (3, Action::Reload),
    (24, Action::Watch),
    (6, Action::Unwatch),
    (70, Action::Publish),
    (4, Action::AckStream),
    (2, Action::ListStreams),
];

#[derive(Clone, Copy, Debug)]
enum Action {
    Say,
    SayDirectly,
    Edit,
    Delete,
    React,
    Read,
    Ack,
    Typing,
    History,
    ListRooms,
    ListMembers,
    ListPresence,
    Join,
    Leave,
    Create,
    Invite,
    Remove,
    Ban,
    Unban,
    Update,
    End,
    Revoke,
    Ping,
    Info,
    /// Something that was acknowledged is sent again.
    Repeat,
    /// Another message with the same `cid`.
    Mismatch,
    /// Somebody is removed just while they send something again.
    Quarrel,
    /// A page is reloaded: the connection ends and another begins.
    Reload,
    Watch,
    Unwatch,
    Publish,
    AckStream,
    ListStreams,
}

/// How long a client waits for anything.
const PATIENCE_MS: u64 = 9_000;

impl Client {
    /// After so long it asks whether anybody is there.
    fn silence_ms(is_quiet: bool) -> u64 {
        if is_quiet { PATIENCE_MS * 2 / 3 } else { PATIENCE_MS / 3 }
    }

    /// Whether it has something to look after.
    fn is_lacking(&self, now: u64, is_quiet: bool) -> bool {
        let waits = !self.is_ready || !self.under_way.is_empty();
        self.program.is_none()
            && self.link.is_some()
            && (waits && now > self.last_heard + PATIENCE_MS
                || !self.unsent.is_empty()
                || !self.refused.is_empty()
                || self.lists_after.is_some()
                || self.is_missing_streams()
                || is_quiet && (!self.view.is_known || !self.reads.is_empty())
                || now > self.last_heard + Client::silence_ms(is_quiet))
    }
}

impl World {
    pub(crate) fn somebody_acts(&mut self) {
        if self.actions_left == 0 {
            return;
        }
        let people = self.clients.len();
        let index = self.dice.below(people);
        let mut has_acted = false;
        self.with(index, |world, client| {
            if client.is_rogue && world.dice.one_in(2) {
                world.misbehaves(client);
                has_acted = true;
            } else if world.may_ask(client) {
                world.acts(client);
                has_acted = true;
            }
        });
        self.actions_left -= u64::from(has_acted);
        let most = self.plan.pause_ms * 2 / people as u64;
        let wait = if has_acted { self.dice.range(0, most) } else { self.dice.range(1, 100) };
        self.at(self.now + wait, Event::Act);
    }

    fn acts(&mut self, client: &mut Client) {
        let all: u64 = ACTIONS.iter().map(|(weight, _)| weight).sum();
        let mut point = self.dice.range(0, all - 1);
        for (weight, action) in ACTIONS {
            if point < *weight {
                self.does(client, *action);
                return;
            }
            point -= weight;
        }
    }

    /// A room of the client's, as a rule; now and then any.
    fn some_room(&mut self, client: &Client) -> String {
        if client.rooms.is_empty() || self.dice.one_in(12) {
            let all: Vec<&String> = self.rooms.iter().collect();
            return (*self.dice.pick(&all)).clone();
        }
        let own: Vec<&String> = client.rooms.keys().collect();
        (*self.dice.pick(&own)).clone()
    }

    /// An entry of a room, as a rule one of the newest.
    fn some_entry(&mut self, client: &Client, room: &str) -> u64 {
        let head = client.rooms.get(room).copied().unwrap_or(3);
        if self.dice.one_in(15) {
            return self.dice.range(0, head + 2);
        }
        self.dice.range(head.saturating_sub(6), head)
    }

    fn some_user(&mut self) -> String {
        let user = self.dice.below(self.plan.users + 1);
        if user == self.plan.users { "x0".to_owned() } else { format!("u{user}") }
    }

    fn some_text(&mut self) -> String {
        self.texts += 1;
        let len = self.dice.skewed(0, self.plan.text_bytes) as usize;
        let filler = *self.dice.pick(&["x", "ä", "\"\\", "\u{1}"]);
        format!("t{} {}", self.texts, filler.repeat(len / filler.len()))
    }

    /// A message is to be sent, and sent again until it is acknowledged.
    fn says(&mut self, client: &mut Client, to: String) {
        let cid = format!("c{}", self.texts + 1);
        let text = self.some_text();
        if client.program.is_some() {
            return self.core_says(client, &to, &cid, &text);
        }
        let unsent = Unsent { cid, to, text, not_before: 0, is_under_way: false };
        client.unsent.push(unsent);
        self.sends_unsent(client);
    }

    /// Sends what was not acknowledged, in order.
    pub(crate) fn sends_unsent(&mut self, client: &mut Client) {
        for place in 0..client.unsent.len() {
            if !self.may_ask(client) {
                return;
            }
            let unsent = &client.unsent[place];
            if !unsent.is_under_way && unsent.not_before <= self.now {
                let unsent = unsent.clone();
                client.unsent[place].is_under_way = true;
                self.sends_message(client, &unsent);
            }
        }
    }

    fn sends_message(&mut self, client: &mut Client, message: &Unsent) {
        let Unsent { cid, to, text, .. } = message;
        let mut payload = json!({"text": text, "cid": cid});
        let room = match to.strip_prefix('@') {
            None => {
                payload["room"] = json!(to);
                to.clone()
            }
            Some(other) => {
                payload["to"] = json!(other);
                let (one, two) = if *client.user < *other {
                    (client.user.as_str(), other)
                } else {
                    (other, client.user.as_str())
                };
                format!("dm:{one}:{two}")
            }
        };
        self.checker.says(&client.user, &room, cid, text);
        self.asks(client, "chat:send", payload, What::Send { cid: cid.clone() }, &room);
    }

    fn does(&mut self, client: &mut Client, action: Action) {
        let room = self.some_room(client);
        let seq = self.some_entry(client, &room);
        let user = self.some_user();
        let on_room = json!({ "room": room });
        let on_user = json!({ "room": room, "user": user });
        match action {
            Action::Say => self.says(client, room),
            Action::SayDirectly => {
                if user != client.user {
                    self.says(client, format!("@{user}"));
                }
            }
            Action::Edit => {
                let text = if self.dice.one_in(4) { "same".to_owned() } else { self.some_text() };
                let payload = json!({"room": room, "seq": seq, "text": text});
                self.asks(client, "chat:edit", payload, What::Change, &room);
            }
            Action::Delete => {
                let payload = json!({"room": room, "seq": seq});
                self.asks(client, "chat:delete", payload, What::Change, &room);
            }
            Action::React => {
                let emoji = *self.dice.pick(&["+", "-", "!"]);
                let on = !self.dice.one_in(3);
                let payload = json!({"room": room, "seq": seq, "emoji": emoji, "on": on});
                self.asks(client, "chat:react", payload, What::Change, &room);
            }
            Action::Read if client.program.is_some() => self.core_marks(client, &room, seq),
            Action::Typing if client.program.is_some() => self.core_types(client, &room),
            // It does so by itself.
            Action::Ack if client.program.is_some() => {}
            Action::Leave if client.program.is_some() => self.core_joins(client, &room, false),
            Action::Reload if client.program.is_some() => self.is_disturbed(client),
            Action::Read => {
                let payload = json!({"room": room, "seq": seq});
                self.asks(client, "chat:read", payload, What::Read, &room);
            }
            Action::Ack => {
                let payload = if self.dice.one_in(3) {
                    json!({"room": room, "seq": seq})
                } else {
                    json!({"rooms": client.rooms})
                };
                self.asks(client, "chat:ack", payload, What::Other, &room);
            }
            Action::Typing => {
                let payload = json!({"room": room, "typing": !self.dice.one_in(4)});
                self.asks(client, "chat:typing", payload, What::Other, &room);
            }
            Action::History => {
                let mut payload = json!({"room": room, "limit": self.dice.range(1, 20)});
                let (mut after, mut before) = (None, None);
                match self.dice.below(3) {
                    0 => after = Some(seq),
                    1 => before = Some(seq),
                    _ => {}
                }
                payload["after"] = json!(after);
                payload["before"] = json!(before);
                self.asks(client, "chat:history", payload, What::History { after, before }, &room);
            }
            Action::ListRooms => {
                let payload = json!({"open": self.dice.one_in(2)});
                self.asks(client, "room:list", payload, What::Other, "");
            }
            Action::ListMembers => {
                self.asks(client, "room:members", on_room, What::Members, &room);
            }
            Action::ListPresence => {
                if client.program.is_some() {
                    return self.asks(client, "presence:list", json!({}), What::Presence, "");
                }
                if client.view.is_known || !client.under_way.values().any(Option::is_none) {
                    self.lists_presence(client);
                }
            }
            Action::Join => {
                let all: Vec<&String> = self.rooms.iter().collect();
                let room = (*self.dice.pick(&all)).clone();
                if client.program.is_some() {
                    return self.core_joins(client, &room, true);
                }
                self.asks(client, "room:join", json!({ "room": room }), What::Join, &room);
            }
            Action::Leave => self.asks(client, "room:leave", on_room, What::Other, &room),
            Action::Create => {
                let other = self.some_user();
                let mut payload = json!({"open": self.dice.one_in(2), "members": [user, other]});
                if !self.dice.one_in(3) {
                    payload["room"] = json!(format!("r{}", self.dice.range(0, 12)));
                }
                self.asks(client, "room:create", payload, What::Create, "");
            }
            Action::Invite => self.asks(client, "room:invite", on_user, What::Other, &room),
            Action::Remove => self.asks(client, "room:remove", on_user, What::Other, &room),
            Action::Ban => self.asks(client, "room:ban", on_user, What::Other, &room),
            Action::Unban => self.asks(client, "room:unban", on_user, What::Other, &room),
            Action::Update => {
                let mut payload =
                    json!({"room": room, "title": format!("title {}", self.happened)});
                if self.dice.one_in(2) {
                    payload["open"] = json!(self.dice.one_in(2));
                } else {
                    payload["owner"] = json!(user);
                }
                self.asks(client, "room:update", payload, What::Other, &room);
            }
            Action::End => {
                if self.dice.one_in(3) {
                    self.asks(client, "room:delete", on_room, What::Other, &room);
                }
            }
            Action::Revoke => {
                let other = self.dice.below(self.clients.len());
                let jti = self.clients[other].jti.clone();
                if !jti.is_empty() && (client.is_admin || self.dice.one_in(10)) {
                    let payload = json!({ "jti": jti });
                    self.asks(client, "auth:revoke", payload, What::Revoke { jti }, "");
                }
            }
            Action::Ping => self.asks(client, "ping", json!({}), What::Other, ""),
            Action::Info => self.asks(client, "info", json!({}), What::Other, ""),
            Action::Repeat => {
                if let Some(message) = self.some_sent(client) {
                    self.sends_message(client, &message);
                }
            }
            Action::Mismatch => {
                if let Some(message) = self.some_sent(client) {
                    let text = format!("not {}", message.text);
                    self.sends_message(client, &Unsent { text, ..message });
                }
            }
            Action::Quarrel => self.quarrels(client),
            Action::Watch => self.watches(client),
            Action::Unwatch => self.unwatches(client),
            Action::Publish => self.publishes(client),
            Action::AckStream => self.acks_stream(client),
            Action::ListStreams => {
                self.asks(client, "stream:list", json!({}), What::Plain, "");
            }
            Action::Reload => {
                if let Some(link) = client.link {
                    self.hangs_up(link, false);
                    self.loses(client, true);
                }
            }
        }
    }

    fn some_sent(&mut self, client: &Client) -> Option<Unsent> {
        if client.sent.is_empty() { None } else { Some(self.dice.pick(&client.sent).clone()) }
    }

    /// One who may is about to remove another, who sends something again at this moment.
    fn quarrels(&mut self, client: &mut Client) {
        let is_it = |message: &&Unsent| client.rooms.contains_key(&message.to);
        for other in 0..self.clients.len() {
            if self.clients[other].user == client.user || !self.may_ask(&self.clients[other]) {
                continue;
            }
            let Some(message) = self.clients[other].sent.iter().rev().find(is_it).cloned() else {
                continue;
            };
            let user = self.clients[other].user.clone();
            let payload = json!({ "room": message.to, "user": user });
            self.with(other, |world, other| world.sends_message(other, &message));
            let kind = *self.dice.pick(&["room:remove", "room:ban"]);
            self.asks(client, kind, payload, What::Other, &message.to);
            return;
        }
    }

    /// What clients do by themselves.
    pub(crate) fn ticks(&mut self) {
        for index in 0..self.clients.len() {
            if self.clients[index].is_lacking(self.now, self.is_quiet) {
                self.with(index, |world, client| world.looks_after(client));
            }
        }
        let every_ms = if self.is_quiet { 300 } else { 100 };
        self.at(self.now + every_ms, Event::Tick);
    }

    fn looks_after(&mut self, client: &mut Client) {
        let Some(link) = client.link else { return };
        let waits = !client.is_ready || !client.under_way.is_empty();
        if waits && self.now > client.last_heard + PATIENCE_MS {
            self.coverage.count("clients out of patience");
            self.trace(|| format!("c{} has waited long enough", client.index));
            self.hangs_up(link, false);
            self.loses(client, true);
            return;
        }
        if !client.is_ready {
            return;
        }
        if self.may_ask(client) && self.now > client.last_heard + Client::silence_ms(self.is_quiet)
        {
            // Whether anybody is there.
            if client.under_way.is_empty() {
                self.asks(client, "ping", json!({}), What::Plain, "");
            }
        }
        self.sends_unsent(client);
        for room in client.refused.clone() {
            if self.may_ask(client) && !client.under_way.values().any(Option::is_none) {
                let what = What::History { after: None, before: None };
                self.asks(client, "chat:history", json!({ "room": room }), what, &room);
            }
        }
        let is_listing = client.session.asked.values().any(|asked| asked.what == What::Rooms);
        if let Some(after) = client.lists_after.clone()
            && !is_listing
            && self.may_ask(client)
        {
            self.asks(client, "info", json!({ "after": after }), What::Rooms, "");
        }
        self.watches_again(client);
        if self.is_quiet && self.may_ask(client) {
            self.looks_after_quietly(client);
        }
    }
}
