//! The command line of `parlor tap`.

use super::faults::{
    FaultPlan, FaultRule, FaultTime, InjectedFault, parse_corrupt, parse_delay, parse_side,
    parse_throttle,
};
use super::http::HostNames;
use super::page::{PAGE_CONNECTIONS_MAX, TapPage};
use super::proxy::{Tap, TapSettings};
use super::record::RecordPlan;
use super::show::{TapFilter, TapKind, TapStyle};
use super::sighting::WatchSettings;
use crate::base::Limits;
use crate::cli::client::trust;
use crate::cli::{CommandFailure, Exit, process};
use crate::client::net::byte_link::LinkTarget;
use crate::client::{Tls, WebSocketUrl};
use crate::protocol::Role;
use crate::reactor::{
    Clock, ListeningSocket, Plain, Reactor, ReactorListener, SIGINT, SIGTERM, on_signal,
};
use clap::Args;
use std::io::IsTerminal;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Connections through a tap at a time.
const CONNECTIONS_MAX: u32 = 1_000;
/// What a receiver's outbox takes beside what waits there by rule: what the tap reads at once.
const OUTBOX_BYTES: u32 = 64 * 1024 * 1024;
/// Longer than any tap runs: a receiver may be as slow as it likes.
const STALL_MS: u64 = 7 * 24 * 60 * 60 * 1_000;

/// How long it may take to end.
const END_PATIENCE: Duration = Duration::from_secs(1);

/// Options of `parlor tap`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  parlor tap 7000 ws://127.0.0.1:8080             then chat at http://127.0.0.1:7000/
  parlor tap 7000 ws://127.0.0.1:8080 --web 7001  and see it at http://127.0.0.1:7001/
  parlor tap 7000 wss://chat.example --host-from-upstream --bytes --only text,close
  parlor tap 7000 ws://127.0.0.1:8080 --record calls
  parlor decode --from client calls/0001-client.bin
  parlor tap 7000 ws://127.0.0.1:8080 --cut-after 5s --delay 50..300 --seed 7

A script has a fault a line, and remarks behind #:
  at 2s cut
  at 5s..9s from server delay 200
  conn 3 corrupt 1
  after 64k half-open

The bytes pass unchanged, but for faults and --host-from-upstream. A tap sees all that passes: tokens are hidden on the \
screen and on the page without --secrets, and a recording has them. It listens on 127.0.0.1; at another address others \
connect through it, and from there to the upstream. It runs until it is interrupted, and ends then with 0; with 1 if it \
cannot listen, record or write, and with 2 if the command line is wrong.")]
pub(in crate::cli) struct TapArgs {
    /// Where it listens: PORT, or HOST:PORT; a port of 0 is a free one
    #[arg(value_name = "LISTEN", value_parser = parse_listen)]
    listen: SocketAddr,

    /// Whom it passes the bytes to: ws://, wss://, http:// or https://, HOST and :PORT
    #[arg(value_name = "UPSTREAM")]
    upstream: String,

    /// A file with certificates (PEM) that sign the upstream's, in place of those that the system trusts
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// Where Host is the tap's own address or localhost, name the upstream there, and in Origin if that is the same
    #[arg(long)]
    host_from_upstream: bool,

    /// A page that shows it all, at PORT or HOST:PORT
    #[arg(long, value_name = "LISTEN", value_parser = parse_listen)]
    web: Option<SocketAddr>,

    /// Show each byte beside its meaning and its clause, as `parlor decode` does
    #[arg(long, conflicts_with = "json")]
    bytes: bool,

    /// Print a JSON object a line, as docs/command-line.md has it
    #[arg(long)]
    json: bool,

    /// Show only these, and what is wrong
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    only: Vec<TapKind>,

    /// Show only what this end sends
    #[arg(long, value_name = "END", value_parser = parse_end)]
    from: Option<Role>,

    /// Show only messages and heads with this text
    #[arg(long, value_name = "TEXT")]
    grep: Option<String>,

    /// Show only this connection
    #[arg(long, value_name = "NUMBER")]
    conn: Option<u32>,

    /// Show tokens, cookies and the like, too
    #[arg(long)]
    secrets: bool,

    /// Write what each end sends to files in this folder, as 0001-client.bin, for `parlor decode`
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,

    /// The same with a first byte as the fuzz target `decode` has it
    #[arg(long, value_name = "DIR")]
    record_corpus: Option<PathBuf>,

    /// Cut each connection after a time, as 2s, or so many bytes of one end, as 4k
    #[arg(long, value_name = "TIME|BYTES", value_parser = FaultRule::parse_time, help_heading = "Faults")]
    cut_after: Option<FaultTime>,

    /// Hold all for so many milliseconds, or for a time between two
    #[arg(long, value_name = "MS[..MS]", value_parser = parse_delay, help_heading = "Faults")]
    delay: Option<InjectedFault>,

    /// Pass so many bytes a second
    #[arg(long, value_name = "BYTES", value_parser = parse_throttle, help_heading = "Faults")]
    throttle: Option<InjectedFault>,

    /// Have bytes of one connection overtake those of another
    #[arg(long, help_heading = "Faults")]
    reorder: bool,

    /// Flip one bit in each so many kilobytes of frames
    #[arg(long, value_name = "KILOBYTES", value_parser = parse_corrupt, help_heading = "Faults")]
    corrupt: Option<InjectedFault>,

    /// Pass nothing more after a time, or so many bytes of an end, and close nothing
    #[arg(long, value_name = "TIME|BYTES", value_parser = FaultRule::parse_time, help_heading = "Faults")]
    half_open: Option<FaultTime>,

    /// Whose bytes these are done to: client, server or both
    #[arg(long, value_name = "END", default_value = "both", value_parser = parse_fault_side, help_heading = "Faults")]
    faults_from: FaultSide,

    /// A file that says what goes wrong when
    #[arg(long, value_name = "FILE", help_heading = "Faults")]
    script: Option<PathBuf>,

    /// Repeat what chance decided with this number
    #[arg(long, value_name = "NUMBER", help_heading = "Faults")]
    seed: Option<u64>,
}

/// One end or both.
#[derive(Clone, Copy, Debug)]
struct FaultSide(Option<Role>);

fn parse_fault_side(text: &str) -> Result<FaultSide, String> {
    parse_side(text).map(FaultSide)
}

fn parse_end(text: &str) -> Result<Role, String> {
    parse_side(text)?.ok_or_else(|| "client or server; without --from it is both".to_owned())
}

/// `7000`, `0.0.0.0:7000` or `localhost:7000`.
fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse() {
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    let mut found =
        text.to_socket_addrs().map_err(|error| format!("PORT or HOST:PORT: {error}"))?;
    found.next().ok_or_else(|| "the host has no address".to_owned())
}

pub(in crate::cli) fn run(args: TapArgs) -> Result<(), CommandFailure> {
    process::raise_file_limit();
    let mut settings = args.settings()?;
    let mut listeners = vec![listener(args.listen, CONNECTIONS_MAX)?];
    if let Some(address) = args.web {
        listeners.push(listener(address, PAGE_CONNECTIONS_MAX)?);
    }
    let limits =
        Limits { outbox_bytes: OUTBOX_BYTES, stall_timeout_ms: STALL_MS, ..Limits::default() };
    let mut reactor = Reactor::with(listeners, &limits, Plain).map_err(CommandFailure::new)?;
    let addresses = reactor.local_addrs();
    let stops = Arc::new(AtomicBool::new(false));
    let (tell, wake) = (Arc::clone(&stops), reactor.wake());
    on_signal(&[SIGINT, SIGTERM], move |_| {
        tell.store(true, Ordering::Release);
        wake.wake();
        // Whoever reads its output may have stopped: then it waits for them, and what passes with it.
        std::thread::sleep(END_PATIENCE);
        std::process::exit(0);
    })
    .map_err(CommandFailure::new)?;
    let address = |index: usize| addresses.get(index).copied().flatten();
    if let Some(address) = address(0) {
        if let Some(host) = &mut settings.watch.host {
            host.tap = address;
        }
        eprintln!("Listens at {address}, passes to {}", settings.upstream);
    }
    if settings.faults.has_chance() {
        eprintln!("Seed {}", settings.faults.seed());
    }
    let page = address(1).map(|address| TapPage::new(address, Clock::timestamp()));
    if let Some(address) = address(1) {
        eprintln!("Page: http://{address}/");
    }
    let mut tap = Tap::new(settings, page, reactor.wake(), stops);
    reactor.run(&mut tap).map_err(CommandFailure::new)?;
    tap.failure().map_or(Ok(()), |why| Err(CommandFailure::new(why)))
}

fn listener(address: SocketAddr, connections: u32) -> Result<ReactorListener, CommandFailure> {
    let socket = ListeningSocket::tcp(address)
        .map_err(|error| CommandFailure::new(format!("cannot listen at {address}: {error}")))?;
    Ok(ReactorListener { socket, connections: Some(connections) })
}

impl TapArgs {
    fn settings(&self) -> Result<TapSettings, CommandFailure> {
        let wrong = |what: String| CommandFailure::usage(format!("{}: {what}", self.upstream));
        let url = WebSocketUrl::parse(&self.upstream).map_err(|error| wrong(error.to_string()))?;
        if url.target() != "/" {
            return Err(wrong("leave the path out: the client says it".to_owned()));
        }
        if self.ca.is_some() && !url.is_secure() {
            return Err(wrong("--ca is for wss:// and https://".to_owned()));
        }
        let tls = match trust(self.ca.as_deref())? {
            None if url.is_secure() => Some(Tls::system().map_err(CommandFailure::new)?),
            tls => tls,
        };
        let scheme = if url.is_secure() { "https" } else { "http" };
        let host = HostNames { tap: self.listen, authority: url.authority(), scheme };
        let record = RecordPlan::begin(self.record.clone(), self.record_corpus.clone());
        Ok(TapSettings {
            target: Arc::new(LinkTarget { host: url.host().to_owned(), port: url.port(), tls }),
            upstream: url.to_string(),
            watch: WatchSettings {
                hides: !self.secrets,
                grep: self.grep.clone(),
                host: self.host_from_upstream.then_some(host),
            },
            faults: FaultPlan::new(self.rules()?, self.seed.unwrap_or_else(made_seed)),
            record: record.map_err(CommandFailure::new)?,
            filter: TapFilter {
                only: self.only.clone(),
                from: self.from,
                conn: self.conn,
                has_grep: self.grep.is_some(),
            },
            style: TapStyle {
                json: self.json,
                bytes: self.bytes,
                // https://no-color.org
                colour: std::io::stdout().is_terminal()
                    && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            },
        })
    }

    /// The faults of the flags, and of the script behind them.
    fn rules(&self) -> Result<Vec<FaultRule>, CommandFailure> {
        let of = |fault| FaultRule::always(fault, self.faults_from.0);
        let mut rules = Vec::new();
        rules.extend(self.cut_after.map(|time| of(InjectedFault::Cut).at(time)));
        rules.extend(self.half_open.map(|time| of(InjectedFault::HalfOpen).at(time)));
        rules.extend(self.reorder.then(|| of(InjectedFault::Reorder)));
        rules.extend([self.delay, self.throttle, self.corrupt].into_iter().flatten().map(of));
        if let Some(path) = &self.script {
            let failed = |exit, why: String| {
                CommandFailure::with(exit, format!("--script {}: {why}", path.display()))
            };
            let text = std::fs::read_to_string(path)
                .map_err(|error| failed(Exit::Usage, error.to_string()))?;
            let script = FaultRule::parse_script(&text).map_err(|why| failed(Exit::Usage, why))?;
            rules.extend(script);
        }
        Ok(rules)
    }
}

/// Another one with each start. It guards nothing.
fn made_seed() -> u64 {
    u64::try_from(Clock::timestamp().0).unwrap_or_default() % 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_to_listen_is_a_port_of_this_machine_or_an_address() {
        let listens = |text: &str| parse_listen(text).map(|address| address.to_string());
        assert_eq!(listens("7000").as_deref(), Ok("127.0.0.1:7000"));
        assert_eq!(listens("0.0.0.0:7000").as_deref(), Ok("0.0.0.0:7000"));
        assert_eq!(listens("[::1]:0").as_deref(), Ok("[::1]:0"));
        assert!(listens("here").is_err() && listens("70000").is_err());
        assert!(parse_end("both").is_err());
    }
}
