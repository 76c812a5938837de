//! The members of a stream's table in `[streams]`: one row each.

use super::example::quoted;
use super::feed::{self, FeedMembers};
use super::fields::{
    Field, Wants, flag, number, other, put, text, within, word, word_of, written, written_list,
};
use super::key::described;
use super::webhook;
use crate::base::Priority;
use crate::base::declaration::{DataMember, Declaration, Keep, Kind, Readers};
use crate::base::limits::{
    COMMAND_PARTS_MAX, EVERY_MS_MAX, EVERY_MS_MIN, STALE_MS_MAX, STREAM_EVENTS_MAX, STREAM_RATE_MAX,
};
use std::borrow::Cow;
use toml::Spanned;
use toml::de::DeValue;

const PRIORITIES: &[(&str, Priority)] =
    &[("low", Priority::Low), ("normal", Priority::Normal), ("high", Priority::High)];
const READERS: &[(&str, Readers)] =
    &[("public", Readers::Public), ("users", Readers::Users), ("admin", Readers::Admin)];

/// A stream's table: the stream, and its sources beside clients and the embedding program.
#[derive(Debug)]
pub(super) struct StreamTable {
    pub(super) stream: Declaration,
    pub(super) feed: FeedMembers,
}

#[rustfmt::skip]
pub(super) const STREAM: &[Field<StreamTable>] = &[
    other("keep", Wants::Range(1, STREAM_EVENTS_MAX as u64, "events", ", or \"latest\""), "\"latest\"",
        "What is kept: only the newest event (a state), or a log of so many events.",
        |table, _, value| put(&mut table.stream.keep, keep(value)),
        |table| Some(match table.stream.keep {
            Keep::Latest => "\"latest\"".to_owned(),
            Keep::Log(events) => events.to_string(),
        })),
    flag("durable", |table| &mut table.stream.durable,
        "Whether what is kept is also on disk and survives a restart."),
    flag("publish", |table| &mut table.stream.publish,
        "Whether clients may publish: those whose token names the stream, and admins."),
    flag("program", |table| &mut table.stream.program,
        "Whether the program that embeds the server publishes. `parlor` itself accepts this only beside another source."),
    other("read", Wants::Text("\"public\", \"users\" or \"admin\""), "\"users\"",
        "Who may watch it.",
        |table, name, value| put(&mut table.stream.read, word(name, READERS, value)),
        |table| word_of(READERS, &table.stream.read)),
    flag("binary", |table| &mut table.stream.binary,
        "Whether its data is bytes in place of JSON."),
    flag("ack", |table| &mut table.stream.ack,
        "Whether subscribers acknowledge what they have received."),
    other("priority", Wants::Text("\"low\", \"normal\" or \"high\""), "\"normal\"",
        "Which streams are sent first to a slow connection.",
        |table, name, value| put(&mut table.stream.priority, word(name, PRIORITIES, value)),
        |table| word_of(PRIORITIES, &table.stream.priority)),
    number("max_rate", (1, STREAM_RATE_MAX as u64, "events a second"), |table| &mut table.stream.max_rate, "all",
        "Most events per second for a subscriber that does not ask for a rate."),
    number("max_rate_ceiling", (1, STREAM_RATE_MAX as u64, "events a second"), |table| &mut table.stream.max_rate_ceiling, "all",
        "Most events per second for any subscriber."),
    number("max_bytes", (1, u32::MAX as u64, "bytes"), |table| &mut table.stream.max_bytes, "65536",
        "Largest data of one event."),
    other("stale_ms", Wants::Range(0, STALE_MS_MAX as u64, "ms", ""), "3 × every_ms + timeout_ms where that is, else 0",
        "Subscribers are told when nothing was published for so long. 0: never.",
        |table, _, value| put(&mut table.stream.stale_ms, stale_ms(value)),
        |table| table.stream.stale_ms.map(|ms| ms.to_string())),
    other("members", Wants::Text("{ NAME = KIND, … }, each of any, boolean, number, integer, string, array, object"), "none",
        "Members that its data must have.",
        |table, _, value| put(&mut table.stream.members, kinds(value)),
        |table| written_kinds(&table.stream.members)),
    other("path", Wants::Text("a path with each {name} of the stream's, as \"/ws/sensor/{id}\", of 1 to 128 bytes"), "none",
        "A WebSocket path of its own, for clients that only listen.",
        |table, name, value| put(&mut table.stream.path, text(name, value)),
        |table| written(&table.stream.path)),
    other("type", Wants::Text("a text of 1 to 128 bytes"), "the stream's name",
        "The `type` of its events on that path.",
        |table, name, value| put(&mut table.stream.kind, text(name, value)),
        |table| written(&table.stream.kind)),
    other("url", Wants::Text("http://… or https://…, with each {name} of the stream's in its path or query"), "none",
        "The URL that is polled for the data.",
        |table, _, value| put(&mut table.feed.url, feed::url(value)),
        |table| written(&table.feed.url)),
    other("command", Wants::List(COMMAND_PARTS_MAX, "texts, with each {name} of the stream's"), "none",
        "A program and its arguments, run again and again for the data in place of a url.",
        |table, _, value| put(&mut table.feed.command, feed::command(value)),
        |table| table.feed.command.as_deref().map(written_list)),
    other("env", Wants::List(COMMAND_PARTS_MAX, "texts, NAME=VALUE, or NAME for a variable of the server's own"), "none",
        "The command's environment, beside PATH. It gets no other variable of the server's.",
        |table, _, value| put(&mut table.feed.env, feed::env(value)),
        |table| table.feed.env.as_deref().map(written_list)),
    number("every_ms", (EVERY_MS_MIN, EVERY_MS_MAX, "ms"), |table| &mut table.feed.every_ms, "none",
        "How often the url is polled or the command run; required with these."),
    number("timeout_ms", (1, EVERY_MS_MAX, "ms"), |table| &mut table.feed.timeout_ms, "5000",
        "How long to wait for the answer."),
    other("pointer", Wants::Text("a JSON pointer, as \"/data\""), "the whole answer",
        "Where the data is in the answer.",
        |table, _, value| put(&mut table.feed.pointer, feed::json_pointer(value)),
        |table| written(&table.feed.pointer)),
    other("webhook", Wants::Text(webhook::WANTS), "none",
        "Others post the data to this server.",
        |table, _, value| put(&mut table.feed.webhook, webhook::read(value)),
        |table| table.feed.webhook.as_ref().map(webhook::write)),
    flag("required", |table| &mut table.feed.required,
        "Whether /readyz fails while the url or the command keeps failing. Not for families."),
];

fn keep(value: &DeValue<'_>) -> Result<Keep, String> {
    let events =
        within(value, 1, STREAM_EVENTS_MAX.into()).and_then(|events| events.try_into().ok());
    match (value, events) {
        (DeValue::String(text), _) if text == "latest" => Ok(Keep::Latest),
        (_, Some(events)) => Ok(Keep::Log(events)),
        _ => Err(format!(
            "keep is \"latest\", or how many events from 1 to {STREAM_EVENTS_MAX}; not {}",
            described(value)
        )),
    }
}

fn stale_ms(value: &DeValue<'_>) -> Result<u32, String> {
    let ms = within(value, 0, STALE_MS_MAX.into()).and_then(|ms| ms.try_into().ok());
    let not = described(value);
    ms.ok_or_else(|| format!("stale_ms is an integer from 0 (never) to {STALE_MS_MAX}; not {not}"))
}

fn kinds(value: &DeValue<'_>) -> Result<Vec<DataMember>, String> {
    let DeValue::Table(members) = value else {
        return Err("members is a table of names and kinds, such as { x = \"number\" }".to_owned());
    };
    let read = |(name, kind): (&Spanned<Cow<'_, str>>, &Spanned<DeValue<'_>>)| {
        let kind = word(name.get_ref(), Kind::ALL, kind.get_ref())?;
        Ok(DataMember { name: name.get_ref().as_ref().into(), kind })
    };
    members.iter().map(read).collect()
}

fn written_kinds(members: &[DataMember]) -> Option<String> {
    let member = |one: &DataMember| format!("{} = \"{}\"", quoted(&one.name), one.kind.name());
    let members: Vec<String> = members.iter().map(member).collect();
    (!members.is_empty()).then(|| format!("{{ {} }}", members.join(", ")))
}
