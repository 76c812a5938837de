//! What is asked for.

use crate::Fallible;
use crate::servers::Server;
use parlor_peers::workload::Workload;
use std::path::PathBuf;
use std::time::Duration;

const HELP: &str = "\
bench [OPTIONS]

  --only TEXT        the workload of that name, or those with TEXT in their names (may be given
                     more than once)
  --all              all workloads; without it (and --only) those that have targets
  --servers A,B      of floor, parlor, before, tungstenite, fastws, tokio_ws, node; default all
                     but before
  --rounds N         slices of each server; default 9
  --starts N         how often the servers are started for them; default 3
  --slice-ms N       length of a slice; default 500
  --quick            3 rounds of 200 ms, and one start
  --two-cores        the load on the other core: for latencies
  --core N           the servers' core; default 1
  --binary           binary messages instead of texts
  --deflate          offers permessage-deflate, and fails if it is refused
  --list             prints the workloads and ends

PARLOR_EXAMPLES is the directory of parlor's examples `echo` and `fan_out`, default
target/release/examples of the repository. PARLOR_BEFORE is that of another build of them, for the
server `before`. Build everything with --release.";

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) workloads: Vec<Workload>,
    pub(crate) servers: Vec<Server>,
    pub(crate) rounds: usize,
    pub(crate) starts: usize,
    pub(crate) slice: Duration,
    pub(crate) server_core: usize,
    pub(crate) load_core: usize,
    pub(crate) own_core: usize,
    pub(crate) binary: bool,
    pub(crate) deflate: bool,
    /// Where parlor's examples are.
    pub(crate) parlor: PathBuf,
    pub(crate) before: PathBuf,
    pub(crate) node_server: PathBuf,
}

impl Options {
    /// `None` when there is nothing to do but what was printed.
    pub(crate) fn from_arguments() -> Fallible<Option<Options>> {
        // `cargo run` says where the package is.
        let package =
            PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| ".".into()));
        let directory = |variable: &str, default: &str| {
            std::env::var(variable).map_or_else(|_| package.join(default), PathBuf::from)
        };
        let mut options = Options {
            workloads: Vec::new(),
            servers: Server::ALL.into_iter().filter(|&one| one != Server::Before).collect(),
            rounds: 9,
            starts: 3,
            slice: Duration::from_millis(500),
            server_core: 1,
            load_core: 1,
            own_core: 0,
            binary: false,
            deflate: false,
            parlor: directory("PARLOR_EXAMPLES", "../../target/release/examples"),
            before: directory("PARLOR_BEFORE", "before"),
            node_server: package.join("node/server.mjs"),
        };
        let (mut only, mut all, mut two_cores) = (Vec::new(), false, false);
        let mut given = std::env::args().skip(1);
        while let Some(option) = given.next() {
            let mut value = || given.next().ok_or_else(|| format!("{option} needs a value"));
            match option.as_str() {
                "--only" => only.push(value()?),
                "--all" => all = true,
                "--servers" => {
                    let names = value()?;
                    options.servers = names.split(',').map(str::parse).collect::<Result<_, _>>()?;
                }
                "--rounds" => options.rounds = value()?.parse()?,
                "--starts" => options.starts = value()?.parse()?,
                "--slice-ms" => options.slice = Duration::from_millis(value()?.parse()?),
                "--quick" => {
                    (options.rounds, options.starts) = (3, 1);
                    options.slice = Duration::from_millis(200);
                }
                "--two-cores" => two_cores = true,
                "--core" => options.server_core = value()?.parse()?,
                "--binary" => options.binary = true,
                "--deflate" => options.deflate = true,
                "--list" => {
                    for workload in Workload::all() {
                        let mark = if workload.targets().is_some() { " *" } else { "" };
                        println!("{workload}{mark}");
                    }
                    return Ok(None);
                }
                "--help" => {
                    println!("{HELP}");
                    return Ok(None);
                }
                _ => return Err(format!("{option} is unknown\n\n{HELP}").into()),
            }
        }
        let is_name =
            |text: &str| text.parse::<Workload>().is_ok_and(|w| Workload::all().contains(&w));
        let is_wanted = |workload: &Workload| {
            let name = workload.to_string();
            match only[..] {
                [] => all || workload.targets().is_some(),
                _ => only.iter().any(|text: &String| {
                    *text == name || !is_name(text) && name.contains(text.as_str())
                }),
            }
        };
        options.workloads = Workload::all().into_iter().filter(is_wanted).collect();
        // Two cores are enough, and more are not used.
        options.own_core = if options.server_core == 0 { 1 } else { 0 };
        options.load_core = if two_cores { options.own_core } else { options.server_core };
        if options.workloads.is_empty() || options.servers.is_empty() {
            return Err("nothing to do: see --list".into());
        }
        if options.starts == 0 || options.rounds < options.starts {
            return Err("at least one start, and a round for each".into());
        }
        Ok(Some(options))
    }
}
