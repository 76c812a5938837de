//! `parlor check`.

use super::accepted::{Clients, answers, of_requests};
use super::bounds::bounds;
use super::case::{Case, CheckFinding, Nature, Play};
use super::chat::{CONTRACT, Session, Visitors};
use super::closing::closing;
use super::compression::compression;
use super::frames::{control, fragments, framing};
use super::judge::{converse, converse_compressed};
use super::opening::{judge, opening};
use super::report::{CheckCounts, Tried, for_people, for_programs, junit};
use super::server::CheckedServer;
use super::utf8::utf8;
use crate::cli::client::{parse_field, parse_seconds, read_token, trust};
use crate::cli::{CommandFailure, Exit, print_out, run_name};
use crate::client::{Tls, WebSocketUrl};
use crate::reactor::Clock;
use clap::Args;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Options of `parlor check`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  parlor check ws://127.0.0.1:9001/              a server: handshake, frames, closing, UTF-8, compression, bounds
  parlor check wss://chat.example/ws --message '{\"type\":\"ping\"}' -H 'Authorization: Bearer …'
  parlor check ws://127.0.0.1:8080/ws --chat     a parlor, and its contract
  parlor check --listen 127.0.0.1:9009 --echo    clients: yours connects again and again, each time to the next case
  parlor check ws://127.0.0.1:9001/ --junit report.xml --json

A fault breaks a clause of RFC 6455 or RFC 7692. A note is a departure from which no conversation suffers. What cannot be \
said is open: as what becomes of a text, with an application that ends the connection because of it. If the \
server is an echo, what comes back is compared.

It ends with 0 if there is no fault, 7 if there is one, 2 if the command line is wrong, 3 if the server cannot be reached, \
4 if it lets the users of --chat not in, 5 if no WebSocket opens there, 6 if no client has come, or not for every case.")]
pub(in crate::cli) struct CheckArgs {
    /// The server's address; https:// and wss:// speak TLS
    #[arg(required_unless_present_any = ["listen", "list"], conflicts_with = "listen")]
    url: Option<String>,

    /// Check clients: wait for their connections at this address
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<SocketAddr>,

    /// The server is a parlor: try its contract (docs/protocol.md), too, by two users, who leave nothing but a direct
    /// conversation
    #[arg(long, conflicts_with = "listen")]
    chat: bool,

    /// A file with the token of a user for --chat; needed twice, for two users, unless the server is in open mode
    #[arg(long, value_name = "FILE", requires = "chat")]
    token_file: Vec<PathBuf>,

    /// It sends back what it gets; of a server that is found out, unless it alters it
    #[arg(long)]
    echo: bool,

    /// A text that the server takes
    #[arg(long, value_name = "TEXT", default_value = "Grüße from parlor check")]
    message: String,

    /// Only these: groups, or cases as group.name
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<String>,

    /// List the cases with their clauses, and try none
    #[arg(long)]
    list: bool,

    /// Tell of each case
    #[arg(long, short)]
    verbose: bool,

    /// Print JSON, a line for each case
    #[arg(long)]
    json: bool,

    /// Write a report that CI systems read, in the form of JUnit
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    /// A file with certificates (PEM) that sign the server's, in place of those that the system trusts
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// A subprotocol to ask for
    #[arg(long, value_name = "NAME")]
    protocol: Option<String>,

    /// A field of the opening request, as 'Cookie: name=value' (may be repeated)
    #[arg(short = 'H', long = "header", value_name = "FIELD", value_parser = parse_field)]
    fields: Vec<(String, String)>,

    /// How long an answer may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = parse_seconds)]
    timeout: Duration,

    /// How long to wait for the end of a connection that says nothing, and for the next connection of a client
    #[arg(long, value_name = "SECONDS", default_value = "15", value_parser = parse_seconds)]
    patience: Duration,

    /// How many connections are tried at once
    #[arg(long, value_name = "NUMBER", default_value = "8", value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,
}

pub(in crate::cli) fn run(args: CheckArgs) -> Result<(), CommandFailure> {
    let mut cases = if args.listen.is_some() { answers() } else { opening() };
    cases.extend(framing(&args.message));
    cases.extend(fragments(&args.message));
    cases.extend(control(&args.message));
    cases.extend(closing(&args.message));
    cases.extend(utf8());
    cases.extend(compression(&args.message));
    if args.listen.is_none() {
        cases.extend(bounds());
    }
    if args.chat || args.list {
        cases.extend(contract());
    }
    let is_wanted = |case: &Case| {
        let whole = format!("{}.{}", case.group, case.name);
        args.only.is_empty() || args.only.iter().any(|name| name == case.group || *name == whole)
    };
    for name in &args.only {
        let is_name = |case: &Case| {
            name == case.group || name.split_once('.') == Some((case.group, &case.name))
        };
        if !cases.iter().any(is_name) {
            let of_chat = contract().any(|case| is_name(&case));
            let hint = if of_chat { "it needs --chat" } else { "see --list" };
            let message = format!("--only {name}: there is no such group or case; {hint}");
            return Err(CommandFailure::usage(message));
        }
    }
    cases.retain(is_wanted);
    if args.list {
        let lines = cases
            .iter()
            .map(|case| format!("{}.{}: {} ({})\n", case.group, case.name, case.duty, case.clause));
        return print_out(&lines.collect::<String>());
    }
    let (clock, mut missing) = (Clock::start(), 0);
    let (name, tried) = match args.listen {
        Some(address) => {
            let (tried, missed) = args.check_clients(address, cases)?;
            missing = missed;
            ("clients".to_owned(), tried)
        }
        None => {
            let visitors = args.visitors()?;
            let server = args.server(visitors.as_ref())?;
            let url = args.url.clone().unwrap_or_default();
            let (of_chat, others) = cases.into_iter().partition(|case| case.group == "chat");
            let mut tried = check_server(&server, others, args.jobs);
            if let Some(visitors) = visitors {
                tried.extend(check_contract(visitors, of_chat));
            }
            (url, tried)
        }
    };
    let took = clock.elapsed();
    if let Some(path) = &args.junit {
        let xml = junit(&tried, &name, took);
        std::fs::write(path, xml)
            .map_err(|error| CommandFailure::new(format!("--junit {}: {error}", path.display())))?;
    }
    print_out(&match args.json {
        true => for_programs(&tried),
        false => for_people(&tried, args.verbose, took),
    })?;
    match CheckCounts::of(&tried).faults {
        0 if missing > 0 => {
            let message = format!("the client did not come back for {missing} cases");
            Err(CommandFailure::with(Exit::Timeout, message))
        }
        0 => Ok(()),
        // The report has told.
        _ => Err(CommandFailure::with(Exit::Violations, "")),
    }
}

impl CheckArgs {
    /// The two users that try the contract.
    fn visitors(&self) -> Result<Option<Visitors>, CommandFailure> {
        if !self.chat {
            return Ok(None);
        }
        let tokens =
            self.token_file.iter().map(|path| read_token(path).map_err(CommandFailure::usage));
        let tokens: Vec<String> = tokens.collect::<Result<_, _>>()?;
        if !matches!(tokens.len(), 0 | 2) {
            let message = "--token-file is needed twice: the contract takes two users";
            return Err(CommandFailure::usage(message));
        }
        let run = run_name();
        let (url, _, tls) = self.address()?;
        let (fields, timeout) = (self.fields.clone(), self.timeout);
        Ok(Some(Visitors { url, tls, fields, timeout, tokens, run }))
    }

    /// The URL, and whom to trust there.
    fn address(&self) -> Result<(String, WebSocketUrl, Option<Tls>), CommandFailure> {
        let url = self.url.clone().unwrap_or_default();
        let wrong = |error| CommandFailure::usage(format!("{url:?}: {error}"));
        let parsed = WebSocketUrl::parse(&url).map_err(wrong)?;
        // Once, and not for each of many connections.
        let tls = match trust(self.ca.as_deref())? {
            None if parsed.is_secure() => Some(Tls::system().map_err(CommandFailure::new)?),
            tls => tls,
        };
        Ok((url, parsed, tls))
    }

    /// The server, if a WebSocket opens there, and what it does with messages. With visitors, it is the first of them who
    /// tries.
    fn server(&self, visitors: Option<&Visitors>) -> Result<CheckedServer, CommandFailure> {
        let (url, mut parsed, tls) = self.address()?;
        let mut fields = self.fields.clone();
        if let Some(visitors) = visitors {
            match visitors.tokens.first() {
                None => parsed = parsed.with_query(&format!("user={}", visitors.name(0))),
                Some(token) => fields.push(("Authorization".to_owned(), format!("Bearer {token}"))),
            }
        }
        let mut server = CheckedServer {
            url: parsed,
            tls,
            fields,
            protocol: self.protocol.clone(),
            timeout: self.timeout,
            patience: self.patience,
            text: self.message.clone(),
            nature: Nature::default(),
        };
        // What cannot be reached is no finding.
        let reached = server.stream();
        reached.map_err(|error| CommandFailure::with(Exit::Connect, format!("{url}: {error}")))?;
        server.look().map_err(|status| {
            let message =
                format!("{url}: no WebSocket opens there: it answers with status {status}");
            let hint = match status {
                401 => "; a parlor in open mode takes ?user=NAME in the URL, another a token: -H 'Authorization: Bearer …'",
                _ => "",
            };
            CommandFailure::with(Exit::Protocol, message + hint)
        })?;
        if let Some(visitors) = visitors {
            visitors.can_come_in().map_err(|why| {
                let hint = match visitors.tokens.is_empty() {
                    true => "; a server with keys wants --token-file twice",
                    false => "",
                };
                CommandFailure::with(Exit::Auth, format!("{url}: no session: {why}{hint}"))
            })?;
        }
        server.nature.is_echo |= self.echo;
        if !self.json {
            let nature = match (server.nature.is_echo, server.nature.takes_text) {
                (true, _) => "an echo",
                (false, true) => "it takes texts, and does not send them back",
                (false, false) => {
                    "it ends the connection at a text; --message gives one that it takes"
                }
            };
            print_out(&format!("{url}: {nature}\n\n"))?;
        }
        Ok(server)
    }

    /// What was tried, and for how many cases no client came.
    fn check_clients(
        &self,
        address: SocketAddr,
        cases: Vec<Case>,
    ) -> Result<(Vec<Tried>, usize), CommandFailure> {
        let nature = Nature { is_echo: self.echo, takes_text: true };
        let failed = |error| CommandFailure::new(format!("--listen {address}: {error}"));
        let listening = Clients::listen(address, self.timeout, self.patience, nature);
        let mut clients = listening.map_err(failed)?;
        if !self.json {
            let address = clients.address().map_err(failed)?;
            let count = cases.len();
            print_out(&format!("ws://{address}/: connect a client {count} times\n\n"))?;
        }
        let (mut tried, mut has_gone, mut missing) = (Vec::new(), false, 0);
        for case in cases {
            let finding = if has_gone { None } else { clients.try_case(&case) };
            has_gone = finding.is_none();
            missing += usize::from(has_gone);
            if has_gone && clients.requests.count == 0 {
                let seconds = self.patience.as_secs_f64();
                let message = format!("no client has connected within {seconds} s (--patience)");
                return Err(CommandFailure::with(Exit::Timeout, message));
            }
            let gone = || CheckFinding::open("the client has not connected again");
            tried.push(Tried { case, finding: finding.unwrap_or_else(gone) });
        }
        let of_all = of_requests(&clients.requests);
        tried.extend(of_all.into_iter().map(|(case, finding)| Tried { case, finding }));
        tried.sort_by_key(|one| GROUPS.iter().position(|group| *group == one.case.group));
        Ok((tried, missing))
    }
}

/// The groups, in the order of the report.
const GROUPS: &[&str] =
    &["opening", "framing", "fragments", "control", "closing", "utf8", "compression", "bounds"];

/// The contract's trials.
fn contract() -> impl Iterator<Item = Case> {
    CONTRACT.iter().map(|(name, place, duty, trial)| Case {
        group: "chat",
        name: (*name).into(),
        clause: format!("docs/protocol.md, {place}").into(),
        duty,
        play: Play::Chat(*trial),
    })
}

/// Tries the contract, one trial after the other: most need what those before have made.
fn check_contract(visitors: Visitors, cases: Vec<Case>) -> Vec<Tried> {
    let mut session = Session::begin(visitors);
    let tried = cases.into_iter().map(|case| {
        let finding = match (&mut session, &case.play) {
            (Ok(session), Play::Chat(trial)) => match (trial(session), session.open.take()) {
                (Err(fault), _) => CheckFinding::fault(fault),
                (Ok(()), Some(why)) => CheckFinding::open(why),
                (Ok(()), None) => CheckFinding::good(),
            },
            (Err(why), _) => CheckFinding::fault(format!("no session: {why}")),
            (Ok(_), _) => CheckFinding::open("it is no trial of the contract"),
        };
        Tried { case, finding }
    });
    let tried = tried.collect();
    if let Ok(session) = session {
        session.end();
    }
    tried
}

/// Tries the cases, several at once.
fn check_server(server: &CheckedServer, cases: Vec<Case>, jobs: u8) -> Vec<Tried> {
    let next = AtomicUsize::new(0);
    let findings = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let at = next.fetch_add(1, Ordering::Relaxed)
                    && let Some(case) = cases.get(at)
                {
                    let finding = try_case(server, case);
                    let mut findings =
                        findings.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    findings.push((at, finding));
                }
            });
        }
    });
    let mut findings = findings.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    findings.sort_by_key(|(at, _)| *at);
    let findings = findings.into_iter().map(|(_, finding)| finding);
    cases.into_iter().zip(findings).map(|(case, finding)| Tried { case, finding }).collect()
}

fn try_case(server: &CheckedServer, case: &Case) -> CheckFinding {
    match &case.play {
        Play::Frames(steps, then) => match server.open() {
            Ok(mut peer) => converse(&mut peer, steps, then, &server.nature),
            Err(finding) => finding,
        },
        Play::Compressed(compressed) => match server.open_with(Some(&compressed.offer)) {
            Ok((mut peer, agreed)) => {
                converse_compressed(&mut peer, agreed, compressed, &server.nature)
            }
            Err(finding) => finding,
        },
        Play::Server(function) => function(server),
        Play::Request(request, answered) => judge(server, &request(server), *answered),
        Play::Answer(..) => CheckFinding::open("it is for clients"),
        Play::Chat(_) => CheckFinding::open("it is tried behind the others"),
    }
}
