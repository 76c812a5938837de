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
        "What is kept: a state, of which the newest value counts, or a log of the last so many events."),
    field("durable", Flag, "false", "Whether what is kept is on the disk, too, and outlives the server."),
    field("publish", Flag, "false", "Whether clients publish: those whose token names it, and admins."),
    field("program", Flag, "false",
        "Whether the program publishes that embeds the server; `parlor` by itself takes it only beside another source."),
    field("read", Text("\"public\", \"users\" or \"admin\""), "\"users\"", "Who may watch it."),
    field("binary", Flag, "false", "Whether its data are bytes in place of JSON."),
    field("ack", Flag, "false", "Whether its subscribers say up to where they have come."),
    field("priority", Text("\"low\", \"normal\" or \"high\""), "\"normal\"",
        "What of several streams goes first to a slow connection."),
    field("max_rate", Range(1, STREAM_RATE_MAX as u64, "events a second"), "all",
        "Most that a subscriber is sent who does not ask for a rate."),
    field("max_rate_ceiling", Range(1, STREAM_RATE_MAX as u64, "events a second"), "all",
        "Most that any subscriber is sent."),
    field("max_bytes", Range(1, u32::MAX as u64, "bytes"), "65536", "Largest data of an event."),
    field("stale_ms", Range(0, STALE_MS_MAX as u64, "ms"), "3 × every_ms + timeout_ms where that is, else 0",
        "When nothing was heard of it for so long, whoever watches it is told; 0: never."),
    field("members", Text("{ NAME = KIND, … }, each of any, boolean, number, integer, string, array, object"), "none",
        "What its data must have."),
    field("path", Text("a path with each {name} of the stream's, as \"/ws/sensor/{id}\", of 1 to 128 bytes"), "none",
        "A WebSocket path of its own, for clients that speak nothing."),
    field("type", Text("a text of 1 to 128 bytes"), "the stream's name", "The `type` of its events there."),
];

/// Of a stream: what feeds it.
#[rustfmt::skip]
pub(super) const FEED: &[Field] = &[
    field("url", Text("http://… or https://…, with each {name} of the stream's in its path or query"), "none",
        "What is asked for the data again and again."),
    field("command", List(COMMAND_PARTS_MAX, "texts, with each {name} of the stream's"), "none",
        "A program and its arguments, which is run for the data in place of a url."),
    field("env", List(COMMAND_PARTS_MAX, "texts, NAME=VALUE, or NAME for a variable of the server's own"), "none",
        "The command's environment beside PATH: nothing else of the server's is handed on."),
    field("every_ms", Range(EVERY_MS_MIN, EVERY_MS_MAX, "ms"), "none",
        "How often the url or the command is asked: needed with these."),
    field("timeout_ms", Range(1, EVERY_MS_MAX, "ms"), "5000", "How long their answer is waited for."),
    field("pointer", Text("a JSON pointer, as \"/data\""), "the whole answer", "Where in their answer the data are."),
    field("webhook", Text("{ path = …, secret_file = … or secret_env = …, pointer = …, status = …, body = …, delivery = … }"), "none",
        "Others post the data."),
    field("required", Flag, "false",
        "Whether the server is not ready while the url or the command is left alone; not of a family."),
];

/// Of a stream's `webhook`.
#[rustfmt::skip]
pub(super) const WEBHOOK: &[Field] = &[
    field("path", Text("a path with each {name} of the stream's, of 1 to 128 bytes"), "", "Where it is posted to."),
    field("secret_file", Text("a file's name"), "none",
        "A file with the secret of at least 32 bytes that signs what is posted: this or secret_env."),
    field("secret_env", Text("a name that does not begin with PARLOR_"), "none",
        "A variable of the environment with the secret."),
    field("pointer", Text("a JSON pointer, as \"/data\""), "the whole content", "Where in it the data are."),
    field("status", Text("200, 201, 202 or 204"), "202", "The status of the answer to what was published."),
    field("body", Text("a text of at most 4096 bytes"), "{stream, seq, ts} as JSON", "The content of that answer."),
    field("delivery", Text("the name of a header field"), "\"X-GitHub-Delivery\"",
        "What names a delivery: one that comes again is published once."),
];

/// Of a handler.
#[rustfmt::skip]
pub(super) const HANDLER: &[Field] = &[
    field("types", List(HANDLER_TYPES_MAX, "types of requests, or what they begin with and a star"), "",
        "What it answers; of several handlers the first that takes a type has it."),
    field("url", Text("http://… or https://…"), "", "To where requests are posted."),
    field("rights", Text("\"public\", \"users\" or \"admin\""), "\"users\"", "Who may send them."),
    field("timeout_ms", Range(1, HANDLER_TIMEOUT_MS_MAX as u64, "ms"), "5000", "How long an answer is waited for."),
    field("concurrency", Range(1, HANDLER_CONCURRENCY_MAX as u64, "requests"), "8", "How many may be under way."),
    field("waiting", Range(0, HANDLER_WAITING_MAX as u64, "requests"), "256", "How many wait for a place where as many are under way."),
    field("waiting_ms", Range(1, HANDLER_WAITING_MS_MAX as u64, "ms"), "2000", "How long one waits for a place."),
    field("body_bytes", Range(1, HANDLER_ANSWER_BYTES_MAX as u64, "bytes"), "65536", "Largest content of an answer."),
    field("secret_file", Text("a file's name"), "none",
        "A file with the secret of at least 32 bytes by which requests are signed: this or secret_env."),
    field("secret_env", Text("a name that does not begin with PARLOR_"), "none",
        "A variable of the environment with the secret."),
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
            "timeout_ms: an integer from 1 to 60000 (ms); default 5000. How long an answer is waited for."
        );
        assert!(
            shown(STREAM, "program").starts_with("program: true or false; default false. Whether")
        );
        assert!(shown(WEBHOOK, "path").contains("bytes; needed. Where"));
        assert!(shown(KEPT, "age_ms").contains("an integer from 1 on (ms), or \"all\"; default"));
        assert!(shown(FEED, "command").contains("a list of 1 to 64 texts"));
    }
}
