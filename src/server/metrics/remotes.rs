//! The numbers of handlers.

use super::page::Page;
use crate::server::remote::RemoteMetrics;
use std::fmt::Error;

/// What becomes of requests for the application's backend.
pub(crate) fn remotes(remotes: &[RemoteMetrics], page: &mut Page<'_>) -> Result<(), Error> {
    if remotes.is_empty() {
        return Ok(());
    }
    let of_one = |one: &RemoteMetrics| ("handler", one.handler.clone());
    let outcomes = remotes.iter().flat_map(|one| {
        let labels = |outcome: &str| [of_one(one), ("outcome", outcome.to_owned())];
        one.outcomes.map(|(outcome, count)| (labels(outcome), count))
    });
    page.counters(
        "handler_requests",
        "Requests to the application's backend, by the first type of their handler and by outcome: ok, refused, failed, or not_asked (the circuit is open, or the client has gone).",
        outcomes,
    )?;
    page.gauges(
        "handler_requests_under_way",
        "Requests waiting for an answer.",
        remotes.iter().map(|one| ([of_one(one)], one.under_way)),
    )?;
    page.gauges(
        "handler_requests_waiting",
        "Requests waiting for a place at the backend.",
        remotes.iter().map(|one| ([of_one(one)], one.waiting)),
    )?;
    page.counters(
        "handler_requests_waited",
        "Requests sent after waiting for a place.",
        remotes.iter().map(|one| ([of_one(one)], one.waited)),
    )?;
    let turned_away = remotes.iter().flat_map(|one| {
        let labels = |why: &str| [of_one(one), ("why", why.to_owned())];
        one.turned_away.map(|(why, count)| (labels(why), count))
    });
    page.counters(
        "handler_requests_turned_away",
        "Requests that got no place: too many were waiting, or they waited too long.",
        turned_away,
    )?;
    page.gauges(
        "handler_down",
        "1 while a handler's circuit is open, because its backend kept failing.",
        remotes.iter().map(|one| ([of_one(one)], one.is_down.into())),
    )
}
