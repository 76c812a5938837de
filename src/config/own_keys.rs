//! Keys with their own types: where to listen, where the data is, and access.

use super::config::Creators;
use super::key::TakesEffect::{Live, Restart};
use super::key::{ConfigKey, ValueKind};
use super::keys::text;
use crate::hub::Scope;
use crate::store::Place;
use std::net::{Ipv4Addr, SocketAddr};

/// An address and a port. A port alone, and `localhost`, mean this machine, so that nobody else is
/// admitted by accident.
fn listen(text: &str) -> Option<SocketAddr> {
    let of_this_machine = |port: &str| -> Option<SocketAddr> {
        let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = Some(port).filter(|_| is_port)?.parse().ok()?;
        Some((Ipv4Addr::LOCALHOST, port).into())
    };
    let port = text.strip_prefix("localhost").unwrap_or(text);
    text.parse().ok().or_else(|| of_this_machine(port.strip_prefix(':').unwrap_or(text)))
}

pub(super) const LISTEN: ConfigKey = ConfigKey {
    name: "listen",
    effect: Restart,
    about: "Where to listen.",
    kind: ValueKind::Text {
        wants: "an IP address and a port, as 127.0.0.1:8080, or a port alone, as 8080, of this machine; port 0 for one that is free",
        get: |config| config.listen.to_string(),
        set: |config, text| {
            config.listen = listen(text)?;
            Some(())
        },
    },
};

pub(super) const DATA: ConfigKey = ConfigKey {
    name: "data",
    effect: Restart,
    about: "Where the data is kept.",
    kind: ValueKind::Text {
        wants: "a directory, :memory: to keep nothing, or empty for parlor in the user's data directory",
        get: |config| match &config.data {
            Place::Directory(directory) => text(directory),
            Place::Memory => ":memory:".to_owned(),
        },
        set: |config, text| {
            config.data = match text {
                ":memory:" => Place::Memory,
                directory => Place::Directory(directory.into()),
            };
            Some(())
        },
    },
};

pub(super) const ORIGINS: ConfigKey = ConfigKey {
    name: "http.allowed_origins",
    effect: Live,
    about: "Origins of other web pages that may connect.",
    kind: ValueKind::List {
        wants: "a list of origins, each a scheme and a host, as https://example.com",
        get: |config| config.allowed_origins.clone(),
        set: |config, origins| {
            if !origins.iter().all(|origin| is_origin(origin)) {
                return None;
            }
            config.allowed_origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
            Some(())
        },
    },
};

/// RFC 6454 §6.2: a scheme, a host and a port. No browser sends anything else.
fn is_origin(text: &str) -> bool {
    let is_of_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    ["http://", "https://"].iter().any(|scheme| {
        text.strip_prefix(scheme)
            .is_some_and(|host| !host.is_empty() && host.bytes().all(is_of_host))
    })
}

pub(super) const SCOPE: ConfigKey = ConfigKey {
    name: "presence.scope",
    effect: Restart,
    about: "Who learns who is online: everyone, people with a room in common, or nobody.",
    kind: ValueKind::Text {
        wants: "everyone, rooms or off",
        get: |config| config.presence.as_str().to_owned(),
        set: |config, text| {
            let scopes = [Scope::Everyone, Scope::Rooms, Scope::Off];
            config.presence = scopes.into_iter().find(|scope| scope.as_str() == text)?;
            Some(())
        },
    },
};

pub(super) const CREATORS: ConfigKey = ConfigKey {
    name: "rooms.create",
    effect: Live,
    about: "Who may create rooms.",
    kind: ValueKind::Text {
        wants: "anyone or admin",
        get: |config| match config.rooms_create {
            Creators::Anyone => "anyone".to_owned(),
            Creators::Admin => "admin".to_owned(),
        },
        set: |config, text| {
            config.rooms_create = match text {
                "anyone" => Creators::Anyone,
                "admin" => Creators::Admin,
                _ => return None,
            };
            Some(())
        },
    },
};
