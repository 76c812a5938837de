//! What feeds a stream beside clients and the embedding program: a URL or a command that is asked again and
//! again, a webhook. They are members of the stream's own table.

use super::example::quoted;
use super::key::{described, integer};
use super::streams::text;
use super::webhook::{self, Webhook};
use crate::auth::HookSecret;
use crate::base::limits::{
    COMMAND_PARTS_MAX, EVERY_MS_MAX, EVERY_MS_MIN, POINTER_DEPTH_MAX, URL_BYTES_MAX,
};
use crate::base::pattern::Pattern;
use crate::base::tree::pointer;
use std::fmt::Write;
use std::sync::Arc;
use toml::de::{DeTable, DeValue};

/// What feeds a stream, or a family of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Feed {
    /// The stream's name, as it is declared.
    pub pattern: Pattern,
    /// What is asked again and again; of a family for each of its streams that somebody watches.
    pub poll: Option<Poll>,
    /// What is told of it by others.
    pub webhook: Option<Webhook>,
    /// Whether the server is not ready while nothing can be had of what is polled.
    pub is_required: bool,
}

/// What is asked again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poll {
    /// What is asked.
    pub target: FeedTarget,
    /// How often, in ms.
    pub every_ms: u64,
    /// How long it may take, in ms.
    pub timeout_ms: u64,
    /// Where in the answer the data are (RFC 6901); none: all of it.
    pub pointer: Option<Arc<str>>,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedTarget {
    /// A URL, with the stream's placeholders in its path and its query.
    Url(Arc<str>),
    /// A program.
    Command(Program),
}

/// A program that is run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// Its name and its arguments, with the stream's placeholders.
    pub parts: Vec<Arc<str>>,
    /// Its environment beside `PATH`: `NAME=VALUE`, or `NAME` for a variable that is the server's.
    pub env: Vec<Arc<str>>,
}

/// How long an answer is waited for where nobody says so, in ms.
const TIMEOUT_MS: u64 = 5_000;

/// A member, and what is wrong with it.
pub(super) type Wrong = (&'static str, &'static str);

/// What was read of those members.
#[derive(Debug, Default)]
pub(super) struct FeedMembers {
    url: Option<Arc<str>>,
    command: Option<Vec<Arc<str>>>,
    env: Option<Vec<Arc<str>>>,
    every_ms: Option<u64>,
    timeout_ms: Option<u64>,
    pointer: Option<Arc<str>>,
    webhook: Option<Webhook>,
    required: bool,
}

impl FeedMembers {
    /// Reads one of [`FEED`](super::fields::FEED).
    pub(super) fn read(&mut self, name: &str, value: &DeValue<'_>) -> Result<(), String> {
        match name {
            "url" => self.url = Some(url(value)?),
            "command" => self.command = Some(command(value)?),
            "env" => self.env = Some(env(value)?),
            "every_ms" => self.every_ms = Some(millis(name, EVERY_MS_MIN, value)?),
            "timeout_ms" => self.timeout_ms = Some(millis(name, 1, value)?),
            "pointer" => self.pointer = Some(json_pointer(value)?),
            "webhook" => self.webhook = Some(webhook::read(value)?),
            _ => match value {
                DeValue::Boolean(flag) => self.required = *flag,
                _ => return Err(format!("{name} is true or false; not {}", described(value))),
            },
        }
        Ok(())
    }

    /// What they come to; `None` if nothing of them was given.
    pub(super) fn feed(self, pattern: &Pattern) -> Result<Option<Feed>, Wrong> {
        if self.env.is_some() && self.command.is_none() {
            return Err(("env", "env is for a command"));
        }
        let target = match (self.url, self.command) {
            (Some(_), Some(_)) => return Err(("command", "give a url or a command, not both")),
            (Some(url), None) => Some(FeedTarget::Url(url)),
            (None, Some(parts)) => {
                Some(FeedTarget::Command(Program { parts, env: self.env.unwrap_or_default() }))
            }
            (None, None) => None,
        };
        let poll = match (target, self.every_ms) {
            (Some(target), Some(every_ms)) => Some(Poll {
                target,
                every_ms,
                timeout_ms: self.timeout_ms.unwrap_or(TIMEOUT_MS),
                pointer: self.pointer,
            }),
            (Some(target), None) => {
                let member = if let FeedTarget::Url(_) = target { "url" } else { "command" };
                return Err((member, "say with every_ms how often it is asked"));
            }
            (None, None) if self.pointer.is_none() && self.timeout_ms.is_none() => None,
            (None, every_ms) => {
                let member = match (every_ms, self.timeout_ms) {
                    (Some(_), _) => "every_ms",
                    (None, Some(_)) => "timeout_ms",
                    (None, None) => "pointer",
                };
                return Err((
                    member,
                    "every_ms, timeout_ms and pointer are for a url or a command",
                ));
            }
        };
        if self.required && poll.is_none() {
            return Err(("required", "required is for a url or a command"));
        }
        if poll.is_none() && self.webhook.is_none() {
            return Ok(None);
        }
        let (pattern, is_required) = (pattern.clone(), self.required);
        Ok(Some(Feed { pattern, poll, webhook: self.webhook, is_required }))
    }
}

/// A URL whose host no placeholder can choose, and without a user's name and password, which would be
/// shown wherever it is.
pub(super) fn url(value: &DeValue<'_>) -> Result<Arc<str>, String> {
    value.as_str().filter(|text| is_url(text)).map(Arc::from).ok_or_else(|| {
        format!(
            "url begins with http:// or https:// and a host, without a user and placeholders in that, and \
             has at most {URL_BYTES_MAX} bytes, percent-encoded; not {}",
            described(value)
        )
    })
}

pub(super) fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let authority = rest.map(|rest| rest.split(['/', '?']).next().unwrap_or_default());
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    let is_host = |host: &str| !host.is_empty() && !host.contains(['{', '}', '@', '\\']);
    is_plain && text.len() <= URL_BYTES_MAX && authority.is_some_and(is_host)
}

fn command(value: &DeValue<'_>) -> Result<Vec<Arc<str>>, String> {
    let DeValue::Array(parts) = value else {
        // It may have a secret among its arguments.
        return Err("command is a list of texts, a program and its arguments".to_owned());
    };
    let parts: Option<Vec<Arc<str>>> =
        parts.iter().map(|part| part.get_ref().as_str().map(Arc::from)).collect();
    let is_sound = |parts: &Vec<Arc<str>>| {
        let program = parts.first().is_some_and(|name| !name.is_empty() && !name.contains('{'));
        let has_nul = parts.iter().any(|part| part.contains('\0'));
        program && !has_nul && parts.len() <= COMMAND_PARTS_MAX
    };
    parts.filter(is_sound).ok_or_else(|| {
        format!("command has a program without placeholders and up to {COMMAND_PARTS_MAX} texts")
    })
}

fn env(value: &DeValue<'_>) -> Result<Vec<Arc<str>>, String> {
    let wants = || {
        format!(
            "env is a list of up to {COMMAND_PARTS_MAX} texts, NAME or NAME=VALUE, no name of which begins with PARLOR_"
        )
    };
    // It may have a secret among its values.
    let DeValue::Array(variables) = value else { return Err(wants()) };
    let texts: Option<Vec<Arc<str>>> =
        variables.iter().map(|one| one.get_ref().as_str().map(Arc::from)).collect();
    let is_sound = |text: &Arc<str>| {
        let name = text.split_once('=').map_or(&**text, |(name, _)| name);
        !name.is_empty() && !name.starts_with("PARLOR_") && !text.contains('\0')
    };
    let are_sound =
        |texts: &Vec<Arc<str>>| texts.len() <= COMMAND_PARTS_MAX && texts.iter().all(is_sound);
    texts.filter(are_sound).ok_or_else(wants)
}

pub(super) fn millis(name: &str, min: u64, value: &DeValue<'_>) -> Result<u64, String> {
    let read = match value {
        DeValue::Integer(number) => integer(number),
        _ => None,
    };
    read.filter(|number| (min..=EVERY_MS_MAX).contains(number)).ok_or_else(|| {
        format!("{name} is an integer from {min} to {EVERY_MS_MAX}; not {}", described(value))
    })
}

pub(super) fn json_pointer(value: &DeValue<'_>) -> Result<Arc<str>, String> {
    let text = text("pointer", value)?;
    is_pointer(&text).then_some(text).ok_or_else(|| {
        format!("pointer is a JSON pointer of at most {POINTER_DEPTH_MAX} segments, as /a/b")
    })
}

fn is_pointer(text: &str) -> bool {
    pointer(text).is_some_and(|tokens| tokens.len() <= POINTER_DEPTH_MAX)
}

/// The secret that a table names, by a file or a variable; or which member is wrong, and why.
pub(super) fn secret(members: &DeTable<'_>) -> Result<Option<HookSecret>, (&'static str, String)> {
    let named = |name| {
        let text = members.get(name).map(|value| text(name, value.get_ref())).transpose();
        text.map_err(|wants| (name, wants))
    };
    match (named("secret_file")?, named("secret_env")?) {
        (Some(_), Some(_)) => {
            Err(("secret_env", "give a secret_file or a secret_env, not both".to_owned()))
        }
        (Some(path), None) => Ok(Some(HookSecret::of_file(&*path))),
        (None, Some(name)) if name.starts_with("PARLOR_") => {
            let wants =
                "a variable that begins with PARLOR_ is a key: give secret_env another name";
            Err(("secret_env", wants.to_owned()))
        }
        (None, Some(name)) => Ok(Some(HookSecret::of_variable(&*name))),
        (None, None) => Ok(None),
    }
}

/// Writes where a secret stands, behind what a table has already.
pub(super) fn write_secret(into: &mut String, secret: &HookSecret) {
    // Writing to a text does not fail.
    if let Some(path) = secret.file() {
        let _ = write!(into, ", secret_file = {}", quoted(&path.to_string_lossy()));
    } else if let Some(name) = secret.variable() {
        let _ = write!(into, ", secret_env = {}", quoted(name));
    }
}

/// Writes where the data are, behind what a table has already.
pub(super) fn write_pointer(into: &mut String, pointer: Option<&str>) {
    if let Some(pointer) = pointer {
        // Writing to a text does not fail.
        let _ = write!(into, ", pointer = {}", quoted(pointer));
    }
}

/// Writes a feed, behind what a stream's table has already.
pub(super) fn write(into: &mut String, feed: &Feed) {
    // Writing to a text does not fail.
    if let Some(poll) = &feed.poll {
        let _ = match &poll.target {
            FeedTarget::Url(url) => write!(into, ", url = {}", quoted(url)),
            FeedTarget::Command(Program { parts, env }) => {
                let list = |texts: &[Arc<str>]| {
                    texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", ")
                };
                let _ = write!(into, ", command = [{}]", list(parts));
                match env.is_empty() {
                    true => Ok(()),
                    false => write!(into, ", env = [{}]", list(env)),
                }
            }
        };
        let Poll { every_ms, timeout_ms, .. } = poll;
        let _ = write!(into, ", every_ms = {every_ms}, timeout_ms = {timeout_ms}");
        write_pointer(into, poll.pointer.as_deref());
    }
    if let Some(webhook) = &feed.webhook {
        webhook::write(into, webhook);
    }
    if feed.is_required {
        into.push_str(", required = true");
    }
}

/// What is wrong with a feed of a stream, if something is.
pub(super) fn fault(feed: &Feed) -> Option<Wrong> {
    if let Some(poll) = &feed.poll {
        let (member, parts): (_, Vec<&str>) = match &poll.target {
            FeedTarget::Url(url) => ("url", vec![url]),
            FeedTarget::Command(Program { parts, .. }) => {
                ("command", parts.iter().map(AsRef::as_ref).collect())
            }
        };
        let wanted: Vec<&str> = feed.pattern.placeholders().collect();
        let mut named = Vec::new();
        for part in parts {
            match placeholders(part) {
                Some(found) => named.extend(found),
                None => {
                    return Some((member, "a brace in its url or its command is no placeholder"));
                }
            }
        }
        let is_unknown = named.iter().any(|name| !wanted.contains(name));
        if is_unknown || wanted.iter().any(|name| !named.contains(name)) {
            let wrong = "its url or its command has each placeholder of its name, and no other";
            return Some((member, wrong));
        }
    }
    let of_poll = feed.poll.as_ref().and_then(|poll| poll.pointer.as_deref());
    let of_webhook = feed.webhook.as_ref().and_then(|webhook| webhook.pointer.as_deref());
    for (member, pointer) in [("pointer", of_poll), ("webhook", of_webhook)] {
        if pointer.is_some_and(|text| !is_pointer(text)) {
            return Some((member, "its pointer is no JSON pointer, or too long"));
        }
    }
    if feed.is_required && feed.pattern.is_open() {
        let wrong = "a family is not required: it is polled only while somebody watches it";
        return Some(("required", wrong));
    }
    None
}

/// The names in braces; `None` if a brace has no other.
fn placeholders(text: &str) -> Option<Vec<&str>> {
    let mut pieces = text.split('{');
    if pieces.next()?.contains('}') {
        return None;
    }
    pieces
        .map(|piece| {
            let (name, rest) = piece.split_once('}')?;
            (!rest.contains('}')).then_some(name)
        })
        .collect()
}
