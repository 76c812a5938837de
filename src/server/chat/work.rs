//! What requests cost that are more than a request: much that is written, and large answers.
//!
//! A unit of work is [`WRITTEN_BYTES_PER_WORK`] of a request, or [`ANSWER_BYTES_PER_WORK`] of an answer. Who has proved
//! who they are pays as a user, over all connections and HTTP, everybody else as an address. What can be known
//! ahead is paid ahead; how large an answer is shows when it is made, and whoever owes for one is given no other
//! before that is paid off.

use super::calls::CallWaiter;
use super::chat::Chat;
use super::dispatch::Asked;
use super::journal::Limited;
use super::pace::TooSoon;
use crate::auth::Identity;
use crate::base::limits::{
    ANSWER_BYTES_PER_WORK, METRICS_WORK, NAMED_BYTES_PER_WORK, WRITTEN_BYTES_PER_WORK,
};
use crate::base::rates::{Allowance, Asker};
use crate::base::{Address, ConnId, Limits, Moment, Origin, StreamRights};
use crate::http1::{HttpRefusal, Response, Status};
use crate::hub::streams::Holder;
use crate::store::Backend;
use crate::web::Net;
use crate::wire::close_codes::RATE;

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

/// What a request weighs before anything is known of its answer; `bytes` is its payload's length.
fn ahead(kind: &str, bytes: usize) -> u32 {
    // What is published is handed on as it is; streams have rates of their own.
    if kind == "publish" {
        return 0;
    }
    // Each of those that are named is looked for among those whom one knows.
    let per_unit =
        if kind == "room:create" { NAMED_BYTES_PER_WORK } else { WRITTEN_BYTES_PER_WORK };
    let written = u32::try_from(bytes / per_unit).unwrap_or(u32::MAX);
    written.saturating_add(u32::from(LARGE_ANSWERS.contains(&kind)))
}

fn of_answer(bytes: usize) -> u32 {
    u32::try_from(bytes / ANSWER_BYTES_PER_WORK).unwrap_or(u32::MAX)
}

/// What whoever pays may have done, and the limit's name; none where there is no limit.
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

fn too_soon(limit: &'static str, wait_ms: u64) -> TooSoon {
    let message = match limit {
        "user_work_per_second" => "you ask for too much work at once",
        _ => "your address asks for too much work at once",
    };
    TooSoon { limit, message, retry_after_ms: wait_ms }
}

impl<S: Backend> Chat<S> {
    /// Who pays for a request; none where nobody does: the embedding program, and whoever has the admin token.
    pub(super) fn payer(&self, net: &Net<'_>, origin: &Origin) -> Option<Asker> {
        match origin {
            Origin::Conn(conn, _) => Some(self.payer_on(net, *conn)),
            Origin::Call(call) => match self.calls.get(call)? {
                CallWaiter::Http(call) => call.payer.clone(),
                CallWaiter::Ticket(_) | CallWaiter::Program(_) | CallWaiter::Source(..) => None,
            },
        }
    }

    /// Whose the streams are that somebody with these rights begins. An administrator's and the embedding program's
    /// have no share.
    pub(super) fn holder(&self, net: &Net<'_>, origin: &Origin, rights: &StreamRights) -> Holder {
        let payer = self.payer(net, origin).filter(|_| !rights.is_admin);
        payer.map(|payer| self.rates.number_of(&payer))
    }

    pub(super) fn payer_on(&self, net: &Net<'_>, conn: ConnId) -> Asker {
        match self.signed_in(conn).filter(|known| !known.is_guest) {
            Some(known) => Asker::User(known.user.clone()),
            None => Asker::Address(net.address(conn).unwrap_or(Address::UNKNOWN)),
        }
    }

    /// Has a request paid for ahead, as far as it weighs more than others.
    fn pay_ahead(&mut self, net: &Net<'_>, asked: Asked<'_>) -> Result<(), TooSoon> {
        let Asked { origin, person, envelope } = asked;
        let weight = ahead(&envelope.kind, envelope.raw_payload.len());
        if weight == 0 {
            return Ok(());
        }
        let Some(payer) = self.payer(net, origin) else { return Ok(()) };
        let limits = person.map_or(&self.config.limits, |person| self.limits_for(person));
        let Some((allowance, limit)) = allowance(limits, &payer) else { return Ok(()) };
        let taken = self.work.take(payer, net.now(), weight, allowance);
        taken.map_err(|held| too_soon(limit, held.wait_ms()))
    }

    /// Has a request paid for that weighs more than others, or refuses it.
    pub(super) fn is_beyond_budget(&mut self, net: &mut Net<'_>, asked: Asked<'_>) -> bool {
        let Err(too_soon) = self.pay_ahead(net, asked) else { return false };
        self.over_rate(net, asked.origin, too_soon);
        true
    }

    /// Has an answer of so many bytes paid for.
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
            self.work.spend(payer, net.now(), weight, allowance);
        }
    }

    /// In how many ms whoever pays on a connection owes for nothing any more, if they owe, and by which limit.
    pub(super) fn owed_on(&self, net: &Net<'_>, conn: ConnId) -> Option<(u64, &'static str)> {
        let payer = self.payer_on(net, conn);
        let (allowance, limit) = allowance(self.limits_on(conn), &payer)?;
        Some((self.work.owes(&payer, net.now(), allowance)?, limit))
    }

    /// Whether somebody who connects may be greeted now: they owe for no greeting of before. If they do, the connection
    /// is closed.
    pub(super) fn may_be_greeted(&mut self, net: &mut Net<'_>, conn: ConnId) -> bool {
        let Some((wait_ms, limit)) = self.owed_on(net, conn) else { return true };
        self.counters.limited(limit);
        self.note_limited_on(net, conn, limit);
        self.close_until(net, conn, RATE, too_soon(limit, wait_ms).message, Some(wait_ms));
        false
    }

    /// The same for somebody who asks for all that they are told as Server-Sent Events: the error is the answer.
    pub(super) fn owed_by(
        &mut self,
        net: &Net<'_>,
        identity: &Identity,
    ) -> Result<(), HttpRefusal> {
        let payer = Asker::User(identity.user.clone());
        let asked = identity.limits.as_deref();
        let own = self.config.exceptions.limits_of(&self.config.limits, &identity.user, asked);
        let limits = own.as_deref().unwrap_or(&self.config.limits);
        let Some((allowance, limit)) = allowance(limits, &payer) else { return Ok(()) };
        let Some(wait_ms) = self.work.owes(&payer, net.now(), allowance) else { return Ok(()) };
        self.counters.limited(limit);
        let who = Limited { conn: None, user: Some(&identity.user), address: None };
        self.note_limited(net.now(), limit, who);
        let message = too_soon(limit, wait_ms).message;
        let refusal = HttpRefusal::new(Status::TooManyRequests, "rate_limited", message);
        // Who owes for a greeting owes some seconds.
        Err(refusal.with(&[("Retry-After", "5")]))
    }

    /// Has an answer paid for by the address that has asked for it, before it is made.
    fn pay_by_address(
        &mut self,
        now: Moment,
        address: Address,
        weight: u32,
    ) -> Result<(), Response> {
        let payer = Asker::Address(address);
        let Some((allowance, limit)) = allowance(&self.config.limits, &payer) else {
            return Ok(());
        };
        self.work.take(payer, now, weight, allowance).map_err(|held| {
            self.counters.limited(limit);
            self.note_limited(now, limit, Limited::at(address));
            let TooSoon { message, retry_after_ms, .. } = too_soon(limit, held.wait_ms());
            let refusal = HttpRefusal::new(Status::TooManyRequests, "rate_limited", message);
            Response::from(refusal).with_retry_after(retry_after_ms)
        })
    }

    /// What is there to be read by everybody, paid for by the address that has asked for it.
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
        self.pay_by_address(net.now(), address, weight)
            .map_or_else(|refused| refused, |()| response)
    }

    /// The metrics, paid for by the address that has asked for them.
    pub(super) fn paid_metrics(&mut self, net: &Net<'_>, address: Address) -> Response {
        match self.pay_by_address(net.now(), address, METRICS_WORK) {
            Ok(()) => self.metrics(net),
            Err(refused) => refused,
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
            assert_eq!(ahead(kind, bytes), weight, "{kind} of {bytes}");
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
