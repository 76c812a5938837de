//! Messages: sent, repeated, changed, read.

use super::session::Session;
use super::talker::{has, must};
use serde_json::{Value, json};

/// Sends a text; gives the reply.
fn said(session: &mut Session, text: &str, cid: &str) -> Result<Value, String> {
    let message = json!({"room": session.room, "text": text, "cid": cid});
    session.ada.ask("chat:send", message)
}

pub(super) fn send(session: &mut Session) -> Result<(), String> {
    let room = session.room.clone();
    let mut last = None;
    for number in 0..3 {
        let (text, cid) = (format!("message {number} \u{1f375}"), format!("send-{number}"));
        let reply = said(session, &text, &cid)?;
        has(&reply, &["room", "seq", "ts"])?;
        let seq = reply["seq"].as_u64().ok_or_else(|| format!("no seq in {reply}"))?;
        must(last.is_none_or(|last| seq == last + 1), || format!("{seq} follows {last:?}"))?;
        last = Some(seq);
        let ada = session.ada.user();
        for (talker, has_cid) in [(&mut session.ada, true), (&mut session.bob, false)] {
            let entry =
                talker.push("chat:message", |one| one["room"] == *room && one["seq"] == seq)?;
            let is_right =
                entry["text"] == *text && entry["from"] == *ada && entry["ts"] == reply["ts"];
            must(is_right, || format!("the entry is {entry}"))?;
            must((entry["cid"] == *cid) == has_cid, || {
                format!("the cid is for its author's connections alone: {entry}")
            })?;
        }
    }
    Ok(())
}

pub(super) fn repeat(session: &mut Session) -> Result<(), String> {
    let first = said(session, "once", "repeat")?;
    let second = said(session, "once", "repeat")?;
    let is_same = first["seq"] == second["seq"] && first["ts"] == second["ts"];
    must(is_same && second["duplicate"] == true, || format!("first {first}, then {second}"))?;
    let (room, seq) = (session.room.clone(), first["seq"].clone());
    session.bob.push("chat:message", |one| one["room"] == *room && one["seq"] == seq)?;
    session.bob.no_push("chat:message", |one| one["room"] == *room && one["text"] == "once")
}

pub(super) fn mismatch(session: &mut Session) -> Result<(), String> {
    said(session, "one text", "mismatch")?;
    let other = json!({"room": session.room, "text": "another text", "cid": "mismatch"});
    session.ada.refused("chat:send", other, &["duplicate_mismatch"]).map(drop)
}

pub(super) fn reply(session: &mut Session) -> Result<(), String> {
    let room = session.room.clone();
    let seq = said(session, "a question", "reply-1")?["seq"].clone();
    let answer = json!({"room": room, "text": "an answer", "reply_to": seq});
    session.bob.ask("chat:send", answer)?;
    session.ada.push("chat:message", |one| one["room"] == *room && one["reply_to"] == seq)?;
    let nowhere = json!({"room": room, "text": "an answer", "reply_to": 9_999_999});
    session.bob.refused("chat:send", nowhere, &["no_such_message"]).map(drop)
}

pub(super) fn data(session: &mut Session) -> Result<(), String> {
    let (room, data) =
        (session.room.clone(), json!({"a": [1, 2.5, null, true, "\u{e9}"], "b": {}}));
    session.ada.ask("chat:send", json!({"room": room, "text": "", "data": data}))?;
    session.bob.push("chat:message", |one| one["room"] == *room && one["data"] == data).map(drop)
}

pub(super) fn too_large(session: &mut Session) -> Result<(), String> {
    let most = session.ada.hello["limits"]["text_bytes"].as_u64().unwrap_or_default();
    let most = usize::try_from(most).unwrap_or_default();
    let whole = session.ada.hello["limits"]["message_bytes"].as_u64().unwrap_or_default();
    // A message over its own limit would end the connection.
    if most as u64 + 1_024 > whole {
        return session.leave_open("limits.text_bytes is as large as limits.message_bytes");
    }
    let long = json!({"room": session.room, "text": "x".repeat(most + 1)});
    let error = session.ada.refused("chat:send", long, &["too_large"])?;
    must(error["field"] == "text" && error["limit"] == most, || format!("the error is {error}"))
}

pub(super) fn edit(session: &mut Session) -> Result<(), String> {
    let room = session.room.clone();
    let seq = said(session, "wrong", "edit")?["seq"].clone();
    let change = json!({"room": room, "seq": seq, "text": "right"});
    session.ada.ask("chat:edit", change.clone())?;
    for talker in [&mut session.ada, &mut session.bob] {
        let entry =
            talker.push("chat:edited", |one| one["room"] == *room && one["target"] == seq)?;
        must(entry["text"] == "right", || format!("the entry is {entry}"))?;
    }
    let again = session.ada.ask("chat:edit", change.clone())?;
    must(again["duplicate"] == true, || format!("the same change again is {again}"))?;
    session.bob.refused("chat:edit", change, &["forbidden"])?;
    let nowhere = json!({"room": room, "seq": 9_999_999, "text": "?"});
    session.ada.refused("chat:edit", nowhere, &["no_such_message"]).map(drop)
}

pub(super) fn react(session: &mut Session) -> Result<(), String> {
    let room = session.room.clone();
    let seq = said(session, "nice", "react")?["seq"].clone();
    for on in [true, false] {
        let reaction = json!({"room": room, "seq": seq, "emoji": "\u{1f375}", "on": on});
        session.bob.ask("chat:react", reaction.clone())?;
        let entry =
            session.ada.push("chat:reacted", |one| one["target"] == seq && one["on"] == on)?;
        must(entry["by"] == *session.bob.user(), || format!("the entry is {entry}"))?;
        let again = session.bob.ask("chat:react", reaction)?;
        must(again["duplicate"] == true, || format!("the same again is {again}"))?;
    }
    Ok(())
}

pub(super) fn delete(session: &mut Session) -> Result<(), String> {
    let room = session.room.clone();
    let seq = said(session, "nobody reads this", "delete")?["seq"].clone();
    let which = json!({"room": room, "seq": seq});
    session.bob.refused("chat:delete", which.clone(), &["forbidden"])?;
    session.ada.ask("chat:delete", which)?;
    session.bob.push("chat:deleted", |one| one["room"] == *room && one["target"] == seq)?;
    let change = json!({"room": room, "seq": seq, "text": "again"});
    session.ada.refused("chat:edit", change, &["no_such_message"])?;
    let before = seq.as_u64().unwrap_or_default();
    let page = json!({"room": room, "after": before.saturating_sub(1), "limit": 1});
    let page = session.bob.ask("chat:history", page)?;
    let shown = &page["entries"][0]["payload"];
    let is_gone = shown["deleted"] == true && shown.get("text").is_none();
    must(is_gone, || format!("the history shows {shown}"))
}

pub(super) fn history(session: &mut Session) -> Result<(), String> {
    let room = session.room.clone();
    let head = session.bob.ask("chat:history", json!({"room": room, "limit": 1}))?["head"].as_u64();
    let head = head.ok_or("a page has no head")?;
    let (mut last, mut pages) = (0, 0);
    loop {
        let page = json!({"room": room, "after": last, "limit": 5});
        let page = session.bob.ask("chat:history", page)?;
        has(&page, &["entries", "head", "more"])?;
        for entry in page["entries"].as_array().map(Vec::as_slice).unwrap_or_default() {
            let seq = entry["payload"]["seq"].as_u64().unwrap_or_default();
            must(seq == last + 1, || format!("{seq} follows {last}"))?;
            last = seq;
        }
        pages += 1;
        if page["more"] != true || pages > head {
            break;
        }
    }
    must(last == head, || format!("the log goes up to {head}, and its pages to {last}"))?;
    let page = json!({"room": room, "before": head, "limit": 2});
    let page = session.bob.ask("chat:history", page)?;
    let seqs: Vec<Option<u64>> = page["entries"]
        .as_array()
        .map(|entries| entries.iter().map(|one| one["payload"]["seq"].as_u64()).collect())
        .unwrap_or_default();
    must(seqs == [head.checked_sub(2), head.checked_sub(1)], || {
        format!("before {head} are {seqs:?}")
    })
}

pub(super) fn typing(session: &mut Session) -> Result<(), String> {
    let (room, bob) = (session.room.clone(), session.bob.user());
    for typing in [true, false] {
        session.bob.ask("chat:typing", json!({"room": room, "typing": typing}))?;
        session.ada.push("chat:typing", |one| {
            one["room"] == *room && one["user"] == *bob && one["typing"] == typing
        })?;
    }
    session.bob.no_push("chat:typing", |one| one["user"] == *bob)
}

pub(super) fn read(session: &mut Session) -> Result<(), String> {
    let (room, bob) = (session.room.clone(), session.bob.user());
    let seq = said(session, "to be read", "read")?["seq"].clone();
    let before = session.bob.ask("room:info", json!({"room": room}))?;
    must(before["unread"].as_u64() > Some(0), || format!("nothing is unread in {before}"))?;
    let marked = session.bob.ask("chat:read", json!({"room": room, "seq": seq}))?;
    must(marked["seq"] == seq && marked["unread"] == 0, || format!("the mark is {marked}"))?;
    session.ada.push("chat:read", |one| one["user"] == *bob && one["seq"] == seq)?;
    let back = session.bob.ask("chat:read", json!({"room": room, "seq": 1}))?;
    must(back["seq"] == seq, || format!("the mark moves back: {back}"))
}

pub(super) fn ack(session: &mut Session) -> Result<(), String> {
    let (room, bob) = (session.room.clone(), session.bob.user());
    let seq = said(session, "to be received", "ack")?["seq"].clone();
    session.bob.ask("chat:ack", json!({"rooms": {&room: seq, "nowhere": 1}}))?;
    session.ada.push("chat:delivered", |one| one["user"] == *bob && one["seq"] == seq).map(drop)
}

pub(super) fn direct(session: &mut Session) -> Result<(), String> {
    let (ada, bob) = (session.ada.user(), session.bob.user());
    let mut ids = [ada.as_str(), bob.as_str()];
    ids.sort_unstable();
    let room = format!("dm:{}", ids.join(":"));
    let text = format!("between us, {}", session.visitors.run);
    let reply = session.ada.ask("chat:send", json!({"to": bob, "text": text}))?;
    must(reply["room"] == *room, || format!("the room is not {room}: {reply}"))?;
    session.bob.push("chat:message", |one| one["room"] == *room && one["text"] == *text)?;
    session.ada.refused("chat:send", json!({"to": ada, "text": "?"}), &["bad_request"])?;
    session.ada.refused("room:leave", json!({"room": room}), &["forbidden"]).map(drop)
}
