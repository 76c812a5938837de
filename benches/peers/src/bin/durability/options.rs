//! What is asked for.

use crate::Fallible;
use crate::servers::Server;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const HELP: &str = "\
durability [OPTIONS]

  --senders A,B      so many senders at once; default 1,10,100
  --servers A,B      of parlor, redis, parlor-memory, nats, parlor-room; default all of these. And
                     before, before-memory: another parlor, to compare with
  --depth N          messages that each sender has under way; default 1
  --rounds N         slices of each server with each number of senders; default 9
  --starts N         how often the servers are started for them; default 3
  --slice-ms N       length of a slice; default 1000
  --quick            3 rounds of 300 ms, and one start
  --data DIR         where the servers' data lies while it runs, which must not be in memory;
                     default a directory beside this program
  --no-strace        messages for each call that waits for the disk are not counted

redis-server and nats-server are looked for in PATH (or REDIS_SERVER, NATS_SERVER). Debian has both:
apt-get install redis-server nats-server. That may start them as services of the system, which this
does not need: systemctl disable --now redis-server nats-server. PARLOR is parlor's program, default
target/release/parlor of the repository; PARLOR_BEFORE the other one, by default the same.";

/// The variable that says which other parlor.
pub(crate) const BEFORE: &str = "PARLOR_BEFORE";

/// Behind the reason why a program does not start.
pub(crate) const MISSING: &str =
    " (in Debian: apt-get install redis-server nats-server strace; --help says more)";

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) senders: Vec<usize>,
    pub(crate) servers: Vec<Server>,
    pub(crate) depth: usize,
    pub(crate) rounds: usize,
    pub(crate) starts: usize,
    pub(crate) slice: Duration,
    pub(crate) data: PathBuf,
    pub(crate) counts_calls: bool,
    parlor: PathBuf,
    before: PathBuf,
    redis: PathBuf,
    nats: PathBuf,
}

impl Options {
    /// `None` when there is nothing to do but what was printed.
    pub(crate) fn from_arguments() -> Fallible<Option<Options>> {
        // `cargo run` says where the package is.
        let package =
            PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| ".".into()));
        let program = |variable: &str, default: PathBuf| {
            std::env::var(variable).map_or(default, PathBuf::from)
        };
        let beside = std::env::current_exe()?.with_file_name("");
        let parlor = program("PARLOR", package.join("../../target/release/parlor"));
        let mut options = Options {
            senders: vec![1, 10, 100],
            servers: Server::USUAL.into(),
            depth: 1,
            rounds: 9,
            starts: 3,
            slice: Duration::from_millis(1_000),
            data: beside,
            counts_calls: true,
            before: program(BEFORE, parlor.clone()),
            parlor,
            redis: program("REDIS_SERVER", "redis-server".into()),
            nats: program("NATS_SERVER", "nats-server".into()),
        };
        let mut given = std::env::args().skip(1);
        while let Some(option) = given.next() {
            let mut value = || given.next().ok_or_else(|| format!("{option} needs a value"));
            match option.as_str() {
                "--senders" => {
                    let numbers = value()?;
                    options.senders =
                        numbers.split(',').map(str::parse).collect::<Result<_, _>>()?;
                }
                "--servers" => {
                    let names = value()?;
                    options.servers = names.split(',').map(str::parse).collect::<Result<_, _>>()?;
                }
                "--depth" => options.depth = value()?.parse()?,
                "--rounds" => options.rounds = value()?.parse()?,
                "--starts" => options.starts = value()?.parse()?,
                "--slice-ms" => options.slice = Duration::from_millis(value()?.parse()?),
                "--quick" => {
                    (options.rounds, options.starts) = (3, 1);
                    options.slice = Duration::from_millis(300);
                }
                "--data" => options.data = value()?.into(),
                "--no-strace" => options.counts_calls = false,
                "--help" => {
                    println!("{HELP}");
                    return Ok(None);
                }
                _ => return Err(format!("{option} is unknown\n\n{HELP}").into()),
            }
        }
        options.judge()?;
        // Another one for each run: what is in it is removed.
        options.data = options.data.join(format!("durability-{}", std::process::id()));
        Ok(Some(options))
    }

    fn judge(&self) -> Fallible<()> {
        if self.senders.iter().any(|senders| !(1..=1_000).contains(senders)) {
            return Err("from 1 to 1,000 senders".into());
        }
        // What is under way on a connection has to fit into the system's buffers.
        if !(1..=100).contains(&self.depth) {
            return Err("a depth from 1 to 100".into());
        }
        if self.starts == 0 || self.rounds < self.starts {
            return Err("at least one start, and a round for each".into());
        }
        let kind = file_system(&self.data)?;
        if kind == "tmpfs" || kind == "ramfs" {
            let data = self.data.display();
            return Err(format!("{data} is in memory ({kind}): say --data, on a disk").into());
        }
        Ok(())
    }

    pub(crate) fn program(&self, server: Server) -> &Path {
        match server {
            Server::Parlor | Server::ParlorMemory | Server::ParlorRoom => &self.parlor,
            Server::Before | Server::BeforeMemory => &self.before,
            Server::Redis => &self.redis,
            Server::Nats => &self.nats,
        }
    }
}

/// What each program says that it is; also tells whether they are all there.
pub(crate) fn versions(options: &Options) -> Fallible<Vec<String>> {
    let mut versions = Vec::new();
    for &server in &options.servers {
        let version = said_by(Command::new(options.program(server)).arg("--version"))?;
        if !versions.contains(&version) {
            versions.push(version);
        }
    }
    if options.counts_calls {
        versions.push(said_by(Command::new("strace").arg("--version"))?);
    }
    Ok(versions)
}

/// The name of the kind of file system that a directory is on.
pub(crate) fn file_system(directory: &Path) -> Fallible<String> {
    said_by(Command::new("stat").args(["-f", "-c", "%T"]).arg(directory))
}

/// The first line that a program prints.
fn said_by(command: &mut Command) -> Fallible<String> {
    let output = command.output().map_err(|error| {
        let program = command.get_program().display();
        format!("cannot start {program}: {error}{MISSING}")
    })?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", output.status).into());
    }
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
