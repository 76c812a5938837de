//! Who can sign in, the files with keys and secrets, and certificates.

use super::super::process;
use super::report::{Report, word};
use crate::base::date::rfc3339;
use crate::config::{CertificateFiles, Config, Listener, Loaded};
use crate::reactor::Clock;
use crate::tls::{Certificate, ChainFault, expiry_warning};
use rustix::fs::{Access, access};
use rustix::process::geteuid;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const FILES: &str = "key files";
const CERTIFICATE: &str = "certificate";

/// Looks at all this with the rights of the user that the server is.
pub(super) fn look(report: &mut Report, loaded: &Loaded, config_file: Option<&Path>) {
    let config = &loaded.config;
    sign_in(report, loaded);
    admins(report, config);
    origins(report, config);
    files(report, config, config_file);
    certificates(report, config);
}

fn sign_in(report: &mut Report, loaded: &Loaded) {
    const ABOUT: &str = "sign-in";
    let config = &loaded.config;
    let keys = match loaded.keys.len() {
        1 => "1 key".to_owned(),
        keys => format!("{keys} keys"),
    };
    if config.is_open() {
        report.ok(ABOUT, "open mode: everybody at this machine is who they say");
    } else if config.auth_url.is_some() {
        report.ok(ABOUT, format!("the backend says who somebody is; {keys} for tokens"));
    } else {
        // A configuration whose files have no key is refused.
        report.ok(ABOUT, format!("by tokens, with {keys}"));
    }
}

fn admins(report: &mut Report, config: &Config) {
    const ABOUT: &str = "admins";
    let listeners = config.all_listeners();
    let has_token = config.admin_token.is_some() || config.admin_token_file.is_some();
    let socket = listeners.iter().find(|listener| listener.admits_admins());
    if let Some(socket) = socket {
        report.ok(ABOUT, format!("at {}", socket.address));
    } else if !listeners.iter().any(|listener| listener.serves.admin) {
        let text = "no listener serves admins, so that `parlor admin` reaches no server";
        report.warn(ABOUT, text, "serves = [\"admin\"]");
    } else if has_token {
        report.ok(ABOUT, "with the admins' token");
    } else if config.is_open() {
        report.ok(ABOUT, "none, as there is no admins' token");
    } else {
        let text = "there is no admins' token: only users whose token says so are admins";
        report.warn(ABOUT, text, "auth.admin_token_file = \"/etc/parlor/admin-token\"");
    }
}

fn origins(report: &mut Report, config: &Config) {
    const ABOUT: &str = "origins";
    let is_here =
        |host: &str| ["localhost", "127.", "[::1]"].iter().any(|own| host.starts_with(own));
    let in_clear = config
        .allowed_origins
        .iter()
        .find(|origin| origin.strip_prefix("http://").is_some_and(|host| !is_here(host)));
    match (in_clear, config.allowed_origins.len()) {
        (Some(origin), _) => {
            let text = format!(
                "{origin} is not https: whoever is on the way to it can act in the name of its visitors"
            );
            let mend =
                format!("http.allowed_origins = [\"{}\"]", origin.replace("http:", "https:"));
            report.warn(ABOUT, text, mend);
        }
        (None, 0) => report.ok(ABOUT, "only the server's own pages may connect"),
        (None, others) => report.ok(ABOUT, format!("{others} beside the server's own")),
    }
}

/// The files of the configuration, and whether what is in them is secret.
fn key_files<'a>(config: &'a Config, config_file: Option<&'a Path>) -> Vec<(PathBuf, bool)> {
    let mut found: Vec<(PathBuf, bool)> = Vec::new();
    let secrets = [&config.secret_file, &config.admin_token_file, &config.tls_key_file];
    found.extend(secrets.into_iter().flatten().map(|path| (path.clone(), true)));
    found.extend(config.tls_certificates.iter().map(|files| (files.key.clone(), true)));
    let of_hooks = config.feeds.iter().filter_map(|feed| feed.webhook.as_ref()?.secret.file());
    let of_handlers = config.handlers.iter().filter_map(|handler| handler.secret.as_ref()?.file());
    found.extend(of_hooks.chain(of_handlers).map(|path| (path.to_owned(), true)));
    found.extend(config.key_files.iter().map(|file| (file.path.clone(), false)));
    let of_listener = |listener: &Listener| listener.client_ca_file.as_deref().map(PathBuf::from);
    found.extend(config.listeners.iter().filter_map(of_listener).map(|path| (path, false)));
    found.extend(config.tls_cert_file.iter().map(|path| (path.clone(), false)));
    found.extend(config_file.map(|path| (path.to_owned(), false)));
    found
}

/// Who may read what is secret, and write what others trust.
fn files(report: &mut Report, config: &Config, config_file: Option<&Path>) {
    let files = key_files(config, config_file);
    let mut are_sound = true;
    for (path, is_secret) in &files {
        let shown = path.display();
        let user = process::own_name();
        if access(path, Access::READ_OK).is_err() {
            let text = format!("{user} may not read {shown}, so that SIGHUP cannot read it again");
            report.error(FILES, text, format!("chown {user} {}", word(path)));
            are_sound = false;
            continue;
        }
        let Ok(found) = fs::metadata(path) else { continue };
        if found.uid() != 0 && found.uid() != geteuid().as_raw() {
            let text = format!("{shown} belongs to the user {}, who may change it", found.uid());
            report.error(FILES, text, format!("chown {user} {}", word(path)));
            are_sound = false;
            continue;
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let of_folder = folder.and_then(|folder| Some((folder, fs::metadata(folder).ok()?.mode())));
        // With the sticky bit only its owner may replace a file.
        if let Some((folder, _)) = of_folder.filter(|(_, mode)| mode & 0o1002 == 0o002) {
            let text = format!("every user of this machine may replace {shown}");
            report.error(FILES, text, format!("chmod o-w {}", word(folder)));
            are_sound = false;
            continue;
        }
        let mode = found.mode() & 0o777;
        let (what, mend) = match mode {
            _ if *is_secret && mode & 0o004 != 0 => ("read this secret", "o-rwx"),
            _ if mode & 0o002 != 0 => ("write to it", "o-w"),
            _ => continue,
        };
        let text = format!("{shown} has mode {mode:o}: every user of this machine may {what}");
        report.error(FILES, text, format!("chmod {mend} {}", word(path)));
        are_sound = false;
    }
    if are_sound {
        report.ok(FILES, format!("{}, nothing secret is open to other users", files.len()));
    }
}

fn certificates(report: &mut Report, config: &Config) {
    let found = match config.read_certificates() {
        Ok(found) => found,
        Err(error) => return report.error(CERTIFICATE, error.to_string(), ""),
    };
    let first = config.tls_cert_file.iter().zip(&config.tls_key_file);
    let first = first.map(|(cert, key)| CertificateFiles { cert: cert.clone(), key: key.clone() });
    let files = first.chain(config.tls_certificates.iter().cloned());
    for (certificate, files) in found.iter().zip(files) {
        one_certificate(report, certificate, &files.cert);
    }
    if found.is_empty() {
        report.ok(CERTIFICATE, "none: connections are plain");
    }
}

fn one_certificate(report: &mut Report, certificate: &Certificate, file: &Path) {
    let (now, shown) = (Clock::timestamp(), file.display());
    if certificate.begins() > now {
        let begins = rfc3339(certificate.begins());
        let text = format!("{shown} is valid from {begins} on, or the clock is wrong");
        report.error(CERTIFICATE, text, "timedatectl set-ntp true");
    }
    let (expires, renew) = (certificate.expires(), "certbot renew");
    match expiry_warning(expires, now) {
        Some(warning) if expires < now => {
            report.error(CERTIFICATE, format!("{shown}: {warning}"), renew);
        }
        Some(warning) => report.warn(CERTIFICATE, format!("{shown}: {warning}"), renew),
        None => {
            let hosts = match certificate.hosts() {
                [] => "no name of a host".to_owned(),
                hosts => hosts.join(", "),
            };
            let days = expires.days_since(now);
            report.ok(CERTIFICATE, format!("{shown} is for {hosts}, for {days} days more"));
        }
    }
    match certificate.chain_fault() {
        None => {}
        Some(ChainFault::Order(number)) => {
            let text = format!(
                "{shown}: certificate {number} is not the one that signs the one before it: first \
                 the server's own, then each that signs the one before"
            );
            report.error(CERTIFICATE, text, format!("cat own.pem above.pem > {}", word(file)));
        }
        Some(ChainFault::Alone(issuer)) => {
            let text = format!(
                "{shown} lacks the certificate of {issuer}: only who trusts that one itself can \
                 connect"
            );
            report.warn(CERTIFICATE, text, "tls.cert_file = \"…/fullchain.pem\"");
        }
    }
}
