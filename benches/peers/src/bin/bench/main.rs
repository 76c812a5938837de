//! Runs the servers against each other: the same work, in turns, on one core.
//!
//! `bench --help` tells its options; `README.md` tells what it measures and why so.

#![forbid(unsafe_code)]

mod options;
mod process;
mod report;
mod servers;

use options::Options;
use parlor_peers::workload::Workload;
use process::{LoadProcess, ServerProcess, move_to_core};
use report::{Measured, Slice};
use servers::Server;
use std::error::Error;
use std::thread::sleep;
use std::time::Duration;

pub(crate) type Fallible<T> = Result<T, Box<dyn Error>>;

/// What a server does at the end of its work (waiting again) is its work, too.
const SETTLE: Duration = Duration::from_millis(2);
/// Memory does not move any more by then.
const SETTLE_MEMORY: Duration = Duration::from_millis(500);
/// Before each slice: the caches are this server's again.
const WARM: Duration = Duration::from_millis(30);
/// After each start: pages are there, and what is compiled while it runs is compiled.
const WARM_AT_FIRST: Duration = Duration::from_millis(500);
/// Connections that are there before memory is looked at first.
const WARM_CONNECTIONS: usize = 100;
/// Memory hardly varies.
const MEMORY_ROUNDS: usize = 3;

fn main() -> Fallible<()> {
    let Some(options) = Options::from_arguments()? else { return Ok(()) };
    move_to_core(options.own_core)?;
    let mut all_measured = Vec::new();
    for &workload in &options.workloads {
        eprintln!("{workload}");
        let measured = match workload {
            Workload::Idle { connections } => measure_memory(&options, workload, connections)?,
            _ => measure(&options, workload)?,
        };
        println!("{}", report::details(&measured, &options));
        all_measured.push(measured);
    }
    println!("{}", report::summary(&all_measured));
    Ok(())
}

/// A server with its load. They are dropped in this order: the load does not see its server go.
struct Pair {
    load: LoadProcess,
    process: ServerProcess,
}

/// Short slices in turns: what disturbs the machine for a while disturbs them all alike. And several
/// starts: where a process has its memory is chance, and stays so until its end.
fn measure(options: &Options, workload: Workload) -> Fallible<Measured> {
    let mut rows: Vec<(Server, Vec<Slice>)> =
        options.servers.iter().map(|&server| (server, Vec::new())).collect();
    for start in 0..options.starts {
        let mut pairs = Vec::new();
        for &server in &options.servers {
            let process = ServerProcess::start(options, server, workload)?;
            let mut load = LoadProcess::start(options, &process, workload)?;
            load.work(WARM_AT_FIRST)?;
            pairs.push(Pair { load, process });
        }
        for round in (0..options.rounds).filter(|round| round % options.starts == start) {
            for place in shuffled(pairs.len(), round) {
                let Pair { load, process } = &mut pairs[place];
                load.work(WARM)?;
                sleep(SETTLE);
                let before = process.cpu_time()?;
                let done = load.work(options.slice)?;
                sleep(SETTLE);
                let cpu_time = process.cpu_time()? - before;
                rows[place].1.push(Slice { done, cpu_time });
            }
        }
    }
    Ok(Measured::Work { workload, rows })
}

fn measure_memory(options: &Options, workload: Workload, connections: usize) -> Fallible<Measured> {
    let mut rows: Vec<(Server, Vec<f64>)> =
        options.servers.iter().map(|&server| (server, Vec::new())).collect();
    for round in 0..options.rounds.min(MEMORY_ROUNDS) {
        for place in shuffled(rows.len(), round) {
            let (server, bytes_each) = &mut rows[place];
            let process = ServerProcess::start(options, *server, workload)?;
            let warm = Workload::Idle { connections: WARM_CONNECTIONS };
            let _warm = LoadProcess::start(options, &process, warm)?;
            sleep(SETTLE_MEMORY);
            let before = process.resident_bytes()?;
            let _load = LoadProcess::start(options, &process, workload)?;
            sleep(SETTLE_MEMORY);
            let grown = process.resident_bytes()? as f64 - before as f64;
            bytes_each.push(grown / connections as f64);
        }
    }
    Ok(Measured::Memory { workload, rows })
}

/// An order that differs from round to round and is the same in every run.
fn shuffled(len: usize, round: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    let mut chance = round as u64 + 1;
    for last in (1..len).rev() {
        chance =
            chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        order.swap(last, (chance >> 33) as usize % (last + 1));
    }
    order
}
