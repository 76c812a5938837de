//! The configuration: its keys, the rules between them, and its sources.
//!
//! [`keys`] is the table of all keys. It is used to read `parlor.toml`, the environment and the
//! program's flags, and to write the commented example and the reference. [`ConfigSources`] builds
//! a [`Config`], and reports all errors with their places.

#[allow(clippy::module_inception)]
mod config;
mod environment;
mod error;
mod example;
mod feed;
mod fields;
mod file;
mod handlers;
mod inline;
mod key;
mod keys;
mod listeners;
mod origin;
mod overlaps;
mod own_streams;
mod redaction;
mod retention;
mod secret_members;
mod sources;
mod stream_members;
mod streams;
mod suggest;
#[cfg(test)]
mod tests;
mod tls;
mod user_limits;
mod values;
mod webhook;

pub use config::{Compression, Config, Creators, LogFormat};
pub use environment::{ADMIN_TOKEN_VARIABLE, CONFIG_VARIABLE, SECRET_VARIABLE, variable};
pub use error::{ConfigError, ConfigFault, ConfigFaults};
pub use example::{example, keys_and_defaults, quoted};
pub use feed::{Feed, FeedTarget, Poll, Program};
pub use handlers::BackendHandler;
pub use key::{ConfigKey, RawValue, TakesEffect};
pub use keys::keys;
pub use listeners::{ListenAddress, Listener, Serves, https_port};
pub use origin::{Origins, ValueOrigin};
pub(crate) use own_streams::{AUDIT, VITALS};
pub use sources::{Assignment, ConfigSources, Loaded};
pub use tls::{CertificateFiles, TlsFileError};
pub use user_limits::Exceptions;
pub use webhook::Webhook;
