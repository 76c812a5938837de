//! The members of the tables that a section has: one row each, by which they are documented, and known.

use crate::base::limits::{
    COMMAND_PARTS_MAX, EVERY_MS_MAX, EVERY_MS_MIN, HANDLER_ANSWER_BYTES_MAX,
    HANDLER_CONCURRENCY_MAX, HANDLER_TIMEOUT_MS_MAX, HANDLER_TYPES_MAX, HANDLER_WAITING_MAX,
    HANDLER_WAITING_MS_MAX, STALE_MS_MAX, STREAM_EVENTS_MAX, STREAM_RATE_MAX,
};
use std::fmt;

/// A member of a table.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    values: Values,
    /// What is so without it; empty where it cannot be missing.
    default: &'static str,
    about: &'static str,
}

#[derive(Debug)]
enum Values {
    Flag,
    /// An integer within bounds, and its unit.
    Range(u64, u64, &'static str),
    /// The same, or a word.
    RangeOr(u64, u64, &'static str, &'static str),
    /// A list of at most so many.
    List(usize, &'static str),
    Text(&'static str),
}

use Values::{Flag, List, Range, RangeOr, Text};

const fn field(
    name: &'static str,
    values: Values,
    default: &'static str,
    about: &'static str,
) -> Field {
    Field { name, values, default, about }
}

/// Of a stream.
#[rustfmt::skip]
pub(super) const STREAM: &[Field] = &[
    field("keep", RangeOr(1, STREAM_EVENTS_MAX as u64, "events", "\"latest\""), "\"latest\"",
        "What is kept: only the newest event (a state), or a log of so many events."),
    field("durable", Flag, "false", "Whether what is kept is also on disk and survives a restart."),
    field("publish", Flag, "false", "Whether clients may publish: those whose token names the stream, and admins."),
    field("program", Flag, "false",
        "Whether the program that embeds the server publishes. `parlor` itself accepts this only beside another source."),
    field("read", Text("\"public\", \"users\" or \"admin\""), "\"users\"", "Who may watch it."),
    field("binary", Flag, "false", "Whether its data is bytes in place of JSON."),
    field("ack", Flag, "false", "Whether subscribers acknowledge what they have received."),
    field("priority", Text("\"low\", \"normal\" or \"high\""), "\"normal\"",
        "Which streams are sent first to a slow connection."),
    field("max_rate", Range(1, STREAM_RATE_MAX as u64, "events a second"), "all",
        "Most events per second for a subscriber that does not ask for a rate."),
    field("max_rate_ceiling", Range(1, STREAM_RATE_MAX as u64, "events a second"), "all",
        "Most events per second for any subscriber."),
    field("max_bytes", Range(1, u32::MAX as u64, "bytes"), "65536", "Largest data of one event."),
    field("stale_ms", Range(0, STALE_MS_MAX as u64, "ms"), "3 × every_ms + timeout_ms where that is, else 0",
        "Subscribers are told when nothing was published for so long. 0: never."),
    field("members", Text("{ NAME = KIND, … }, each of any, boolean, number, integer, string, array, object"), "none",
        "Members that its data must have."),
    field("path", Text("a path with each {name} of the stream's, as \"/ws/sensor/{id}\", of 1 to 128 bytes"), "none",
        "A WebSocket path of its own, for clients that only listen."),
    field("type", Text("a text of 1 to 128 bytes"), "the stream's name", "The `type` of its events on that path."),
];

/// Of a stream: what feeds it.
#[rustfmt::skip]
pub(super) const FEED: &[Field] = &[
    field("url", Text("http://… or https://…, with each {name} of the stream's in its path or query"), "none",
        "The URL that is polled for the data."),
    field("command", List(COMMAND_PARTS_MAX, "texts, with each {name} of the stream's"), "none",
        "A program and its arguments, run again and again for the data in place of a url."),
    field("env", List(COMMAND_PARTS_MAX, "texts, NAME=VALUE, or NAME for a variable of the server's own"), "none",
        "The command's environment, beside PATH. It gets no other variable of the server's."),
    field("every_ms", Range(EVERY_MS_MIN, EVERY_MS_MAX, "ms"), "none",
        "How often the url is polled or the command run; required with these."),
    field("timeout_ms", Range(1, EVERY_MS_MAX, "ms"), "5000", "How long to wait for the answer."),
    field("pointer", Text("a JSON pointer, as \"/data\""), "the whole answer", "Where the data is in the answer."),
    field("webhook", Text("{ path = …, secret_file = … or secret_env = …, pointer = …, status = …, body = …, delivery = … }"), "none",
        "Others post the data to this server."),
    field("required", Flag, "false",
        "Whether /readyz fails while the url or the command keeps failing. Not for families."),
];

/// Of a stream's `webhook`.
#[rustfmt::skip]
pub(super) const WEBHOOK: &[Field] = &[
    field("path", Text("a path with each {name} of the stream's, of 1 to 128 bytes"), "", "The path to which it is posted."),
    field("secret_file", Text("a file's name"), "none",
        "A file with the secret, at least 32 bytes, that signs what is posted. Either this or secret_env."),
    field("secret_env", Text("a name that does not begin with PARLOR_"), "none",
        "An environment variable with the secret."),
    field("pointer", Text("a JSON pointer, as \"/data\""), "the whole content", "Where the data is in the content."),
    field("status", Text("200, 201, 202 or 204"), "202", "The status of the answer after the data was published."),
    field("body", Text("a text of at most 4096 bytes"), "{stream, seq, ts} as JSON", "The content of this answer."),
    field("delivery", Text("the name of a header field"), "\"X-GitHub-Delivery\"",
        "The field that identifies a delivery; a repeated delivery is published once."),
];

/// Of a handler.
#[rustfmt::skip]
pub(super) const HANDLER: &[Field] = &[
    field("types", List(HANDLER_TYPES_MAX, "types of requests, or what they begin with and a star"), "",
        "The types that it answers. If several handlers match a type, the first one answers it."),
    field("url", Text("http://… or https://…"), "", "The URL to which requests are posted."),
    field("rights", Text("\"public\", \"users\" or \"admin\""), "\"users\"", "Who may send them."),
    field("timeout_ms", Range(1, HANDLER_TIMEOUT_MS_MAX as u64, "ms"), "5000", "How long to wait for an answer."),
    field("concurrency", Range(1, HANDLER_CONCURRENCY_MAX as u64, "requests"), "8", "Most requests under way at a time."),
    field("waiting", Range(0, HANDLER_WAITING_MAX as u64, "requests"), "256", "Most requests that wait while concurrency is used up."),
    field("waiting_ms", Range(1, HANDLER_WAITING_MS_MAX as u64, "ms"), "2000", "How long a request may wait for that."),
    field("body_bytes", Range(1, HANDLER_ANSWER_BYTES_MAX as u64, "bytes"), "65536", "Largest content of an answer."),
    field("secret_file", Text("a file's name"), "none",
        "A file with the secret, at least 32 bytes, that signs the requests. Either this or secret_env."),
    field("secret_env", Text("a name that does not begin with PARLOR_"), "none",
        "An environment variable with the secret."),
];

/// Of how much is kept of a room's log.
#[rustfmt::skip]
pub(super) const KEPT: &[Field] = &[
    field("entries", RangeOr(1, u64::MAX, "entries", "\"all\""), "\"all\"", "The newest that are kept."),
    field("age_ms", RangeOr(1, u64::MAX, "ms", "\"all\""), "\"all\"", "How old what is kept may be."),
];

/// The names of tables' members.
pub(super) fn names(
    tables: &'static [&'static [Field]],
) -> impl Iterator<Item = &'static str> + Clone {
    tables.iter().flat_map(|fields| fields.iter()).map(|field| field.name)
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.name)?;
        match self.values {
            Flag => f.write_str("true or false")?,
            Range(min, max, unit) => write!(f, "an integer from {min} to {max} ({unit})")?,
            RangeOr(min, u64::MAX, unit, word) => {
                write!(f, "an integer from {min} on ({unit}), or {word}")?;
            }
            RangeOr(min, max, unit, word) => {
                write!(f, "an integer from {min} to {max} ({unit}), or {word}")?;
            }
            List(max, of) => write!(f, "a list of 1 to {max} {of}")?,
            Text(wants) => f.write_str(wants)?,
        }
        match self.default {
            "" => f.write_str("; needed. ")?,
            default => write!(f, "; default {default}. ")?,
        }
        f.write_str(self.about)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_says_what_it_is_in_which_unit_how_far_and_by_default() {
        let shown = |table: &'static [Field], name: &str| {
            table.iter().find(|field| field.name == name).unwrap().to_string()
        };
        assert_eq!(
            shown(HANDLER, "timeout_ms"),
            "timeout_ms: an integer from 1 to 60000 (ms); default 5000. How long to wait for an answer."
        );
        assert!(
            shown(STREAM, "program").starts_with("program: true or false; default false. Whether")
        );
        assert!(shown(WEBHOOK, "path").contains("bytes; needed. The path"));
        assert!(shown(KEPT, "age_ms").contains("an integer from 1 on (ms), or \"all\"; default"));
        assert!(shown(FEED, "command").contains("a list of 1 to 64 texts"));
    }
}
