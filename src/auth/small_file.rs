//! Small files of the operator: keys, secrets, the configuration.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A whole file; `None` if it has more than `bytes_max` bytes. Waits for the disk.
///
/// # Errors
/// The system's error; also for anything but a regular file.
pub(crate) fn read(path: &Path, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
    // Non-blocking, because the path may be a pipe that nobody ever writes to.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    let len = file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    Ok((len as u64 <= bytes_max).then_some(bytes))
}
