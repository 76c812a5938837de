//! What it costs that acknowledged messages are on the disk: parlor with a disk and without, beside
//! Redis Streams and NATS JetStream, in turns, on the same machine.
//!
//! `durability --help` tells its options; `README.md` tells what it measures.

#![forbid(unsafe_code)]

mod check;
mod dialect;
mod disk;
mod load;
mod nats;
mod options;
mod parlor;
mod redis;
mod report;
mod servers;

use load::{Done, Load};
use options::Options;
use parlor_peers::latency::Latency;
use servers::{Server, ServerProcess};
use std::error::Error;
use std::fs;
use std::time::Duration;

pub(crate) type Fallible<T> = Result<T, Box<dyn Error>>;

/// Before each slice, on its connections.
const WARM: Duration = Duration::from_millis(150);

/// One server's turn in a round.
#[derive(Debug)]
pub(crate) struct Slice {
    pub(crate) done: Done,
    /// Of the server.
    pub(crate) cpu_time: Duration,
    /// By the server, to the disk.
    pub(crate) written_bytes: u64,
}

/// One server with one number of senders.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) server: Server,
    pub(crate) senders: usize,
    pub(crate) slices: Vec<Slice>,
    pub(crate) messages_per_call: Option<f64>,
}

#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) rows: Vec<Row>,
    /// The disk itself, once a round.
    pub(crate) disk: Vec<Latency>,
}

fn main() -> Fallible<()> {
    let Some(options) = Options::from_arguments()? else { return Ok(()) };
    let versions = options::versions(&options)?;
    fs::create_dir_all(&options.data)
        .map_err(|error| format!("cannot make {}: {error}", options.data.display()))?;
    let measured = measure(&options);
    // Also after an error: the servers are gone by now.
    let text = measured.and_then(|measured| report::report(&measured, &options, &versions));
    let _ = fs::remove_dir_all(&options.data);
    println!("{}", text?);
    Ok(())
}

fn measure(options: &Options) -> Fallible<Measured> {
    let mut rows = Vec::new();
    for &senders in &options.senders {
        for &server in &options.servers {
            rows.push(Row { server, senders, slices: Vec::new(), messages_per_call: None });
        }
    }
    let mut slices = SliceNumbers(0);
    let mut disk = Vec::new();
    for start in 0..options.starts {
        let servers = start_all(options, false)?;
        for round in (0..options.rounds).filter(|round| round % options.starts == start) {
            eprintln!("round {} of {}", disk.len() + 1, options.rounds);
            disk.push(disk::work(&options.data, options.slice / 2)?);
            for place in shuffled(rows.len(), round) {
                let row = &mut rows[place];
                let process = of(&servers, row.server);
                row.slices.push(slice(options, process, row.senders, slices.next())?);
            }
        }
    }
    if options.counts_calls {
        eprintln!("calls that wait for the disk");
        let servers = start_all(options, true)?;
        for row in &mut rows {
            let process = of(&servers, row.server);
            let mut load = open(options, process, row.senders, slices.next())?;
            load.work(WARM)?;
            let before = process.disk_calls()?;
            let done = load.work(options.slice)?;
            let calls = process.disk_calls()? - before;
            row.messages_per_call = (calls > 0).then(|| done.count as f64 / calls as f64);
        }
    }
    Ok(Measured { rows, disk })
}

type Servers = Vec<(Server, ServerProcess)>;

fn start_all(options: &Options, counts_calls: bool) -> Fallible<Servers> {
    let start = |&server| Ok((server, ServerProcess::start(options, server, counts_calls)?));
    options.servers.iter().map(start).collect()
}

fn of(servers: &Servers, wanted: Server) -> &ServerProcess {
    let found = servers.iter().find(|(server, _)| *server == wanted);
    &found.expect("each server of a row was started").1
}

/// A slice has connections of its own, and a number that is in its messages.
fn open(options: &Options, process: &ServerProcess, senders: usize, slice: u32) -> Fallible<Load> {
    Load::open(process.dialect(slice, senders), slice, senders, options.depth)
}

fn slice(
    options: &Options,
    process: &ServerProcess,
    senders: usize,
    number: u32,
) -> Fallible<Slice> {
    let mut load = open(options, process, senders, number)?;
    load.work(WARM)?;
    let (cpu_before, written_before) = (process.cpu_time()?, process.written_bytes()?);
    let done = load.work(options.slice)?;
    let cpu_time = process.cpu_time()? - cpu_before;
    Ok(Slice { done, cpu_time, written_bytes: process.written_bytes()? - written_before })
}

struct SliceNumbers(u32);

impl SliceNumbers {
    fn next(&mut self) -> u32 {
        self.0 += 1;
        self.0
    }
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
