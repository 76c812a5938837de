//! `parlor serve`.

use super::config::SourceArgs;
use super::handover::{self, HandoverOffer};
use super::log::ProgramLog;
use super::{CommandFailure, print_out, process, systemd};
use crate::base::date::rfc3339;
use crate::config::{Config, ConfigSources, ListenAddress, Listener, keys_and_defaults};
use crate::reactor::{SIGINT, SIGTERM, on_signal};
use crate::server::{Listening, Reloaded, Reloader, Server, ServerError};
use crate::store::Place;
use clap::Args;
use std::io::Write;
use std::net::SocketAddr;

const SIGHUP: i32 = libc::SIGHUP;
const SIGXFSZ: i32 = libc::SIGXFSZ;

/// Options of `parlor serve`.
#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    sources: SourceArgs,

    /// Take the place of the server that serves the same data: it drains, and passes its sockets on
    #[arg(long)]
    replace: bool,
}

pub(super) fn run(args: ServeArgs) -> Result<(), CommandFailure> {
    if args.sources.asks_for_keys() {
        return print_out(&format!("keys and their defaults:\n{}\n", keys_and_defaults()));
    }
    let sources = args.sources.sources();
    let config = sources.read().map_err(CommandFailure::usage)?.config;
    let log = ProgramLog::start(&config.log_level, config.log_format);
    if let Some(file) = &sources.file {
        log::info!("configuration: {}", file.display());
    }
    let (is_open, data) = (config.is_open(), config.data.clone());
    let (has_backend, has_keys) = (config.auth_url.is_some(), !config.key_sources().is_empty());
    let has_tls = config.has_tls();
    let has_admin_token = config.admin_token.is_some() || config.admin_token_file.is_some();
    let methods = SignInMethods { is_open, has_backend, has_keys, has_admin_token };
    let host = certified_host(&config);
    let server = open(config, args.replace)?;
    systemd::watch(server.pulse()).map_err(CommandFailure::new)?;
    let offer = offer(&data, &server);
    let (stopper, reloader) = (server.stopper(), server.reloader());
    // In open mode without a file and a certificate there is nothing to reload, so closing the
    // terminal ends the program.
    let signals = [SIGINT, SIGTERM, SIGHUP];
    let is_hangup_the_end = is_open && sources.file.is_none() && !has_tls;
    let signals = if is_hangup_the_end { &signals[..2] } else { &signals[..] };
    on_signal(signals, move |signal| match signal {
        SIGHUP => {
            systemd::reloading();
            read_again(&sources, &reloader, &log);
            systemd::ready();
        }
        // An error means that it has already stopped.
        SIGTERM => {
            systemd::stopping();
            drop(stopper.restart());
        }
        _ => {
            systemd::stopping();
            drop(stopper.stop());
        }
    })
    .map_err(CommandFailure::new)?;
    greet(methods, &data, server.listeners(), host.as_deref());
    systemd::ready();
    let sockets = server.run_and_keep_sockets().map_err(CommandFailure::new)?;
    if let Some(offer) = offer {
        offer.hand_over(sockets);
    }
    Ok(())
}

/// Binds the sockets, gives root's rights up, and opens the data. No thread begins before that.
fn open(config: Config, replaces: bool) -> Result<Server, CommandFailure> {
    process::raise_file_limit();
    process::set_umask(config.umask);
    process::check_user(&config)?;
    let mut passed = systemd::passed_sockets()?;
    let failed = |error| match error {
        ServerError::Config(_) => CommandFailure::usage(error),
        _ => CommandFailure::new(error),
    };
    if replaces {
        // What is wrong must not end the server that runs.
        Listening::probe(&config).map_err(failed)?;
        passed.extend(handover::take_over(&config.data)?);
    }
    let listening = Listening::bind(&config, passed).map_err(failed)?;
    process::become_user(&config, &listening)?;
    // A write beyond the file size limit then fails, instead of killing the process.
    on_signal(&[SIGXFSZ], |_| {}).map_err(CommandFailure::new)?;
    Server::open(config, listening).map_err(failed)
}

/// Offers that another process takes this one's place.
fn offer(data: &Place, server: &Server) -> Option<HandoverOffer> {
    let Place::Directory(directory) = data else { return None };
    let offer = HandoverOffer::open(directory, server.stopper());
    offer.map_err(|error| log::warn!("this server cannot be replaced by --replace: {error}")).ok()
}

/// Reloads the configuration and the keys, and logs the result.
fn read_again(sources: &ConfigSources, reloader: &Reloader, log: &ProgramLog) {
    let config = match sources.read() {
        Ok(loaded) => loaded.config,
        Err(faults) => {
            for fault in faults.iter() {
                log::error!("configuration: {fault}");
            }
            log::error!("configuration and keys, not read again, the old ones stay");
            return;
        }
    };
    match reloader.reload(&config) {
        Ok(Reloaded { taken, waiting, keys, certificate }) => {
            // Logged with the old filter, so that a change that silences the log is still logged.
            for change in &taken {
                log::info!("configuration: {change}");
            }
            log.change(&config.log_level, config.log_format);
            for change in &waiting {
                log::warn!("configuration: {change}: this needs a restart");
            }
            log::info!(
                "configuration, read again: {} taken, {} waiting",
                taken.len(),
                waiting.len()
            );
            if !keys.is_empty() {
                log::info!("keys, read again: {keys}");
            }
            if let Some(expires) = certificate {
                log::info!("certificate, read again: valid until {}", rfc3339(expires));
            }
        }
        Err(error) => {
            log::error!("configuration and keys, not read again, the old ones stay: {error}");
        }
    }
}

/// How users can sign in.
#[derive(Clone, Copy)]
struct SignInMethods {
    is_open: bool,
    has_backend: bool,
    has_keys: bool,
    has_admin_token: bool,
}

/// Prints what a user needs to know first.
fn greet(methods: SignInMethods, data: &Place, listeners: &[Listener], host: Option<&str>) {
    let page = listeners.iter().find_map(|listener| match listener.address {
        ListenAddress::Tcp(address) if listener.serves.public => {
            let (scheme, port) = if listener.tls { ("https", 443) } else { ("http", 80) };
            let host = host.filter(|_| listener.tls).unwrap_or("localhost");
            let address = reachable(address, host);
            let address = address.strip_suffix(&format!(":{port}")).unwrap_or(&address);
            Some(format!("{scheme}://{address}/"))
        }
        ListenAddress::Tcp(_) | ListenAddress::Unix(_) | ListenAddress::Passed(_) => None,
    });
    let mut lines = String::new();
    if methods.is_open {
        lines += "Open mode: there is no secret, everybody at this machine is who they say.\n";
    }
    if methods.has_backend {
        lines += "The application's backend says who somebody is (auth.url).\n";
    }
    if let Some(url) = page.as_ref().filter(|_| methods.has_keys) {
        lines += &format!(
            "Tokens are needed to sign in. A link: `parlor token --user NAME --url {url}`, \
             with the same secret, or with --key and a private key.\n"
        );
    }
    if methods.has_admin_token {
        lines += "Programs with the admin token may call everything.\n";
    }
    match data {
        Place::Directory(directory) => lines += &format!("Data: {}\n", directory.display()),
        Place::Memory => lines += "Data: in memory, gone when this program ends\n",
    }
    if listeners.len() > 1 || page.is_none() {
        for Listener { address, serves, .. } in listeners {
            lines += &format!("Listens at {address} ({serves})\n");
        }
    }
    if let Some(page) = &page {
        lines += &format!("Chat: {page}\n");
    }
    // Standard output may be closed.
    let _ = std::io::stdout().write_all(lines.as_bytes());
    let _ = std::io::stdout().flush();
}

/// The first name of a host that clients are shown a certificate for.
fn certified_host(config: &Config) -> Option<String> {
    let certificates = config.read_certificates().ok()?;
    let mut hosts = certificates.iter().flat_map(|certificate| certificate.hosts());
    hosts.find(|host| !host.starts_with('*')).cloned()
}

/// An address for a browser: an unspecified one does not work.
fn reachable(address: SocketAddr, host: &str) -> String {
    if address.ip().is_unspecified() {
        format!("{host}:{}", address.port())
    } else {
        address.to_string()
    }
}
