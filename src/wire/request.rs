//! Parses a client's messages into requests (`docs/protocol.md`).

use super::display_name;
use super::json::{NotJson, Object, scan, string, value};
use crate::base::limits::{JSON_DEPTH_MAX, JTI_BYTES_MAX, REQUEST_ID_BYTES_MAX};
use crate::base::request::{ListedRooms, Part, Target};
use crate::base::{
    Body, ConnId, Limits, NameError, RefusalCode, Request, RequestId, Revocation, RoomId,
    Timestamp, UserId,
};
use std::borrow::Cow;
use std::sync::Arc;

pub use super::types::TYPES;
pub(crate) use super::types::{ADMIN_PREFIX, OF_A_CONNECTION, OF_GUESTS, is_for_admins};

/// Why a request is refused before the hub sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The code, for programs.
    pub code: RefusalCode,
    /// The message, for people.
    pub message: Cow<'static, str>,
    /// The payload member at fault.
    pub field: Option<&'static str>,
    /// The limit that was exceeded, if that is the reason.
    pub limit: Option<u64>,
}

impl Fault {
    pub(crate) fn bad_request(field: &'static str, message: impl Into<Cow<'static, str>>) -> Fault {
        let field = Some(field);
        Fault { code: RefusalCode::BadRequest, message: message.into(), field, limit: None }
    }

    pub(crate) fn too_large(field: &'static str, limit: u64) -> Fault {
        let message = Cow::Borrowed("this is larger than it may be");
        Fault { code: RefusalCode::TooLarge, message, field: Some(field), limit: Some(limit) }
    }

    pub(crate) fn needed(field: &'static str) -> Fault {
        Fault::bad_request(field, "this is needed")
    }

    pub(crate) fn bad_json(not_json: NotJson) -> Fault {
        let message = Cow::Borrowed(not_json.message());
        Fault { code: RefusalCode::BadJson, message, field: None, limit: None }
    }
}

/// A message's envelope.
#[derive(Debug)]
pub struct Envelope<'a> {
    /// Its `id`; a request with one is answered.
    pub id: RequestId,
    /// Its `type`.
    pub kind: Cow<'a, str>,
    payload: Object<'a>,
    /// The payload as received.
    pub raw_payload: &'a str,
}

/// A fault, and the `id` of the faulty request, if it has one.
pub type EnvelopeFault = (RequestId, Fault);

impl<'a> Envelope<'a> {
    /// Whether the payload has this member.
    pub(crate) fn has(&self, member: &str) -> bool {
        self.payload.get(member).is_some()
    }

    /// Parses an envelope.
    ///
    /// # Errors
    /// A [`Fault`]: `bad_json` if the text is not JSON, is nested deeper than [`JSON_DEPTH_MAX`],
    /// repeats a member name or contains an unpaired surrogate; `bad_request` if it is not a
    /// request.
    pub fn parse(text: &'a str) -> Result<Envelope<'a>, EnvelopeFault> {
        let without_id = |fault| (None, fault);
        scan(text, JSON_DEPTH_MAX).map_err(|not_json| without_id(Fault::bad_json(not_json)))?;
        let envelope = object("type", text, "a request is a JSON object").map_err(without_id)?;
        let id = envelope.get("id").map(checked_id).transpose().map_err(without_id)?;
        let with_id = |fault| (id.clone(), fault);
        let kind = envelope.get("type").and_then(string);
        let no_kind = || with_id(Fault::bad_request("type", "a request has a type, a string"));
        let kind = kind.ok_or_else(no_kind)?;
        let raw_payload = envelope.get("payload").unwrap_or("{}");
        let payload =
            object("payload", raw_payload, "the payload is an object").map_err(with_id)?;
        Ok(Envelope { id, kind, payload, raw_payload })
    }

    /// The envelope of an HTTP call: a type, and the payload as received; an empty text means an
    /// empty payload.
    ///
    /// # Errors
    /// As [`Envelope::parse`], except that the payload may be nested one level less.
    pub fn of_call(kind: &'a str, payload: &'a str) -> Result<Envelope<'a>, Fault> {
        let raw_payload = if payload.trim_ascii().is_empty() { "{}" } else { payload };
        scan(raw_payload, JSON_DEPTH_MAX - 1).map_err(Fault::bad_json)?;
        let payload = object("payload", raw_payload, "the payload is an object")?;
        Ok(Envelope { id: None, kind: kind.into(), payload, raw_payload })
    }

    /// The request to the hub; `Ok(None)` if the hub has no request of this type.
    ///
    /// # Errors
    /// A [`Fault`]: `bad_request` for a missing or wrong member, `too_large` for one over its
    /// limit.
    pub fn request(&self, limits: &Limits, now: Timestamp) -> Result<Option<Request>, Fault> {
        let fields = self.fields(limits, now);
        Ok(Some(match self.kind.as_ref() {
            "chat:send" => fields.send()?,
            "chat:edit" => fields.edit()?,
            "chat:delete" => {
                Request::Delete { room: fields.room()?, seq: fields.needed_number("seq")? }
            }
            "chat:react" => fields.react()?,
            "chat:history" => fields.history()?,
            "chat:typing" => {
                Request::Typing(fields.room()?, fields.flag("typing")?.unwrap_or(true))
            }
            "chat:read" => Request::Read(fields.room()?, fields.needed_number("seq")?),
            "chat:ack" => fields.ack()?,
            "auth:revoke" => fields.revoke()?,
            "room:create" => fields.create()?,
            "admin:add" => Request::Add(fields.room()?, fields.user()?),
            "info" => Request::Info { after: fields.name("after", RoomId::parse)? },
            "room:info" => Request::Room(fields.room()?),
            "room:join" => Request::Join(fields.room()?),
            "room:leave" => Request::Leave(fields.room()?),
            "room:invite" => Request::Invite(fields.room()?, fields.user()?),
            "room:remove" => Request::Remove(fields.room()?, fields.user()?),
            "room:ban" => Request::Ban(fields.room()?, fields.user()?),
            "room:unban" => Request::Unban(fields.room()?, fields.user()?),
            "room:update" => Request::Update {
                room: fields.room()?,
                title: fields.title()?,
                open: fields.flag("open")?,
                owner: fields.name("owner", UserId::parse)?,
            },
            "room:delete" => Request::End(fields.room()?),
            "room:list" => Request::ListRooms {
                which: fields.listed_rooms()?,
                after: fields.name("after", RoomId::parse)?,
                limit: fields.limit()?,
            },
            "room:members" => Request::ListMembers {
                room: fields.room()?,
                after: fields.name("after", UserId::parse_any)?,
                limit: fields.limit()?,
            },
            "presence:list" => Request::ListPresence {
                room: fields.name("room", RoomId::parse)?,
                after: fields.name("after", UserId::parse_any)?,
                limit: fields.limit()?,
            },
            "resume" => fields.resume()?,
            _ => return Ok(None),
        }))
    }

    /// A member of the payload, as raw text.
    pub(crate) fn member(&self, name: &str) -> Option<&'a str> {
        self.payload.get(name)
    }

    /// The payload's members, for checking.
    pub(crate) fn fields<'p>(&'p self, limits: &'p Limits, now: Timestamp) -> Fields<'p, 'a> {
        Fields { payload: &self.payload, limits, now }
    }

    /// The payload, for a handler of the embedding program; `None` if a number in it does not fit a
    /// double.
    #[must_use]
    pub fn payload(&self) -> Option<serde_json::Value> {
        value(self.raw_payload)
    }

    /// The token of an `auth`, and whether a `resume` will follow.
    pub(crate) fn auth(&self) -> Result<(Cow<'a, str>, bool), Fault> {
        let token = self.payload.get("token").and_then(string);
        let token =
            token.ok_or_else(|| Fault::bad_request("token", "auth needs a token, a string"))?;
        let resumes = match self.payload.get("resume") {
            None | Some("null" | "false") => false,
            Some("true") => true,
            Some(_) => return Err(Fault::bad_request("resume", "this is true or false")),
        };
        Ok((token, resumes))
    }
}

/// An object's members; `message` is for other JSON.
fn object<'a>(
    field: &'static str,
    raw: &'a str,
    message: &'static str,
) -> Result<Object<'a>, Fault> {
    let object = Object::parse(raw).map_err(Fault::bad_json)?;
    object.ok_or_else(|| Fault::bad_request(field, message))
}

/// An `id` is a string of at most 64 bytes or an integer that every JSON reader represents exactly.
/// It is kept as received.
fn checked_id(raw: &str) -> Result<std::sync::Arc<str>, Fault> {
    const INTEGER_MAX: i64 = (1 << 53) - 1;
    let is_good = if raw.starts_with('"') {
        string(raw).is_some_and(|text| text.len() <= REQUEST_ID_BYTES_MAX)
    } else {
        raw.parse::<i64>().is_ok_and(|number| (-INTEGER_MAX..=INTEGER_MAX).contains(&number))
    };
    let message = "an id is a string of at most 64 bytes or an integer within 2^53 - 1";
    if is_good { Ok(raw.into()) } else { Err(Fault::bad_request("id", message)) }
}

/// Checks a client-chosen id.
pub(crate) fn own_id(name: &'static str, id: &str, limits: &Limits) -> Result<Arc<str>, Fault> {
    if id.is_empty() {
        return Err(Fault::bad_request(name, "this is not empty, or not there"));
    }
    within(name, id.len(), limits.cid_bytes as usize)?;
    Ok(id.into())
}

/// Checks a length against its limit.
pub(crate) fn within(field: &'static str, len: usize, limit: usize) -> Result<(), Fault> {
    if len > limit { Err(Fault::too_large(field, limit as u64)) } else { Ok(()) }
}

/// An integer from 0 on.
pub(crate) fn whole_number(field: &'static str, raw: &str) -> Result<u64, Fault> {
    match raw.parse::<i64>() {
        Ok(number) if number >= 0 => Ok(number as u64),
        _ => Err(Fault::bad_request(field, "this is an integer from 0 on")),
    }
}

/// A payload's members, checked.
pub(crate) struct Fields<'p, 'a> {
    pub(crate) payload: &'p Object<'a>,
    pub(crate) limits: &'p Limits,
    now: Timestamp,
}

impl<'a> Fields<'_, 'a> {
    fn send(&self) -> Result<Request, Fault> {
        let room = self.name("room", RoomId::parse)?;
        let to = self.name("to", UserId::parse)?;
        let target = match (room, to) {
            (Some(room), None) => Target::Room(room),
            (None, Some(user)) => Target::User(user),
            (Some(_), Some(_)) => {
                return Err(Fault::bad_request("to", "a message goes to a room or to a user"));
            }
            (None, None) => return Err(Fault::needed("room")),
        };
        let text = self.message_text()?;
        let data = self.payload.get("data");
        within("data", data.map_or(0, str::len), self.limits.data_bytes as usize)?;
        let body = Body { text, data: data.map(Arc::from), reply_to: self.number("reply_to")? };
        Ok(Request::Send { target, body, cid: self.own_id("cid")? })
    }

    /// The client-chosen id.
    pub(crate) fn own_id(&self, name: &'static str) -> Result<Option<Arc<str>>, Fault> {
        self.text(name)?.map(|id| own_id(name, &id, self.limits)).transpose()
    }

    /// The text of a message.
    fn message_text(&self) -> Result<Arc<str>, Fault> {
        let text = self.text("text")?.ok_or(Fault::needed("text"))?;
        within("text", text.len(), self.limits.text_bytes as usize)?;
        Ok(text.as_ref().into())
    }

    fn edit(&self) -> Result<Request, Fault> {
        let (room, seq) = (self.room()?, self.needed_number("seq")?);
        Ok(Request::Edit { room, seq, text: self.message_text()? })
    }

    fn react(&self) -> Result<Request, Fault> {
        let (room, seq) = (self.room()?, self.needed_number("seq")?);
        let emoji = self.text("emoji")?.ok_or(Fault::needed("emoji"))?;
        within("emoji", emoji.len(), self.limits.emoji_bytes as usize)?;
        if emoji.is_empty() || emoji.chars().any(char::is_control) {
            let message = "this is not empty and has no control characters";
            return Err(Fault::bad_request("emoji", message));
        }
        let on = self.flag("on")?.unwrap_or(true);
        Ok(Request::React { room, seq, emoji: emoji.as_ref().into(), on })
    }

    fn ack(&self) -> Result<Request, Fault> {
        if self.payload.get("rooms").is_none() {
            let marks = vec![(self.room()?, self.needed_number("seq")?)];
            return Ok(Request::Ack { marks, is_one: true });
        }
        if self.payload.get("room").is_some() {
            return Err(Fault::bad_request("rooms", "an ack is of one room or of several"));
        }
        Ok(Request::Ack { marks: self.positions()?, is_one: false })
    }

    /// What to revoke; for a user without `before`, all tokens issued until now.
    fn revoke(&self) -> Result<Request, Fault> {
        let (jti, user) = (self.text("jti")?, self.name("user", UserId::parse)?);
        let before = self.number("before")?;
        let revocation = match (jti, user) {
            (Some(jti), None) => {
                within("jti", jti.len(), JTI_BYTES_MAX)?;
                if before.is_some() {
                    return Err(Fault::bad_request("before", "this is of a user's tokens"));
                }
                Revocation::Token(jti.as_ref().into(), None)
            }
            (None, Some(user)) => {
                let before = before.map(|ms| Timestamp(i64::try_from(ms).unwrap_or(i64::MAX)));
                Revocation::User(user, before.unwrap_or(self.now))
            }
            (Some(_), Some(_)) => {
                return Err(Fault::bad_request("user", "a revocation is of a token or of a user"));
            }
            (None, None) => return Err(Fault::bad_request("jti", "this or user is needed")),
        };
        Ok(Request::Revoke { revocation, once: false })
    }

    fn title(&self) -> Result<Option<Arc<str>>, Fault> {
        let Some(title) = self.text("title")? else { return Ok(None) };
        let title = display_name::asked(&title).map_err(|why| Fault::bad_request("title", why))?;
        within("title", title.len(), self.limits.title_bytes as usize)?;
        Ok(Some(title.into()))
    }

    fn create(&self) -> Result<Request, Fault> {
        let limit = self.limits.create_members as usize;
        let members = self.names("members", limit, UserId::parse)?.unwrap_or_default();
        Ok(Request::Create {
            room: self.name("room", RoomId::parse)?,
            title: self.title()?,
            open: self.flag("open")?.unwrap_or(false),
            members,
        })
    }

    fn history(&self) -> Result<Request, Fault> {
        let part = match (self.number("after")?, self.number("before")?) {
            (None, None) => Part::Newest,
            (Some(seq), None) => Part::After(seq),
            (None, Some(seq)) => Part::Before(seq),
            (Some(_), Some(_)) => {
                return Err(Fault::bad_request("before", "a page is after an entry or before one"));
            }
        };
        Ok(Request::History { room: self.room()?, part, limit: self.limit()? })
    }

    fn resume(&self) -> Result<Request, Fault> {
        let epoch = self.text("epoch")?.ok_or(Fault::needed("epoch"))?;
        let rooms = self.positions()?;
        let more = self.flag("more")?.unwrap_or(false);
        Ok(Request::Resume { epoch: epoch.into_owned(), rooms, more })
    }

    /// Rooms, each with a position.
    fn positions(&self) -> Result<Vec<(RoomId, u64)>, Fault> {
        let message = "this is an object of rooms and positions";
        let positions = object("rooms", self.payload.get("rooms").unwrap_or("{}"), message)?;
        let mut rooms = Vec::new();
        for (name, seq) in positions.members() {
            let room = RoomId::parse(name).map_err(|error| bad_name("rooms", error))?;
            let seq = seq.parse().map_err(|_| Fault::bad_request("rooms", message))?;
            rooms.push((room, seq));
        }
        Ok(rooms)
    }

    pub(crate) fn user(&self) -> Result<UserId, Fault> {
        self.name("user", UserId::parse_any)?.ok_or(Fault::needed("user"))
    }

    pub(crate) fn room(&self) -> Result<RoomId, Fault> {
        self.name("room", RoomId::parse)?.ok_or(Fault::needed("room"))
    }

    pub(crate) fn limit(&self) -> Result<usize, Fault> {
        match self.number("limit")? {
            Some(0) => Err(Fault::bad_request("limit", "this is at least 1")),
            Some(limit) => Ok(usize::try_from(limit).unwrap_or(usize::MAX)),
            None => Ok(usize::MAX),
        }
    }

    pub(crate) fn names<T>(
        &self,
        field: &'static str,
        limit: usize,
        parse: impl Fn(&str) -> Result<T, NameError>,
    ) -> Result<Option<Vec<T>>, Fault> {
        let Some(raw) = self.given(field) else { return Ok(None) };
        let names: Vec<Cow<'_, str>> = serde_json::from_str(raw)
            .map_err(|_| Fault::bad_request(field, "this is a list of names"))?;
        within(field, names.len(), limit)?;
        let names = names.iter().map(|name| parse(name).map_err(|error| bad_name(field, error)));
        names.collect::<Result<_, _>>().map(Some)
    }

    pub(crate) fn name<T>(
        &self,
        field: &'static str,
        parse: impl FnOnce(&str) -> Result<T, NameError>,
    ) -> Result<Option<T>, Fault> {
        let Some(text) = self.text(field)? else { return Ok(None) };
        parse(&text).map(Some).map_err(|error| bad_name(field, error))
    }

    /// A member as JSON; `null` is the same as none.
    pub(crate) fn given(&self, field: &str) -> Option<&'a str> {
        self.payload.get(field).filter(|raw| *raw != "null")
    }

    pub(crate) fn text(&self, field: &'static str) -> Result<Option<Cow<'a, str>>, Fault> {
        let Some(raw) = self.given(field) else { return Ok(None) };
        string(raw).map(Some).ok_or_else(|| Fault::bad_request(field, "this is a string"))
    }

    pub(crate) fn number(&self, field: &'static str) -> Result<Option<u64>, Fault> {
        self.given(field).map(|raw| whole_number(field, raw)).transpose()
    }

    pub(crate) fn needed_number(&self, field: &'static str) -> Result<u64, Fault> {
        self.number(field)?.ok_or(Fault::needed(field))
    }

    fn listed_rooms(&self) -> Result<ListedRooms, Fault> {
        let is_set = |field| self.flag(field).map(|flag| flag.unwrap_or(false));
        match (is_set("open")?, is_set("all")?) {
            (_, true) => Ok(ListedRooms::All),
            (true, false) => Ok(ListedRooms::Joinable),
            (false, false) => Ok(ListedRooms::Own),
        }
    }

    pub(crate) fn flag(&self, field: &'static str) -> Result<Option<bool>, Fault> {
        match self.given(field) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(Fault::bad_request(field, "this is true or false")),
        }
    }
}

pub(crate) fn bad_name(field: &'static str, error: NameError) -> Fault {
    Fault::bad_request(field, format!("a name {error}"))
}

pub(crate) fn connection(
    fields: &Fields<'_, '_>,
    field: &'static str,
) -> Result<Option<ConnId>, Fault> {
    let Some(text) = fields.text(field)? else { return Ok(None) };
    let conn = ConnId::parse(&text);
    conn.map(Some).ok_or(Fault::bad_request(field, "this is a connection, as hello names it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Result<Option<Request>, Fault> {
        Envelope::parse(text).map_err(|(_, fault)| fault)?.request(&Limits::default(), Timestamp(0))
    }

    fn fault_of(text: &str) -> (&'static str, Option<&'static str>) {
        let fault = request(text).unwrap_err();
        (fault.code.as_str(), fault.field)
    }

    #[test]
    fn every_type_that_is_named_is_known() {
        for kind in TYPES {
            let text = format!(r#"{{"type":"{kind}"}}"#);
            let envelope = Envelope::parse(&text).unwrap();
            let request = envelope.request(&Limits::default(), Timestamp(0));
            let is_admins = kind.starts_with(ADMIN_PREFIX) && *kind != "admin:add";
            let is_elsewhere = ["auth", "ping", "publish", "subscribe", "unsubscribe"]
                .contains(kind)
                || kind.starts_with("stream:")
                || is_admins;
            assert_eq!(matches!(request, Ok(None)), is_elsewhere, "{kind}");
        }
        assert!(TYPES.is_sorted(), "in the order of names");
    }

    #[test]
    fn every_type_that_is_known_is_named() {
        let sources = [include_str!("request.rs"), include_str!("stream_request.rs")].concat();
        let arms =
            sources.lines().filter_map(|line| line.trim().strip_prefix('"')?.split_once("\" =>"));
        let kinds: Vec<&str> = arms.map(|(kind, _)| kind).collect();
        assert!(kinds.len() > 30, "{kinds:?}");
        let unnamed: Vec<&&str> = kinds.iter().filter(|kind| !TYPES.contains(kind)).collect();
        assert_eq!(unnamed, [&""; 0], "an application's handler could take it over");
    }

    #[test]
    fn what_stands_in_a_text_is_no_json_whatever_its_name() {
        // serde_json's own `Value` would parse the text in such an object, past every rule and as
        // deep as the stack allows.
        let inner = r#"{"$serde_json::private::RawValue":"[1,{\"a\":1,\"a\":2}]"}"#;
        let text = format!(r#"{{"type":"x","payload":{{"a":{inner}}}}}"#);
        let payload = Envelope::parse(&text).unwrap().payload().unwrap();
        let member = payload["a"].as_object().and_then(|object| object.values().next());
        assert_eq!(member.and_then(|text| text.as_str()), Some(r#"[1,{"a":1,"a":2}]"#));
    }

    #[test]
    fn an_id_comes_back_as_it_came() {
        for id in [r#""a""#, r#""\u0061""#, "7", "-9007199254740991", "9007199254740991", "-0"] {
            let text = format!(r#"{{"type":"ping","id":{id}}}"#);
            assert_eq!(Envelope::parse(&text).unwrap().id.as_deref(), Some(id));
        }
        let long = format!(r#""{}""#, "x".repeat(65));
        for id in ["9007199254740992", "1.0", "1e3", "null", "true", "{}", "[]", long.as_str()] {
            let text = format!(r#"{{"type":"ping","id":{id}}}"#);
            let (id, fault) = Envelope::parse(&text).unwrap_err();
            assert_eq!((id, fault.code, fault.field), (None, RefusalCode::BadRequest, Some("id")));
        }
    }

    #[test]
    fn what_is_no_envelope_is_refused_by_its_name() {
        assert_eq!(fault_of("{"), ("bad_json", None));
        assert_eq!(fault_of(r#"{"type":"ping","type":"ping"}"#), ("bad_json", None));
        assert_eq!(fault_of(r#"{"type":"ping","payload":{"a":1,"a":2}}"#), ("bad_json", None));
        assert_eq!(
            fault_of(r#"{"type":"chat:send","payload":{"data":"\ud800"}}"#),
            ("bad_json", None)
        );
        assert_eq!(fault_of(&format!(r#"{{"payload":{}}}"#, "[".repeat(40))), ("bad_json", None));
        assert_eq!(fault_of("[]"), ("bad_request", Some("type")));
        assert_eq!(fault_of("{}"), ("bad_request", Some("type")));
        assert_eq!(fault_of(r#"{"type":7}"#), ("bad_request", Some("type")));
        assert_eq!(fault_of(r#"{"type":"ping","payload":[]}"#), ("bad_request", Some("payload")));
        let (id, _) = Envelope::parse(r#"{"id":3,"type":"ping","payload":7}"#).unwrap_err();
        assert_eq!(id.as_deref(), Some("3"));
    }

    #[test]
    fn each_member_of_a_payload_is_checked() {
        let send =
            |payload: &str| fault_of(&format!(r#"{{"type":"chat:send","payload":{payload}}}"#));
        assert_eq!(send("{}"), ("bad_request", Some("room")));
        assert_eq!(send(r#"{"room":"a b","text":""}"#), ("bad_request", Some("room")));
        assert_eq!(send(r#"{"room":"a","to":"b","text":""}"#), ("bad_request", Some("to")));
        assert_eq!(send(r#"{"room":"a"}"#), ("bad_request", Some("text")));
        assert_eq!(send(r#"{"room":"a","text":7}"#), ("bad_request", Some("text")));
        assert_eq!(send(r#"{"room":"a","text":"","cid":""}"#), ("bad_request", Some("cid")));
        assert_eq!(
            send(r#"{"room":"a","text":"","reply_to":-1}"#),
            ("bad_request", Some("reply_to"))
        );
        let long = format!(r#"{{"room":"a","text":"{}"}}"#, "x".repeat(16_385));
        assert_eq!(send(&long), ("too_large", Some("text")));
        let escaped = format!(
            r#"{{"type":"chat:send","payload":{{"room":"a","text":"{}"}}}}"#,
            "\\n".repeat(16_384)
        );
        assert!(request(&escaped).is_ok(), "bytes are counted after unescaping");
        let history =
            |payload: &str| fault_of(&format!(r#"{{"type":"chat:history","payload":{payload}}}"#));
        assert_eq!(
            history(r#"{"room":"a","after":1,"before":2}"#),
            ("bad_request", Some("before"))
        );
        assert_eq!(history(r#"{"room":"a","limit":0}"#), ("bad_request", Some("limit")));
    }

    #[test]
    fn data_is_handed_on_as_it_came() {
        let text = r#"{"type":"chat:send","payload":{"room":"a","text":"\u00e4","data":{"b":1.50, "a":[]}}}"#;
        let Ok(Some(Request::Send { body, .. })) = request(text) else { panic!("no message") };
        assert_eq!(
            (body.text.as_ref(), body.data.as_deref()),
            ("ä", Some(r#"{"b":1.50, "a":[]}"#))
        );
    }
}
