//! What is said to a connection by itself: a text, a greeting, why it is closed.

use super::chat::Chat;
use crate::base::answer::{InviteInfo, RoomPage};
use crate::base::{ConnId, Origin};
use crate::protocol::CloseCode;
use crate::routes::own::{CALL_PATH, EVENTS_PATH};
use crate::store::Backend;
use crate::web::{Message, Net};
use crate::wire::close_codes::Close;
use crate::wire::encode;
use crate::wire::error::{ErrorDetail, ErrorReply};
use crate::wire::json::Writer;
use std::borrow::Cow;

impl<S: Backend> Chat<S> {
    /// Sends a text that is never refused.
    pub(super) fn say(&self, net: &mut Net<'_>, conn: ConnId, text: &str) {
        // Refused only when the WebSocket is not open any more, then nobody listens, or when it is none.
        if net.send(conn, Message::Text(text)).is_err() {
            self.tell(net, conn, None, text);
        }
    }

    /// Says why a connection is closed, and closes it. Some proxies swallow the code: it is told
    /// in an error before.
    pub(super) fn close_with(
        &mut self,
        net: &mut Net<'_>,
        conn: ConnId,
        why: Close,
        message: impl Into<Cow<'static, str>>,
    ) {
        self.close_until(net, conn, why, message, None);
    }

    /// The same, and says in how many ms the client may come back, where that is known.
    pub(super) fn close_until(
        &mut self,
        net: &mut Net<'_>,
        conn: ConnId,
        why: Close,
        message: impl Into<Cow<'static, str>>,
        retry_after_ms: Option<u64>,
    ) {
        // Not where another protocol is spoken, or none.
        if !self.speaks_nothing(net, conn) {
            let close = Some(why.code);
            let detail = ErrorDetail { close, retry_after_ms, ..ErrorDetail::default() };
            let error = ErrorReply { code: why.name.into(), message: message.into(), detail };
            net.count_error(conn);
            self.say(net, conn, &error.to_message(None));
        }
        net.close(conn, CloseCode(why.code), why.name);
    }

    /// Writes what `hello` and `info` say.
    pub(super) fn greeting(
        &self,
        w: &mut Writer,
        net: &Net<'_>,
        origin: &Origin,
        rooms: &RoomPage,
        invites: &[InviteInfo],
    ) {
        let Some(person) = self.person(origin) else { return };
        w.number("protocol", 1);
        w.text("server", concat!("parlor/", env!("CARGO_PKG_VERSION")));
        if let Origin::Conn(conn, _) = origin {
            w.text("connection", &conn.to_string());
        }
        w.text("epoch", self.hub.epoch());
        w.number("ts", net.timestamp().0);
        w.object_in("user", |w| {
            let id = person.user.as_str();
            w.text("id", id);
            w.text("name", self.hub.name_of(&person.user).unwrap_or(id));
            w.flag("admin", person.is_admin);
            if person.is_guest {
                w.flag("anonymous", true);
            }
        });
        // For whoever no WebSocket reaches, next time.
        w.object_in("http", |w| {
            w.text("events", EVENTS_PATH);
            w.text("call", CALL_PATH);
        });
        w.number("heartbeat_ms", self.config.limits.heartbeat_interval_ms);
        w.object_in("limits", |w| encode::limits(w, &self.announced_limits(&person)));
        let is_durable = self.config.data != crate::store::Place::Memory;
        w.text("durability", if is_durable { "disk" } else { "memory" });
        w.text("presence", self.config.presence.as_str());
        encode::room_page(w, rooms);
        w.array("invites", invites, |w, invite| w.object(|w| encode::invite(w, invite)));
    }
}
