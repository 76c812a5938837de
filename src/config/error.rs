//! Errors in a configuration, and where they are.

use super::keys::find;
use super::origin::ValueOrigin;
use super::redaction::masked;
use super::tls::{CERT_FILE, CERTIFICATES, TlsFileError};
use crate::auth::KeyError;
use crate::base::limits::{CONFIG_FAULTS_MAX, CONFIG_FILE_BYTES_MAX};
use crate::base::pattern::Pattern;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::{fmt, io};

/// The key of streams.
pub(super) const STREAMS_TABLE: &str = "streams";
/// The key of handlers.
pub(super) const HANDLERS_TABLE: &str = "handlers";
/// The key of listeners.
pub(super) const LISTENERS_TABLE: &str = "listeners";
/// Stands for the member of a webhook or a handler that names its secret, either of two.
pub(super) const SECRET: &str = "secret";

/// An error in a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No key, or no table, has this name.
    #[error("no key is called {name:?}: {}", suggestion(.nearest.as_deref()))]
    UnknownKey {
        /// The given name.
        name: String,
        /// The most similar name.
        nearest: Option<String>,
    },
    /// No key has this variable.
    #[error("no key has this variable: {}", suggestion(.nearest.as_deref()))]
    UnknownVariable {
        /// The most similar variable.
        nearest: Option<String>,
    },
    /// There is no `=`.
    #[error("{:?} is not of the form KEY=VALUE", masked(.0))]
    NoValue(String),
    /// The key does not accept the value.
    #[error("{key} is {}; not {value}", find(.key).map(|key| key.wants()).unwrap_or_default())]
    BadValue {
        /// The key.
        key: &'static str,
        /// The given value.
        value: String,
    },
    /// The table does not accept an entry.
    #[error("{table}: {entry:?}: {wants}")]
    BadEntry {
        /// The table.
        table: &'static str,
        /// The entry's name.
        entry: String,
        /// What is expected.
        wants: String,
    },
    /// A stream's declaration is wrong.
    #[error("stream {stream:?}: {wants}")]
    BadStream {
        /// Its name.
        stream: String,
        /// The wrong member; empty if it is none, or several.
        member: &'static str,
        /// What is wrong.
        wants: String,
    },
    /// The limits of a user, or the ceilings of claims, are wrong.
    #[error("limits of {entry:?}: {wants}")]
    BadLimits {
        /// The user, or `claims`.
        entry: String,
        /// What is wrong.
        wants: String,
    },
    /// A handler's declaration is wrong.
    #[error("handlers: {wants}")]
    BadHandler {
        /// The handler's index, from 0, and the wrong member, if known.
        place: Option<(usize, &'static str)>,
        /// What is wrong.
        wants: String,
    },
    /// A listener is wrong.
    #[error("listeners: {wants}")]
    BadListener {
        /// The listener's index, from 0, and the wrong member, if known.
        place: Option<(usize, &'static str)>,
        /// What is wrong.
        wants: String,
    },
    /// Both an address to listen on and listeners.
    #[error("listen (--listen) is given, and listeners too: give one")]
    ListenAndListeners,
    /// A variable's value is not UTF-8.
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
    /// Open mode on an address that others can reach.
    #[error(
        "refusing to listen on {0} without a secret: everybody who reaches it could be anybody.\nGive it a secret of at least 32 bytes (--secret-file FILE, or PARLOR_SECRET) or the public keys of those who sign tokens (--key-file FILE), or listen on 127.0.0.1"
    )]
    OpenElsewhere(SocketAddr),
    /// Open mode requested explicitly on such an address.
    #[error(
        "open mode is asked for (auth.open, --open), which is for a loopback address, not for {0}"
    )]
    OpenAskedElsewhere(SocketAddr),
    /// Open mode requested explicitly, although there is a key.
    #[error(
        "open mode is asked for (auth.open, --open), but there is a secret or a key: give one of them"
    )]
    OpenWithKeys,
    /// Both a secret and a file with one.
    #[error(
        "a secret (PARLOR_SECRET) and a file with a secret (--secret-file) are both given: give one"
    )]
    TwoSecrets,
    /// Both an admin token and a file with one.
    #[error(
        "an admin token (PARLOR_ADMIN_TOKEN) and a file with one (auth.admin_token_file) are both given: give one"
    )]
    TwoAdminTokens,
    /// Only one of the two files for TLS.
    #[error(
        "a certificate (tls.cert_file, --tls-cert) and its private key (tls.key_file, --tls-key) belong together: give both"
    )]
    HalfTls,
    /// More certificates without the first.
    #[error(
        "tls.certificates are more certificates: give the one that is shown by default, too (tls.cert_file, tls.key_file)"
    )]
    MoreWithoutFirst,
    /// A file for TLS cannot be used.
    #[error("{key}: {} {error}", .path.display())]
    Tls {
        /// The configuration key that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: TlsFileError,
    },
    /// No data directory is configured.
    #[error("there is no home directory: say with --data, or data, where to keep the data")]
    NoData,
    /// A key or a secret cannot be read or is invalid.
    #[error("{}{error}", of_keys(.key, .entry))]
    Keys {
        /// The configuration key that names it; empty if there is none.
        key: &'static str,
        /// The stream or the handler's index that the secret belongs to; empty for the tokens'
        /// secret.
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
    pub(super) fn of_stream(
        pattern: &Pattern,
        member: &'static str,
        wants: impl Into<String>,
    ) -> ConfigError {
        ConfigError::BadStream { stream: pattern.to_string(), member, wants: wants.into() }
    }

    /// The affected key, the entry of its table, and that entry's member; empty where there is
    /// none.
    pub(super) fn member(&self) -> Option<(&'static str, String, String)> {
        let (key, entry, member) = match self {
            ConfigError::BadStream { stream, member, .. } => {
                (STREAMS_TABLE, stream.clone(), *member)
            }
            ConfigError::BadHandler { place: Some((number, member)), .. } => {
                (HANDLERS_TABLE, number.to_string(), *member)
            }
            ConfigError::BadListener { place: Some((number, member)), .. } => {
                (LISTENERS_TABLE, number.to_string(), *member)
            }
            ConfigError::Keys { key: "", .. } => return None,
            ConfigError::Keys { key, entry, .. } => (*key, entry.clone(), SECRET),
            other => (other.key()?, String::new(), ""),
        };
        Some((key, entry, member.to_owned()))
    }

    /// The affected key of an error that is not of a member.
    fn key(&self) -> Option<&'static str> {
        match self {
            ConfigError::BadValue { key, .. } | ConfigError::BadEntry { table: key, .. } => {
                Some(key)
            }
            ConfigError::BadHandler { .. } => Some(HANDLERS_TABLE),
            ConfigError::BadListener { .. } => Some(LISTENERS_TABLE),
            ConfigError::OpenElsewhere(_) | ConfigError::ListenAndListeners => Some("listen"),
            ConfigError::OpenAskedElsewhere(_) | ConfigError::OpenWithKeys => Some("auth.open"),
            ConfigError::TwoSecrets => Some("auth.secret_file"),
            ConfigError::HalfTls => Some(CERT_FILE),
            ConfigError::MoreWithoutFirst => Some(CERTIFICATES),
            ConfigError::Tls { key, .. } => Some(key),
            ConfigError::TwoAdminTokens => Some("auth.admin_token_file"),
            ConfigError::NoData => Some("data"),
            _ => None,
        }
    }
}

fn suggestion(nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) => format!("did you mean {nearest}?"),
        None => "`parlor config` lists all keys".to_owned(),
    }
}

/// A prefix that locates the wrong key.
fn of_keys(key: &str, entry: &str) -> String {
    match key {
        "" => String::new(),
        STREAMS_TABLE => format!("stream {entry:?}: the webhook's secret: "),
        HANDLERS_TABLE => "handlers: the secret: ".to_owned(),
        key => format!("{key}: "),
    }
}

/// An error, and where it is.
#[derive(Debug)]
pub struct ConfigFault {
    /// Where.
    pub origin: ValueOrigin,
    /// The error.
    pub error: ConfigError,
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.origin, &self.error) {
            // The message is about several values, or names its variable itself.
            (ValueOrigin::Whole, error) | (_, error @ ConfigError::Keys { key: "", .. }) => {
                error.fmt(f)
            }
            (origin, error) => write!(f, "{origin}: {error}"),
        }
    }
}

/// All errors: the first [`CONFIG_FAULTS_MAX`], and how many more there are.
#[derive(Debug, Default)]
pub struct ConfigFaults {
    list: Vec<ConfigFault>,
    more: usize,
}

impl ConfigFaults {
    /// The errors.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigFault> {
        self.list.iter()
    }

    /// Whether there are no errors.
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
        let lines: Vec<String> = self.list.iter().map(ConfigFault::to_string).collect();
        f.write_str(&lines.join("\n"))?;
        if self.more > 0 {
            write!(f, "\n… and {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigFaults {}
