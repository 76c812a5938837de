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
use crate::wire::request::{Envelope, Fault};
use crate::wire::server_encode::{self, ConnectionInfo, QualityInfo};

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
            self.refuse_type(net, origin);
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
                self.reply(net, origin, |w| server_encode::users(w, &users, more));
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
        let listed = here.by_ref().take(limit);
        let listed: Vec<_> = listed.map(|(conn, known)| shown(net, conn, known)).collect();
        let more = here.next().is_some();
        drop(here);
        let payload = encode::payload(|w| server_encode::connections(w, &listed, more));
        self.reply_raw(net, origin, payload);
    }

    /// Ends connections of any kind; `None` if the one that was named is not there.
    fn disconnect(&mut self, net: &mut Net<'_>, origin: &Origin, conns: Option<Vec<ConnId>>) {
        let Some(conns) = conns else {
            return self.refuse(net, origin, (&NO_SUCH_CONNECTION).into());
        };
        // Before the asker's own connection ends.
        self.reply(net, origin, |w| server_encode::closed(w, conns.len()));
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
        self.reply(net, origin, |w| server_encode::known_user(w, &info, &conns));
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
                self.reply(net, origin, |w| server_encode::reached(w, reached));
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

/// A connection, its traffic, and how well its peer is reached.
fn shown<'a>(net: &mut Net<'_>, conn: ConnId, known: &'a SignedIn) -> ConnectionInfo<'a> {
    let Traffic { sent, received, errors, drops } = net.traffic(conn);
    let (received_bytes, sent_bytes) = net.bytes_each_way(conn);
    let quality = net.quality(conn).map(|quality| QualityInfo {
        level: quality.level.as_str(),
        round_trip_ms: quality.round_trip_ms,
        min_ms: quality.min_ms,
        mean_ms: quality.mean_ms,
        max_ms: quality.max_ms,
        jitter_ms: quality.jitter_ms,
        stability: quality.stability,
    });
    let stream = match known.visitor.as_deref() {
        Some(Visitor::Watch(watch)) => Some(watch.stream.as_str()),
        _ => None,
    };
    ConnectionInfo {
        conn,
        user: &known.identity.user,
        is_admin: known.identity.admin,
        is_events: net.is_endless(conn),
        stream,
        address: net.address(conn).map(|address| address.to_string()),
        waiting_bytes: net.waiting_bytes(conn) as u64,
        messages: (sent, received),
        bytes: (sent_bytes, received_bytes),
        errors,
        drops,
        quality,
    }
}

/// Hands a push to connections, and returns how many took it. One that is full or closing does not.
pub(super) fn push_to(net: &mut Net<'_>, conns: &[ConnId], text: &str) -> usize {
    let mut broadcast = Broadcast::new(Message::Text(text));
    let reach = |conn: &&ConnId| hand(net, **conn, &mut broadcast, text, Class::Durable).is_ok();
    conns.iter().filter(reach).count()
}
