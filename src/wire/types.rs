//! The names of all requests, and which of them are for whom.

/// Every request that there is, by its `type`.
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

/// The types of what the server sends whose names have no colon.
pub(crate) const PUSHED: &[&str] = &["error", "event", "hello", "notice", "reply", "subscribed"];

/// Names that events of Server-Sent Events have beside those: the server's own, and those of every
/// `EventSource`.
pub(crate) const EVENT_NAMES: &[&str] = &["connected", "keepalive", "message", "open", "resumed"];

/// How the types of requests begin that are for admins.
pub(crate) const ADMIN_PREFIX: &str = "admin:";

/// Requests for admins whose types begin otherwise.
const OF_ADMINS: &[&str] = &["auth:revoke", "stream:subscribers"];

/// Whether nobody but admins may send requests of a type.
pub(crate) fn is_for_admins(kind: &str) -> bool {
    kind.starts_with(ADMIN_PREFIX) || OF_ADMINS.contains(&kind)
}

/// Requests that act on the WebSocket on which they come: no call over HTTP can.
pub(crate) const OF_A_CONNECTION: &[&str] =
    &["auth", "resume", "stream:ack", "subscribe", "unsubscribe"];

/// Requests that guests may send, too.
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

/// Whether an application may have requests of a type: none of the wire's own names or prefixes.
pub(crate) fn is_free_type(kind: &str) -> bool {
    const PREFIXES: &[&str] =
        &["admin:", "chat:", "room:", "user:", "presence:", "auth:", "stream:"];
    let is_wires = TYPES.contains(&kind)
        || PUSHED.contains(&kind)
        || PREFIXES.iter().any(|prefix| kind.starts_with(prefix));
    !kind.is_empty() && !is_wires
}
