//! The hub's output → JSON, encoded once for all recipients.

use super::entry::entry;
use super::json::{Writer, object};
use super::stream_encode;
use crate::base::answer::{
    InviteInfo, MemberInfo, NotResumed, PresenceInfo, Resumed, RoomPage, RoomSummary,
};
use crate::base::outbox::NO_SOURCE;
use crate::base::{
    Answer, Class, Entry, EntryKind, Limits, Notice, RefusalCode, RoomId, Timestamp, UserId,
};

/// A notice on the wire: its message, and what may happen to it while it waits.
pub(crate) struct Encoded {
    pub(crate) body: WireBody,
    pub(crate) class: Class,
    pub(crate) source: u32,
}

pub(crate) enum WireBody {
    Text(String),
    Binary(Vec<u8>),
}

/// Only the payload of a reply.
pub(crate) use super::json::object as payload;

/// Encodes a push.
pub(crate) fn notice(notice: &Notice) -> Encoded {
    let (text, class, source) = match notice {
        Notice::Event { stream, declaration, event, prev, form, source } => {
            return stream_encode::event(stream, declaration, event, *prev, *form, *source);
        }
        Notice::Age { stream, declaration, age, at, form, source } => {
            return stream_encode::age(stream, declaration, *age, (*at, *form), *source);
        }
        Notice::Unsubscribed { streams, message } => {
            return stream_encode::unsubscribed(streams, message);
        }
        Notice::Entry { entry: of_log, with_cid, source, .. } => {
            (entry(of_log, *with_cid), Class::Durable, *source)
        }
        Notice::Online { users, version, reset, room } => {
            presence_push("user:online", room, *reset, |w| {
                people(w, users, *version);
                if *reset {
                    w.flag("reset", true);
                }
            })
        }
        Notice::Offline { users, version, room } => {
            presence_push("user:offline", room, false, |w| people(w, users, *version))
        }
        Notice::Count { online, version, again, room } => {
            presence_push("user:count", room, *again, |w| {
                w.number("online", *online as u64);
                w.number("version", *version);
            })
        }
        Notice::Typing { room, user, typing, source } => {
            of_member("chat:typing", (room, user), *source, |w| w.flag("typing", *typing))
        }
        Notice::Read { room, user, seq, source } => {
            of_member("chat:read", (room, user), *source, |w| w.number("seq", *seq))
        }
        Notice::Delivered { room, user, seq, source } => {
            of_member("chat:delivered", (room, user), *source, |w| w.number("seq", *seq))
        }
        Notice::Updated { room, title, open, owner, by, source } => {
            let text = push("room:updated", |w| {
                w.text("room", room.as_str());
                w.text("title", title);
                w.flag("open", *open);
                user_if_some(w, "owner", owner);
                user_if_some(w, "by", by);
            });
            (text, Class::Durable, *source)
        }
        Notice::Invited(info) => {
            (push("room:invited", |w| invite(w, info)), Class::Reply, NO_SOURCE)
        }
        Notice::Removed { room, by, reason } => {
            let text = push("room:removed", |w| {
                w.text("room", room.as_str());
                user_if_some(w, "by", by);
                w.text("reason", reason);
            });
            (text, Class::Reply, NO_SOURCE)
        }
    };
    Encoded { body: WireBody::Text(text), class, source }
}

/// A push about presence: of the whole server, or of a room.
fn presence_push(
    kind: &str,
    room: &Option<(RoomId, u32)>,
    is_repeat: bool,
    fill: impl FnOnce(&mut Writer),
) -> (String, Class, u32) {
    let text = push(kind, |w| {
        if let Some((room, _)) = room {
            w.text("room", room.as_str());
        }
        fill(w);
    });
    // A repeat reports that an update was refused, and must not be refused for ever itself: while all
    // outboxes together are full, ephemeral messages do not get through, and it would be retried in
    // each turn.
    let class = if is_repeat { Class::Durable } else { Class::Ephemeral };
    (text, class, room.as_ref().map_or(NO_SOURCE, |(_, source)| *source))
}

fn people(w: &mut Writer, users: &[UserId], version: u64) {
    w.array("users", users, |w, user| w.item(user.as_str()));
    w.number("version", version);
}

/// What a member does in a room, and nobody needs to know later.
fn of_member(
    kind: &str,
    (room, user): (&RoomId, &UserId),
    source: u32,
    what: impl FnOnce(&mut Writer),
) -> (String, Class, u32) {
    let text = push(kind, |w| {
        w.text("room", room.as_str());
        w.text("user", user.as_str());
        what(w);
    });
    (text, Class::Ephemeral, source)
}

pub(super) fn user_if_some(w: &mut Writer, name: &str, user: &Option<UserId>) {
    w.if_some(name, user.as_ref().map(UserId::as_str), Writer::text);
}

/// `{"type":…,"payload":{…}}`
pub(crate) fn push(kind: &str, payload: impl FnOnce(&mut Writer)) -> String {
    object(|w| {
        w.text("type", kind);
        w.object_in("payload", payload);
    })
}

/// `{"type":…,"payload":…}`, with a payload that is already JSON.
pub(crate) fn push_raw(kind: &str, payload: &str) -> String {
    object(|w| {
        w.text("type", kind);
        w.raw("payload", payload);
    })
}

/// `{"type":"reply","id":…,"payload":{…}}`
pub(crate) fn reply(id: &str, payload: impl FnOnce(&mut Writer)) -> String {
    object(|w| {
        w.text("type", "reply");
        w.raw("id", id);
        w.object_in("payload", payload);
    })
}

/// As [`reply`], with a payload that is already JSON.
pub(crate) fn reply_raw(id: &str, payload: &str) -> String {
    object(|w| {
        w.text("type", "reply");
        w.raw("id", id);
        w.raw("payload", payload);
    })
}

pub(crate) fn answer(w: &mut Writer, answer: &Answer) {
    match answer {
        Answer::Sent { room, seq, ts, duplicate }
        | Answer::Changed { room, seq, ts, duplicate } => {
            w.text("room", room.as_str());
            stored(w, *seq, *ts, *duplicate);
        }
        Answer::Room(room) => summary(w, room),
        Answer::Joined(room, invited) => {
            summary(w, room);
            if !invited.is_empty() {
                w.array("invited", invited, |w, user| w.item(user.as_str()));
            }
        }
        Answer::Done { room, user } => {
            w.text("room", room.as_str());
            user_if_some(w, "user", user);
        }
        Answer::Rooms { rooms, more } => {
            w.array("rooms", rooms, |w, room| w.object(|w| summary(w, room)));
            w.flag("more", *more);
        }
        Answer::Members { members, more } => {
            w.array("members", members, |w, one| w.object(|w| member(w, one)));
            w.flag("more", *more);
        }
        Answer::History { room, entries, asker, head, more } => {
            w.text("room", room.as_str());
            w.array("entries", entries, |w, one| w.raw_item(&entry(one, is_by(one, asker))));
            w.number("head", *head);
            w.flag("more", *more);
        }
        Answer::Info { rooms, invites } => {
            room_page(w, rooms);
            w.array("invites", invites, |w, one| w.object(|w| invite(w, one)));
        }
        Answer::Noted => {}
        Answer::Read { room, seq, unread } => {
            w.text("room", room.as_str());
            w.number("seq", *seq);
            w.number("unread", *unread);
        }
        Answer::Presence { users, version, more } => {
            w.array("users", users, |w, user| w.object(|w| presence(w, user)));
            w.number("version", *version);
            w.flag("more", *more);
        }
        Answer::Resumed(resumed) => crate::wire::encode::resumed(w, resumed),
        Answer::Subscribed(subscribed) => stream_encode::subscribed(w, subscribed),
        Answer::Unsubscribed(ended) => {
            w.array("streams", ended, |w, stream| w.item(stream.as_str()));
        }
        Answer::Streams { streams, more } => {
            w.array("streams", streams, |w, one| w.object(|w| stream_encode::info(w, one)));
            w.flag("more", *more);
        }
        Answer::Stream(stream) => stream_encode::newest(w, stream),
        Answer::Subscribers { stream, seq, subscribers, more } => {
            w.text("stream", stream.as_str());
            w.number("seq", *seq);
            w.array("subscribers", subscribers, |w, one| {
                w.object(|w| stream_encode::subscriber(w, one));
            });
            w.flag("more", *more);
        }
        Answer::Published { stream, seq, ts, duplicate } => {
            w.text("stream", stream.as_str());
            stored(w, *seq, *ts, *duplicate);
        }
    }
}

/// Whether the asker wrote the message: only its author gets back the id given to it.
fn is_by(entry: &Entry, asker: &UserId) -> bool {
    match &entry.kind {
        EntryKind::Message { from, .. } => from == asker,
        EntryKind::Edited { .. }
        | EntryKind::Deleted { .. }
        | EntryKind::Reacted { .. }
        | EntryKind::Joined { .. }
        | EntryKind::Left { .. } => false,
    }
}

/// The log position of something just stored, or of a duplicate.
fn stored(w: &mut Writer, seq: u64, ts: Timestamp, is_duplicate: bool) {
    w.number("seq", seq);
    w.number("ts", ts.0);
    if is_duplicate {
        w.flag("duplicate", true);
    }
}

fn member(w: &mut Writer, member: &MemberInfo) {
    w.text("user", member.user.as_str());
    w.text("name", member.name.as_deref().unwrap_or(member.user.as_str()));
    w.if_some("online", member.online, Writer::flag);
    w.text("role", if member.owner { "owner" } else { "member" });
    w.number("read", member.read);
    w.number("delivered", member.delivered);
}

/// A user who is online.
pub(crate) fn presence(w: &mut Writer, user: &PresenceInfo) {
    w.text("user", user.user.as_str());
    w.text("name", user.name.as_deref().unwrap_or(user.user.as_str()));
    w.number("connections", user.connections as u64);
    w.number("since", user.since.0);
}

fn resumed(w: &mut Writer, resumed: &Resumed) {
    w.object_in("rooms", |w| {
        for (room, from, head) in &resumed.rooms {
            w.object_in(room.as_str(), |w| {
                w.number("from", *from);
                w.number("head", *head);
            });
        }
    });
    w.object_in("refused", |w| {
        for NotResumed { room, code, kept } in &resumed.refused {
            w.object_in(room.as_str(), |w| {
                w.text("code", code.as_str());
                if let Some((first, head)) = kept {
                    if *code == RefusalCode::Gone {
                        w.number("first", *first);
                    }
                    w.number("head", *head);
                }
            });
        }
    });
}

pub(crate) fn room_page(w: &mut Writer, page: &RoomPage) {
    w.array("rooms", &page.rooms, |w, room| w.object(|w| summary(w, room)));
    if let Some(last) = page.rooms.last().filter(|_| page.more) {
        w.text("after", last.room.as_str());
    }
}

pub(crate) fn summary(w: &mut Writer, room: &RoomSummary) {
    w.text("room", room.room.as_str());
    w.text("title", &room.title);
    w.flag("open", room.open);
    w.number("members", room.members as u64);
    w.number("head", room.head);
    if let Some((read, unread)) = room.read {
        w.number("read", read);
        w.number("unread", unread);
    }
}

pub(crate) fn invite(w: &mut Writer, invite: &InviteInfo) {
    w.text("room", invite.room.as_str());
    w.text("title", &invite.title);
    w.text("by", invite.by.as_str());
}

/// Limits under their own names.
macro_rules! numbers {
    ($w:ident, $limits:ident: $($name:ident),+) => {
        $($w.number(stringify!($name), $limits.$name);)+
    };
}

/// The limits that a client can reach.
pub(crate) fn limits(w: &mut Writer, limits: &Limits) {
    numbers!(
        w, limits: message_bytes, text_bytes, data_bytes, cid_bytes, emoji_bytes, title_bytes, page,
        requests_per_second, burst, connections_per_user, rooms, direct_rooms, room_members,
        create_members, invites, fragments, subscriptions, filters, filter_values, filter_depth
    );
    if limits.messages_per_minute > 0 {
        numbers!(w, limits: messages_per_minute);
    }
    if limits.user_requests_per_second > 0 {
        numbers!(w, limits: user_requests_per_second, user_burst);
    }
    if limits.user_work_per_second > 0 {
        numbers!(w, limits: user_work_per_second, user_work_burst);
    }
    if limits.bytes_per_second > 0 {
        numbers!(w, limits: bytes_per_second, bytes_burst);
    }
}
