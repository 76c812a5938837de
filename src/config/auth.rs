//! The keys of `[auth]` that are neither numbers nor flags: how users are authenticated.

use super::feed;
use super::key::TakesEffect::{Live, Restart};
use super::key::{ConfigKey, ValueKind};
use crate::auth::KeyFile;

pub(super) const KEY_FILES: ConfigKey = ConfigKey {
    name: "auth.key_files",
    effect: Live,
    about: "Files with public keys for tokens (PEM) or key sets (JWKS).",
    kind: ValueKind::List {
        wants: "a list of files, each FILE or KID=FILE",
        get: |config| config.key_files.iter().map(KeyFile::to_string).collect(),
        set: |config, files| {
            config.key_files =
                files.iter().map(|file| KeyFile::parse(file)).collect::<Option<_>>()?;
            Some(())
        },
    },
};

pub(super) const AUTH_URL: ConfigKey = ConfigKey {
    name: "auth.url",
    effect: Restart,
    about: "The application's backend that says who sends a request without a token (docs/authentication.md).",
    kind: ValueKind::Text {
        wants: "a URL that begins with http:// or https://, without a user in it, or empty for none",
        get: |config| config.auth_url.clone().unwrap_or_default(),
        set: |config, text| {
            if !text.is_empty() && !feed::is_url(text) {
                return None;
            }
            config.auth_url = (!text.is_empty()).then(|| text.to_owned());
            Some(())
        },
    },
};

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

/// Most request fields passed on to `auth.url`.
const AUTH_URL_HEADERS_MAX: usize = 16;

pub(super) const AUTH_URL_HEADERS: ConfigKey = ConfigKey {
    name: "auth.url_headers",
    effect: Live,
    about: "Fields of the request that it is given. A request without any of them is anonymous.",
    kind: ValueKind::List {
        wants: "a list of up to 16 names of fields, none of those that parlor itself sends (X-Forwarded-For, X-Original-URI, …)",
        get: |config| config.auth_url_headers.clone(),
        set: |config, names| {
            let is_name = |name: &&str| {
                let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
                let is_own = OWN_FIELDS.iter().any(|own| own.eq_ignore_ascii_case(name));
                !name.is_empty() && name.bytes().all(is_plain) && !is_own
            };
            if names.len() > AUTH_URL_HEADERS_MAX || !names.iter().all(is_name) {
                return None;
            }
            config.auth_url_headers = names.iter().map(|name| name.to_ascii_lowercase()).collect();
            Some(())
        },
    },
};
