//! How fast somebody may ask: on a connection, by second and by minute, and as a user over all
//! connections and HTTP; and how many bytes of a connection are read.
//!
//! A request too many is refused, as its sender can wait. Bytes too many are left unread for a while, as
//! they are parts of messages: TCP tells the sender to wait, and nothing is lost.

use super::chat::Chat;
use super::session::Session;
use crate::auth::Person;
use crate::base::rates::{Allowance, Asker, RateBound};
use crate::base::{ConnId, Limits, Moment, Origin, RefusalCode, UserId, UserLimits};
use crate::config::Config;
use crate::hub::Quotas;
use crate::store::Backend;
use crate::web::Net;
use crate::wire::close_codes::RATE;
use crate::wire::error::ErrorReply;
use std::sync::Arc;

/// What a request is refused for that came too soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooSoon {
    /// The last part of the limit's key.
    pub(super) limit: &'static str,
    /// For people.
    pub(super) message: &'static str,
    pub(super) retry_after_ms: u64,
}

impl TooSoon {
    fn new(limit: &'static str, message: &'static str, retry_after_ms: u64) -> TooSoon {
        TooSoon { limit, message, retry_after_ms }
    }

    fn of_a_minute(retry_after_ms: u64) -> TooSoon {
        let message = "too many messages within a minute";
        TooSoon::new("messages_per_minute", message, retry_after_ms)
    }
}

impl From<TooSoon> for ErrorReply {
    fn from(too_soon: TooSoon) -> ErrorReply {
        let error = ErrorReply::new(RefusalCode::RateLimited, too_soon.message);
        error.retry_after(too_soon.retry_after_ms)
    }
}

const TOO_MANY: &str = "too many requests";

impl<S: Backend> Chat<S> {
    /// The limits that hold on a connection.
    pub(super) fn limits_on(&self, conn: ConnId) -> &Limits {
        let own = self.session(conn).and_then(Session::own_limits);
        own.map_or(&self.config.limits, |own| own)
    }

    /// The limits that hold for somebody.
    pub(super) fn limits_for<'a>(&'a self, person: &'a Person) -> &'a Limits {
        person.limits.as_deref().unwrap_or(&self.config.limits)
    }

    /// The limits that hold for somebody, as they are told.
    pub(super) fn announced_limits(&self, person: &Person) -> Limits {
        let mut limits = self.limits_for(person).clone();
        if person.is_guest {
            limits.requests_per_second = limits.guest_requests_per_second;
            limits.burst = limits.guest_burst;
            // Their address pays for work.
            limits.user_work_per_second = 0;
        }
        limits
    }

    /// Lets those limits hold on a connection whose user is known that the configuration has for them,
    /// and that their token has asked for.
    pub(super) fn settle_limits(&mut self, conn: ConnId, asked: Option<Arc<UserLimits>>) {
        let Some(session) = self.session_mut(conn) else { return };
        let Some(known) = session.signed_in().filter(|known| !known.is_guest) else { return };
        let (user, is_of_hub) = (known.user.clone(), known.visitor.is_none());
        let Config { limits, exceptions, .. } = &self.config;
        let own = exceptions.limits_of(limits, &user, asked.as_deref());
        if is_of_hub {
            self.hub.set_quotas(&user, own.as_deref().map(Quotas::from));
        }
        if let Some(session) = self.session_mut(conn) {
            session.set_limits(asked, own);
        }
    }

    /// It is known now who is on a connection.
    pub(super) fn arrived(
        &mut self,
        net: &mut Net<'_>,
        conn: ConnId,
        asked: Option<Arc<UserLimits>>,
    ) {
        self.settle_limits(conn, asked);
        if let Some(known) = self.signed_in(conn).filter(|known| !known.is_guest) {
            net.set_holder(conn, self.rates.number_of(&Asker::User(known.user.clone())));
        }
        self.note_arrival(net, conn);
    }

    /// The same for all who are here, when the configuration is another.
    pub(super) fn settle_all_limits(&mut self) {
        let here = self.sessions.iter().flatten();
        let here: Vec<_> =
            here.map(|session| (session.conn, session.asked_limits().cloned())).collect();
        for (conn, asked) in here {
            self.settle_limits(conn, asked);
        }
    }

    /// Counts a message of a connection, or tells what it is refused for.
    pub(super) fn take_message(&mut self, now: Moment, conn: ConnId) -> Result<(), TooSoon> {
        let limits = self.limits_on(conn);
        let of_users = ("requests_per_second", limits.requests_per_second, limits.burst);
        let of_guests =
            ("guest_requests_per_second", limits.guest_requests_per_second, limits.guest_burst);
        let per_minute = limits.messages_per_minute;
        let of_all = (limits.user_requests_per_second, limits.user_burst);
        let Some(session) = self.session_mut(conn) else { return Ok(()) };
        let is_guest = session.signed_in().is_some_and(|known| known.is_guest);
        let (limit, per_second, burst) = if is_guest { of_guests } else { of_users };
        session
            .take_request(now, per_second, burst)
            .map_err(|retry_after_ms| TooSoon::new(limit, TOO_MANY, retry_after_ms))?;
        session.take_message(now, per_minute).map_err(TooSoon::of_a_minute)?;
        let user = session.signed_in().filter(|known| of_all.0 > 0 && !known.is_guest);
        match user.map(|known| known.user.clone()) {
            Some(user) => self.take_of_user(now, user, of_all),
            None => Ok(()),
        }
    }

    /// Refuses a request that came too soon; one too many of these on a connection ends it.
    pub(super) fn over_rate(&mut self, net: &mut Net<'_>, origin: &Origin, too_soon: TooSoon) {
        self.counters.limited(too_soon.limit);
        if let Origin::Conn(conn, _) = origin {
            self.note_limited_on(net, *conn, too_soon.limit);
            if self.is_over_rate_too_often(net.now(), *conn) {
                self.counters.refused(RefusalCode::RateLimited.as_str());
                return self.close_with(net, *conn, RATE, "you kept sending while limited");
            }
        }
        self.refuse(net, origin, too_soon.into());
    }

    /// Counts a message that came too soon; tells whether it was one too many.
    pub(super) fn is_over_rate_too_often(&mut self, now: Moment, conn: ConnId) -> bool {
        let (max, window_ms) =
            (self.config.limits.limited_requests, self.config.limits.abuse_window_ms);
        self.session_mut(conn).is_some_and(|session| session.over_rate(now, max, window_ms))
    }

    /// Counts a call over HTTP, or tells what it is refused for.
    pub(super) fn take_call(
        &mut self,
        now: Moment,
        asker: Asker,
        own: Option<&Limits>,
    ) -> Result<(), TooSoon> {
        let limits = own.unwrap_or(&self.config.limits);
        let allowance = Allowance {
            per_second: limits.requests_per_second,
            burst: limits.burst,
            per_minute: limits.messages_per_minute,
        };
        let of_all = (limits.user_requests_per_second, limits.user_burst);
        let user = match &asker {
            Asker::User(user) if of_all.0 > 0 => Some(user.clone()),
            Asker::User(_) | Asker::Address(_) | Asker::Others => None,
        };
        self.rates.take(asker, now, 1, allowance).map_err(|held| match held {
            RateBound::Second(wait_ms) => TooSoon::new("requests_per_second", TOO_MANY, wait_ms),
            RateBound::Minute(wait_ms) => TooSoon::of_a_minute(wait_ms),
        })?;
        match user {
            Some(user) => self.take_of_user(now, user, of_all),
            None => Ok(()),
        }
    }

    /// Counts a request of a user, from wherever it came.
    fn take_of_user(
        &mut self,
        now: Moment,
        user: UserId,
        (per_second, burst): (u32, u32),
    ) -> Result<(), TooSoon> {
        let allowance = Allowance { per_second, burst, per_minute: 0 };
        self.user_rates.take(Asker::User(user), now, 1, allowance).map_err(|held| {
            let message = "too many requests on all of your connections together";
            TooSoon::new("user_requests_per_second", message, held.wait_ms())
        })
    }

    /// Counts bytes that were read from a connection. If they were too many, it is not read for a
    /// while.
    pub(super) fn spend_bytes(&mut self, net: &mut Net<'_>, conn: ConnId, bytes: usize) {
        let limits = self.limits_on(conn);
        let (per_second, burst) = (limits.bytes_per_second, limits.bytes_burst);
        if per_second == 0 {
            return;
        }
        let now = net.now();
        let Some(session) = self.session_mut(conn) else { return };
        if session.spend_bytes(now, bytes, per_second, burst) {
            self.counters.limited("bytes_per_second");
            self.settle_pause(net, conn);
            self.arm(net, conn);
        }
    }
}
