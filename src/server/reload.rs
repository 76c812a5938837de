//! Gives a running server another configuration: all of it or nothing. Files are read on the
//! caller's thread, because that waits for the disk; the reactor's thread gets the result.

use super::embed::call_queue::Command;
use super::embed::handle_error::HandleError;
use super::embed::shared::Shared;
use crate::auth::Keys;
use crate::base::Timestamp;
use crate::config::{Config, ConfigError, TakesEffect, keys};
use crate::tls::Certificate;
use std::fmt;
use std::sync::{Arc, PoisonError};

/// Changes a server's configuration, from any thread, and does nothing else. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reloader {
    shared: Arc<Shared>,
}

/// The result of a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reloaded {
    /// Changes that take effect.
    pub taken: Vec<Change>,
    /// Changes that need a restart: until then the server keeps the old values.
    pub waiting: Vec<Change>,
    /// The keys that judge tokens now: algorithms and `kid`s. Empty in open mode.
    pub keys: String,
    /// When the certificate that clients are shown now ends; `None` without TLS.
    pub certificate: Option<Timestamp>,
}

/// A key of the configuration whose value has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its name.
    pub key: &'static str,
    /// The change, in a form that a log may show: the new and the old value; for streams and
    /// handlers the names of those added, changed and removed; a URL without its query.
    pub what: String,
}

/// Why a configuration was refused. Nothing has changed then.
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

    /// The server's configuration, as of the last successful reload.
    #[must_use]
    pub fn config(&self) -> Config {
        self.shared.config.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Applies what can change while the server runs ([`TakesEffect`]), and reads all key files and
    /// the certificate again. The changes take effect in the reactor's next turn; open connections
    /// stay. With an unchanged [`Reloader::config`] this only reads those files again. It waits for
    /// the disk: do not call it on the reactor's thread.
    ///
    /// # Errors
    /// [`ReloadError`]: nothing has changed.
    pub fn reload(&self, config: &Config) -> Result<Reloaded, ReloadError> {
        config.check().map_err(ReloadError::Config)?;
        let mut number = self.shared.reloads.lock().unwrap_or_else(PoisonError::into_inner);
        let MergedConfig { mut config, taken, waiting } = merge(&self.config(), config);
        config.read_secrets().map_err(ReloadError::Config)?;
        let keys = config.key_sources().read();
        let keys = keys.map_err(|error| ReloadError::Config(error.into()))?;
        let certificates = config.read_certificates().map_err(ReloadError::Config)?;
        let expires = certificates.iter().map(Certificate::expires).min();
        let reloaded = Reloaded { taken, waiting, keys: shown(&keys), certificate: expires };
        // Held only now: handles on the reactor's thread need it, too, and must not wait for the disk.
        let mut running = self.shared.config.lock().unwrap_or_else(PoisonError::into_inner);
        self.shared.check_paths(&config).map_err(ReloadError::Config)?;
        *number += 1;
        let command = Command::Reconfigure(Box::new(config.clone()), keys, *number);
        self.shared.call(command).map_err(ReloadError::Server)?;
        *running = config;
        self.show(certificates);
        Ok(reloaded)
    }

    /// Reads only the certificates again. Returns when the first of them ends. Waits for the disk.
    pub(super) fn read_certificates(&self) -> Result<Timestamp, ConfigError> {
        let _turn = self.shared.reloads.lock().unwrap_or_else(PoisonError::into_inner);
        self.show(self.config().read_certificates()?);
        Ok(self.certificate_expiry().unwrap_or_default())
    }

    /// When the first of the certificates in force ends; `None` without TLS.
    pub(super) fn certificate_expiry(&self) -> Option<Timestamp> {
        self.shared.certificate_expiry()
    }

    fn show(&self, new: Vec<Certificate>) {
        if let Some(shown) = self.shared.certificates.get().filter(|_| !new.is_empty()) {
            shown.replace(new);
        }
    }
}

fn shown(keys: &Keys) -> String {
    if keys.is_empty() { String::new() } else { keys.to_string() }
}

struct MergedConfig {
    config: Config,
    taken: Vec<Change>,
    waiting: Vec<Change>,
}

/// The configuration of a server that runs with `running` and is given `new`.
fn merge(running: &Config, new: &Config) -> MergedConfig {
    let mut merged =
        MergedConfig { config: running.clone(), taken: Vec::new(), waiting: Vec::new() };
    // A reload neither begins nor ends open mode, because connected users were admitted by its
    // rules.
    let is_same_mode = running.is_open() == new.is_open();
    if is_same_mode {
        merged.config.secret.clone_from(&new.secret);
    }
    // Connections that are open would be of another kind than those that come.
    let has_same_tls = running.has_tls() == new.has_tls();
    for key in keys() {
        let Some(what) = key.change(running, new) else { continue };
        let change = Change { key: key.name(), what };
        let waits = match change.key {
            "auth.secret_file" | "auth.key_files" => !is_same_mode,
            "tls.cert_file" | "tls.key_file" | "tls.certificates" => !has_same_tls,
            _ => key.effect() == TakesEffect::Restart,
        };
        if waits {
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
