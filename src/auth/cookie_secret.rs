//! The secret that signs browsers' cookies: created at the first start and stored beside the data.

use super::Secret;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Its name in the data directory. Backups do not include it: after a restore elsewhere, everybody
/// signs in again.
const FILE_NAME: &str = "sign-in.key";
const BYTES: usize = 32;
const FILE_BYTES_MAX: u64 = 1_024;

/// The secret in the data directory; without a directory, a new one.
///
/// # Errors
/// The system's error; [`ErrorKind::InvalidData`] if the file is too short.
pub(crate) fn cookie_secret(directory: Option<&Path>) -> io::Result<Secret> {
    let Some(directory) = directory else { return secret(made()?.as_bytes()) };
    let path = directory.join(FILE_NAME);
    match read(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => make(directory, &path),
        other => other,
    }
}

fn read(path: &Path) -> io::Result<Secret> {
    let bytes = super::small_file::read(path, FILE_BYTES_MAX)?;
    secret(&bytes.unwrap_or_default())
}

fn secret(bytes: &[u8]) -> io::Result<Secret> {
    let short = |len| io::Error::new(ErrorKind::InvalidData, format!("{len} bytes are too few"));
    Secret::new(bytes).map_err(short)
}

fn made() -> io::Result<String> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Writes a temporary file and renames it when it is complete, so that a crash leaves all of it or
/// nothing.
fn make(directory: &Path, path: &Path) -> io::Result<Secret> {
    let text = made()?;
    let aside = path.with_extension("key.new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    std::fs::rename(&aside, path)?;
    File::open(directory)?.sync_all()?;
    secret(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn it_is_made_once_is_kept_and_is_the_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let place = Some(folder.path());
        let first = cookie_secret(place).unwrap();
        assert_eq!(cookie_secret(place).unwrap().bytes(), first.bytes());
        let path = folder.path().join(FILE_NAME);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(folder.path().read_dir().unwrap().count(), 1, "nothing is left aside");
        std::fs::remove_file(&path).unwrap();
        assert_ne!(cookie_secret(place).unwrap().bytes(), first.bytes());
        std::fs::write(&path, "short").unwrap();
        assert_eq!(cookie_secret(place).unwrap_err().kind(), ErrorKind::InvalidData);
    }

    #[test]
    fn in_memory_each_has_its_own() {
        let [one, other] = [(), ()].map(|()| cookie_secret(None).unwrap());
        assert_ne!(one.bytes(), other.bytes());
    }
}
