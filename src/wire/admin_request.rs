//! Parses what admins ask of the server itself.

use super::request::{Envelope, Fault, Fields, connection};
use super::types::is_push_type;
use crate::base::limits::PUSH_USERS_MAX;
use crate::base::{ConnId, RoomId, UserId};
use std::borrow::Cow;

/// Which connections are meant.
#[derive(Clone, Debug)]
pub(crate) enum ConnectionSelector {
    All,
    Connection(ConnId),
    Users(Vec<UserId>),
    Room(RoomId),
}

#[derive(Debug)]
pub(crate) enum AdminRequest<'a> {
    Connections {
        after: Option<ConnId>,
        limit: usize,
    },
    DisconnectOne(ConnId),
    DisconnectUser(UserId),
    /// Pauses or resumes the source of a stream, by its declared name.
    Pause {
        stream: Cow<'a, str>,
        is_paused: bool,
    },
    /// A message of the application; its payload is an object's JSON.
    Push {
        to: ConnectionSelector,
        kind: Cow<'a, str>,
        payload: &'a str,
    },
    User(UserId),
    Users {
        after: Option<UserId>,
        limit: usize,
    },
}

/// Parses a request; `Ok(None)` if it is none of these.
pub(crate) fn admin_request<'a>(
    envelope: &Envelope<'_>,
    fields: &Fields<'_, 'a>,
) -> Result<Option<AdminRequest<'a>>, Fault> {
    Ok(Some(match envelope.kind.as_ref() {
        "admin:connections" => AdminRequest::Connections {
            after: connection(fields, "after")?,
            limit: fields.limit()?,
        },
        "admin:disconnect" => match (connection(fields, "connection")?, user(fields)?) {
            (Some(conn), None) => AdminRequest::DisconnectOne(conn),
            (None, Some(user)) => AdminRequest::DisconnectUser(user),
            _ => {
                let message = "either this or connection is needed";
                return Err(Fault::bad_request("user", message));
            }
        },
        "admin:pause" => AdminRequest::Pause { stream: declared(fields)?, is_paused: true },
        "admin:resume" => AdminRequest::Pause { stream: declared(fields)?, is_paused: false },
        "admin:push" => push(fields)?,
        "admin:user" => AdminRequest::User(fields.user()?),
        "admin:users" => AdminRequest::Users {
            after: fields.name("after", UserId::parse_any)?,
            limit: fields.limit()?,
        },
        _ => return Ok(None),
    }))
}

fn declared<'a>(fields: &Fields<'_, 'a>) -> Result<Cow<'a, str>, Fault> {
    fields.text("stream")?.ok_or(Fault::needed("stream"))
}

fn push<'a>(fields: &Fields<'_, 'a>) -> Result<AdminRequest<'a>, Fault> {
    let kind = fields.text("type")?.unwrap_or_default();
    if !is_push_type(&kind) {
        let message = "this is a type of at most 64 bytes, all visible, and none of the wire's own";
        return Err(Fault::bad_request("type", message));
    }
    let payload = fields.payload.get("payload").unwrap_or("{}");
    if !payload.starts_with('{') {
        return Err(Fault::bad_request("payload", "the payload is an object"));
    }
    let limit = fields.limits.message_bytes;
    if (kind.len() + payload.len()) as u64 > limit {
        return Err(Fault::too_large("payload", limit));
    }
    Ok(AdminRequest::Push { to: pushed_to(fields)?, kind, payload })
}

/// Whom a push is for: the request says it in one of five ways.
fn pushed_to(fields: &Fields<'_, '_>) -> Result<ConnectionSelector, Fault> {
    let mut selector = Vec::new();
    selector.extend(connection(fields, "connection")?.map(ConnectionSelector::Connection));
    selector.extend(user(fields)?.map(|user| ConnectionSelector::Users(vec![user])));
    selector.extend(fields.names("users", PUSH_USERS_MAX, UserId::parse_any)?.map(|mut users| {
        users.sort();
        users.dedup();
        ConnectionSelector::Users(users)
    }));
    selector.extend(fields.name("room", RoomId::parse)?.map(ConnectionSelector::Room));
    selector.extend(fields.flag("all")?.filter(|all| *all).map(|_| ConnectionSelector::All));
    match (selector.pop(), selector.is_empty()) {
        (Some(to), true) => Ok(to),
        _ => {
            let message = "one of connection, user, users, room and all is needed";
            Err(Fault::bad_request("users", message))
        }
    }
}

fn user(fields: &Fields<'_, '_>) -> Result<Option<UserId>, Fault> {
    fields.name("user", UserId::parse_any)
}
