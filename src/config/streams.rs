//! `[streams]`: what is declared of each, and what must hold between that.

use super::config::Config;
use super::error::{ConfigError, SECRET, STREAMS_TABLE};
use super::example::quoted;
use super::feed::{self, Feed, FeedMembers};
use super::fields::{FEED, STREAM, WEBHOOK, names};
use super::file::Document;
use super::inline::inline;
use super::key::{Section, described, integer};
use super::overlaps::overlaps;
use super::suggest;
use crate::base::declaration::{DataMember, Declaration, Keep, Kind, Readers};
use crate::base::limits::{
    DECLARATIONS_MAX, POLLS_MISSED_MAX, STALE_MS_MAX, STREAM_EVENTS_MAX, STREAM_RATE_MAX,
};
use crate::base::pattern::Pattern;
use crate::base::{Priority, StreamId};
use crate::routes::stream_path::path_fault;
use std::fmt::Write;
use std::sync::Arc;
use toml::Spanned;
use toml::de::DeValue;

/// `[streams]`: names or patterns, and what each is.
pub(super) const STREAMS: Section = Section {
    wants: "a table of streams, each a table with keep, durable, publish, program, read, binary, ack, priority, \
            max_rate, max_rate_ceiling, max_bytes, stale_ms, members, path, type, url, command, env, every_ms, timeout_ms, pointer, \
            webhook, required; elsewhere the same as an inline table of TOML",
    fields: &[("", STREAM), ("", FEED), ("webhook", WEBHOOK)],
    example: &[
        "\"sensor:{id}\" = { keep = 100, publish = true, read = \"public\", path = \"/ws/sensor/{id}\" }",
        "state = { url = \"http://127.0.0.1:9000/state\", every_ms = 1000, pointer = \"/data\" }",
        "load = { command = [\"cat\", \"/proc/loadavg\"], every_ms = 5000, binary = true }",
    ],
    is_list: false,
    read,
    write: lines,
    entries: Some(|config| {
        let names = config.streams.iter().map(|stream| stream.pattern.to_string());
        names.zip(lines(config)).collect()
    }),
    get: |config| {
        let lines = lines(config);
        if lines.is_empty() { String::new() } else { format!("{{ {} }}", lines.join(", ")) }
    },
    set: |config, text| {
        let (streams, feeds): (Vec<_>, Vec<_>) = inline(text, table)?.into_iter().unzip();
        (config.streams, config.feeds) = (streams, feeds.into_iter().flatten().collect());
        Ok(())
    },
};

/// A path, or a type of messages.
const TEXT_BYTES_MAX: usize = 128;

const PRIORITIES: &[(&str, Priority)] =
    &[("low", Priority::Low), ("normal", Priority::Normal), ("high", Priority::High)];
const READERS: &[(&str, Readers)] =
    &[("public", Readers::Public), ("users", Readers::Users), ("admin", Readers::Admin)];

fn read(config: &mut Config, value: &Spanned<DeValue<'_>>, document: &mut Document<'_>) {
    let DeValue::Table(streams) = value.get_ref() else {
        let value_text = described(value.get_ref());
        let error = ConfigError::BadValue { key: STREAMS_TABLE, value: value_text };
        return document.fault(value.span(), error);
    };
    config.streams.clear();
    config.feeds.clear();
    for (name, of_stream) in streams {
        match declaration(name.get_ref(), of_stream.get_ref()) {
            Ok((declaration, feed)) => {
                config.streams.push(declaration);
                config.feeds.extend(feed);
                document.stands((STREAMS_TABLE, name.get_ref(), ""), name.span());
                note_members(document, STREAMS_TABLE, name.get_ref(), of_stream.get_ref());
            }
            Err(faults) => {
                for (span, wants) in faults {
                    let (stream, member) = (name.get_ref().to_string(), "");
                    let error = ConfigError::BadStream { stream, member, wants };
                    document.fault(span.unwrap_or(name.span()), error);
                }
            }
        }
    }
}

/// Takes note where the members of an entry stand, and the name of its secret, or of its webhook's.
pub(super) fn note_members(
    document: &mut Document<'_>,
    key: &'static str,
    entry: &str,
    value: &DeValue<'_>,
) {
    let DeValue::Table(members) = value else { return };
    for (name, value) in members {
        document.stands((key, entry, name.get_ref()), value.span());
        match value.get_ref() {
            DeValue::Table(inner) if name.get_ref() == "webhook" => {
                let secret = ["secret_file", "secret_env"].iter().find_map(|name| inner.get(*name));
                if let Some(secret) = secret {
                    document.stands((key, entry, SECRET), secret.span());
                }
            }
            _ if ["secret_file", "secret_env"].contains(&name.get_ref().as_ref()) => {
                document.stands((key, entry, SECRET), value.span());
            }
            _ => {}
        }
    }
}

/// The whole table, or the first that is wrong.
fn table(value: &DeValue<'_>) -> Result<Vec<Declared>, ConfigError> {
    let DeValue::Table(streams) = value else {
        return Err(ConfigError::BadValue { key: STREAMS_TABLE, value: described(value) });
    };
    let read = |(name, of_stream): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let name: &std::borrow::Cow<'_, str> = name.get_ref();
        let first = |faults: Faults| ConfigError::BadStream {
            stream: name.to_string(),
            member: "",
            wants: faults.into_iter().next().map(|(_, wants)| wants).unwrap_or_default(),
        };
        declaration(name, of_stream.get_ref()).map_err(first)
    };
    streams.iter().map(read).collect()
}

/// A stream, and what feeds it beside clients and the embedding program.
type Declared = (Declaration, Option<Feed>);

type Faults = Vec<(Option<std::ops::Range<usize>>, String)>;

/// One declaration, or all that is wrong with it, and where, if that is not its name.
fn declaration(name: &str, value: &DeValue<'_>) -> Result<Declared, Faults> {
    let pattern = match Pattern::parse(name) {
        Ok(pattern) => pattern,
        Err(error) => return Err(vec![(None, format!("a stream's name {error}"))]),
    };
    let DeValue::Table(members) = value else {
        return Err(vec![(
            None,
            "a table is needed, as { keep = \"latest\", publish = true }".into(),
        )]);
    };
    let mut declaration = Declaration::new(pattern);
    let (mut feeds, mut faults) = (FeedMembers::default(), Faults::new());
    for (name, value) in members {
        let of_feed = names(&[FEED]).any(|known| known == name.get_ref());
        let read = match of_feed {
            true => feeds.read(name.get_ref(), value.get_ref()),
            false => member(&mut declaration, name.get_ref(), value.get_ref()),
        };
        if let Err(wants) = read {
            let is_known = names(&[STREAM, FEED]).any(|known| known == name.get_ref());
            faults.push((Some(if is_known { value.span() } else { name.span() }), wants));
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let feed = feeds.feed(&declaration.pattern).map_err(|(member, wants)| {
        vec![(members.get(member).map(Spanned::span), wants.to_owned())]
    })?;
    // Who knows how often it is asked knows when it should have answered.
    let polled = feed.as_ref().and_then(|feed| feed.poll.as_ref());
    let expected = polled.map(|poll| POLLS_MISSED_MAX * poll.every_ms + poll.timeout_ms);
    let expected = expected.and_then(|ms| u32::try_from(ms.min(STALE_MS_MAX.into())).ok());
    declaration.stale_ms = declaration.stale_ms.or(expected);
    Ok((declaration, feed))
}

fn member(into: &mut Declaration, name: &str, value: &DeValue<'_>) -> Result<(), String> {
    match name {
        "keep" => into.keep = keep(value)?,
        "durable" => into.durable = flag(name, value)?,
        "publish" => into.publish = flag(name, value)?,
        "program" => into.program = flag(name, value)?,
        "binary" => into.binary = flag(name, value)?,
        "ack" => into.ack = flag(name, value)?,
        "read" => into.read = one_of(name, READERS, value)?,
        "priority" => into.priority = one_of(name, PRIORITIES, value)?,
        "max_rate" => into.max_rate = Some(number(name, STREAM_RATE_MAX, value)?),
        "max_rate_ceiling" => into.max_rate_ceiling = Some(number(name, STREAM_RATE_MAX, value)?),
        "max_bytes" => into.max_bytes = number(name, u32::MAX, value)?,
        "stale_ms" => into.stale_ms = Some(stale_ms(value)?),
        "members" => into.members = kinds(value)?,
        "path" => into.path = Some(text(name, value)?),
        "type" => into.kind = Some(text(name, value)?),
        other => {
            return Err(suggest::unknown(other, names(&[STREAM, FEED])));
        }
    }
    Ok(())
}

fn stale_ms(value: &DeValue<'_>) -> Result<u32, String> {
    let read = match value {
        DeValue::Integer(number) => integer(number).and_then(|number| u32::try_from(number).ok()),
        _ => None,
    };
    read.filter(|ms| *ms <= STALE_MS_MAX).ok_or_else(|| {
        let not = described(value);
        format!("stale_ms is an integer from 0 (never) to {STALE_MS_MAX}; not {not}")
    })
}

fn keep(value: &DeValue<'_>) -> Result<Keep, String> {
    match value {
        DeValue::String(text) if text == "latest" => Ok(Keep::Latest),
        DeValue::Integer(_) => number("keep", STREAM_EVENTS_MAX, value).map(Keep::Log),
        _ => Err(format!(
            "keep is \"latest\", or how many events from 1 to {STREAM_EVENTS_MAX}; not {}",
            described(value)
        )),
    }
}

fn flag(name: &str, value: &DeValue<'_>) -> Result<bool, String> {
    match value {
        DeValue::Boolean(flag) => Ok(*flag),
        _ => Err(format!("{name} is true or false; not {}", described(value))),
    }
}

pub(super) fn text(name: &str, value: &DeValue<'_>) -> Result<Arc<str>, String> {
    let text = value.as_str().filter(|text| (1..=TEXT_BYTES_MAX).contains(&text.len()));
    let wants =
        || format!("{name} is a text of 1 to {TEXT_BYTES_MAX} bytes; not {}", described(value));
    text.map(Arc::from).ok_or_else(wants)
}

fn number(name: &str, max: u32, value: &DeValue<'_>) -> Result<u32, String> {
    let read = match value {
        DeValue::Integer(number) => integer(number).and_then(|number| u32::try_from(number).ok()),
        _ => None,
    };
    read.filter(|number| (1..=max).contains(number))
        .ok_or_else(|| format!("{name} is an integer from 1 to {max}; not {}", described(value)))
}

fn one_of<T: Copy>(name: &str, all: &[(&str, T)], value: &DeValue<'_>) -> Result<T, String> {
    let text = value.as_str();
    let known = all.iter().find(|(known, _)| Some(*known) == text);
    known.map(|(_, one)| *one).ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        format!("{name} is one of {}; not {}", names.join(", "), described(value))
    })
}

fn kinds(value: &DeValue<'_>) -> Result<Vec<DataMember>, String> {
    let DeValue::Table(members) = value else {
        return Err("members is a table of names and kinds, as { x = \"number\" }".to_owned());
    };
    let read = |(name, kind): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let name: &std::borrow::Cow<'_, str> = name.get_ref();
        let kind = one_of(name, Kind::ALL, kind.get_ref())?;
        Ok(DataMember { name: name.as_ref().into(), kind })
    };
    members.iter().map(read).collect()
}

fn lines(config: &Config) -> Vec<String> {
    let feed = |declaration: &Declaration| {
        config.feeds.iter().find(|feed| feed.pattern == declaration.pattern)
    };
    config.streams.iter().map(|declaration| line(declaration, feed(declaration))).collect()
}

/// A declaration as the table of a file has it.
fn line(declaration: &Declaration, feed: Option<&Feed>) -> String {
    let name_of = |all: &[(&'static str, Priority)]| {
        all.iter().find(|(_, one)| *one == declaration.priority).map_or("", |(name, _)| *name)
    };
    let readers = READERS.iter().find(|(_, one)| *one == declaration.read);
    let mut text = format!("{} = {{ keep = ", quoted(declaration.pattern.as_str()));
    // Writing to a text does not fail.
    let _ = match declaration.keep {
        Keep::Latest => write!(text, "\"latest\""),
        Keep::Log(events) => write!(text, "{events}"),
    };
    for (name, value) in [("path", &declaration.path), ("type", &declaration.kind)] {
        if let Some(value) = value {
            let _ = write!(text, ", {name} = {}", quoted(value));
        }
    }
    for (name, is_so) in [
        ("durable", declaration.durable),
        ("publish", declaration.publish),
        ("program", declaration.program),
        ("binary", declaration.binary),
        ("ack", declaration.ack),
    ] {
        if is_so {
            let _ = write!(text, ", {name} = true");
        }
    }
    let _ = write!(text, ", read = \"{}\"", readers.map_or("", |(name, _)| *name));
    let _ = write!(text, ", priority = \"{}\"", name_of(PRIORITIES));
    for (name, rate) in [
        ("max_rate", declaration.max_rate),
        ("max_rate_ceiling", declaration.max_rate_ceiling),
        ("stale_ms", declaration.stale_ms),
    ] {
        if let Some(rate) = rate {
            let _ = write!(text, ", {name} = {rate}");
        }
    }
    let _ = write!(text, ", max_bytes = {}", declaration.max_bytes);
    if !declaration.members.is_empty() {
        let members = declaration
            .members
            .iter()
            .map(|member| format!("{} = \"{}\"", quoted(&member.name), member.kind.name()));
        let _ = write!(text, ", members = {{ {} }}", members.collect::<Vec<_>>().join(", "));
    }
    if let Some(feed) = feed {
        feed::write(&mut text, feed);
    }
    text + " }"
}

/// The streams that only a program could feed that embeds the server, where there is none.
pub(super) fn fed_by_nobody(streams: &[Declaration], feeds: &[Feed]) -> Vec<ConfigError> {
    let is_fed = |stream: &&Declaration| {
        stream.publish || feeds.iter().any(|feed| feed.pattern == stream.pattern)
    };
    let fault = |stream: &Declaration| {
        ConfigError::BadStream {
        stream: stream.pattern.as_str().to_owned(),
        member: "program",
        wants: "nothing can feed it: program = true is for a program that embeds parlor, and here none does; say \
                publish = true, url or command with every_ms, or webhook"
            .to_owned(),
    }
    };
    streams.iter().filter(|stream| stream.program && !is_fed(stream)).map(fault).collect()
}

/// What contradicts itself, or could never work.
pub(super) fn contradictions(streams: &[Declaration], feeds: &[Feed]) -> Vec<ConfigError> {
    let mut found = Vec::new();
    let mut fault = |stream: &Declaration, member: &'static str, wants: &str| {
        let stream = stream.pattern.as_str().to_owned();
        found.push(ConfigError::BadStream { stream, member, wants: wants.to_owned() });
    };
    for (place, stream) in streams.iter().enumerate() {
        let feed = feeds.iter().find(|feed| feed.pattern == stream.pattern);
        if !stream.has_source() && feed.is_none() {
            fault(
                stream,
                "",
                "nothing can feed it: say publish = true (clients whose token names it), program = true \
                 (the embedding program), url or command with every_ms (it is polled), or webhook",
            );
        }
        if let Some((member, wrong)) = feed.and_then(|feed| feed_fault(stream, feed)) {
            fault(stream, member, wrong);
        }
        if stream.pattern.as_str().ends_with('*') {
            fault(stream, "", "a declared name is a text or has {name} for a segment, and no star");
        }
        if !stream.pattern.is_open() && StreamId::parse(stream.pattern.as_str()).is_err() {
            fault(stream, "", "this is no name that a stream can have");
        }
        if stream.binary && !stream.members.is_empty() {
            fault(stream, "members", "a stream of bytes has no members");
        }
        let path_wrong = stream.path.as_deref().and_then(|path| path_fault(path, &stream.pattern));
        if let Some(wrong) = path_wrong {
            fault(stream, "path", wrong);
        }
        if place >= DECLARATIONS_MAX {
            fault(stream, "", "these are too many streams");
            break;
        }
    }
    found.extend(overlaps(streams, feeds));
    found
}

/// What is wrong with what feeds a stream, and with which member.
fn feed_fault(stream: &Declaration, feed: &Feed) -> Option<(&'static str, &'static str)> {
    let of_poll = feed.poll.as_ref().and_then(|poll| poll.pointer.as_ref());
    let of_webhook = feed.webhook.as_ref().and_then(|webhook| webhook.pointer.as_ref());
    if stream.binary && (of_poll.is_some() || of_webhook.is_some()) {
        let member = if of_poll.is_some() { "pointer" } else { "webhook" };
        return Some((member, "a stream of bytes has nothing that a pointer could pick"));
    }
    let of_path = feed.webhook.as_ref().and_then(|hook| path_fault(&hook.path, &stream.pattern));
    of_path.map(|wrong| ("webhook", wrong)).or_else(|| feed::fault(feed))
}

/// What an inline table declares, for tests.
#[cfg(test)]
pub(super) fn declared_inline(text: &str) -> (Vec<Declaration>, Vec<Feed>) {
    let (streams, feeds): (Vec<_>, Vec<_>) = inline(text, table).unwrap().into_iter().unzip();
    (streams, feeds.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::Status;

    const WHOLE: &str = r#"{ "a:{id}" = { keep = 7, durable = true, publish = true, read = "public", binary = false, ack = true, priority = "high", max_rate = 30, max_rate_ceiling = 60, max_bytes = 1000, stale_ms = 60000, members = { x = "number" }, path = "/a/{id}", type = "reading" }, b = { program = true, keep = "latest" }, "c:{id}" = { url = "https://b.example/{id}?x=1", every_ms = 1000, timeout_ms = 70, pointer = "/a/0" }, d = { command = ["show", "-n", "a b"], env = ["HOME", "A=b c"], every_ms = 50, webhook = { path = "/hooks/d", secret_file = "d.secret", pointer = "/x" }, required = true }, "e:{id}" = { webhook = { path = "/hooks/e/{id}", secret_env = "E_SECRET", status = 200, body = "{\"status\":\"ok\"}", delivery = "X-Request-Id" } } }"#;

    #[test]
    fn what_is_written_is_read() {
        let read = inline(WHOLE, table).unwrap();
        assert_eq!(read.len(), 5);
        let written: Vec<String> =
            read.iter().map(|(declaration, feed)| line(declaration, feed.as_ref())).collect();
        let again = inline(&format!("{{ {} }}", written.join(", ")), table).unwrap();
        assert_eq!(read, again);
        let (streams, feeds): (Vec<_>, Vec<_>) = read.into_iter().unzip();
        let feeds: Vec<Feed> = feeds.into_iter().flatten().collect();
        let first = &streams[0];
        assert_eq!(
            (first.keep, first.max_rate, first.max_rate_ceiling),
            (Keep::Log(7), Some(30), Some(60))
        );
        assert_eq!(
            (first.read, first.priority, first.max_bytes),
            (Readers::Public, Priority::High, 1_000)
        );
        assert!(first.durable && !streams[1].durable);
        assert_eq!(first.members, [DataMember { name: "x".into(), kind: Kind::Number }]);
        let found = contradictions(&streams, &feeds);
        assert!(found.is_empty(), "{found:?}");
        let poll = feeds[0].poll.as_ref().unwrap();
        assert_eq!((poll.every_ms, poll.timeout_ms), (1_000, 70));
        let stale: Vec<_> = streams.iter().map(|stream| stream.stale_ms).collect();
        assert_eq!(stale, [Some(60_000), None, Some(3_070), Some(5_150), None]);
        let webhook = feeds[2].webhook.as_ref().unwrap();
        assert_eq!((webhook.status, &*webhook.delivery), (Status::Ok, "X-Request-Id"));
        assert_eq!(webhook.body.as_deref(), Some(r#"{"status":"ok"}"#));
        assert!(feeds[1].is_required && feeds[1].webhook.is_some() && feeds[2].poll.is_none());
    }

    #[test]
    fn what_is_wrong_says_what_is_wanted() {
        for (stream, wanted) in [
            ("keep = 0", "keep is"),
            ("keep = \"all\"", "keep is"),
            ("publish = 1", "true or false"),
            ("read = \"nobody\"", "public, users, admin"),
            ("priority = \"urgent\"", "low, normal, high"),
            ("max_rate = 0", "1 to 1000"),
            ("stale_ms = -1", "0 (never) to 604800000"),
            ("stale_ms = 604800001", "0 (never) to 604800000"),
            ("max_bytes = -1", "integer from 1"),
            ("members = { x = \"float\" }", "boolean"),
            ("members = 7", "table of names"),
            ("keeep = 7", "did you mean keep?"),
            ("every_m = 7", "did you mean every_ms?"),
            ("url = \"ftp://a/\", every_ms = 10", "begins with http"),
            ("url = \"http://{id}/\", every_ms = 10", "begins with http"),
            ("url = \"http://a:b@c/\", every_ms = 10", "begins with http"),
            ("url = \"http:///x\", every_ms = 10", "begins with http"),
            ("url = \"http://a/b c\", every_ms = 10", "begins with http"),
            ("url = \"http://a/\", command = [\"b\"], every_ms = 10", "not both"),
            ("url = \"http://a/\"", "how often"),
            ("url = \"http://a/\", every_ms = 9", "integer from 10"),
            ("command = []", "a program"),
            (
                "command = [\"a\"], every_ms = 10, env = [\"PARLOR_SECRET\"]",
                "no name of which begins with PARLOR_",
            ),
            ("command = [\"a\"], every_ms = 10, env = [\"=x\"]", "NAME or NAME=VALUE"),
            ("env = [\"A=b\"], url = \"http://a/\", every_ms = 10", "for a command"),
            ("command = [\"{id}\"]", "a program without"),
            ("command = \"ls\"", "list of texts"),
            ("every_ms = 10", "for a url or a command"),
            ("publish = true, required = true", "for a url or a command"),
            ("pointer = \"a\"", "JSON pointer"),
            ("webhook = { path = \"/a\" }", "secret_file"),
            ("webhook = { path = \"/a\", secret_env = \"PARLOR_X\" }", "another name"),
            ("webhook = { path = \"/a\", secret_env = \"X\", secret_file = \"x\" }", "not both"),
            ("webhook = { path = \"/a\", secret = \"x\" }", "secret_file"),
            ("webhook = { pth = \"/a\", secret_env = \"X\" }", "did you mean path?"),
            ("webhook = 7", "webhook is {"),
            (
                "webhook = { path = \"/a\", secret_env = \"X\", status = 302 }",
                "200, 201, 202 or 204",
            ),
            (
                "webhook = { path = \"/a\", secret_env = \"X\", status = \"ok\" }",
                "200, 201, 202 or 204",
            ),
            (
                "webhook = { path = \"/a\", secret_env = \"X\", status = 204, body = \"x\" }",
                "no body",
            ),
            ("webhook = { path = \"/a\", secret_env = \"X\", body = 7 }", "at most 4096 bytes"),
            (
                "webhook = { path = \"/a\", secret_env = \"X\", delivery = \"a b\" }",
                "name of a field",
            ),
        ] {
            let text = format!("s = {{ {stream} }}");
            let (table, _) = toml::de::DeTable::parse_recoverable(&text);
            let (name, value) = table.get_ref().iter().next().unwrap();
            let faults = declaration(name.get_ref(), value.get_ref()).unwrap_err();
            assert!(faults[0].1.contains(wanted), "{stream}: {faults:?}");
        }
    }

    #[test]
    fn a_stream_that_nothing_can_feed_is_an_error() {
        let found = found(r#"{ lonely = { keep = "latest" }, "x:*" = { publish = true } }"#);
        let texts: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert!(
            texts[0].contains("lonely") && texts[0].contains("nothing can feed it"),
            "{texts:?}"
        );
        assert!(texts[1].contains("no star"), "{texts:?}");
        assert_eq!(texts.len(), 2);
    }

    fn found(text: &str) -> Vec<ConfigError> {
        let (streams, feeds) = declared_inline(text);
        contradictions(&streams, &feeds)
    }

    #[test]
    fn what_could_never_feed_a_stream_is_an_error() {
        for (stream, wanted) in [
            (r#""s:{id}" = { url = "http://a/", every_ms = 10 }"#, "each placeholder"),
            (r#"s = { url = "http://a/{id}", every_ms = 10 }"#, "each placeholder"),
            (r#"s = { url = "http://a/}", every_ms = 10 }"#, "no placeholder"),
            (r#""s:{id}" = { command = ["a", "{id"], every_ms = 10 }"#, "no placeholder"),
            (
                r#""s:{id}" = { command = ["a", "{id}"], every_ms = 10, required = true }"#,
                "a family",
            ),
            (r#"s = { binary = true, command = ["a"], every_ms = 10, pointer = "/a" }"#, "bytes"),
            (r#"s = { webhook = { path = "/ws", secret_env = "A" } }"#, "server's own"),
            (r#""s:{id}" = { webhook = { path = "/s", secret_env = "A" } }"#, "each placeholder"),
            (
                r#"s = { webhook = { path = "/s", secret_env = "A" } }, t = { webhook = { path = "/s", secret_env = "A" } }"#,
                "are for the same requests",
            ),
            (r#"s = { webhook = { path = "/app.js", secret_env = "A" } }"#, "server's own"),
            (r#""s:{id}" = { webhook = { path = "/{id}", secret_env = "A" } }"#, "server's own"),
        ] {
            let found = found(&format!("{{ {stream} }}"));
            assert!(
                found.iter().any(|one| one.to_string().contains(wanted)),
                "{stream}: {found:?}"
            );
        }
    }
}
