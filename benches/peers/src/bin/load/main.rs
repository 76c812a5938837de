//! The load generator: one thread, mio. It checks all that comes (opcode, length, that nothing is
//! masked, every byte of every payload, each message once and in order) and ends with an error if
//! anything is not as it must be.
//!
//! `load ADDRESS:PORT WORKLOAD [--millis N] [--binary] [--deflate]`
//!
//! With `--millis` it works once for so long. Without, it opens its connections, says `ready`, and
//! obeys standard input: `go MILLIS` works for so long and, when nothing is under way any more,
//! answers `done COUNT NANOS P50 P99` (of the work, of the time, and of the time of one burst from
//! its first byte to its last answer, in ns). The end of the input ends it.

#![forbid(unsafe_code)]

mod content;
mod flights;
mod handshakes;
mod incoming;

use flights::Flights;
use handshakes::Handshakes;
use parlor_peers::latency::Latency;
use parlor_peers::workload::Workload;
use std::error::Error;
use std::fmt;
use std::io::{BufRead, stdin};
use std::net::SocketAddr;
use std::time::Duration;

/// Nothing that is waited for takes longer; then something is lost.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) type Fallible<T> = Result<T, Box<dyn Error>>;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) address: SocketAddr,
    pub(crate) workload: Workload,
    /// Binary messages instead of texts.
    pub(crate) binary: bool,
    /// Offers permessage-deflate. What the server compresses is inflated to be checked; what is
    /// sent to it is not compressed, which RFC 7692 §6 leaves to each message.
    pub(crate) deflate: bool,
}

/// What came of working for a while.
#[derive(Debug)]
pub(crate) struct Done {
    /// Messages that were delivered, or handshakes.
    pub(crate) count: u64,
    pub(crate) time: Duration,
    pub(crate) latency: Latency,
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (p50, p99) = (self.latency.quantile(0.5), self.latency.quantile(0.99));
        write!(f, "done {} {} {p50} {p99}", self.count, self.time.as_nanos())
    }
}

enum Load {
    Flights(Flights),
    Handshakes(Handshakes),
}

impl Load {
    fn work(&mut self, time: Duration) -> Fallible<Done> {
        match self {
            Load::Flights(flights) => flights.work(time),
            Load::Handshakes(handshakes) => handshakes.work(time),
        }
    }
}

fn main() -> Fallible<()> {
    let (options, millis) = arguments()?;
    let mut load = match options.workload {
        Workload::Handshakes { at_once } => {
            Load::Handshakes(Handshakes::new(options.address, at_once)?)
        }
        _ => Load::Flights(Flights::connect(&options)?),
    };
    if let Some(millis) = millis {
        println!("{}", load.work(Duration::from_millis(millis))?);
        return Ok(());
    }
    println!("ready");
    if let Load::Flights(flights) = &mut load {
        flights.watch_input()?;
    }
    let mut line = String::new();
    loop {
        // Pings come also when nothing is asked for.
        if let Load::Flights(flights) = &mut load {
            flights.idle_until_input()?;
        }
        line.clear();
        if stdin().lock().read_line(&mut line)? == 0 {
            return Ok(());
        }
        let millis = line.strip_prefix("go ").and_then(|millis| millis.trim().parse().ok());
        let Some(millis) = millis else { return Err(format!("not understood: {line}").into()) };
        println!("{}", load.work(Duration::from_millis(millis))?);
    }
}

fn arguments() -> Fallible<(Options, Option<u64>)> {
    const USAGE: &str = "load ADDRESS:PORT WORKLOAD [--millis N] [--binary] [--deflate]";
    let mut given = std::env::args().skip(1);
    let (Some(address), Some(workload)) = (given.next(), given.next()) else {
        return Err(USAGE.into());
    };
    let (address, workload) = (address.parse()?, workload.parse()?);
    let mut options = Options { address, workload, binary: false, deflate: false };
    let mut millis = None;
    while let Some(option) = given.next() {
        match option.as_str() {
            "--millis" => millis = Some(given.next().ok_or(USAGE)?.parse()?),
            "--binary" => options.binary = true,
            "--deflate" => options.deflate = true,
            _ => return Err(USAGE.into()),
        }
    }
    Ok((options, millis))
}
