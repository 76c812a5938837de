//! The tables.

use crate::options::{self, Options};
use crate::servers::Server;
use crate::{Fallible, Measured, Row, Slice};
use parlor_peers::latency::Latency;
use parlor_peers::spread::Spread;
use std::fmt::Write;

/// What is compared with what, and what the comparison says.
const RATIOS: [(Server, Server, &str); 6] = [
    (Server::Parlor, Server::Redis, "both on the disk"),
    (Server::ParlorMemory, Server::Nats, "neither waits for the disk"),
    (Server::Parlor, Server::ParlorMemory, "what the disk leaves"),
    (Server::ParlorRoom, Server::Parlor, "what is left when all hear all"),
    (Server::Parlor, Server::Before, "on the disk, to another"),
    (Server::ParlorMemory, Server::BeforeMemory, "in memory, to another"),
];

pub(crate) fn report(
    measured: &Measured,
    options: &Options,
    versions: &[String],
) -> Fallible<String> {
    Ok(format!(
        "{}\n{}\n{}",
        details(measured),
        ratios(measured, options),
        circumstances(measured, options, versions)?
    ))
}

fn details(measured: &Measured) -> String {
    let mut text =
        "| senders | server | on disk | acknowledged a second | send to acknowledgement: \
        p50, p99 (µs) | send to receipt: p50, p99 (µs) | messages for each fsync | bytes written \
        for each message | CPU for each message: server, load (µs) |\n\
        | ---: | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n"
            .to_owned();
    for row in &measured.rows {
        let median = |figure: &dyn Fn(&Slice) -> f64| {
            Spread::of(row.slices.iter().map(figure).collect()).median
        };
        let both = |latency: &dyn Fn(&Slice) -> &Latency| {
            let at = |part| median(&|slice| latency(slice).quantile(part) as f64 / 1e3);
            format!("{:.0}, {:.0}", at(0.5), at(0.99))
        };
        let per_message =
            |figure: &dyn Fn(&Slice) -> f64| median(&|s| figure(s) / s.done.count as f64);
        let rate = Spread::of(rates(row));
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.0} ({:.0}–{:.0}) | {} | {} | {} | {:.0} | {:.1}, {:.1} |",
            row.senders,
            row.server,
            if row.server.is_durable() { "yes" } else { "no" },
            rate.median,
            rate.low,
            rate.high,
            both(&|slice| &slice.done.acknowledged),
            both(&|slice| &slice.done.received),
            row.messages_per_call.map_or("–".into(), |messages| format!("{messages:.1}")),
            per_message(&|slice| slice.written_bytes as f64),
            per_message(&|slice| slice.cpu_time.as_secs_f64() * 1e6),
            per_message(&|slice| slice.done.load_cpu.as_secs_f64() * 1e6),
        );
    }
    text
}

fn rates(row: &Row) -> Vec<f64> {
    row.slices.iter().map(|slice| slice.done.per_second()).collect()
}

/// Slices of the same round are compared; empty if none of the pairs was measured.
fn ratios(measured: &Measured, options: &Options) -> String {
    let mut text = "| acknowledged a second |".to_owned();
    for senders in &options.senders {
        let _ = write!(text, " {senders} |");
    }
    text += " |\n| --- |";
    text += &" ---: |".repeat(options.senders.len());
    text += " --- |\n";
    let head_len = text.len();
    for (one, other, meaning) in RATIOS {
        let ratio = |&senders: &usize| {
            let rates = |wanted| {
                let mut rows = measured.rows.iter();
                rows.find(|row| row.server == wanted && row.senders == senders).map(rates)
            };
            let (ones, others) = (rates(one)?, rates(other)?);
            Some(Spread::of(ones.iter().zip(&others).map(|(one, other)| one / other).collect()))
        };
        let Some(ratios) = options.senders.iter().map(ratio).collect::<Option<Vec<_>>>() else {
            continue;
        };
        let _ = write!(text, "| {one} to {other} |");
        for Spread { low, median, high } in ratios {
            let _ = write!(text, " {median:.2} ({low:.2}–{high:.2}) |");
        }
        let _ = writeln!(text, " {meaning} |");
    }
    if text.len() == head_len { String::new() } else { text }
}

/// How it was measured, with what, and how fast the disk was meanwhile.
fn circumstances(measured: &Measured, options: &Options, versions: &[String]) -> Fallible<String> {
    let at = |part| {
        let micros = |latency: &Latency| latency.quantile(part) as f64 / 1e3;
        Spread::of(measured.disk.iter().map(micros).collect()).median
    };
    Ok(format!(
        "{} rounds of {} ms, {} starts, depth {}; medians, and the quarters around them. The disk \
         itself, 4 KiB appended and `fdatasync`: {:.0}, {:.0} µs (p50, p99), {}.\n\n{}.",
        options.rounds,
        options.slice.as_millis(),
        options.starts,
        options.depth,
        at(0.5),
        at(0.99),
        options::file_system(&options.data)?,
        versions.join("; "),
    ))
}
