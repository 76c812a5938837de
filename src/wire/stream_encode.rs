//! Stream events → the wire, encoded once for all subscribers with the same previous event.

use super::encode::{Encoded, WireBody, push};
use super::json::{Writer, object};
use crate::base::date::rfc3339;
use crate::base::declaration::{Declaration, Keep};
use crate::base::outbox::NO_SOURCE;
use crate::base::subscription::{
    Form, Stale, StreamInfo, StreamSnapshot, Subscribed, SubscriberInfo,
};
use crate::base::{Class, Data, StreamEvent, StreamId, Timestamp};

/// An event for its subscribers. `prev` is the event they were sent before.
pub(crate) fn event(
    stream: &StreamId,
    declaration: &Declaration,
    event: &StreamEvent,
    prev: u64,
    form: Form,
    source: u32,
) -> Encoded {
    let body = match (&event.data, form) {
        (Data::Json(data), Form::Envelope) => WireBody::Text(push("event", |w| {
            w.text("stream", stream.as_str());
            w.number("seq", event.seq);
            w.number("prev", prev);
            w.raw("data", data);
            w.number("ts", event.ts.0);
        })),
        (Data::Json(data), Form::Plain) => {
            let kind = declaration.kind.as_deref().unwrap_or(stream.as_str());
            WireBody::Text(plain(kind, data, event.ts))
        }
        (Data::Binary(data), Form::Envelope) => WireBody::Binary(named(stream, event.seq, data)),
        (Data::Binary(data), Form::Plain) => WireBody::Binary(data.to_vec()),
    };
    Encoded { body, class: Class::Stream(declaration.priority), source }
}

/// A binary event: a byte n, n bytes of the stream's name, eight of `seq`, the data.
fn named(stream: &StreamId, seq: u64, data: &[u8]) -> Vec<u8> {
    let name = stream.as_str().as_bytes();
    let mut bytes = Vec::with_capacity(1 + name.len() + 8 + data.len());
    // A name has at most 64 bytes.
    bytes.push(name.len() as u8);
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(&seq.to_be_bytes());
    bytes.extend_from_slice(data);
    bytes
}

/// Reports that a stream became stale, or is no longer stale.
pub(crate) fn age(
    stream: &StreamId,
    declaration: &Declaration,
    age: Option<Stale>,
    (at, form): (Timestamp, Form),
    source: u32,
) -> Encoded {
    const KIND: &str = "stream:stale";
    let members = |w: &mut Writer| {
        w.text("stream", stream.as_str());
        w.flag("stale", age.is_some());
        if let Some(age) = age {
            stale(w, age);
        }
    };
    let text = match form {
        Form::Envelope => push(KIND, members),
        Form::Plain => plain(KIND, &object(members), at),
    };
    Encoded { body: WireBody::Text(text), class: Class::Stream(declaration.priority), source }
}

fn stale(w: &mut Writer, age: Stale) {
    w.number("since", age.since.0);
    w.number("age_ms", age.age_ms);
}

/// An event for clients that do not speak the protocol.
fn plain(kind: &str, data: &str, ts: Timestamp) -> String {
    object(|w| {
        w.text("type", kind);
        w.raw("data", data);
        w.text("timestamp", &rfc3339(ts));
    })
}

/// The current state of a stream.
pub(crate) fn info(w: &mut Writer, info: &StreamInfo) {
    w.text("stream", info.stream.as_str());
    keep(w, &info.declaration);
    w.flag("binary", info.declaration.binary);
    w.number("seq", info.seq);
    w.if_some("epoch", info.epoch.as_deref(), Writer::text);
    w.if_some("ts", info.newest.as_ref().map(|newest| newest.ts.0), Writer::number);
    w.number("subscribers", info.subscribers as u64);
}

/// A stream with its newest data.
pub(crate) fn newest(w: &mut Writer, info: &StreamInfo) {
    crate::wire::stream_encode::info(w, info);
    if let Some(Data::Json(data)) = info.newest.as_ref().map(|newest| &newest.data) {
        w.raw("data", data);
    }
}

/// A subscriber of a stream.
pub(crate) fn subscriber(w: &mut Writer, one: &SubscriberInfo) {
    w.text("connection", &one.conn.to_string());
    w.number("sent", one.sent);
    w.if_some("acked", one.acked, Writer::number);
    w.number("lag", one.lag);
}

fn keep(w: &mut Writer, declaration: &Declaration) {
    match declaration.keep {
        Keep::Latest => w.text("keep", "latest"),
        Keep::Log(events) => w.number("keep", events),
    }
}

/// A declared stream or family, and what a user may do with it.
#[derive(Debug)]
pub(crate) struct Usable<'a> {
    pub(crate) declaration: &'a Declaration,
    pub(crate) watch: bool,
    pub(crate) publish: bool,
}

/// A stream in the reply to `info`.
pub(crate) fn stream(w: &mut Writer, usable: &Usable<'_>) {
    let declaration = usable.declaration;
    w.text("stream", declaration.pattern.as_str());
    keep(w, declaration);
    w.flag("binary", declaration.binary);
    w.flag("subscribe", usable.watch);
    w.flag("publish", usable.publish);
    w.number("max_bytes", declaration.max_bytes);
}

/// The streams no longer watched, and why.
pub(crate) fn unsubscribed(streams: &[StreamId], message: &str) -> Encoded {
    let text = push("notice", |w| {
        w.text("code", "unsubscribed");
        w.text("message", message);
        w.array("streams", streams, |w, stream| w.item(stream.as_str()));
    });
    Encoded { body: WireBody::Text(text), class: Class::Reply, source: NO_SOURCE }
}

/// The reply to `subscribe`.
pub(crate) fn subscribed(w: &mut Writer, streams: &[Subscribed]) {
    w.array("streams", streams, |w, one| {
        w.object(|w| {
            w.text("stream", one.stream.as_str());
            w.number("seq", one.seq);
            w.text("epoch", &one.epoch);
            match &one.snapshot {
                Some(StreamSnapshot::Latest(event)) => {
                    if let Data::Json(data) = &event.data {
                        w.raw("snapshot", data);
                    }
                }
                Some(StreamSnapshot::Log(events)) => w.array("snapshot", events, |w, event| {
                    w.object(|w| {
                        w.number("seq", event.seq);
                        if let Data::Json(data) = &event.data {
                            w.raw("data", data);
                        }
                        w.number("ts", event.ts.0);
                    });
                }),
                None => {}
            }
            w.if_some("replayed", one.replayed, Writer::flag);
            if let Some(age) = one.stale {
                w.object_in("stale", |w| stale(w, age));
            }
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::pattern::Pattern;
    use std::sync::Arc;

    fn told(data: Data, form: Form) -> Encoded {
        let stream = StreamId::parse("sensor:1").unwrap();
        let mut declaration = Declaration::new(Pattern::parse("sensor:{id}").unwrap());
        declaration.kind = Some("reading".into());
        let of_stream = StreamEvent { seq: 258, ts: Timestamp(1_763_618_400_123), data, id: None };
        event(&stream, &declaration, &of_stream, 256, form, 7)
    }

    #[test]
    fn an_event_has_its_place_and_the_one_before() {
        let WireBody::Text(text) = told(Data::Json("{\"t\": 1.50}".into()), Form::Envelope).body
        else {
            panic!("JSON goes as text")
        };
        assert_eq!(
            text,
            "{\"type\":\"event\",\"payload\":{\"stream\":\"sensor:1\",\"seq\":258,\"prev\":256,\
             \"data\":{\"t\": 1.50},\"ts\":1763618400123}}"
        );
    }

    #[test]
    fn who_speaks_nothing_gets_type_data_and_time() {
        let WireBody::Text(text) = told(Data::Json("7".into()), Form::Plain).body else {
            panic!("JSON goes as text")
        };
        assert_eq!(text, r#"{"type":"reading","data":7,"timestamp":"2025-11-20T06:00:00.123Z"}"#);
    }

    #[test]
    fn bytes_come_behind_the_name_and_the_number() {
        let data = || Data::Binary(Arc::from(&b"\x00\xff"[..]));
        let WireBody::Binary(bytes) = told(data(), Form::Envelope).body else { panic!("bytes") };
        assert_eq!(bytes, b"\x08sensor:1\0\0\0\0\0\0\x01\x02\x00\xff");
        let WireBody::Binary(bytes) = told(data(), Form::Plain).body else { panic!("bytes") };
        assert_eq!(bytes, b"\x00\xff");
    }
}
