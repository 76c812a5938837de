//! The processes: started on their cores, looked at through `/proc`, ended when they are dropped.

use crate::Fallible;
use crate::options::Options;
use crate::servers::{Server, sibling};
use parlor_peers::cpu_time;
use parlor_peers::workload::Workload;
use rustix::thread::{CpuSet, sched_setaffinity};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const START: Duration = Duration::from_secs(10);

/// Keeps this process, and what it starts, on a core.
pub(crate) fn move_to_core(core: usize) -> Fallible<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    Ok(sched_setaffinity(None, &cores)?)
}

/// Starts a process on a core: all of its threads, as they inherit it.
fn start(command: &mut Command, core: usize, options: &Options) -> Fallible<Child> {
    move_to_core(core)?;
    let child = command.spawn();
    move_to_core(options.own_core)?;
    Ok(child.map_err(|error| format!("{command:?}: {error}"))?)
}

pub(crate) struct ServerProcess {
    child: Child,
    address: SocketAddr,
}

impl ServerProcess {
    /// Starts a server and waits until it accepts.
    pub(crate) fn start(
        options: &Options,
        server: Server,
        workload: Workload,
    ) -> Fallible<ServerProcess> {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut command = server.command(options, workload);
        command.arg(address.to_string()).stdin(Stdio::null()).stdout(Stdio::null());
        if options.deflate {
            // Parlor's examples take from how many bytes on they compress.
            let is_parlor = matches!(server, Server::Parlor | Server::Before);
            command.arg(if is_parlor { "0" } else { "--deflate" });
        }
        let child = start(&mut command, options.server_core, options)?;
        let mut process = ServerProcess { child, address };
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            if process.child.try_wait()?.is_some() || began.elapsed() > START {
                return Err(format!("{server} does not serve").into());
            }
            sleep(Duration::from_millis(10));
        }
        Ok(process)
    }

    /// Processor time of all threads; exact while they wait.
    pub(crate) fn cpu_time(&self) -> Fallible<Duration> {
        Ok(cpu_time::of_process(self.child.id())?)
    }

    /// Memory that it has, in bytes.
    pub(crate) fn resident_bytes(&self) -> Fallible<u64> {
        let text = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("Rss:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().next());
        Ok(kibibytes.ok_or("no Rss")?.parse::<u64>()? * 1_024)
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the load generator has done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    pub(crate) count: u64,
    pub(crate) time: Duration,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

pub(crate) struct LoadProcess {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl LoadProcess {
    /// Starts a load and waits until it has its connections.
    pub(crate) fn start(
        options: &Options,
        server: &ServerProcess,
        workload: Workload,
    ) -> Fallible<LoadProcess> {
        let mut command = Command::new(sibling("load"));
        command.arg(server.address.to_string()).arg(workload.to_string());
        for (is_wanted, option) in [(options.binary, "--binary"), (options.deflate, "--deflate")] {
            if is_wanted {
                command.arg(option);
            }
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = start(&mut command, options.load_core, options)?;
        let stdout = child.stdout.take().ok_or("no output")?;
        let mut load = LoadProcess { child, answers: BufReader::new(stdout) };
        match load.answer()?.as_str() {
            "ready" => Ok(load),
            other => Err(format!("the load says {other:?}").into()),
        }
    }

    /// Lets it work for so long; it has an end of its own if the server has none.
    pub(crate) fn work(&mut self, time: Duration) -> Fallible<Done> {
        let stdin = self.child.stdin.as_mut().ok_or("no input")?;
        writeln!(stdin, "go {}", time.as_millis())?;
        let answer = self.answer()?;
        let numbers = answer.strip_prefix("done ").ok_or("the load has failed: see above")?;
        let numbers: Vec<u64> =
            numbers.split(' ').map(str::parse).collect::<Result<_, std::num::ParseIntError>>()?;
        let &[count, time, p50, p99] = &numbers[..] else { return Err(answer.into()) };
        let [time, p50, p99] = [time, p50, p99].map(Duration::from_nanos);
        Ok(Done { count, time, p50, p99 })
    }

    fn answer(&mut self) -> Fallible<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}

impl Drop for LoadProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
