//! Medians, spreads and tables.

use crate::options::Options;
use crate::process::Done;
use crate::servers::Server;
use parlor_peers::spread::Spread;
use parlor_peers::workload::{Targets, Workload};
use std::fmt::Write;
use std::time::Duration;

/// One server's turn in a round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slice {
    pub(crate) done: Done,
    pub(crate) cpu_time: Duration,
}

impl Slice {
    fn per_cpu_second(&self) -> f64 {
        self.done.count as f64 / self.cpu_time.as_secs_f64()
    }
}

#[derive(Debug)]
pub(crate) enum Measured {
    Work {
        workload: Workload,
        rows: Vec<(Server, Vec<Slice>)>,
    },
    /// Bytes for each connection.
    Memory {
        workload: Workload,
        rows: Vec<(Server, Vec<f64>)>,
    },
}

impl Measured {
    fn workload(&self) -> Workload {
        match self {
            Measured::Work { workload, .. } | Measured::Memory { workload, .. } => *workload,
        }
    }

    /// What is compared, round by round.
    fn figures(&self, wanted: Server) -> Option<Vec<f64>> {
        match self {
            Measured::Work { rows, .. } => {
                let (_, slices) = rows.iter().find(|(server, _)| *server == wanted)?;
                Some(slices.iter().map(Slice::per_cpu_second).collect())
            }
            Measured::Memory { rows, .. } => {
                let (_, bytes) = rows.iter().find(|(server, _)| *server == wanted)?;
                Some(bytes.clone())
            }
        }
    }

    /// One server's figures in terms of another's of the same round.
    fn ratio(&self, one: Server, other: Server) -> Option<Spread> {
        let (ones, others) = (self.figures(one)?, self.figures(other)?);
        Some(Spread::of(ones.iter().zip(&others).map(|(one, other)| one / other).collect()))
    }

    fn servers(&self) -> Vec<Server> {
        match self {
            Measured::Work { rows, .. } => rows.iter().map(|(server, _)| *server).collect(),
            Measured::Memory { rows, .. } => rows.iter().map(|(server, _)| *server).collect(),
        }
    }

    fn median(&self, server: Server) -> f64 {
        self.figures(server).map_or(f64::NAN, |figures| Spread::of(figures).median)
    }

    /// The peer that does the most, or needs the least memory.
    fn best_peer(&self) -> Option<Server> {
        let peers = self.servers().into_iter().filter(|server| server.is_peer());
        let by_median =
            |one: &Server, other: &Server| self.median(*one).total_cmp(&self.median(*other));
        match self {
            Measured::Work { .. } => peers.max_by(by_median),
            Measured::Memory { .. } => peers.min_by(by_median),
        }
    }
}

/// A table of all servers in one workload.
pub(crate) fn details(measured: &Measured, options: &Options) -> String {
    let mut text = format!("### {}\n\n", measured.workload());
    match measured {
        Measured::Work { rows, .. } => {
            text += "| server | for each CPU second | to the floor | a second | p50 | p99 |\n";
            text += "| --- | ---: | ---: | ---: | ---: | ---: |\n";
            for (server, slices) in rows {
                let median = |figure: fn(&Slice) -> f64| {
                    Spread::of(slices.iter().map(figure).collect()).median
                };
                let to_floor = measured.ratio(*server, Server::Floor);
                let _ = writeln!(
                    text,
                    "| {server} | {:.0} | {} | {:.0} | {:.0} µs | {:.0} µs |",
                    median(Slice::per_cpu_second),
                    to_floor.map_or("–".into(), Spread::ratio_text),
                    median(|slice| slice.done.count as f64 / slice.done.time.as_secs_f64()),
                    median(|slice| slice.done.p50.as_secs_f64() * 1e6),
                    median(|slice| slice.done.p99.as_secs_f64() * 1e6),
                );
            }
            let place = if options.load_core == options.server_core {
                "on the server's core"
            } else {
                "on another core"
            };
            let Options { rounds, starts, slice, .. } = options;
            let millis = slice.as_millis();
            let _ = writeln!(
                text,
                "\n{rounds} rounds of {millis} ms, {starts} starts; the load {place}."
            );
        }
        Measured::Memory { rows, .. } => {
            text += "| server | bytes for each connection |\n| --- | ---: |\n";
            for (server, bytes) in rows {
                let _ = writeln!(text, "| {server} | {:.0} |", Spread::of(bytes.clone()).median);
            }
        }
    }
    text
}

/// How parlor does in all that was measured.
pub(crate) fn summary(all: &[Measured]) -> String {
    let mut text = "### parlor\n\n\
        | workload | to the floor | target | | to the best peer | target | |\n\
        | --- | ---: | ---: | --- | ---: | ---: | --- |\n"
        .to_owned();
    for measured in all {
        let targets = measured.workload().targets().unwrap_or_default();
        let to_floor = measured.ratio(Server::Parlor, Server::Floor);
        let best = measured.best_peer();
        let to_best = best.and_then(|best| measured.ratio(Server::Parlor, best));
        let is_memory = matches!(measured, Measured::Memory { .. });
        let first = if is_memory {
            let bytes = measured.figures(Server::Parlor).map(Spread::of);
            columns(bytes, targets.bytes_max, |bytes| format!("{:.0} B", bytes.median), is_memory)
        } else {
            columns(to_floor, targets.floor, Spread::ratio_text, is_memory)
        };
        let name = best.map_or(String::new(), |best| format!(" {best}"));
        let Targets { best_peer, .. } = targets;
        let with_name = |ratio: Spread| ratio.ratio_text() + &name;
        let second = columns(to_best, best_peer, with_name, is_memory);
        let _ = writeln!(text, "| {} | {first} | {second} |", measured.workload());
    }
    text += "\nMedians of the rounds' ratios, and the quarters around them.\n";
    text
}

/// A figure, its target, and whether it is reached.
fn columns(
    figure: Option<Spread>,
    target: Option<f64>,
    write: impl FnOnce(Spread) -> String,
    is_less_better: bool,
) -> String {
    let Some(figure) = figure else { return "– | | ".into() };
    let sign = if is_less_better { '≤' } else { '≥' };
    let verdict = target.map(|target| {
        let is_reached =
            if is_less_better { figure.median <= target } else { figure.median >= target };
        if is_reached { "yes" } else { "**no**" }
    });
    let target = target.map_or(String::new(), |target| format!("{sign} {target}"));
    format!("{} | {target} | {}", write(figure), verdict.unwrap_or_default())
}
