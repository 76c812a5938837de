//! All sources of the configuration, in ascending precedence: defaults, file, environment, flags.

use super::config::{Config, split};
use super::error::{ConfigError, ConfigFaults};
use super::example::{defaults, whole};
use super::file::read_file;
use super::key::{ConfigKey, RawValue};
use super::keys::{find, keys, nearest};
use super::origin::{Origins, ValueOrigin};
use super::redaction::{flag, without_secrets};
use super::{environment, streams};
use crate::auth::Keys;
use crate::store::Place;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The sources of the configuration, at the start and for reloads. Each overrides the ones before
/// it; the defaults come first.
#[derive(Clone, Debug, Default)]
pub struct ConfigSources {
    /// The default place of the data; empty if there is none.
    pub default_data: PathBuf,
    /// The file.
    pub file: Option<Arc<Path>>,
    /// The environment; unrelated variables are ignored.
    pub variables: Vec<(OsString, OsString)>,
    /// The flags, in order.
    pub flags: Vec<Assignment>,
    /// Whether the server runs without an embedding program. Streams that only such a program could
    /// feed are then errors.
    pub stands_alone: bool,
}

/// A flag that assigns a value.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// The flag with its argument, as an error shows it.
    pub flag: String,
    /// Its key; none if the value contains it, as in `limits.burst=100`.
    pub key: Option<&'static str>,
    /// The value.
    pub value: RawValue,
}

/// A loaded configuration.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The combined configuration.
    pub config: Config,
    /// The origins of values from a source.
    pub origins: Origins,
    /// The keys from the key files.
    pub keys: Keys,
}

/// A configuration that is being read.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) config: Config,
    pub(super) origins: Origins,
    pub(super) faults: ConfigFaults,
}

impl Draft {
    pub(super) fn new() -> Draft {
        let (origins, faults) = (Origins::default(), ConfigFaults::default());
        Draft { config: defaults(), origins, faults }
    }

    /// Sets a key to a value from a flag or a variable.
    pub(super) fn assign(
        &mut self,
        key: &'static ConfigKey,
        value: &RawValue,
        origin: ValueOrigin,
    ) {
        match key.assign(&mut self.config, value) {
            Ok(()) => self.origins.insert(key.name, origin),
            Err(error) => self.faults.push(origin, error),
        }
    }
}

impl ConfigSources {
    /// Reads all sources, including key files, and checks the result. Blocks on the disk.
    ///
    /// # Errors
    /// All errors found.
    pub fn read(&self) -> Result<Loaded, ConfigFaults> {
        let mut draft = Draft::new();
        if let Some(path) = &self.file {
            read_file(path, &mut draft);
        }
        environment::read(&self.variables, &mut draft);
        for flag in &self.flags {
            flag.apply(&mut draft);
        }
        let Draft { mut config, origins, mut faults } = draft;
        if config.data == Place::Directory("".into()) {
            config.data = Place::Directory(self.default_data.clone());
        }
        config.settle();
        let mut wrong = config.contradictions();
        if !config.listeners.is_empty() && config.listen != defaults().listen {
            wrong.push(ConfigError::ListenAndListeners);
        }
        if self.stands_alone {
            wrong.extend(streams::fed_by_nobody(&config.streams, &config.feeds));
        }
        let (keys, of_keys) = config.read_all_keys();
        for error in wrong.into_iter().chain(of_keys) {
            let origin = error.member().and_then(|place| origins.nearest(place)).cloned();
            faults.push(origin.unwrap_or(ValueOrigin::Whole), error);
        }
        if faults.is_empty() { Ok(Loaded { config, origins, keys }) } else { Err(faults) }
    }
}

impl Assignment {
    fn apply(&self, draft: &mut Draft) {
        let shown = if self.key.is_none() { flag(&self.flag) } else { self.flag.clone() };
        let origin = ValueOrigin::Flag(shown);
        let named = match (self.key, &self.value) {
            (None, RawValue::Text(text)) => split(text),
            (None, RawValue::List(items)) => Err(ConfigError::NoValue(items.join(","))),
            (Some(name), value) => find(name).map(|key| (key, value.clone())).ok_or_else(|| {
                ConfigError::UnknownKey { name: name.to_owned(), nearest: nearest(name) }
            }),
        };
        match named {
            Ok((key, given)) => draft.assign(key, &given, origin),
            Err(error) => draft.faults.push(origin, error),
        }
    }
}

impl Loaded {
    /// The configuration as TOML, with the origins of values that are not the defaults. It contains
    /// only the file names of secrets, and no queries of URLs; where these were removed, it cannot
    /// be read again.
    #[must_use]
    pub fn to_toml(&self) -> String {
        whole(&without_secrets(&self.config), &self.origins)
    }

    /// The keys whose values are not the defaults, and their origins.
    pub fn differences(&self) -> impl Iterator<Item = (&'static ConfigKey, &ValueOrigin)> {
        let defaults = defaults();
        keys().iter().filter_map(move |key| {
            let origin = self.origins.get(key.name)?;
            (key.shown(&self.config) != key.shown(&defaults)).then_some((key, origin))
        })
    }
}
