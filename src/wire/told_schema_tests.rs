//! The replies and pushes of `docs/wire.schema.json`: what the writers write of samples, each as full and as empty as it may
//! be. What is in all samples is always there; no list of members is written down here.
//!
//! Texts of samples have a `0`, and so do the names of members that are data. Texts without are the writers' own.

use super::encode::{self, WireBody, notice};
use super::entry::entry;
use super::error::{ErrorDetail, ErrorReply};
use super::json::{Writer, object};
use super::server_encode::{
    self as server, ConnectionInfo, HelloInfo, InfoMore, QualityInfo, SourceInfo,
};
use super::stream_encode::{self, Usable};
use super::types::TYPES;
use crate::base::answer::{
    InviteInfo, MemberInfo, NotResumed, PresenceInfo, Resumed, RoomPage, RoomSummary,
};
use crate::base::declaration::{Declaration, Keep};
use crate::base::pattern::Pattern;
use crate::base::subscription::{
    Form, Stale, StreamInfo, StreamSnapshot, Subscribed, SubscriberInfo,
};
use crate::base::{
    Answer, Body, Changes, ConnId, Data, Entry, EntryKind, Limits, Notice, RefusalCode, RoomId,
    StreamEvent, StreamId, Timestamp, UserId,
};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const TS: Timestamp = Timestamp(1_763_618_400_000);
/// Any JSON.
const DATA: &str = r#"["any JSON"]"#;

fn ada() -> UserId {
    UserId::parse("ada0").unwrap()
}

fn bob() -> UserId {
    UserId::parse("bob0").unwrap()
}

fn tea() -> RoomId {
    RoomId::parse("tea0").unwrap()
}

fn state() -> StreamId {
    StreamId::parse("state0").unwrap()
}

fn conn() -> ConnId {
    ConnId::new(10, 0)
}

fn of(write: impl FnOnce(&mut Writer)) -> Value {
    serde_json::from_str(&object(write)).unwrap()
}

/// The payload of a message.
fn payload_of(text: &str) -> Value {
    serde_json::from_str::<Value>(text).unwrap()["payload"].take()
}

fn answered(answer: &Answer) -> Value {
    of(|w| encode::answer(w, answer))
}

fn pushed(told: &Notice) -> Value {
    let WireBody::Text(text) = notice(told).body else { panic!("not of text") };
    payload_of(&text)
}

fn has_zero(text: &str) -> bool {
    text.contains('0')
}

/// Schemas that others refer to, and the schema of values.
#[derive(Default)]
struct Shapes {
    named: Vec<(&'static str, Value)>,
}

impl Shapes {
    fn name(&mut self, name: &'static str, samples: &[Value]) {
        let shape = self.of(samples);
        assert!(shape["properties"].is_object(), "{name}: {shape}");
        self.named.push((name, shape));
    }

    /// One of several shapes, or the only one.
    fn of_ways(&self, ways: &[Vec<Value>]) -> Value {
        let mut shapes: Vec<Value> = ways.iter().map(|samples| self.of(samples)).collect();
        if shapes.len() == 1 { shapes.remove(0) } else { json!({"oneOf": shapes}) }
    }

    fn of(&self, samples: &[Value]) -> Value {
        let any: Value = serde_json::from_str(DATA).unwrap();
        if samples.contains(&any) {
            return json!({});
        }
        let mut kinds = Vec::new();
        let texts: BTreeSet<&str> = samples.iter().filter_map(Value::as_str).collect();
        if texts.iter().any(|text| has_zero(text) || text.contains(' ')) {
            kinds.push(json!({"type": "string"}));
        } else if texts.len() == 1 {
            kinds.push(json!({"const": texts.first()}));
        } else if !texts.is_empty() {
            kinds.push(json!({"enum": texts}));
        }
        let flags: BTreeSet<bool> = samples.iter().filter_map(Value::as_bool).collect();
        match flags.len() {
            0 => {}
            1 => kinds.push(json!({"const": flags.first()})),
            _ => kinds.push(json!({"type": "boolean"})),
        }
        let mut numbers = samples.iter().filter(|value| value.is_number()).peekable();
        if numbers.peek().is_some() {
            let is_whole = numbers.all(|number| number.is_i64() || number.is_u64());
            kinds.push(json!({"type": if is_whole { "integer" } else { "number" }}));
        }
        let lists: Vec<&Vec<Value>> = samples.iter().filter_map(Value::as_array).collect();
        if !lists.is_empty() {
            let items: Vec<Value> = lists.into_iter().flatten().cloned().collect();
            assert!(!items.is_empty(), "an empty list tells nothing: {samples:?}");
            kinds.push(json!({"type": "array", "items": self.of(&items)}));
        }
        let objects: Vec<&Map<String, Value>> =
            samples.iter().filter_map(Value::as_object).collect();
        if !objects.is_empty() {
            kinds.push(self.of_objects(&objects));
        }
        assert!(!kinds.is_empty(), "of none of these kinds: {samples:?}");
        if kinds.len() == 1 { kinds.remove(0) } else { json!({"anyOf": kinds}) }
    }

    fn of_objects(&self, objects: &[&Map<String, Value>]) -> Value {
        let mut values: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
        for (name, value) in objects.iter().flat_map(|object| object.iter()) {
            values.entry(name).or_default().push(value.clone());
        }
        if !values.is_empty() && values.keys().all(|name| has_zero(name)) {
            let all: Vec<Value> = values.into_values().flatten().collect();
            return json!({"type": "object", "additionalProperties": self.of(&all)});
        }
        if values.keys().eq([&"payload", &"type"]) {
            return json!({"$ref": "#/$defs/Entry"});
        }
        let always: Vec<&&str> = values
            .keys()
            .filter(|name| objects.iter().all(|one| one.contains_key(**name)))
            .collect();
        let mut shape = json!({"type": "object", "additionalProperties": false});
        if !always.is_empty() {
            shape["required"] = json!(always);
        }
        let properties: Map<String, Value> =
            values.iter().map(|(name, of)| ((*name).to_owned(), self.of(of))).collect();
        shape["properties"] = Value::Object(properties);
        let known = self.named.iter().find(|(_, named)| *named == shape);
        known.map_or(shape, |(name, _)| json!({"$ref": format!("#/$defs/{name}")}))
    }
}

fn rooms() -> Vec<RoomSummary> {
    let room = |open, read| RoomSummary {
        room: tea(),
        title: "Tea 0".into(),
        open,
        members: 2,
        head: 7,
        read,
    };
    vec![room(true, Some((5, 1))), room(false, None)]
}

fn members() -> Vec<MemberInfo> {
    let member = |online, owner| MemberInfo {
        user: ada(),
        name: None,
        online,
        owner,
        read: 5,
        delivered: 7,
    };
    vec![member(Some(true), true), member(Some(false), false), member(None, false)]
}

fn people() -> Vec<PresenceInfo> {
    vec![PresenceInfo { user: ada(), name: None, connections: 1, since: TS }]
}

fn invites() -> Vec<InviteInfo> {
    vec![InviteInfo { room: tea(), title: "Tea 0".into(), by: bob() }]
}

fn declarations() -> Vec<Declaration> {
    let declared = |keep, binary| {
        let mut declaration = Declaration::new(Pattern::parse("state0").unwrap());
        (declaration.keep, declaration.binary) = (keep, binary);
        declaration
    };
    vec![declared(Keep::Latest, false), declared(Keep::Log(5), true)]
}

fn event() -> Arc<StreamEvent> {
    Arc::new(StreamEvent { seq: 7, ts: TS, data: Data::Json(DATA.into()), id: None })
}

fn bytes() -> Arc<StreamEvent> {
    let data = Data::Binary(Arc::from(&b"\0"[..]));
    Arc::new(StreamEvent { seq: 7, ts: TS, data, id: None })
}

fn streams() -> Vec<StreamInfo> {
    let info = |declaration, epoch: Option<&str>, newest| StreamInfo {
        stream: state(),
        declaration: Arc::new(declaration),
        seq: 7,
        epoch: epoch.map(Arc::from),
        newest,
        subscribers: 1,
    };
    let mut declared = declarations().into_iter();
    let mut next = || declared.next().unwrap();
    vec![info(next(), Some("epoch 0"), Some(event())), info(next(), None, None)]
}

/// What all get of a stream, and what admins get.
fn streams_told(write: fn(&mut Writer, &StreamInfo)) -> Vec<Value> {
    let source =
        |state, declared, error| SourceInfo { state, declared, failures: 1, refused: 0, error };
    let sources = [
        source("running", Some("state0"), Some("error 0")),
        source("paused", None, None),
        source("open", None, None),
        source("half-open", None, None),
    ];
    let all = streams();
    let of_all = all.iter().map(|info| of(|w| write(w, info)));
    let of_admins = sources.iter().map(|source| {
        of(|w| {
            write(w, &all[0]);
            server::for_admins(w, Some(10), Some(source));
        })
    });
    of_all.chain(of_admins).collect()
}

fn page(member: &str, items: &[Value]) -> Vec<Value> {
    [true, false].map(|more| json!({member: items, "more": more})).into()
}

fn limits() -> [Limits; 2] {
    let none = Limits {
        messages_per_minute: 0,
        user_requests_per_second: 0,
        user_work_per_second: 0,
        bytes_per_second: 0,
        ..Limits::default()
    };
    let all = Limits {
        messages_per_minute: 1,
        user_requests_per_second: 1,
        user_work_per_second: 1,
        bytes_per_second: 1,
        ..Limits::default()
    };
    [all, none]
}

/// What is said of the server to somebody: to an admin with all limits, a guest, a user.
fn greeted(at: usize, connection: Option<ConnId>, more: Option<&InfoMore<'_>>) -> Value {
    let limits = limits();
    let greeting = HelloInfo {
        server: "parlor/0",
        connection,
        epoch: "epoch 0",
        ts: TS,
        user: &ada(),
        name: None,
        is_admin: at == 0,
        is_guest: at == 1,
        http: ("/0", "/0"),
        heartbeat_ms: 25_000,
        limits: &limits[at.min(1)],
        is_durable: at == 0,
        presence: ["everyone", "rooms", "off"][at],
        rooms: &RoomPage { rooms: rooms(), more: at == 0 },
        invites: &invites(),
    };
    of(|w| {
        server::greeting(w, &greeting);
        if let Some(more) = more {
            server::more(w, more);
        }
    })
}

fn infos() -> Vec<Value> {
    let declared = declarations();
    let usable =
        |at: usize| Usable { declaration: &declared[at], watch: at == 0, publish: at == 1 };
    let streams = [usable(0), usable(1)];
    let more = |online, waiting| InfoMore {
        types: &["type 0"],
        streams: &streams,
        uptime_ms: 1,
        connections: 1,
        online,
        rooms: 1,
        waiting,
    };
    vec![
        greeted(0, Some(conn()), Some(&more(Some(1), Some((1, 1))))),
        greeted(1, None, Some(&more(None, None))),
        greeted(2, None, Some(&more(None, None))),
    ]
}

fn connections() -> Vec<Value> {
    let ada = ada();
    let connection = |at: usize, quality| ConnectionInfo {
        conn: conn(),
        user: &ada,
        is_admin: at == 0,
        is_events: at == 0,
        stream: (at == 0).then_some("state0"),
        address: (at == 0).then(|| "10.0.0.1".to_owned()),
        waiting_bytes: 0,
        messages: (1, 1),
        bytes: (1, 1),
        errors: 0,
        drops: 0,
        quality,
    };
    let quality = |level| QualityInfo {
        level,
        round_trip_ms: 7.5,
        min_ms: 7,
        mean_ms: 7.5,
        max_ms: 8,
        jitter_ms: 0.5,
        stability: 99,
    };
    let levels = ["excellent", "good", "fair", "poor", "critical"];
    let mut all: Vec<_> = levels.map(|level| connection(1, Some(quality(level)))).into();
    all.push(connection(0, None));
    let all: Vec<_> = all.iter().map(|one| (one.conn, server::connection(one))).collect();
    [true, false].map(|more| of(|w| server::connections(w, &all, more))).into()
}

fn entries() -> Vec<(&'static str, Vec<Vec<EntryKind>>)> {
    let message = |data: Option<&str>, reply_to, cid: Option<&str>, changes: Option<Changes>| {
        EntryKind::Message {
            from: ada(),
            body: Box::new(Body { text: "words 0".into(), data: data.map(Into::into), reply_to }),
            cid: cid.map(Into::into),
            changes: changes.map(Box::new),
        }
    };
    let changed = |deleted| Changes {
        edited: Some(8),
        deleted,
        reactions: vec![("+0".into(), vec![ada(), bob()])],
    };
    let deleted = || Changes { deleted: Some(9), ..Changes::default() };
    let edited =
        |text: Option<&str>| EntryKind::Edited { target: 1, text: text.map(Into::into), by: ada() };
    let reacted = |on| EntryKind::Reacted { target: 1, emoji: "+0".into(), on, by: ada() };
    vec![
        (
            "chat:message",
            vec![
                vec![
                    message(Some(DATA), Some(1), Some("cid 0"), Some(changed(None))),
                    message(None, None, None, None),
                ],
                vec![
                    message(Some(DATA), Some(1), Some("cid 0"), Some(changed(Some(9)))),
                    message(None, None, None, Some(deleted())),
                ],
            ],
        ),
        ("chat:edited", vec![vec![edited(Some("words 0"))], vec![edited(None)]]),
        ("chat:deleted", vec![vec![EntryKind::Deleted { target: 1, by: ada() }]]),
        ("chat:reacted", vec![vec![reacted(true), reacted(false)]]),
        (
            "room:joined",
            vec![vec![
                EntryKind::Joined { user: ada(), by: Some(bob()) },
                EntryKind::Joined { user: ada(), by: None },
            ]],
        ),
        (
            "room:left",
            vec![vec![
                EntryKind::Left { user: ada(), by: Some(bob()) },
                EntryKind::Left { user: ada(), by: None },
            ]],
        ),
    ]
}

fn logged(kind: EntryKind) -> Entry {
    Entry { room: tea(), seq: 7, ts: TS, kind }
}

fn stored(to_answer: fn(bool) -> Answer) -> Vec<Value> {
    [true, false].map(|duplicate| answered(&to_answer(duplicate))).into()
}

fn sent(duplicate: bool) -> Answer {
    Answer::Sent { room: tea(), seq: 7, ts: TS, duplicate }
}

fn published(duplicate: bool) -> Answer {
    Answer::Published { stream: state(), seq: 7, ts: TS, duplicate }
}

fn subscriptions() -> Vec<Subscribed> {
    let subscribed = |snapshot, replayed, stale| Subscribed {
        stream: state(),
        seq: 7,
        epoch: "epoch 0".into(),
        position: 7,
        snapshot,
        replayed,
        stale,
    };
    let stale = Stale { since: TS, age_ms: 1 };
    vec![
        subscribed(Some(StreamSnapshot::Latest(event())), Some(true), Some(stale)),
        subscribed(Some(StreamSnapshot::Log(vec![event(), bytes()])), Some(false), None),
        subscribed(None, None, None),
    ]
}

fn resumed() -> Answer {
    let refused = |code, kept| NotResumed { room: tea(), code, kept };
    let other = RoomId::parse("attic0").unwrap();
    let gone = NotResumed { room: other, code: RefusalCode::Gone, kept: Some((3, 7)) };
    let refused = vec![refused(RefusalCode::NotMember, None), gone];
    Answer::Resumed(Resumed { rooms: vec![(tea(), 5, 7)], refused })
}

/// With the other codes that there are: of another life of the store, and of a room that an earlier piece named.
fn resumed_in_another_life() -> Answer {
    let other = RoomId::parse("attic0").unwrap();
    let refused = |room, code| NotResumed { room, code, kept: Some((3, 7)) };
    let refused =
        vec![refused(tea(), RefusalCode::EpochChanged), refused(other, RefusalCode::Conflict)];
    Answer::Resumed(Resumed { rooms: vec![(tea(), 5, 7)], refused })
}

fn histories() -> Vec<Value> {
    let entries = entries().into_iter().flat_map(|(_, ways)| ways.into_iter().flatten());
    let entries: Vec<Arc<Entry>> = entries.map(|kind| Arc::new(logged(kind))).collect();
    let page = |more| Answer::History {
        room: tea(),
        entries: entries.clone(),
        asker: ada(),
        head: 7,
        more,
    };
    [true, false].map(|more| answered(&page(more))).into()
}

fn done(user: Option<UserId>) -> Vec<Value> {
    vec![answered(&Answer::Done { room: tea(), user })]
}

/// What a reply to each request is made of.
fn replies() -> Vec<(&'static str, Vec<Value>)> {
    let room: Vec<Value> = rooms().into_iter().map(|room| answered(&Answer::Room(room))).collect();
    let created = rooms().into_iter().zip([vec![ada()], Vec::new()]);
    let both = [true, false];
    let read = Answer::Read { room: tea(), seq: 7, unread: 1 };
    let users = |more| of(|w| server::users(w, &people(), more));
    let known = PresenceInfo { user: ada(), name: None, connections: 1, since: TS };
    let subscribers = || {
        let one = |acked| SubscriberInfo { conn: conn(), sent: 7, acked, lag: 1 };
        vec![one(Some(5)), one(None)]
    };
    let watchers =
        |more| Answer::Subscribers { stream: state(), seq: 7, subscribers: subscribers(), more };
    vec![
        ("admin:connections", connections()),
        ("admin:disconnect auth:revoke", vec![of(|w| server::closed(w, 1))]),
        (
            "admin:pause admin:resume",
            ["running", "paused"].map(|state| of(|w| server::paused(w, "state0", state))).to_vec(),
        ),
        ("admin:push", vec![of(|w| server::reached(w, 1))]),
        (
            "admin:user",
            vec![
                of(|w| server::known_user(w, &known, &[conn()])),
                of(|w| server::known_user(w, &known, &[])),
            ],
        ),
        ("admin:users", both.map(users).to_vec()),
        ("auth", [Some(TS), None].map(|end| of(|w| server::signed_in(w, &ada(), end))).to_vec()),
        ("chat:ack chat:typing stream:ack", vec![answered(&Answer::Noted)]),
        ("chat:delete chat:edit chat:react chat:send", stored(sent)),
        ("chat:history", histories()),
        ("chat:read", vec![answered(&read)]),
        ("info", infos()),
        ("ping", vec![of(|w| server::pong(w, TS))]),
        (
            "presence:list",
            both.map(|more| answered(&Answer::Presence { users: people(), version: 1, more }))
                .to_vec(),
        ),
        ("publish", stored(published)),
        ("resume", vec![answered(&resumed()), answered(&resumed_in_another_life())]),
        ("room:ban room:invite room:remove room:unban", done(Some(bob()))),
        (
            "room:create",
            created
                .map(|(room, invited)| answered(&Answer::Joined(room, invited)))
                .collect::<Vec<_>>(),
        ),
        ("room:delete room:leave", done(None)),
        ("admin:add room:info room:join room:update", room),
        ("room:list", both.map(|more| answered(&Answer::Rooms { rooms: rooms(), more })).to_vec()),
        (
            "room:members",
            both.map(|more| answered(&Answer::Members { members: members(), more })).to_vec(),
        ),
        ("stream:get", streams_told(stream_encode::newest)),
        ("stream:list", page("streams", &streams_told(stream_encode::info))),
        ("stream:subscribers", both.map(|more| answered(&watchers(more))).to_vec()),
        ("subscribe", vec![answered(&Answer::Subscribed(subscriptions()))]),
        ("unsubscribe", vec![answered(&Answer::Unsubscribed(vec![state()]))]),
    ]
}

/// Of each push what it is made of; several if it has several shapes.
type Pushes = Vec<(&'static str, Vec<Vec<Value>>)>;

fn in_one(samples: Vec<Notice>) -> Vec<Vec<Value>> {
    vec![samples.iter().map(pushed).collect()]
}

/// Entries of a room's log.
fn pushed_entries() -> Pushes {
    let told = |kind| payload_of(&entry(&logged(kind), true));
    let of_way = |way: Vec<EntryKind>| way.into_iter().map(told).collect::<Vec<_>>();
    let of_kind = |(kind, ways): (&'static str, Vec<Vec<EntryKind>>)| {
        (kind, ways.into_iter().map(of_way).collect::<Vec<_>>())
    };
    entries().into_iter().map(of_kind).collect()
}

/// Of rooms, and not in their logs.
fn pushed_of_rooms() -> Pushes {
    let source = 0;
    let here = || Some((tea(), 0));
    let online = |reset, room| Notice::Online { users: vec![ada()], version: 1, reset, room };
    let offline = |room| Notice::Offline { users: vec![ada()], version: 1, room };
    let count = |room| Notice::Count { online: 1, version: 1, again: false, room };
    let typing = |typing| Notice::Typing { room: tea(), user: ada(), typing, source };
    let updated = |open, who: Option<UserId>| Notice::Updated {
        room: tea(),
        title: "Tea 0".into(),
        open,
        owner: who.clone(),
        by: who,
        source,
    };
    let removed = |reason, by| Notice::Removed { room: tea(), by, reason };
    let reasons = ["removed", "banned", "deleted"].map(|reason| removed(reason, Some(ada())));
    let removals = reasons.into_iter().chain([removed("left", None)]).collect();
    let read = Notice::Read { room: tea(), user: ada(), seq: 7, source };
    let delivered = Notice::Delivered { room: tea(), user: ada(), seq: 7, source };
    vec![
        ("room:updated", in_one(vec![updated(true, Some(ada())), updated(false, None)])),
        ("chat:read", in_one(vec![read])),
        ("chat:delivered", in_one(vec![delivered])),
        ("chat:typing", in_one(vec![typing(true), typing(false)])),
        ("room:removed", in_one(removals)),
        ("room:invited", in_one(invites().into_iter().map(Notice::Invited).collect())),
        ("user:online", in_one(vec![online(true, here()), online(false, None)])),
        ("user:offline", in_one(vec![offline(here()), offline(None)])),
        ("user:count", in_one(vec![count(here()), count(None)])),
    ]
}

fn pushed_of_streams() -> Pushes {
    let declaration = || Arc::new(declarations().remove(0));
    let age = |age| Notice::Age {
        stream: state(),
        declaration: declaration(),
        age,
        at: TS,
        form: Form::Envelope,
        source: 0,
    };
    let event = Notice::Event {
        stream: state(),
        declaration: declaration(),
        event: event(),
        prev: 6,
        form: Form::Envelope,
        source: 0,
    };
    let stale = age(Some(Stale { since: TS, age_ms: 1 }));
    vec![
        ("event", in_one(vec![event])),
        ("stream:stale", vec![vec![pushed(&stale)], vec![pushed(&age(None))]]),
        ("subscribed", vec![vec![of(|w| stream_encode::subscribed(w, &subscriptions()))]]),
    ]
}

/// Of the server itself.
fn pushed_of_server() -> Pushes {
    let detail = ErrorDetail {
        field: Some("field 0".into()),
        limit: Some(1),
        retry_after_ms: Some(1),
        first: Some(1),
        count: Some(1),
        close: Some(4_001),
        is_by_application: true,
        data: Some(DATA.into()),
    };
    let error = |detail| {
        let error = ErrorReply { code: "code 0".into(), message: "words 0".into(), detail };
        payload_of(&error.to_message(None))
    };
    let unsubscribed = Notice::Unsubscribed { streams: vec![state()], message: "words 0" };
    let notices = [
        pushed(&unsubscribed),
        payload_of(&server::token_expiring(TS)),
        payload_of(&server::draining(1)),
    ];
    vec![
        ("notice", notices.map(|one| vec![one]).to_vec()),
        ("error", vec![vec![error(detail), error(ErrorDetail::default())]]),
        ("hello", vec![[0, 1, 2].map(|at| greeted(at, Some(conn()), None)).to_vec()]),
    ]
}

/// `$defs`, `replies` and `pushes`.
pub(super) fn told() -> [Map<String, Value>; 3] {
    let mut shapes = Shapes::default();
    let room: Vec<Value> = rooms().iter().map(|room| of(|w| encode::summary(w, room))).collect();
    shapes.name("Room", &room);
    let users: Vec<Value> = people().iter().map(|user| of(|w| encode::presence(w, user))).collect();
    shapes.name("Present", &users);
    let invited: Vec<Value> = invites().iter().map(|one| of(|w| encode::invite(w, one))).collect();
    shapes.name("Invitation", &invited);
    let list = answered(&Answer::Members { members: members(), more: false });
    shapes.name("Member", list["members"].as_array().unwrap());
    let list = answered(&Answer::Subscribed(subscriptions()));
    shapes.name("Subscription", list["streams"].as_array().unwrap());
    shapes.name("Limits", &limits().map(|limits| of(|w| encode::limits(w, &limits))));
    shapes.name("Stored", &stored(sent));
    shapes.name("Stream", &streams_told(stream_encode::info));
    let mut answers = Map::new();
    for (kinds, samples) in replies() {
        let shape = shapes.of(&samples);
        for kind in kinds.split(' ') {
            let before = answers.insert(kind.to_owned(), shape.clone());
            assert_eq!(before, None, "{kind}");
        }
    }
    assert!(TYPES.iter().eq(answers.keys().collect::<BTreeSet<_>>()), "{:?}", answers.keys());
    let pushes =
        [pushed_entries(), pushed_of_rooms(), pushed_of_streams(), pushed_of_server()].concat();
    let pushes: Map<String, Value> =
        pushes.iter().map(|(kind, ways)| ((*kind).to_owned(), shapes.of_ways(ways))).collect();
    let kinds: Vec<&str> = entries().iter().map(|(kind, _)| *kind).collect();
    let entry = json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["payload", "type"],
        "properties": {"payload": {"type": "object"}, "type": {"enum": kinds}},
    });
    let named = shapes.named.into_iter().chain([("Entry", entry)]);
    [named.map(|(name, shape)| (name.to_owned(), shape)).collect(), answers, pushes]
}

#[test]
fn what_is_in_all_samples_is_always_there() {
    let shapes = Shapes::default();
    let samples = [json!({"a": 1, "b": true, "c": "own"}), json!({"a": 2.5, "c": "text 0"})];
    assert_eq!(
        shapes.of(&samples),
        json!({
            "type": "object",
            "additionalProperties": false,
            "required": ["a", "c"],
            "properties": {"a": {"type": "number"}, "b": {"const": true}, "c": {"type": "string"}},
        })
    );
    let [_, replies, pushes] = told();
    assert_eq!(replies["room:join"], json!({"$ref": "#/$defs/Room"}));
    assert_eq!(replies["room:list"]["properties"]["rooms"]["items"], replies["room:join"]);
    assert_eq!(pushes["chat:message"]["oneOf"][1]["properties"]["deleted"], json!({"const": true}));
}
