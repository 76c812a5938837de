//! Parses requests about streams.

use super::filter::filter;
use super::json::tree;
use super::request::{Envelope, Fault, Fields, bad_name, connection, within};
use crate::base::filter::Filter;
use crate::base::limits::{FILTER_BYTES_MAX, STREAM_RATE_MAX};
use crate::base::subscription::{Ask, StreamQuery};
use crate::base::{Data, Limits, StreamId};
use std::borrow::Cow;
use std::sync::Arc;

#[derive(Debug)]
pub(crate) enum StreamRequest {
    Subscribe(Vec<Ask>),
    Unsubscribe(Vec<StreamId>),
    Publish(StreamId, Data, Option<Arc<str>>),
    Ack(StreamId, u64),
    Query(StreamQuery),
}

/// Parses a request; `Ok(None)` if it is not about streams.
pub(crate) fn stream_request(
    envelope: &Envelope<'_>,
    fields: &Fields<'_, '_>,
) -> Result<Option<StreamRequest>, Fault> {
    Ok(Some(match envelope.kind.as_ref() {
        "subscribe" => StreamRequest::Subscribe(asks(fields)?),
        "unsubscribe" => StreamRequest::Unsubscribe(streams(fields)?.0),
        "publish" => {
            let data = fields.payload.get("data");
            let data = data.ok_or(Fault::needed("data"))?;
            StreamRequest::Publish(stream(fields)?, Data::Json(data.into()), fields.own_id("id")?)
        }
        "stream:list" => StreamRequest::Query(StreamQuery::List {
            after: fields.name("after", StreamId::parse)?,
            limit: fields.limit()?,
        }),
        "stream:get" => StreamRequest::Query(StreamQuery::Newest(stream(fields)?)),
        "stream:subscribers" => StreamRequest::Query(StreamQuery::Subscribers {
            stream: stream(fields)?,
            after: connection(fields, "after")?,
            limit: fields.limit()?,
        }),
        "stream:ack" => StreamRequest::Ack(stream(fields)?, fields.needed_number("seq")?),
        _ => return Ok(None),
    }))
}

fn stream(fields: &Fields<'_, '_>) -> Result<StreamId, Fault> {
    let stream = fields.name("stream", StreamId::parse)?;
    stream.ok_or(Fault::needed("stream"))
}

/// The named streams, each once, and whether the request has `stream` instead of a list.
fn streams(fields: &Fields<'_, '_>) -> Result<(Vec<StreamId>, bool), Fault> {
    let Some(raw) = fields.given("streams") else {
        return Ok((vec![stream(fields)?], true));
    };
    if fields.payload.get("stream").is_some() {
        return Err(Fault::bad_request("streams", "it is about one stream or about several"));
    }
    let names: Vec<Cow<'_, str>> = serde_json::from_str(raw)
        .map_err(|_| Fault::bad_request("streams", "this is a list of names of streams"))?;
    let streams = named_streams(&names, fields.limits)?;
    if streams.is_empty() {
        return Err(Fault::bad_request("streams", "this has a name at least"));
    }
    Ok((streams, false))
}

/// The streams of these names, each once.
pub(crate) fn named_streams(
    names: &[impl AsRef<str>],
    limits: &Limits,
) -> Result<Vec<StreamId>, Fault> {
    within("streams", names.len(), limits.subscriptions as usize)?;
    let mut streams: Vec<StreamId> = Vec::with_capacity(names.len());
    for name in names {
        let stream = StreamId::parse(name.as_ref()).map_err(|error| bad_name("streams", error))?;
        if !streams.contains(&stream) {
            streams.push(stream);
        }
    }
    Ok(streams)
}

/// What of the events is asked for, as JSON; `null` is all.
pub(crate) fn asked_filter(
    raw: Option<&str>,
    limits: &Limits,
) -> Result<Option<Arc<Filter>>, Fault> {
    let Some(raw) = raw.filter(|raw| *raw != "null") else { return Ok(None) };
    within("filter", raw.len(), FILTER_BYTES_MAX)?;
    let read = tree(raw).ok_or(Fault::bad_request("filter", "a number is too large"))?;
    Ok(Some(Arc::new(filter(read, limits)?)))
}

/// How many events a second are asked for at most.
pub(crate) fn asked_rate(rate: Option<u64>) -> Result<Option<u32>, Fault> {
    let Some(rate) = rate else { return Ok(None) };
    let rate = u32::try_from(rate).ok().filter(|rate| (1..=STREAM_RATE_MAX).contains(rate));
    let message = "this is a number of events a second, from 1 to 1,000";
    rate.map(Some).ok_or(Fault::bad_request("max_rate", message))
}

fn asks(fields: &Fields<'_, '_>) -> Result<Vec<Ask>, Fault> {
    let (streams, is_one) = streams(fields)?;
    let filter = asked_filter(fields.payload.get("filter"), fields.limits)?;
    let max_rate = asked_rate(fields.number("max_rate")?)?;
    let (since, epoch) = (fields.number("since")?, fields.text("epoch")?);
    if since.is_some() && !is_one {
        return Err(Fault::bad_request("since", "this is a position in one stream"));
    }
    if epoch.is_some() && since.is_none() {
        return Err(Fault::bad_request("epoch", "this is the epoch of a position, since"));
    }
    let ask = |stream| Ask {
        stream,
        filter: filter.clone(),
        max_rate,
        since,
        epoch: epoch.as_deref().map(Box::from),
    };
    Ok(streams.into_iter().map(ask).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Limits, RefusalCode, Timestamp};

    fn request(text: &str) -> Result<StreamRequest, Fault> {
        let limits = Limits::default();
        let envelope = Envelope::parse(text).map_err(|(_, fault)| fault)?;
        let fields = envelope.fields(&limits, Timestamp(0));
        stream_request(&envelope, &fields).map(Option::unwrap)
    }

    fn fault(kind: &str, payload: &str) -> (&'static str, Option<&'static str>) {
        let text = format!(r#"{{"type":"{kind}","payload":{payload}}}"#);
        let fault = request(&text).unwrap_err();
        (fault.code.as_str(), fault.field)
    }

    #[test]
    fn one_stream_is_asked_for_with_all_that_may_be_said() {
        let text = r#"{"type":"subscribe","payload":{"stream":"s","filter":{"/a":1},"max_rate":30,
            "since":7,"epoch":"e"}}"#;
        let Ok(StreamRequest::Subscribe(asks)) = request(text) else { panic!("no subscription") };
        assert_eq!((asks.len(), asks[0].stream.as_str()), (1, "s"));
        assert_eq!((asks[0].max_rate, asks[0].since), (Some(30), Some(7)));
        assert_eq!(asks[0].epoch.as_deref(), Some("e"));
        assert!(asks[0].filter.is_some());
        let text = r#"{"type":"unsubscribe","payload":{"streams":["a","b","a"]}}"#;
        let Ok(StreamRequest::Unsubscribe(streams)) = request(text) else { panic!("not read") };
        assert_eq!(streams.iter().map(StreamId::as_str).collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_filter_has_so_many_bytes() {
        let of = |bytes| {
            let filter = format!(r#"{{"/a":"{}"}}"#, "x".repeat(bytes));
            request(&format!(
                r#"{{"type":"subscribe","payload":{{"stream":"s","filter":{filter}}}}}"#
            ))
        };
        assert!(of(4_000).is_ok());
        let fault = of(4_096).unwrap_err();
        assert_eq!(
            (fault.code, fault.field, fault.limit),
            (RefusalCode::TooLarge, Some("filter"), Some(4_096))
        );
    }

    #[test]
    fn each_member_is_checked() {
        for (payload, field) in [
            ("{}", "stream"),
            (r#"{"stream":"a b"}"#, "stream"),
            (r#"{"stream":"a","streams":["b"]}"#, "streams"),
            (r#"{"streams":"a"}"#, "streams"),
            (r#"{"streams":[]}"#, "streams"),
            (r#"{"streams":["a b"]}"#, "streams"),
            (r#"{"stream":"a","filter":[]}"#, "filter"),
            (r#"{"stream":"a","max_rate":0}"#, "max_rate"),
            (r#"{"stream":"a","max_rate":1001}"#, "max_rate"),
            (r#"{"stream":"a","max_rate":1.5}"#, "max_rate"),
            (r#"{"stream":"a","since":-1}"#, "since"),
            (r#"{"streams":["a","b"],"since":1}"#, "since"),
            (r#"{"stream":"a","epoch":"e"}"#, "epoch"),
        ] {
            assert_eq!(fault("subscribe", payload), ("bad_request", Some(field)), "{payload}");
        }
        assert_eq!(fault("publish", r#"{"stream":"a"}"#), ("bad_request", Some("data")));
        assert_eq!(fault("publish", r#"{"data":1}"#), ("bad_request", Some("stream")));
        let named =
            |id: String| fault("publish", &format!(r#"{{"stream":"a","data":1,"id":{id}}}"#));
        assert_eq!(named("1".into()), ("bad_request", Some("id")));
        assert_eq!(named(r#""""#.into()), ("bad_request", Some("id")));
        assert_eq!(named(format!(r#""{}""#, "i".repeat(65))), ("too_large", Some("id")));
        assert_eq!(fault("stream:ack", r#"{"stream":"a"}"#), ("bad_request", Some("seq")));
    }
}
