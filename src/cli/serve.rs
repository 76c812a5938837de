//! `parlor serve`.

use super::{Failure, default_data, secret_of_environment};
use crate::reactor::on_signal;
use crate::server::auth::KeyFile;
use crate::server::{Config, Server, ServerError};
use crate::store::Place;
use clap::Args;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

const SIGHUP: i32 = libc::SIGHUP;
const SIGINT: i32 = libc::SIGINT;
const SIGTERM: i32 = libc::SIGTERM;
const SIGXFSZ: i32 = libc::SIGXFSZ;

/// Options of `parlor serve`.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080", value_parser = parse_address)]
    listen: SocketAddr,

    /// Where to keep the data: a directory, or `:memory:` to keep nothing
    /// [default: parlor in the user's data directory]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// A file with the secret, of at least 32 bytes, that signs tokens (HS256);
    /// or give the secret itself in the environment variable PARLOR_SECRET
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,

    /// A file with the public key of somebody who signs tokens (PEM: RS256, ES256 or EdDSA by its
    /// kind), or with a set of keys (JWKS). With KID= before it a PEM file's key is for the tokens
    /// with that `kid` (may be repeated). SIGHUP reads the files again
    #[arg(long, value_name = "[KID=]FILE", value_parser = parse_key_file)]
    key_file: Vec<KeyFile>,

    /// Open mode, expressly: everybody is who they say. It is what a server without a secret and
    /// without keys on a loopback address runs in; with one, or elsewhere, it is an error
    #[arg(long)]
    open: bool,

    /// Let web pages from this origin connect, too, as `https://example.com` (may be repeated)
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,

    /// What to log: off, error, warn, info, debug, trace; or by module, as
    /// `info,parlor::store=debug`
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: String,

    /// Set a value of the configuration (may be repeated); `--set help` lists the keys
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

pub(super) fn run(args: ServeArgs) -> Result<(), Failure> {
    if args.set.iter().any(|assignment| assignment == "help") {
        println!("keys and their defaults:\n{}", crate::server::config::keys_and_defaults());
        return Ok(());
    }
    start_log(&args.log)?;
    let config = config(args)?;
    let (is_open, data) = (config.is_open(), config.data.clone());
    // A write beyond the file size limit is then an error of the write, and not the process's end.
    on_signal(&[SIGXFSZ], |_| {}).map_err(Failure::new)?;
    let server = Server::bind(config).map_err(|error| match error {
        ServerError::Config(_) => Failure::usage(error),
        _ => Failure::new(error),
    })?;
    let (stopper, key_reader) = (server.stopper(), server.key_reader());
    // In open mode there is nothing to read again, and a terminal that is closed ends the program.
    let signals = [SIGINT, SIGTERM, SIGHUP];
    let signals = if is_open { &signals[..2] } else { &signals[..] };
    on_signal(signals, move |signal| match signal {
        SIGHUP => match key_reader.read() {
            Ok(keys) => log::info!("keys, read again: {keys}"),
            Err(error) => log::error!("keys, not read again, the old ones stay: {error}"),
        },
        _ => {
            // It has stopped already: then there is nothing to stop.
            let _ = stopper.stop();
        }
    })
    .map_err(Failure::new)?;
    greet(is_open, &data, server.local_addr());
    server.run().map_err(Failure::new)
}

/// Says on standard output what a user wants to know first.
fn greet(is_open: bool, data: &Place, address: SocketAddr) {
    let mut lines = String::new();
    if is_open {
        lines += "Open mode: there is no secret, everybody at this machine is who they say.\n";
    } else {
        lines += &format!(
            "Tokens are needed to sign in. A link: `parlor token --user NAME --url http://{}/`, \
             with the same secret, or with --key and a private key.\n",
            reachable(address)
        );
    }
    match data {
        Place::Directory(directory) => lines += &format!("Data: {}\n", directory.display()),
        Place::Memory => lines += "Data: in memory, gone when this program ends\n",
    }
    lines += &format!("Chat: http://{}/\n", reachable(address));
    // Nobody may be there to read it.
    let _ = std::io::stdout().write_all(lines.as_bytes());
    let _ = std::io::stdout().flush();
}

/// An address for a browser at this machine: an unspecified one is not.
fn reachable(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    }
}

fn config(args: ServeArgs) -> Result<Config, Failure> {
    let data = match args.data {
        Some(path) if path.as_os_str() == ":memory:" => Place::Memory,
        Some(path) => Place::Directory(path),
        None => Place::Directory(default_data()?),
    };
    let mut config = Config::new(args.listen, data);
    config.secret = secret_of_environment()?;
    config.secret_file = args.secret_file;
    config.key_files = args.key_file;
    for origin in &args.allow_origin {
        let is_origin = ["http://", "https://"].iter().any(|scheme| {
            origin.strip_prefix(scheme).is_some_and(|host| !host.is_empty() && !host.contains('/'))
        });
        if !is_origin {
            return Err(Failure::usage(format!(
                "--allow-origin {origin}: an origin is a scheme and a host, as https://example.com"
            )));
        }
    }
    config.allowed_origins = args.allow_origin;
    for assignment in &args.set {
        config
            .set(assignment)
            .map_err(|error| Failure::usage(format!("--set {assignment}: {error}")))?;
    }
    if args.open && !config.is_open() {
        return Err(Failure::usage(
            "--open asks for open mode, but there is a secret or a key: give one of them",
        ));
    }
    if args.open && !args.listen.ip().to_canonical().is_loopback() {
        return Err(Failure::usage(format!(
            "--open asks for open mode, which is for a loopback address, not for {}",
            args.listen
        )));
    }
    Ok(config)
}

fn start_log(filter: &str) -> Result<(), Failure> {
    for item in filter.split(',') {
        let level = item.split_once('=').map_or(item, |(_, level)| level).trim();
        level.parse::<log::LevelFilter>().map_err(|_| {
            Failure::usage(format!(
                "--log {filter}: {level:?} is no level: off, error, warn, info, debug, trace"
            ))
        })?;
    }
    env_logger::Builder::new().parse_filters(filter).format_timestamp_millis().init();
    Ok(())
}

fn parse_key_file(text: &str) -> Result<KeyFile, String> {
    KeyFile::parse(text).ok_or_else(|| "a file is needed, or a kid, `=` and a file".to_owned())
}

fn parse_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "an IP address and a port are needed, as 127.0.0.1:8080".to_owned())
}
