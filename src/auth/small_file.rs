//! Files of the operator's that are small: keys, secrets, the configuration.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A whole file; `None` if it has more than `bytes_max` bytes. It waits for the disk.
///
/// # Errors
/// What the system says; also of what is no regular file.
pub(crate) fn read(path: &Path, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
    // Nobody may ever write to the other end of a pipe, and who waits for that cannot stop.
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    let len = file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    Ok((len as u64 <= bytes_max).then_some(bytes))
}
