//! Who asks for events, and for which. The request's head alone decides.

use super::identity::{check_count, denied};
use super::origin::{other_method, shared_origin};
use super::served::admit;
use super::{
    Rules, admin, bearer, check_origin, is_set, named_with_display_name, shared_with, tokens,
    unauthorized,
};
use crate::auth::Identity;
use crate::base::limits::{JSON_DEPTH_MAX, LISTENED_STREAMS_MAX};
use crate::base::subscription::Ask;
use crate::base::{Limits, StreamId, StreamRights};
use crate::http1::head::percent_decoded_path;
use crate::http1::{HttpRefusal, RequestHead, Response, Status};
use crate::routes::own::{EVENTS_PATH, STREAMS_PATH, TICKET_PATH};
use crate::server::events::Tickets;
use crate::server::events::places::{LastSeen, of_one};
use crate::wire::json::scan;
use crate::wire::request::{Fault, bad_name, whole_number, within};
use crate::wire::sse::{EVENTS, PARTS};
use crate::wire::stream_request::{asked_filter, asked_rate, named_streams};
use std::borrow::Cow;

/// A request for events, or for a ticket.
#[derive(Debug)]
pub(crate) struct ListenRequest {
    pub(crate) sender: ListenSender,
    pub(crate) target: ListenTarget,
    /// The origin of a page elsewhere that may see the answer.
    pub(crate) origin: Option<Box<str>>,
    /// The head of a successful answer.
    pub(crate) response: Response,
    pub(crate) is_head: bool,
}

/// Who asks.
#[derive(Debug)]
pub(crate) enum ListenSender {
    User(Identity),
    /// The admin token, in a user's name.
    Token(Identity),
    Guest,
    /// This ticket; whoever has it was asked for nothing else.
    Ticket(String),
}

/// What is asked for.
#[derive(Debug)]
pub(crate) enum ListenTarget {
    /// Everything that the user's WebSocket would be pushed, and these streams.
    All { streams: Vec<Ask>, last: Option<LastSeen> },
    /// One stream alone.
    Stream { ask: Box<Ask>, form: WatchForm },
    /// A ticket.
    Ticket,
}

/// A stream that is watched without a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Watch {
    pub(crate) stream: StreamId,
    pub(crate) form: WatchForm,
}

/// How a client that only watches gets events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WatchForm {
    /// As messages of a WebSocket on the stream's own path.
    Plain,
    /// As Server-Sent Events.
    Events,
    /// As parts of an answer, each of which replaces the one before.
    Parts,
}

/// Whether a request is for events, so that its query may have the token.
pub(crate) fn is_for_events(head: &RequestHead<'_>) -> bool {
    let is_stream = head.path.starts_with(STREAMS_PATH) && form_of_stream(head).is_some();
    head.path == EVENTS_PATH || is_stream
}

/// Judges a request if it is for events or for a ticket. An error is the whole answer.
pub(crate) fn listen(
    head: &RequestHead<'_>,
    rules: Rules<'_>,
) -> Option<Result<Box<ListenRequest>, Response>> {
    let is_get = ["GET", "HEAD"].contains(&head.method);
    let path = match head.path {
        EVENTS_PATH => ListenPath::All,
        TICKET_PATH => ListenPath::Ticket,
        path => {
            let name = path.strip_prefix(STREAMS_PATH).filter(|_| is_get)?;
            ListenPath::Stream(name, form_of_stream(head)?)
        }
    };
    let origin = shared_origin(head, &rules.config.allowed_origins);
    let (is_it, methods) = match path {
        ListenPath::Ticket => (head.method == "POST", "POST, OPTIONS"),
        ListenPath::All | ListenPath::Stream(..) => (is_get, "GET, HEAD, OPTIONS"),
    };
    if !is_it {
        let response = other_method(head, &rules.config.allowed_origins, methods);
        return Some(Err(shared_with(response, origin)));
    }
    let request = judge(head, rules, &path).map(|(sender, target)| {
        let kind = if let ListenPath::Stream(_, WatchForm::Parts) = path { PARTS } else { EVENTS };
        let response = shared_with(Response::new(Status::Ok, kind, Vec::new()), origin)
            // Proxies must not hold events back.
            .with("X-Accel-Buffering", "no")
            .with("X-Content-Type-Options", "nosniff");
        let (is_head, origin) = (head.method == "HEAD", origin.map(Box::from));
        Box::new(ListenRequest { sender, target, origin, response, is_head })
    });
    Some(request.map_err(|refusal| shared_with(refusal.into(), origin)))
}

enum ListenPath<'p> {
    All,
    Ticket,
    Stream(&'p str, WatchForm),
}

/// In which form a stream is asked for, unless only its newest value is.
fn form_of_stream(head: &RequestHead<'_>) -> Option<WatchForm> {
    let accepts = |kind: &str| {
        let mut items = head.all("accept").flat_map(|line| line.split(','));
        items.any(|item| {
            let mut parts = item.split(';').map(str::trim);
            let is_it = parts.next().is_some_and(|one| one.eq_ignore_ascii_case(kind));
            is_it && !parts.any(is_weight_of_nothing)
        })
    };
    // An <img> accepts pictures and says nothing more, so its address asks for parts.
    if is_set(head, "multipart") {
        Some(WatchForm::Parts)
    } else if accepts(EVENTS) {
        Some(WatchForm::Events)
    } else if accepts("multipart/x-mixed-replace") {
        Some(WatchForm::Parts)
    } else {
        None
    }
}

/// RFC 9110 §12.4.2: what has the weight 0 is not accepted.
fn is_weight_of_nothing(parameter: &str) -> bool {
    let (name, value) = parameter.split_once('=').unwrap_or_default();
    name.eq_ignore_ascii_case("q") && matches!(value, "0" | "0." | "0.0" | "0.00" | "0.000")
}

fn judge(
    head: &RequestHead<'_>,
    rules: Rules<'_>,
    path: &ListenPath<'_>,
) -> Result<(ListenSender, ListenTarget), HttpRefusal> {
    rules.readiness.check_running()?;
    // As for a WebSocket: listening shows the user as online, whichever page caused it.
    check_origin(head, &rules.config.allowed_origins)?;
    let sender = sender(head, rules, matches!(path, ListenPath::Ticket))?;
    let target = match path {
        ListenPath::Ticket => ListenTarget::Ticket,
        ListenPath::All => {
            let last = last_event_id(head)?.map(|id| LastSeen::of(&id));
            let names = of_query(head, "streams")?;
            let streams = names
                .map(|names| listened(&rules.config.limits, &names))
                .transpose()?
                .unwrap_or_default();
            ListenTarget::All { streams, last }
        }
        ListenPath::Stream(name, form) => {
            let ask = ask(head, &rules.config.limits, name)?;
            let last = last_event_id(head)?;
            let (epoch, since) = last.as_deref().map(of_one).unzip();
            ListenTarget::Stream { ask: Box::new(Ask { since, epoch, ..ask }), form: *form }
        }
    };
    match &sender {
        ListenSender::User(identity) | ListenSender::Token(identity) => {
            judge_target(rules, &identity.rights, true, &target)?;
        }
        ListenSender::Guest => judge_target(rules, &StreamRights::default(), false, &target)?,
        // The owner of a ticket is judged when it is known.
        ListenSender::Ticket(_) => {}
    }
    Ok((sender, target))
}

/// Who asks: by `Authorization`, or by `?token=`, which may be a ticket; in open mode by `?user=`.
fn sender(
    head: &RequestHead<'_>,
    rules: Rules<'_>,
    is_for_ticket: bool,
) -> Result<ListenSender, HttpRefusal> {
    let may_be_guest = rules.lets_guests_in() && !is_for_ticket;
    let tokens = if is_for_ticket {
        // A client with a token in its address needs no ticket.
        bearer(head)?.map(str::to_owned).into_iter().collect()
    } else {
        check_count(tokens(head)?)?
    };
    if let [ticket] = &*tokens
        && Tickets::is_one(ticket)
        && !is_for_ticket
    {
        return Ok(ListenSender::Ticket(ticket.clone()));
    }
    if let Some(identity) = rules.proven {
        is_asked_from_here(head)?;
        return Ok(ListenSender::User(identity.clone()));
    }
    // A page elsewhere must not spend a token or its address's budget either; it has tickets.
    if !tokens.is_empty() {
        is_asked_from_here(head)?;
    }
    if let Some(identity) = admin(head, rules)? {
        // A correct token does not make up for a bad one.
        return match tokens.len() {
            0 | 1 => Ok(ListenSender::Token(identity)),
            _ => Err(unauthorized("there are too many tokens")),
        };
    }
    if rules.verifier.is_open() {
        let is_nameless = head.query_value("user").is_none() && tokens.is_empty();
        return if may_be_guest && is_nameless {
            Ok(ListenSender::Guest)
        } else {
            is_asked_from_here(head)?;
            let identity = admit(rules.listener, named_with_display_name(head, rules)?);
            let identity = identity.map_err(denied)?;
            Ok(ListenSender::User(identity))
        };
    }
    match rules.verify_all(&tokens)? {
        Some(identity) => Ok(ListenSender::User(identity)),
        None if may_be_guest => Ok(ListenSender::Guest),
        None => Err(unauthorized("say who you are: Authorization: Bearer TOKEN, or ?token=")),
    }
}

/// A browser fetches a picture or a script for a page elsewhere without an `Origin`, in the name of
/// whoever looks at the page (Fetch Metadata). Tickets need no check, because a page elsewhere has
/// none.
fn is_asked_from_here(head: &RequestHead<'_>) -> Result<(), HttpRefusal> {
    let has_origin = head.all("origin").next().is_some();
    let is_elsewhere = |site: &str| ["cross-site", "same-site"].contains(&site.trim());
    if !has_origin && head.all("sec-fetch-site").any(is_elsewhere) {
        let message = "a page from elsewhere may not listen in somebody's name";
        return Err(HttpRefusal::new(Status::Forbidden, "forbidden", message));
    }
    Ok(())
}

/// Whether somebody may watch what is asked for.
pub(crate) fn judge_target(
    rules: Rules<'_>,
    rights: &StreamRights,
    is_user: bool,
    target: &ListenTarget,
) -> Result<(), HttpRefusal> {
    let judge = |ask: &Ask, form| judge_watch(rules, rights, is_user, &ask.stream, form);
    match target {
        ListenTarget::All { streams, .. } => {
            streams.iter().try_for_each(|ask| judge(ask, WatchForm::Events))
        }
        ListenTarget::Stream { ask, form } => judge(ask, *form),
        ListenTarget::Ticket => Ok(()),
    }
}

fn judge_watch(
    rules: Rules<'_>,
    rights: &StreamRights,
    is_user: bool,
    stream: &StreamId,
    form: WatchForm,
) -> Result<(), HttpRefusal> {
    let name = stream.as_str();
    let Some(declaration) = rules.config.declaration(name) else {
        let message = "there is no such stream";
        return Err(HttpRefusal::new(Status::NotFound, "no_such_stream", message));
    };
    if !rights.may_watch(&declaration, name) {
        return Err(may_not_watch(is_user));
    }
    let message = match (form, declaration.binary) {
        (WatchForm::Parts, true) | (WatchForm::Plain | WatchForm::Events, false) => return Ok(()),
        (WatchForm::Parts, false) => "parts are for streams of bytes: accept text/event-stream",
        (WatchForm::Plain | WatchForm::Events, true) => {
            "events are text: a stream of bytes comes by WebSocket, or with ?multipart=1"
        }
    };
    Err(HttpRefusal::new(Status::BadRequest, "bad_request", message))
}

/// The refusal of somebody who may not watch a stream.
pub(super) fn may_not_watch(is_user: bool) -> HttpRefusal {
    if is_user {
        HttpRefusal::new(Status::Forbidden, "forbidden", "you may not watch this stream")
    } else {
        unauthorized("this stream is not public: say who you are")
    }
}

/// The id that a client saw last: from its `EventSource`, or from its address if a page starts
/// again.
fn last_event_id(head: &RequestHead<'_>) -> Result<Option<String>, HttpRefusal> {
    if let Some(id) = head.only("last-event-id").map_err(HttpRefusal::from)? {
        return Ok(Some(id.to_owned()).filter(|id| !id.is_empty()));
    }
    let id = of_query(head, "last_event_id")?.map(Cow::into_owned);
    Ok(id.filter(|id| !id.is_empty()))
}

/// A member of the query.
fn of_query<'b>(head: &RequestHead<'b>, name: &'static str) -> Result<Option<Cow<'b, str>>, Fault> {
    let malformed = |_| Fault::bad_request(name, "this is not what it should be in a query");
    head.query_value(name).transpose().map_err(malformed)
}

/// What the query asks of a stream, as in `subscribe` but without a position.
fn ask(head: &RequestHead<'_>, limits: &Limits, name: &str) -> Result<Ask, Fault> {
    let name = percent_decoded_path(name)
        .ok_or_else(|| Fault::bad_request("stream", "this is not UTF-8, percent-encoded"))?;
    let (filter, max_rate) = (of_query(head, "filter")?, of_query(head, "max_rate")?);
    if let Some(filter) = &filter {
        scan(filter, JSON_DEPTH_MAX - AROUND_A_FILTER).map_err(Fault::bad_json)?;
    }
    // As in JSON: without leading zeros.
    let is_number = |text: &str| {
        let has_zero = text.len() > 1 && text.starts_with('0');
        !text.is_empty() && !has_zero && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    if max_rate.as_ref().is_some_and(|rate| !is_number(rate)) {
        return Err(Fault::bad_request("max_rate", "this is a number of events a second"));
    }
    let stream = StreamId::parse(&name).map_err(|error| bad_name("stream", error))?;
    let filter = asked_filter(filter.as_deref().map(str::trim_ascii), limits)?;
    let rate = max_rate.map(|rate| whole_number("max_rate", &rate)).transpose()?;
    Ok(Ask { filter, max_rate: asked_rate(rate)?, ..Ask::whole(stream) })
}

/// In a request on a socket a filter is a member of the payload, and the payload one of the
/// envelope.
const AROUND_A_FILTER: usize = 2;

/// The streams that a query names: `a,b,c`.
fn listened(limits: &Limits, names: &str) -> Result<Vec<Ask>, Fault> {
    let names: Vec<&str> = names.split(',').filter(|name| !name.is_empty()).collect();
    within("streams", names.len(), LISTENED_STREAMS_MAX)?;
    Ok(named_streams(&names, limits)?.into_iter().map(Ask::whole).collect())
}
