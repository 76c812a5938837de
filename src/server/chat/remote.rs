//! Requests of clients to the application's backend, and its answers.

use super::chat::Chat;
use super::dispatch::ChatRequest;
use super::errands::{DealtErrand, JobPurpose};
use super::journal::{BackendFault, ELSEWHERE};
use crate::auth::Person;
use crate::backend::{Cause, Failure, HttpRequest, JobResult, Lane, Task};
use crate::base::{Origin, RefusalCode};
use crate::config::BackendHandler;
use crate::server::remote::answer::{BackendReply, judge};
use crate::server::remote::table::{BackendRequest, CallOutcome, NextRequest, RequestPlace};
use crate::store::RecordStore;
use crate::web::Net;
use crate::wire::error::ErrorReply;
use crate::wire::json::{Writer, object};

const OVERLOADED: &str = "too many requests wait for the backend";
const LEFT_ALONE: &str = "the backend keeps failing, and is not called for now";
const LATE: &str = "the backend was busy for as long as this request may wait";
const NOT_SIGNED: &str = "it and this server have different secrets";
const FAILED: &str = "the backend has failed";
pub(super) const UNDECLARED: &str = "the configuration changed while this request waited";
const OVERLOADED_RETRY_MS: u64 = 1_000;

/// A request that the backend is asked.
#[derive(Debug)]
pub(super) struct RemoteCall {
    place: RequestPlace,
    origin: Origin,
}

impl<S: RecordStore> Chat<S> {
    /// Hands a request to the application's backend.
    pub(super) fn call_remote(
        &mut self,
        net: &mut Net<'_>,
        chat_request: ChatRequest<'_>,
        handler: &BackendHandler,
    ) {
        let body = self.remote_body(chat_request);
        let origin = chat_request.origin;
        let mut fields = vec![("Content-Type".to_owned(), "application/json".to_owned())];
        let secret = handler.secret.as_ref();
        let signature = secret.and_then(|secret| secret.sign(body.as_bytes()));
        fields.extend(signature.map(|text| ("X-Hub-Signature-256".to_owned(), text)));
        let request =
            HttpRequest { url: handler.url.clone(), fields, body: Some(body.into_bytes()) };
        let bounds = (handler.timeout_ms, handler.body_bytes as usize);
        let (origin_of_it, thread, since) = (origin.clone(), self.number, net.now());
        let asking = BackendRequest { request, bounds, origin: origin_of_it, thread, since };
        let payer = self.payer(net, origin);
        self.count_pending_call(net, origin, true);
        let out = self.team.remotes().wait(&chat_request.envelope.kind, payer, asking);
        for asking in out {
            self.deal(net, DealtErrand::Refuse(asking, OVERLOADED));
        }
        self.ask_remotes(net);
    }

    /// Asks what there is a place for, and refuses what has waited too long, for all threads.
    pub(super) fn ask_remotes(&mut self, net: &mut Net<'_>) {
        let now = net.now();
        if self.team.remotes().waiting() == 0 {
            return;
        }
        let late = self.team.remotes().late(now);
        for asking in late {
            self.deal(net, DealtErrand::Refuse(asking, LATE));
        }
        loop {
            let next = self.team.remotes().next(now);
            match next {
                Some(next) => self.deal(net, DealtErrand::Ask(next)),
                None => break,
            }
        }
        let next_late = self.team.remotes().next_late();
        if let Some(at) = next_late {
            net.wake_at(at);
        }
    }

    /// A request of this thread is to be asked, or not.
    pub(super) fn ask_next(&mut self, net: &mut Net<'_>, next: NextRequest) {
        match next {
            NextRequest::CircuitOpen(asking, retry_after_ms) => {
                let error = ErrorReply::new(RefusalCode::Unavailable, LEFT_ALONE);
                self.not_asked(net, &asking, error.retry_after(retry_after_ms));
            }
            NextRequest::Ask(place, asking) => self.ask_remote(net, place, asking),
        }
    }

    fn ask_remote(&mut self, net: &mut Net<'_>, place: RequestPlace, asking: BackendRequest) {
        let now = net.now();
        // Nobody waits for it any more.
        let is_gone = match &asking.origin {
            Origin::Conn(conn, _) => self.sessions.get_mut(*conn).is_none(),
            Origin::Call(call) => self.calls.get(*call).is_none(),
        };
        if is_gone {
            return self.team.remotes().done(now, &place, CallOutcome::NotAsked, Cause::Backend);
        }
        let BackendRequest { request, bounds, origin, since, .. } = asking;
        self.team.remotes().note_asked(now, &place, since);
        let purpose = JobPurpose::Remote(RemoteCall { place, origin });
        let begun = self.outbound.call(Lane::Calls, now, Task::Call(request), bounds, purpose);
        if let Err((JobPurpose::Remote(call), failure)) = begun {
            self.remote_over(net, call, Err(failure));
        }
    }

    /// Refuses a request for which there was no place.
    pub(super) fn refuse_remote(
        &mut self,
        net: &mut Net<'_>,
        asking: &BackendRequest,
        message: &'static str,
    ) {
        let error = ErrorReply::new(RefusalCode::Overloaded, message);
        self.not_asked(net, asking, error.retry_after(OVERLOADED_RETRY_MS));
    }

    /// Tells a client that the backend was not asked.
    fn not_asked(&mut self, net: &mut Net<'_>, asking: &BackendRequest, error: ErrorReply) {
        self.refuse(net, &asking.origin, error);
        self.count_pending_call(net, &asking.origin, false);
    }

    /// What the backend is sent: the request as it came, and its sender.
    fn remote_body(&self, chat_request: ChatRequest<'_>) -> String {
        let ChatRequest { origin, person, envelope } = chat_request;
        object(|w| {
            w.text("type", &envelope.kind);
            w.if_some("id", envelope.id.as_deref(), Writer::raw);
            match person {
                Some(person) => {
                    let id = person.user.as_str();
                    w.object_in("user", |w| {
                        w.text("id", id);
                        w.text("name", self.hub.name_of(&person.user).unwrap_or(id));
                        w.flag("admin", person.is_admin);
                        w.flag("anonymous", person.is_guest);
                    });
                    w.object_in("rights", |w| rights(w, person));
                }
                None => w.raw("user", "null"),
            }
            if let Origin::Conn(conn, _) = origin {
                w.text("connection", &conn.to_string());
            }
            w.raw("payload", envelope.raw_payload);
        })
    }

    /// A connection waits for one more answer of a handler, or for one fewer.
    pub(super) fn count_pending_call(&mut self, net: &mut Net<'_>, origin: &Origin, is_more: bool) {
        let Origin::Conn(conn, _) = origin else { return };
        if let Some(session) = self.sessions.get_mut(*conn) {
            let calls = session.calls;
            session.calls = if is_more { calls.saturating_add(1) } else { calls.saturating_sub(1) };
        }
        self.settle_pause(net, *conn);
    }

    /// Takes the backend's answer.
    pub(super) fn remote_over(&mut self, net: &mut Net<'_>, call: RemoteCall, outcome: JobResult) {
        let RemoteCall { place, origin } = call;
        let is_ours = matches!(&outcome, Err(Failure::Full | Failure::Stopped));
        let cause = Cause::of(&outcome, &place.payer);
        let fault = BackendFault::of(&outcome);
        let verdict = judge(outcome);
        let noted = match &verdict {
            BackendReply::Reply(_) => CallOutcome::Ok,
            BackendReply::Refuse(_) => CallOutcome::Refused,
            BackendReply::Fail(_) if is_ours => CallOutcome::NotAsked,
            BackendReply::Fail(_) | BackendReply::Unsigned => CallOutcome::Failed,
        };
        let said = match &verdict {
            BackendReply::Fail(error) => &error.message,
            BackendReply::Reply(_) | BackendReply::Refuse(_) | BackendReply::Unsigned => NOT_SIGNED,
        };
        let is_own =
            matches!(&verdict, BackendReply::Refuse(error) if error.detail.is_by_application);
        if noted == CallOutcome::Failed {
            self.note_fault(net.now(), place.name(), &fault, said);
        } else if fault.is_elsewhere() && !is_own {
            self.note_fault(net.now(), place.name(), &fault, ELSEWHERE);
        }
        self.team.remotes().done(net.now(), &place, noted, cause);
        match verdict {
            BackendReply::Reply(payload) => self.reply_raw(net, &origin, payload),
            BackendReply::Refuse(error) | BackendReply::Fail(error) => {
                self.refuse(net, &origin, error);
            }
            BackendReply::Unsigned => {
                self.refuse(net, &origin, ErrorReply::new(RefusalCode::Internal, FAILED));
            }
        }
        self.count_pending_call(net, &origin, false);
    }
}

/// What a user may do with streams, as patterns of names.
fn rights(w: &mut Writer, person: &Person) {
    const ALL: &str = "*";
    let streams = &person.streams;
    let claims = streams.claims.as_deref();
    let publish = claims.and_then(|claims| claims.publish.as_ref());
    let subscribe = claims.and_then(|claims| claims.subscribe.as_ref());
    match publish {
        Some(patterns) => w.array("publish", patterns, |w, one| w.item(one.as_str())),
        None => w.array("publish", streams.publishes_all.then_some(ALL), |w, all| w.item(all)),
    }
    match subscribe {
        Some(patterns) => w.array("subscribe", patterns, |w, one| w.item(one.as_str())),
        None => w.array("subscribe", [ALL], |w, all| w.item(all)),
    }
}
