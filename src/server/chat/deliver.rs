//! What one connection is told, as a message, an event or a part: a text, a greeting, why it is
//! closed.

use super::chat::Chat;
use super::session::Session;
use crate::base::answer::{InviteInfo, RoomPage};
use crate::base::limits::{EVENT_WITH_PLACES_BYTES_MAX, RETRY_REFUSED_MS};
use crate::base::outbox::NO_SOURCE;
use crate::base::subscription::Subscribed;
use crate::base::{Answer, Class, ConnId, Frame, Notice, Origin, OutboxFull, Refusal, Timestamp};
use crate::protocol::CloseCode;
use crate::protocol::endpoint::Broadcast;
use crate::routes::own::{CALL_PATH, EVENTS_PATH};
use crate::server::events::Places;
use crate::server::events::places::id;
use crate::server::http::{Visitor, WatchForm};
use crate::store::RecordStore;
use crate::web::{Message, Net};
use crate::wire::close_codes::{Close, KICKED};
use crate::wire::encode::{self, Encoded, WireBody};
use crate::wire::error::{ErrorDetail, ErrorReply};
use crate::wire::json::Writer;
use crate::wire::server_encode::{self, HelloInfo};
use crate::wire::sse::{event, part, retry};
use crate::wire::stream_encode::subscribed;
use std::borrow::Cow;

/// The form in which a connection gets its pushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PushForm {
    /// Messages of the chat, on a WebSocket.
    Messages,
    /// Server-Sent Events, with everything for its user.
    Events,
    /// One stream alone.
    Stream(WatchForm),
    /// The embedding program's own protocol, on a WebSocket.
    Own,
}

impl PushForm {
    fn is_events(self) -> bool {
        matches!(self, PushForm::Events | PushForm::Stream(WatchForm::Events))
    }

    /// Whether notices and errors can be told in it: it has the wire's envelopes.
    pub(super) fn has_envelopes(self) -> bool {
        self == PushForm::Messages || self.is_events()
    }
}

/// A notice, and its bytes for clients of events or parts, made once.
pub(super) struct EncodedNotice<'a> {
    notice: &'a Notice,
    encoded: &'a Encoded,
    with_id: Option<Frame>,
    without_id: Option<Frame>,
    part: Option<Frame>,
}

impl<'a> EncodedNotice<'a> {
    pub(super) fn new(notice: &'a Notice, encoded: &'a Encoded) -> EncodedNotice<'a> {
        EncodedNotice { notice, encoded, with_id: None, without_id: None, part: None }
    }

    fn without_id(&mut self, text: &str) -> Frame {
        self.without_id.get_or_insert_with(|| Frame::shared(event(None, text))).clone()
    }
}

/// Hands a message for many to one of them, in the form that it gets.
pub(super) fn hand(
    net: &mut Net<'_>,
    conn: ConnId,
    broadcast: &mut Broadcast<'_>,
    text: &str,
    class: Class,
) -> Result<(), OutboxFull> {
    if net.is_endless(conn) {
        return net.piece(conn, Frame::Own(event(None, text).into()), class, NO_SOURCE);
    }
    net.broadcast(conn, broadcast, class, NO_SOURCE)
}

impl<S: RecordStore> Chat<S> {
    pub(super) fn push_form(&self, net: &mut Net<'_>, conn: ConnId) -> PushForm {
        match self.visitor(conn) {
            Some(Visitor::Watch(watch)) => PushForm::Stream(watch.form),
            Some(Visitor::Own(_)) => PushForm::Own,
            None if net.is_endless(conn) => PushForm::Events,
            None => PushForm::Messages,
        }
    }

    /// Tells something to a client of events, with its position; never refused.
    pub(super) fn tell(&self, net: &mut Net<'_>, conn: ConnId, id: Option<&str>, text: &str) {
        if self.push_form(net, conn).is_events() {
            // Refused only when it has ended.
            let _ = net.piece(conn, Frame::Own(event(id, text).into()), Class::Reply, NO_SOURCE);
        }
    }

    /// Hands a notice to a client of events or parts. A client that `misses_some` of those before
    /// it is not told its position.
    pub(super) fn piece(
        &mut self,
        net: &mut Net<'_>,
        conn: ConnId,
        told: &mut EncodedNotice<'_>,
        misses_some: bool,
    ) -> Result<(), OutboxFull> {
        let (notice, encoded) = (told.notice, told.encoded);
        let (class, source) = (encoded.class, encoded.source);
        let text = match (&encoded.body, self.push_form(net, conn)) {
            (WireBody::Binary(data), PushForm::Stream(WatchForm::Parts)) => {
                let frame = told.part.get_or_insert_with(|| Frame::shared(part(data)));
                return net.piece(conn, frame.clone(), class, source);
            }
            (WireBody::Text(text), push_form) if push_form.is_events() => text,
            // Data of the other kind are not for it.
            _ => return Ok(()),
        };
        if self.places(conn).is_some() {
            return self.piece_with_places(net, conn, text, told, misses_some);
        }
        let id = if misses_some { None } else { self.id(net, conn, notice) };
        let frame = match id {
            Some(id) => {
                let make = || Frame::shared(event(Some(&id), text));
                told.with_id.get_or_insert_with(make).clone()
            }
            None => told.without_id(text),
        };
        net.piece(conn, frame, class, source)
    }

    /// Hands a notice to a client that also watches streams. No other client has the same position.
    fn piece_with_places(
        &mut self,
        net: &mut Net<'_>,
        conn: ConnId,
        text: &str,
        told: &mut EncodedNotice<'_>,
        misses_some: bool,
    ) -> Result<(), OutboxFull> {
        let (notice, encoded) = (told.notice, told.encoded);
        let others_wait = net.waiting_bytes(conn) > 0;
        let (mut before, mut is_last) = (None, true);
        if let Some(places) = self.places_mut(conn) {
            match notice {
                Notice::Event { stream, event, .. } => {
                    before = Some((stream, places.hand(stream, event.seq)));
                    if let Class::Stream(priority) = encoded.class {
                        is_last = places.is_last(priority, others_wait);
                    }
                }
                Notice::Unsubscribed { streams, .. } => places.end(streams),
                _ => {}
            }
        }
        let id = match notice {
            // An empty outbox takes any frame, so a large one must not be copied for each client.
            _ if misses_some || text.len() > EVENT_WITH_PLACES_BYTES_MAX => None,
            Notice::Entry { position, .. } => {
                position.and_then(|time| self.place_at(conn, Some(time)))
            }
            Notice::Event { .. } if is_last => self.place(conn),
            _ => None,
        };
        let frame = match id {
            Some(id) => Frame::Own(event(Some(&id), text).into()),
            None => told.without_id(text),
        };
        let handed = net.piece(conn, frame, encoded.class, encoded.source);
        if let (Err(OutboxFull), Some((stream, seq))) = (&handed, before)
            && let Some(places) = self.places_mut(conn)
        {
            places.hand(stream, seq);
        }
        handed
    }

    fn places(&self, conn: ConnId) -> Option<&Places> {
        self.sessions.get(conn)?.places()
    }

    pub(super) fn places_mut(&mut self, conn: ConnId) -> Option<&mut Places> {
        self.sessions.get_mut(conn)?.places_mut()
    }

    /// The position of a client that is told everything for its user, if it can be said now.
    pub(super) fn place(&self, conn: ConnId) -> Option<String> {
        self.place_at(conn, self.hub.position_of(conn))
    }

    fn place_at(&self, conn: ConnId, time: Option<Timestamp>) -> Option<String> {
        let places = self.places(conn);
        if !places.is_none_or(Places::are_known) {
            return None;
        }
        // A guest has no rooms, and so no position in them.
        let is_guest = || self.sessions.get(conn).is_some_and(Session::is_guest);
        let time = time.or_else(|| (places.is_some() && is_guest()).then_some(Timestamp(0)))?;
        Some(id(self.hub.epoch(), time, places))
    }

    /// The position of a client after a notice.
    fn id(&self, net: &mut Net<'_>, conn: ConnId, notice: &Notice) -> Option<String> {
        match notice {
            Notice::Entry { position, .. } => {
                position.map(|position| id(self.hub.epoch(), position, None))
            }
            Notice::Event { stream, event, .. }
                if matches!(self.push_form(net, conn), PushForm::Stream(_)) =>
            {
                let streams = self.hub.streams();
                let epoch = streams.epoch(stream)?;
                Some(format!("{epoch}.{}", event.seq))
            }
            _ => None,
        }
    }

    /// Greets a new client with `hello`, or with the event `connected`, which says the same.
    pub(super) fn greet(
        &mut self,
        net: &mut Net<'_>,
        origin: &Origin,
        rooms: &RoomPage,
        invites: &[InviteInfo],
    ) {
        let Origin::Conn(conn, _) = origin else { return };
        let is_events = self.push_form(net, *conn).is_events();
        let kind = if is_events { "connected" } else { "hello" };
        let text = encode::push(kind, |w| self.greeting(w, net, origin, rooms, invites));
        self.pay_for_answer(net, origin, text.len());
        if is_events {
            self.tell(net, *conn, self.place(*conn).as_deref(), &text);
        } else {
            self.say(net, *conn, &text);
        }
    }

    /// A connection watches streams from now on. It did not ask by a request with an `id`.
    pub(super) fn has_subscribed(
        &mut self,
        net: &mut Net<'_>,
        conn: ConnId,
        streams: &[Subscribed],
    ) {
        let text = || encode::push("subscribed", |w| subscribed(w, streams));
        if let Some(places) = self.places_mut(conn) {
            places.begin(streams);
            self.tell(net, conn, self.place(conn).as_deref(), &text());
            return;
        }
        match self.push_form(net, conn) {
            PushForm::Messages | PushForm::Events => self.say(net, conn, &text()),
            PushForm::Stream(WatchForm::Events) => {
                let id = streams.first().map(|one| format!("{}.{}", one.epoch, one.position));
                self.tell(net, conn, id.as_deref(), &text());
            }
            PushForm::Stream(WatchForm::Plain | WatchForm::Parts) | PushForm::Own => {}
        }
    }

    /// A client of events cannot watch what it asked for. It is told why and, if it asked for
    /// nothing else, not to reconnect at once.
    pub(super) fn cannot_watch(&mut self, net: &mut Net<'_>, conn: ConnId, refusal: &Refusal) {
        if !net.is_endless(conn) {
            return;
        }
        self.counters.refused(refusal.code.as_str());
        self.counters.limited_by(refusal);
        if let Some(places) = self.places_mut(conn) {
            // Its position has none of these streams, so it is told of a gap when it asks for them
            // again.
            places.begin(&[]);
        }
        let is_watching = matches!(self.push_form(net, conn), PushForm::Stream(_));
        if is_watching {
            let retry = Frame::Own(retry(RETRY_REFUSED_MS).into());
            // Refused only when it has ended.
            let _ = net.piece(conn, retry, Class::Control, NO_SOURCE);
        }
        let mut error = ErrorReply::from(refusal);
        // It ends after this.
        error.detail.close = is_watching.then_some(KICKED.code);
        self.tell(net, conn, None, &error.to_message(None));
    }

    /// A client of events gets the answer to what it asked for in its head.
    pub(super) fn has_resumed(
        &mut self,
        net: &mut Net<'_>,
        conn: ConnId,
        answer: &Result<Answer, Refusal>,
    ) {
        match answer {
            Ok(answer) => {
                let text = encode::push("resumed", |w| encode::answer(w, answer));
                self.tell(net, conn, None, &text);
            }
            // Its rooms go on, but the streams that it asked for do not begin.
            Err(refusal)
                if self.places(conn).is_some_and(|places| places.is_asking)
                    || !self.hub.is_resuming(conn) =>
            {
                self.cannot_watch(net, conn, refusal);
            }
            // It reconnects by itself, and goes on at its position.
            Err(refusal) => {
                self.counters.refused(refusal.code.as_str());
                let message = refusal.message;
                self.close_with(net, conn, crate::wire::close_codes::OVERLOADED, message);
            }
        }
    }

    /// Sends a text; never refused.
    pub(super) fn say(&self, net: &mut Net<'_>, conn: ConnId, text: &str) {
        // Refused if the WebSocket is not open any more, and so nobody listens, or if this is none.
        if net.send(conn, Message::Text(text)).is_err() {
            self.tell(net, conn, None, text);
        }
    }

    /// Says why a connection is closed, and closes it. Some proxies swallow the code, so an error
    /// with it is sent first.
    pub(super) fn close_with(
        &mut self,
        net: &mut Net<'_>,
        conn: ConnId,
        why: Close,
        message: impl Into<Cow<'static, str>>,
    ) {
        self.close_until(net, conn, why, message, None);
    }

    /// As [`Chat::close_with`], and says in how many ms the client may reconnect, if known.
    pub(super) fn close_until(
        &mut self,
        net: &mut Net<'_>,
        conn: ConnId,
        why: Close,
        message: impl Into<Cow<'static, str>>,
        retry_after_ms: Option<u64>,
    ) {
        // Not to a client that does not speak the wire's protocol.
        if self.push_form(net, conn).has_envelopes() {
            let close = Some(why.code);
            let detail = ErrorDetail { close, retry_after_ms, ..ErrorDetail::default() };
            let error = ErrorReply { code: why.name.into(), message: message.into(), detail };
            net.count_error(conn);
            self.say(net, conn, &error.to_message(None));
        }
        net.close(conn, CloseCode(why.code), why.name);
    }

    /// Writes the members of `hello` and `info`.
    pub(super) fn greeting(
        &self,
        w: &mut Writer,
        net: &Net<'_>,
        origin: &Origin,
        rooms: &RoomPage,
        invites: &[InviteInfo],
    ) {
        let Some(person) = self.person(origin) else { return };
        let greeting = HelloInfo {
            server: concat!("parlor/", env!("CARGO_PKG_VERSION")),
            connection: origin.conn(),
            epoch: self.hub.epoch(),
            ts: net.timestamp(),
            user: &person.user,
            name: self.hub.name_of(&person.user),
            is_admin: person.is_admin,
            is_guest: person.is_guest,
            http: (EVENTS_PATH, CALL_PATH),
            heartbeat_ms: self.config.limits.heartbeat_interval_ms,
            limits: &self.announced_limits(&person),
            is_durable: self.config.data != crate::store::Place::Memory,
            presence: self.config.presence.as_str(),
            rooms,
            invites,
        };
        server_encode::greeting(w, &greeting);
    }
}
