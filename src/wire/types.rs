//! The types of all requests, and who may send them.

use crate::base::limits::PUSH_TYPE_BYTES_MAX;

/// Every request type.
pub const TYPES: &[&str] = &[
    "admin:add",
    "admin:connections",
    "admin:disconnect",
    "admin:pause",
    "admin:push",
    "admin:resume",
    "admin:user",
    "admin:users",
    "auth",
    "auth:revoke",
    "chat:ack",
    "chat:delete",
    "chat:edit",
    "chat:history",
    "chat:react",
    "chat:read",
    "chat:send",
    "chat:typing",
    "info",
    "ping",
    "presence:list",
    "publish",
    "resume",
    "room:ban",
    "room:create",
    "room:delete",
    "room:info",
    "room:invite",
    "room:join",
    "room:leave",
    "room:list",
    "room:members",
    "room:remove",
    "room:unban",
    "room:update",
    "stream:ack",
    "stream:get",
    "stream:list",
    "stream:subscribers",
    "subscribe",
    "unsubscribe",
];

/// Types of the server's messages that contain no colon.
pub(crate) const PUSHED: &[&str] = &["error", "event", "hello", "notice", "reply", "subscribed"];

/// Further names of Server-Sent Events: the server's own, and those of every `EventSource`.
const EVENT_NAMES: &[&str] = &["connected", "keepalive", "message", "open", "resumed"];

/// The prefix of request types for admins.
pub(crate) const ADMIN_PREFIX: &str = "admin:";

/// Request types for admins without that prefix.
const OF_ADMINS: &[&str] = &["auth:revoke", "stream:subscribers"];

/// Whether only admins may send requests of a type.
pub(crate) fn is_for_admins(kind: &str) -> bool {
    kind.starts_with(ADMIN_PREFIX) || OF_ADMINS.contains(&kind)
}

/// Requests about the WebSocket that carries them: HTTP calls cannot make them.
pub(crate) const OF_A_CONNECTION: &[&str] =
    &["auth", "resume", "stream:ack", "subscribe", "unsubscribe"];

/// Requests that guests may also send.
pub(crate) const OF_GUESTS: &[&str] = &[
    "info",
    "ping",
    "publish",
    "stream:ack",
    "stream:get",
    "stream:list",
    "subscribe",
    "unsubscribe",
];

/// Whether an application may use a request type: it must not be one of the protocol's own names or
/// have one of its prefixes.
pub(crate) fn is_free_type(kind: &str) -> bool {
    const PREFIXES: &[&str] =
        &["admin:", "chat:", "room:", "user:", "presence:", "auth:", "stream:"];
    let is_wires = TYPES.contains(&kind)
        || PUSHED.contains(&kind)
        || PREFIXES.iter().any(|prefix| kind.starts_with(prefix));
    !kind.is_empty() && !is_wires
}

/// Whether a push of the application's may have this type: it cannot be taken for one of the server's, on a WebSocket or as
/// a Server-Sent Event, whose name is its type.
pub(crate) fn is_push_type(kind: &str) -> bool {
    is_push_name(kind) && !EVENT_NAMES.contains(&kind) && is_free_type(kind)
}

/// Whether it has the form of a push's type.
pub(crate) fn is_push_name(kind: &str) -> bool {
    kind.len() <= PUSH_TYPE_BYTES_MAX && !kind.chars().any(char::is_control)
}
