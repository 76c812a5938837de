//! The values of keys that have a type of their own, as texts.

use super::config::{Creators, LogFormat};
use crate::hub::Scope;
use crate::store::Place;
use crate::web::Network;
use std::ffi::OsStr;
use std::net::{Ipv4Addr, SocketAddr};

pub(super) const CREATORS: &[(&str, Creators)] =
    &[("anyone", Creators::Anyone), ("admin", Creators::Admin)];

pub(super) const LOG_FORMATS: &[(&str, LogFormat)] =
    &[("text", LogFormat::Text), ("json", LogFormat::Json)];

/// The value that a word stands for.
pub(super) fn meant<V: Copy>(words: &[(&str, V)], text: &str) -> Option<V> {
    words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value)
}

/// The word for a value.
pub(super) fn named<V: PartialEq>(words: &[(&str, V)], value: V) -> String {
    words.iter().filter(|(_, one)| *one == value).map(|(word, _)| *word).collect()
}

pub(super) fn scope(text: &str) -> Option<Scope> {
    Scope::ALL.into_iter().find(|scope| scope.as_str() == text)
}

/// An address and a port. A port alone, and `localhost`, mean this machine, so that nobody else is
/// admitted by accident.
pub(super) fn address(text: &str) -> Option<SocketAddr> {
    let of_this_machine = |port: &str| -> Option<SocketAddr> {
        let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
        let port = Some(port).filter(|_| is_port)?.parse().ok()?;
        Some((Ipv4Addr::LOCALHOST, port).into())
    };
    let port = text.strip_prefix("localhost").unwrap_or(text);
    text.parse().ok().or_else(|| of_this_machine(port.strip_prefix(':').unwrap_or(text)))
}

/// Where the data is, as the key says it.
pub(super) fn place_text(place: &Place) -> String {
    match place {
        Place::Directory(directory) => os_text(directory),
        Place::Memory => MEMORY.to_owned(),
    }
}

/// The same, read.
pub(super) fn place(text: &str) -> Place {
    if text == MEMORY { Place::Memory } else { Place::Directory(text.into()) }
}

/// Keeps nothing.
const MEMORY: &str = ":memory:";

pub(super) fn os_text(value: &(impl AsRef<OsStr> + ?Sized)) -> String {
    value.as_ref().to_string_lossy().into_owned()
}

pub(super) fn networks(networks: &[Network]) -> Vec<String> {
    networks.iter().map(Network::to_string).collect()
}

/// The texts, if each is as it should be.
pub(super) fn all(texts: &[&str], is_good: fn(&str) -> bool) -> Option<Vec<String>> {
    let are_good = texts.iter().all(|text| is_good(text));
    are_good.then(|| texts.iter().map(|text| (*text).to_owned()).collect())
}

/// RFC 6454 §6.2: a scheme, a host and a port. No browser sends anything else.
pub(super) fn is_origin(text: &str) -> bool {
    let is_of_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    ["http://", "https://"].iter().any(|scheme| {
        text.strip_prefix(scheme)
            .is_some_and(|host| !host.is_empty() && host.bytes().all(is_of_host))
    })
}

/// Most request fields passed on to `auth.url`.
pub(super) const AUTH_URL_HEADERS_MAX: usize = 16;

/// Header fields that the server sets itself in requests to `auth.url`.
const OWN_FIELDS: &[&str] = &[
    "accept",
    "connection",
    "content-length",
    "host",
    "transfer-encoding",
    "upgrade",
    "x-forwarded-for",
    "x-original-method",
    "x-original-uri",
];

/// Whether it is the name of a header field that is passed on to `auth.url`.
pub(super) fn is_others_field(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_own = OWN_FIELDS.iter().any(|own| own.eq_ignore_ascii_case(name));
    !name.is_empty() && name.bytes().all(is_plain) && !is_own
}

/// Whether it is `MODULE=LEVEL`, or a level alone.
pub(super) fn is_log_filter(text: &str) -> bool {
    let level = text.split_once('=').map_or(text, |(_, level)| level).trim();
    level.parse::<log::LevelFilter>().is_ok()
}
