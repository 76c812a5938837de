//! The one table of all keys. A key is a row; the tables of `parlor.toml` are written in this order.

use super::key::{
    Effect::{Live, Opened, Restart},
    Key, Kind,
};
use super::own_keys::{CREATORS, DATA, LISTEN, ORIGINS, SCOPE};
use super::retention;
use super::{auth, handlers, logging, proxies, streams, suggest, user_limits};

/// All keys, in the order in which they are listed.
#[must_use]
pub fn keys() -> &'static [Key] {
    KEYS
}

/// The key of a name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// Whether there are keys in this table.
pub(super) fn is_table(name: &str) -> bool {
    KEYS.iter().any(|key| key.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
}

/// The key or the table that somebody most likely meant.
pub(super) fn nearest(name: &str) -> Option<String> {
    let tables = KEYS.iter().filter_map(|key| key.name.rsplit_once('.')).map(|(table, _)| table);
    let names = KEYS.iter().map(|key| key.name).chain(tables);
    suggest::nearest(name, names).map(str::to_owned)
}

/// A number, in one of the fields of the configuration.
macro_rules! number {
    ($name:literal, $effect:ident, $unit:literal,
     $($field:ident).+: $type:ident, $min:literal $(..= $max:literal)?, $about:literal) => {
        Key {
            name: $name,
            effect: $effect,
            about: $about,
            kind: Kind::Number {
                unit: $unit,
                min: $min,
                max: number!(@max $type $($max)?),
                get: |config| config.$($field).+ as u64,
                // Within the type's range: whoever sets it has compared it with `max`.
                set: |config, number| config.$($field).+ = number as $type,
            },
        }
    };
    (@max $type:ident) => { $type::MAX as u64 };
    (@max $type:ident $max:literal) => { $max };
}

macro_rules! flag {
    ($name:literal, $effect:ident, $($field:ident).+, $about:literal) => {
        Key {
            name: $name,
            effect: $effect,
            about: $about,
            kind: Kind::Flag {
                get: |config| config.$($field).+,
                set: |config, flag| config.$($field).+ = flag,
            },
        }
    };
}

/// A text that may be missing: an empty one takes it away.
macro_rules! option {
    ($name:literal, $effect:ident, $wants:literal, $field:ident, $about:literal) => {
        Key {
            name: $name,
            effect: $effect,
            about: $about,
            kind: Kind::Text {
                wants: $wants,
                get: |config| {
                    config
                        .$field
                        .iter()
                        .map(|value| crate::server::config::keys::text(value))
                        .collect()
                },
                set: |config, text| {
                    config.$field = (!text.is_empty()).then(|| text.into());
                    Some(())
                },
            },
        }
    };
}

pub(super) fn text(value: &(impl AsRef<std::ffi::OsStr> + ?Sized)) -> String {
    value.as_ref().to_string_lossy().into_owned()
}

#[rustfmt::skip]
const KEYS: &[Key] = &[
    LISTEN,
    DATA,
    number!("limits.requests_per_second", Live, "requests", limits.requests_per_second: u32, 1,
        "Requests of a connection a second."),
    number!("limits.burst", Live, "requests", limits.burst: u32, 1,
        "Requests that a connection may send at once after a pause."),
    number!("limits.messages_per_minute", Live, "messages", limits.messages_per_minute: u32, 0,
        "Messages of a connection in a minute, and calls of a user over HTTP; 0: no more than their rate."),
    number!("limits.user_requests_per_second", Live, "requests", limits.user_requests_per_second: u32, 0,
        "Requests of a user a second, over all connections and HTTP; 0: no more than each of these may."),
    number!("limits.user_burst", Live, "requests", limits.user_burst: u32, 1,
        "Requests that a user may send at once after a pause, over all connections and HTTP."),
    number!("limits.user_work_per_second", Live, "units", limits.user_work_per_second: u32, 0,
        "Units of work done for a user in a second: each 4 KiB of a request, each 16 KiB of an answer; 0: no limit."),
    number!("limits.user_work_burst", Live, "units", limits.user_work_burst: u32, 1,
        "Units of work done for a user at once after a pause."),
    number!("limits.address_work_per_second", Live, "units", limits.address_work_per_second: u32, 0,
        "The same for all at an address (IPv6: a /64) who have not said who they are: guests, and whoever reads the page."),
    number!("limits.address_work_burst", Live, "units", limits.address_work_burst: u32, 1,
        "Units of work done for them at once after a pause."),
    number!("limits.bytes_per_second", Live, "bytes", limits.bytes_per_second: u32, 0,
        "Bytes of a WebSocket that are read in a second, and what is more later; 0: as many as come."),
    number!("limits.bytes_burst", Live, "bytes", limits.bytes_burst: u32, 1,
        "Bytes of a WebSocket that are read at once after a pause."),
    number!("limits.malformed_requests", Live, "requests", limits.malformed_requests: u32, 1,
        "Malformed requests within abuse_window_ms that end a connection."),
    number!("limits.limited_requests", Live, "requests", limits.limited_requests: u32, 1,
        "Requests within abuse_window_ms that were refused for a rate, which end a connection."),
    number!("limits.abuse_window_ms", Live, "ms", limits.abuse_window_ms: u64, 1,
        "The time within which these are counted."),
    number!("limits.message_bytes", Opened, "bytes", limits.message_bytes: u64, 1,
        "Largest message of a client, also when it is inflated."),
    number!("limits.text_bytes", Live, "bytes", limits.text_bytes: u32, 0,
        "Text of a chat message, after unescaping."),
    number!("limits.data_bytes", Live, "bytes", limits.data_bytes: u32, 0,
        "`data` of a chat message, as it came."),
    number!("limits.cid_bytes", Live, "bytes", limits.cid_bytes: u32, 1..=4_096,
        "Client id of a message, and of a publication."),
    number!("limits.emoji_bytes", Live, "bytes", limits.emoji_bytes: u32, 1..=4_096,
        "A reaction."),
    number!("limits.title_bytes", Live, "bytes", limits.title_bytes: u32, 0..=4_096,
        "Title of a room, and display name of a user."),
    number!("limits.fragments", Opened, "fragments", limits.fragments: u32, 1,
        "Fragments of a message."),
    number!("limits.connections", Restart, "connections", limits.connections: u32, 1,
        "Connections in all; the limit on open files may leave fewer."),
    number!("limits.connections_per_user", Live, "connections", limits.connections_per_user: u32, 1,
        "Connections of a user, of whatever kind; those that are open stay."),
    number!("limits.connections_per_address", Live, "connections", limits.connections_per_address: u32, 1,
        "Connections of an address (IPv6: of a /64); those that are open stay."),
    number!("limits.failed_proofs_per_second", Live, "proofs", limits.failed_proofs_per_second: u32, 1,
        "Tokens, codes, cookies and webhooks' signatures of an address (IPv6: a /64) that may fail in a second."),
    number!("limits.failed_proofs_burst", Live, "proofs", limits.failed_proofs_burst: u32, 1,
        "How many of them may fail at once after a pause."),
    number!("limits.connections_per_address_minute", Live, "connections", limits.connections_per_address_minute: u32, 0,
        "Connections that an address (IPv6: a /64) may open in a minute; 0: as many as it likes."),
    number!("limits.rooms", Live, "rooms", limits.rooms: u32, 0,
        "Rooms that a user has created or joined, and may make in a day (there never under 1000)."),
    number!("limits.direct_rooms", Live, "rooms", limits.direct_rooms: u32, 0,
        "Direct conversations in which a user wrote."),
    number!("limits.stored_bytes_per_day", Live, "bytes", limits.stored_bytes_per_day: u32, 0,
        "What a user may store in a day, by the bytes of their requests; the guests of an address are one. 0: no limit."),
    number!("limits.disk_reserve_bytes", Live, "bytes", limits.disk_reserve_bytes: u64, 0,
        "What is left free on the disk: beyond it admins alone store something. 0: nothing."),
    number!("limits.added_rooms", Live, "rooms", limits.added_rooms: u32, 0,
        "Rooms in which a user is because others brought them there, those of direct messages apart; beyond it they \
         are invited."),
    number!("limits.all_rooms", Live, "rooms", limits.all_rooms: u32, 1,
        "Rooms in all, direct conversations included, those that have ended not."),
    number!("limits.room_members", Live, "members", limits.room_members: u32, 1,
        "Members of a room; also its invitations, and its bans."),
    number!("limits.invites", Live, "rooms", limits.invites: u32, 0,
        "Rooms to which a user is invited."),
    number!("limits.create_members", Live, "members", limits.create_members: u32, 0,
        "Members named in a `room:create`."),
    number!("limits.guests", Live, "connections", limits.guests: u32, 0,
        "Guests in all, with auth.anonymous."),
    number!("limits.guest_requests_per_second", Live, "requests", limits.guest_requests_per_second: u32, 1,
        "Requests of a guest's connection a second."),
    number!("limits.guest_burst", Live, "requests", limits.guest_burst: u32, 1,
        "Requests that a guest's connection may send at once after a pause."),
    number!("limits.subscriptions", Live, "streams", limits.subscriptions: u32, 0,
        "Streams that a connection watches."),
    number!("limits.filters", Live, "filters", limits.filters: u32, 0,
        "Streams of those that a connection watches by a filter."),
    number!("limits.stream_filters", Live, "filters", limits.stream_filters: u32, 0,
        "Different filters of a stream."),
    number!("limits.filter_values", Live, "values", limits.filter_values: u32, 1,
        "Values in an `in` of a filter."),
    number!("limits.filter_depth", Live, "names", limits.filter_depth: u32, 1,
        "Names in a JSON pointer of a filter."),
    number!("limits.streams", Live, "streams", limits.streams: u32, 0,
        "Streams in all, those of families included."),
    number!("limits.polled_streams_per_user", Live, "streams", limits.polled_streams_per_user: u32, 0,
        "Streams of families that are polled because a user watches them."),
    number!("limits.polled_streams_per_address", Live, "streams", limits.polled_streams_per_address: u32, 0,
        "Streams of families that are polled because guests of an address watch them."),
    number!("limits.stream_bytes", Live, "bytes", limits.stream_bytes: u32, 1,
        "What is kept of one stream's events, unless the newest alone is larger."),
    number!("limits.all_streams_bytes", Live, "bytes", limits.all_streams_bytes: usize, 1_024,
        "What is kept of all streams' events together."),
    number!("limits.page", Live, "entries", limits.page: u32, 1,
        "Entries of a page, of a log or a list."),
    number!("limits.listed_rooms", Live, "rooms", limits.listed_rooms: u32, 1,
        "Rooms in a `hello` and in an answer to `info`; the others are asked for."),
    number!("limits.page_bytes", Live, "bytes", limits.page_bytes: u32, 1,
        "Bytes of a page of a log, unless its one entry is larger."),
    number!("limits.tail_entries", Live, "entries", limits.tail_entries: u32, 0,
        "Newest entries of a room that are kept in memory."),
    number!("limits.tail_bytes", Live, "bytes", limits.tail_bytes: u32, 0,
        "Bytes of them."),
    number!("limits.outbox_bytes", Restart, "bytes", limits.outbox_bytes: u32, 1_024,
        "What may wait for a connection."),
    number!("limits.outbox_low_bytes", Restart, "bytes", limits.outbox_low_bytes: u32, 1,
        "Below this a connection that was behind is fed again; at most half of outbox_bytes."),
    number!("limits.all_outboxes_bytes", Restart, "bytes", limits.all_outboxes_bytes: usize, 0,
        "What may wait for all connections together; what is the same for many counts once. 0 for a \
         quarter of the memory that is left at the start (by the limit on the process, its cgroup and the \
         machine), 256 MiB at most. Full for 2 s, or exceeded by a quarter, whoever holds most is cut first."),
    number!("limits.stall_timeout_ms", Live, "ms", limits.stall_timeout_ms: u64, 1,
        "In this time what waits for a connection must move by 64 KiB, or to its end."),
    number!("limits.head_bytes", Live, "bytes", limits.head_bytes: u32, 64,
        "Head of an HTTP request."),
    number!("limits.headers", Live, "fields", limits.headers: u32, 1,
        "Fields in the head of an HTTP request."),
    user_limits::USERS,
    user_limits::CLAIMS,
    number!("handshake.timeout_ms", Live, "ms", limits.handshake_timeout_ms: u64, 1,
        "From the TCP connection to the end of the request's head."),
    flag!("auth.open", Restart, is_open_asked,
        "Open mode, expressly: everybody is who they say. With a key, or elsewhere than on a loopback \
         address, it is an error."),
    option!("auth.secret_file", Live, "a file's name, or empty for none", secret_file,
        "A file with the secret that signs tokens (HS256), of at least 32 bytes."),
    auth::KEY_FILES,
    option!("auth.admin_token_file", Restart, "a file's name, or empty for none", admin_token_file,
        "A file with the token of those who run the server, of at least 32 bytes, for calls over HTTP."),
    option!("auth.audience", Live, "a text, or empty for anybody", audience,
        "Whom tokens must be for (aud)."),
    option!("auth.issuer", Live, "a text, or empty for anybody", issuer,
        "Whom tokens must be from (iss)."),
    auth::AUTH_URL,
    auth::AUTH_URL_HEADERS,
    number!("auth.url_timeout_ms", Live, "ms", limits.auth_url_timeout_ms: u64, 1..=60_000,
        "How long its answer is waited for."),
    number!("auth.url_threads", Restart, "threads", limits.auth_url_threads: u32, 1..=256,
        "Threads that ask it."),
    number!("auth.leeway_ms", Live, "ms", limits.auth_leeway_ms: u64, 0,
        "How far a token's times may be off."),
    number!("auth.timeout_ms", Live, "ms", limits.auth_timeout_ms: u64, 1,
        "From the upgrade to a valid `auth`."),
    flag!("auth.anonymous", Live, lets_guests_in,
        "Whether those are let in as guests who do not say who they are: connections with ?anonymous=1, and those \
         without a token on streams' own paths. They see what is public."),
    ORIGINS,
    number!("http.body_bytes", Live, "bytes", limits.http_body_bytes: u32, 0,
        "Content of an HTTP request."),
    number!("http.body_timeout_ms", Live, "ms", limits.http_body_timeout_ms: u64, 1,
        "From the head of an HTTP request to the end of its content."),
    number!("http.idle_timeout_ms", Live, "ms", limits.http_idle_timeout_ms: u64, 1,
        "From an answer to the next request on an HTTP connection."),
    proxies::TRUSTED,
    proxies::PROTOCOL,
    number!("backend.poll_threads", Restart, "threads", limits.backend_poll_threads: u32, 1..=256,
        "Threads that poll the sources of streams."),
    number!("backend.call_threads", Restart, "threads", limits.backend_call_threads: u32, 1..=1_024,
        "Threads that ask the application's backend what somebody waits for; when all are busy it is `overloaded`."),
    number!("backend.retries", Live, "times", limits.backend_retries: u32, 0..=10,
        "How often what failed is tried again: a source always, else what the backend has not heard of."),
    number!("backend.backoff_ms", Live, "ms", limits.backend_backoff_ms: u64, 1..=10_000,
        "Longest wait before it is tried again for the first time; then twice that. Half of a wait is chance."),
    number!("backend.circuit_failures", Live, "failures", limits.backend_circuit_failures: u32, 1,
        "Failures in a row after which a source, a handler or auth.url is left alone."),
    number!("backend.circuit_open_ms", Live, "ms", limits.backend_circuit_open_ms: u64, 1,
        "For how long; then it is tried once."),
    flag!("metrics.public", Live, metrics_public,
        "Whether everybody may read /metrics: without it, admins, and in open mode everybody."),
    number!("heartbeat.interval_ms", Live, "ms", limits.heartbeat_interval_ms: u64, 10,
        "Silence of a connection after which a ping is sent."),
    number!("heartbeat.timeout_ms", Live, "ms", limits.heartbeat_timeout_ms: u64, 1,
        "How long its answer is waited for."),
    number!("heartbeat.message_timeout_ms", Live, "ms", limits.message_timeout_ms: u64, 1,
        "From a message's beginning to its end."),
    number!("closing.timeout_ms", Live, "ms", limits.closing_timeout_ms: u64, 1,
        "For the closing handshake and the drain after it, together."),
    SCOPE,
    number!("presence.grace_ms", Live, "ms", limits.presence_grace_ms: u64, 0,
        "From the end of a user's last connection to the announcement."),
    number!("presence.window_ms", Live, "ms", limits.presence_window_ms: u64, 1,
        "Shortest time between two announcements; it grows with the audience."),
    number!("presence.listed_people", Live, "people", limits.presence_listed_people: u32, 1,
        "People of an audience above which only their number is told."),
    CREATORS,
    retention::DEFAULT,
    Key {
        name: "retention.rooms",
        effect: Restart,
        about: "How much of the logs of single rooms is kept.",
        kind: Kind::Section(retention::ROOMS),
    },
    Key {
        name: "streams",
        effect: Live,
        about: "Streams: named sources of updates that people only watch (docs/streams.md).",
        kind: Kind::Section(streams::STREAMS),
    },
    Key {
        name: "handlers",
        effect: Live,
        about: "Types of requests that the application's backend answers over HTTP (docs/handlers.md).",
        kind: Kind::Section(handlers::HANDLERS),
    },
    flag!("compression.enabled", Restart, compression.enabled,
        "Whether messages are compressed for clients that offer it (permessage-deflate, RFC 7692)."),
    number!("compression.level", Restart, "", compression.codecs.level: u8, 0..=9,
        "0 (stored), 1 (fast) to 9 (small)."),
    number!("compression.threshold_bytes", Restart, "bytes", compression.codecs.threshold_bytes: u32, 0,
        "Smaller messages are not compressed."),
    flag!("compression.context_takeover", Restart, compression.codecs.context_takeover,
        "Whether a message is compressed with what the ones before it had."),
    number!("compression.windows_bytes", Restart, "bytes", compression.codecs.windows_bytes: usize, 0,
        "What the windows of all connections may come to; beyond it no context is taken over."),
    logging::LEVEL,
    logging::FORMAT,
];
