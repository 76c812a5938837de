//! Streams: of those that are declared, one that both may use.

use super::session::Session;
use super::talker::{has, must};
use serde_json::{Value, json};

const NOBODY: &str = "check-nobody-declares-this";

pub(super) fn undeclared(session: &mut Session) -> Result<(), String> {
    session.ada.refused("subscribe", json!({"stream": NOBODY}), &["no_such_stream"])?;
    let nothing = json!({"stream": NOBODY, "data": {}});
    session.ada.refused("publish", nothing, &["no_such_stream"])?;
    session.ada.refused("stream:get", json!({"stream": NOBODY}), &["no_such_stream"])?;
    session.ada.refused(
        "stream:ack",
        json!({"stream": NOBODY, "seq": 1}),
        &["conflict", "no_such_stream"],
    )?;
    has(&session.ada.ask("stream:list", json!({}))?, &["streams", "more"])
}

/// A stream to which Ada may publish and which Bob may watch, with JSON.
fn shared(session: &mut Session) -> Result<Option<String>, String> {
    let may = |info: &Value, what: &str| -> Vec<String> {
        let streams = info["streams"].as_array().map(Vec::as_slice).unwrap_or_default();
        let allowed = streams.iter().filter(|one| one[what] == true && one["binary"] != true);
        allowed.filter_map(|one| one["stream"].as_str().map(str::to_owned)).collect()
    };
    let published = may(&session.ada.ask("info", json!({}))?, "publish");
    let watched = may(&session.bob.ask("info", json!({}))?, "subscribe");
    let both = published.into_iter().find(|name| watched.contains(name));
    // A family has as many streams as there are names for its star.
    Ok(both.map(|name| name.replace('*', &format!("check-{}", session.visitors.run))))
}

pub(super) fn watch(session: &mut Session) -> Result<(), String> {
    let Some(stream) = shared(session)? else {
        return session.leave_open(
            "there is no stream to which one may publish and which the other may watch",
        );
    };
    let watching = session.bob.ask("subscribe", json!({"stream": stream}))?;
    has(&watching["streams"][0], &["stream", "seq", "epoch"])?;
    let data = json!({"check": session.visitors.run});
    let published = json!({"stream": stream, "data": data, "id": session.visitors.run});
    let reply = session.ada.ask("publish", published.clone())?;
    let again = session.ada.ask("publish", published)?;
    must(again["seq"] == reply["seq"] && again["duplicate"] == true, || {
        format!("first {reply}, and again {again}")
    })?;
    let event = session.bob.push("event", |one| one["stream"] == *stream && one["data"] == data)?;
    must(event["seq"] == reply["seq"], || format!("{reply} came as {event}"))?;
    has(&event, &["seq", "prev", "ts"])?;
    session.bob.ask("unsubscribe", json!({"stream": stream}))?;
    session.ada.ask("publish", json!({"stream": stream, "data": {"check": "unheard"}}))?;
    session.bob.no_push("event", |one| one["data"]["check"] == "unheard")
}
