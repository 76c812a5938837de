//! A server's settings, and the rules between them.

use super::error::{ConfigError, HANDLERS_TABLE, STREAMS_TABLE};
use super::feed::Feed;
use super::handlers::{self, BackendHandler};
use super::key::{ConfigKey, RawValue};
use super::keys::{find, keys, nearest};
use super::listeners::{self, Listener};
use super::own_streams::own_streams;
use super::streams;
use super::tls::CertificateFiles;
use super::user_limits::Exceptions;
use crate::auth::{
    AdminToken, Authenticate, Expected, KeyError, KeyFile, KeySource, KeySources, Keys, Secret,
};
use crate::base::declaration::{Declaration, declared};
use crate::base::limits::THREADS_MAX;
use crate::base::{Limits, StreamId};
use crate::hub::streams::StreamSettings;
use crate::hub::{Retentions, Scope, Settings};
use crate::protocol::deflate::CodecsConfig;
use crate::store::Place;
use crate::web::Proxies;
use crate::wire::json::tree;
use std::borrow::Cow;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A server's settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address to listen on; port 0 picks a free one.
    pub listen: SocketAddr,
    /// All that is listened on, in place of that address; empty for that address alone.
    pub listeners: Vec<Listener>,
    /// Where the data is stored.
    pub data: Place,
    /// A file with the certificate that clients are shown (PEM), and those above it. Without it
    /// connections are plain.
    pub tls_cert_file: Option<PathBuf>,
    /// A file with its private key (PEM).
    pub tls_key_file: Option<PathBuf>,
    /// More certificates, for other names.
    pub tls_certificates: Vec<CertificateFiles>,
    /// The user, and the group, that a program which begins as root becomes: `USER` or `USER:GROUP`.
    /// The library only makes it the owner of Unix sockets.
    pub user: Option<Arc<str>>,
    /// How many threads serve, at most 64, each with its own connections; 0 for one for each core.
    pub threads: u32,
    /// The permissions that files which the program creates do not have. For the program, as
    /// `parlor` is; the library does not set it.
    pub umask: u32,
    /// Whether open mode was requested explicitly: a key is then an error.
    pub is_open_asked: bool,
    /// A secret that signs tokens. Without any key, `authenticate` or `auth_url` the server is in
    /// open mode.
    pub secret: Option<Secret>,
    /// A file with that secret.
    pub secret_file: Option<PathBuf>,
    /// Files with public keys of token issuers, or with key sets.
    pub key_files: Vec<KeyFile>,
    /// The operators' token, for HTTP calls.
    pub admin_token: Option<AdminToken>,
    /// A file with that token.
    pub admin_token_file: Option<PathBuf>,
    /// The required audience of tokens (`aud`); none accepts any.
    pub audience: Option<String>,
    /// The required issuer of tokens (`iss`); none accepts any.
    pub issuer: Option<String>,
    /// A function that authenticates requests without a token.
    pub authenticate: Option<Authenticate>,
    /// The backend URL that authenticates them; the fields below are passed on to it.
    pub auth_url: Option<String>,
    /// See [`Config::auth_url`]; in lower case.
    pub auth_url_headers: Vec<String>,
    /// Whether unauthenticated users are admitted as guests, to what is public.
    pub lets_guests_in: bool,
    /// Origins of web pages that may connect, beside the server's own, such as
    /// `https://example.com`.
    pub allowed_origins: Vec<String>,
    /// Proxies trusted to name the client of a connection or a request.
    pub proxies: Proxies,
    /// Whether everybody may read the metrics, not only admins.
    pub metrics_public: bool,
    /// permessage-deflate (RFC 7692).
    pub compression: Compression,
    /// Who sees who is online.
    pub presence: Scope,
    /// Who may create rooms.
    pub rooms_create: Creators,
    /// How much of the rooms' logs is kept.
    pub retention: Retentions,
    /// Streams. A stream uses the declaration with its exact name, or else the first matching
    /// pattern.
    pub streams: Vec<Declaration>,
    /// The sources of some streams, beside clients and the embedding program.
    pub feeds: Vec<Feed>,
    /// Request types that the application's backend answers, in the order of matching.
    pub handlers: Vec<BackendHandler>,
    /// The log filter, such as `info,parlor::store=debug`. For the program that installs a logger,
    /// as `parlor` does; the library installs none.
    pub log_level: String,
    /// The log format; for the same program.
    pub log_format: LogFormat,
    /// All limits.
    pub limits: Limits,
    /// Limits that differ for some users.
    pub exceptions: Exceptions,
}

/// Who may create rooms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Creators {
    /// Everybody.
    #[default]
    Anyone,
    /// Admins.
    Admin,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Whether and how messages are compressed for clients that offer it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compression {
    /// Whether compression is negotiated.
    pub enabled: bool,
    /// The codec settings.
    pub codecs: CodecsConfig,
}

impl Config {
    /// A configuration for `listen` and `data`, without a secret, with default limits.
    #[must_use]
    pub fn new(listen: SocketAddr, data: Place) -> Config {
        Config {
            listen,
            listeners: Vec::new(),
            data,
            tls_cert_file: None,
            tls_key_file: None,
            tls_certificates: Vec::new(),
            user: None,
            umask: 0o077,
            threads: 1,
            is_open_asked: false,
            secret: None,
            secret_file: None,
            key_files: Vec::new(),
            admin_token: None,
            admin_token_file: None,
            audience: None,
            issuer: None,
            authenticate: None,
            auth_url: None,
            auth_url_headers: vec!["authorization".to_owned(), "cookie".to_owned()],
            lets_guests_in: false,
            allowed_origins: Vec::new(),
            proxies: Proxies::default(),
            metrics_public: false,
            compression: Compression::default(),
            presence: Scope::default(),
            rooms_create: Creators::default(),
            retention: Retentions::default(),
            streams: Vec::new(),
            feeds: Vec::new(),
            handlers: Vec::new(),
            log_level: "info".to_owned(),
            log_format: LogFormat::default(),
            limits: Limits::default(),
            exceptions: Exceptions::default(),
        }
    }

    /// Whether the server is in open mode: users are not authenticated.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.key_sources().is_empty() && self.authenticate.is_none() && self.auth_url.is_none()
    }

    /// The sources of the keys that verify tokens.
    #[must_use]
    pub fn key_sources(&self) -> KeySources {
        KeySources {
            secret: self.secret.clone(),
            secret_file: self.secret_file.clone(),
            key_files: self.key_files.clone(),
        }
    }

    /// The admin token, if there is one. Blocks on the disk.
    ///
    /// # Errors
    /// [`KeyError`]: what is wrong with its file.
    pub fn read_admin_token(&self) -> Result<Option<AdminToken>, KeyError> {
        match &self.admin_token_file {
            Some(path) => AdminToken::read(path).map(Some),
            None => Ok(self.admin_token.clone()),
        }
    }

    /// Reads the secrets shared with the application's backend and others. Blocks on the disk.
    ///
    /// # Errors
    /// [`ConfigError::Keys`] for the first secret that cannot be read.
    pub fn read_secrets(&mut self) -> Result<(), ConfigError> {
        self.read_all_secrets().into_iter().next().map_or(Ok(()), Err)
    }

    /// As [`Config::read_secrets`], but returns the error of each.
    pub(super) fn read_all_secrets(&mut self) -> Vec<ConfigError> {
        let of_hooks = self.feeds.iter_mut().filter_map(|feed| {
            let read = feed.webhook.as_mut()?.secret.read();
            Some((STREAMS_TABLE, feed.pattern.to_string(), read))
        });
        let of_handlers = self.handlers.iter_mut().enumerate().filter_map(|(place, handler)| {
            Some((HANDLERS_TABLE, place.to_string(), handler.secret.as_mut()?.read()))
        });
        let all = of_hooks.chain(of_handlers);
        let fault = |(key, entry, read): (_, _, Result<(), KeyError>)| {
            read.err().map(|error| ConfigError::Keys { key, entry, error })
        };
        all.filter_map(fault).collect()
    }

    /// The keys that verify tokens, and all errors in them, in the admin token, in secrets and in
    /// the files for TLS.
    pub(super) fn read_all_keys(&mut self) -> (Keys, Vec<ConfigError>) {
        let (keys, faults) = self.key_sources().read_all();
        let of = |source| match source {
            KeySource::Secret => "",
            KeySource::SecretFile => "auth.secret_file",
            KeySource::KeyFiles => "auth.key_files",
        };
        let of_tokens = faults.into_iter().map(|(source, error)| (of(source), error));
        let of_admin = self.read_admin_token().err().map(|error| ("auth.admin_token_file", error));
        let faults = of_tokens.chain(of_admin);
        let fault = |(key, error)| ConfigError::Keys { key, entry: String::new(), error };
        let mut faults: Vec<ConfigError> = faults.map(fault).collect();
        faults.extend(self.read_all_secrets());
        faults.extend(self.read_certificates().err());
        faults.extend(self.read_client_authorities().err());
        (keys, faults)
    }

    /// What a token must contain beside a valid signature.
    #[must_use]
    pub fn expected(&self) -> Expected {
        Expected {
            audience: self.audience.clone(),
            issuer: self.issuer.clone(),
            leeway_ms: self.limits.auth_leeway_ms,
            name_bytes_max: self.limits.title_bytes as usize,
        }
    }

    /// How many threads serve.
    #[must_use]
    pub fn thread_count(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let count = if self.threads == 0 { cores() } else { self.threads as usize };
        count.clamp(1, THREADS_MAX)
    }

    /// The hub's part of the configuration.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let settings = Settings::from(&self.limits);
        let declare = |declaration: &Declaration| {
            let has_feed = self.feeds.iter().any(|feed| feed.pattern == declaration.pattern);
            Arc::new(Declaration { has_feed, ..declaration.clone() })
        };
        let own = own_streams(self.is_open()).map(Arc::new);
        let declarations = own.into_iter().chain(self.streams.iter().map(declare)).collect();
        let streams = StreamSettings::new(declarations, tree, &self.limits);
        let settings = settings.presence(self.presence).keep(self.retention.clone());
        let settings = settings.streams(streams);
        match self.rooms_create {
            Creators::Anyone => settings,
            Creators::Admin => settings.admins_create(),
        }
    }

    /// The declaration for a stream: one of the server's own, or of the configuration.
    pub(crate) fn declaration(&self, name: &str) -> Option<Cow<'_, Declaration>> {
        let own =
            || own_streams(self.is_open()).into_iter().find(|own| own.pattern.as_str() == name);
        let declared = declared(&self.streams, name).map(Cow::Borrowed);
        declared.or_else(|| own().map(Cow::Owned))
    }

    /// How many events of a stream the store keeps; 0 for one that is not durable.
    pub(crate) fn kept_on_disk(&self, stream: &StreamId) -> u64 {
        let declared = self.declaration(stream.as_str());
        declared.filter(|one| one.durable).map_or(0, |one| one.keep.events() as u64)
    }

    /// All contradictions between values, and all values out of bounds.
    #[must_use]
    pub fn contradictions(&self) -> Vec<ConfigError> {
        let mut found = Vec::new();
        let elsewhere = self.all_listeners().iter().find_map(Listener::people_elsewhere);
        if let Some(address) = elsewhere.filter(|_| self.is_open()) {
            found.push(match self.is_open_asked {
                true => ConfigError::OpenAskedElsewhere(address),
                false => ConfigError::OpenElsewhere(address),
            });
        }
        if self.is_open_asked && !self.is_open() {
            found.push(ConfigError::OpenWithKeys);
        }
        found.extend(listeners::contradictions(self));
        if self.tls_cert_file.is_some() != self.tls_key_file.is_some() {
            found.push(ConfigError::HalfTls);
        }
        if !self.tls_certificates.is_empty() && !self.has_tls() {
            found.push(ConfigError::MoreWithoutFirst);
        }
        if self.secret.is_some() && self.secret_file.is_some() {
            found.push(ConfigError::TwoSecrets);
        }
        if self.admin_token.is_some() && self.admin_token_file.is_some() {
            found.push(ConfigError::TwoAdminTokens);
        }
        if matches!(&self.data, Place::Directory(directory) if directory.as_path() == Path::new(""))
        {
            found.push(ConfigError::NoData);
        }
        found.extend(streams::contradictions(&self.streams, &self.feeds));
        found.extend(handlers::contradictions(&self.handlers));
        // An embedding program sets fields without `set`, which would check them.
        let outside = keys().iter().filter(|key| !key.is_within(self));
        found.extend(
            outside.map(|key| ConfigError::BadValue { key: key.name, value: key.redacted(self) }),
        );
        found
    }

    /// Checks the rules between the values.
    ///
    /// # Errors
    /// The first of [`Config::contradictions`].
    pub fn check(&self) -> Result<(), ConfigError> {
        self.contradictions().into_iter().next().map_or(Ok(()), Err)
    }

    /// Sets a value by its key, such as `limits.burst=100`.
    ///
    /// # Errors
    /// [`ConfigError`]; nothing has changed then.
    pub fn set(&mut self, assignment: &str) -> Result<(), ConfigError> {
        let (key, given) = split(assignment)?;
        key.assign(self, &given)?;
        self.settle();
        Ok(())
    }

    /// Keeps the low mark below the limit: otherwise no outbox could ever exceed it.
    pub(super) fn settle(&mut self) {
        self.limits.outbox_low_bytes =
            self.limits.outbox_low_bytes.min(self.limits.outbox_bytes / 2);
    }
}

/// Splits `KEY=VALUE` into key and value.
pub(super) fn split(assignment: &str) -> Result<(&'static ConfigKey, RawValue), ConfigError> {
    let (name, value) =
        assignment.split_once('=').ok_or_else(|| ConfigError::NoValue(assignment.to_owned()))?;
    let name = name.trim();
    let unknown = || ConfigError::UnknownKey { name: name.to_owned(), nearest: nearest(name) };
    let key = find(name).ok_or_else(unknown)?;
    Ok((key, RawValue::Text(value.trim().to_owned())))
}
