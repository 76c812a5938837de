//! Those who only watch: clients of a stream's own path, who speak nothing, and guests.

use super::chat::Chat;
use super::dispatch::Asked;
use super::session::{Session, SignedIn};
use crate::auth::{Identity, Person};
use crate::base::answer::RoomPage;
use crate::base::subscription::{Ask, Form};
use crate::base::{Answer, ConnId, Origin, RefusalCode, StreamRights, UserId};
use crate::http1::{HttpRefusal, Status};
use crate::protocol::CloseCode;
use crate::server::http::listen::WatchForm;
use crate::server::http::opening::Visitor;
use crate::store::Backend;
use crate::web::Net;
use crate::wire::close_codes::{KICKED, RATE, TOO_MANY};
use crate::wire::encode;
use crate::wire::error::ErrorReply;

/// The name of a guest: their connection's, so that no two have one.
pub(super) fn guest(conn: ConnId) -> Option<Identity> {
    Some(Identity::without_token(UserId::guest(Some(conn)), StreamRights::default()))
}

/// Why no more guests are let in.
pub(super) fn too_many_guests() -> HttpRefusal {
    let message = "the limit of guests is reached";
    HttpRefusal::new(Status::TooManyRequests, "rate_limited", message)
        .with(&[("Retry-After", "10")])
}

impl<S: Backend> Chat<S> {
    /// Lets in somebody whom the hub does not know: whoever watches by a stream's own path, and
    /// guests. Returns whether it is one of them.
    pub(super) fn let_in_visitor(&mut self, net: &mut Net<'_>, conn: ConnId) -> bool {
        let Some(known) = self.signed_in(conn).cloned() else { return false };
        let SignedIn { visitor, is_guest, rights, .. } = known;
        if visitor.is_some() && !self.admit(net, conn) {
            return true;
        }
        if let Some(Visitor::Own(_)) = visitor.as_deref() {
            self.own_opened(net, conn);
        } else if let Some(Visitor::Watch(watch)) = visitor.map(|visitor| *visitor) {
            let ask = Ask {
                stream: watch.stream,
                filter: None,
                max_rate: None,
                since: None,
                epoch: None,
            };
            self.subscribe(net, (conn, None), rights, Form::Plain, vec![ask]);
        } else if is_guest {
            let origin = Origin::Conn(conn, None);
            self.greet(net, &origin, &RoomPage::default(), &[]);
        } else {
            return false;
        }
        true
    }

    /// Whether a connection's user may have one more. If so, it counts; if not, it is closed.
    pub(super) fn admit(&mut self, net: &mut Net<'_>, conn: ConnId) -> bool {
        let Some(known) = self.signed_in(conn).filter(|known| !known.is_guest) else { return true };
        let (user, is_visitor) = (known.user.clone(), known.visitor.is_some());
        let visitors = self.visitors.get(&user).copied().unwrap_or(0);
        if !is_visitor && visitors == 0 {
            // The hub counts those that it knows of.
            return true;
        }
        let most = self.limits_on(conn).connections_per_user as usize;
        if self.hub.connections_of(&user).len() + visitors as usize >= most {
            self.counters.limited("connections_per_user");
            self.close_with(net, conn, TOO_MANY, "you have too many connections");
            return false;
        }
        if is_visitor && let Some(session) = self.session_mut(conn) {
            session.is_counted_visitor = true;
            self.visitors.insert(user, visitors + 1);
        }
        true
    }

    /// A connection is over, which may have been one beside the chat.
    pub(super) fn visitor_left(&mut self, session: Option<&Session>) {
        let Some(session) = session.filter(|session| session.is_counted_visitor) else { return };
        let Some(known) = session.signed_in() else { return };
        if let Some(count) = self.visitors.get_mut(&known.user) {
            *count -= 1;
            if *count == 0 {
                self.visitors.remove(&known.user);
            }
        }
    }

    /// What a connection came for, if not for the chat.
    pub(super) fn visitor(&self, conn: ConnId) -> Option<&Visitor> {
        self.signed_in(conn)?.visitor.as_deref()
    }

    /// Whether a connection only watches a stream, by its own path.
    pub(super) fn is_watching(&self, conn: ConnId) -> bool {
        matches!(self.visitor(conn), Some(Visitor::Watch(_)))
    }

    /// Whether a connection knows nothing of the wire's envelopes: it speaks a protocol of the program's, or gets a
    /// stream's own form, or pictures.
    pub(super) fn speaks_nothing(&self, net: &mut Net<'_>, conn: ConnId) -> bool {
        match self.visitor(conn) {
            Some(Visitor::Watch(watch)) => !net.is_endless(conn) || watch.form == WatchForm::Parts,
            Some(Visitor::Own(_)) => true,
            None => false,
        }
    }

    /// What somebody sends who speaks nothing: it counts towards the rate, and is ignored.
    pub(super) fn overhear(&mut self, net: &mut Net<'_>, conn: ConnId) {
        let now = net.now();
        let Err(too_soon) = self.take_message(now, conn) else { return };
        self.counters.limited(too_soon.limit);
        self.note_limited_on(net, conn, too_soon.limit);
        if self.is_over_rate_too_often(now, conn) {
            net.close(conn, CloseCode(RATE.code), RATE.name);
        }
    }

    /// The stream has ended, or cannot be watched: who speaks nothing has nothing more to wait for.
    pub(super) fn end_watching(&self, net: &mut Net<'_>, conn: ConnId) {
        net.close(conn, CloseCode(KICKED.code), KICKED.name);
    }

    /// A request of a guest, who may look at what is public.
    pub(super) fn guest_request(&mut self, net: &mut Net<'_>, asked: Asked<'_>, person: &Person) {
        let Asked { origin, envelope, .. } = asked;
        match envelope.kind.as_ref() {
            "ping" => {
                let ts = net.timestamp().0;
                self.reply(net, origin, |w| w.number("ts", ts));
            }
            "info" => {
                if let Err(fault) = envelope.request(self.limits_for(person), net.timestamp()) {
                    return self.fault(net, origin, fault);
                }
                let nothing = Answer::Info { rooms: RoomPage::default(), invites: Vec::new() };
                let payload = encode::payload(|w| self.answer(w, net, origin, &nothing));
                self.reply_raw(net, origin, payload);
            }
            kind if ["subscribe", "unsubscribe", "publish"].contains(&kind)
                || kind.starts_with("stream:") =>
            {
                self.stream_request(net, asked, person);
            }
            _ => {
                let message = "guests may only watch public streams";
                self.refuse(net, origin, ErrorReply::new(RefusalCode::Forbidden, message));
            }
        }
    }

    /// Whether one more guest may come; then they count.
    pub(super) fn take_guest(&mut self) -> bool {
        let has_room = self.guests < self.config.limits.guests as usize;
        self.guests += usize::from(has_room);
        has_room
    }
}
