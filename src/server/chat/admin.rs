//! What admins ask of the server itself: who is connected and how, a push, an end, a pause of a
//! source.

use super::chat::Chat;
use super::deliver::hand;
use super::session::SignedIn;
use crate::base::{Class, ConnId, Origin, Refusal, RefusalCode, UserId};
use crate::protocol::Message;
use crate::protocol::endpoint::Broadcast;
use crate::server::http::opening::Visitor;
use crate::store::RecordStore;
use crate::web::{Net, Traffic};
use crate::wire::admin_request::{AdminRequest, ConnectionSelector, admin_request};
use crate::wire::close_codes::KICKED;
use crate::wire::encode;
use crate::wire::error::ErrorReply;
use crate::wire::json::Writer;
use crate::wire::request::{Envelope, Fault};

impl<S: RecordStore> Chat<S> {
    /// Carries out a request of an admin.
    ///
    /// # Errors
    /// A [`Fault`] of the request: nothing was done.
    pub(super) fn administer(
        &mut self,
        net: &mut Net<'_>,
        origin: &Origin,
        envelope: &Envelope<'_>,
    ) -> Result<(), Fault> {
        let fields = envelope.fields(&self.config.limits, net.timestamp());
        let Some(request) = admin_request(envelope, &fields)? else {
            let message = "no request has this type";
            self.refuse(net, origin, ErrorReply::new(RefusalCode::UnknownType, message));
            return Ok(());
        };
        match request {
            AdminRequest::Connections { after, limit } => {
                self.list_connections(net, origin, after, limit);
            }
            AdminRequest::DisconnectOne(conn) => {
                let conns = self.signed_in(conn).map(|_| vec![conn]);
                self.disconnect(net, origin, conns);
            }
            AdminRequest::DisconnectUser(user) => {
                let here = self.sessions.signed_in(None);
                let of_user = here.filter(|(_, known)| known.identity.user == user);
                let conns = of_user.map(|(conn, _)| conn).collect();
                self.disconnect(net, origin, Some(conns));
            }
            AdminRequest::Pause { stream, is_paused } => {
                self.pause_source(net, origin, &stream, is_paused);
            }
            AdminRequest::Push { to, kind, payload } => self.push(net, origin, &to, &kind, payload),
            AdminRequest::User(user) => self.show_user(net, origin, &user),
            AdminRequest::Users { after, limit } => {
                let (users, more) = self.hub.online(after.as_ref(), limit);
                self.reply(net, origin, |w| {
                    w.array("users", &users, |w, user| w.object(|w| encode::presence(w, user)));
                    w.flag("more", more);
                });
            }
        }
        Ok(())
    }

    fn list_connections(
        &mut self,
        net: &mut Net<'_>,
        origin: &Origin,
        after: Option<ConnId>,
        limit: usize,
    ) {
        let limit = limit.min(self.config.limits.page as usize);
        let mut here = self.sessions.signed_in(after);
        let listed: Vec<_> = here.by_ref().take(limit).collect();
        let payload = encode::payload(|w| {
            w.array("connections", listed, |w, (conn, known)| {
                w.object(|w| {
                    w.text("connection", &conn.to_string());
                    w.text("user", known.identity.user.as_str());
                    w.flag("admin", known.identity.admin);
                    w.text("kind", if net.is_endless(conn) { "events" } else { "websocket" });
                    if let Some(Visitor::Watch(watch)) = known.visitor.as_deref() {
                        w.text("stream", watch.stream.as_str());
                    }
                    let address = net.address(conn).map(|address| address.to_string());
                    w.if_some("address", address.as_deref(), Writer::text);
                    w.number("waiting_bytes", net.waiting_bytes(conn) as u64);
                    health(w, net, conn);
                });
            });
            w.flag("more", here.next().is_some());
        });
        drop(here);
        self.reply_raw(net, origin, payload);
    }

    /// Ends connections of any kind; `None` if the one that was named is not there.
    fn disconnect(&mut self, net: &mut Net<'_>, origin: &Origin, conns: Option<Vec<ConnId>>) {
        let Some(conns) = conns else {
            return self.refuse(net, origin, (&NO_SUCH_CONNECTION).into());
        };
        // Before the asker's own connection ends.
        self.reply(net, origin, |w| w.number("closed", conns.len() as u64));
        for conn in conns {
            self.close_with(net, conn, KICKED, "an admin has ended this connection");
        }
    }

    fn show_user(&mut self, net: &mut Net<'_>, origin: &Origin, user: &UserId) {
        let Some(info) = self.hub.known_user(user) else {
            let message = "no user with this id is online or in a room";
            let error = ErrorReply::new(RefusalCode::NoSuchUser, message);
            return self.refuse(net, origin, error);
        };
        let conns = self.hub.connections_of(user).to_vec();
        self.reply(net, origin, |w| {
            w.text("user", user.as_str());
            w.text("name", info.name.as_deref().unwrap_or(user.as_str()));
            w.flag("online", !conns.is_empty());
            if !conns.is_empty() {
                w.number("since", info.since.0);
            }
            w.array("connections", &conns, |w, conn| w.item(&conn.to_string()));
        });
    }

    /// Sends a message of the application to connections.
    fn push(
        &mut self,
        net: &mut Net<'_>,
        origin: &Origin,
        to: &ConnectionSelector,
        kind: &str,
        payload: &str,
    ) {
        match self.recipients(to) {
            Ok(conns) => {
                let reached = push_to(net, &conns, &encode::push_raw(kind, payload));
                self.reply(net, origin, |w| w.number("reached", reached as u64));
            }
            Err(refusal) => self.refuse(net, origin, (&refusal).into()),
        }
    }

    /// The connections that are told everything for somebody. Those for one stream alone and those
    /// with the embedding program's protocol are left out, because they do not understand the
    /// wire's messages.
    pub(super) fn recipients(&self, selector: &ConnectionSelector) -> Result<Vec<ConnId>, Refusal> {
        let is_told = |known: &SignedIn| known.visitor.is_none();
        match selector {
            ConnectionSelector::All => {
                let told = self.sessions.signed_in(None).filter(|(_, known)| is_told(known));
                Ok(told.map(|(conn, _)| conn).collect())
            }
            ConnectionSelector::Users(users) => {
                let of_users = users.iter().flat_map(|user| self.hub.connections_of(user));
                let guest = |user: &UserId| {
                    let conn = user.connection_of_guest()?;
                    let known = self.signed_in(conn)?;
                    (known.is_guest && is_told(known)).then_some(conn)
                };
                let guests = users.iter().filter_map(guest);
                Ok(of_users.copied().chain(guests).collect())
            }
            ConnectionSelector::Connection(conn) => {
                let known = self.signed_in(*conn).ok_or(NO_SUCH_CONNECTION)?;
                Ok(Vec::from_iter(is_told(known).then_some(*conn)))
            }
            ConnectionSelector::Room(room) => {
                let followers = self.hub.followers_of(room).map(Iterator::collect);
                followers.ok_or(Refusal::NO_SUCH_ROOM)
            }
        }
    }
}

pub(super) const NO_SUCH_CONNECTION: Refusal =
    Refusal::new(RefusalCode::NoSuchConnection, "there is no such connection");

/// Writes a connection's traffic, and how well its peer is reached.
fn health(w: &mut Writer, net: &mut Net<'_>, conn: ConnId) {
    let Traffic { sent, received, errors, drops } = net.traffic(conn);
    let (received_bytes, sent_bytes) = net.bytes_each_way(conn);
    w.number("sent", sent);
    w.number("received", received);
    w.number("sent_bytes", sent_bytes);
    w.number("received_bytes", received_bytes);
    w.number("errors", errors);
    w.number("drops", drops);
    let Some(quality) = net.quality(conn) else { return };
    w.object_in("quality", |w| {
        w.text("level", quality.level.as_str());
        w.tenths("rtt_ms", quality.round_trip_ms);
        w.number("min_ms", quality.min_ms);
        w.tenths("mean_ms", quality.mean_ms);
        w.number("max_ms", quality.max_ms);
        w.tenths("jitter_ms", quality.jitter_ms);
        w.number("stability", quality.stability);
    });
}

/// Hands a push to connections, and returns how many took it. One that is full or closing does not.
pub(super) fn push_to(net: &mut Net<'_>, conns: &[ConnId], text: &str) -> usize {
    let mut broadcast = Broadcast::new(Message::Text(text));
    let reach = |conn: &&ConnId| hand(net, **conn, &mut broadcast, text, Class::Durable).is_ok();
    conns.iter().filter(reach).count()
}
