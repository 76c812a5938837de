//! `[[handlers]]`: request types that the application's backend answers.

use super::config::Config;
use super::error::{ConfigError, HANDLERS_TABLE};
use super::example::quoted;
use super::feed::url;
use super::fields::{
    self, Faults, Field, Wants, documented, number, other, put, text, texts, word, word_of,
    written, written_list,
};
use super::file::Document;
use super::key::{Section, SectionRead, described};
use super::secret_members::{SECRET_ENV, SECRET_FILE, SecretMembers};
use super::streams::note_members;
use crate::auth::{Access, HookSecret};
use crate::base::limits::{
    HANDLER_ANSWER_BYTES_MAX, HANDLER_CONCURRENCY_MAX, HANDLER_TIMEOUT_MS_MAX, HANDLER_TYPES_MAX,
    HANDLER_WAITING_MAX, HANDLER_WAITING_MS_MAX, HANDLERS_MAX,
};
use crate::wire::request::TYPES;
use crate::wire::types::is_free_type;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeArray, DeValue};

/// Request types that the application's backend answers, over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendHandler {
    /// The types: names, or prefixes followed by a star.
    pub types: Vec<Arc<str>>,
    /// The URL to which requests are posted.
    pub url: Arc<str>,
    /// Who may send them.
    pub access: Access,
    /// The timeout for an answer, in ms.
    pub timeout_ms: u64,
    /// Most requests in progress at a time.
    pub concurrency: u32,
    /// Most requests that wait while concurrency is used up.
    pub waiting: u32,
    /// How long each of them waits, in ms.
    pub waiting_ms: u64,
    /// Largest content of an answer, in bytes.
    pub body_bytes: u32,
    /// The secret that signs requests, so that the backend can verify their origin.
    pub secret: Option<HookSecret>,
}

impl BackendHandler {
    /// A handler for these types, which users may send.
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

    /// Its first type, by which the log and the metrics name it.
    pub(crate) fn name(&self) -> &str {
        self.types.first().map_or("", |one| one)
    }

    /// Whether it handles a type.
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
    members: || documented("", HANDLER),
    example: &[
        "types = [\"queue.*\"]",
        "url = \"http://127.0.0.1:9000/parlor\"",
        "timeout_ms = 1000",
    ],
    read: SectionRead::List(read),
    entries: |config| {
        let entry = |one: &BackendHandler| (one.types.join(","), written_members(one));
        config.handlers.iter().map(entry).collect()
    },
    is_private: true,
    short: None,
};

const RIGHTS: &[(&str, Access)] =
    &[("public", Access::Public), ("users", Access::User), ("admin", Access::Admin)];

struct HandlerTable {
    handler: BackendHandler,
    secret: SecretMembers,
}

#[rustfmt::skip]
const HANDLER: &[Field<HandlerTable>] = &[
    other("types", Wants::List(HANDLER_TYPES_MAX, "types of requests, or what they begin with and a star"), "",
        "The types that it answers. If several handlers match a type, the first one answers it.",
        |table, _, value| put(&mut table.handler.types, types(value)),
        |table| Some(written_list(&table.handler.types))),
    other("url", Wants::Text("http://… or https://…"), "",
        "The URL to which requests are posted.",
        |table, _, value| put(&mut table.handler.url, url(value)),
        |table| Some(quoted(&table.handler.url))),
    other("rights", Wants::Text("\"public\", \"users\" or \"admin\""), "\"users\"",
        "Who may send them.",
        |table, name, value| put(&mut table.handler.access, word(name, RIGHTS, value)),
        |table| word_of(RIGHTS, &table.handler.access)),
    number("timeout_ms", (1, HANDLER_TIMEOUT_MS_MAX as u64, "ms"), |table| &mut table.handler.timeout_ms, "5000",
        "How long to wait for an answer."),
    number("concurrency", (1, HANDLER_CONCURRENCY_MAX as u64, "requests"), |table| &mut table.handler.concurrency, "8",
        "Most requests under way at a time."),
    number("waiting", (0, HANDLER_WAITING_MAX as u64, "requests"), |table| &mut table.handler.waiting, "256",
        "Most requests that wait while concurrency is used up."),
    number("waiting_ms", (1, HANDLER_WAITING_MS_MAX as u64, "ms"), |table| &mut table.handler.waiting_ms, "2000",
        "How long a request may wait for that."),
    number("body_bytes", (1, HANDLER_ANSWER_BYTES_MAX as u64, "bytes"), |table| &mut table.handler.body_bytes, "65536",
        "Largest content of an answer."),
    other("secret_file", SECRET_FILE, "none",
        "A file with the secret, at least 32 bytes, that signs the requests. Either this or secret_env.",
        |table, name, value| put(&mut table.secret.file, text(name, value)),
        |table| written(&table.secret.file)),
    other("secret_env", SECRET_ENV, "none",
        "An environment variable with the secret.",
        |table, name, value| put(&mut table.secret.variable, text(name, value)),
        |table| written(&table.secret.variable)),
];

fn read(config: &mut Config, tables: &DeArray<'_>, document: &mut Document<'_>) {
    config.handlers.clear();
    for (number, table) in tables.iter().enumerate() {
        let entry = number.to_string();
        document.record_member((HANDLERS_TABLE, &entry, ""), table.span());
        note_members(document, HANDLERS_TABLE, &entry, table.get_ref());
        match handler(table) {
            Ok(handler) => config.handlers.push(handler),
            Err(faults) => {
                document.faults(faults, |wants| ConfigError::BadHandler { place: None, wants });
            }
        }
    }
}

/// Parses a handler, or returns all its errors.
fn handler(value: &Spanned<DeValue<'_>>) -> Result<BackendHandler, Faults> {
    let whole = |wants: &str| vec![(value.span(), wants.to_owned())];
    let DeValue::Table(members) = value.get_ref() else {
        return Err(whole("a handler is a table with types and url"));
    };
    let secret = SecretMembers::default();
    let mut table = HandlerTable { handler: BackendHandler::new(&[], ""), secret };
    let faults = fields::read(HANDLER, &mut table, members);
    if !faults.is_empty() {
        return Err(faults);
    }
    let HandlerTable { mut handler, secret } = table;
    handler.secret = secret.secret().map_err(|(member, wants)| {
        let span = members.get(member).map_or(value.span(), Spanned::span);
        vec![(span, wants.to_owned())]
    })?;
    if handler.types.is_empty() || handler.url.is_empty() {
        return Err(whole("a handler has types and a url"));
    }
    Ok(handler)
}

fn types(value: &DeValue<'_>) -> Result<Vec<Arc<str>>, String> {
    if !value.is_array() {
        return Err(format!("types is a list of texts; not {}", described(value)));
    }
    let texts = texts(value).filter(|texts| (1..=HANDLER_TYPES_MAX).contains(&texts.len()));
    texts.ok_or_else(|| format!("types is a list of 1 to {HANDLER_TYPES_MAX} texts"))
}

/// The members of a handler's table, as in a file.
fn written_members(handler: &BackendHandler) -> Vec<String> {
    let secret = handler.secret.as_ref().map(SecretMembers::from).unwrap_or_default();
    fields::write(HANDLER, HandlerTable { handler: handler.clone(), secret })
}

/// Declarations that could never take effect, or that use the server's own types.
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

    fn listed(text: &str) -> Result<Vec<BackendHandler>, ConfigError> {
        let mut config = crate::config::example::defaults();
        config.set(&format!("{HANDLERS_TABLE}={text}")).map(|()| config.handlers)
    }

    #[test]
    fn what_is_written_is_read() {
        let text = r#"[{ types = ["queue.*", "app.now"], url = "https://b.example/x", rights = "public", timeout_ms = 70, concurrency = 2, body_bytes = 100, secret_file = "s" }, { types = ["a"], url = "http://b/", secret_env = "S" }]"#;
        let read = listed(text).unwrap();
        assert_eq!((read[0].access, read[0].timeout_ms), (Access::Public, 70));
        assert_eq!((read[1].access, read[1].concurrency), (Access::User, 8));
        assert!(contradictions(&read).is_empty());
        let tables: Vec<String> =
            read.iter().map(|one| format!("{{ {} }}", written_members(one).join(", "))).collect();
        assert_eq!(listed(&format!("[{}]", tables.join(", "))).unwrap(), read);
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
            let faults = handler(value).unwrap_err();
            assert!(faults[0].1.contains(wanted), "{table}: {faults:?}");
        }
        for (text, wanted) in
            [("{}", "not a table"), ("[7]", "a handler is a table"), ("[] x", "not TOML")]
        {
            let error = listed(text).unwrap_err().to_string();
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
