//! What holds for a connection: `hello`, messages, refusals, presence, coming back.

use super::session::Session;
use super::talker::{Talker, has, must};
use serde_json::{Value, json};

/// So many entries come while one is away.
const MISSED: u64 = 3;
/// More are not sent at once.
const BURST_MAX: u64 = 10_000;

pub(super) fn hello(session: &mut Session) -> Result<(), String> {
    let members = [
        "protocol",
        "server",
        "connection",
        "epoch",
        "ts",
        "user",
        "http",
        "heartbeat_ms",
        "limits",
        "durability",
        "presence",
        "rooms",
        "invites",
    ];
    has(&session.ada.hello, &members)?;
    has(&session.ada.hello["user"], &["id", "name", "admin"])?;
    has(&session.ada.hello["http"], &["events", "call"])?;
    has(&session.ada.hello["limits"], &["message_bytes", "text_bytes", "cid_bytes", "page"])?;
    must(session.ada.hello["protocol"] == 1, || "the protocol is not 1".to_owned())?;
    let connections = (&session.ada.hello["connection"], &session.bob.hello["connection"]);
    must(connections.0 != connections.1, || "two connections have one name".to_owned())
}

pub(super) fn ping(session: &mut Session) -> Result<(), String> {
    let ts = |talker: &mut Talker| talker.ask("ping", json!({})).map(|pong| pong["ts"].as_i64());
    let (first, second) = (ts(&mut session.ada)?, ts(&mut session.ada)?);
    must(first.is_some() && first <= second, || format!("ts is {first:?}, then {second:?}"))
}

pub(super) fn info(session: &mut Session) -> Result<(), String> {
    let info = session.ada.ask("info", json!({}))?;
    has(
        &info,
        &["protocol", "epoch", "rooms", "limits", "uptime_ms", "counts", "types", "streams"],
    )?;
    has(&info["counts"], &["connections", "rooms"])?;
    must(info["epoch"] == session.ada.hello["epoch"], || {
        "the epoch is not that of hello".to_owned()
    })
}

pub(super) fn ids(session: &mut Session) -> Result<(), String> {
    for id in [json!("a \"string\""), json!(0), json!(-9_007_199_254_740_991_i64)] {
        session.ada.send_text(&json!({"type": "ping", "id": id}).to_string())?;
        session.ada.answer(&id)?;
    }
    Ok(())
}

pub(super) fn without_id(session: &mut Session) -> Result<(), String> {
    session.ada.send_text(r#"{"type":"ping"}"#)?;
    session.ada.send_text(r#"{"type":"ping","id":"behind"}"#)?;
    // Replies that nobody waits for are passed over, but not one without an id.
    let behind = session.ada.answer(&json!("behind"))?;
    session.ada.no_push("reply", |_| true)?;
    must(behind["type"] == "reply", || format!("the next request is answered with {behind}"))
}

/// The next error that answers no request.
fn error_without_id(talker: &mut Talker) -> Result<Value, String> {
    talker.push("error", |_| true)
}

pub(super) fn bad_json(session: &mut Session) -> Result<(), String> {
    session.ada.send_text("{\"type\":")?;
    let error = error_without_id(&mut session.ada)?;
    must(error["code"] == "bad_json", || format!("the error is {error}"))?;
    ping(session)
}

pub(super) fn unknown_type(session: &mut Session) -> Result<(), String> {
    session.ada.refused("check:nobody-knows-this", json!({}), &["unknown_type"]).map(drop)
}

pub(super) fn bad_request(session: &mut Session) -> Result<(), String> {
    session.ada.refused("chat:send", json!({"text": "to nowhere"}), &["bad_request"])?;
    let error =
        session.ada.refused("room:join", json!({"room": "with spaces"}), &["bad_request"])?;
    must(error["field"] == "room", || format!("the field is not named in {error}"))
}

pub(super) fn bytes(session: &mut Session) -> Result<(), String> {
    session.ada.send_bytes(b"bytes")?;
    // Not more often than once a second.
    let error = error_without_id(&mut session.ada)?;
    must(error["code"] == "bad_request", || format!("the error is {error}"))
}

pub(super) fn unknown_members(session: &mut Session) -> Result<(), String> {
    session.ada.ask("ping", json!({"nobody": "knows this"})).map(drop)
}

pub(super) fn no_admin(session: &mut Session) -> Result<(), String> {
    if session.bob.hello["user"]["admin"] == true {
        return session.leave_open("the second user is an admin");
    }
    let me = session.bob.user();
    let requests = [
        ("auth:revoke", json!({"user": me})),
        ("admin:add", json!({"room": "nowhere", "user": me})),
        ("admin:connections", json!({})),
        ("admin:disconnect", json!({"user": me})),
        ("admin:push", json!({"user": me, "type": "app:check", "payload": {}})),
        ("admin:pause", json!({"stream": "nowhere"})),
        ("admin:resume", json!({"stream": "nowhere"})),
        ("admin:user", json!({"user": me})),
        ("admin:users", json!({})),
    ];
    for (kind, payload) in requests {
        session.bob.refused(kind, payload, &["forbidden"])?;
    }
    Ok(())
}

pub(super) fn presence(session: &mut Session) -> Result<(), String> {
    if session.ada.hello["presence"] == "off" {
        return session.ada.refused("presence:list", json!({}), &["forbidden"]).map(drop);
    }
    let bob = session.bob.user();
    let listed = session.ada.ask("presence:list", json!({"room": session.room}))?;
    has(&listed, &["users", "version", "more"])?;
    let users = listed["users"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = users.iter().find(|one| one["user"] == *bob);
    has(
        found.ok_or_else(|| format!("{bob} is not in {listed}"))?,
        &["name", "connections", "since"],
    )
}

pub(super) fn resume(session: &mut Session) -> Result<(), String> {
    let room = session.room.clone();
    let head = session.bob.ask("room:info", json!({"room": room}))?["head"].as_u64();
    let head = head.ok_or("the room has no head")?;
    let epoch = session.bob.hello["epoch"].clone();
    session.bob.close();
    for number in 0..MISSED {
        let text = format!("missed {number}");
        session.ada.ask("chat:send", json!({"room": room, "text": text}))?;
    }
    session.bob = session.visitors.connect(1, "resume=1")?;
    let positions = json!({"epoch": epoch, "rooms": {&room: head}});
    let resumed = session.bob.ask("resume", positions)?;
    let goes_on = &resumed["rooms"][&room];
    must(goes_on["from"] == head && goes_on["head"] == head + MISSED, || {
        format!("the room goes on with {goes_on}; expected from {head} to {}", head + MISSED)
    })?;
    for seq in head + 1..=head + MISSED {
        let entry = session.bob.push("chat:message", |one| one["room"] == room)?;
        must(entry["seq"] == seq, || format!("expected {seq}, and {entry} came"))?;
    }
    session.bob.no_push("chat:message", |one| one["room"] == room)
}

pub(super) fn resume_refused(session: &mut Session) -> Result<(), String> {
    let epoch = session.bob.hello["epoch"].clone();
    let mut talker = session.visitors.connect(1, "resume=1")?;
    let nowhere = format!("{}-nowhere", session.room);
    let room = &session.room;
    let positions = json!({"epoch": epoch, "rooms": {room: 9_999_999, &nowhere: 1}});
    let refused = talker.ask("resume", positions)?["refused"].clone();
    let code = |room: &str| refused[room]["code"].clone();
    must(code(&nowhere) == "not_member" && code(room) == "gone", || {
        format!("refused are {refused}; expected not_member and gone")
    })?;
    talker.refused("resume", json!({"epoch": epoch, "rooms": {}}), &["conflict"])?;
    talker.close();
    let mut talker = session.visitors.connect(1, "resume=1")?;
    let positions = json!({"epoch": "another life", "rooms": {room: 1}});
    let refused = talker.ask("resume", positions)?["refused"].clone();
    must(refused[room]["code"] == "epoch_changed", || {
        format!("refused are {refused}; expected epoch_changed")
    })?;
    talker.close();
    Ok(())
}

pub(super) fn rate(session: &mut Session) -> Result<(), String> {
    let mut talker = session.visitors.connect(1, "")?;
    let Some(burst) = talker.hello["limits"]["burst"].as_u64() else {
        return session.leave_open("there is no rate");
    };
    let count = 2 * burst;
    if count > BURST_MAX {
        talker.close();
        return session.leave_open("the burst is too large to be tried");
    }
    for id in 0..count {
        talker.send_text(&json!({"type": "ping", "id": id}).to_string())?;
    }
    let mut limited = 0;
    for id in 0..count {
        let answer = talker.answer(&json!(id))?;
        if answer["type"] == "error" {
            let error = &answer["payload"];
            must(error["code"] == "rate_limited" && error["retry_after_ms"].is_u64(), || {
                format!("refused with {error}")
            })?;
            limited += 1;
        }
    }
    talker.close();
    must(limited > 0, || format!("{count} requests at once, twice the burst, are all answered"))
}
