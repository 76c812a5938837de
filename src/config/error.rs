//! What is wrong with a configuration, and where that stands.

use super::keys::find;
use super::origin::ValueOrigin;
use super::told::masked;
use crate::auth::KeyError;
use crate::base::limits::{CONFIG_FAULTS_MAX, CONFIG_FILE_BYTES_MAX};
use std::net::SocketAddr;
use std::{fmt, io};

/// The key of streams.
pub(super) const STREAMS_TABLE: &str = "streams";
/// The key of handlers.
pub(super) const HANDLERS_TABLE: &str = "handlers";
/// The member of a webhook or a handler that names its secret, whichever of two it is.
pub(super) const SECRET: &str = "secret";

/// What is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No key, or no table, has this name.
    #[error("no key is called {name:?}: {}", suggestion(.nearest.as_deref()))]
    UnknownKey {
        /// What was given.
        name: String,
        /// What was most likely meant.
        nearest: Option<String>,
    },
    /// No key has this variable.
    #[error("no key has this variable: {}", suggestion(.nearest.as_deref()))]
    UnknownVariable {
        /// The one that was most likely meant.
        nearest: Option<String>,
    },
    /// There is no `=`.
    #[error("{:?} is not of the form KEY=VALUE", masked(.0))]
    NoValue(String),
    /// The value is not one of this key's.
    #[error("{key} is {}; not {value}", find(.key).map(|key| key.wants()).unwrap_or_default())]
    BadValue {
        /// The key.
        key: &'static str,
        /// What was given.
        value: String,
    },
    /// An entry of a table is not one of this table's.
    #[error("{table}: {entry:?}: {wants}")]
    BadEntry {
        /// The table.
        table: &'static str,
        /// The entry's name.
        entry: String,
        /// What is needed.
        wants: String,
    },
    /// A stream is not declared as it should be.
    #[error("stream {stream:?}: {wants}")]
    BadStream {
        /// Its name.
        stream: String,
        /// Which of its members is wrong; empty if it is none, or several.
        member: &'static str,
        /// What is wrong.
        wants: String,
    },
    /// The limits of a user, or how far claims go, are not as they should be.
    #[error("limits of {entry:?}: {wants}")]
    BadLimits {
        /// The user, or `claims`.
        entry: String,
        /// What is wrong.
        wants: String,
    },
    /// A handler is not declared as it should be.
    #[error("handlers: {wants}")]
    BadHandler {
        /// Which of them, from 0, and which of its members, if that is known.
        place: Option<(usize, &'static str)>,
        /// What is wrong.
        wants: String,
    },
    /// What a variable has is not UTF-8.
    #[error("its value is not UTF-8")]
    NotUnicode,
    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Read(io::Error),
    /// The file has more than [`CONFIG_FILE_BYTES_MAX`] bytes.
    #[error("has more than {CONFIG_FILE_BYTES_MAX} bytes: this is no configuration")]
    FileSize,
    /// The file is not TOML.
    #[error("this is not TOML: {0}")]
    Syntax(String),
    /// Open mode on an address that others reach.
    #[error(
        "refusing to listen on {0} without a secret: everybody who reaches it could be anybody.\nGive it a secret of at least 32 bytes (--secret-file FILE, or PARLOR_SECRET) or the public keys of those who sign tokens (--key-file FILE), or listen on 127.0.0.1"
    )]
    OpenElsewhere(SocketAddr),
    /// Open mode is asked for, on such an address.
    #[error(
        "open mode is asked for (auth.open, --open), which is for a loopback address, not for {0}"
    )]
    OpenAskedElsewhere(SocketAddr),
    /// Open mode is asked for, and there is a key.
    #[error(
        "open mode is asked for (auth.open, --open), but there is a secret or a key: give one of them"
    )]
    OpenWithKeys,
    /// A secret is given, and a file with one.
    #[error(
        "a secret (PARLOR_SECRET) and a file with a secret (--secret-file) are both given: give one"
    )]
    TwoSecrets,
    /// An admin token is given, and a file with one.
    #[error(
        "an admin token (PARLOR_ADMIN_TOKEN) and a file with one (auth.admin_token_file) are both given: give one"
    )]
    TwoAdminTokens,
    /// No directory for the data is named.
    #[error("there is no home directory: say with --data, or data, where to keep the data")]
    NoData,
    /// A key or a secret cannot be read, or is none.
    #[error("{}{error}", of_keys(.key, .entry))]
    Keys {
        /// The key of the configuration that names it; empty if none does.
        key: &'static str,
        /// The stream, or the place of the handler, whose secret it is; empty for that of tokens.
        entry: String,
        /// What is wrong with it.
        error: KeyError,
    },
}

impl From<KeyError> for ConfigError {
    fn from(error: KeyError) -> ConfigError {
        ConfigError::Keys { key: "", entry: String::new(), error }
    }
}

impl ConfigError {
    /// The key that it is about, an entry of its table, and a member of that; empty where there is none.
    pub(super) fn member(&self) -> Option<(&'static str, String, String)> {
        match self {
            ConfigError::BadStream { stream, member, .. } => {
                Some((STREAMS_TABLE, stream.clone(), (*member).to_owned()))
            }
            ConfigError::BadHandler { place: Some((number, member)), .. } => {
                Some((HANDLERS_TABLE, number.to_string(), (*member).to_owned()))
            }
            ConfigError::Keys { key, entry, .. } => {
                (!key.is_empty()).then(|| (*key, entry.clone(), SECRET.to_owned()))
            }
            other => Some((other.key()?, String::new(), String::new())),
        }
    }

    /// The key that it is about, if it is about one.
    fn key(&self) -> Option<&'static str> {
        match self {
            ConfigError::BadValue { key, .. } => Some(key),
            ConfigError::BadEntry { table, .. } => Some(table),
            ConfigError::BadStream { .. } => Some(STREAMS_TABLE),
            ConfigError::BadHandler { .. } => Some(HANDLERS_TABLE),
            ConfigError::OpenElsewhere(_) => Some("listen"),
            ConfigError::OpenAskedElsewhere(_) | ConfigError::OpenWithKeys => Some("auth.open"),
            ConfigError::TwoSecrets => Some("auth.secret_file"),
            ConfigError::TwoAdminTokens => Some("auth.admin_token_file"),
            ConfigError::NoData => Some("data"),
            ConfigError::UnknownKey { .. }
            | ConfigError::UnknownVariable { .. }
            | ConfigError::NoValue(_)
            | ConfigError::BadLimits { .. }
            | ConfigError::NotUnicode
            | ConfigError::Read(_)
            | ConfigError::FileSize
            | ConfigError::Syntax(_)
            | ConfigError::Keys { .. } => None,
        }
    }
}

fn suggestion(nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) => format!("did you mean {nearest}?"),
        None => "`parlor config` lists all keys".to_owned(),
    }
}

/// Where the key is that is wrong.
fn of_keys(key: &str, entry: &str) -> String {
    match key {
        "" => String::new(),
        STREAMS_TABLE => format!("stream {entry:?}: the webhook's secret: "),
        HANDLERS_TABLE => "handlers: the secret: ".to_owned(),
        key => format!("{key}: "),
    }
}

/// What is wrong, and where.
#[derive(Debug)]
pub struct ConfigFault {
    /// Where.
    pub origin: ValueOrigin,
    /// What.
    pub error: ConfigError,
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.origin, &self.error) {
            // What it says is of several values, or it names its variable itself.
            (ValueOrigin::Whole, error) | (_, error @ ConfigError::Keys { key: "", .. }) => {
                error.fmt(f)
            }
            (origin, error) => write!(f, "{origin}: {error}"),
        }
    }
}

/// All that is wrong: the first [`CONFIG_FAULTS_MAX`], and how many more there are.
#[derive(Debug, Default)]
pub struct ConfigFaults {
    list: Vec<ConfigFault>,
    more: usize,
}

impl ConfigFaults {
    /// What is wrong.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigFault> {
        self.list.iter()
    }

    /// Whether nothing is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn into_first(self) -> Option<ConfigError> {
        self.list.into_iter().next().map(|fault| fault.error)
    }

    pub(super) fn push(&mut self, origin: ValueOrigin, error: ConfigError) {
        if self.list.len() < CONFIG_FAULTS_MAX {
            self.list.push(ConfigFault { origin, error });
        } else {
            self.more += 1;
        }
    }
}

impl fmt::Display for ConfigFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, fault) in self.list.iter().enumerate() {
            let line_end = if place == 0 { "" } else { "\n" };
            write!(f, "{line_end}{fault}")?;
        }
        if self.more > 0 {
            write!(f, "\n… and {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigFaults {}
