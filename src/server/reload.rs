//! Another configuration for a server that runs: all of it or nothing. Files are read on the caller's
//! thread, as that waits for the disk; the reactor's thread is handed what came of it.

use super::embed::handle_error::HandleError;
use super::embed::shared::{Command, Shared};
use crate::auth::Keys;
use crate::config::{Config, ConfigError, TakesEffect, keys};
use std::fmt;
use std::sync::{Arc, PoisonError};

/// Changes a server's configuration, from any thread, and can do nothing else. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reloader {
    shared: Arc<Shared>,
}

/// What came of another configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// What has changed and takes effect.
    pub taken: Vec<Change>,
    /// What has changed and needs a restart: the server goes on with what it had.
    pub waiting: Vec<Change>,
    /// What the keys are now that judge tokens: algorithms and `kid`s. Empty in open mode.
    pub keys: String,
}

/// A key of the configuration whose value has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub key: &'static str,
    /// How, as a log may tell it: what it is and was; of streams and handlers the names that were added,
    /// changed and removed; of a URL no query.
    pub what: String,
}

/// Why a configuration was not taken: nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// It contradicts itself, or the keys that judge tokens cannot be read.
    #[error(transparent)]
    Config(ConfigError),
    /// The server has stopped, or too many calls wait for it.
    #[error(transparent)]
    Server(HandleError),
}

impl Reloader {
    pub(super) fn new(shared: Arc<Shared>) -> Reloader {
        Reloader { shared }
    }

    /// What the server goes by, as of the last call that changed it.
    #[must_use]
    pub fn config(&self) -> Config {
        self.shared.config.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes what can be changed while the server runs ([`TakesEffect`]), and reads all key files again.
    /// It takes effect from the reactor's next turn on: who was let in stays. With [`Reloader::config`]
    /// as it is, it reads the keys again and nothing else. It waits for the disk: not on the
    /// reactor's thread.
    ///
    /// # Errors
    /// [`ReloadError`]: nothing has changed.
    pub fn reload(&self, config: &Config) -> Result<Reloaded, ReloadError> {
        config.check().map_err(ReloadError::Config)?;
        let mut running = self.shared.config.lock().unwrap_or_else(PoisonError::into_inner);
        let Merged { mut config, taken, waiting } = merge(&running, config);
        self.shared.check_paths(&config).map_err(ReloadError::Config)?;
        config.read_secrets().map_err(ReloadError::Config)?;
        let keys = config.key_sources().read();
        let keys = keys.map_err(|error| ReloadError::Config(error.into()))?;
        let reloaded = Reloaded { taken, waiting, keys: shown(&keys) };
        let command = Command::Reconfigure(Box::new(config.clone()), keys);
        self.shared.call(command).map_err(ReloadError::Server)?;
        *running = config;
        Ok(reloaded)
    }
}

fn shown(keys: &Keys) -> String {
    if keys.is_empty() { String::new() } else { keys.to_string() }
}

struct Merged {
    config: Config,
    taken: Vec<Change>,
    waiting: Vec<Change>,
}

/// What a server goes by that runs with `running` and is handed `new`.
fn merge(running: &Config, new: &Config) -> Merged {
    let mut merged = Merged { config: running.clone(), taken: Vec::new(), waiting: Vec::new() };
    // Open mode stays open mode, and nothing else becomes it: who is in came in by one of the two.
    let is_same_mode = running.is_open() == new.is_open();
    if is_same_mode {
        merged.config.secret.clone_from(&new.secret);
    }
    for key in keys() {
        let Some(what) = key.change(running, new) else { continue };
        let change = Change { key: key.name(), what };
        let decides_mode = matches!(change.key, "auth.secret_file" | "auth.key_files");
        if key.effect() == TakesEffect::Restart || (decides_mode && !is_same_mode) {
            merged.waiting.push(change);
        } else {
            key.copy(new, &mut merged.config);
            merged.taken.push(change);
        }
    }
    merged
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.what)
    }
}
