//! Files and directories, as the parts of a store use them.

use rustix::fs::{AtFlags, CWD, Statx, StatxFlags};
use rustix::io::Errno;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// `None` for what does not exist.
pub(super) fn if_there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens a regular file to read it, without waiting for whoever writes to a pipe in its place.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "this is no file"));
    }
    Ok(file)
}

/// Removes a file, if it is there.
pub(super) fn remove(file: &Path) -> io::Result<()> {
    if_there(std::fs::remove_file(file)).map(|_| ())
}

/// Syncs a file, or the names in a directory, to the disk.
pub(super) fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// The directory that a file is in.
pub(super) fn folder_of(file: &Path) -> &Path {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// The file that a link leads to, beside which SQLite has its other files.
pub(super) fn real(file: &Path) -> PathBuf {
    file.canonicalize().unwrap_or_else(|_| file.to_owned())
}

/// The device and inode of a file, which are the same under all its names.
pub(super) type FileIdentity = (u64, u64);

pub(super) fn identity(file: &Path) -> Option<FileIdentity> {
    file.metadata().ok().map(|found| (found.dev(), found.ino()))
}

/// The identity and length of a file that is written and synced meanwhile.
///
/// This does not ask for its times. Linux notes the next change of a file exactly when somebody has
/// asked for its times (since 6.13), so each sync would have to write its inode, too.
pub(super) fn identity_and_len(file: &Path) -> io::Result<(FileIdentity, u64)> {
    let found = rustix::fs::statx(CWD, file, AtFlags::empty(), StatxFlags::INO | StatxFlags::SIZE);
    identity_and_len_in(found, || file.metadata())
}

/// As [`identity_and_len`], of an open file.
pub(super) fn identity_and_len_of(file: &File) -> io::Result<(FileIdentity, u64)> {
    let wanted = StatxFlags::INO | StatxFlags::SIZE;
    let found = rustix::fs::statx(file, c"", AtFlags::EMPTY_PATH, wanted);
    identity_and_len_in(found, || file.metadata())
}

/// The identity of a directory, and when something of it last changed: a name in it, too. In seconds
/// and nanoseconds; it can be as coarse as the system's clock ticks.
pub(super) type DirectoryState = (FileIdentity, (i64, i64));

pub(super) fn directory_state(directory: &Path) -> io::Result<DirectoryState> {
    let wanted = StatxFlags::INO | StatxFlags::CTIME;
    match rustix::fs::statx(CWD, directory, AtFlags::empty(), wanted) {
        Ok(found) if found.stx_mask & wanted.bits() != wanted.bits() => {
            Err(ErrorKind::Unsupported.into())
        }
        Ok(found) => {
            let changed = (found.stx_ctime.tv_sec, i64::from(found.stx_ctime.tv_nsec));
            Ok((identity_in(&found), changed))
        }
        Err(Errno::NOSYS) => directory
            .metadata()
            .map(|found| ((found.dev(), found.ino()), (found.ctime(), found.ctime_nsec()))),
        Err(error) => Err(error.into()),
    }
}

fn identity_in(found: &Statx) -> FileIdentity {
    (rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor), found.stx_ino)
}

fn identity_and_len_in(
    found: rustix::io::Result<Statx>,
    metadata: impl FnOnce() -> io::Result<Metadata>,
) -> io::Result<(FileIdentity, u64)> {
    match found {
        Ok(found) => Ok((identity_in(&found), found.stx_size)),
        // An older system, or a container that does not know this call.
        Err(Errno::NOSYS) => metadata().map(|found| ((found.dev(), found.ino()), found.len())),
        Err(error) => Err(error.into()),
    }
}
