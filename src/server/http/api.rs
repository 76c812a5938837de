//! A call of the API: turns an HTTP request into a request that a WebSocket could have sent.

use super::identity::{caller_of, unauthorized};
use super::origin::{other_method, shared_origin, shared_with};
use super::route::{Rules, SAY_WHO};
use crate::auth::Person;
use crate::base::declaration::{DataMember, Kind};
use crate::base::limits::JSON_DEPTH_MAX;
use crate::base::{RoomId, StreamId, StreamRights};
use crate::http1::head::percent_decoded_path;
use crate::http1::{HttpRefusal, RequestHead, Response, Status};
use crate::hub::Hub;
use crate::routes::table::{Choice, Route, find};
use crate::wire::json::{Object, Writer, object, scan, string};
use crate::wire::request::Fault;
use serde::de::IgnoredAny;

/// A call whose head has been judged.
#[derive(Debug)]
pub(crate) struct ApiCall {
    pub(crate) route: &'static Route,
    /// The values of the path's parameters.
    params: Vec<(&'static str, String)>,
    /// A user or a guest.
    pub(crate) caller: Option<Person>,
    /// The origin that may see the answer, unless it is this host's own.
    pub(crate) shared_with: Option<Box<str>>,
}

/// Judges the head of a call; `path` is what follows the prefix. An error is the whole answer.
pub(super) fn judge(
    head: &RequestHead<'_>,
    path: &str,
    rules: Rules<'_>,
) -> Result<ApiCall, Response> {
    let origin = shared_origin(head, &rules.config.allowed_origins);
    judge_head(head, path, rules)
        .map(|call| ApiCall { shared_with: origin.map(Box::from), ..call })
        .map_err(|response| shared_with(response, origin))
}

fn judge_head(head: &RequestHead<'_>, path: &str, rules: Rules<'_>) -> Result<ApiCall, Response> {
    let found = find(head.method, path)
        .ok_or_else(|| HttpRefusal::new(Status::NotFound, "not_found", "there is nothing here"))?;
    let (route, params) =
        found.map_err(|methods| other_method(head, &rules.config.allowed_origins, &methods))?;
    let caller = caller_of(head, rules, route.method)?;
    // Which types are open to everybody, only their handlers know.
    let may_be_open = route.choice == Choice::Path && rules.listener.serves.public;
    if caller.is_none() && !may_be_open {
        let is_open = rules.verifier.is_open();
        let message = if is_open { "in open mode say who you are: ?user=NAME" } else { SAY_WHO };
        return Err(unauthorized(message).into());
    }
    let decoded =
        |(name, text): (&'static str, &str)| Some((name, percent_decoded_path(text)?.into_owned()));
    let params = params.into_iter().map(decoded).collect::<Option<_>>().ok_or_else(|| {
        let message = "a segment of the path is not UTF-8, percent-encoded";
        HttpRefusal::new(Status::BadRequest, "bad_request", message)
    })?;
    Ok(ApiCall { route, params, caller, shared_with: None })
}

impl ApiCall {
    /// The type of the request.
    pub(crate) fn kind(&self, hub: &Hub) -> &str {
        let types = self.route.types;
        let at = |place: usize| types.get(place).copied().unwrap_or_default();
        let person = self.caller.as_ref();
        let is_admin = person.is_some_and(|person| person.is_admin);
        match self.route.choice {
            Choice::One => at(0),
            Choice::Path => self.param("type"),
            Choice::ByRights => at(usize::from(!is_admin)),
            Choice::ByRoom => {
                let room = RoomId::parse(self.param("room"));
                at(usize::from(room.is_ok_and(|room| hub.has_room(&room))))
            }
            Choice::ByUser if is_admin && types.len() > 2 => at(2),
            Choice::ByUser => {
                let is_own = |person: &Person| person.user.as_str() == self.param("user");
                at(usize::from(!person.is_some_and(is_own)))
            }
        }
    }

    fn param(&self, name: &str) -> &str {
        let found = self.params.iter().find(|(one, _)| *one == name);
        found.map_or("", |(_, value)| value)
    }

    /// The payload of the request: members of the path, the query and the content, in this order of
    /// rank.
    ///
    /// # Errors
    /// A [`Fault`] of the query, or of the content.
    pub(crate) fn payload(
        &self,
        head: &RequestHead<'_>,
        body: &str,
        hub: &Hub,
    ) -> Result<String, Fault> {
        let route = self.route;
        let is_empty = body.trim_ascii().is_empty();
        if route.types == ["publish"] {
            let stream = StreamId::parse(self.param("stream")).ok();
            let declared = |stream: &StreamId| hub.streams().declaration(stream).cloned();
            let declaration = stream.as_ref().and_then(declared);
            let members = declaration.as_ref().map_or(&[][..], |declaration| &declaration.members);
            let rights = self.caller.as_ref().map(|person| &person.streams);
            let may = stream.is_some_and(|stream| {
                hub.streams()
                    .to_publish(&stream, rights.unwrap_or(&StreamRights::default()))
                    .is_ok()
            });
            if is_empty && !may {
                // The publication is judged later, which says what is missing: a right, or the
                // stream.
                return Ok(self.publication("null", None));
            }
            let id = idempotency_key(head, "id")?;
            let id = id.as_deref();
            let queried = queried_data(head, members, is_empty)?;
            return queried
                .map_or_else(|| self.published(body, id), |data| Ok(self.publication(&data, id)));
        }
        let body = if is_empty || !route.has_body { "{}" } else { body };
        if route.choice == Choice::Path {
            return Ok(body.to_owned());
        }
        scan(body, JSON_DEPTH_MAX - 1).map_err(Fault::bad_json)?;
        let members = Object::parse(body).map_err(Fault::bad_json)?;
        let members = members
            .ok_or_else(|| Fault::bad_request("payload", "the request's content is an object"))?;
        let texts = route.texts.iter().map(|name| query(head, name, false));
        let plain = route.plain.iter().map(|name| query(head, name, true));
        let queried: Vec<_> = texts.chain(plain).collect::<Result<_, Fault>>()?;
        let key = if route.types == ["chat:send"] { cid_of_head(head, &members)? } else { None };
        Ok(object(|w| {
            for (name, value) in &self.params {
                w.text(name, value);
            }
            for (name, value, is_plain) in queried.iter().flatten() {
                if *is_plain { w.raw(name, value) } else { w.text(name, value) }
            }
            w.if_some("cid", key.as_deref(), Writer::text);
            let is_of_path = |name: &str| self.params.iter().any(|(one, _)| *one == name);
            for (name, value) in members.members().filter(|(name, _)| !is_of_path(name)) {
                w.raw(name, value);
            }
        }))
    }

    /// The stream to which the content is published, if it is a publication.
    pub(crate) fn stream(&self) -> Option<&str> {
        (self.route.types == ["publish"]).then(|| self.param("stream"))
    }

    /// The payload of a `publish`. The content is its data, either as it is, or in an object with
    /// the only member `data`, as in the request on a socket.
    fn published(&self, body: &str, id: Option<&str>) -> Result<String, Fault> {
        const AROUND_IT: usize = 2;
        let body = body.trim_ascii();
        scan(body, JSON_DEPTH_MAX - AROUND_IT).map_err(Fault::bad_json)?;
        let members = Object::parse(body).map_err(Fault::bad_json)?;
        let only = members.as_ref().filter(|members| members.members().count() == 1);
        let data = only.and_then(|members| members.get("data")).unwrap_or(body);
        Ok(self.publication(data, id))
    }

    fn publication(&self, data: &str, id: Option<&str>) -> String {
        object(|w| {
            w.text("stream", self.param("stream"));
            w.raw("data", data);
            w.if_some("id", id, Writer::text);
        })
    }
}

/// In the query of a publication: in whose name it is, in open mode or with the admin token.
const USER: &str = "user";
/// How much of an unknown name an error repeats.
const NAME_CHARS_TOLD: usize = 64;

/// The data of an event that are in the query, for streams that declare members: an object of those
/// members, each as its kind. `is_empty` says that the request has no content.
fn queried_data(
    head: &RequestHead<'_>,
    members: &[DataMember],
    is_empty: bool,
) -> Result<Option<String>, Fault> {
    let fault = |message: String| Fault::bad_request("data", message);
    if members.is_empty() {
        let is_of_it = |pair: Result<_, _>| pair.is_ok_and(|(name, _)| name != USER);
        let why = "this stream declares no members: its data are the content";
        let has_data = is_empty && head.query_pairs().any(is_of_it);
        return if has_data { Err(fault(why.into())) } else { Ok(None) };
    }
    let pairs = head.query_pairs().collect::<Result<Vec<_>, _>>();
    let pairs = pairs.map_err(|error| fault(error.to_string()))?;
    let data: Vec<_> = pairs.iter().filter(|(name, _)| name != USER).collect();
    if !is_empty && data.iter().any(|(name, _)| members.iter().any(|one| *one.name == **name)) {
        return Err(fault("data come in the query or as the content, and not in both".into()));
    }
    if !is_empty || data.is_empty() {
        return Ok(None);
    }
    let mut named = Vec::new();
    for (at, (name, value)) in data.iter().enumerate() {
        let Some(member) = members.iter().find(|one| *one.name == **name) else {
            let name: String = name.chars().take(NAME_CHARS_TOLD).collect();
            return Err(fault(format!("the stream declares no {name:?}")));
        };
        if data.iter().take(at).any(|(before, _)| before == name) {
            return Err(fault(format!("{name:?} comes twice")));
        }
        let is_text = matches!(member.kind, Kind::Text | Kind::Any);
        // Whether the value is of that kind is judged as for all data.
        if !is_text && serde_json::from_str::<IgnoredAny>(value).is_err() {
            return Err(fault(format!("{name:?} is no {}", member.kind.name())));
        }
        named.push((name, value, is_text));
    }
    Ok(Some(object(|w| {
        for (name, value, is_text) in named {
            if is_text { w.text(name, value) } else { w.raw(name, value) }
        }
    })))
}

/// A member of the query: its name, its value, and whether the value is JSON as it is.
fn query(
    head: &RequestHead<'_>,
    name: &'static str,
    is_plain: bool,
) -> Result<Option<(&'static str, String, bool)>, Fault> {
    let malformed = || Fault::bad_request(name, "this is not what it should be in a query");
    let Some(value) = head.query_value(name) else { return Ok(None) };
    let value = value.map_err(|_| malformed())?.into_owned();
    let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let is_json = ["true", "false"].contains(&value.as_str())
        || (is_number && (value.len() == 1 || !value.starts_with('0')));
    if is_plain && !is_json { Err(malformed()) } else { Ok(Some((name, value, is_plain))) }
}

/// The caller's own id of what it sends, in the head: `Idempotency-Key: "…"`, with or without
/// quotes. The request has it as its member `name`.
pub(crate) fn idempotency_key(
    head: &RequestHead<'_>,
    name: &'static str,
) -> Result<Option<String>, Fault> {
    let key = head.only("idempotency-key");
    let key = key.map_err(|_| Fault::bad_request(name, "Idempotency-Key comes once, in ASCII"))?;
    let unquoted = |key: &str| {
        let quoted = key.strip_prefix('"').and_then(|key| key.strip_suffix('"'));
        quoted.unwrap_or(key).to_owned()
    };
    Ok(key.map(unquoted))
}

/// A message's id, if it is in the head and not in the content.
fn cid_of_head(head: &RequestHead<'_>, members: &Object<'_>) -> Result<Option<String>, Fault> {
    let Some(key) = idempotency_key(head, "cid")? else { return Ok(None) };
    match members.get("cid").map(string) {
        None => Ok(Some(key)),
        Some(Some(cid)) if cid == key => Ok(None),
        Some(_) => Err(Fault::bad_request("cid", "cid and Idempotency-Key differ")),
    }
}
