//! Who sends a request: named by a token, or in open mode by a name.

use super::listen::is_for_events;
use super::origin::check_origin;
use super::route::Rules;
use super::served::admit;
use crate::auth::{Access, Denied, Identity, Person, TOO_MANY_FAILED, TokenError};
use crate::base::limits::TOKENS_PER_REQUEST_MAX;
use crate::base::{StreamRights, UserId};
use crate::config::Serves;
use crate::http1::{HttpRefusal, RequestHead, Status};
use crate::protocol::handshake::Upgrade;
use crate::routes::own::{METRICS_PATH, OPENAPI_PATH, PREFIX, SIGN_IN_PATH, is_own};
use crate::server::events::Tickets;
use crate::wire::display_name;

/// Precedes a token among the offered subprotocols. Never echoed.
const BEARER_PREFIX: &str = "bearer.";
/// The number of parts of a JWT, separated by dots (RFC 7519 §3).
const JWT_PARTS: usize = 3;

/// Who makes a call of this method, if calls are taken now.
pub(super) fn caller_of(
    head: &RequestHead<'_>,
    rules: Rules<'_>,
    method: &str,
) -> Result<Option<Person>, HttpRefusal> {
    rules.readiness.check_running()?;
    if method != "GET" {
        check_origin(head, &rules.config.allowed_origins)?;
    }
    caller(head, rules)
}

/// Who makes a call of the API: `None` is somebody who has not said who they are where guests are
/// not admitted. Only the `Authorization` field counts, and in open mode the name in the query.
pub(crate) fn caller(
    head: &RequestHead<'_>,
    rules: Rules<'_>,
) -> Result<Option<Person>, HttpRefusal> {
    if let Some(identity) = rules.proven {
        return Ok(Some(rules.person(identity.clone())));
    }
    if let Some(identity) = admin(head, rules)? {
        return Ok(Some(rules.person(identity)));
    }
    let token = bearer(head)?;
    // Without keys nothing can judge a token, so it is refused.
    let identity = match token.map(|token| rules.verify(token)).transpose()? {
        None if rules.verifier.is_open() => {
            let named = |user| Identity::without_token(user, rights_in_open_mode());
            user_of_query(head)?
                .map(named)
                .map(|one| admit(rules.listener, one))
                .transpose()
                .map_err(denied)?
        }
        identity => identity,
    };
    let person = identity.map(|identity| rules.person(identity));
    Ok(person.or_else(|| rules.lets_guests_in().then(Person::guest)))
}

/// The caller, unless it is a guest.
pub(crate) fn known(caller: Option<&Person>) -> Option<&Person> {
    caller.filter(|person| !person.is_guest)
}

/// Whether the caller may have something with this access.
pub(super) fn check_access(
    access: Access,
    is_user: bool,
    is_admin: bool,
    say_who: &str,
) -> Result<(), HttpRefusal> {
    access.judge(is_user, is_admin).map_err(|denied| match denied {
        Denied::Unauthorized => unauthorized(say_who),
        Denied::Forbidden => HttpRefusal::new(Status::Forbidden, "forbidden", "this is for admins"),
    })
}

/// The holder of the admin token, or whoever connects to a socket for admins, in the name of the
/// user in the query.
pub(crate) fn admin(
    head: &RequestHead<'_>,
    rules: Rules<'_>,
) -> Result<Option<Identity>, HttpRefusal> {
    let has_token = bearer(head)?.is_some_and(|token| rules.is_admin_token(token));
    if !has_token && !rules.listener.admits_admins() {
        return Ok(None);
    }
    let user = user_of_query(head)?.unwrap_or_else(UserId::admin);
    let rights = StreamRights {
        is_user: true,
        is_admin: true,
        publishes_all: true,
        ..StreamRights::default()
    };
    let named = Identity::without_token(user, rights);
    Ok(Some(Identity { admin: true, is_named: true, ..named }))
}

/// Whether a request needs a proof from elsewhere, because its tokens do not name its sender: an
/// upgrade, a call of the API or of the embedding program's path, the metrics. The keys judge a
/// JWT, if there are any; the admin token needs no other proof.
pub(crate) fn needs_proof(head: &RequestHead<'_>, rules: Rules<'_>) -> bool {
    let is_upgrade = Upgrade::is_asked_for(head);
    // Exchanging a code and signing out need no proof.
    let is_asked = head.path != SIGN_IN_PATH || ["GET", "HEAD"].contains(&head.method);
    // A webhook below the prefix has a signature instead.
    let is_of_api = head.path.starts_with(PREFIX) && is_own(head.path);
    let is_call = is_of_api && head.path != OPENAPI_PATH && is_asked;
    let is_metrics = head.path == METRICS_PATH && !rules.are_metrics_public();
    let is_program = rules.paths.find_http(head.method, head.path).is_some();
    let is_any = is_upgrade || is_call || is_metrics || is_program;
    let Serves { public, admin, .. } = rules.listener.serves;
    let is_served = (public || admin) && !rules.listener.admits_admins();
    if head.method == "OPTIONS" || !is_any || !is_served {
        return false;
    }
    let has_keys = rules.verifier.has_keys();
    let is_token = |token: &str| {
        rules.is_admin_token(token) || (has_keys && token.split('.').count() == JWT_PARTS)
    };
    // A field that occurs twice is refused later.
    let has_bearer = bearer(head).ok().flatten().is_some_and(is_token);
    let counts = |token: String| has_keys || Tickets::is_one(&token);
    let has_others = (is_upgrade || is_for_events(head)) && tokens_beside(head).any(counts);
    !has_bearer && !has_others
}

fn user_of_query(head: &RequestHead<'_>) -> Result<Option<UserId>, HttpRefusal> {
    let Some(name) = head.query_value("user") else { return Ok(None) };
    let name = name.map_err(|error| bad(error.to_string()))?;
    let user = UserId::parse(&name).map(Some);
    user.map_err(|error| bad(format!("?user= is no user id: it {error}")))
}

fn bad(why: String) -> HttpRefusal {
    HttpRefusal::new(Status::BadRequest, "bad_request", why)
}

/// Open mode: all clients are who they say.
pub(crate) fn named(head: &RequestHead<'_>) -> Result<Identity, HttpRefusal> {
    if !tokens(head)?.is_empty() {
        return Err(unauthorized(&TokenError::OpenMode.to_string()));
    }
    let user = user_of_query(head)?;
    let user = user.ok_or_else(|| unauthorized("in open mode say who you are: ?user=NAME"))?;
    Ok(Identity::without_token(user, rights_in_open_mode()))
}

/// Open mode, for connections: clients choose their display name, too.
pub(crate) fn named_with_display_name(
    head: &RequestHead<'_>,
    rules: Rules<'_>,
) -> Result<Identity, HttpRefusal> {
    let identity = named(head)?;
    let Some(name) = head.query_value("name") else { return Ok(identity) };
    let name = name.map_err(|error| bad(error.to_string()))?;
    let name = display_name::asked(&name).map_err(|why| bad(format!("?name=: {why}")))?;
    let most = rules.verifier.name_bytes_max();
    if name.len() > most {
        return Err(bad(format!("?name= is longer than {most} bytes")));
    }
    Ok(Identity { name: (!name.is_empty()).then(|| name.into()), ..identity })
}

/// No token says which streams a user may publish to.
fn rights_in_open_mode() -> StreamRights {
    StreamRights { is_user: true, publishes_all: true, ..StreamRights::default() }
}

/// Who opens a WebSocket, by its tokens if nothing else has said so.
pub(super) fn identity_of_tokens(
    head: &RequestHead<'_>,
    rules: Rules<'_>,
) -> Result<Option<Identity>, HttpRefusal> {
    if let Some(identity) = rules.proven {
        return Ok(Some(identity.clone()));
    }
    let tokens = check_count(tokens(head)?)?;
    if tokens.is_empty() && rules.listener.admits_admins() {
        return admin(head, rules);
    }
    rules.verify_all(&tokens)
}

/// The tokens of a request, if there are not too many.
pub(super) fn check_count(tokens: Vec<String>) -> Result<Vec<String>, HttpRefusal> {
    if tokens.len() > TOKENS_PER_REQUEST_MAX {
        return Err(unauthorized("there are too many tokens"));
    }
    Ok(tokens)
}

/// The tokens of a request, by rank. All of them count, however often a way is used, so that a
/// proxy that looks at another one than we do is not misled.
pub(crate) fn tokens(head: &RequestHead<'_>) -> Result<Vec<String>, HttpRefusal> {
    let first = bearer(head)?.map(str::to_owned);
    Ok(first.into_iter().chain(tokens_beside(head)).collect())
}

/// The tokens beside the `Authorization` field.
fn tokens_beside(head: &RequestHead<'_>) -> impl Iterator<Item = String> {
    // A token that cannot be decoded counts as a bad one.
    let of_query = head.query_values("token");
    let of_query = of_query.map(|token| token.unwrap_or_default().into_owned());
    let offered = head.all("sec-websocket-protocol").flat_map(|line| line.split(','));
    let offered = offered.filter_map(|item| item.trim().strip_prefix(BEARER_PREFIX));
    of_query.chain(offered.map(str::to_owned))
}

/// The token of the `Authorization` field, which occurs once (RFC 9110 §5.3). A scheme other than
/// `Bearer` (RFC 6750 §2.1) is for somebody else, such as a proxy.
pub(crate) fn bearer<'b>(head: &RequestHead<'b>) -> Result<Option<&'b str>, HttpRefusal> {
    let Some(value) = head.only("authorization").map_err(HttpRefusal::from)? else {
        return Ok(None);
    };
    let (scheme, token) = value.split_once([' ', '\t']).unwrap_or((value, ""));
    Ok(scheme.eq_ignore_ascii_case("bearer").then_some(token.trim()))
}

/// The refusal of a token that is bad, or was not checked.
pub(crate) fn denied(error: TokenError) -> HttpRefusal {
    match error {
        // The least rate is one failure a second.
        TokenError::TooManyFailed(_) => {
            HttpRefusal::new(Status::TooManyRequests, "rate_limited", TOO_MANY_FAILED)
                .with(&[("Retry-After", "1")])
        }
        error @ TokenError::Listener => {
            HttpRefusal::new(Status::Forbidden, "forbidden", error.to_string())
        }
        error => unauthorized(&error.to_string()),
    }
}

pub(crate) fn unauthorized(message: &str) -> HttpRefusal {
    // RFC 9110 §15.5.2: a 401 says how to authenticate.
    HttpRefusal::new(Status::Unauthorized, "unauthorized", message)
        .with(&[("WWW-Authenticate", "Bearer")])
}
