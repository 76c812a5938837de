//! The numbers of what is shared by all: pools, and the sources of streams.

use super::page::Page;
use super::pools::{POOLS, Used};
use crate::server::sources::SourceMetrics;
use std::fmt::Error;

/// How much is taken of what there is for all.
pub(crate) fn pools(used: &[Used], page: &mut Page<'_>) -> Result<(), Error> {
    let of_each = |value: fn(&Used) -> u64| {
        let all = POOLS.iter().zip(used);
        all.filter(|(_, used)| used.max > 0)
            .map(move |(pool, used)| ([("pool", pool.name)], value(used)))
    };
    page.gauges("pool_taken", "How much of a pool is in use.", of_each(|used| used.taken))?;
    page.gauges("pool_size", "The size of a pool.", of_each(|used| used.max))
}

/// How what feeds streams is.
pub(crate) fn sources(
    sources: &[SourceMetrics],
    ages_ms: &[(String, u64)],
    page: &mut Page<'_>,
) -> Result<(), Error> {
    let of_stream = |name: &String| ("stream", name.clone());
    if !ages_ms.is_empty() {
        page.all_seconds(
            "stream_event_age_seconds",
            "Age of the newest event of each declared stream that has one; for a family, of its newest event in all.",
            ages_ms.iter().map(|(stream, age_ms)| ([of_stream(stream)], *age_ms)),
        )?;
    }
    if sources.is_empty() {
        return Ok(());
    }
    let states = sources.iter().flat_map(|source| {
        let labels = |state: &str| [of_stream(&source.stream), ("state", state.to_owned())];
        source.states.map(|(state, count)| (labels(state), count))
    });
    page.gauges("sources", "Sources of streams: polled ones, functions and webhooks.", states)?;
    polls(sources, page)?;
    page.counters(
        "source_failures",
        "Polls of a source that failed, with all their retries.",
        sources.iter().map(|one| ([of_stream(&one.stream)], one.failures)),
    )?;
    page.counters(
        "source_refused",
        "Data from a source that the stream did not accept, or that could not be read.",
        sources.iter().map(|one| ([of_stream(&one.stream)], one.refused)),
    )
}

fn polls(sources: &[SourceMetrics], page: &mut Page<'_>) -> Result<(), Error> {
    let of_stream = |name: &String| ("stream", name.clone());
    let polled = || sources.iter().filter(|one| one.every_ms.is_some());
    if polled().next().is_none() {
        return Ok(());
    }
    page.all_seconds(
        "source_poll_age_seconds",
        "Time since a polled source was last polled; for a family, of the stream that waits longest.",
        polled().map(|one| ([of_stream(&one.stream)], one.late.longest_ms)),
    )?;
    page.gauges(
        "source_late_streams",
        "Streams of a polled source that were not polled for three intervals and the time-out.",
        polled().map(|one| ([of_stream(&one.stream)], one.late.streams)),
    )
}
