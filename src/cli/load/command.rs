//! `parlor load`.

use super::crowd::Crowd;
use super::page::page;
use super::plan::LoadPlan;
use super::report::{for_people, for_programs, live, title};
use super::scenario::Scenario;
use super::slo::Slo;
use crate::auth::{Claims, SigningKey};
use crate::base::Limits;
use crate::cli::client::{parse_field, parse_seconds, trust};
use crate::cli::process::{file_limit_max, processor_time, raise_file_limit};
use crate::cli::{CommandFailure, Exit, print_out, run_name, secret_of_environment};
use crate::client::WebSocketUrl;
use crate::client::net::SocketPlan;
use crate::reactor::{Clock, Plain, Reactor};
use clap::Args;
use std::io::{IsTerminal, Write};
use std::net::ToSocketAddrs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Nothing sends, or connects, so often.
const RATE_MAX: f64 = 10_000_000.0;
/// More connections than any system gives a process files.
const CONNECTIONS_MAX: i64 = 1_000_000;
/// Files beside those of connections.
const OTHER_FILES: u64 = 32;

/// Options of `parlor load`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  parlor load ws://127.0.0.1:9001/ --scenario echo -c 1000 --rate 10000
  parlor load ws://127.0.0.1:8080/ws -c 500 --rooms 50 --rate 100 -z 30 --slo 'p99<20ms,lost=0'
  parlor load 'ws://127.0.0.1:8080/ws?user=user-{conn}' --scenario storm -c 200
  parlor load wss://chat.example/ws --scenario broadcast --template '{\"say\":\"{mark}\"}' --report run.html

A server has bounds for one address: limits.connections_per_address of a parlor is 100.

Messages leave when they are meant to, however slow the server is, and latencies count from that moment. Whatever comes is \
looked at: what is lost, repeated, out of order, or of another room.

It ends with 0, or with 7 if --slo is not held, 2 if the command line is wrong, 3 if no connection was ready.")]
pub(in crate::cli) struct LoadArgs {
    /// The server's address; https:// and wss:// speak TLS. In its path {conn} is the number of a connection, but with
    /// rooms, streams and crowd: there the users have names of the run
    url: String,

    /// What the connections do
    #[arg(long, value_enum, default_value = "rooms")]
    scenario: Scenario,

    /// How many connections
    #[arg(long, short, value_name = "NUMBER", default_value = "100", value_parser = clap::value_parser!(u32).range(1..=CONNECTIONS_MAX))]
    connections: u32,

    /// How many are opened in a second
    #[arg(long, value_name = "NUMBER", default_value = "500", value_parser = parse_rate)]
    ramp: f64,

    /// How long messages are sent, in seconds
    #[arg(long = "for", short = 'z', value_name = "SECONDS", default_value = "10", value_parser = parse_seconds)]
    seconds: Duration,

    /// Messages a second, of all connections together [default: one for each connection that sends]
    #[arg(long, value_name = "NUMBER", value_parser = parse_rate)]
    rate: Option<f64>,

    /// Bytes of a message's text
    #[arg(long, value_name = "BYTES", default_value = "64", value_parser = clap::value_parser!(u32).range(..=16_000_000))]
    size: u32,

    /// Rooms in which the connections are [default: one for each ten]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    rooms: Option<u32>,

    /// How many of the connections send [default: 1 for broadcast and streams, otherwise all]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    senders: Option<u32>,

    /// The stream to publish to
    #[arg(long, value_name = "NAME", default_value = "load")]
    stream: String,

    /// What echo and broadcast send: a text in which {mark} stands for what is looked for in the answers
    #[arg(long, value_name = "TEXT")]
    template: Option<String>,

    /// How long a connection of a storm stays, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "0.5", value_parser = parse_seconds)]
    stay: Duration,

    /// How long what is under way at the end is waited for, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = parse_seconds)]
    drain: Duration,

    /// The secret of a parlor that has keys: users of the run get tokens of it [default: the environment variable
    /// PARLOR_SECRET, or open mode]
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,

    /// What must hold, as 'p99<20ms,ack.p99<50ms,lost=0': otherwise it ends with 7
    #[arg(long, value_name = "CONDITIONS")]
    slo: Option<Slo>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    /// Write a page with plots
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// A file with certificates (PEM) that sign the server's, in place of those that the system trusts
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// A field of the opening requests, as 'Cookie: name=value' (may be repeated)
    #[arg(short = 'H', long = "header", value_name = "FIELD", value_parser = parse_field)]
    fields: Vec<(String, String)>,

    /// How long a connection may take to be ready, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = parse_seconds)]
    timeout: Duration,
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "a number")?;
    if rate > 0.0 && rate <= RATE_MAX {
        Ok(rate)
    } else {
        Err(format!("more than 0, and at most {RATE_MAX}"))
    }
}

pub(in crate::cli) fn run(args: LoadArgs) -> Result<(), CommandFailure> {
    let plan = args.plan()?;
    raise_file_limit();
    let files = file_limit_max().unwrap_or(u64::MAX).saturating_sub(OTHER_FILES);
    if u64::from(plan.connections) > files {
        let message = format!("-c: a process may have {files} connections here, as each is a file");
        return Err(CommandFailure::usage(message));
    }
    let socket_plan = args.socket_plan()?;
    let host = socket_plan.first_host();
    let found = host
        .to_socket_addrs()
        .map_err(|error| CommandFailure::with(Exit::Connect, format!("{}: {error}", args.url)))?;
    let limits = Limits { all_outboxes_bytes: usize::MAX, ..Limits::default() };
    let failed = |error| CommandFailure::new(format!("the network: {error}"));
    let mut reactor = Reactor::with(Vec::new(), &limits, Plain).map_err(failed)?;
    let addresses = found.collect();
    let clock = reactor.clock();
    let socket_plan = Arc::new(socket_plan);
    let mut crowd = Crowd::new(plan.clone(), socket_plan, addresses, clock, processor_time);
    if let Some(key) = args.key()? {
        let run = plan.longest();
        crowd.identify = Box::new(move |user| format!("token={}", token(&key, user, run)));
    }
    if std::io::stderr().is_terminal() {
        crowd.show = Some(|crowd| {
            // Nobody looks if that fails.
            let _ = write!(std::io::stderr(), "\r\x1b[K{}", live(crowd));
        });
    }
    if !args.json {
        print_out(&format!("{}\n\n", title(&plan, &args.url)))?;
    }
    crowd.begin(reactor.io());
    reactor.run(&mut crowd).map_err(failed)?;
    if crowd.show.is_some() {
        let _ = write!(std::io::stderr(), "\r\x1b[K");
    }
    let figures = &crowd.figures;
    if figures.opened == 0 {
        let causes: Vec<&str> = figures.causes.keys().map(String::as_str).take(3).collect();
        let why =
            if causes.is_empty() { "no reason was given".to_owned() } else { causes.join("; ") };
        let message = format!("{}: no connection was ready: {why}", args.url);
        return Err(CommandFailure::with(Exit::Connect, message));
    }
    let held = args.slo.as_ref().map(|slo| slo.judge(figures)).unwrap_or_default();
    if let Some(path) = &args.report {
        let page = page(&plan, &args.url, figures, &held);
        std::fs::write(path, page).map_err(|error| {
            CommandFailure::new(format!("--report {}: {error}", path.display()))
        })?;
    }
    print_out(&match args.json {
        true => for_programs(&plan, &args.url, figures, &held) + "\n",
        false => for_people(&plan, figures, &held),
    })?;
    if held.iter().all(|one| one.is_held) {
        Ok(())
    } else {
        // The report has told.
        Err(CommandFailure::with(Exit::Violations, ""))
    }
}

/// A token for a run, with the right to publish.
fn token(key: &SigningKey, user: &str, run: Duration) -> String {
    const SPARE: i64 = 60;
    let now = Clock::timestamp().seconds();
    let run = i64::try_from(run.as_secs()).unwrap_or(i64::MAX);
    let claims = Claims {
        sub: user.into(),
        exp: Some(now.saturating_add(run).saturating_add(SPARE).into()),
        iat: Some(now.into()),
        publish: Some(vec!["*".to_owned()]),
        ..Claims::default()
    };
    // A secret signs whatever there is. An empty token is refused, and that is told.
    key.sign(&claims, None).unwrap_or_default()
}

impl LoadArgs {
    fn key(&self) -> Result<Option<SigningKey>, CommandFailure> {
        match &self.secret_file {
            Some(path) => {
                SigningKey::from_secret_file(path).map(Some).map_err(CommandFailure::usage)
            }
            None => Ok(secret_of_environment()?.map(|secret| SigningKey::from_secret(&secret))),
        }
    }

    fn plan(&self) -> Result<LoadPlan, CommandFailure> {
        let scenario = self.scenario;
        if let Some(template) = &self.template {
            if scenario.is_chat() || scenario == Scenario::Storm {
                return Err(CommandFailure::usage("--template is for echo and broadcast"));
            }
            if !template.contains("{mark}") {
                let message = "--template has no {mark}, by which answers would be known";
                return Err(CommandFailure::usage(message));
            }
        }
        let few = if scenario.has_few_senders() { 1 } else { self.connections };
        let senders = self.senders.unwrap_or(few).min(self.connections);
        Ok(LoadPlan {
            scenario,
            connections: self.connections,
            ramp: self.ramp,
            rate: self.rate.unwrap_or(f64::from(senders)),
            sending: self.seconds,
            drain: self.drain,
            timeout: self.timeout,
            rooms: self.rooms.unwrap_or(self.connections.div_ceil(10)).min(self.connections),
            senders,
            size: self.size as usize,
            template: self.template.clone(),
            stream: self.stream.clone(),
            run: run_name(),
            stay: self.stay,
        })
    }

    fn socket_plan(&self) -> Result<SocketPlan, CommandFailure> {
        let wrong = |error| CommandFailure::usage(format!("{:?}: {error}", self.url));
        let mut plan = SocketPlan::new(WebSocketUrl::parse(&self.url).map_err(wrong)?);
        plan.fields.clone_from(&self.fields);
        plan.tls = trust(self.ca.as_deref())?;
        plan.complete().map_err(CommandFailure::new)?;
        Ok(plan)
    }
}
