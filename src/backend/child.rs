//! Runs a program and reads its output, with limits on time and bytes. Blocks the calling thread.
//!
//! No shell is involved. Standard input is empty and standard error is discarded. The environment
//! contains only `PATH` and the named variables, since others may hold secrets. The program is
//! always killed and reaped; its own child processes are its own responsibility.

use crate::reactor::Clock;
use mio::unix::pipe::Receiver;
use mio::{Events, Interest, Poll, Token};
use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// How often to check whether the program is still wanted.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Poll interval for the exit, which usually follows the end of output at once.
const END_EVERY: Duration = Duration::from_millis(5);
const READ_BYTES: usize = 16 * 1024;

/// Why there is no output.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProgramError {
    #[error("cannot be started: {0}")]
    Start(io::Error),
    #[error("cannot be read: {0}")]
    Read(io::Error),
    /// It exited with a failure.
    #[error("{0}")]
    Status(ExitStatus),
    #[error("took too long")]
    Timeout,
    #[error("wrote more output than it may")]
    TooLarge,
    #[error("is no longer needed")]
    Stopped,
}

/// Kills a program that is dropped before it exits.
struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        // Both fail only if it has already exited.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs `command`, a program's name and its arguments, with `PATH` and the variables of `env`:
/// `NAME=VALUE`, or `NAME` to pass on one of this process's. Returns its standard output after a
/// successful exit. Polls `is_stopping` while it waits.
///
/// # Errors
/// [`ProgramError`]; the program has ended then, too.
pub(super) fn output(
    (command, env): (&[String], &[String]),
    timeout: Duration,
    bytes_max: usize,
    is_stopping: &dyn Fn() -> bool,
) -> Result<Vec<u8>, ProgramError> {
    let clock = Clock::start();
    let (program, arguments) = command.split_first().ok_or_else(|| {
        ProgramError::Start(io::Error::new(io::ErrorKind::InvalidInput, "no program is named"))
    })?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.env_clear();
    let of_ours = |name: &str| std::env::var_os(name).map(|value| (name.to_owned(), value));
    let named = env.iter().filter_map(|text| match text.split_once('=') {
        Some((name, value)) => Some((name.to_owned(), value.into())),
        None => of_ours(text),
    });
    command.envs(of_ours("PATH").into_iter().chain(named));
    let mut running = KillOnDrop(command.spawn().map_err(ProgramError::Start)?);
    let left = || {
        if is_stopping() {
            return Err(ProgramError::Stopped);
        }
        let left = timeout.saturating_sub(clock.elapsed());
        if left.is_zero() { Err(ProgramError::Timeout) } else { Ok(left) }
    };
    let mut bytes = Vec::new();
    if let Some(stdout) = running.0.stdout.take() {
        let read = PipeReader::new(Receiver::from(stdout)).map_err(ProgramError::Read)?;
        read.all(&mut bytes, bytes_max, &left)?;
    }
    loop {
        if let Some(status) = running.0.try_wait().map_err(ProgramError::Read)? {
            return if status.success() { Ok(bytes) } else { Err(ProgramError::Status(status)) };
        }
        std::thread::sleep(left()?.min(END_EVERY));
    }
}

/// Reads a pipe without blocking.
struct PipeReader {
    pipe: Receiver,
    poll: Poll,
    events: Events,
}

impl PipeReader {
    fn new(mut pipe: Receiver) -> io::Result<PipeReader> {
        let poll = Poll::new()?;
        pipe.set_nonblocking(true)?;
        poll.registry().register(&mut pipe, Token(0), Interest::READABLE)?;
        Ok(PipeReader { pipe, poll, events: Events::with_capacity(1) })
    }

    fn all(
        mut self,
        bytes: &mut Vec<u8>,
        bytes_max: usize,
        left: &dyn Fn() -> Result<Duration, ProgramError>,
    ) -> Result<(), ProgramError> {
        let mut buffer = [0; READ_BYTES];
        loop {
            match self.pipe.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(len) => {
                    bytes.extend_from_slice(buffer.get(..len).unwrap_or_default());
                    if bytes.len() > bytes_max {
                        return Err(ProgramError::TooLarge);
                    }
                    // The limits also apply to a program that writes without end.
                    left()?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let patience = left()?.min(LOOK_EVERY);
                    match self.poll.poll(&mut self.events, Some(patience)) {
                        Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                            return Err(ProgramError::Read(error));
                        }
                        Ok(()) | Err(_) => {}
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ProgramError::Read(error)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    fn run(parts: &[&str], timeout: Duration, bytes_max: usize) -> Result<Vec<u8>, ProgramError> {
        let command: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
        output((&command, &[]), timeout, bytes_max, &|| false)
    }

    #[test]
    fn what_a_program_writes_is_had_without_a_shell() {
        let printed = run(&["printf", "%s", "$HOME; `id`"], LONG, 100).unwrap();
        assert_eq!(printed, b"$HOME; `id`");
        let large = run(&["head", "-c", "300000", "/dev/zero"], LONG, 300_000).unwrap();
        assert_eq!(large.len(), 300_000);
        assert_eq!(run(&["cat"], LONG, 1).unwrap(), b"", "its input is empty");
    }

    #[test]
    fn a_program_has_its_bounds() {
        let short = Duration::from_millis(30);
        assert!(matches!(run(&["sleep", "600"], short, 1), Err(ProgramError::Timeout)));
        assert!(matches!(run(&["cat", "/dev/zero"], LONG, 9), Err(ProgramError::TooLarge)));
        let closes = ["sh", "-c", "exec >&-; sleep 600"];
        assert!(matches!(run(&closes, short, 1), Err(ProgramError::Timeout)));
        assert!(matches!(run(&["false"], LONG, 1), Err(ProgramError::Status(_))));
        assert!(matches!(run(&["no such program"], LONG, 1), Err(ProgramError::Start(_))));
        assert!(matches!(run(&[], LONG, 1), Err(ProgramError::Start(_))));
        let command = ["sleep".to_owned(), "600".to_owned()];
        assert!(matches!(output((&command, &[]), LONG, 1, &|| true), Err(ProgramError::Stopped)));
    }
}
