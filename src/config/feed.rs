//! The sources of a stream beside clients and the embedding program: a polled URL or command, or a
//! webhook. They are members of the stream's own table.

use super::fields::{text, texts};
use super::key::described;
use super::webhook::Webhook;
use crate::base::limits::{COMMAND_PARTS_MAX, POINTER_DEPTH_MAX, URL_BYTES_MAX};
use crate::base::pattern::Pattern;
use crate::base::tree::pointer;
use std::sync::Arc;
use toml::de::DeValue;

/// The sources of a stream or of a family of streams.
#[derive(Clone, Debug, PartialEq)]
pub struct Feed {
    /// The stream's name, as declared.
    pub pattern: Pattern,
    /// The polled source; for a family, polled for each of its streams that has a subscriber.
    pub poll: Option<Poll>,
    /// The webhook that others post to.
    pub webhook: Option<Webhook>,
    /// Whether the server is not ready while polling fails.
    pub is_required: bool,
}

/// A polled source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poll {
    /// What to poll.
    pub target: FeedTarget,
    /// The interval, in ms.
    pub every_ms: u64,
    /// The timeout, in ms.
    pub timeout_ms: u64,
    /// The data's place in the answer (RFC 6901); none: all of it.
    pub pointer: Option<Arc<str>>,
}

/// The target of a poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedTarget {
    /// A URL, with the stream's placeholders in its path and its query.
    Url(Arc<str>),
    /// A program.
    Command(Program),
}

/// A program to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// Its name and its arguments, with the stream's placeholders.
    pub parts: Vec<Arc<str>>,
    /// Its environment beside `PATH`: `NAME=VALUE`, or `NAME` to pass on one of the server's.
    pub env: Vec<Arc<str>>,
}

/// The default timeout, in ms.
const TIMEOUT_MS: u64 = 5_000;

/// A member, and what is wrong with it.
pub(super) type Wrong = (&'static str, &'static str);

/// The members of a stream's table that describe its sources.
#[derive(Debug, Default)]
pub(super) struct FeedMembers {
    pub(super) url: Option<Arc<str>>,
    pub(super) command: Option<Vec<Arc<str>>>,
    pub(super) env: Option<Vec<Arc<str>>>,
    pub(super) every_ms: Option<u64>,
    pub(super) timeout_ms: Option<u64>,
    pub(super) pointer: Option<Arc<str>>,
    pub(super) webhook: Option<Webhook>,
    pub(super) required: bool,
}

impl FeedMembers {
    /// Builds the feed; `None` if no such member was given.
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

/// A URL whose host no placeholder can choose, without a user name and password, which would be
/// shown wherever the URL is.
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

pub(super) fn command(value: &DeValue<'_>) -> Result<Vec<Arc<str>>, String> {
    // The arguments may be secrets, so no error shows them.
    if !value.is_array() {
        return Err("command is a list of texts, a program and its arguments".to_owned());
    }
    let is_sound = |parts: &Vec<Arc<str>>| {
        let program = parts.first().is_some_and(|name| !name.is_empty() && !name.contains('{'));
        let has_nul = parts.iter().any(|part| part.contains('\0'));
        program && !has_nul && parts.len() <= COMMAND_PARTS_MAX
    };
    texts(value).filter(is_sound).ok_or_else(|| {
        format!("command has a program without placeholders and up to {COMMAND_PARTS_MAX} texts")
    })
}

pub(super) fn env(value: &DeValue<'_>) -> Result<Vec<Arc<str>>, String> {
    // The values may be secrets, so no error shows them.
    let wants = || {
        format!(
            "env is a list of up to {COMMAND_PARTS_MAX} texts, NAME or NAME=VALUE, no name of which begins with PARLOR_"
        )
    };
    let is_sound = |text: &Arc<str>| {
        let name = text.split_once('=').map_or(&**text, |(name, _)| name);
        !name.is_empty() && !name.starts_with("PARLOR_") && !text.contains('\0')
    };
    let are_sound =
        |texts: &Vec<Arc<str>>| texts.len() <= COMMAND_PARTS_MAX && texts.iter().all(is_sound);
    texts(value).filter(are_sound).ok_or_else(wants)
}

pub(super) fn json_pointer(value: &DeValue<'_>) -> Result<Arc<str>, String> {
    let text = text("pointer", value)?;
    is_pointer(&text).then_some(text).ok_or_else(|| {
        format!("pointer is a JSON pointer of at most {POINTER_DEPTH_MAX} segments, such as /a/b")
    })
}

fn is_pointer(text: &str) -> bool {
    pointer(text).is_some_and(|tokens| tokens.len() <= POINTER_DEPTH_MAX)
}

impl From<Feed> for FeedMembers {
    fn from(feed: Feed) -> FeedMembers {
        let mut members = FeedMembers {
            webhook: feed.webhook,
            required: feed.is_required,
            ..FeedMembers::default()
        };
        let Some(poll) = feed.poll else { return members };
        match poll.target {
            FeedTarget::Url(url) => members.url = Some(url),
            FeedTarget::Command(Program { parts, env }) => {
                members.command = Some(parts);
                members.env = (!env.is_empty()).then_some(env);
            }
        }
        members.every_ms = Some(poll.every_ms);
        members.timeout_ms = Some(poll.timeout_ms);
        members.pointer = poll.pointer;
        members
    }
}

/// The error in a feed of a stream, if there is one.
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

/// The names in braces; `None` if braces do not match.
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
