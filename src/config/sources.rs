//! All sources of the configuration, in the order of their rank: defaults, file, environment, flags.

use super::config::{Config, split};
use super::error::{ConfigError, ConfigFaults};
use super::example::{defaults, whole};
use super::file::read_file;
use super::key::{ConfigKey, RawValue};
use super::keys::{find, keys, nearest};
use super::origin::{Origins, ValueOrigin};
use super::told::{flag, without_secrets};
use super::{environment, streams};
use crate::auth::Keys;
use crate::store::Place;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the configuration is read from, at the start and again: a higher one of these replaces what
/// a lower one says, the defaults being the lowest.
#[derive(Clone, Debug, Default)]
pub struct ConfigSources {
    /// Where the data is kept if nobody says so; an empty path if there is no such place.
    pub default_data: PathBuf,
    /// The file.
    pub file: Option<Arc<Path>>,
    /// The environment; what is not ours is passed over.
    pub variables: Vec<(OsString, OsString)>,
    /// The flags, in their order.
    pub flags: Vec<Assignment>,
    /// Whether no program embeds the server: then what only such a program could feed, nothing does.
    pub stands_alone: bool,
}

/// What a flag says.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// The flag with what belongs to it, as an error names it.
    pub flag: String,
    /// Its key; none if that stands in the value, as `limits.burst=100`.
    pub key: Option<&'static str>,
    /// The value.
    pub value: RawValue,
}

/// A configuration that has been read from its sources.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What they come to.
    pub config: Config,
    /// Where those values come from that a source has given.
    pub origins: Origins,
    /// What the key files have.
    pub keys: Keys,
}

impl ConfigSources {
    /// Reads all of them, the key files too, and checks what they come to. It waits for the disk.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn read(&self) -> Result<Loaded, ConfigFaults> {
        let mut config = defaults();
        let (mut origins, mut faults) = (Origins::default(), ConfigFaults::default());
        if let Some(path) = &self.file {
            read_file(path, &mut config, &mut origins, &mut faults);
        }
        environment::read(&self.variables, &mut config, &mut origins, &mut faults);
        for flag in &self.flags {
            flag.apply(&mut config, &mut origins, &mut faults);
        }
        if config.data == Place::Directory("".into()) {
            config.data = Place::Directory(self.default_data.clone());
        }
        config.settle();
        let mut wrong = config.contradictions();
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
    fn apply(&self, config: &mut Config, origins: &mut Origins, faults: &mut ConfigFaults) {
        let origin = ValueOrigin::Flag(if self.key.is_none() {
            flag(&self.flag)
        } else {
            self.flag.clone()
        });
        let named = match (self.key, &self.value) {
            (None, RawValue::Text(text)) => split(text),
            (None, RawValue::List(items)) => Err(ConfigError::NoValue(items.join(","))),
            (Some(name), value) => find(name).map(|key| (key, value.clone())).ok_or_else(|| {
                ConfigError::UnknownKey { name: name.to_owned(), nearest: nearest(name) }
            }),
        };
        let set = named.and_then(|(key, given)| key.assign(config, &given).map(|()| key));
        match set {
            Ok(key) => {
                origins.insert(key.name, origin);
            }
            Err(error) => faults.push(origin, error),
        }
    }
}

impl Loaded {
    /// The configuration as TOML, with where its values come from that are not the defaults. Of
    /// secrets only the files' names are in it, and of URLs no queries: with such it cannot be read again.
    #[must_use]
    pub fn to_toml(&self) -> String {
        whole(&without_secrets(&self.config), &self.origins)
    }

    /// The keys whose values are not the defaults, and where each comes from.
    pub fn differences(&self) -> impl Iterator<Item = (&'static ConfigKey, &ValueOrigin)> {
        let defaults = defaults();
        keys().iter().filter_map(move |key| {
            let origin = self.origins.get(key.name)?;
            (key.shown(&self.config) != key.shown(&defaults)).then_some((key, origin))
        })
    }
}
