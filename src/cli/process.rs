//! What `parlor serve` does with its own process before it serves: open files, the umask, the user.

use super::CommandFailure;
use crate::config::Config;
use crate::server::{Listening, NotAnOwner, Owner, OwnerUser};
use crate::store::Place;
use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid, User, geteuid, initgroups, setgid, setgroups, setuid};
use rustix::fs::OFlags;
use std::ffi::CString;
use std::fmt::Display;
use std::fs::{DirBuilder, File, Metadata};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::path::Path;

/// Raises the limit on open files as far as the system lets this process, and says so in the log.
pub(super) fn raise_file_limit() {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    if soft >= hard {
        return;
    }
    match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => log::info!(was = soft; "open files: up to {hard}"),
        Err(error) => log::warn!("the limit on open files stays at {soft}: {error}"),
    }
}

/// How many files this process may have open once the limit is raised.
pub(super) fn file_limit_max() -> Option<u64> {
    getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(_, hard)| hard)
}

/// Sets the permissions that the files which this process creates do not have.
pub(super) fn set_umask(mask: u32) {
    umask(Mode::from_bits_truncate(mask));
}

/// Finds what would keep [`become_user`] from it, as far as the configuration says it.
pub(super) fn check_user(config: &Config) -> Result<(), CommandFailure> {
    if let Some(wanted) = &config.user {
        let account = Account::find(wanted)?;
        if account.user != geteuid() && !geteuid().is_root() {
            let message = format!("only root can become another user, such as {wanted} (--user)");
            return Err(CommandFailure::usage(message));
        }
        return Ok(());
    }
    let listeners = config.all_listeners();
    match listeners.iter().find_map(|listener| listener.address.beyond_loopback()) {
        Some(address) if geteuid().is_root() => Err(as_root(&address)),
        _ => Ok(()),
    }
}

fn as_root(address: &dyn Display) -> CommandFailure {
    CommandFailure::usage(format!(
        "refusing to serve at {address} as root: say whom to become when the sockets are bound (--user NAME), or \
         --user root"
    ))
}

/// Becomes the user that the configuration names, as [`check_user`] has allowed. The data's
/// directory is created for that user, if there is none.
pub(super) fn become_user(config: &Config, listening: &Listening) -> Result<(), CommandFailure> {
    let is_root = geteuid().is_root();
    let Some(wanted) = &config.user else {
        return match listening.beyond_loopback() {
            Some(address) if is_root => Err(as_root(&address)),
            _ => Ok(()),
        };
    };
    let account = Account::find(wanted)?;
    if account.user == geteuid() {
        return Ok(());
    }
    create_data(config, &account)?;
    account.take_on(wanted)?;
    log::info!("became {wanted}");
    Ok(())
}

/// Becomes a user, if this is root, and creates nothing.
pub(super) fn look_as_user(wanted: &str) -> Result<(), CommandFailure> {
    if geteuid().is_root() { Account::find(wanted)?.take_on(wanted) } else { Ok(()) }
}

/// The name of the user that this process is, or the number.
pub(super) fn own_name() -> String {
    let user = User::from_uid(geteuid()).ok().flatten();
    user.map_or_else(|| geteuid().to_string(), |user| user.name)
}

/// Whether this process is root's.
pub(super) fn is_root() -> bool {
    geteuid().is_root()
}

fn create_data(config: &Config, account: &Account) -> Result<(), CommandFailure> {
    let Place::Directory(directory) = &config.data else { return Ok(()) };
    let mut missing: Vec<&Path> = directory
        .ancestors()
        .take_while(|path| !path.as_os_str().is_empty() && !path.exists())
        .collect();
    missing.reverse();
    let (user, group) = (Some(account.user.as_raw()), Some(account.group.as_raw()));
    for path in missing {
        let created = DirBuilder::new().mode(0o700).create(path);
        created.and_then(|()| give(path, OFlags::DIRECTORY, user, group)).map_err(|error| {
            CommandFailure::new(format!("cannot create {} for its user: {error}", path.display()))
        })?;
    }
    Ok(())
}

/// Gives the files of a store that this process, as root, created in a directory of somebody else to
/// whom that belongs, so that a server of that user can go on with them.
pub(super) fn give_to_owner(directory: &Path) -> Result<(), CommandFailure> {
    let Ok(found) = directory.metadata() else { return Ok(()) };
    if !geteuid().is_root() || found.uid() == geteuid().as_raw() {
        return Ok(());
    }
    let failed = |path: &Path, error: io::Error| {
        CommandFailure::new(format!("cannot give {} to its user: {error}", path.display()))
    };
    for entry in directory.read_dir().map_err(|error| failed(directory, error))? {
        let path = entry.map_err(|error| failed(directory, error))?.path();
        let is_own = |found: Metadata| {
            found.is_file() && found.nlink() == 1 && found.uid() == geteuid().as_raw()
        };
        let is_stores =
            path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"parlor."));
        if is_stores && path.symlink_metadata().is_ok_and(is_own) {
            let given = give(&path, OFlags::empty(), Some(found.uid()), Some(found.gid()));
            given.map_err(|error| failed(&path, error))?;
        }
    }
    Ok(())
}

/// The user to whom a directory belongs, if that is not root.
pub(super) fn owner_of(directory: &Path) -> Option<String> {
    let user = Uid::from_raw(directory.metadata().ok()?.uid());
    let found = User::from_uid(user).ok().flatten().filter(|_| !user.is_root())?;
    Some(found.name)
}

/// Gives a new file or directory to its user. Whoever may write to the one above it may have put
/// something else in its place: so it is held, and not followed.
fn give(path: &Path, kind: OFlags, user: Option<u32>, group: Option<u32>) -> io::Result<()> {
    // Not by `custom_flags`: the standard library takes `O_PATH` away from them where libc is musl.
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC | kind;
    let held = File::from(rustix::fs::open(path, flags, rustix::fs::Mode::empty())?);
    let found = held.metadata()?;
    // A directory has no hard links; a file with another name could be one of the system's.
    let is_alone = found.is_dir() || (found.is_file() && found.nlink() == 1);
    if found.uid() != geteuid().as_raw() || !is_alone {
        return Err(io::Error::other("it is something else by now"));
    }
    chown(format!("/proc/self/fd/{}", held.as_raw_fd()), user, group)
}

/// A user of this machine, and a group.
struct Account {
    /// `None` for a number that no user has.
    name: Option<CString>,
    user: Uid,
    group: Gid,
}

impl Account {
    /// Finds `USER` or `USER:GROUP`, each a name or a number.
    fn find(wanted: &str) -> Result<Account, CommandFailure> {
        let nobody = |what: &str, name: &str| {
            CommandFailure::usage(format!("{name} is no {what} of this machine (--user)"))
        };
        let Owner { user, group } = Owner::find(wanted).map_err(|unknown| match unknown {
            NotAnOwner::User(name) => nobody("user", &name),
            NotAnOwner::Group(name) => nobody("group", &name),
        })?;
        let OwnerUser { id, account } = user.ok_or_else(|| nobody("user", ""))?;
        let own_group = account.as_ref().map(|(_, group)| *group);
        let group = group.or(own_group).ok_or_else(|| {
            CommandFailure::usage(format!(
                "user {id} has no name, so say its group, too: --user {id}:GROUP"
            ))
        })?;
        let name = account.and_then(|(name, _)| CString::new(name).ok());
        Ok(Account { name, user: id, group })
    }

    /// Gives all rights of root up.
    fn take_on(&self, wanted: &str) -> Result<(), CommandFailure> {
        self.set_ids().map_err(|error| {
            CommandFailure::new(format!("cannot become {wanted} (--user): {error}"))
        })
    }

    fn set_ids(&self) -> nix::Result<()> {
        match &self.name {
            Some(name) => initgroups(name, self.group)?,
            None => setgroups(&[self.group])?,
        }
        setgid(self.group)?;
        setuid(self.user)?;
        let is_back = !self.user.is_root() && setuid(Uid::from_raw(0)).is_ok();
        if is_back { Err(nix::errno::Errno::EPERM) } else { Ok(()) }
    }
}

/// Processor time that this process has taken, in the kernel as well.
pub(super) fn processor_time() -> std::time::Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return std::time::Duration::ZERO };
    let micros = [usage.user_time(), usage.system_time()]
        .map(|time| time.tv_sec().saturating_mul(1_000_000).saturating_add(time.tv_usec()));
    std::time::Duration::from_micros(u64::try_from(micros.iter().sum::<i64>()).unwrap_or(0))
}
