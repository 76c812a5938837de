//! The numbers of what is shared by all: pools, the sources of streams, and the handlers at the backend.

use super::page::{Page, seconds};
use super::pools::{POOLS, Used};
use crate::server::remote::RemoteMetrics;
use crate::server::sources::SourceMetrics;
use std::fmt;

/// How much is taken of what there is for all.
pub(super) fn pools(used: &[Used], page: &mut Page<'_>) -> fmt::Result {
    let of_each = |value: fn(&Used) -> u64| {
        let all = POOLS.iter().zip(used);
        all.filter(|(_, used)| used.max > 0)
            .map(move |(pool, used)| ([("pool", pool.name)], value(used)))
    };
    page.gauges("pool_taken", of_each(|used| used.taken))?;
    page.gauges("pool_size", of_each(|used| used.max))
}

/// How what feeds streams is.
pub(super) fn sources(
    sources: &[SourceMetrics],
    ages_ms: &[(String, u64)],
    page: &mut Page<'_>,
) -> fmt::Result {
    if !ages_ms.is_empty() {
        let ages = ages_ms.iter();
        let ages = ages.map(|(stream, ms)| ([("stream", stream.clone())], seconds(*ms)));
        page.gauges("stream_event_age_seconds", ages)?;
    }
    if sources.is_empty() {
        return Ok(());
    }
    let of_one = |one: &SourceMetrics| ("stream", one.stream.clone());
    let states = sources.iter().flat_map(|one| {
        let labels = |state: &str| [of_one(one), ("state", state.to_owned())];
        one.states.map(|(state, count)| (labels(state), count))
    });
    page.gauges("sources", states)?;
    let polled = || sources.iter().filter(|one| one.every_ms.is_some());
    if polled().next().is_some() {
        let ages = polled().map(|one| ([of_one(one)], seconds(one.late.longest_ms)));
        page.gauges("source_poll_age_seconds", ages)?;
        let late = polled().map(|one| ([of_one(one)], one.late.streams));
        page.gauges("source_late_streams", late)?;
    }
    let of_each = |value: fn(&SourceMetrics) -> u64| {
        sources.iter().map(move |one| ([of_one(one)], value(one)))
    };
    page.counters("source_failures", of_each(|one| one.failures))?;
    page.counters("source_refused", of_each(|one| one.refused))
}

/// What becomes of requests for the application's backend.
pub(super) fn remotes(remotes: &[RemoteMetrics], page: &mut Page<'_>) -> fmt::Result {
    if remotes.is_empty() {
        return Ok(());
    }
    let of_one = |one: &RemoteMetrics| ("handler", one.handler.clone());
    let of_each = |value: fn(&RemoteMetrics) -> u64| {
        remotes.iter().map(move |one| ([of_one(one)], value(one)))
    };
    let outcomes = remotes.iter().flat_map(|one| {
        let labels = |outcome: &str| [of_one(one), ("outcome", outcome.to_owned())];
        one.outcomes.map(|(outcome, count)| (labels(outcome), count))
    });
    page.counters("handler_requests", outcomes)?;
    page.gauges("handler_requests_under_way", of_each(|one| one.under_way))?;
    page.gauges("handler_requests_waiting", of_each(|one| one.waiting))?;
    page.counters("handler_requests_waited", of_each(|one| one.waited))?;
    let turned_away = remotes.iter().flat_map(|one| {
        let labels = |why: &str| [of_one(one), ("why", why.to_owned())];
        one.turned_away.map(|(why, count)| (labels(why), count))
    });
    page.counters("handler_requests_turned_away", turned_away)?;
    page.gauges("handler_down", of_each(|one| one.is_down.into()))
}
