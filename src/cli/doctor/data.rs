//! The data, their disk, and the clock that dates them.

use super::super::process;
use super::report::{Report, word};
use crate::base::Timestamp;
use crate::base::date::rfc3339;
use crate::base::limits::{CLOCK_JUMP_MS, DISK_FILLS_PERCENT};
use crate::config::Config;
use crate::reactor::Clock;
use crate::store::data::{DataError, Glance, glance};
use crate::store::{Place, Space};
use rustix::fs::{Access, access};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

const DATA: &str = "data";
const MIB: u64 = 1024 * 1024;

/// Looks at the data with the rights of the user that the server is.
pub(super) fn look(
    report: &mut Report,
    config: &Config,
    holder: Option<u32>,
    is_begun_by_root: bool,
) {
    let Place::Directory(directory) = &config.data else {
        report.ok(DATA, "in memory, gone when the server ends");
        clock(report, None);
        return;
    };
    if !directory.exists() {
        missing(report, directory, is_begun_by_root);
        clock(report, None);
        return;
    }
    if !directory.is_dir() {
        let text = format!("{} is a file, and not a directory", directory.display());
        return report.error(DATA, text, "data = \"/var/lib/parlor\"");
    }
    rights(report, directory);
    disk(report, config, directory);
    let newest = store(report, directory, holder);
    clock(report, newest);
}

/// The first start creates the directory, in the nearest one that is there; root for its user.
fn missing(report: &mut Report, directory: &Path, is_begun_by_root: bool) {
    let above = directory.ancestors().skip(1).find(|path| path.exists());
    let above = above.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let may_write = || access(above, Access::WRITE_OK | Access::EXEC_OK).is_ok();
    if above.is_dir() && (is_begun_by_root || may_write()) {
        return report.ok(DATA, format!("{}, made at the first start", directory.display()));
    }
    let user = process::own_name();
    let text = format!(
        "{} is not there, and {user} may not make it in {}",
        directory.display(),
        above.display()
    );
    report.error(DATA, text, format!("install -d -m 700 -o {user} {}", word(directory)));
}

/// Whose the directory and the database are, and who else may read them.
fn rights(report: &mut Report, directory: &Path) {
    let user = process::own_name();
    let all = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
    if access(directory, all).is_err() {
        let owner = fs::metadata(directory).map(|found| format!(", user {} owns it", found.uid()));
        let owner = owner.unwrap_or_default();
        let text = format!("{user} may not write to {}{owner}", directory.display());
        return report.error(DATA, text, format!("chown -R {user} {}", word(directory)));
    }
    let files = fs::read_dir(directory).into_iter().flatten().filter_map(Result::ok);
    let is_stores = |path: &Path| {
        path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"parlor."))
    };
    let unwritable = files.map(|file| file.path()).find(|path| {
        is_stores(path)
            && path.is_file()
            && access(path, Access::READ_OK | Access::WRITE_OK).is_err()
    });
    if let Some(file) = unwritable {
        let text = format!("{user} may not write to {}", file.display());
        return report.error(DATA, text, format!("chown -R {user} {}", word(directory)));
    }
    let mode = fs::metadata(directory).map(|found| found.permissions().mode()).unwrap_or(0);
    let others = format!("{} has mode {:o}: ", directory.display(), mode & 0o777);
    let mend = format!("chmod go-rwx {}", word(directory));
    if mode & 0o007 != 0 {
        report.error(DATA, others + "every user of this machine may look into it", mend);
    } else if mode & 0o070 != 0 {
        report.warn(DATA, others + "its group may look into it", mend);
    } else {
        report.ok(DATA, format!("{}, for {user} alone", directory.display()));
    }
}

fn disk(report: &mut Report, config: &Config, directory: &Path) {
    const ABOUT: &str = "disk";
    let Some(Space { free, total }) = Space::of(directory) else { return };
    let reserve = config.limits.disk_reserve_bytes;
    let text = format!("{} MiB of {} are free", free / MIB, total / MIB);
    let usable = total.saturating_sub(reserve);
    let mend = format!("du -xh {} | sort -h | tail", word(directory));
    if free < reserve {
        let text = format!(
            "{text}: less than limits.disk_reserve_bytes ({} MiB), so that only admins may store",
            reserve / MIB
        );
        report.error(ABOUT, text, mend);
    } else if total.saturating_sub(free) > usable / 100 * DISK_FILLS_PERCENT {
        report.warn(ABOUT, text, mend);
    } else {
        report.ok(ABOUT, text);
    }
}

/// Looks at the store; gives the time of what is newest in it.
fn store(report: &mut Report, directory: &Path, holder: Option<u32>) -> Option<Timestamp> {
    const ABOUT: &str = "store";
    let served = match holder {
        Some(pid) => format!("process {pid} serves it"),
        None => "no server has it".to_owned(),
    };
    let repair = || format!("parlor data check {}", word(directory));
    match glance(directory) {
        Ok(Glance { faults, newest, was_killed }) => {
            for fault in &faults {
                report.error(ABOUT, fault, repair());
            }
            if faults.is_empty() {
                let left = if was_killed {
                    "; the last one was killed, and a start mends that"
                } else {
                    ""
                };
                report.ok(ABOUT, format!("its files are whole, {served}{left}"));
            }
            newest
        }
        Err(DataError::NoStore(_)) => {
            report.ok(ABOUT, format!("there is none yet, {served}"));
            None
        }
        Err(error) => {
            report.error(ABOUT, error.to_string(), repair());
            None
        }
    }
}

/// The clock must not be behind what it has dated.
fn clock(report: &mut Report, newest: Option<Timestamp>) {
    const ABOUT: &str = "clock";
    let now = Clock::timestamp();
    match newest.filter(|newest| newest.0 > now.0.saturating_add(CLOCK_JUMP_MS)) {
        Some(newest) => {
            let (now, newest) = (rfc3339(now), rfc3339(newest));
            let text = format!("it says {now}, and the newest record in the data is of {newest}");
            report.error(ABOUT, text, "timedatectl set-ntp true");
        }
        None => report.ok(ABOUT, rfc3339(now)),
    }
}
