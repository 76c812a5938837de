//! The servers: started on the loopback with data of their own, ended when they are dropped.

use crate::Fallible;
use crate::dialect::Dialect;
use crate::nats::Nats;
use crate::options::{BEFORE, MISSING, Options};
use crate::parlor::Parlor;
use crate::redis::Redis;
use parlor_peers::cpu_time;
use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::thread::sleep;
use std::time::{Duration, Instant};

const START: Duration = Duration::from_secs(10);

/// What the load must not meet, and nothing that comes of itself.
const PARLOR_SETTINGS: [&str; 6] = [
    "limits.requests_per_second=1000000",
    "limits.burst=1000000",
    "limits.connections_per_address=100000",
    "limits.rooms=100000",
    "presence.scope=off",
    "heartbeat.interval_ms=3600000",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    Parlor,
    ParlorMemory,
    /// As `Parlor`, but all in one room.
    ParlorRoom,
    /// Another parlor, to compare with.
    Before,
    BeforeMemory,
    Redis,
    Nats,
}

impl Server {
    /// What is measured unless something else is asked for.
    pub(crate) const USUAL: [Server; 5] =
        [Server::Parlor, Server::Redis, Server::ParlorMemory, Server::Nats, Server::ParlorRoom];
    const OTHERS: [Server; 2] = [Server::Before, Server::BeforeMemory];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Server::Parlor => "parlor",
            Server::ParlorMemory => "parlor-memory",
            Server::ParlorRoom => "parlor-room",
            Server::Before => "before",
            Server::BeforeMemory => "before-memory",
            Server::Redis => "redis",
            Server::Nats => "nats",
        }
    }

    /// An acknowledged message is on the disk.
    pub(crate) fn is_durable(self) -> bool {
        matches!(self, Server::Parlor | Server::ParlorRoom | Server::Before | Server::Redis)
    }

    fn arguments(self, address: SocketAddr, data: &Path) -> Vec<String> {
        let port = address.port().to_string();
        let data = data.display().to_string();
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        match self {
            Server::Parlor
            | Server::ParlorRoom
            | Server::ParlorMemory
            | Server::Before
            | Server::BeforeMemory => {
                let data = if self.is_durable() { &data } else { ":memory:" };
                let mut all = words(&format!("serve --listen {address} --log warn --data"));
                all.push(data.into());
                all.extend(PARLOR_SETTINGS.iter().flat_map(|set| ["--set".into(), (*set).into()]));
                all
            }
            Server::Redis => {
                // The log is not rewritten in the middle of a slice.
                let mut all = words(
                    "--bind 127.0.0.1 --appendonly yes --appendfsync always \
                     --auto-aof-rewrite-percentage 0 --loglevel warning --port",
                );
                all.extend([port, "--save".into(), String::new(), "--dir".into(), data]);
                all
            }
            Server::Nats => {
                let mut all = words("--addr 127.0.0.1 --jetstream --port");
                all.extend([port, "--store_dir".into(), data]);
                all
            }
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Server {
    type Err = String;

    fn from_str(name: &str) -> Result<Server, String> {
        let mut all = Server::USUAL.into_iter().chain(Server::OTHERS);
        let found = all.find(|server| server.name() == name);
        found.ok_or_else(|| format!("{name} is no server"))
    }
}

pub(crate) struct ServerProcess {
    child: Child,
    server: Server,
    address: SocketAddr,
    data: PathBuf,
    /// Where `strace` writes each call that waits for the disk.
    calls: Option<PathBuf>,
}

impl ServerProcess {
    /// Starts a server and waits until it accepts. If its calls are counted, it is `strace` that
    /// starts it, with a filter in the kernel: other calls are as fast as ever.
    pub(crate) fn start(
        options: &Options,
        server: Server,
        counts_calls: bool,
    ) -> Fallible<ServerProcess> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let kind = if counts_calls { "counted-" } else { "" };
        let data = options.data.join(format!("{kind}{server}"));
        fs::create_dir_all(&data)
            .map_err(|error| format!("cannot make {}: {error}", data.display()))?;
        let program = options.program(server);
        let calls = counts_calls.then(|| options.data.join(format!("{server}.strace")));
        let mut command = match &calls {
            None => Command::new(program),
            Some(calls) => {
                let mut command = Command::new("strace");
                // -D: the server is our child, and `strace` ends with it.
                command.args(["-D", "-f", "--seccomp-bpf", "-qq", "-o"]).arg(calls);
                command.args(["-e", "trace=fsync,fdatasync,sync_file_range,msync"]).arg(program);
                command
            }
        };
        command.args(server.arguments(address, &data));
        // To parlor, each variable with such a name is a setting.
        command.env_remove(BEFORE);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().map_err(|error| {
            format!("cannot start {}: {error}{MISSING}", command.get_program().display())
        })?;
        let mut process = ServerProcess { child, server, address, data, calls };
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Some(status) = process.child.try_wait()? {
                return Err(format!("{server} does not serve: {status}: {command:?}").into());
            }
            if began.elapsed() > START {
                return Err(format!("{server} does not accept").into());
            }
            sleep(Duration::from_millis(10));
        }
        Ok(process)
    }

    /// How to talk to it. `slice` names streams and subjects.
    pub(crate) fn dialect(&self, slice: u32, senders: usize) -> Box<dyn Dialect> {
        let address = self.address;
        match self.server {
            Server::Parlor | Server::ParlorMemory | Server::Before | Server::BeforeMemory => {
                Box::new(Parlor { address, senders, in_one_room: false })
            }
            Server::ParlorRoom => Box::new(Parlor { address, senders, in_one_room: true }),
            Server::Redis => Box::new(Redis { address, stream: format!("slice-{slice}") }),
            Server::Nats => Box::new(Nats { address, slice: slice.to_string() }),
        }
    }

    /// Processor time of all threads.
    pub(crate) fn cpu_time(&self) -> Fallible<Duration> {
        Ok(cpu_time::of_process(self.child.id())?)
    }

    /// Bytes that the system has written to the disk, or is to write, for this process.
    pub(crate) fn written_bytes(&self) -> Fallible<u64> {
        let text = fs::read_to_string(format!("/proc/{}/io", self.child.id()))?;
        let bytes = text.lines().find_map(|line| line.strip_prefix("write_bytes: "));
        Ok(bytes.ok_or("no write_bytes")?.parse()?)
    }

    /// Calls until now that wait for the disk. One that is interrupted has two lines, of which the
    /// second has no parenthesis behind the name.
    pub(crate) fn disk_calls(&self) -> Fallible<usize> {
        let calls = self.calls.as_ref().ok_or("the calls are not counted")?;
        let text = fs::read_to_string(calls)?;
        let is_call = |line: &&str| {
            ["fsync(", "fdatasync(", "sync_file_range(", "msync("].iter().any(|c| line.contains(c))
        };
        Ok(text.lines().filter(is_call).count())
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.data);
    }
}
