//! The table of all keys, one row each. `parlor.toml` is written in this order.

use super::key::TakesEffect::{self, Live, Opened, Restart};
use super::key::{ConfigKey, ValueKind};
use super::tls::CertificateFiles;
use super::values::{self, AUTH_URL_HEADERS_MAX, CREATORS, LOG_FORMATS, meant, named};
use super::{feed, handlers, listeners, retention, streams, suggest, user_limits};
use crate::auth::KeyFile;
use crate::base::limits::CERTIFICATES_MAX;
use crate::web::Proxies;

/// All keys, in the order in which they are listed.
#[must_use]
pub fn keys() -> &'static [ConfigKey] {
    KEYS
}

pub(super) fn find(name: &str) -> Option<&'static ConfigKey> {
    KEYS.iter().find(|key| key.name == name)
}

/// Whether there are keys in this table.
pub(super) fn is_table(name: &str) -> bool {
    KEYS.iter().any(|key| key.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
}

/// The key or table most similar to `name`.
pub(super) fn nearest(name: &str) -> Option<String> {
    let tables = KEYS.iter().filter_map(|key| key.name.rsplit_once('.')).map(|(table, _)| table);
    let names = KEYS.iter().map(|key| key.name).chain(tables);
    suggest::nearest(name, names).map(str::to_owned)
}

const fn key(
    name: &'static str,
    effect: TakesEffect,
    about: &'static str,
    kind: ValueKind,
) -> ConfigKey {
    ConfigKey { name, effect, about, kind }
}

/// A number in a field of the configuration.
macro_rules! number {
    ($name:literal, $effect:ident, $unit:literal,
     $($field:ident).+: $type:ident, $min:literal $(..= $max:literal)?, $about:literal) => {
        key($name, $effect, $about, ValueKind::Number {
            unit: $unit,
            min: $min,
            max: number!(@max $type $($max)?),
            get: |config| config.$($field).+ as u64,
            // Within the type's range: the caller has checked `max`.
            set: |config, number| config.$($field).+ = number as $type,
        })
    };
    (@max $type:ident) => { $type::MAX as u64 };
    (@max $type:ident $max:literal) => { $max };
}

macro_rules! flag {
    ($name:literal, $effect:ident, $($field:ident).+, $about:literal) => {
        key($name, $effect, $about, ValueKind::Flag {
            get: |config| config.$($field).+,
            set: |config, flag| config.$($field).+ = flag,
        })
    };
}

/// An optional text: an empty one removes it.
macro_rules! option {
    ($name:literal, $effect:ident, $wants:literal, $field:ident, $about:literal) => {
        key(
            $name,
            $effect,
            $about,
            ValueKind::Text {
                wants: $wants,
                get: |config| config.$field.iter().map(|value| values::os_text(&**value)).collect(),
                set: |config, text| {
                    config.$field = (!text.is_empty()).then(|| text.into());
                    Some(())
                },
            },
        )
    };
}

const NETWORKS: &str =
    "a list of at most 256 addresses and networks, such as 127.0.0.1, ::1 or 10.0.0.0/8";

#[rustfmt::skip]
const KEYS: &[ConfigKey] = &[
    key("listen", Restart, "Where to listen.", ValueKind::Text {
        wants: "an IP address and a port, such as 127.0.0.1:8080, or a port alone, such as 8080, of this machine; port 0 for one that is free",
        get: |config| config.listen.to_string(),
        set: |config, text| values::address(text).map(|address| config.listen = address),
    }),
    key("data", Restart, "Where the data is kept.", ValueKind::Text {
        wants: "a directory, :memory: to keep nothing, or empty for parlor in the user's data directory",
        get: |config| values::place_text(&config.data),
        set: |config, text| {
            config.data = values::place(text);
            Some(())
        },
    }),
    number!("threads", Restart, "threads", threads: u32, 0 ..= 64,
        "Threads that serve, each with its own connections. 0: one for each core."),
    key("listeners", Restart, "All that is listened on, in place of listen.",
        ValueKind::Section(listeners::LISTENERS)),
    option!("tls.cert_file", Live, "a file's name, or empty for none", tls_cert_file,
        "File of the certificate, and those above it (PEM). Without it connections are plain. It is read again at SIGHUP and when it changes."),
    option!("tls.key_file", Live, "a file's name, or empty for none", tls_key_file,
        "File of the certificate's private key (PEM)."),
    key("tls.certificates", Live,
        "More certificates: a client is shown the first one that is for the host it asks for, or else that of tls.cert_file.",
        ValueKind::List {
        wants: "a list of at most 64 pairs of files, each CERT:KEY",
        get: |config| config.tls_certificates.iter().map(CertificateFiles::to_string).collect(),
        set: |config, texts| {
            let files: Option<Vec<_>> = texts.iter().map(|text| CertificateFiles::parse(text)).collect();
            let files = files.filter(|files| files.len() <= CERTIFICATES_MAX);
            files.map(|files| config.tls_certificates = files)
        },
    }),
    option!("process.user", Restart, "USER or USER:GROUP, or empty to stay who started it", user,
        "Whom a server that root starts becomes, when its sockets are bound. Beyond loopback root must say it; root is allowed."),
    key("process.umask", Restart,
        "The permissions that the files it creates do not have.", ValueKind::Text {
        wants: "an octal number up to 777, such as 077",
        get: |config| format!("{:03o}", config.umask),
        set: |config, text| {
            let umask = u32::from_str_radix(text, 8).ok().filter(|umask| *umask <= 0o777);
            umask.map(|umask| config.umask = umask)
        },
    }),
    number!("limits.requests_per_second", Live, "requests", limits.requests_per_second: u32, 1,
        "Requests of a connection per second."),
    number!("limits.burst", Live, "requests", limits.burst: u32, 1,
        "Requests of a connection in one burst."),
    number!("limits.messages_per_minute", Live, "messages", limits.messages_per_minute: u32, 0,
        "Messages of a connection, and HTTP calls of a user, per minute. 0: no limit beside the rate."),
    number!("limits.user_requests_per_second", Live, "requests", limits.user_requests_per_second: u32, 0,
        "Requests of a user per second, over all connections and HTTP. 0: only each connection's limit."),
    number!("limits.user_burst", Live, "requests", limits.user_burst: u32, 1,
        "Requests of a user in one burst, over all connections and HTTP."),
    number!("limits.user_work_per_second", Live, "units", limits.user_work_per_second: u32, 0,
        "Work for a user per second; a unit is 4 KiB of a request or 16 KiB of an answer. 0: no limit."),
    number!("limits.user_work_burst", Live, "units", limits.user_work_burst: u32, 1,
        "Work for a user in one burst."),
    number!("limits.address_work_per_second", Live, "units", limits.address_work_per_second: u32, 0,
        "Work per second for all who are not signed in at one address (IPv6: a /64). 0: no limit."),
    number!("limits.address_work_burst", Live, "units", limits.address_work_burst: u32, 1,
        "Work for an address in one burst."),
    number!("limits.bytes_per_second", Live, "bytes", limits.bytes_per_second: u32, 0,
        "Bytes read from a WebSocket per second; the rest waits. 0: no limit."),
    number!("limits.bytes_burst", Live, "bytes", limits.bytes_burst: u32, 1,
        "Bytes read from a WebSocket in one burst."),
    number!("limits.malformed_requests", Live, "requests", limits.malformed_requests: u32, 1,
        "Malformed requests within abuse_window_ms after which a connection is closed."),
    number!("limits.limited_requests", Live, "requests", limits.limited_requests: u32, 1,
        "Requests over its rate within abuse_window_ms after which a connection is closed."),
    number!("limits.abuse_window_ms", Live, "ms", limits.abuse_window_ms: u64, 1,
        "Time in which malformed_requests and limited_requests are counted."),
    number!("limits.message_bytes", Opened, "bytes", limits.message_bytes: u64, 1,
        "Largest message from a client, before and after decompression."),
    number!("limits.text_bytes", Live, "bytes", limits.text_bytes: u32, 0,
        "Largest text of a chat message, after JSON unescaping."),
    number!("limits.data_bytes", Live, "bytes", limits.data_bytes: u32, 0,
        "Largest `data` of a chat message, as the client wrote it."),
    number!("limits.cid_bytes", Live, "bytes", limits.cid_bytes: u32, 1..=4_096,
        "Longest client id of a message or a publication."),
    number!("limits.emoji_bytes", Live, "bytes", limits.emoji_bytes: u32, 1..=4_096,
        "Longest reaction."),
    number!("limits.title_bytes", Live, "bytes", limits.title_bytes: u32, 0..=4_096,
        "Longest title of a room and display name of a user."),
    number!("limits.fragments", Opened, "fragments", limits.fragments: u32, 1,
        "Most fragments of a message."),
    number!("limits.connections", Restart, "connections", limits.connections: u32, 1,
        "Most connections at a time; the limit on open files may allow fewer."),
    number!("limits.connections_per_user", Live, "connections", limits.connections_per_user: u32, 1,
        "Most connections of a user. Lowering it closes none."),
    number!("limits.connections_per_address", Live, "connections", limits.connections_per_address: u32, 1,
        "Most connections of an address (IPv6: a /64). Lowering it closes none."),
    number!("limits.failed_proofs_per_second", Live, "proofs", limits.failed_proofs_per_second: u32, 1,
        "Failed tokens, codes, cookies and webhook signatures of an address (IPv6: a /64) per second."),
    number!("limits.failed_proofs_burst", Live, "proofs", limits.failed_proofs_burst: u32, 1,
        "Failed proofs of an address in one burst."),
    number!("limits.connections_per_address_minute", Live, "connections", limits.connections_per_address_minute: u32, 0,
        "New connections of an address (IPv6: a /64) per minute. 0: no limit."),
    number!("limits.rooms", Live, "rooms", limits.rooms: u32, 0,
        "Most rooms that a user has created or joined. A user may create as many per day, and at least 1000."),
    number!("limits.direct_rooms", Live, "rooms", limits.direct_rooms: u32, 0,
        "Most direct conversations in which a user has written."),
    number!("limits.stored_bytes_per_day", Live, "bytes", limits.stored_bytes_per_day: u32, 0,
        "Bytes that a user, or all guests of an address, may store per day, by the size of requests. 0: no limit."),
    number!("limits.disk_reserve_bytes", Live, "bytes", limits.disk_reserve_bytes: u64, 0,
        "With less free on the disk, only admins can store anything. 0: none."),
    number!("limits.added_rooms", Live, "rooms", limits.added_rooms: u32, 0,
        "Most rooms to which others have added a user, without direct ones. Beyond it, adding becomes inviting."),
    number!("limits.all_rooms", Live, "rooms", limits.all_rooms: u32, 1,
        "Most rooms on the server, with direct ones, without ended ones."),
    number!("limits.room_members", Live, "members", limits.room_members: u32, 1,
        "Most members of a room; also most invitations, most bans."),
    number!("limits.invites", Live, "rooms", limits.invites: u32, 0,
        "Most open invitations of a user."),
    number!("limits.create_members", Live, "members", limits.create_members: u32, 0,
        "Most members named by one `room:create`."),
    number!("limits.guests", Live, "connections", limits.guests: u32, 0,
        "Most guests at a time, with auth.anonymous."),
    number!("limits.guest_requests_per_second", Live, "requests", limits.guest_requests_per_second: u32, 1,
        "Requests of a guest's connection per second."),
    number!("limits.guest_burst", Live, "requests", limits.guest_burst: u32, 1,
        "Requests of a guest's connection in one burst."),
    number!("limits.subscriptions", Live, "streams", limits.subscriptions: u32, 0,
        "Most streams watched by a connection."),
    number!("limits.filters", Live, "filters", limits.filters: u32, 0,
        "Most of these watched through a filter."),
    number!("limits.stream_filters", Live, "filters", limits.stream_filters: u32, 0,
        "Most different filters on one stream."),
    number!("limits.filter_values", Live, "values", limits.filter_values: u32, 1,
        "Most values of a filter's `in` condition."),
    number!("limits.filter_depth", Live, "names", limits.filter_depth: u32, 1,
        "Most names in a filter's JSON pointer."),
    number!("limits.streams", Live, "streams", limits.streams: u32, 0,
        "Most streams on the server, including those of families."),
    number!("limits.polled_streams_per_user", Live, "streams", limits.polled_streams_per_user: u32, 0,
        "Most streams of families that are polled for one user."),
    number!("limits.polled_streams_per_address", Live, "streams", limits.polled_streams_per_address: u32, 0,
        "Most streams of families that are polled for guests of one address."),
    number!("limits.stream_bytes", Live, "bytes", limits.stream_bytes: u32, 1,
        "Most bytes kept of a stream's events; the newest is kept whatever its size."),
    number!("limits.all_streams_bytes", Live, "bytes", limits.all_streams_bytes: usize, 1_024,
        "Most bytes kept in memory of all streams' events together."),
    number!("limits.page", Live, "entries", limits.page: u32, 1,
        "Most entries on one page of a log or a list."),
    number!("limits.listed_rooms", Live, "rooms", limits.listed_rooms: u32, 1,
        "Most rooms in one `hello` or `info`; clients ask for the rest."),
    number!("limits.page_bytes", Live, "bytes", limits.page_bytes: u32, 1,
        "Most bytes on one page of a log, unless a single entry is larger."),
    number!("limits.tail_entries", Live, "entries", limits.tail_entries: u32, 0,
        "Newest entries of each room kept in memory."),
    number!("limits.tail_bytes", Live, "bytes", limits.tail_bytes: u32, 0,
        "Most bytes of these entries."),
    number!("limits.outbox_bytes", Restart, "bytes", limits.outbox_bytes: u32, 1_024,
        "Most bytes waiting to be sent to a connection."),
    number!("limits.outbox_low_bytes", Restart, "bytes", limits.outbox_low_bytes: u32, 1,
        "A connection that fell behind is sent more when less than this waits. At most half of outbox_bytes."),
    number!("limits.all_outboxes_bytes", Restart, "bytes", limits.all_outboxes_bytes: usize, 0,
        "Most bytes waiting for all connections; a message to many counts once. 0: a quarter of the memory available at the start, at most 256 MiB. Beyond it connections are cut."),
    number!("limits.stall_timeout_ms", Live, "ms", limits.stall_timeout_ms: u64, 1,
        "Time in which a connection must take 64 KiB, or all that waits for it; else it is closed."),
    number!("limits.head_bytes", Live, "bytes", limits.head_bytes: u32, 64,
        "Largest head of an HTTP request."),
    number!("limits.headers", Live, "fields", limits.headers: u32, 1,
        "Most fields in the head of an HTTP request."),
    key("limits.users", Live,
        "Limits of single users, in place of everybody's.",
        ValueKind::Section(user_limits::USERS)),
    key("limits.claims", Live,
        "How far a token's claim `limits` may raise its user's limits. It may always lower them.",
        ValueKind::Section(user_limits::CLAIMS)),
    number!("handshake.timeout_ms", Live, "ms", limits.handshake_timeout_ms: u64, 1,
        "Longest time from the TCP connection to the request's whole head."),
    flag!("auth.open", Restart, is_open_asked,
        "Open mode, explicitly: everybody is who they say they are. An error with a key, or with an address that is not loopback."),
    option!("auth.secret_file", Live, "a file's name, or empty for none", secret_file,
        "File of the secret that signs tokens (HS256), at least 32 bytes."),
    key("auth.key_files", Live,
        "Files with public keys for tokens (PEM) or key sets (JWKS).", ValueKind::List {
        wants: "a list of files, each FILE or KID=FILE",
        get: |config| config.key_files.iter().map(KeyFile::to_string).collect(),
        set: |config, files| {
            let files: Option<_> = files.iter().map(|file| KeyFile::parse(file)).collect();
            files.map(|files| config.key_files = files)
        },
    }),
    option!("auth.admin_token_file", Restart, "a file's name, or empty for none", admin_token_file,
        "File of the admins' token for HTTP calls, at least 32 bytes."),
    option!("auth.audience", Live, "a text, or empty for anybody", audience,
        "Audience (aud) that tokens must name."),
    option!("auth.issuer", Live, "a text, or empty for anybody", issuer,
        "Issuer (iss) that tokens must name."),
    key("auth.url", Restart,
        "The application's backend that says who sends a request without a token (docs/authentication.md).",
        ValueKind::Text {
            wants: "a URL that begins with http:// or https://, without a user in it, or empty for none",
            get: |config| config.auth_url.clone().unwrap_or_default(),
            set: |config, text| {
                let url = (!text.is_empty()).then(|| text.to_owned());
                url.as_deref().is_none_or(feed::is_url).then(|| config.auth_url = url)
            },
        }),
    key("auth.url_headers", Live,
        "Fields of the request that it is given. A request without any of them is anonymous.",
        ValueKind::List {
            wants: "a list of up to 16 names of fields, none of those that parlor itself sends (X-Forwarded-For, X-Original-URI, …)",
            get: |config| config.auth_url_headers.clone(),
            set: |config, names| {
                let names = values::all(names, values::is_others_field)?;
                let names: Vec<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
                (names.len() <= AUTH_URL_HEADERS_MAX).then(|| config.auth_url_headers = names)
            },
        }),
    number!("auth.url_timeout_ms", Live, "ms", limits.auth_url_timeout_ms: u64, 1..=60_000,
        "How long to wait for the answer."),
    number!("auth.url_threads", Restart, "threads", limits.auth_url_threads: u32, 1..=256,
        "Threads that ask it."),
    number!("auth.leeway_ms", Live, "ms", limits.auth_leeway_ms: u64, 0,
        "Allowed clock difference for a token's times."),
    number!("auth.timeout_ms", Live, "ms", limits.auth_timeout_ms: u64, 1,
        "Longest time from the upgrade to a valid `auth`."),
    flag!("auth.anonymous", Live, lets_guests_in,
        "Whether guests are let in: by ?anonymous=1, and without a token on streams' own paths. They see only what is public."),
    key("http.allowed_origins", Live,
        "Origins of other web pages that may connect.", ValueKind::List {
        wants: "a list of origins, each a scheme and a host, such as https://example.com",
        get: |config| config.allowed_origins.clone(),
        set: |config, origins| {
            values::all(origins, values::is_origin).map(|origins| config.allowed_origins = origins)
        },
    }),
    number!("http.body_bytes", Live, "bytes", limits.http_body_bytes: u32, 0,
        "Largest content of an HTTP request."),
    number!("http.body_timeout_ms", Live, "ms", limits.http_body_timeout_ms: u64, 1,
        "Longest time from an HTTP request's head to the end of its content."),
    number!("http.idle_timeout_ms", Live, "ms", limits.http_idle_timeout_ms: u64, 1,
        "Longest time from an answer to the next request on an HTTP connection."),
    key("proxies.trusted", Opened,
        "Proxies whose X-Forwarded-For is trusted; their own addresses are not limited.", ValueKind::List {
        wants: NETWORKS,
        get: |config| values::networks(&config.proxies.trusted),
        set: |config, texts| Proxies::list(texts).map(|networks| config.proxies.trusted = networks),
    }),
    key("proxies.protocol", Opened,
        "Proxies whose connections must begin with a PROXY protocol header (version 1 or 2); no other may.", ValueKind::List {
        wants: NETWORKS,
        get: |config| values::networks(&config.proxies.protocol),
        set: |config, texts| Proxies::list(texts).map(|networks| config.proxies.protocol = networks),
    }),
    number!("backend.poll_threads", Restart, "threads", limits.backend_poll_threads: u32, 1..=256,
        "Threads that poll streams' sources."),
    number!("backend.call_threads", Restart, "threads", limits.backend_call_threads: u32, 1..=1_024,
        "Threads that call the application's backend for clients. When all are busy, requests wait in their handler's line."),
    number!("backend.retries", Live, "times", limits.backend_retries: u32, 0..=10,
        "Retries of a failed call: of polls always, of others only if the backend cannot have received it."),
    number!("backend.backoff_ms", Live, "ms", limits.backend_backoff_ms: u64, 1..=10_000,
        "Longest wait before the first retry; it doubles with each. Half of it is random."),
    number!("backend.circuit_failures", Live, "failures", limits.backend_circuit_failures: u32, 1,
        "Failures in a row after which a source, handler or auth.url is not called for a while."),
    number!("backend.circuit_open_ms", Live, "ms", limits.backend_circuit_open_ms: u64, 1,
        "How long it is not called; then one call tries it again."),
    flag!("metrics.public", Live, metrics_public,
        "Whether everybody may read /metrics; else admins, and in open mode everybody."),
    number!("heartbeat.interval_ms", Live, "ms", limits.heartbeat_interval_ms: u64, 10,
        "Time between two pings to a WebSocket, give or take a tenth."),
    number!("heartbeat.timeout_ms", Live, "ms", limits.heartbeat_timeout_ms: u64, 1,
        "How long one that was silent for that time has to answer the ping."),
    number!("heartbeat.message_timeout_ms", Live, "ms", limits.message_timeout_ms: u64, 1,
        "Longest time from a message's first byte to its last."),
    number!("closing.timeout_ms", Live, "ms", limits.closing_timeout_ms: u64, 1,
        "Longest time for the closing handshake and reading what follows."),
    key("presence.scope", Restart,
        "Who learns who is online: everyone, people with a room in common, or nobody.", ValueKind::Text {
        wants: "everyone, rooms or off",
        get: |config| config.presence.as_str().to_owned(),
        set: |config, text| values::scope(text).map(|scope| config.presence = scope),
    }),
    number!("presence.grace_ms", Live, "ms", limits.presence_grace_ms: u64, 0,
        "Time from the end of a user's last connection until others are told."),
    number!("presence.window_ms", Live, "ms", limits.presence_window_ms: u64, 1,
        "Shortest time between two presence announcements; it grows with the number of recipients."),
    number!("presence.listed_people", Live, "people", limits.presence_listed_people: u32, 1,
        "With more people online, only their number is announced."),
    key("rooms.create", Live, "Who may create rooms.", ValueKind::Text {
        wants: "anyone or admin",
        get: |config| named(CREATORS, config.rooms_create),
        set: |config, text| meant(CREATORS, text).map(|creators| config.rooms_create = creators),
    }),
    key("retention.default", Restart,
        "How much of a room's log is kept: entries, and the age of the oldest.", ValueKind::Text {
        wants: "ENTRIES/AGE_MS, each a number from 1 on or all",
        get: |config| retention::kept_text(config.retention.default),
        set: |config, text| retention::kept(text).map(|kept| config.retention.default = kept),
    }),
    key("retention.rooms", Restart,
        "How much is kept of the logs of single rooms.",
        ValueKind::Section(retention::ROOMS)),
    key("streams", Live, "Streams: named sources of updates that people only watch (docs/streams.md).",
        ValueKind::Section(streams::STREAMS)),
    key("handlers", Live,
        "Types of requests that the application's backend answers over HTTP (docs/handlers.md).",
        ValueKind::Section(handlers::HANDLERS)),
    flag!("compression.enabled", Restart, compression.enabled,
        "Whether messages are compressed for clients that offer it (permessage-deflate)."),
    number!("compression.level", Restart, "", compression.codecs.level: u8, 0..=9,
        "Level: 0 (stored), 1 (fast) to 9 (small)."),
    number!("compression.threshold_bytes", Restart, "bytes", compression.codecs.threshold_bytes: u32, 0,
        "Messages smaller than this are not compressed."),
    flag!("compression.context_takeover", Restart, compression.codecs.context_takeover,
        "Whether a message is compressed with the context of those before it."),
    number!("compression.windows_bytes", Restart, "bytes", compression.codecs.windows_bytes: usize, 0,
        "Most bytes for all connections' windows. Beyond it, no context is taken over."),
    key("log.level", Live,
        "What is logged, in all or by module.", ValueKind::Text {
        wants: "off, error, warn, info, debug or trace, or a comma-separated list of these, each for one MODULE=",
        get: |config| config.log_level.clone(),
        set: |config, text| text.split(',').all(values::is_log_filter).then(|| config.log_level = text.to_owned()),
    }),
    key("log.format", Live,
        "Text for people, or one JSON object per line.", ValueKind::Text {
        wants: "text or json",
        get: |config| named(LOG_FORMATS, config.log_format),
        set: |config, text| meant(LOG_FORMATS, text).map(|format| config.log_format = format),
    }),
];
