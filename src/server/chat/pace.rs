//! How much somebody may ask: how fast, by second and by minute, on a connection and as a user over
//! all connections and HTTP; how many bytes of a connection are read; and what requests cost that
//! are more work than others.
//!
//! A request too many is refused, because its sender can wait. Bytes too many are left unread for a
//! while, because they are parts of messages: TCP slows the sender, and nothing is lost.
//!
//! A unit of work is [`WRITTEN_BYTES_PER_WORK`] of a request, or [`ANSWER_BYTES_PER_WORK`] of an
//! answer. Signed-in users pay over all connections and HTTP, everybody else pays as an address.
//! What is known ahead is paid ahead. The size of an answer is known only when it is made; a payer
//! that owes for one gets no other until that is paid off.

use super::calls::CallWaiter;
use super::chat::Chat;
use super::dispatch::ChatRequest;
use super::journal::Limited;
use super::session::Session;
use super::surveys::{Survey, SurveyReader};
use crate::auth::{Identity, Person};
use crate::base::limits::{
    ANSWER_BYTES_PER_WORK, HTTP_RATES_MAX, METRICS_WORK, NAMED_BYTES_PER_WORK, USER_RATES_MAX,
    WORKERS_MAX, WRITTEN_BYTES_PER_WORK,
};
use crate::base::rates::{Allowance, Asker, RateBound, Rates};
use crate::base::{Address, ConnId, Limits, Moment, Origin, RefusalCode, StreamRights};
use crate::config::Config;
use crate::http1::{HttpRefusal, Response, Status};
use crate::hub::Quotas;
use crate::hub::streams::Holder;
use crate::store::RecordStore;
use crate::web::{Exchange, HttpAnswer, Net};
use crate::wire::close_codes::RATE;
use crate::wire::error::ErrorReply;
use std::num::NonZeroU32;

/// What is counted of users, and of addresses, on all threads.
#[derive(Debug)]
pub(super) struct Budgets {
    /// Calls over HTTP.
    calls: Rates,
    /// Requests of users, on all their connections and over HTTP.
    users: Rates,
    work: Rates,
    /// Work for addresses at listeners that do not serve users, who cannot use it up.
    work_apart: Rates,
}

impl Budgets {
    pub(super) fn new(seed: u64) -> Budgets {
        Budgets {
            calls: Rates::new(HTTP_RATES_MAX, seed),
            users: Rates::new(USER_RATES_MAX, seed),
            work: Rates::new(WORKERS_MAX, seed),
            work_apart: Rates::new(WORKERS_MAX, seed),
        }
    }

    /// A number for a user or an address, by which shares are counted.
    pub(super) fn number_of(&self, asker: &Asker) -> NonZeroU32 {
        self.calls.number_of(asker)
    }
}

/// Why a request that came too soon is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooSoon {
    /// The last part of the limit's key.
    pub(super) limit: &'static str,
    pub(super) retry_after_ms: u64,
}

impl TooSoon {
    fn of_a_minute(retry_after_ms: u64) -> TooSoon {
        TooSoon { limit: "messages_per_minute", retry_after_ms }
    }

    /// For people.
    pub(super) fn message(self) -> &'static str {
        match self.limit {
            "messages_per_minute" => "too many messages within a minute",
            "user_requests_per_second" => "too many requests on all of your connections together",
            "user_work_per_second" => "you ask for too much work at once",
            "address_work_per_second" => "your address asks for too much work at once",
            _ => "too many requests",
        }
    }
}

impl From<TooSoon> for ErrorReply {
    fn from(too_soon: TooSoon) -> ErrorReply {
        let error = ErrorReply::new(RefusalCode::RateLimited, too_soon.message());
        error.retry_after(too_soon.retry_after_ms)
    }
}

/// The caller says when to try again.
impl From<TooSoon> for HttpRefusal {
    fn from(too_soon: TooSoon) -> HttpRefusal {
        HttpRefusal::new(Status::TooManyRequests, "rate_limited", too_soon.message())
    }
}

/// Requests whose answers may be large.
const LARGE_ANSWERS: &[&str] = &[
    "chat:history",
    "info",
    "presence:list",
    "room:info",
    "room:list",
    "room:members",
    "stream:get",
    "stream:list",
    "subscribe",
];

/// The weight of a request before anything is known of its answer; `bytes` is its payload's length.
fn weight_in_advance(kind: &str, bytes: usize) -> u32 {
    // Publications are handed on as they are, and streams have their own rates.
    if kind == "publish" {
        return 0;
    }
    // Each user that it names is looked up among those whom the sender knows.
    let per_unit =
        if kind == "room:create" { NAMED_BYTES_PER_WORK } else { WRITTEN_BYTES_PER_WORK };
    let written = u32::try_from(bytes / per_unit).unwrap_or(u32::MAX);
    written.saturating_add(u32::from(LARGE_ANSWERS.contains(&kind)))
}

fn of_answer(bytes: usize) -> u32 {
    u32::try_from(bytes / ANSWER_BYTES_PER_WORK).unwrap_or(u32::MAX)
}

/// How much work a payer may have done, and the limit's name; `None` without a limit.
fn allowance(limits: &Limits, payer: &Asker) -> Option<(Allowance, &'static str)> {
    let (per_second, burst, limit) = match payer {
        Asker::User(_) => {
            (limits.user_work_per_second, limits.user_work_burst, "user_work_per_second")
        }
        Asker::Address(_) | Asker::Others => {
            (limits.address_work_per_second, limits.address_work_burst, "address_work_per_second")
        }
    };
    (per_second > 0).then_some((Allowance { per_second, burst, per_minute: 0 }, limit))
}

impl<S: RecordStore> Chat<S> {
    /// The limits that hold on a connection.
    pub(super) fn limits_on(&self, conn: ConnId) -> &Limits {
        let own = self.sessions.get(conn).and_then(Session::own_limits);
        own.map_or(&self.config.limits, |own| own)
    }

    /// The limits that hold for somebody.
    pub(super) fn limits_for<'a>(&'a self, person: &'a Person) -> &'a Limits {
        person.limits.as_deref().unwrap_or(&self.config.limits)
    }

    /// The limits that hold for somebody, as they are announced.
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

    /// Applies the limits of a connection's user: those of the configuration, and those that the
    /// token asks for.
    pub(super) fn settle_limits(&mut self, conn: ConnId) {
        let Some(session) = self.sessions.get_mut(conn) else { return };
        let Some(known) = session.signed_in().filter(|known| !known.is_guest) else { return };
        let (user, asked) = (&known.user, known.limits());
        let Config { limits, exceptions, .. } = &self.config;
        let own = exceptions.limits_of(limits, user, asked);
        if known.visitor.is_none() {
            self.hub.set_quotas(user, own.as_deref().map(Quotas::from));
        }
        session.set_limits(own);
    }

    /// The user of a connection is known now.
    pub(super) fn arrived(&mut self, net: &mut Net<'_>, conn: ConnId) {
        self.settle_limits(conn);
        if let Some(known) = self.signed_in(conn).filter(|known| !known.is_guest) {
            net.set_holder(conn, self.team.budgets.number_of(&Asker::User(known.user.clone())));
        }
        self.note_arrival(net, conn);
    }

    /// Counts a message of a connection; an error is why it is refused.
    pub(super) fn take_message(&mut self, now: Moment, conn: ConnId) -> Result<(), TooSoon> {
        let limits = self.limits_on(conn);
        let of_users = ("requests_per_second", limits.requests_per_second, limits.burst);
        let of_guests =
            ("guest_requests_per_second", limits.guest_requests_per_second, limits.guest_burst);
        let per_minute = limits.messages_per_minute;
        let of_all = (limits.user_requests_per_second, limits.user_burst);
        let Some(session) = self.sessions.get_mut(conn) else { return Ok(()) };
        let is_guest = session.signed_in().is_some_and(|known| known.is_guest);
        let (limit, per_second, burst) = if is_guest { of_guests } else { of_users };
        session
            .take_request(now, per_second, burst)
            .map_err(|retry_after_ms| TooSoon { limit, retry_after_ms })?;
        session.take_message(now, per_minute).map_err(TooSoon::of_a_minute)?;
        let known = session.signed_in().filter(|known| !known.is_guest);
        let asker = known.map(|known| Asker::User(known.user.clone()));
        asker.map_or(Ok(()), |asker| self.take_of_user(now, asker, of_all))
    }

    /// Refuses a request that came too soon; too many of these end the connection.
    pub(super) fn over_rate(&mut self, net: &mut Net<'_>, origin: &Origin, too_soon: TooSoon) {
        self.counters.limited(too_soon.limit);
        if let Origin::Conn(conn, _) = origin {
            self.note_limited_on(net, *conn, too_soon.limit);
            if self.is_over_rate_too_often(net, *conn) {
                self.counters.refused(RefusalCode::RateLimited.as_str());
                return self.close_with(net, *conn, RATE, "you kept sending while limited");
            }
        }
        self.refuse(net, origin, too_soon.into());
    }

    /// Counts a message that came too soon: what follows it is read later. Returns whether it was one too many.
    pub(super) fn is_over_rate_too_often(&mut self, net: &mut Net<'_>, conn: ConnId) -> bool {
        let (session, limits) = (self.sessions.get_mut(conn), &self.config.limits);
        let is_one_too_many = session.is_some_and(|session| session.over_rate(net.now(), limits));
        self.settle_pause(net, conn);
        self.arm(net, conn);
        is_one_too_many
    }

    /// Counts a call over HTTP; an error is why it is refused.
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
        self.team.budgets.calls.take(asker.clone(), now, 1, allowance).map_err(
            |held| match held {
                RateBound::Second(wait_ms) => {
                    TooSoon { limit: "requests_per_second", retry_after_ms: wait_ms }
                }
                RateBound::Minute(wait_ms) => TooSoon::of_a_minute(wait_ms),
            },
        )?;
        self.take_of_user(now, asker, of_all)
    }

    /// Counts a request of a user, over any connection or call. Those of addresses are not counted.
    fn take_of_user(
        &mut self,
        now: Moment,
        asker: Asker,
        (per_second, burst): (u32, u32),
    ) -> Result<(), TooSoon> {
        if per_second == 0 || !matches!(asker, Asker::User(_)) {
            return Ok(());
        }
        let allowance = Allowance { per_second, burst, per_minute: 0 };
        self.team.budgets.users.take(asker, now, 1, allowance).map_err(|held| TooSoon {
            limit: "user_requests_per_second",
            retry_after_ms: held.wait_ms(),
        })
    }

    /// Counts bytes that were read from a connection. After too many it is not read for a while.
    pub(super) fn spend_bytes(&mut self, net: &mut Net<'_>, conn: ConnId, bytes: usize) {
        let limits = self.limits_on(conn);
        let (per_second, burst) = (limits.bytes_per_second, limits.bytes_burst);
        if per_second == 0 {
            return;
        }
        let now = net.now();
        let Some(session) = self.sessions.get_mut(conn) else { return };
        if session.spend_bytes(now, bytes, per_second, burst) {
            self.counters.limited("bytes_per_second");
            self.settle_pause(net, conn);
            self.arm(net, conn);
        }
    }

    /// Who pays for a request; `None` if nobody does, as for the embedding program and the admin
    /// token.
    pub(super) fn payer(&self, net: &Net<'_>, origin: &Origin) -> Option<Asker> {
        match origin {
            Origin::Conn(conn, _) => Some(self.payer_on(net, *conn)),
            Origin::Call(call) => match self.calls.get(*call)? {
                CallWaiter::Http(call) => call.payer.clone(),
                CallWaiter::Ticket(_)
                | CallWaiter::Program(_)
                | CallWaiter::Source(..)
                | CallWaiter::Own(_) => None,
            },
        }
    }

    /// The holder of streams that somebody with these rights begins. Those of admins and of the
    /// embedding program count for nobody.
    pub(super) fn holder(&self, net: &Net<'_>, origin: &Origin, rights: &StreamRights) -> Holder {
        let payer = self.payer(net, origin).filter(|_| !rights.is_admin);
        payer.map(|payer| self.team.budgets.number_of(&payer))
    }

    pub(super) fn payer_on(&self, net: &Net<'_>, conn: ConnId) -> Asker {
        match self.signed_in(conn).filter(|known| !known.is_guest) {
            Some(known) => Asker::User(known.user.clone()),
            None => Asker::Address(net.address(conn).unwrap_or(Address::UNKNOWN)),
        }
    }

    /// Charges for a request ahead, if it weighs more than others.
    fn pay_ahead(&mut self, net: &Net<'_>, chat_request: ChatRequest<'_>) -> Result<(), TooSoon> {
        let ChatRequest { origin, person, envelope } = chat_request;
        let weight = weight_in_advance(&envelope.kind, envelope.raw_payload.len());
        if weight == 0 {
            return Ok(());
        }
        let Some(payer) = self.payer(net, origin) else { return Ok(()) };
        let limits = person.map_or(&self.config.limits, |person| self.limits_for(person));
        let Some((allowance, limit)) = allowance(limits, &payer) else { return Ok(()) };
        let taken = self.team.budgets.work.take(payer, net.now(), weight, allowance);
        taken.map_err(|held| TooSoon { limit, retry_after_ms: held.wait_ms() })
    }

    /// Charges for a request that weighs more than others. Returns whether it was refused.
    pub(super) fn is_beyond_budget(
        &mut self,
        net: &mut Net<'_>,
        chat_request: ChatRequest<'_>,
    ) -> bool {
        let Err(too_soon) = self.pay_ahead(net, chat_request) else { return false };
        self.over_rate(net, chat_request.origin, too_soon);
        true
    }

    /// Charges for an answer of this many bytes.
    pub(super) fn pay_for_answer(&mut self, net: &mut Net<'_>, origin: &Origin, bytes: usize) {
        let weight = of_answer(bytes);
        if weight == 0 {
            return;
        }
        net.weigh(weight as usize);
        let Some(payer) = self.payer(net, origin) else { return };
        let person = self.person(origin);
        let limits = person.as_ref().map_or(&self.config.limits, |one| self.limits_for(one));
        if let Some((allowance, _)) = allowance(limits, &payer) {
            self.team.budgets.work.spend(payer, net.now(), weight, allowance);
        }
    }

    /// Whether the payer on a connection owes for work: in how many ms that is paid off.
    pub(super) fn owed_on(&self, net: &Net<'_>, conn: ConnId) -> Option<TooSoon> {
        self.owed(net, &self.payer_on(net, conn), self.limits_on(conn))
    }

    fn owed(&self, net: &Net<'_>, payer: &Asker, limits: &Limits) -> Option<TooSoon> {
        let (allowance, limit) = allowance(limits, payer)?;
        let retry_after_ms = self.team.budgets.work.owes(payer, net.now(), allowance)?;
        Some(TooSoon { limit, retry_after_ms })
    }

    /// Whether a new connection may be greeted, because its payer does not owe for an earlier
    /// greeting. If not, the connection is closed.
    pub(super) fn may_be_greeted(&mut self, net: &mut Net<'_>, conn: ConnId) -> bool {
        let Some(too_soon) = self.owed_on(net, conn) else { return true };
        self.counters.limited(too_soon.limit);
        self.note_limited_on(net, conn, too_soon.limit);
        let wait_ms = Some(too_soon.retry_after_ms);
        self.close_until(net, conn, RATE, too_soon.message(), wait_ms);
        false
    }

    /// As [`Chat::may_be_greeted`], for Server-Sent Events of all that a user is told. An error is
    /// the answer.
    pub(super) fn owed_by(
        &mut self,
        net: &Net<'_>,
        identity: &Identity,
    ) -> Result<(), HttpRefusal> {
        let payer = Asker::User(identity.user.clone());
        let asked = identity.limits();
        let own = self.config.exceptions.limits_of(&self.config.limits, &identity.user, asked);
        let limits = own.as_deref().unwrap_or(&self.config.limits);
        let Some(too_soon) = self.owed(net, &payer, limits) else { return Ok(()) };
        self.counters.limited(too_soon.limit);
        let who = Limited { conn: None, user: Some(&identity.user), address: None };
        self.note_limited(net.now(), too_soon.limit, who);
        let refusal = HttpRefusal::from(too_soon);
        // A debt for a greeting lasts some seconds.
        Err(refusal.with(&[("Retry-After", "5")]))
    }

    /// Charges an address for an answer before it is made, apart from users' work or as a part of it.
    fn pay_by_address(
        &mut self,
        now: Moment,
        address: Address,
        weight: u32,
        is_apart: bool,
    ) -> Result<(), Response> {
        let payer = Asker::Address(address);
        let Some((allowance, limit)) = allowance(&self.config.limits, &payer) else {
            return Ok(());
        };
        let Budgets { work, work_apart, .. } = &*self.team.budgets;
        let work = if is_apart { work_apart } else { work };
        work.take(payer, now, weight, allowance).map_err(|held| {
            self.counters.limited(limit);
            self.note_limited(now, limit, Limited::at(address));
            let retry_after_ms = held.wait_ms();
            let refusal = HttpRefusal::from(TooSoon { limit, retry_after_ms });
            Response::from(refusal).with_retry_after(retry_after_ms)
        })
    }

    /// An answer that everybody may read, charged to the address that asks.
    pub(super) fn paid_by_address(
        &mut self,
        net: &Net<'_>,
        address: Address,
        (is_head, response): (bool, Response),
    ) -> Response {
        let weight = match response.status {
            Status::Ok if !is_head => of_answer(response.body.len()),
            _ => 0,
        };
        if weight == 0 {
            return response;
        }
        self.pay_by_address(net.now(), address, weight, false)
            .map_or_else(|refused| refused, |()| response)
    }

    /// The metrics, charged to the address that asks: at a listener without users apart from what
    /// they cost, so that operators can read them then, too.
    pub(super) fn paid_metrics(
        &mut self,
        net: &mut Net<'_>,
        exchange: Exchange,
        address: Address,
        is_apart: bool,
    ) -> HttpAnswer {
        match self.pay_by_address(net.now(), address, METRICS_WORK, is_apart) {
            Ok(()) => {
                self.survey(net, Survey::Metrics, SurveyReader::Page(exchange));
                HttpAnswer::Later
            }
            Err(refused) => HttpAnswer::Respond(refused),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::request::TYPES;

    #[test]
    fn a_request_weighs_what_it_writes_and_one_whose_answer_may_be_large() {
        let unit = WRITTEN_BYTES_PER_WORK;
        for (kind, bytes, weight) in [
            ("chat:send", unit - 1, 0),
            ("chat:send", unit, 1),
            ("chat:edit", 4 * unit + 1, 4),
            ("info", 0, 1),
            ("chat:history", 60, 1),
            ("publish", 100 * unit, 0),
            ("ping", 0, 0),
        ] {
            assert_eq!(weight_in_advance(kind, bytes), weight, "{kind} of {bytes}");
        }
        assert_eq!(
            (of_answer(ANSWER_BYTES_PER_WORK - 1), of_answer(ANSWER_BYTES_PER_WORK)),
            (0, 1)
        );
    }

    #[test]
    fn those_whose_answers_may_be_large_are_requests() {
        assert!(LARGE_ANSWERS.iter().all(|kind| TYPES.contains(kind)));
    }

    #[test]
    fn without_a_rate_there_is_no_limit() {
        let user = Asker::User(crate::base::UserId::parse("ada").unwrap());
        let limits = Limits { user_work_per_second: 0, ..Limits::default() };
        assert!(allowance(&limits, &user).is_none());
        assert!(allowance(&limits, &Asker::Others).is_some());
    }
}
