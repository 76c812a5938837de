//! `parlor config`, and the flags that are short forms of keys.

use super::{CommandFailure, default_data};
use crate::config::{Assignment, CONFIG_VARIABLE, ConfigSources, RawValue, example};
use clap::Args;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The default file, read if it exists.
const FILE: &str = "parlor.toml";

/// The flags of every command that reads the configuration.
#[derive(Debug, Args)]
pub(super) struct SourceArgs {
    /// Read the configuration from this file [default: what PARLOR_CONFIG names, or ./parlor.toml if
    /// it is there]; `parlor config` prints one with every key
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The address and port to listen on; a port alone means this machine only [default: 127.0.0.1:8080]
    #[arg(long, value_name = "[ADDRESS:]PORT")]
    listen: Option<String>,

    /// The port to listen on, on this machine only; the same as --listen with a port alone
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16), conflicts_with = "listen")]
    port: Option<u16>,

    /// A file with the certificate for TLS (PEM), and those above it; with --tls-key. Read again at
    /// SIGHUP and when it changes
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<String>,

    /// A file with the certificate's private key (PEM)
    #[arg(long, value_name = "FILE")]
    tls_key: Option<String>,

    /// The directory for the data, or `:memory:` to keep nothing
    /// [default: parlor in the user's data directory]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,

    /// Become this user when the sockets are bound, if root starts it
    #[arg(long, value_name = "USER[:GROUP]")]
    user: Option<String>,

    /// A file with the secret, of at least 32 bytes, that signs tokens (HS256);
    /// or give the secret itself in the environment variable PARLOR_SECRET
    #[arg(long, value_name = "FILE")]
    secret_file: Option<String>,

    /// A file with the public key of a token issuer (PEM: RS256, ES256 or EdDSA, by the kind of
    /// key), or with a key set (JWKS). With KID=, a PEM file's key is used for tokens with that
    /// `kid`. May be repeated; SIGHUP reads the files again
    #[arg(long, value_name = "[KID=]FILE")]
    key_file: Vec<String>,

    /// Explicit open mode: everybody is who they say they are. A server without a secret and
    /// keys runs in open mode on a loopback address anyway; with a secret or a key, and on any
    /// other address, it is an error
    #[arg(long)]
    open: bool,

    /// Also let web pages from this origin connect, as `https://example.com` (may be repeated)
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,

    /// What to log: off, error, warn, info, debug, trace; or by module, as
    /// `info,parlor::store=debug` [default: info]
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,

    /// Set a key of the configuration (may be repeated); `--set help` lists the keys
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl ConfigSources {
    /// The sources of this process without flags: its environment, and this file, or the one that
    /// the environment names, or that of the directory in which it was started.
    pub(super) fn of_process(file: Option<PathBuf>) -> ConfigSources {
        let variables: Vec<(OsString, OsString)> = std::env::vars_os().collect();
        let of_variable = || {
            let variable = variables.iter().find(|(name, _)| name == CONFIG_VARIABLE);
            variable.map(|(_, path)| PathBuf::from(path))
        };
        let here = || Path::new(FILE).symlink_metadata().is_ok().then(|| PathBuf::from(FILE));
        let file = file.or_else(of_variable).or_else(here).map(Arc::from);
        // Without a home directory the configuration must name the data; loading reports it if not.
        let default_data = default_data().unwrap_or_default();
        ConfigSources { default_data, file, variables, flags: Vec::new(), stands_alone: true }
    }
}

impl SourceArgs {
    /// Whether only a list of the keys is requested.
    pub(super) fn asks_for_keys(&self) -> bool {
        self.set.iter().any(|assignment| assignment == "help")
    }

    /// The sources of the configuration: these flags, this process's environment, and the file that
    /// either of them names.
    pub(super) fn sources(self) -> ConfigSources {
        let sources = ConfigSources::of_process(self.config.clone());
        ConfigSources { flags: self.flags(), ..sources }
    }

    fn flags(self) -> Vec<Assignment> {
        let text = |flag, key, text: Option<String>| {
            let flag = format!("{flag} {}", text.as_deref()?);
            Some(Assignment { flag, key: Some(key), value: RawValue::Text(text?) })
        };
        let list = |flag: &str, key, items: Vec<String>| {
            let is_given = !items.is_empty();
            let flag = format!("{flag} {}", items.join(" "));
            is_given.then_some(Assignment { flag, key: Some(key), value: RawValue::List(items) })
        };
        let open = self.open.then(|| Assignment {
            flag: "--open".to_owned(),
            key: Some("auth.open"),
            value: RawValue::Text(true.to_string()),
        });
        let short = [
            text("--listen", "listen", self.listen),
            text("--port", "listen", self.port.map(|port| port.to_string())),
            text("--tls-cert", "tls.cert_file", self.tls_cert),
            text("--tls-key", "tls.key_file", self.tls_key),
            text("--data", "data", self.data),
            text("--user", "process.user", self.user),
            text("--secret-file", "auth.secret_file", self.secret_file),
            list("--key-file", "auth.key_files", self.key_file),
            open,
            list("--allow-origin", "http.allowed_origins", self.allow_origin),
            text("--log", "log.level", self.log),
        ];
        let set = self.set.into_iter().map(|assignment| Assignment {
            flag: format!("--set {assignment}"),
            key: None,
            value: RawValue::Text(assignment),
        });
        short.into_iter().flatten().chain(set).collect()
    }
}

/// Options of `parlor config`.
#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    /// The file to check or to show, as with --config
    #[arg(value_name = "FILE", conflicts_with = "config")]
    file: Option<PathBuf>,

    /// Read everything as `parlor serve` would, including key files and secrets, and report
    /// every error; without errors, list what differs from the defaults and where it is set
    #[arg(long, conflicts_with = "show")]
    check: bool,

    /// Print the configuration that `parlor serve` would use, and where each value comes from
    #[arg(long)]
    show: bool,

    #[command(flatten)]
    sources: SourceArgs,
}

pub(super) fn run(mut args: ConfigArgs) -> Result<(), CommandFailure> {
    if !args.check && !args.show {
        if args.file.is_some() {
            return Err(CommandFailure::usage(
                "what is to be done with FILE? Say --check or --show, too",
            ));
        }
        print(&example());
        return Ok(());
    }
    args.sources.config = args.file.take().or(args.sources.config);
    let loaded = args.sources.sources().read().map_err(CommandFailure::usage)?;
    if args.check {
        let mut lines = "ok\n".to_owned();
        for (key, origin) in loaded.differences() {
            lines += &format!("{} = {} ({origin})\n", key.name(), key.redacted(&loaded.config));
        }
        print(&lines);
    } else {
        print(&loaded.to_toml());
    }
    Ok(())
}

fn print(text: &str) {
    // Standard output may be closed.
    let _ = std::io::stdout().write_all(text.as_bytes());
}
