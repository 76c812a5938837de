//! What admins ask of the server itself: who is connected and how, a push, an end, a pause of a
//! source.

use super::chat::Chat;
use super::deliver::hand;
use super::session::SignedIn;
use super::surveys::{EndedConnections, Survey, SurveyPart, SurveyReader};
use crate::base::{Class, ConnId, Origin, Refusal, RefusalCode, UserId};
use crate::protocol::Message;
use crate::protocol::endpoint::Broadcast;
use crate::server::http::opening::Visitor;
use crate::store::RecordStore;
use crate::web::{Net, Traffic};
use crate::wire::admin_request::{AdminRequest, ConnectionSelector, admin_request};
use crate::wire::error::ErrorReply;
use crate::wire::request::{Envelope, Fault};
use crate::wire::server_encode::{self, ConnectionInfo, QualityInfo};

fn of(origin: &Origin) -> SurveyReader {
    SurveyReader::Request(origin.clone())
}

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
                let limit = limit.min(self.config.limits.page as usize);
                self.survey(net, Survey::Connections { after, limit }, of(origin));
            }
            AdminRequest::DisconnectOne(conn) => {
                self.survey(net, Survey::End(EndedConnections::One(conn)), of(origin));
            }
            AdminRequest::DisconnectUser(user) => {
                self.survey(net, Survey::End(EndedConnections::Of(user)), of(origin));
            }
            AdminRequest::Pause { stream, is_paused } => {
                self.pause_source(net, origin, &stream, is_paused);
            }
            AdminRequest::Push { to, kind, payload } => {
                let (kind, payload) = (kind.into_owned(), payload.to_owned());
                self.survey(net, Survey::Push { to, kind, payload }, of(origin));
            }
            AdminRequest::User(user) if self.hub.known_user(&user).is_none() => {
                self.no_such_user(net, origin);
            }
            AdminRequest::User(user) => {
                self.survey(net, Survey::ConnectionsOf(user), of(origin));
            }
            AdminRequest::Users { after, limit } => {
                let (users, more) = self.hub.online(after.as_ref(), limit);
                self.reply(net, origin, |w| server_encode::users(w, &users, more));
            }
        }
        Ok(())
    }

    /// The first of this thread's connections behind one.
    pub(super) fn connections_here(
        &self,
        net: &mut Net<'_>,
        after: Option<ConnId>,
        limit: usize,
    ) -> SurveyPart {
        let is_behind = |conn: &ConnId| after.is_none_or(|after| *conn > after);
        // Connections of one thread are in the order of their indices.
        let from = after.filter(|after| after.reactor() == self.number);
        let mut here = self.sessions.signed_in(from).filter(|(conn, _)| is_behind(conn));
        let listed = here
            .by_ref()
            .take(limit)
            .map(|(conn, known)| (conn, server_encode::connection(&shown(net, conn, known))));
        let listed = listed.collect();
        SurveyPart::Connections { listed, more: here.next().is_some() }
    }

    fn no_such_user(&mut self, net: &mut Net<'_>, origin: &Origin) {
        let message = "no user with this id is online or in a room";
        self.refuse(net, origin, ErrorReply::new(RefusalCode::NoSuchUser, message));
    }

    pub(super) fn tell_user(
        &mut self,
        net: &mut Net<'_>,
        origin: &Origin,
        user: &UserId,
        conns: &[ConnId],
    ) {
        match self.hub.known_user(user) {
            Some(info) => {
                self.reply(net, origin, |w| server_encode::known_user(w, &info, conns));
            }
            None => self.no_such_user(net, origin),
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
        user: &known.user,
        is_admin: known.is_admin,
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
