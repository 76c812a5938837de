//! The numbers of handlers.

use super::page::Page;
use crate::server::remote::RemoteMetrics;
use std::fmt::Error;

/// What becomes of requests for the application's backend.
pub(super) fn remotes(remotes: &[RemoteMetrics], page: &mut Page<'_>) -> Result<(), Error> {
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
        "Requests for the application's backend, by the first type of their handler and what became of them: ok, refused, failed, or not_asked, as it is left alone or whoever asked has gone.",
        outcomes,
    )?;
    page.gauges(
        "handler_requests_under_way",
        "Those that wait for an answer.",
        remotes.iter().map(|one| ([of_one(one)], one.under_way)),
    )?;
    page.gauges(
        "handler_requests_waiting",
        "Those that wait for a place at the backend.",
        remotes.iter().map(|one| ([of_one(one)], one.waiting)),
    )?;
    page.counters(
        "handler_requests_waited",
        "Those that were asked after they had waited for a place.",
        remotes.iter().map(|one| ([of_one(one)], one.waited)),
    )?;
    let turned_away = remotes.iter().flat_map(|one| {
        let labels = |why: &str| [of_one(one), ("why", why.to_owned())];
        one.turned_away.map(|(why, count)| (labels(why), count))
    });
    page.counters(
        "handler_requests_turned_away",
        "Those that got no place: the line was full, or they had waited too long.",
        turned_away,
    )?;
    page.gauges(
        "handler_down",
        "1 while a handler is left alone, as its backend has failed again and again.",
        remotes.iter().map(|one| ([of_one(one)], one.is_down.into())),
    )
}
