//! Rooms: made, joined, led, left.

use super::session::Session;
use super::talker::{has, must};
use serde_json::json;

pub(super) fn create(session: &mut Session) -> Result<(), String> {
    let room = session.room.clone();
    let made = session.ada.ask("room:create", json!({"room": room, "title": "A check"}))?;
    has(&made, &["room", "title", "open", "members", "head", "read", "unread"])?;
    let is_right = made["room"] == *room && made["title"] == "A check" && made["open"] == false;
    must(is_right && made["members"] == 1, || format!("the room is {made}"))?;
    let joined = session.ada.push("room:joined", |one| one["room"] == *room)?;
    must(joined["seq"] == 1 && joined["user"] == *session.ada.user(), || {
        format!("its first entry is {joined}")
    })?;
    session.ada.refused("room:create", json!({"room": room}), &["conflict"])?;
    session.ada.refused("room:create", json!({"room": "dm:x:y"}), &["forbidden"]).map(drop)
}

pub(super) fn not_member(session: &mut Session) -> Result<(), String> {
    let (room, nowhere) = (session.room.clone(), format!("{}-nowhere", session.room));
    let admins = ["not_member", "no_such_room"];
    for room in [&room, &nowhere] {
        let requests = [
            ("chat:send", json!({"room": room, "text": "?"})),
            ("chat:history", json!({"room": room})),
            ("chat:read", json!({"room": room, "seq": 1})),
            ("room:members", json!({"room": room})),
        ];
        for (kind, payload) in requests {
            session.bob.refused(kind, payload, &admins)?;
        }
    }
    session.bob.refused("room:join", json!({"room": room}), &["not_member"]).map(drop)
}

pub(super) fn invite(session: &mut Session) -> Result<(), String> {
    let (room, bob) = (session.room.clone(), session.bob.user());
    session.ada.ask("room:invite", json!({"room": room, "user": bob}))?;
    let invited = session.bob.push("room:invited", |one| one["room"] == *room)?;
    must(invited["by"] == *session.ada.user(), || format!("the invitation is {invited}"))?;
    let joined = session.bob.ask("room:join", json!({"room": room}))?;
    must(joined["members"] == 2, || format!("the room is {joined}"))?;
    for talker in [&mut session.ada, &mut session.bob] {
        let entry =
            talker.push("room:joined", |one| one["room"] == *room && one["user"] == *bob)?;
        must(entry["seq"] == 2, || format!("the entry is {entry}"))?;
    }
    session.bob.refused("room:invite", json!({"room": room, "user": "x"}), &["forbidden"]).map(drop)
}

pub(super) fn update(session: &mut Session) -> Result<(), String> {
    let room = session.room.clone();
    let change = json!({"room": room, "title": "Checked"});
    let changed = session.ada.ask("room:update", change.clone())?;
    must(changed["title"] == "Checked", || format!("the room is {changed}"))?;
    for talker in [&mut session.ada, &mut session.bob] {
        let told = talker.push("room:updated", |one| one["room"] == *room)?;
        must(told["title"] == "Checked" && told["open"] == false, || format!("told is {told}"))?;
    }
    session.bob.refused("room:update", change, &["forbidden"]).map(drop)
}

pub(super) fn members(session: &mut Session) -> Result<(), String> {
    let (room, mut after, mut users) = (session.room.clone(), None, Vec::new());
    loop {
        let page = json!({"room": room, "after": after, "limit": 1});
        let page = session.bob.ask("room:members", page)?;
        let members = page["members"].as_array().cloned().unwrap_or_default();
        must(members.len() <= 1, || format!("a page of one has more: {page}"))?;
        for member in members {
            has(&member, &["user", "name", "role", "read", "delivered"])?;
            after = member["user"].as_str().map(str::to_owned);
            users.push((member["user"].clone(), member["role"].clone()));
        }
        if page["more"] != true || users.len() > 2 {
            break;
        }
    }
    let mut wanted =
        [(json!(session.ada.user()), json!("owner")), (json!(session.bob.user()), json!("member"))];
    wanted.sort_by_key(|(user, _)| user.to_string());
    must(users == wanted, || format!("the members are {users:?}"))
}

pub(super) fn list(session: &mut Session) -> Result<(), String> {
    let listed = session.bob.ask("room:list", json!({"limit": 200}))?;
    has(&listed, &["rooms", "more"])?;
    let rooms = listed["rooms"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = rooms.iter().any(|one| one["room"] == *session.room);
    must(found || listed["more"] == true, || format!("{} is not in {listed}", session.room))
}

pub(super) fn open(session: &mut Session) -> Result<(), String> {
    let room = format!("{}-open", session.room);
    session.ada.ask("room:create", json!({"room": room, "open": true}))?;
    session.bob.ask("room:join", json!({"room": room}))?;
    // Who is in it stays in it.
    let again = session.bob.ask("room:join", json!({"room": room}))?;
    must(again["members"] == 2, || format!("the room is {again}"))?;
    session.ada.ask("room:delete", json!({"room": room})).map(drop)
}

/// Bob comes into the room, where he was not.
fn come_back(session: &mut Session) -> Result<(), String> {
    let (room, bob) = (session.room.clone(), session.bob.user());
    session.ada.ask("room:invite", json!({"room": room, "user": bob}))?;
    session.bob.ask("room:join", json!({"room": room})).map(drop)
}

pub(super) fn remove(session: &mut Session) -> Result<(), String> {
    let (room, bob) = (session.room.clone(), session.bob.user());
    session.ada.ask("room:remove", json!({"room": room, "user": bob}))?;
    let told = session.bob.push("room:removed", |one| one["room"] == *room)?;
    must(told["reason"] == "removed", || format!("told is {told}"))?;
    session.bob.refused(
        "chat:send",
        json!({"room": room, "text": "?"}),
        &["not_member", "no_such_room"],
    )?;
    session.ada.refused("room:remove", json!({"room": room, "user": bob}), &["no_such_user"])?;
    come_back(session)
}

pub(super) fn ban(session: &mut Session) -> Result<(), String> {
    let (room, bob) = (session.room.clone(), session.bob.user());
    let who = json!({"room": room, "user": bob});
    session.ada.ask("room:ban", who.clone())?;
    let told = session.bob.push("room:removed", |one| one["room"] == *room)?;
    must(told["reason"] == "banned", || format!("told is {told}"))?;
    session.bob.refused("room:join", json!({"room": room}), &["not_member", "forbidden"])?;
    session.ada.refused("room:invite", who.clone(), &["conflict"])?;
    session.ada.ask("room:unban", who)?;
    come_back(session)
}

pub(super) fn leave(session: &mut Session) -> Result<(), String> {
    let room = session.room.clone();
    session.bob.ask("room:leave", json!({"room": room}))?;
    let told = session.bob.push("room:removed", |one| one["room"] == *room)?;
    must(told["reason"] == "left", || format!("told is {told}"))?;
    session
        .ada
        .push("room:left", |one| one["room"] == *room && one["user"] == *session.bob.user())?;
    session.ada.ask("chat:send", json!({"room": room, "text": "alone"}))?;
    session.bob.no_push("chat:message", |one| one["room"] == *room && one["text"] == "alone")
}

pub(super) fn delete(session: &mut Session) -> Result<(), String> {
    come_back(session)?;
    let room = session.room.clone();
    session.bob.refused("room:delete", json!({"room": room}), &["forbidden"])?;
    session.ada.ask("room:delete", json!({"room": room}))?;
    let told = session.bob.push("room:removed", |one| one["room"] == *room)?;
    must(told["reason"] == "deleted", || format!("told is {told}"))?;
    session.ada.refused("chat:history", json!({"room": room}), &["not_member", "no_such_room"])?;
    session.ada.refused("room:create", json!({"room": room}), &["conflict"]).map(drop)
}
