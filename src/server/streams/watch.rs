//! Those who only watch: clients of a stream's own path, who speak nothing, and guests.

use crate::base::{ConnId, UserId};
use crate::hub::streams::{Ask, Form, StreamRights};
use crate::hub::{Answer, Origin, RoomPage};
use crate::protocol::handshake::{Refusal, Status};
use crate::server::Chat;
use crate::server::auth::Identity;
use crate::server::chat::{KICKED, RATE, TOO_MANY};
use crate::server::dispatch::Person;
use crate::server::encode;
use crate::server::events::WatchForm;
use crate::server::request::Envelope;
use crate::server::session::{Beside, Known, Session};
use crate::server::web::Net;
use crate::store::Backend;

/// The name of a guest: their connection's, so that no two have one.
pub(in crate::server) fn guest(conn: ConnId) -> Option<Identity> {
    let user = UserId::guest(Some(conn));
    let rights = StreamRights::default();
    Some(Identity {
        user,
        name: None,
        admin: false,
        rights,
        limits: None,
        expires: None,
        jti: None,
        issued: None,
    })
}

/// Why no more guests are let in.
pub(in crate::server) fn too_many_guests() -> Refusal {
    let message = "there are as many guests as there may be";
    let mut refusal = Refusal::new(Status::TooManyRequests, "rate_limited", message);
    refusal.fields = &[("Retry-After", "10")];
    refusal
}

impl<S: Backend> Chat<S> {
    /// Lets in somebody whom the hub does not know: whoever watches by a stream's own path, and
    /// guests. Returns whether it is one of them.
    pub(in crate::server) fn let_in_beside(&mut self, net: &mut Net<'_>, conn: ConnId) -> bool {
        let Some(known) = self.known(conn).cloned() else { return false };
        let Known { beside, is_guest, rights, .. } = known;
        if beside.is_some() && !self.admit(net, conn) {
            return true;
        }
        if let Some(Beside::Own(_)) = beside.as_deref() {
            self.own_opened(net, conn);
        } else if let Some(Beside::Watch(watch)) = beside.map(|beside| *beside) {
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
    pub(in crate::server) fn admit(&mut self, net: &mut Net<'_>, conn: ConnId) -> bool {
        let Some(known) = self.known(conn).filter(|known| !known.is_guest) else { return true };
        let (user, is_beside) = (known.user.clone(), known.beside.is_some());
        let beside = self.beside.get(&user).copied().unwrap_or(0);
        if !is_beside && beside == 0 {
            // The hub counts those that it knows of.
            return true;
        }
        let most = self.limits_on(conn).connections_per_user as usize;
        if self.hub.connections_of(&user).len() + beside as usize >= most {
            self.counters.limited("connections_per_user");
            self.close_with(net, conn, TOO_MANY, "you have too many connections");
            return false;
        }
        if is_beside && let Some(session) = self.session_mut(conn) {
            session.is_counted_beside = true;
            self.beside.insert(user, beside + 1);
        }
        true
    }

    /// A connection is over, which may have been one beside the chat.
    pub(in crate::server) fn beside_gone(&mut self, session: Option<&Session>) {
        let Some(session) = session.filter(|session| session.is_counted_beside) else { return };
        let Some(known) = session.known() else { return };
        if let Some(count) = self.beside.get_mut(&known.user) {
            *count -= 1;
            if *count == 0 {
                self.beside.remove(&known.user);
            }
        }
    }

    /// Whether a connection only watches a stream, by its own path.
    pub(in crate::server) fn is_watching(&self, conn: ConnId) -> bool {
        let beside = self.known(conn).and_then(|known| known.beside.as_deref());
        matches!(beside, Some(Beside::Watch(_)))
    }

    /// Whether a connection knows nothing of the wire's envelopes: it gets a stream's own form, or pictures.
    pub(in crate::server) fn speaks_nothing(&self, net: &mut Net<'_>, conn: ConnId) -> bool {
        self.is_watching(conn) && (!net.is_endless(conn) || self.form(conn) == WatchForm::Parts)
    }

    /// What somebody sends who speaks nothing: it counts towards the rate, and is ignored.
    pub(in crate::server) fn overhear(&mut self, net: &mut Net<'_>, conn: ConnId) {
        let now = net.now();
        let Err(too_soon) = self.take_message(now, conn) else { return };
        self.counters.limited(too_soon.limit);
        self.note_limited_on(net, conn, too_soon.limit);
        if self.is_over_rate_too_often(now, conn) {
            let (code, name) = RATE;
            net.close(conn, code, name);
        }
    }

    /// The stream has ended, or cannot be watched: who speaks nothing has nothing more to wait for.
    pub(in crate::server) fn end_watching(&self, net: &mut Net<'_>, conn: ConnId) {
        let (code, name) = KICKED;
        net.close(conn, code, name);
    }

    /// A request of a guest, who may look at what is public.
    pub(in crate::server) fn guest_request(
        &mut self,
        net: &mut Net<'_>,
        origin: &Origin,
        person: &Person,
        envelope: &Envelope<'_>,
    ) {
        match envelope.kind.as_ref() {
            "ping" => {
                let ts = net.timestamp().0;
                self.reply(net, origin, |w| w.number("ts", ts));
            }
            "info" => {
                if let Err(fault) = envelope.request(self.limits_for(person), net.timestamp()) {
                    return self.fault(net, origin, &fault);
                }
                let nothing = Answer::Info { rooms: RoomPage::default(), invites: Vec::new() };
                let payload = encode::payload(|w| self.answer(w, net, origin, &nothing));
                self.reply_raw(net, origin, payload);
            }
            kind if ["subscribe", "unsubscribe", "publish"].contains(&kind)
                || kind.starts_with("stream:") =>
            {
                self.stream_request(net, origin, person, envelope);
            }
            _ => self.refuse(net, origin, "forbidden", "guests may only watch public streams"),
        }
    }

    /// Whether one more guest may come; then they count.
    pub(in crate::server) fn take_guest(&mut self) -> bool {
        let has_room = self.guests < self.config.limits.guests as usize;
        self.guests += usize::from(has_room);
        has_room
    }
}
