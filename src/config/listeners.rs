//! `[[listeners]]`: where the server listens, and who may do what there.

use super::config::Config;
use super::error::{ConfigError, LISTENERS_TABLE};
use super::example::quoted;
use super::fields::{
    self, Faults, Field, Wants, documented, flag, number, other, path, put, text, texts, word,
    word_of, written,
};
use super::file::Document;
use super::key::{Section, SectionRead, described};
use super::streams::note_members;
use super::values;
use crate::base::limits::{LISTENERS_MAX, SOCKET_PATH_BYTES_MAX};
use crate::web::{ListenerRules, ProxyKind};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeArray, DeValue};

/// A listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where it listens.
    pub address: ListenAddress,
    /// Who may do what there.
    pub serves: Serves,
    /// Whether its connections are encrypted.
    pub tls: bool,
    /// A file with certificates (PEM): clients must show one of their own that one of these has
    /// signed. With TLS.
    pub client_ca_file: Option<Arc<str>>,
    /// The mode of a Unix socket's file: who may write to it may connect.
    pub mode: u32,
    /// Its owner: `USER`, `USER:GROUP` or `:GROUP`. `None` for the user and group of the process.
    pub owner: Option<Arc<str>>,
    /// Most connections. With such a limit they do not count towards `limits.connections`.
    pub connections: Option<u32>,
    /// Its own proxies and limits.
    pub rules: ListenerRules,
    /// For one that redirects: the port of the addresses that it names. `None` for the port of the
    /// first listener with TLS.
    pub https_port: Option<u16>,
    /// For one that redirects: a directory of which it serves the files below
    /// `.well-known/acme-challenge/` (RFC 8555 §8.3).
    pub acme_webroot: Option<Arc<str>>,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// At an address of TCP; port 0 picks a free one.
    Tcp(SocketAddr),
    /// At a path (`unix(7)`).
    Unix(PathBuf),
    /// At a socket with this name that systemd passes (`systemd.socket(5)`, `FileDescriptorName=`).
    Passed(Arc<str>),
}

/// Who may do what at a listener. `/healthz` and `/readyz` are answered at each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Serves {
    /// Users and guests: the page, WebSockets, the API.
    pub public: bool,
    /// Administrators have their rights there. Without it they are users as all others, and the
    /// admins' token is none. If nothing else is served, nobody else is answered; at a Unix socket
    /// everybody who connects is then an administrator.
    pub admin: bool,
    /// Whoever connects may read the metrics.
    pub metrics: bool,
    /// Requests are redirected to `https`.
    pub redirect: bool,
}

impl Serves {
    /// As a server without `[[listeners]]` serves.
    pub const BY_DEFAULT: Serves =
        Serves { public: true, admin: true, metrics: false, redirect: false };

    fn set(&mut self, role: &str) -> Option<()> {
        let flag = match role {
            "public" => &mut self.public,
            "admin" => &mut self.admin,
            "metrics" => &mut self.metrics,
            "redirect" => &mut self.redirect,
            _ => return None,
        };
        *flag = true;
        Some(())
    }

    fn roles(self) -> impl Iterator<Item = &'static str> {
        let all = [
            (self.public, "public"),
            (self.admin, "admin"),
            (self.metrics, "metrics"),
            (self.redirect, "redirect"),
        ];
        all.into_iter().filter(|(is_on, _)| *is_on).map(|(_, role)| role)
    }

    fn is_nothing(self) -> bool {
        self == Serves::default()
    }
}

impl fmt::Display for Serves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.roles().collect::<Vec<_>>().join(","))
    }
}

/// The places that operators have when all others are taken.
const CONNECTIONS_OF_OPERATORS: u32 = 64;
/// How many of them one address has at most, so that it cannot take them all.
const CONNECTIONS_OF_AN_OPERATOR: u32 = 16;
/// Its owner alone.
const MODE: u32 = 0o600;

impl Listener {
    /// A listener for users at this address, with all else by default.
    #[must_use]
    pub fn new(address: ListenAddress) -> Listener {
        Listener {
            address,
            serves: Serves { public: true, ..Serves::default() },
            tls: false,
            client_ca_file: None,
            mode: MODE,
            owner: None,
            connections: None,
            rules: ListenerRules::default(),
            https_port: None,
            acme_webroot: None,
        }
    }

    /// Most connections that it has apart from `limits.connections`: as configured, or 64 where
    /// users are not served.
    #[must_use]
    pub fn own_connections(&self) -> Option<u32> {
        self.connections.or((!self.serves.public).then_some(CONNECTIONS_OF_OPERATORS))
    }

    /// Its proxies and limits, with those that it has by default: at a Unix socket nobody is told
    /// from others by an address, and the lists of proxies, which are addresses, do not hold; where
    /// users are not served, the connections of an address are counted apart from users'.
    #[must_use]
    pub fn own_rules(&self) -> ListenerRules {
        let rules = self.rules.clone();
        match &self.address {
            ListenAddress::Unix(_) => ListenerRules {
                proxy: rules.proxy.or(Some(ProxyKind::Direct)),
                connections_per_address: rules.connections_per_address.or(Some(u32::MAX)),
                connections_per_address_minute: rules.connections_per_address_minute.or(Some(0)),
                ..rules
            },
            _ if !self.serves.public => ListenerRules {
                connections_per_address: rules
                    .connections_per_address
                    .or(Some(CONNECTIONS_OF_AN_OPERATOR)),
                ..rules
            },
            _ => rules,
        }
    }

    /// Its address, if other machines can reach it and it serves people.
    #[must_use]
    pub fn people_elsewhere(&self) -> Option<SocketAddr> {
        self.address.beyond_loopback().filter(|_| self.serves.public || self.serves.admin)
    }

    /// Whether whoever connects is an administrator: at a Unix socket for nobody else, whose mode
    /// says who may.
    #[must_use]
    pub fn admits_admins(&self) -> bool {
        let is_local = matches!(self.address, ListenAddress::Unix(_));
        is_local && self.serves.admin && !self.serves.public
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddress::Tcp(address) => address.fmt(f),
            ListenAddress::Unix(path) => write!(f, "{UNIX}{}", path.display()),
            ListenAddress::Passed(name) => write!(f, "{SYSTEMD}{name}"),
        }
    }
}

const UNIX: &str = "unix:";
const SYSTEMD: &str = "systemd:";

impl ListenAddress {
    /// The address, if it is one of TCP that other machines can reach.
    #[must_use]
    pub fn beyond_loopback(&self) -> Option<SocketAddr> {
        match self {
            ListenAddress::Tcp(address) if !address.ip().to_canonical().is_loopback() => {
                Some(*address)
            }
            ListenAddress::Tcp(_) | ListenAddress::Unix(_) | ListenAddress::Passed(_) => None,
        }
    }

    fn parse(text: &str) -> Option<ListenAddress> {
        if let Some(name) = text.strip_prefix(SYSTEMD) {
            return (!name.is_empty()).then(|| ListenAddress::Passed(name.into()));
        }
        match text.strip_prefix(UNIX) {
            Some(path) => {
                let is_path = (1..=SOCKET_PATH_BYTES_MAX).contains(&path.len());
                (is_path && !path.contains('\0')).then(|| ListenAddress::Unix(path.into()))
            }
            None => values::address(text).map(ListenAddress::Tcp),
        }
    }
}

/// `[[listeners]]`
pub(super) const LISTENERS: Section = Section {
    wants: "a list of tables, each with address, serves, tls, client_ca_file, mode, owner, proxy, connections, \
            connections_per_address, connections_per_address_minute, handshake_timeout_ms, https_port, acme_webroot; \
            elsewhere the same as an inline array of TOML",
    members: || documented("", LISTENER),
    example: &["address = \"127.0.0.1:9090\"", "serves = [\"admin\", \"metrics\"]"],
    read: SectionRead::List(read),
    entries: |config| {
        let entry =
            |one: &Listener| (one.address.to_string(), fields::write(LISTENER, one.clone()));
        config.listeners.iter().map(entry).collect()
    },
    is_private: false,
    short: None,
};

const PROXIES: &[(&str, Option<ProxyKind>)] = &[
    ("forwarded", Some(ProxyKind::Forwarded)),
    ("protocol", Some(ProxyKind::Protocol)),
    ("direct", Some(ProxyKind::Direct)),
    ("listed", None),
];

#[rustfmt::skip]
const LISTENER: &[Field<Listener>] = &[
    other("address", Wants::Text("an IP address and a port, a port alone, unix: and a path, or systemd: and the name of a socket that it passes"), "",
        "Where to listen.",
        |listener, name, value| put(&mut listener.address, address(name, value)),
        |listener| Some(quoted(&listener.address.to_string()))),
    other("serves", Wants::List(3, "of \"public\", \"admin\", \"metrics\"; or \"redirect\" alone"), "[\"public\"]",
        "Who may do what there: users; admins, who have no rights as such where it is left out; whoever connects reads the metrics; requests are redirected to https.",
        |listener, _, value| put(&mut listener.serves, serves(value)),
        |listener| Some(format!("[{}]", listener.serves.roles().map(quoted).collect::<Vec<_>>().join(", ")))),
    flag("tls", |listener| &mut listener.tls,
        "Whether connections are encrypted, with the certificates of tls."),
    other("client_ca_file", Wants::Text("a file's name"), "none",
        "With tls: clients must show a certificate that one in this file (PEM) has signed. Admins still need a token.",
        |listener, name, value| put(&mut listener.client_ca_file, path(name, value).map(Some)),
        |listener| written(&listener.client_ca_file)),
    other("mode", Wants::Text("an octal number, such as \"660\""), "\"600\"",
        "The mode of a Unix socket: who may write to it may connect. A socket of systemd may not have a looser one.",
        |listener, _, value| put(&mut listener.mode, mode(value)),
        |listener| {
            let is_tcp = matches!(listener.address, ListenAddress::Tcp(_));
            (!is_tcp).then(|| quoted(&format!("{:o}", listener.mode)))
        }),
    other("owner", Wants::Text("USER, USER:GROUP or :GROUP"), "who starts the server",
        "The owner of a Unix socket.",
        |listener, name, value| put(&mut listener.owner, owner(name, value).map(Some)),
        |listener| written(&listener.owner)),
    other("proxy", Wants::Text("\"listed\", \"direct\", \"forwarded\" or \"protocol\""), "\"listed\", at a Unix socket \"direct\"",
        "How clients are named here: by the proxies that the keys of proxies list, not at all, by X-Forwarded-For whoever the peer is, or by a PROXY header, with which each connection must begin.",
        |listener, name, value| put(&mut listener.rules.proxy, word(name, PROXIES, value)),
        |listener| word_of(PROXIES, &listener.rules.proxy).filter(|_| listener.rules.proxy.is_some())),
    number("connections", (1, u32::MAX as u64, "connections"), |listener| &mut listener.connections, "none; 64 where public is not served",
        "Most connections here. They do not count towards limits.connections."),
    number("connections_per_address", (1, u32::MAX as u64, "connections"), |listener| &mut listener.rules.connections_per_address, "that of limits; 16 where public is not served, none at a Unix socket",
        "Most connections of an address here, apart from others."),
    number("connections_per_address_minute", (0, u32::MAX as u64, "connections"), |listener| &mut listener.rules.connections_per_address_minute, "that of limits",
        "New connections of an address per minute here; 0 for no limit."),
    number("handshake_timeout_ms", (1, i64::MAX as u64, "ms"), |listener| &mut listener.rules.handshake_timeout_ms, "handshake.timeout_ms",
        "Longest time from the TCP connection to the first request's whole head."),
    number("https_port", (1, u16::MAX as u64, "port"), |listener| &mut listener.https_port, "that of the first listener with tls",
        "With redirect: the port to which requests are redirected."),
    other("acme_webroot", Wants::Text("a directory"), "none",
        "With redirect: what is in its .well-known/acme-challenge is served, for certbot --webroot and lego --http.webroot.",
        |listener, name, value| put(&mut listener.acme_webroot, path(name, value).map(Some)),
        |listener| written(&listener.acme_webroot)),
];

fn address(name: &str, value: &DeValue<'_>) -> Result<ListenAddress, String> {
    let parsed = value.as_str().and_then(ListenAddress::parse);
    parsed.ok_or_else(|| {
        let given = described(value);
        format!(
            "{name} is an IP address and a port, a port alone, unix: and a path of at most \
             {SOCKET_PATH_BYTES_MAX} bytes, or systemd: and a name; not {given}"
        )
    })
}

fn serves(value: &DeValue<'_>) -> Result<Serves, String> {
    let wants = || {
        format!("serves is a list of public, admin, metrics, redirect; not {}", described(value))
    };
    let mut serves = Serves::default();
    for role in texts(value).ok_or_else(wants)? {
        serves.set(&role).ok_or_else(wants)?;
    }
    if serves.is_nothing() { Err(wants()) } else { Ok(serves) }
}

fn mode(value: &DeValue<'_>) -> Result<u32, String> {
    let is_octal = |text: &&str| text.bytes().all(|byte| (b'0'..b'8').contains(&byte));
    let text = value.as_str().filter(is_octal);
    let parsed = text.and_then(|text| u32::from_str_radix(text, 8).ok());
    let wants =
        || format!("mode is an octal number up to 777, such as \"660\"; not {}", described(value));
    parsed.filter(|mode| *mode <= 0o777).ok_or_else(wants)
}

fn owner(name: &str, value: &DeValue<'_>) -> Result<Arc<str>, String> {
    let owner = text(name, value)?;
    let is_one = owner.split(':').any(|part| !part.is_empty()) && owner.matches(':').count() < 2;
    if is_one {
        Ok(owner)
    } else {
        Err(format!("{name} is USER, USER:GROUP or :GROUP; not {owner:?}"))
    }
}

fn read(config: &mut Config, tables: &DeArray<'_>, document: &mut Document<'_>) {
    config.listeners.clear();
    for (number, table) in tables.iter().enumerate() {
        let entry = number.to_string();
        document.record_member((LISTENERS_TABLE, &entry, ""), table.span());
        note_members(document, LISTENERS_TABLE, &entry, table.get_ref());
        match listener(table) {
            Ok(listener) => config.listeners.push(listener),
            Err(faults) => {
                document.faults(faults, |wants| ConfigError::BadListener { place: None, wants });
            }
        }
    }
}

fn listener(value: &Spanned<DeValue<'_>>) -> Result<Listener, Faults> {
    let whole = |wants: &str| vec![(value.span(), wants.to_owned())];
    let DeValue::Table(members) = value.get_ref() else {
        return Err(whole("a listener is a table with an address"));
    };
    if !members.contains_key("address") {
        return Err(whole("a listener has an address"));
    }
    let unset = ListenAddress::Unix(PathBuf::new());
    let mut listener = Listener::new(unset);
    let faults = fields::read(LISTENER, &mut listener, members);
    if faults.is_empty() { Ok(listener) } else { Err(faults) }
}

impl Config {
    /// All listeners: those of `[[listeners]]`, or else the one of `listen`.
    #[must_use]
    pub fn all_listeners(&self) -> Vec<Listener> {
        if !self.listeners.is_empty() {
            return self.listeners.clone();
        }
        let tls = self.has_tls();
        let address = ListenAddress::Tcp(self.listen);
        vec![Listener { serves: Serves::BY_DEFAULT, tls, ..Listener::new(address) }]
    }
}

/// The port to which a listener redirects, unless that listener says another.
#[must_use]
pub fn https_port(listeners: &[Listener]) -> Option<u16> {
    listeners.iter().find_map(|listener| match listener.address {
        ListenAddress::Tcp(address) if listener.tls && listener.serves.public => {
            Some(address.port())
        }
        _ => None,
    })
}

/// Listeners that contradict themselves, each other, or other keys.
pub(super) fn contradictions(config: &Config) -> Vec<ConfigError> {
    let listeners = &config.listeners;
    let mut found = Vec::new();
    let mut fault = |number, member, wants: &str| {
        let place = Some((number, member));
        found.push(ConfigError::BadListener { place, wants: wants.to_owned() });
    };
    for (number, listener) in listeners.iter().enumerate() {
        for (member, wants) in faults_of(listener, config) {
            fault(number, member, wants);
        }
        let is_same = |other: &Listener| {
            other.address == listener.address
                && !matches!(other.address, ListenAddress::Tcp(address) if address.port() == 0)
        };
        if listeners[..number].iter().any(is_same) {
            fault(number, "address", "another listener has the same address");
        }
    }
    if listeners.len() > LISTENERS_MAX {
        fault(LISTENERS_MAX, "", &format!("these are more than {LISTENERS_MAX} listeners"));
    }
    if config.has_tls() && !listeners.is_empty() && !listeners.iter().any(|one| one.tls) {
        fault(0, "tls", "there is a certificate, and no listener has tls = true");
    }
    found
}

/// What is wrong with a listener: the member, and what to do.
fn faults_of(listener: &Listener, config: &Config) -> Vec<(&'static str, &'static str)> {
    let Listener { address, serves, tls, .. } = listener;
    let is_unix = matches!(address, ListenAddress::Unix(_));
    let is_tcp = matches!(address, ListenAddress::Tcp(_));
    // The port of one that is passed is not known yet.
    let has_https = config
        .listeners
        .iter()
        .any(|one| one.tls && one.serves.public && !matches!(one.address, ListenAddress::Unix(_)));
    let with_another = serves.public || serves.admin || serves.metrics;
    let all = [
        (
            serves.redirect && with_another,
            "serves",
            "a listener that redirects serves nothing else",
        ),
        (
            serves.redirect && *tls,
            "tls",
            "a listener that redirects to https is not encrypted itself",
        ),
        (
            serves.redirect && listener.https_port.is_none() && !has_https,
            "https_port",
            "no listener with tls serves the public at a port: say to which port to redirect (https_port)",
        ),
        (
            !serves.redirect && (listener.https_port.is_some() || listener.acme_webroot.is_some()),
            "serves",
            "https_port and acme_webroot are for a listener with serves = [\"redirect\"]",
        ),
        (
            is_unix && serves.admin && serves.public,
            "serves",
            "at a Unix socket everybody is an administrator if admin is served: serve the public at another one",
        ),
        (is_tcp && listener.mode != MODE, "mode", "mode is for a Unix socket"),
        (
            !is_unix && listener.owner.is_some(),
            "owner",
            "owner is for a Unix socket of the server's own",
        ),
        (
            *tls && !config.has_tls(),
            "tls",
            "there is no certificate: give tls.cert_file and tls.key_file",
        ),
        (listener.client_ca_file.is_some() && !tls, "client_ca_file", "this needs tls = true"),
    ];
    all.into_iter()
        .filter(|(is_wrong, ..)| *is_wrong)
        .map(|(_, member, wants)| (member, wants))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Result<Config, ConfigError> {
        let mut config = crate::config::example::defaults();
        config.set(&format!("{LISTENERS_TABLE}={text}")).map(|()| config)
    }

    #[test]
    fn what_is_written_is_read() {
        let text = r#"[{ address = "unix:/run/p", serves = ["admin", "metrics"], mode = "660", owner = "a:b" }, { address = "127.0.0.1:443", tls = true, client_ca_file = "c", proxy = "protocol", connections = 3, connections_per_address = 4, connections_per_address_minute = 0, handshake_timeout_ms = 5 }, { address = "127.0.0.1:80", serves = ["redirect"], https_port = 8443, acme_webroot = "d" }]"#;
        let read = config(text).unwrap().listeners;
        assert_eq!(read[0].own_connections(), Some(CONNECTIONS_OF_OPERATORS));
        assert!(read[0].admits_admins() && read[0].mode == 0o660 && !read[0].serves.public);
        assert_eq!(
            (read[1].own_connections(), read[1].rules.proxy),
            (Some(3), Some(ProxyKind::Protocol))
        );
        assert!(read[1].serves.public && !read[1].serves.admin && read[2].serves.redirect);
        let members = read.iter().map(|one| fields::write(LISTENER, one.clone()).join(", "));
        let tables: Vec<String> = members.map(|members| format!("{{ {members} }}")).collect();
        assert_eq!(config(&format!("[{}]", tables.join(", "))).unwrap().listeners, read);
    }

    #[test]
    fn without_a_list_there_is_the_one_that_listen_says() {
        let [one] = &config("[]").unwrap().all_listeners()[..] else { panic!() };
        assert_eq!((one.serves, one.own_connections()), (Serves::BY_DEFAULT, None));
        assert!(!one.tls && !one.admits_admins());
    }

    #[test]
    fn what_is_wrong_says_what_is_wanted() {
        for (members, wanted) in [
            ("serves = []", "has an address"),
            ("address = \"nowhere\"", "IP address and a port"),
            ("address = \"unix:\"", "and a path"),
            ("address = 7", "IP address and a port"),
            ("address = \"1\", serves = []", "is a list of public"),
            ("address = \"1\", serves = [\"all\"]", "is a list of public"),
            ("address = \"unix:a\", mode = \"1000\"", "octal"),
            ("address = \"unix:a\", mode = 660", "octal"),
            ("address = \"1\", proxy = \"x\"", "is one of forwarded"),
            ("address = \"1\", connections = 0", "from 1"),
            ("address = \"1\", adress = 0", "did you mean address?"),
        ] {
            let error = config(&format!("[{{ {members} }}]")).unwrap_err().to_string();
            assert!(error.contains(wanted), "{members}: {error}");
        }
    }

    #[test]
    fn what_contradicts_itself_says_what_to_do() {
        for (list, wanted) in [
            (
                r#"{ address = "80", serves = ["redirect", "metrics"], https_port = 1 }"#,
                "nothing else",
            ),
            (r#"{ address = "80", serves = ["redirect"] }"#, "to which port"),
            (r#"{ address = "80", acme_webroot = "a" }"#, "for a listener with serves"),
            (r#"{ address = "unix:a", serves = ["public", "admin"] }"#, "at another one"),
            (r#"{ address = "80", owner = "a" }"#, "for a Unix socket"),
            (r#"{ address = "80", mode = "660" }"#, "for a Unix socket"),
            (r#"{ address = "systemd:a", owner = "a" }"#, "of the server's own"),
            (r#"{ address = "80", tls = true }"#, "no certificate"),
            (r#"{ address = "80", client_ca_file = "a" }"#, "needs tls"),
            (r#"{ address = "80" }, { address = "80" }"#, "the same address"),
        ] {
            let found = contradictions(&config(&format!("[{list}]")).unwrap());
            let [found] = &found[..] else { panic!("{list}: {found:?}") };
            assert!(found.to_string().contains(wanted), "{list}: {found}");
        }
        let free = r#"{ address = "0" }, { address = "0" }, { address = "unix:a" }"#;
        assert!(contradictions(&config(&format!("[{free}]")).unwrap()).is_empty());
        let many = vec![r#"{ address = "0" }"#; LISTENERS_MAX + 1].join(", ");
        assert_eq!(contradictions(&config(&format!("[{many}]")).unwrap()).len(), 1);
        let mut unused = config(&format!("[{free}]")).unwrap();
        unused.tls_cert_file = Some("c".into());
        unused.tls_key_file = Some("k".into());
        assert!(contradictions(&unused)[0].to_string().contains("no listener has tls"));
    }
}
