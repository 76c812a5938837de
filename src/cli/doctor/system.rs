//! What the system gives the server: a user, open files, memory, places in the line of a socket.

use super::super::process;
use super::report::Report;
use crate::base::limits::{ACCEPT_BACKLOG, BODIES_BYTES_MAX, FILES_FEW, FILES_RESERVED, Limits};
use crate::config::Config;
use crate::reactor::{all_outboxes_bytes, memory_left};
use std::fs::read_to_string;

const MIB: u64 = 1024 * 1024;
/// The server itself, when nobody is there.
const OWN_BYTES: u64 = 10 * MIB;

/// Looks at the limits of the system; those of the server that runs, if one does.
pub(super) fn look(report: &mut Report, config: &Config, holder: Option<u32>) {
    files(report, config, holder);
    memory(report, config);
    backlog(report);
}

fn files(report: &mut Report, config: &Config, holder: Option<u32>) {
    const ABOUT: &str = "open files";
    let of_server = holder.and_then(limit_of);
    let Some(limit) = of_server.or_else(process::file_limit_max) else { return };
    let whose = match of_server {
        Some(_) => "the running server may have",
        None => "a server that is started here may have",
    };
    let places = limit.saturating_sub(FILES_RESERVED);
    let wanted = u64::from(config.limits.connections);
    let text = format!("{whose} {limit} open, enough for {places} connections");
    let is_few = places < FILES_FEW.min(wanted);
    let is_asked = config.limits.connections != Limits::default().connections;
    if is_few || (is_asked && places < wanted) {
        let needed = if is_asked { wanted + FILES_RESERVED } else { 65_536 };
        let text = format!("{text}, and limits.connections is {wanted}");
        let mend = format!("ulimit -n {needed} (with systemd: LimitNOFILE={needed})");
        report.warn(ABOUT, text, mend);
    } else {
        report.ok(ABOUT, text);
    }
}

/// The limit on open files of a process.
fn limit_of(pid: u32) -> Option<u64> {
    let limits = read_to_string(format!("/proc/{pid}/limits")).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn memory(report: &mut Report, config: &Config) {
    const ABOUT: &str = "memory";
    let Some((left, bound)) = memory_left() else { return };
    let outboxes = match config.limits.all_outboxes_bytes {
        0 => all_outboxes_bytes(),
        bytes => bytes,
    };
    // docs/operations.md: outboxes may be over by a quarter.
    let outboxes = (outboxes as u64).saturating_add(outboxes as u64 / 4);
    let streams = config.limits.all_streams_bytes as u64;
    let most = [OWN_BYTES, outboxes, streams, BODIES_BYTES_MAX as u64]
        .into_iter()
        .fold(0, u64::saturating_add);
    let text = format!(
        "up to {} MiB beside connections and rooms, and {bound} leaves {} MiB",
        most / MIB,
        left / MIB
    );
    if most > left {
        let mend = format!("limits.all_streams_bytes = {}", (left / 4).max(MIB));
        report.warn(ABOUT, text, mend);
    } else {
        report.ok(ABOUT, text);
    }
}

fn backlog(report: &mut Report) {
    const ABOUT: &str = "backlog";
    let Ok(read) = read_to_string("/proc/sys/net/core/somaxconn") else { return };
    let Ok(most) = read.trim().parse::<i64>() else { return };
    let text = format!("{most} connections may wait to be accepted (net.core.somaxconn)");
    if most < i64::from(ACCEPT_BACKLOG) {
        let mend = format!("sysctl -w net.core.somaxconn={ACCEPT_BACKLOG}");
        report.warn(ABOUT, format!("{text}: few, when everybody comes back at once"), mend);
    } else {
        report.ok(ABOUT, text);
    }
}

/// Becomes the user that the server is to be, so that files are tried with that user's rights.
/// Returns whether this succeeded.
pub(super) fn become_user(report: &mut Report, config: &Config) -> bool {
    const ABOUT: &str = "user";
    let was_root = process::is_root();
    // As systemd begins it, with `User=` in the unit.
    let owner = config.data.directory().filter(|_| was_root && config.user.is_none());
    if let Some(owner) = owner.and_then(process::owner_of) {
        if let Err(failure) = process::look_as_user(&owner) {
            report.error(ABOUT, failure.message, "");
            return false;
        }
        report.ok(
            ABOUT,
            format!("{owner}, to whom the data belongs, is taken for the server's user"),
        );
        return true;
    }
    if let Err(failure) = process::check_user(config) {
        let mend = match config.user {
            Some(_) if !was_root => "sudo parlor doctor".to_owned(),
            Some(_) => "useradd --system parlor".to_owned(),
            None => "process.user = \"parlor\"".to_owned(),
        };
        report.error(ABOUT, failure.message, mend);
        // Of an unknown user nothing can be told; root may read all.
        return config.user.is_none();
    }
    if let Err(failure) = config.user.as_deref().map_or(Ok(()), process::look_as_user) {
        report.error(ABOUT, failure.message, "");
        return false;
    }
    let user = process::own_name();
    match (was_root, process::is_root()) {
        (true, false) => report.ok(ABOUT, format!("{user}, whom root becomes")),
        (true, true) if config.user.is_some() => {
            let text = "root, as it is asked for: who breaks into the server has the machine";
            report.warn(ABOUT, text, "process.user = \"parlor\"");
        }
        (true, true) => report.ok(ABOUT, "root, at this machine's own addresses"),
        (false, _) => report.ok(ABOUT, user),
    }
    true
}
