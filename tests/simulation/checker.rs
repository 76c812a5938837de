//! Watches what everybody sees on the wire, and says when it cannot be right.
//!
//! It knows requests, answers and pushes, and from the [`Ledger`] when what was committed; it does
//! not know what the server thinks.

use super::ledger::Ledger;
use super::stream_checker::{Wanted, Watch};
use parlor::base::{Entry, EntryKind};
use parlor::hub::{Retention, Scope};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What was asked, as far as the answer is judged by it.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) what: What,
    pub(crate) room: String,
    /// One's read mark there is at least this.
    pub(crate) floor: u64,
    /// When, in ms.
    pub(crate) at: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Send {
        cid: String,
    },
    Change,
    Join,
    History {
        after: Option<u64>,
        before: Option<u64>,
    },
    Resume {
        positions: BTreeMap<String, u64>,
        is_last: bool,
    },
    /// The rooms that the greeting has left out.
    Rooms,
    Read,
    Members,
    Presence,
    Create,
    Auth {
        jti: String,
    },
    Revoke {
        jti: String,
    },
    Subscribe {
        asks: Vec<Wanted>,
    },
    Unsubscribe {
        streams: Vec<String>,
    },
    Publish {
        number: u64,
        /// Whether the stream may take it.
        is_sound: bool,
    },
    /// Anything, with an `id`.
    Plain,
    /// Anything, with an `id` or without.
    Other,
}

/// Of a room, on one connection: which entry may be pushed next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Follow {
    From(u64),
    /// One of two, as a join's answer may come before or behind one's own entry.
    Either(u64, u64),
    /// Nothing before the `resume`; the head that was told.
    Waiting(u64),
    Refused,
    /// A membership that was to end, and may go on somewhere.
    Open,
    /// The greeting has left it out: it goes on from the head that it had then.
    Unlisted,
}

/// What one connection has been told.
#[derive(Debug, Default)]
pub(crate) struct Session {
    pub(crate) user: String,
    follows: BTreeMap<String, Follow>,
    is_resuming: bool,
    pub(crate) asked: BTreeMap<u64, Asked>,
    answered: BTreeSet<u64>,
    version: u64,
    marks: BTreeMap<(String, String), u64>,
    floors: BTreeMap<String, u64>,
    pub(crate) is_greeted: bool,
    /// Where a greeting has not listed all rooms: the last that it has, and when it left the server.
    unlisted: Option<(String, u64)>,
    /// The streams that it watches, as it was answered.
    pub(crate) watches: BTreeMap<String, Watch>,
    /// What rooms are like, as it was told, and which of their states that is.
    pub(crate) states: BTreeMap<String, ((String, bool), usize)>,
    /// Of which life of the server the connection is.
    pub(crate) life: u64,
}

/// What an entry says for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fact {
    kind: String,
    who: String,
    details: Vec<Value>,
    ts: i64,
}

#[derive(Debug)]
struct Said {
    /// Under one `cid`; the first one, unless that is kept no more.
    texts: Vec<String>,
    seq: Option<u64>,
    repeats: u64,
}

/// What all connections together have been told.
#[derive(Debug)]
pub(crate) struct Checker {
    kept: Retention,
    scope: Scope,
    facts: BTreeMap<String, BTreeMap<u64, Fact>>,
    /// Texts of messages as they were sent, and of edits.
    texts: BTreeMap<String, BTreeMap<u64, String>>,
    said: BTreeMap<(String, String, String), Said>,
    acked: BTreeMap<(String, u64), String>,
    /// The furthest read marks that anybody was told.
    marks: BTreeMap<(String, String), u64>,
    pub(crate) repeats: u64,
}

/// The codes of `docs/protocol.md`: of refusals, and of errors that close.
const REFUSALS: &[&str] = &[
    "bad_json",
    "bad_request",
    "unknown_type",
    "unauthorized",
    "forbidden",
    "not_member",
    "no_such_room",
    "no_such_user",
    "no_such_message",
    "no_such_stream",
    "too_large",
    "quota",
    "conflict",
    "duplicate_mismatch",
    "gone",
    "rate_limited",
    "unavailable",
    "overloaded",
    "internal",
];
const CLOSES: &[(&str, u64)] = &[
    ("bad_client", 4000),
    ("unauthorized", 4001),
    ("auth_timeout", 4002),
    ("too_many", 4004),
    ("slow", 4101),
    ("rate", 4103),
    ("overloaded", 4104),
    ("token_expired", 4200),
    ("token_revoked", 4201),
];

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

fn number(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_else(|| panic!("no {name} in {value}"))
}

impl Session {
    pub(crate) fn new(user: &str, resumes: bool, checker: &Checker) -> Session {
        let of_user = checker.marks.iter().filter(|((_, of), _)| of == user);
        Session {
            user: user.to_owned(),
            is_resuming: resumes,
            floors: of_user.map(|((room, _), seq)| (room.clone(), *seq)).collect(),
            ..Session::default()
        }
    }

    /// A request leaves the client.
    pub(crate) fn asks(&mut self, id: u64, asked: Asked) {
        self.asked.insert(id, asked);
    }

    /// The request that a reply or an error answers, if it names one.
    pub(crate) fn answered(&mut self, message: &Value) -> Option<(u64, Asked)> {
        if message.get("id").is_none() {
            assert_eq!(text(message, "type"), "error", "an answer to nobody");
            return None;
        }
        let id = number(message, "id");
        assert!(self.answered.insert(id), "request {id} was answered twice");
        let asked = self.asked.remove(&id);
        Some((id, asked.unwrap_or_else(|| panic!("nobody asked {id}"))))
    }

    /// Whether the greeting may have left a room out, as there were too many.
    fn may_be_unlisted(&self, room: &str) -> bool {
        self.unlisted.as_ref().is_some_and(|(last, _)| room > last.as_str())
    }

    /// Whether nothing of a room may be told. One who follows from an entry that is still on its way
    /// hears of others before.
    fn is_silent(&self, room: &str) -> bool {
        match self.follows.get(room) {
            Some(Follow::Waiting(_) | Follow::Unlisted) => self.is_resuming,
            Some(Follow::Refused) => true,
            _ => false,
        }
    }

    /// The rooms of which it knows that they are its user's.
    pub(crate) fn rooms(&self) -> BTreeSet<&str> {
        self.follows.keys().map(String::as_str).collect()
    }

    pub(crate) fn is_refused(&self, room: &str) -> bool {
        self.follows.get(room) == Some(&Follow::Refused)
    }
}

impl Checker {
    pub(crate) fn new(kept: Retention, scope: Scope) -> Checker {
        Checker {
            kept,
            scope,
            facts: BTreeMap::new(),
            texts: BTreeMap::new(),
            said: BTreeMap::new(),
            acked: BTreeMap::new(),
            marks: BTreeMap::new(),
            repeats: 0,
        }
    }

    pub(crate) fn says(&mut self, user: &str, room: &str, cid: &str, text: &str) {
        let key = (user.to_owned(), room.to_owned(), cid.to_owned());
        let said = self.said.entry(key);
        let said = said.or_insert(Said { texts: Vec::new(), seq: None, repeats: 0 });
        if !said.texts.iter().any(|known| known == text) {
            said.texts.push(text.to_owned());
        }
    }

    pub(crate) fn floor(&self, room: &str, user: &str) -> u64 {
        self.marks.get(&(room.to_owned(), user.to_owned())).copied().unwrap_or(0)
    }

    fn mark(&mut self, room: &str, user: &str, seq: u64) {
        let mark = self.marks.entry((room.to_owned(), user.to_owned())).or_insert(0);
        *mark = (*mark).max(seq);
    }

    /// The first push of a connection.
    pub(crate) fn greeted(
        &mut self,
        ledger: &Ledger,
        session: &mut Session,
        payload: &Value,
        turn: u64,
    ) {
        assert!(!session.is_greeted, "greeted twice");
        session.is_greeted = true;
        session.unlisted = payload["after"].as_str().map(|last| (last.to_owned(), turn));
        for room in payload["rooms"].as_array().expect("a list of rooms") {
            let (name, head) = (text(room, "room"), number(room, "head"));
            let follow =
                if session.is_resuming { Follow::Waiting(head) } else { Follow::From(head + 1) };
            session.follows.insert(name.to_owned(), follow);
            self.state(ledger, session, room, turn);
            let (read, floor) = (number(room, "read"), session.floors.get(name).copied());
            let floor = floor.unwrap_or(0);
            assert!(read >= floor, "the read mark of {name} went from {floor} back to {read}");
            self.mark(name, &session.user, read);
        }
    }

    /// A page of the rooms that a greeting has not listed; the head of each is as of now.
    pub(crate) fn listed(
        &mut self,
        ledger: &Ledger,
        session: &mut Session,
        payload: &Value,
        turn: u64,
    ) {
        for room in payload["rooms"].as_array().expect("a list of rooms") {
            let name = text(room, "room");
            session.follows.entry(name.to_owned()).or_insert(Follow::Unlisted);
            self.state(ledger, session, room, turn);
            self.mark(name, &session.user, number(room, "read"));
        }
    }

    /// An entry, pushed or in a history; `turn` is when it left the server.
    fn entry(&mut self, ledger: &Ledger, session: &Session, message: &Value, turn: u64) {
        let (kind, payload) = (text(message, "type"), &message["payload"]);
        let (room, seq) = (text(payload, "room"), number(payload, "seq"));
        let heard = ledger.heard_at(room, seq);
        assert!(
            heard.is_some_and(|heard| heard <= turn),
            "{room} {seq} left in turn {turn}, and was committed in {heard:?}"
        );
        let who = ["from", "by", "user"].iter().find_map(|name| payload[*name].as_str());
        let who = match kind {
            "room:joined" | "room:left" => payload["user"].as_str(),
            _ => who,
        };
        let who = who.unwrap_or_else(|| panic!("nobody is in {message}"));
        let details: &[&str] = match kind {
            "chat:reacted" => &["target", "emoji", "on"],
            "chat:edited" | "chat:deleted" => &["target"],
            "chat:message" => &["reply_to"],
            _ => &["by"],
        };
        let ts = payload["ts"].as_i64().expect("a time");
        if let Some(known) = self.facts.get(room).and_then(|facts| facts.get(&seq)) {
            let is_same = known.kind == kind
                && known.who == who
                && known.ts == ts
                && details.iter().zip(&known.details).all(|(name, known)| payload[*name] == *known);
            assert!(is_same, "{room} {seq} is not the same for all: {known:?} and {message}");
        } else {
            let facts = self.facts.entry(room.to_owned()).or_default();
            let before = facts.range(..seq).next_back();
            assert!(
                before.is_none_or(|(_, one)| one.ts <= ts),
                "time goes back in {room} at {seq}"
            );
            let after = facts.range(seq + 1..).next();
            assert!(after.is_none_or(|(_, one)| ts <= one.ts), "time goes back in {room} at {seq}");
            let details = details.iter().map(|name| payload[*name].clone()).collect();
            let fact = Fact { kind: kind.to_owned(), who: who.to_owned(), details, ts };
            facts.insert(seq, fact);
        }
        self.texts(ledger, session, (kind, who), payload, room, seq);
    }

    fn texts(
        &mut self,
        ledger: &Ledger,
        session: &Session,
        (kind, who): (&str, &str),
        payload: &Value,
        room: &str,
        seq: u64,
    ) {
        let is_deleted = payload["deleted"] == Value::Bool(true);
        assert!(!(is_deleted && payload.get("text").is_some()), "a deleted text in {payload}");
        let version = match (kind, is_deleted) {
            ("chat:edited", false) => Some(seq),
            ("chat:message", false) => Some(payload["edited"].as_u64().unwrap_or(seq)),
            _ => None,
        };
        if let Some(version) = version {
            let said = text(payload, "text");
            match self.texts.get(room).and_then(|texts| texts.get(&version)) {
                Some(known) => assert_eq!(known, said, "{seq} of {room} as of {version}"),
                None => {
                    let texts = self.texts.entry(room.to_owned()).or_default();
                    texts.insert(version, said.to_owned());
                }
            }
        }
        if let Some(cid) = payload["cid"].as_str() {
            assert_eq!(who, session.user, "a cid is told to another: {payload}");
            self.stored(ledger, &session.user, room, cid, seq);
        }
    }

    /// What a program was told is what came.
    pub(crate) fn agrees(&self, entry: &Entry) {
        let (room, seq) = (entry.room.as_str(), entry.seq);
        let fact = self.facts.get(room).and_then(|facts| facts.get(&seq));
        let fact = fact.unwrap_or_else(|| panic!("{room} {seq} is told, and did not come"));
        let (kind, who, details) = match &entry.kind {
            EntryKind::Message { from, body, .. } => {
                ("chat:message", from, vec![json!(body.reply_to)])
            }
            EntryKind::Edited { target, by, .. } => ("chat:edited", by, vec![json!(target)]),
            EntryKind::Deleted { target, by } => ("chat:deleted", by, vec![json!(target)]),
            EntryKind::Reacted { target, emoji, on, by } => {
                ("chat:reacted", by, vec![json!(target), json!(&**emoji), json!(on)])
            }
            EntryKind::Joined { user, by } | EntryKind::Left { user, by } => {
                let is_joined = matches!(entry.kind, EntryKind::Joined { .. });
                let kind = if is_joined { "room:joined" } else { "room:left" };
                (kind, user, vec![json!(by.as_ref().map(|by| by.as_str()))])
            }
        };
        let (kind, who) = (kind.to_owned(), who.as_str().to_owned());
        assert_eq!(*fact, Fact { kind, who, details, ts: entry.ts.0 }, "{room} {seq}");
        let (text, version) = match &entry.kind {
            EntryKind::Message { body, changes, .. } => {
                let changes = changes.as_deref();
                if changes.is_some_and(|changes| changes.deleted.is_some()) {
                    return;
                }
                (&body.text, changes.and_then(|changes| changes.edited).unwrap_or(seq))
            }
            EntryKind::Edited { text: Some(text), .. } => (text, seq),
            _ => return,
        };
        let known = self.texts.get(room).and_then(|texts| texts.get(&version));
        assert_eq!(known.map(String::as_str), Some(&**text), "{room} {seq} as of {version}");
    }

    /// What a program was told to be acknowledged stands where the server says.
    pub(crate) fn is_stored(&self, user: &str, room: &str, cid: &str, seq: u64) {
        let key = (user.to_owned(), room.to_owned(), cid.to_owned());
        let known = self.said.get(&key).and_then(|said| said.seq);
        assert!(known >= Some(seq), "{cid} of {user} is acknowledged as {seq}, and is {known:?}");
    }

    /// A message stands at `seq`: nowhere else, then, unless one of two places is kept no more.
    fn stored(&mut self, ledger: &Ledger, user: &str, room: &str, cid: &str, seq: u64) {
        let key = (user.to_owned(), room.to_owned(), cid.to_owned());
        let said = self.said.get_mut(&key);
        let said = said.unwrap_or_else(|| panic!("nobody has said {cid} in {room}"));
        let known = *said.seq.get_or_insert(seq);
        let is_gone = known.min(seq) < ledger.first(room);
        assert!(known == seq || is_gone, "{cid} of {user} is twice in {room}: {known}, {seq}");
        said.seq = Some(known.max(seq));
    }

    /// An entry of a log is pushed.
    pub(crate) fn pushed(
        &mut self,
        ledger: &Ledger,
        session: &mut Session,
        message: &Value,
        turn: u64,
    ) {
        let payload = &message["payload"];
        let (room, seq) = (text(payload, "room"), number(payload, "seq"));
        self.entry(ledger, session, message, turn);
        assert!(
            ledger.may_be_told(room, &session.user, turn),
            "{room} {seq} left for {} in turn {turn}, who is no member",
            session.user
        );
        let is_own_join = message["type"] == "room:joined" && payload["user"] == session.user;
        let is_new_direct = room.starts_with("dm:") && seq == 1;
        match session.follows.get(room) {
            Some(Follow::From(next)) => {
                assert_eq!(seq, *next, "a hole or a repeat in {room}, or a wrong order");
            }
            Some(Follow::Either(one, other)) => {
                let is_it = seq == *one || seq == *other || is_own_join;
                assert!(is_it, "{room} goes on with {seq}");
            }
            Some(Follow::Open) if !session.is_resuming => {}
            Some(Follow::Waiting(from)) if !session.is_resuming => {
                assert_eq!(seq, from + 1, "a hole or a repeat in {room}");
            }
            Some(Follow::Waiting(_) | Follow::Refused | Follow::Open) => {
                panic!("{room} {seq} is pushed before it was asked for")
            }
            Some(Follow::Unlisted) | None
                if !session.is_resuming
                    && session.may_be_unlisted(room)
                    && !(is_own_join || is_new_direct) =>
            {
                let greeted = session.unlisted.as_ref().map_or(0, |(_, turn)| *turn);
                // That was decided when the greeting was made, which may have left later.
                let before = ledger.heard_at(room, seq - 1).unwrap_or(0);
                assert!(before <= greeted, "a hole in {room} before {seq}");
            }
            Some(Follow::Unlisted) | None => assert!(
                (is_own_join || is_new_direct) && !session.is_resuming,
                "{room} {seq} is pushed to {}, who does not follow it",
                session.user
            ),
        }
        match session.follows.get_mut(room) {
            Some(follow) => *follow = Follow::From(seq + 1),
            None => {
                session.follows.insert(room.to_owned(), Follow::From(seq + 1));
            }
        }
        if is_own_join {
            self.mark(room, &session.user, seq);
        }
    }

    /// What a room is like is told, in a push or an answer: nothing before its commit, nothing older than before.
    pub(crate) fn state(
        &mut self,
        ledger: &Ledger,
        session: &mut Session,
        payload: &Value,
        turn: u64,
    ) {
        let room = text(payload, "room");
        if room.starts_with("dm:") {
            return;
        }
        let state = (text(payload, "title").to_owned(), payload["open"] == Value::Bool(true));
        let from = session.states.get(room).map_or(0, |(_, place)| *place);
        let place = ledger.state(room, (&state.0, state.1), from, turn);
        let place = place.unwrap_or_else(|| {
            panic!("{payload} left in turn {turn}, and is no state of {room} from {from} on")
        });
        session.states.insert(room.to_owned(), (state, place));
    }

    /// A change of what a room is like is pushed.
    pub(crate) fn updated(
        &mut self,
        ledger: &Ledger,
        session: &mut Session,
        payload: &Value,
        turn: u64,
    ) {
        let room = text(payload, "room");
        assert!(!session.is_silent(room), "{payload} before {room} was asked for");
        assert!(
            ledger.may_be_told(room, &session.user, turn),
            "{payload} left for {} in turn {turn}, who is no member",
            session.user
        );
        self.state(ledger, session, payload, turn);
    }

    /// Something passing about a room is pushed: typing, marks.
    pub(crate) fn passing(
        &mut self,
        ledger: &Ledger,
        session: &mut Session,
        message: &Value,
        turn: u64,
    ) {
        let payload = &message["payload"];
        let (room, user) = (text(payload, "room"), text(payload, "user"));
        assert!(
            ledger.may_be_told(room, &session.user, turn),
            "{message} left for {} in turn {turn}, who is no member",
            session.user
        );
        assert!(!session.is_silent(room), "{message} before {room} was asked for");
        if message["type"] != "chat:typing" {
            let seq = number(payload, "seq");
            let heard = ledger.heard_at(room, seq);
            assert!(heard.is_some_and(|heard| heard <= turn), "{message} before its commit");
            if message["type"] == "chat:read" {
                let key = (room.to_owned(), user.to_owned());
                let before = session.marks.insert(key, seq).unwrap_or(0);
                assert!(seq > before, "{user}'s read mark in {room} went from {before} to {seq}");
                self.mark(room, user, seq);
            }
        } else {
            assert_ne!(user, session.user, "one's own typing");
        }
    }

    /// The end of a membership is told.
    pub(crate) fn removed(&mut self, session: &mut Session, payload: &Value) {
        let room = text(payload, "room");
        session.follows.remove(room);
        session.states.remove(room);
        session.marks.retain(|(of, _), _| of != room);
    }

    /// A change of presence is told.
    pub(crate) fn presence(
        &mut self,
        ledger: &Ledger,
        session: &mut Session,
        payload: &Value,
        turn: u64,
    ) {
        assert_ne!(self.scope, Scope::Off, "{payload} is told to {}", session.user);
        if let Some(room) = payload["room"].as_str() {
            assert_eq!(self.scope, Scope::Rooms);
            assert!(!session.is_silent(room), "{payload} before {room} was asked for");
            assert!(
                ledger.may_be_told(room, &session.user, turn),
                "{payload} left for {} in turn {turn}, who is no member",
                session.user
            );
        }
        let version = number(payload, "version");
        let is_reset = payload["reset"] == Value::Bool(true);
        let least = session.version + u64::from(!is_reset);
        assert!(version >= least, "presence went from {} to {version}", session.version);
        session.version = version;
    }

    /// Something was refused, or the connection is about to be closed.
    pub(crate) fn refused(payload: &Value) {
        let code = text(payload, "code");
        assert!(!text(payload, "message").is_empty(), "a refusal without a sentence: {payload}");
        match payload["close"].as_u64() {
            Some(close) => assert!(CLOSES.contains(&(code, close)), "{payload}"),
            None => assert!(REFUSALS.contains(&code), "{payload}"),
        }
        let is_later = ["rate_limited", "unavailable", "overloaded"].contains(&code)
            && !payload["close"].is_u64();
        assert_eq!(payload["retry_after_ms"].is_u64(), is_later, "{payload}");
    }

    /// A request was granted.
    pub(crate) fn granted(
        &mut self,
        ledger: &Ledger,
        session: &mut Session,
        asked: &Asked,
        payload: &Value,
        turn: u64,
    ) {
        let user = session.user.clone();
        let is_heard = |room: &str, seq: u64| {
            seq == 0 || ledger.heard_at(room, seq).is_some_and(|heard| heard <= turn)
        };
        match &asked.what {
            What::Send { cid } => {
                let (room, seq) = (text(payload, "room"), number(payload, "seq"));
                assert!(is_heard(room, seq), "answered before the commit: {payload}");
                self.stored(ledger, &user, room, cid, seq);
                if payload["duplicate"] == Value::Bool(true) {
                    self.repeats += 1;
                    let key = (user.clone(), room.to_owned(), cid.clone());
                    let said = self.said.get_mut(&key).expect("it was said");
                    said.repeats += 1;
                    assert!(
                        said.repeats <= ledger.good_repeats(room, &user, cid),
                        "the first result of {cid} was told to {user}, who is no member of {room}"
                    );
                }
                self.acked.insert((room.to_owned(), seq), cid.clone());
                self.mark(room, &user, seq);
            }
            What::Change => {
                let (room, seq) = (text(payload, "room"), number(payload, "seq"));
                assert!(is_heard(room, seq), "answered before the commit: {payload}");
            }
            What::Join => {
                let (room, head) = (text(payload, "room"), number(payload, "head"));
                assert!(is_heard(room, head), "answered before the commit: {payload}");
                self.state(ledger, session, payload, turn);
                let either = Follow::Either(head, head + 1);
                match session.follows.get(room) {
                    None if session.may_be_unlisted(room) => {
                        session.follows.insert(room.to_owned(), Follow::Unlisted);
                    }
                    None | Some(Follow::Open) => {
                        session.follows.insert(room.to_owned(), either);
                    }
                    Some(_) => {}
                }
            }
            What::History { after, before } => {
                self.history(ledger, session, payload, (*after, *before), turn);
            }
            What::Resume { positions, is_last } => {
                for (room, place) in payload["rooms"].as_object().expect("rooms") {
                    let from = number(place, "from");
                    assert_eq!(positions.get(room), Some(&from), "{room} goes on elsewhere");
                    assert!(is_heard(room, number(place, "head")), "resumed beyond the commit");
                    session.follows.insert(room.clone(), Follow::From(from + 1));
                }
                for (room, refusal) in payload["refused"].as_object().expect("refused") {
                    assert!(positions.contains_key(room), "{room} is refused, and was not named");
                    match refusal["code"].as_str() {
                        Some(code @ ("gone" | "epoch_changed")) => {
                            if code == "gone" {
                                let (first, head) =
                                    (number(refusal, "first"), number(refusal, "head"));
                                let is_gone = positions[room] + 1 < first || positions[room] > head;
                                assert!(is_gone, "{room} is kept: {refusal}");
                            }
                            session.follows.insert(room.clone(), Follow::Refused);
                        }
                        Some("not_member") => {
                            session.follows.remove(room);
                            session.states.remove(room);
                        }
                        // It was named before, and goes on as was said then.
                        _ => {}
                    }
                }
                session.is_resuming &= !is_last;
            }
            What::Rooms => self.listed(ledger, session, payload, turn),
            What::Read => {
                let (room, seq) = (text(payload, "room"), number(payload, "seq"));
                let floor = asked.floor;
                assert!(seq >= floor, "the read mark of {room} went from {floor} back to {seq}");
                self.mark(room, &user, seq);
            }
            What::Members => {
                for member in payload["members"].as_array().expect("members") {
                    self.mark(&asked.room, text(member, "user"), number(member, "read"));
                }
            }
            What::Create => {
                let (room, head) = (text(payload, "room"), number(payload, "head"));
                assert!(is_heard(room, head), "answered before the commit: {payload}");
                self.state(ledger, session, payload, turn);
                // One's own entry is the first.
                session.follows.entry(room.to_owned()).or_insert(Follow::From(1));
            }
            What::Presence
            | What::Auth { .. }
            | What::Revoke { .. }
            | What::Subscribe { .. }
            | What::Unsubscribe { .. }
            | What::Publish { .. }
            | What::Plain
            | What::Other => {}
        }
    }

    fn history(
        &mut self,
        ledger: &Ledger,
        session: &mut Session,
        payload: &Value,
        (after, before): (Option<u64>, Option<u64>),
        turn: u64,
    ) {
        let (room, head) = (text(payload, "room"), number(payload, "head"));
        let heard = ledger.heard_at(room, head);
        let is_heard = head == 0 || heard.is_some_and(|heard| heard <= turn);
        assert!(is_heard, "a head before its commit: {room} {head}");
        let entries = payload["entries"].as_array().expect("entries");
        let mut last = None;
        for entry in entries {
            let seq = number(&entry["payload"], "seq");
            assert!(last.is_none_or(|last| seq == last + 1), "a hole in a page of {room} at {seq}");
            last = Some(seq);
            let is_kept = seq.saturating_add(self.kept.entries) > head;
            assert!(is_kept, "{room} {seq} is shown, and not kept: the head is {head}");
            self.entry(ledger, session, entry, turn);
            assert!(
                ledger.may_have_read(room, &session.user, seq, turn),
                "{} read {room} {seq}, and was no member",
                session.user
            );
        }
        let first = entries.first().map(|entry| number(&entry["payload"], "seq"));
        let more = payload["more"].as_bool().expect("more");
        match (after, before) {
            (Some(after), _) => {
                assert!(first.is_none_or(|first| first == after + 1), "a page of {room} skips");
                assert_eq!(more, last.unwrap_or(after.max(head)) < head, "the end of {room}");
            }
            (None, Some(before)) => {
                let end = before.saturating_sub(1).min(head);
                assert!(last.unwrap_or(end) <= end, "a page of {room} skips");
            }
            // The head is that of the answer, the page that of a moment before.
            (None, None) => assert!(last.unwrap_or(0) <= head, "the newest page of {room}"),
        }
        if session.is_refused(room) {
            session.follows.insert(room.to_owned(), Follow::From(head + 1));
        } else {
            let follow = match session.may_be_unlisted(room) {
                true => Follow::Unlisted,
                false => Follow::Open,
            };
            session.follows.entry(room.to_owned()).or_insert(follow);
        }
    }

    /// At the end, when somebody has read all that a room has: nothing that was acknowledged is
    /// missing, but what was to be kept no more. `newest` is the latest that a server could believe
    /// that it is: what has come since is dated no later.
    pub(crate) fn whole(
        &self,
        ledger: &Ledger,
        room: &str,
        (first, head): (u64, u64),
        newest: i64,
    ) {
        let empty = BTreeMap::new();
        let facts = self.facts.get(room).unwrap_or(&empty);
        for seq in first..=head {
            let fact = facts.get(&seq).unwrap_or_else(|| panic!("nobody has seen {room} {seq}"));
            assert!(fact.ts <= newest, "{room} {seq} is dated ahead");
        }
        if let Some(gone) = first.checked_sub(1).filter(|gone| *gone > 0) {
            let is_beyond = gone.saturating_add(self.kept.entries) <= head;
            let age_ms = i64::try_from(self.kept.age_ms).unwrap_or(i64::MAX);
            let is_old = facts.get(&gone).is_none_or(|one| one.ts.saturating_add(age_ms) <= newest);
            assert!(is_beyond || is_old, "{room} {gone} is gone, and should be kept");
        }
        let acked = self.acked.iter().filter(|((of, seq), _)| of == room && *seq >= first);
        for ((_, seq), cid) in acked {
            assert!(*seq <= head, "{cid} was acknowledged as {room} {seq}, and is lost");
            assert_eq!(facts[seq].kind, "chat:message", "{cid} is something else");
            let key = (facts[seq].who.clone(), room.to_owned(), cid.clone());
            let said = self.said.get(&key).unwrap_or_else(|| panic!("{cid} is another's"));
            assert_eq!(said.seq, Some(*seq));
            if let Some(sent) = self.texts.get(room).and_then(|texts| texts.get(seq)) {
                // Once the first one is gone, another may have taken its `cid`.
                let could_be = if ledger.first(room) == 1 { &said.texts[..1] } else { &said.texts };
                assert!(could_be.contains(sent), "{cid} says something else");
            }
        }
    }

    pub(crate) fn acked(&self) -> u64 {
        self.acked.len() as u64
    }
}
