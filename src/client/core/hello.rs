//! What the server says of itself (`docs/protocol.md`, "hello").

use crate::base::{Timestamp, UserId};
use crate::wire::told::ToldObject;
use std::collections::BTreeMap;

/// What the server has said of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hello {
    /// Its name and version.
    pub server: Box<str>,
    /// This connection's name, as in the server's log.
    pub connection: Box<str>,
    /// The life of its store.
    pub epoch: Box<str>,
    /// Its time.
    pub ts: Timestamp,
    /// Who this is.
    pub user: UserId,
    /// Their display name.
    pub name: Box<str>,
    /// Whether they are an admin.
    pub is_admin: bool,
    /// Whether they are a guest, who has no rooms.
    pub is_guest: bool,
    /// About how often it pings, in ms.
    pub heartbeat_ms: u64,
    /// Its limits, by the last parts of their keys.
    pub limits: BTreeMap<Box<str>, u64>,
    /// Whether what it acknowledges survives its end.
    pub is_durable: bool,
}

impl Hello {
    /// `None` for what is none.
    pub(super) fn read(payload: &ToldObject<'_>) -> Option<Hello> {
        let text = |name| Some(payload.text(name)?.into_owned().into_boxed_str());
        let user = payload.object("user")?;
        let limits = payload.object("limits").unwrap_or_default();
        let limits = limits.all().filter_map(|(name, raw)| Some((name.into(), raw.parse().ok()?)));
        Some(Hello {
            server: text("server").unwrap_or_default(),
            connection: text("connection").unwrap_or_default(),
            epoch: text("epoch")?,
            ts: Timestamp(payload.integer("ts").unwrap_or_default()),
            user: user.user("id")?,
            name: user.text("name").map(|name| name.into_owned().into()).unwrap_or_default(),
            is_admin: user.flag("admin"),
            is_guest: user.flag("anonymous"),
            heartbeat_ms: payload.number("heartbeat_ms").unwrap_or_default(),
            limits: limits.collect(),
            is_durable: payload.text("durability").as_deref() == Some("disk"),
        })
    }
}
