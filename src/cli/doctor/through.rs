//! A server seen from the other side of the proxy in front of it.

use super::super::CommandFailure;
use super::super::admin::connections;
use super::super::server_link::{LinkArgs, ServerLink};
use super::report::{Report, word};
use crate::base::limits::DOCTOR_STEP_MS;
use crate::config::Config;
use std::net::IpAddr;
use std::path::Path;

pub(super) const URL: &str = "url";
/// RFC 5737: an address that nobody has. A proxy appends its client's to it, or puts that in its
/// place.
const NOBODYS: &str = "192.0.2.1";

/// How to come by the proxy.
pub(super) struct Through<'a> {
    url: &'a str,
    /// For anybody.
    link: ServerLink,
    /// With a user's token.
    user: Option<ServerLink>,
}

impl Through<'_> {
    /// Reads the files that this needs, with the rights of whoever named them.
    pub(super) fn open<'a>(
        url: &'a str,
        ca: Option<&Path>,
        token_file: Option<&Path>,
    ) -> Result<Through<'a>, CommandFailure> {
        let link = |token_file| {
            let link = LinkArgs::of_url(url, ca, token_file)?;
            Ok::<_, CommandFailure>(link.patient_for(DOCTOR_STEP_MS))
        };
        let user = token_file.map(|file| link(Some(file))).transpose()?;
        Ok(Through { url, link: link(None)?, user })
    }

    /// Looks at what people get who come by the proxy.
    pub(super) fn look(&self, report: &mut Report, config: &Config) {
        if !self.reaches_parlor(report, &self.link, config) {
            return;
        }
        self.websocket(report, &self.link);
        match &self.user {
            Some(user) => self.address(report, user, config),
            None => {
                let text = "which address the server sees is told with --token-file";
                report.ok(URL, text);
            }
        }
    }

    fn reaches_parlor(&self, report: &mut Report, link: &ServerLink, config: &Config) -> bool {
        let url = self.url.trim_end_matches('/');
        let listener = config.all_listeners().into_iter().find(|one| one.serves.public);
        let at = listener.map(|one| one.address.to_string()).unwrap_or_default();
        match link.call("GET", "/healthz", None) {
            Ok((200, answer)) if answer["version"].is_string() => {
                if answer["open"] == true && !is_local(url) {
                    let text = "a server in open mode answers, and a proxy makes everybody a user of its machine";
                    report.error(URL, text, "auth.secret_file = \"/etc/parlor/secret\"");
                    return true;
                }
                let version = answer["version"].as_str().unwrap_or_default();
                report.ok(URL, format!("{url} leads to parlor {version}"));
                true
            }
            Ok((status @ 502..=504, _)) => {
                let text = format!("{url} answers {status}: the proxy does not reach the server");
                report.error(URL, text, format!("proxy_pass http://{at};"));
                false
            }
            Ok((status, _)) => {
                let text = format!("{url} answers {status}, and not as parlor");
                report.error(URL, text, format!("proxy_pass http://{at};"));
                false
            }
            Err(failure) => {
                report.error(URL, failure.message, format!("curl -v {}", word(Path::new(url))));
                false
            }
        }
    }

    fn websocket(&self, report: &mut Report, link: &ServerLink) {
        match link.open_websocket("/ws", NOBODYS) {
            // Who is asked who they are has passed the upgrade.
            Ok((101 | 401, _)) => report.ok(URL, "WebSockets pass"),
            Ok((403, _)) => {
                let text = "a WebSocket of the server's own page is refused (403): the proxy passes another Host on than it gets";
                report.error(URL, text, "proxy_set_header Host $http_host;");
            }
            Ok((status @ (429 | 503), _)) => {
                let text = format!("a WebSocket is refused for now ({status})");
                report.warn(URL, text, "parlor admin connections");
            }
            Ok((status, _)) => {
                let text = format!(
                    "WebSockets do not pass ({status}): the proxy does not pass the upgrade on"
                );
                let mend = "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; \
                            proxy_set_header Connection $connection_upgrade;";
                report.error(URL, text, mend);
            }
            Err(failure) => report.error(URL, failure.message, ""),
        }
    }

    /// Which address the server has for a client that comes by the proxy.
    fn address(&self, report: &mut Report, user: &ServerLink, config: &Config) {
        let seen = match self.seen_address(user, config) {
            Ok(seen) => seen,
            Err(failure) => {
                let text =
                    format!("which address the server sees is not known: {}", failure.message);
                return report.warn(URL, text, "parlor admin connections");
            }
        };
        let parsed: Option<IpAddr> = seen.parse().ok();
        let proxies = config.proxies.trusted.iter().chain(&config.proxies.protocol);
        let is_loopback = parsed.is_some_and(|address| address.to_canonical().is_loopback());
        let is_proxy = |address| is_loopback || proxies.clone().any(|proxy| proxy.has(address));
        if is_loopback && serves_tls_itself(config) {
            report.ok(
                URL,
                format!("the server takes {seen} for this client, which is at its machine"),
            );
        } else if parsed.is_none_or(is_proxy) {
            let text = format!(
                "the server takes {} for the client, which is the proxy: all people share the limits of one",
                if seen.is_empty() { "nobody" } else { &seen }
            );
            let mend = match config.proxies.trusted.is_empty() {
                true => format!(
                    "proxies.trusted = [\"{}\"]",
                    if seen.is_empty() { "127.0.0.1" } else { &seen }
                ),
                false => "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;".to_owned(),
            };
            report.error(URL, text, mend);
        } else if seen == NOBODYS {
            report.ok(URL, "X-Forwarded-For is taken");
        } else {
            report.ok(URL, format!("the server takes {seen} for this client"));
        }
    }

    /// The address of a WebSocket that is opened, or nothing if the server has none for it.
    fn seen_address(&self, user: &ServerLink, config: &Config) -> Result<String, CommandFailure> {
        let admin = LinkArgs::default().of_config(config, true)?.patient_for(DOCTOR_STEP_MS);
        let (_, info) = user.call("GET", "/api/v1/info", None)?;
        let id = &info["user"]["id"];
        let before = connections(&admin)?;
        let (status, answer) = user.open_websocket("/ws", NOBODYS)?;
        if status != 101 {
            return Err(CommandFailure::new(format!("the user is refused: {status} {answer}")));
        }
        let after = connections(&admin)?;
        let new = after.iter().find(|row| {
            let is_old = before.iter().any(|old| old["connection"] == row["connection"]);
            row["kind"] == "websocket" && row["user"] == *id && !is_old
        });
        let row = new.ok_or_else(|| {
            CommandFailure::new("the server of this configuration is not the one behind the proxy")
        })?;
        Ok(row["address"].as_str().unwrap_or_default().to_owned())
    }
}

/// Whether people come to the server's own TLS, with no proxy in front.
fn serves_tls_itself(config: &Config) -> bool {
    let listeners = config.all_listeners();
    let is_named = !config.proxies.trusted.is_empty() || !config.proxies.protocol.is_empty();
    !is_named
        && listeners.iter().any(|one| one.serves.public && one.tls)
        && listeners.iter().all(|one| one.rules.proxy.is_none())
}

/// Whether a URL is of this machine.
fn is_local(url: &str) -> bool {
    let host = url.split("://").nth(1).unwrap_or(url);
    ["localhost", "127.", "[::1]"].iter().any(|own| host.starts_with(own))
}
