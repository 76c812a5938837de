//! `[streams]`: the declarations, and the rules between them.

use super::config::Config;
use super::error::{ConfigError, SECRET, STREAMS_TABLE};
use super::example::quoted;
use super::feed::{self, Feed, FeedMembers};
use super::fields::{self, Faults, documented};
use super::file::Document;
use super::key::{Section, SectionRead};
use super::overlaps::overlaps;
use super::stream_members::{STREAM, StreamTable};
use super::webhook::WEBHOOK;
use crate::base::StreamId;
use crate::base::declaration::Declaration;
use crate::base::limits::{DECLARATIONS_MAX, POLLS_MISSED_MAX, STALE_MS_MAX};
use crate::base::pattern::Pattern;
use crate::routes::stream_path::path_fault;
use std::borrow::Cow;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// `[streams]`: names or patterns, and their declarations.
pub(super) const STREAMS: Section = Section {
    wants: "a table of streams, each a table with keep, durable, publish, program, read, binary, ack, priority, \
            max_rate, max_rate_ceiling, max_bytes, stale_ms, members, path, type, url, command, env, every_ms, timeout_ms, pointer, \
            webhook, required; elsewhere the same as an inline table of TOML",
    members: || [documented("", STREAM), documented("webhook.", WEBHOOK)].concat(),
    example: &[
        "\"sensor:{id}\" = { keep = 100, publish = true, read = \"public\", path = \"/ws/sensor/{id}\" }",
        "state = { url = \"http://127.0.0.1:9000/state\", every_ms = 1000, pointer = \"/data\" }",
        "load = { command = [\"cat\", \"/proc/loadavg\"], every_ms = 5000, binary = true }",
    ],
    read: SectionRead::Table(read),
    entries: |config| {
        let feed = |stream: &Declaration| {
            config.feeds.iter().find(|feed| feed.pattern == stream.pattern).cloned()
        };
        let entry =
            |stream: &Declaration| (stream.pattern.to_string(), vec![line(stream, feed(stream))]);
        config.streams.iter().map(entry).collect()
    },
    is_private: true,
    short: None,
};

fn read(config: &mut Config, streams: &DeTable<'_>, document: &mut Document<'_>) {
    config.streams.clear();
    config.feeds.clear();
    for (name, value) in streams {
        match declaration(name, value) {
            Ok((declaration, feed)) => {
                config.streams.push(declaration);
                config.feeds.extend(feed);
                document.record_member((STREAMS_TABLE, name.get_ref(), ""), name.span());
                note_members(document, STREAMS_TABLE, name.get_ref(), value.get_ref());
            }
            Err(faults) => document.faults(faults, |wants| ConfigError::BadStream {
                stream: name.get_ref().to_string(),
                member: "",
                wants,
            }),
        }
    }
}

/// Records where the members of an entry are, and the name of its secret or of its webhook's.
pub(super) fn note_members(
    document: &mut Document<'_>,
    key: &'static str,
    entry: &str,
    value: &DeValue<'_>,
) {
    let DeValue::Table(members) = value else { return };
    for (name, value) in members {
        document.record_member((key, entry, name.get_ref()), value.span());
        match value.get_ref() {
            DeValue::Table(inner) if name.get_ref() == "webhook" => {
                let secret = ["secret_file", "secret_env"].iter().find_map(|name| inner.get(*name));
                if let Some(secret) = secret {
                    document.record_member((key, entry, SECRET), secret.span());
                }
            }
            _ if ["secret_file", "secret_env"].contains(&name.get_ref().as_ref()) => {
                document.record_member((key, entry, SECRET), value.span());
            }
            _ => {}
        }
    }
}

/// A stream, and its sources beside clients and the embedding program.
type Declared = (Declaration, Option<Feed>);

/// Parses a declaration, or returns all its errors.
fn declaration(
    name: &Spanned<Cow<'_, str>>,
    value: &Spanned<DeValue<'_>>,
) -> Result<Declared, Faults> {
    let of_name = |wants: String| vec![(name.span(), wants)];
    let pattern = Pattern::parse(name.get_ref());
    let pattern = pattern.map_err(|error| of_name(format!("a stream's name {error}")))?;
    let DeValue::Table(members) = value.get_ref() else {
        let wants = "a table is needed, such as { keep = \"latest\", publish = true }";
        return Err(of_name(wants.to_owned()));
    };
    let mut table = StreamTable { stream: Declaration::new(pattern), feed: FeedMembers::default() };
    let faults = fields::read(STREAM, &mut table, members);
    if !faults.is_empty() {
        return Err(faults);
    }
    let StreamTable { mut stream, feed } = table;
    let feed = feed.feed(&stream.pattern).map_err(|(member, wants)| {
        let span = members.get(member).map_or(name.span(), Spanned::span);
        vec![(span, wants.to_owned())]
    })?;
    // The polling interval tells when an answer should have arrived.
    let polled = feed.as_ref().and_then(|feed| feed.poll.as_ref());
    let expected = polled.map(|poll| POLLS_MISSED_MAX * poll.every_ms + poll.timeout_ms);
    let expected = expected.and_then(|ms| u32::try_from(ms.min(STALE_MS_MAX.into())).ok());
    stream.stale_ms = stream.stale_ms.or(expected);
    Ok((stream, feed))
}

/// A declaration as a table in a file.
fn line(stream: &Declaration, feed: Option<Feed>) -> String {
    let feed = feed.map(FeedMembers::from).unwrap_or_default();
    let members = fields::write(STREAM, StreamTable { stream: stream.clone(), feed });
    format!("{} = {{ {} }}", quoted(stream.pattern.as_str()), members.join(", "))
}

/// Streams that only an embedding program could feed, if there is none.
pub(super) fn fed_by_nobody(streams: &[Declaration], feeds: &[Feed]) -> Vec<ConfigError> {
    let is_fed = |stream: &&Declaration| {
        stream.publish || feeds.iter().any(|feed| feed.pattern == stream.pattern)
    };
    let wants = "nothing can feed it: program = true is for a program that embeds parlor, and here none does; say \
                 publish = true, url or command with every_ms, or webhook";
    let fault = |stream: &Declaration| ConfigError::of_stream(&stream.pattern, "program", wants);
    streams.iter().filter(|stream| stream.program && !is_fed(stream)).map(fault).collect()
}

/// Declarations that contradict themselves or could never work.
pub(super) fn contradictions(streams: &[Declaration], feeds: &[Feed]) -> Vec<ConfigError> {
    let mut found = Vec::new();
    let mut fault = |stream: &Declaration, member: &'static str, wants: &str| {
        found.push(ConfigError::of_stream(&stream.pattern, member, wants));
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
        if stream.is_of_server() {
            fault(stream, "", "names that begin with parlor: are the server's own");
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

/// The error in a stream's sources, and the wrong member.
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

/// Parses the declarations of an inline table, for tests.
#[cfg(test)]
pub(super) fn declared_inline(text: &str) -> (Vec<Declaration>, Vec<Feed>) {
    let mut config = super::example::defaults();
    config.set(&format!("{STREAMS_TABLE}={text}")).unwrap();
    (config.streams, config.feeds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Priority;
    use crate::base::declaration::{DataMember, Keep, Kind, Readers};
    use crate::http1::Status;

    const WHOLE: &str = r#"{ "a:{id}" = { keep = 7, durable = true, publish = true, read = "public", binary = false, ack = true, priority = "high", max_rate = 30, max_rate_ceiling = 60, max_bytes = 1000, stale_ms = 60000, members = { x = "number" }, path = "/a/{id}", type = "reading" }, b = { program = true, keep = "latest" }, "c:{id}" = { url = "https://b.example/{id}?x=1", every_ms = 1000, timeout_ms = 70, pointer = "/a/0" }, d = { command = ["show", "-n", "a b"], env = ["HOME", "A=b c"], every_ms = 50, webhook = { path = "/hooks/d", secret_file = "d.secret", pointer = "/x" }, required = true }, "e:{id}" = { webhook = { path = "/hooks/e/{id}", secret_env = "E_SECRET", status = 200, body = "{\"status\":\"ok\"}", delivery = "X-Request-Id" } } }"#;

    #[test]
    fn what_is_written_is_read() {
        let (streams, feeds) = declared_inline(WHOLE);
        assert_eq!(streams.len(), 5);
        let feed = |of: &Declaration| feeds.iter().find(|feed| feed.pattern == of.pattern).cloned();
        let written: Vec<String> = streams.iter().map(|one| line(one, feed(one))).collect();
        let again = declared_inline(&format!("{{ {} }}", written.join(", ")));
        assert_eq!((streams.clone(), feeds.clone()), again);
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
            let faults = declaration(name, value).unwrap_err();
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
            (r#""parlor:x" = { publish = true }"#, "server's own"),
            (r#""parlor:{x}" = { publish = true }"#, "server's own"),
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
