//! What runs a server that `parlor init` has set up: a unit for systemd, or a file for Docker
//! Compose. Both are those of the repository, with other paths.

use super::CommandFailure;
use rustix::process::{Gid, Uid, getegid, geteuid};
use std::path::Path;

const UNIT: &str = include_str!("../../deploy/parlor.service");
const COMPOSE: &str = include_str!("../../compose.yaml");
/// The user and group of the image, which has no names for them.
pub(super) const IMAGE_USER: u32 = 65_532;

/// Where a server has its files; absolute paths.
pub(super) struct ServerPaths<'a> {
    pub(super) directory: &'a Path,
    pub(super) config: &'a Path,
    pub(super) data: &'a Path,
}

/// Refuses a path that systemd (`systemd.syntax(7)`) or YAML would read in a way of its own.
fn is_plain(path: &Path, option: &str) -> Result<(), CommandFailure> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+@".contains(&byte);
    if path.as_os_str().as_encoded_bytes().iter().all(|byte| is_plain(*byte)) {
        return Ok(());
    }
    let message = format!(
        "{}: only letters, digits and /._-+@ may be in a path with {option}",
        path.display()
    );
    Err(CommandFailure::usage(message))
}

/// The unit of `deploy/`, with these files.
pub(super) fn unit(places: &ServerPaths<'_>) -> Result<String, CommandFailure> {
    let program = std::env::current_exe().map_err(CommandFailure::new)?;
    for path in [&program, places.directory, places.data] {
        is_plain(path, "--unit")?;
    }
    let command =
        format!("ExecStart={} serve --config {}", program.display(), places.config.display());
    let data = format!("ReadWritePaths={}", places.data.display());
    let replaced = UNIT.lines().filter_map(|line| match line {
        line if line.starts_with("ExecStart=") => Some(command.as_str()),
        line if line.starts_with("StateDirectory=") => Some(data.as_str()),
        line if line.starts_with("StateDirectoryMode=") || line.starts_with('#') => None,
        // It must see files below /home.
        "ProtectHome=true" => Some("ProtectHome=read-only"),
        line => Some(line),
    });
    Ok(replaced.map(|line| format!("{line}\n")).collect())
}

pub(super) fn is_root() -> bool {
    geteuid().is_root()
}

/// Who the server is in its container: whoever has the files.
fn container_user() -> (Uid, Gid) {
    if is_root() {
        return (Uid::from_raw(IMAGE_USER), Gid::from_raw(IMAGE_USER));
    }
    (geteuid(), getegid())
}

/// The server of the repository's `compose.yaml`, with these files at the same paths in the
/// container: what is run on the host reads the same configuration.
pub(super) fn compose(places: &ServerPaths<'_>) -> Result<String, CommandFailure> {
    for path in [places.directory, places.data] {
        is_plain(path, "--compose")?;
    }
    let (user, group) = container_user();
    let (user, group) = (user.as_raw(), group.as_raw());
    let [directory, data, config] =
        [places.directory, places.data, places.config].map(Path::display);
    let own = format!(
        "    user: \"{user}:{group}\"
    command: [serve, --config, {config}]
    healthcheck:
      test: [CMD, /usr/bin/parlor, health, --config, {config}]
      interval: 10s
      timeout: 5s
    volumes: [\"{directory}:{directory}:ro\", \"{data}:{data}\"]"
    );
    // The first service; the others follow after an empty line.
    let service = COMPOSE.lines().take_while(|line| !line.is_empty());
    let mut text = String::new();
    for line in service {
        let key = line.trim_start().split(':').next().unwrap_or_default();
        match key {
            // The image is loaded or built before, and the secret is in a file.
            "build" | "environment" | "PARLOR_SECRET" => continue,
            "volumes" => text += &own,
            _ if line.starts_with('#') => continue,
            _ => text += line,
        }
        text.push('\n');
    }
    Ok(text)
}
