//! `[[handlers]]`: types of requests that the application's backend answers.

use super::config::Config;
use super::error::{ConfigError, HANDLERS_TABLE};
use super::example::quoted;
use super::feed::{secret, url, write_secret};
use super::fields::{HANDLER, names};
use super::file::Document;
use super::inline::inline;
use super::key::{Section, described, integer};
use super::streams::note_members;
use super::suggest;
use crate::auth::{Access, HookSecret};
use crate::base::limits::{
    HANDLER_ANSWER_BYTES_MAX, HANDLER_CONCURRENCY_MAX, HANDLER_TIMEOUT_MS_MAX, HANDLER_TYPES_MAX,
    HANDLER_WAITING_MAX, HANDLER_WAITING_MS_MAX, HANDLERS_MAX,
};
use crate::wire::request::TYPES;
use crate::wire::types::is_free_type;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use toml::Spanned;
use toml::de::DeValue;

/// Types of requests that the application's backend answers, over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendHandler {
    /// The types: names, or what they begin with and a star.
    pub types: Vec<Arc<str>>,
    /// The URL to which requests are posted.
    pub url: Arc<str>,
    /// Who may send them.
    pub access: Access,
    /// How long an answer is waited for, in ms.
    pub timeout_ms: u64,
    /// Most requests under way at a time.
    pub concurrency: u32,
    /// Most requests that wait while concurrency is used up.
    pub waiting: u32,
    /// How long each of them waits, in ms.
    pub waiting_ms: u64,
    /// Largest content of an answer, in bytes.
    pub body_bytes: u32,
    /// What requests are signed with, so that the backend can tell that they are ours.
    pub secret: Option<HookSecret>,
}

impl BackendHandler {
    /// One for these types, which users may send.
    #[must_use]
    pub fn new(types: &[&str], url: &str) -> BackendHandler {
        BackendHandler {
            types: types.iter().map(|one| Arc::from(*one)).collect(),
            url: url.into(),
            access: Access::User,
            timeout_ms: 5_000,
            concurrency: 8,
            waiting: 256,
            waiting_ms: 2_000,
            body_bytes: 64 * 1024,
            secret: None,
        }
    }

    /// Whether it is for a type.
    pub(crate) fn takes(&self, kind: &str) -> bool {
        self.types.iter().any(|one| match one.strip_suffix('*') {
            Some(beginning) => kind.starts_with(beginning),
            None => kind == &**one,
        })
    }
}

/// `[[handlers]]`
pub(super) const HANDLERS: Section = Section {
    wants: "a list of tables, each with types, url, rights, timeout_ms, concurrency, waiting, waiting_ms, body_bytes, \
            secret_file, secret_env; elsewhere the same as an inline array of TOML",
    fields: &[("", HANDLER)],
    example: &[
        "types = [\"queue.*\"]",
        "url = \"http://127.0.0.1:9000/parlor\"",
        "timeout_ms = 1000",
    ],
    is_list: true,
    read,
    write: |config| config.handlers.iter().map(|one| members(one).join("\n")).collect(),
    entries: Some(|config| {
        let entry = |one: &BackendHandler| (one.types.join(","), members(one).join(", "));
        config.handlers.iter().map(entry).collect()
    }),
    get: |config| {
        let tables = config.handlers.iter().map(|one| format!("{{ {} }}", members(one).join(", ")));
        let tables: Vec<String> = tables.collect();
        if tables.is_empty() { String::new() } else { format!("[{}]", tables.join(", ")) }
    },
    set: |config, text| {
        config.handlers = inline(text, list)?;
        Ok(())
    },
};

const RIGHTS: &[(&str, Access)] =
    &[("public", Access::Public), ("users", Access::User), ("admin", Access::Admin)];

fn read(config: &mut Config, value: &Spanned<DeValue<'_>>, document: &mut Document<'_>) {
    let DeValue::Array(tables) = value.get_ref() else {
        let value_text = described(value.get_ref());
        let error = ConfigError::BadValue { key: HANDLERS_TABLE, value: value_text };
        return document.fault(value.span(), error);
    };
    config.handlers.clear();
    for (number, table) in tables.iter().enumerate() {
        let entry = number.to_string();
        document.stands((HANDLERS_TABLE, &entry, ""), table.span());
        note_members(document, HANDLERS_TABLE, &entry, table.get_ref());
        match handler(table.get_ref()) {
            Ok(handler) => config.handlers.push(handler),
            Err((span, wants)) => {
                let error = ConfigError::BadHandler { place: None, wants };
                document.fault(span.unwrap_or(table.span()), error);
            }
        }
    }
}

/// The whole list, or the first that is wrong.
fn list(value: &DeValue<'_>) -> Result<Vec<BackendHandler>, ConfigError> {
    let DeValue::Array(tables) = value else {
        return Err(ConfigError::BadValue { key: HANDLERS_TABLE, value: described(value) });
    };
    let wrong = |(_, wants)| ConfigError::BadHandler { place: None, wants };
    tables.iter().map(|table| handler(table.get_ref()).map_err(wrong)).collect()
}

/// One, or what is wrong with it, and where.
fn handler(value: &DeValue<'_>) -> Result<BackendHandler, (Option<Range<usize>>, String)> {
    let DeValue::Table(members) = value else {
        return Err((None, "a handler is a table with types and url".to_owned()));
    };
    let mut handler = BackendHandler::new(&[], "");
    for (name, value) in members {
        let at = |wants| (Some(value.span()), wants);
        let (text, value) = (name.get_ref().as_ref(), value.get_ref());
        match text {
            "types" => handler.types = types(value).map_err(at)?,
            "url" => handler.url = url(value).map_err(at)?,
            "rights" => handler.access = rights(value).map_err(at)?,
            "timeout_ms" => {
                handler.timeout_ms =
                    number(text, 1..=HANDLER_TIMEOUT_MS_MAX, value).map_err(at)?.into();
            }
            "concurrency" => {
                handler.concurrency =
                    number(text, 1..=HANDLER_CONCURRENCY_MAX, value).map_err(at)?;
            }
            "waiting" => {
                handler.waiting = number(text, 0..=HANDLER_WAITING_MAX, value).map_err(at)?;
            }
            "waiting_ms" => {
                handler.waiting_ms =
                    number(text, 1..=HANDLER_WAITING_MS_MAX, value).map_err(at)?.into();
            }
            "body_bytes" => {
                handler.body_bytes =
                    number(text, 1..=HANDLER_ANSWER_BYTES_MAX, value).map_err(at)?;
            }
            "secret_file" | "secret_env" => {}
            other => {
                return Err((Some(name.span()), suggest::unknown(other, names(&[HANDLER]))));
            }
        }
    }
    handler.secret = secret(members)
        .map_err(|(member, wants)| (members.get(member).map(Spanned::span), wants))?;
    if handler.types.is_empty() || handler.url.is_empty() {
        return Err((None, "a handler has types and a url".to_owned()));
    }
    Ok(handler)
}

fn types(value: &DeValue<'_>) -> Result<Vec<Arc<str>>, String> {
    let DeValue::Array(items) = value else {
        return Err(format!("types is a list of texts; not {}", described(value)));
    };
    let texts: Option<Vec<Arc<str>>> =
        items.iter().map(|item| item.get_ref().as_str().map(Arc::from)).collect();
    let texts = texts.filter(|texts| (1..=HANDLER_TYPES_MAX).contains(&texts.len()));
    texts.ok_or_else(|| format!("types is a list of 1 to {HANDLER_TYPES_MAX} texts"))
}

fn rights(value: &DeValue<'_>) -> Result<Access, String> {
    let known = RIGHTS.iter().find(|(name, _)| Some(*name) == value.as_str());
    known
        .map(|(_, access)| *access)
        .ok_or_else(|| format!("rights is one of public, users, admin; not {}", described(value)))
}

fn number(name: &str, bounds: RangeInclusive<u32>, value: &DeValue<'_>) -> Result<u32, String> {
    let read = match value {
        DeValue::Integer(number) => integer(number).and_then(|number| u32::try_from(number).ok()),
        _ => None,
    };
    let (min, max) = (bounds.start(), bounds.end());
    let wants = || format!("{name} is an integer from {min} to {max}; not {}", described(value));
    read.filter(|number| bounds.contains(number)).ok_or_else(wants)
}

/// The members of a handler's table.
fn members(handler: &BackendHandler) -> Vec<String> {
    let types: Vec<String> = handler.types.iter().map(|one| quoted(one)).collect();
    let rights = RIGHTS.iter().find(|(_, access)| *access == handler.access);
    let mut members = vec![
        format!("types = [{}]", types.join(", ")),
        format!("url = {}", quoted(&handler.url)),
        format!("rights = \"{}\"", rights.map_or("", |(name, _)| *name)),
        format!("timeout_ms = {}", handler.timeout_ms),
        format!("concurrency = {}", handler.concurrency),
        format!("waiting = {}", handler.waiting),
        format!("waiting_ms = {}", handler.waiting_ms),
        format!("body_bytes = {}", handler.body_bytes),
    ];
    if let Some(secret) = &handler.secret {
        let mut text = String::new();
        write_secret(&mut text, secret);
        members.push(text.trim_start_matches(", ").to_owned());
    }
    members
}

/// What could never be answered, or is the server's own.
pub(super) fn contradictions(handlers: &[BackendHandler]) -> Vec<ConfigError> {
    let mut found = Vec::new();
    let mut fault = |number, wants: String| {
        found.push(ConfigError::BadHandler { place: Some((number, "types")), wants });
    };
    for (number, handler) in handlers.iter().enumerate() {
        for kind in &handler.types {
            if let Some(wrong) = type_fault(kind) {
                fault(number, format!("{kind:?} {wrong}"));
            }
        }
    }
    if handlers.len() > HANDLERS_MAX {
        fault(HANDLERS_MAX, format!("these are more than {HANDLERS_MAX} handlers"));
    }
    found
}

/// A type of requests.
const TYPE_BYTES_MAX: usize = 128;

fn type_fault(kind: &str) -> Option<String> {
    let is_own = match kind.strip_suffix('*') {
        Some(beginning) => {
            TYPES.iter().any(|own| own.starts_with(beginning)) || !is_free_type(beginning)
        }
        None => !is_free_type(kind),
    };
    if is_own {
        Some("is, or has, a type of the server's own".to_owned())
    } else if kind.trim_end_matches('*').contains('*') || kind.ends_with("**") {
        Some("has a star elsewhere than at its end".to_owned())
    } else if kind.len() > TYPE_BYTES_MAX || kind.chars().any(char::is_control) {
        Some(format!("is no type: it has at most {TYPE_BYTES_MAX} bytes, all visible"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let text = r#"[{ types = ["queue.*", "app.now"], url = "https://b.example/x", rights = "public", timeout_ms = 70, concurrency = 2, body_bytes = 100, secret_file = "s" }, { types = ["a"], url = "http://b/", secret_env = "S" }]"#;
        let read = inline(text, list).unwrap();
        assert_eq!((read[0].access, read[0].timeout_ms), (Access::Public, 70));
        assert_eq!((read[1].access, read[1].concurrency), (Access::User, 8));
        assert!(contradictions(&read).is_empty());
        let mut config = crate::config::example::defaults();
        config.handlers = read.clone();
        assert_eq!(inline(&(HANDLERS.get)(&config), list).unwrap(), read);
        assert!(
            read[0].takes("queue.") && read[0].takes("queue.pause") && read[0].takes("app.now")
        );
        assert!(!read[0].takes("queue") && !read[0].takes("app.now.x") && !read[1].takes("aa"));
    }

    #[test]
    fn what_is_wrong_says_what_is_wanted() {
        for (table, wanted) in [
            (r#"types = ["a"]"#, "types and a url"),
            (r#"url = "http://a/""#, "types and a url"),
            (r#"types = [], url = "http://a/""#, "list of 1"),
            (r#"types = [7], url = "http://a/""#, "list of 1"),
            (r#"types = "a", url = "http://a/""#, "list of texts"),
            (r#"types = ["a"], url = "a""#, "begins with http"),
            (r#"types = ["a"], url = "http://a/", rights = "x""#, "public, users, admin"),
            (r#"types = ["a"], url = "http://a/", timeout_ms = 0"#, "from 1 to"),
            (r#"types = ["a"], url = "http://a/", timeout_ms = 60001"#, "from 1 to 60000"),
            (r#"types = ["a"], url = "http://a/", uri = 7"#, "did you mean url?"),
        ] {
            let text = format!("h = {{ {table} }}");
            let (read, _) = toml::de::DeTable::parse_recoverable(&text);
            let (_, value) = read.get_ref().iter().next().unwrap();
            let (_, wants) = handler(value.get_ref()).unwrap_err();
            assert!(wants.contains(wanted), "{table}: {wants}");
        }
        for (text, wanted) in
            [("{}", "not a table"), ("[7]", "a handler is a table"), ("[] x", "not TOML")]
        {
            let error = inline(text, list).unwrap_err().to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }

    #[test]
    fn a_type_of_the_servers_own_cannot_be_taken() {
        let faults = |kind: &str| contradictions(&[BackendHandler::new(&[kind], "http://a/")]);
        let own = [
            "*",
            "chat:send",
            "chat:*",
            "chat:mine",
            "cha*",
            "ping",
            "p*",
            "admin:x*",
            "reply",
            "",
        ];
        for kind in own {
            assert_eq!(faults(kind).len(), 1, "{kind}");
        }
        for kind in ["a*b", "queue.**", "a\nb"] {
            assert_eq!(faults(kind).len(), 1, "{kind:?}");
        }
        for kind in ["queue.*", "chats", "app:now", "pong", "x"] {
            assert!(faults(kind).is_empty(), "{kind}");
        }
    }
}
