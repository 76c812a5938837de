//! What systemd passes, and what it wants to be told (`sd_listen_fds(3)`, `sd_notify(3)`). Without
//! systemd nothing happens here.

use super::CommandFailure;
use crate::base::limits::LISTENERS_MAX;
use crate::reactor::ListeningSocket;
use crate::server::{PassedSocket, Pulse};
use listenfd::ListenFd;
use sd_notify::NotifyState;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How many sockets are passed, and to which process.
const COUNT_VARIABLE: &str = "LISTEN_FDS";
const PROCESS_VARIABLE: &str = "LISTEN_PID";
/// The names of passed sockets, separated by colons.
const NAMES_VARIABLE: &str = "LISTEN_FDNAMES";
/// The watchdog is told this often within the time that it waits.
const WATCHDOG_SHARE: u32 = 3;
/// A shorter time to wait is taken as this.
const WATCHDOG_PAUSE_MIN: Duration = Duration::from_millis(10);

/// The sockets that systemd passed to this process. It changes the environment, so it is called
/// before any thread begins.
pub(super) fn passed_sockets() -> Result<Vec<PassedSocket>, CommandFailure> {
    check_count()?;
    let names = std::env::var(NAMES_VARIABLE).unwrap_or_default();
    let mut names = names.split(':');
    let mut passed = ListenFd::from_env();
    let mut sockets = Vec::new();
    for place in 0..passed.len() {
        let name = Some(names.next().unwrap_or_default().to_owned());
        let of_tcp = passed.take_tcp_listener(place).map(|one| one.map(OwnedFd::from));
        let fd =
            of_tcp.or_else(|_| passed.take_unix_listener(place).map(|one| one.map(OwnedFd::from)));
        let socket = fd.and_then(|fd| fd.map(ListeningSocket::passed).transpose());
        let socket = socket.map_err(|error| {
            CommandFailure::new(format!(
                "socket {place} that systemd passed cannot be used: {error}"
            ))
        })?;
        sockets.extend(socket.map(|socket| PassedSocket { socket, name }));
    }
    Ok(sockets)
}

/// What is no number of sockets would be taken for none.
fn check_count() -> Result<(), CommandFailure> {
    let Some(count) = std::env::var_os(COUNT_VARIABLE) else { return Ok(()) };
    let process = std::env::var(PROCESS_VARIABLE).unwrap_or_default();
    let is_for_another = !process.is_empty() && process.parse() != Ok(std::process::id());
    let is_count = |text: &str| text.parse::<usize>().is_ok_and(|count| count <= LISTENERS_MAX);
    if is_for_another || count.to_str().is_some_and(is_count) {
        return Ok(());
    }
    Err(CommandFailure::usage(format!(
        "{COUNT_VARIABLE} is {count:?}, and not how many sockets are passed, at most \
         {LISTENERS_MAX}: unset it if none is"
    )))
}

/// The server serves, also again after [`reloading`].
pub(super) fn ready() {
    notify(&[NotifyState::Ready]);
}

/// The configuration is being read again.
pub(super) fn reloading() {
    let now = NotifyState::monotonic_usec_now();
    match now {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(_) => notify(&[NotifyState::Reloading]),
    }
}

/// The server is about to end.
pub(super) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Tells the watchdog, if there is one, as long as the server's loop turns.
///
/// # Errors
/// The system's error if it gives no thread.
pub(super) fn watch(pulse: Pulse) -> std::io::Result<()> {
    let Some(patience) = sd_notify::watchdog_enabled().filter(|time| *time > Duration::ZERO) else {
        return Ok(());
    };
    let thread = std::thread::Builder::new().name("parlor-watchdog".into());
    thread.spawn(move || {
        loop {
            if pulse.beats() {
                notify(&[NotifyState::Watchdog]);
            }
            std::thread::sleep((patience / WATCHDOG_SHARE).max(WATCHDOG_PAUSE_MIN));
        }
    })?;
    Ok(())
}

fn notify(state: &[NotifyState<'_>]) {
    static IS_SAID: AtomicBool = AtomicBool::new(false);
    if let Err(error) = sd_notify::notify(state)
        && !IS_SAID.swap(true, Ordering::Relaxed)
    {
        log::warn!("systemd is not told: {error}");
    }
}
