//! A room, as a program has it.

use super::client::Client;
use super::ticket::{Reply, Ticket};
use crate::base::request::Part;
use crate::base::{Entry, RoomId, Timestamp, UserId};
use crate::client::core::{CoreInput, Kept, RequestError, RoomView};
use crate::wire::json::{Writer, object, whole};
use crate::wire::told::{ToldMessage, ToldObject, items};
use std::sync::Arc;

/// A room. What comes in it is among the client's events.
#[derive(Clone, Debug)]
pub struct Room {
    client: Client,
    name: Box<str>,
    /// `None` if no room can have this name.
    id: Option<RoomId>,
}

/// A message that is being made; see [`Room::message`].
#[derive(Clone, Debug)]
#[must_use]
pub struct NewMessage {
    client: Client,
    /// Or the error with which it is refused.
    kept: Result<Kept, RequestError>,
}

/// An entry that a request has made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Its number, or that of the one which had made it so before.
    pub seq: u64,
    /// When it was stored.
    pub ts: Timestamp,
    /// Whether it was so already.
    pub is_duplicate: bool,
}

/// A page of a room's log, oldest entry first.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryPage {
    /// Its entries; those of kinds that this client does not know are left out.
    pub entries: Vec<Entry>,
    /// The newest entry of the log.
    pub head: u64,
    /// Whether there is more in this direction.
    pub has_more: bool,
}

/// Somebody in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// Their display name.
    pub name: Box<str>,
    /// Whether they are online; `None` if the server does not tell it.
    pub is_online: Option<bool>,
    /// Whether the room is theirs.
    pub is_owner: bool,
    /// How far they have read.
    pub read: u64,
    /// How far they have received the log.
    pub delivered: u64,
}

/// A page of a room's members, by their ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembersPage {
    /// Its members.
    pub members: Vec<Member>,
    /// Whether there are more behind the last one.
    pub has_more: bool,
}

impl Room {
    pub(super) fn new(client: Client, name: &str) -> Room {
        Room { client, name: name.into(), id: RoomId::parse(name).ok() }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is known of it; `None` if nothing is.
    #[must_use]
    pub fn view(&self) -> Option<RoomView> {
        self.client.shared().lock().core.room(self.id.as_ref()?)
    }

    /// Sends a text: see [`Room::message`] for what may go with it. It never waits for the network. With a
    /// [`FileOutbox`](crate::client::FileOutbox) the message is on this machine's disk when this returns.
    pub fn send(&self, text: &str) -> Ticket {
        self.message(text).send()
    }

    /// A message with more than a text.
    pub fn message(&self, text: &str) -> NewMessage {
        let kept = self.id().map(|room| Kept {
            id: self.client.new_id(),
            user: None,
            room,
            text: text.into(),
            data: None,
            reply_to: None,
            at: Timestamp(0),
            failed: None,
        });
        NewMessage { client: self.client.clone(), kept }
    }

    /// Changes the text of the user's own message.
    pub fn edit(&self, seq: u64, text: &str) -> Reply<Logged> {
        self.ask("chat:edit", read_logged, |w| {
            w.number("seq", seq);
            w.text("text", text);
        })
    }

    /// Deletes the user's own message, or any in a room of theirs.
    pub fn delete(&self, seq: u64) -> Reply<Logged> {
        self.ask("chat:delete", read_logged, |w| w.number("seq", seq))
    }

    /// Reacts to a message, or takes that back.
    pub fn react(&self, seq: u64, emoji: &str, on: bool) -> Reply<Logged> {
        self.ask("chat:react", read_logged, |w| {
            w.number("seq", seq);
            w.text("emoji", emoji);
            w.flag("on", on);
        })
    }

    /// A page of its log. The server gives at most 200 entries.
    pub fn history(&self, part: Part, limit: u32) -> Reply<HistoryPage> {
        self.ask("chat:history", read_history, |w| {
            match part {
                Part::Newest => {}
                Part::Before(seq) => w.number("before", seq),
                Part::After(seq) => w.number("after", seq),
            }
            w.number("limit", limit);
        })
    }

    /// A page of its members: those behind a user, by id, or the first ones.
    pub fn members(&self, after: Option<&UserId>, limit: u32) -> Reply<MembersPage> {
        self.ask("room:members", read_members, |w| {
            w.if_some("after", after.map(UserId::as_str), Writer::text);
            w.number("limit", limit);
        })
    }

    /// Joins it; a name that nobody uses becomes an open room of the user's own. The answer is what the server says of
    /// the room.
    pub fn join(&self) -> Reply<Box<str>> {
        let room = self.id();
        self.client.ask(
            |raw| Some(raw.into()),
            |call| Ok(CoreInput::Join { room: room?, call: Some(call) }),
        )
    }

    /// Leaves it.
    pub fn leave(&self) -> Reply<Box<str>> {
        let room = self.id();
        self.client.ask(|raw| Some(raw.into()), |call| Ok(CoreInput::Leave { room: room?, call }))
    }

    /// Wants all that is behind an entry: the last that the program has seen, before it began for example. If some of it
    /// was told already, it is told again.
    pub fn go_on_from(&self, seq: u64) {
        self.tell(|room| CoreInput::From { room, seq });
    }

    /// The user has read up to this entry, or all that came; the server is told once a second at most.
    pub fn mark_read(&self, seq: Option<u64>) {
        self.tell(|room| CoreInput::MarkRead { room, seq });
    }

    /// The user types, or does no more; the server is told every three seconds at most.
    pub fn typing(&self, typing: bool) {
        self.tell(|room| CoreInput::Typing { room, typing });
    }

    fn id(&self) -> Result<RoomId, RequestError> {
        self.id.clone().ok_or_else(|| RequestError::own("bad_name"))
    }

    fn tell(&self, input: impl FnOnce(RoomId) -> CoreInput<'static>) {
        if let Some(room) = &self.id {
            self.client.shared().input(input(room.clone()));
        }
    }

    fn ask<T>(
        &self,
        kind: &str,
        read: fn(&str) -> Option<T>,
        fill: impl FnOnce(&mut Writer),
    ) -> Reply<T> {
        let payload = object(|w| {
            w.text("room", &self.name);
            fill(w);
        });
        let (id, kind) = (self.id(), kind.to_owned());
        let ask = |call| CoreInput::Ask { call, kind, payload, timeout_ms: None };
        self.client.ask(read, |call| id.map(|_| ask(call)))
    }
}

impl NewMessage {
    /// What goes with it: any JSON.
    pub fn data(mut self, json: &str) -> NewMessage {
        // The envelope and the payload are two levels.
        let read = whole(json, crate::base::limits::JSON_DEPTH_MAX - 2);
        self.kept = self.kept.and_then(|kept| match read {
            Ok(json) => Ok(Kept { data: Some(json.into()), ..kept }),
            Err(_) => Err(RequestError::own("bad_json")),
        });
        self
    }

    /// The entry to which it replies.
    pub fn reply_to(mut self, seq: u64) -> NewMessage {
        self.kept = self.kept.map(|kept| Kept { reply_to: Some(seq), ..kept });
        self
    }

    /// Its id, for a program that has one of its own: a message that was sent with the same, by the same user in the
    /// same room, is not stored again.
    pub fn id(mut self, id: &str) -> NewMessage {
        self.kept = self.kept.map(|kept| Kept { id: Arc::from(id), ..kept });
        self
    }

    /// Of whom it is, for a program that knows: it waits until the server says that they are here. Without this it is of
    /// whoever is here by then.
    pub fn of(mut self, user: UserId) -> NewMessage {
        self.kept = self.kept.map(|kept| Kept { user: Some(user), ..kept });
        self
    }

    /// Sends it.
    pub fn send(self) -> Ticket {
        match self.kept {
            Ok(kept) => self.client.send(kept),
            Err(error) => self.client.refused(self.client.new_id(), error),
        }
    }
}

fn read_logged(raw: &str) -> Option<Logged> {
    let payload = ToldObject::parse(raw)?;
    let (seq, ts) = (payload.number("seq")?, Timestamp(payload.integer("ts")?));
    Some(Logged { seq, ts, is_duplicate: payload.flag("duplicate") })
}

fn read_history(raw: &str) -> Option<HistoryPage> {
    let payload = ToldObject::parse(raw)?;
    let entry = |raw| {
        let message = ToldMessage::parse(raw)?;
        crate::wire::entry::read(&message.kind, &ToldObject::parse(message.payload)?)
    };
    let entries = items(payload.raw("entries")?).into_iter().filter_map(entry).collect();
    Some(HistoryPage { entries, head: payload.number("head")?, has_more: payload.flag("more") })
}

fn read_members(raw: &str) -> Option<MembersPage> {
    let payload = ToldObject::parse(raw)?;
    let member = |raw| {
        let member = ToldObject::parse(raw)?;
        Some(Member {
            user: member.user("user")?,
            name: member.text("name").unwrap_or_default().into(),
            is_online: member.raw("online").map(|raw| raw == "true"),
            is_owner: member.text("role").as_deref() == Some("owner"),
            read: member.number("read").unwrap_or_default(),
            delivered: member.number("delivered").unwrap_or_default(),
        })
    };
    let members = items(payload.raw("members")?).into_iter().filter_map(member).collect();
    Some(MembersPage { members, has_more: payload.flag("more") })
}
