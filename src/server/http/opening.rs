//! Who may open a WebSocket: of the chat, of a stream's own path, or of the embedding program's
//! path.

use super::identity::{
    check_access, denied, identity_of_tokens, named, named_with_display_name, unauthorized,
};
use super::listen::{Watch, WatchForm, may_not_watch};
use super::origin::check_origin;
use super::route::{Destination, Rules};
use super::served::admit;
use crate::auth::Access;
use crate::base::declaration::Declaration;
use crate::base::{StreamId, StreamRights};
use crate::http1::{HttpRefusal, RequestHead};
use crate::protocol::handshake::Upgrade;
use crate::server::embed::{OwnPath, OwnSocket, Params, SocketPath};
use std::borrow::Cow;

/// The chat's subprotocol.
const SUBPROTOCOL: &str = "parlor.v1";
const SAY_WHO_OR_GUEST: &str = "say who you are, or that you are a guest: ?anonymous=1";

/// Opens a WebSocket of the chat, or of the stream that has this path.
pub(super) fn open<'b>(
    head: &RequestHead<'b>,
    rules: Rules<'_>,
    watched: Option<(StreamId, &Declaration)>,
) -> Result<Destination<'b>, HttpRefusal> {
    let upgrade = Upgrade::judge(head)?;
    check_origin(head, &rules.config.allowed_origins)?;
    let may_be_guest = rules.lets_guests_in() && (watched.is_some() || is_set(head, "anonymous"));
    let identity = if !rules.verifier.is_open() || rules.listener.admits_admins() {
        identity_of_tokens(head, rules)?
    } else if may_be_guest && head.query_value("user").is_none() {
        None
    } else {
        Some(admit(rules.listener, named_with_display_name(head, rules)?).map_err(denied)?)
    };
    let is_guest = may_be_guest && identity.is_none();
    // Without keys the client has no way to say later who it is.
    if identity.is_none() && !is_guest && !rules.verifier.has_keys() {
        let is_for_guests = rules.lets_guests_in();
        return Err(unauthorized(if is_for_guests { SAY_WHO_OR_GUEST } else { "say who you are" }));
    }
    if let Some((stream, declaration)) = &watched {
        let nobody = StreamRights::default();
        let rights = identity.as_ref().map_or(&nobody, |identity| &identity.rights);
        // A client that can still say who it is, is judged when it does.
        let is_known = identity.is_some() || is_guest;
        if is_known && !rights.may_watch(declaration, stream.as_str()) {
            return Err(may_not_watch(identity.is_some()));
        }
    }
    let speaks_it = upgrade.protocols().contains(&SUBPROTOCOL);
    let protocol = speaks_it.then_some(Cow::Borrowed(SUBPROTOCOL));
    let resumes = is_set(head, "resume");
    let watch = |(stream, _)| Box::new(Visitor::Watch(Watch { stream, form: WatchForm::Plain }));
    let visitor = watched.map(watch);
    Ok(Destination::Open { upgrade, protocol, identity, is_guest, resumes, visitor })
}

/// Whether the query says `name=1`.
pub(crate) fn is_set(head: &RequestHead<'_>, name: &str) -> bool {
    head.query_value(name).is_some_and(|value| value.is_ok_and(|value| value == "1"))
}

/// Opens a WebSocket on a path of the embedding program.
pub(super) fn open_own<'b>(
    head: &RequestHead<'b>,
    rules: Rules<'_>,
    path: &OwnPath,
    params: Params,
) -> Result<Destination<'b>, HttpRefusal> {
    let upgrade = Upgrade::judge(head)?;
    check_origin(head, &rules.config.allowed_origins)?;
    let SocketPath { access, subprotocol, .. } = &path.path;
    let access = rules.access(*access);
    let identity = if !rules.verifier.is_open() || rules.listener.admits_admins() {
        identity_of_tokens(head, rules)?
    } else if access == Access::Public && head.query_value("user").is_none() {
        None
    } else {
        Some(admit(rules.listener, named(head)?).map_err(denied)?)
    };
    let is_admin = identity.as_ref().is_some_and(|identity| identity.admin);
    check_access(access, identity.is_some(), is_admin, "say who you are")?;
    let agreed = subprotocol.clone().filter(|own| upgrade.protocols().contains(&own.as_str()));
    let protocol = agreed.map(Cow::Owned);
    let is_guest = identity.is_none();
    let query = head.query.to_owned();
    let own = OwnSocket { path: path.clone(), params, query, socket: None };
    let visitor = Some(Box::new(Visitor::Own(own)));
    Ok(Destination::Open { upgrade, protocol, identity, is_guest, resumes: false, visitor })
}

/// What a WebSocket that the hub does not know is for.
#[derive(Clone, Debug)]
pub(crate) enum Visitor {
    /// One stream: the client opened its path, or asked for it alone. The client sends no requests.
    Watch(Watch),
    /// A path of the embedding program, with the program's own protocol.
    Own(OwnSocket),
}
