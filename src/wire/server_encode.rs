//! What the server says of itself, of its connections and to them → JSON. What the hub decides is in `encode.rs`.

use super::encode::{self, invite, presence, push, room_page};
use super::json::{Writer, object};
use super::stream_encode::{self, Usable};
use crate::base::answer::{InviteInfo, PresenceInfo, RoomPage};
use crate::base::{ConnId, Limits, Timestamp, UserId};

/// What `hello` says; the reply to `info` says it as of now.
pub(crate) struct HelloInfo<'a> {
    pub(crate) server: &'a str,
    /// `None` for a call over HTTP.
    pub(crate) connection: Option<ConnId>,
    pub(crate) epoch: &'a str,
    pub(crate) ts: Timestamp,
    pub(crate) user: &'a UserId,
    /// The display name.
    pub(crate) name: Option<&'a str>,
    pub(crate) is_admin: bool,
    pub(crate) is_guest: bool,
    /// The paths of events and of calls, for a client that can open no WebSocket next time.
    pub(crate) http: (&'a str, &'a str),
    pub(crate) heartbeat_ms: u64,
    pub(crate) limits: &'a Limits,
    pub(crate) is_durable: bool,
    /// The scope of presence.
    pub(crate) presence: &'a str,
    pub(crate) rooms: &'a RoomPage,
    pub(crate) invites: &'a [InviteInfo],
}

/// The members of `hello`.
pub(crate) fn greeting(w: &mut Writer, greeting: &HelloInfo<'_>) {
    w.number("protocol", 1);
    w.text("server", greeting.server);
    let connection = greeting.connection.map(|conn| conn.to_string());
    w.if_some("connection", connection.as_deref(), Writer::text);
    w.text("epoch", greeting.epoch);
    w.number("ts", greeting.ts.0);
    w.object_in("user", |w| {
        let id = greeting.user.as_str();
        w.text("id", id);
        w.text("name", greeting.name.unwrap_or(id));
        w.flag("admin", greeting.is_admin);
        if greeting.is_guest {
            w.flag("anonymous", true);
        }
    });
    w.object_in("http", |w| {
        w.text("events", greeting.http.0);
        w.text("call", greeting.http.1);
    });
    w.number("heartbeat_ms", greeting.heartbeat_ms);
    w.object_in("limits", |w| encode::limits(w, greeting.limits));
    w.text("durability", if greeting.is_durable { "disk" } else { "memory" });
    w.text("presence", greeting.presence);
    room_page(w, greeting.rooms);
    w.array("invites", greeting.invites, |w, one| w.object(|w| invite(w, one)));
}

/// What `info` says beside what `hello` says.
pub(crate) struct InfoMore<'a> {
    /// The requests that the asker may send.
    pub(crate) types: &'a [&'a str],
    pub(crate) streams: &'a [Usable<'a>],
    pub(crate) uptime_ms: u64,
    pub(crate) connections: u64,
    /// How many are online, for those who may know.
    pub(crate) online: Option<u64>,
    pub(crate) rooms: u64,
    /// What waits at the store, and how many bytes for connections; for admins.
    pub(crate) waiting: Option<(u64, u64)>,
}

/// The members of the reply to `info` that `hello` has not.
pub(crate) fn more(w: &mut Writer, more: &InfoMore<'_>) {
    w.array("types", more.types, |w, kind| w.item(kind));
    w.array("streams", more.streams, |w, one| w.object(|w| stream_encode::stream(w, one)));
    w.number("uptime_ms", more.uptime_ms);
    w.object_in("counts", |w| {
        w.number("connections", more.connections);
        w.if_some("online", more.online, Writer::number);
        w.number("rooms", more.rooms);
        if let Some((at_store, bytes)) = more.waiting {
            w.number("waiting_at_store", at_store);
            w.number("waiting_bytes", bytes);
        }
    });
}

/// The reply to `auth`.
pub(crate) fn signed_in(w: &mut Writer, user: &UserId, expires: Option<Timestamp>) {
    w.text("user", user.as_str());
    w.if_some("expires", expires.map(|expires| expires.0), Writer::number);
}

/// The reply to `ping`.
pub(crate) fn pong(w: &mut Writer, ts: Timestamp) {
    w.number("ts", ts.0);
}

/// How many connections are ended.
pub(crate) fn closed(w: &mut Writer, connections: usize) {
    w.number("closed", connections as u64);
}

/// How many connections took a push.
pub(crate) fn reached(w: &mut Writer, connections: usize) {
    w.number("reached", connections as u64);
}

/// A connection, as admins see it.
pub(crate) struct ConnectionInfo<'a> {
    pub(crate) conn: ConnId,
    pub(crate) user: &'a UserId,
    pub(crate) is_admin: bool,
    /// Whether it gets Server-Sent Events.
    pub(crate) is_events: bool,
    /// The one that it is for alone.
    pub(crate) stream: Option<&'a str>,
    pub(crate) address: Option<String>,
    pub(crate) waiting_bytes: u64,
    /// Messages sent and received.
    pub(crate) messages: (u32, u32),
    /// Bytes sent and received.
    pub(crate) bytes: (u64, u64),
    pub(crate) errors: u32,
    pub(crate) drops: u32,
    pub(crate) quality: Option<QualityInfo>,
}

/// How well the peer of a connection is reached.
pub(crate) struct QualityInfo {
    pub(crate) level: &'static str,
    pub(crate) round_trip_ms: f64,
    pub(crate) min_ms: u32,
    pub(crate) mean_ms: f64,
    pub(crate) max_ms: u32,
    pub(crate) jitter_ms: f64,
    pub(crate) stability: u32,
}

/// Connections, each by its [`connection`].
pub(crate) fn connections(w: &mut Writer, listed: &[(ConnId, String)], more: bool) {
    w.array("connections", listed, |w, (_, json)| w.raw_item(json));
    w.flag("more", more);
}

/// A connection, as an object's JSON.
pub(crate) fn connection(one: &ConnectionInfo<'_>) -> String {
    object(|w| write_connection(w, one))
}

fn write_connection(w: &mut Writer, one: &ConnectionInfo<'_>) {
    w.text("connection", &one.conn.to_string());
    w.text("user", one.user.as_str());
    w.flag("admin", one.is_admin);
    w.text("kind", if one.is_events { "events" } else { "websocket" });
    w.if_some("stream", one.stream, Writer::text);
    w.if_some("address", one.address.as_deref(), Writer::text);
    w.number("waiting_bytes", one.waiting_bytes);
    w.number("sent", one.messages.0);
    w.number("received", one.messages.1);
    w.number("sent_bytes", one.bytes.0);
    w.number("received_bytes", one.bytes.1);
    w.number("errors", one.errors);
    w.number("drops", one.drops);
    let Some(quality) = &one.quality else { return };
    w.object_in("quality", |w| {
        w.text("level", quality.level);
        w.tenths("rtt_ms", quality.round_trip_ms);
        w.number("min_ms", quality.min_ms);
        w.tenths("mean_ms", quality.mean_ms);
        w.number("max_ms", quality.max_ms);
        w.tenths("jitter_ms", quality.jitter_ms);
        w.number("stability", quality.stability);
    });
}

/// A user whom the server knows, and their connections.
pub(crate) fn known_user(w: &mut Writer, info: &PresenceInfo, conns: &[ConnId]) {
    w.text("user", info.user.as_str());
    w.text("name", info.name.as_deref().unwrap_or(info.user.as_str()));
    w.flag("online", !conns.is_empty());
    if !conns.is_empty() {
        w.number("since", info.since.0);
    }
    w.array("connections", conns, |w, conn| w.item(&conn.to_string()));
}

pub(crate) fn users(w: &mut Writer, users: &[PresenceInfo], more: bool) {
    w.array("users", users, |w, user| w.object(|w| presence(w, user)));
    w.flag("more", more);
}

/// What a source does, after it was paused or resumed.
pub(crate) fn paused(w: &mut Writer, stream: &str, state: &str) {
    w.text("stream", stream);
    w.text("state", state);
}

/// What feeds a stream, as admins see it.
pub(crate) struct SourceInfo<'a> {
    pub(crate) state: &'static str,
    /// The family's name, by which the source is paused, if it is one of a family.
    pub(crate) declared: Option<&'a str>,
    pub(crate) failures: u64,
    pub(crate) refused: u64,
    pub(crate) error: Option<&'a str>,
}

/// Members of a stream that only admins get: how old its newest event is, and what feeds it.
pub(crate) fn for_admins(w: &mut Writer, age_ms: Option<i64>, source: Option<&SourceInfo<'_>>) {
    w.if_some("age_ms", age_ms, Writer::number);
    let Some(source) = source else { return };
    w.object_in("source", |w| {
        w.text("state", source.state);
        w.if_some("declared", source.declared, Writer::text);
        w.number("failures", source.failures);
        w.number("refused", source.refused);
        w.if_some("error", source.error, Writer::text);
    });
}

/// The token ends soon.
pub(crate) fn token_expiring(expires: Timestamp) -> String {
    push("notice", |w| {
        w.text("code", "token_expiring");
        w.text("message", "send auth with a new token");
        w.number("expires", expires.0);
    })
}

/// The server restarts.
pub(crate) fn draining(spread_ms: u64) -> String {
    push("notice", |w| {
        w.text("code", "draining");
        w.text("message", "the server restarts: reconnect at a random time within spread_ms");
        w.number("spread_ms", spread_ms);
    })
}
