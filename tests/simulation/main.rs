//! The real server on a simulated world: sessions, hub, envelope and protocol are the product's own
//! code; clocks, network and store are made up, and all from one seed.
//!
//! `SEEDS=n` or `SEEDS=from..to` says which seeds, `SEED=n TRACE=1` tells what happens in one. One in
//! sixteen seeds has TLS, with `TLS=1` every one. Three in eight have several hubs on one store; with
//! `HUBS=n` all have so many.

mod checker;
mod client;
mod coverage;
mod dice;
mod ending;
mod ledger;
mod model_store;
mod net;
mod plan;
mod program;
mod rogue;
mod script;
mod store;
mod stream_checker;
mod streams;
mod tls;
mod world;

use coverage::{Coverage, Total};
use std::cell::RefCell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// What a mean seed has at least.
const WANTED: &[(&str, f64)] = &[("entries", 190.0), ("cuts", 5.0), ("kills", 1.0)];
/// Every kind of fault lies in so many of a hundred seeds.
const SEEDS_PERCENT: f64 = 5.0;
const FAULTS: &[&str] = &[
    "clients out of patience",
    "closes: auth_timeout",
    "closes: broken protocol",
    "closes: token_expired",
    "connections with TLS",
    "compressed connections",
    "connections refused",
    "cuts",
    "failed batches",
    "full disks",
    "gone",
    "half-dead connections",
    "hubs that hear late",
    "jumps of the wall clock",
    "kills",
    "late ends of old connections",
    "misdeeds",
    "no token",
    "people counted",
    "presence resets",
    "rate limited",
    "refusals",
    "repeats",
    "resumes",
    "revocations",
    "rooms left in vain",
    "short queues of the store",
    "sleeps",
    "slow disks",
    "slow readers",
    "splits",
    "store refusals",
    "durable publishes",
    "publications sent again",
    "publications known again",
    "streams told to be stale",
    "streams heard of again",
    "durable streams replayed",
    "events of bytes",
    "snapshots of logs",
    "snapshots of states",
    "stream events",
    "stream events skipped to",
    "stream gaps after a position",
    "stream publishes refused",
    "streams not replayed",
    "streams replayed",
    "streams unsubscribed",
    "streams watched to the end",
    "streams with a filter",
    "streams with a rate",
];

thread_local! {
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Plays a seed; what is wrong, if something is.
fn play(seed: u64, is_tracing: bool) -> Result<Coverage, String> {
    let played = catch_unwind(AssertUnwindSafe(|| {
        let mut world = world::World::new(seed, is_tracing);
        world.plays();
        world.coverage
    }));
    played.map_err(|_| PANIC.with(|panic| std::mem::take(&mut *panic.borrow_mut())))
}

fn seeds(text: &str) -> Option<Range<u64>> {
    match text.split_once("..") {
        Some((from, to)) => Some(from.parse().ok()?..to.parse().ok()?),
        None => Some(0..text.parse().ok()?),
    }
}

fn misread(wanted: &str, found: &str) -> ExitCode {
    println!("{wanted}, and not {found:?}");
    ExitCode::FAILURE
}

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|info| {
        let text = info.to_string();
        PANIC.with(|panic| *panic.borrow_mut() = text);
    }));
    let setting = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let is_tracing = setting("TRACE").is_some();
    if let Some(seed) = setting("SEED") {
        let Ok(seed) = seed.parse() else { return misread("SEED is a number", &seed) };
        return match play(seed, is_tracing) {
            Ok(coverage) => {
                println!("seed {seed} is fine: {coverage:?}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                println!("seed {seed} FAILED: {error}");
                ExitCode::FAILURE
            }
        };
    }
    // Without optimisation a few are as many as one wants to wait for.
    let default = if cfg!(debug_assertions) { "20" } else { "200" };
    let seeds = setting("SEEDS").unwrap_or_else(|| default.to_owned());
    let Some(seeds) = self::seeds(&seeds).filter(|seeds| !seeds.is_empty()) else {
        return misread("SEEDS is a number of seeds, or from..to", &seeds);
    };
    let threads = setting("THREADS").map_or(2, |text| text.parse().expect("THREADS is a number"));
    let stops_at_first = setting("FIRST").is_some();
    run(seeds, threads, stops_at_first)
}

fn run(seeds: Range<u64>, threads: usize, stops_at_first: bool) -> ExitCode {
    let begun = Instant::now();
    let next = AtomicU64::new(seeds.start);
    let (total, failures) = (Mutex::new(Total::default()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut own = Total::default();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    match play(seed, false) {
                        Ok(coverage) => own.add(&coverage),
                        Err(error) => {
                            println!(
                                "seed {seed} FAILED: {error}\n  again: make sim SEED={seed} TRACE=1"
                            );
                            failures.lock().unwrap_or_else(PoisonError::into_inner).push(seed);
                            if stops_at_first {
                                next.store(seeds.end, Ordering::Relaxed);
                            }
                        }
                    }
                }
                total.lock().unwrap_or_else(PoisonError::into_inner).merge(&own);
            });
        }
    });
    let total = total.into_inner().unwrap_or_else(PoisonError::into_inner);
    let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    let seconds = begun.elapsed().as_secs_f64();
    let (lines, faults) = total.report(WANTED, FAULTS, SEEDS_PERCENT);
    print!("{lines}");
    println!(
        "{} seeds in {seconds:.1} s, {:.0} a second, {} failed",
        seeds.end - seeds.start,
        (seeds.end - seeds.start) as f64 / seconds,
        failures.len()
    );
    const ENOUGH: u64 = 500;
    // With several hubs in all of them, some kinds of streams are in none.
    let is_mixed = std::env::var("HUBS").map_or(true, |hubs| hubs.is_empty());
    let is_thin = is_mixed && total.runs >= ENOUGH && !faults.is_empty();
    if is_thin {
        print!("{faults}");
    }
    if failures.is_empty() && !is_thin { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
