//! What admins do, in the log and in a durable stream of the server's own.

use super::calls::CallWaiter;
use super::chat::Chat;
use super::dispatch::ChatRequest;
use crate::auth::Person;
use crate::base::limits::{AUDITED_REFUSALS_BURST, AUDITED_REFUSALS_PER_SECOND};
use crate::base::names::DM_BYTES_MAX;
use crate::base::{Address, ConnId, Moment, Origin, Rate, UserId};
use crate::config::AUDIT;
use crate::store::RecordStore;
use crate::web::Net;
use crate::wire::json::{Writer, object, value};
use crate::wire::request::Envelope;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Requests that change something for others where an admin sends them, and their members that say
/// whom or what they are about.
const AUDITED: &[(&str, &[&str])] = &[
    ("admin:add", &["room", "user"]),
    ("admin:disconnect", &["user", "connection"]),
    ("admin:pause", &["stream"]),
    ("admin:push", &["type", "users", "room", "all"]),
    ("admin:resume", &["stream"]),
    ("auth:revoke", &["user", "jti"]),
    ("chat:delete", &["room", "seq"]),
    ("room:ban", &["room", "user"]),
    ("room:create", &["room", "members"]),
    ("room:delete", &["room"]),
    ("room:invite", &["room", "user"]),
    ("room:remove", &["room", "user"]),
    ("room:unban", &["room", "user"]),
    ("room:update", &["room", "title", "open", "owner"]),
];

/// An action of an admin.
#[derive(Debug)]
pub(super) struct AuditEntry {
    origin: Origin,
    by: UserId,
    /// In whose name, if the admin has no token of their own.
    named: Option<UserId>,
    address: Option<Address>,
    kind: &'static str,
    targets: Vec<(&'static str, Value)>,
    /// The code with which it was refused.
    refused: Option<String>,
}

/// Actions of admins that are not written down yet.
#[derive(Debug, Default)]
pub(super) struct Audit {
    under_way: Option<AuditEntry>,
    /// Those that the hub carries out after earlier ones of their connections.
    deferred: BTreeMap<ConnId, AuditEntry>,
    /// Those of them that are carried out now.
    resumed: Vec<AuditEntry>,
}

/// How many refused requests are written down, on whichever thread: refusals without end would take
/// the place of what was done.
#[derive(Debug, Default)]
pub(super) struct AuditedRefusals(Mutex<RefusalCounts>);

#[derive(Debug, Default)]
struct RefusalCounts {
    rate: Rate,
    /// Since the last one that was written down.
    left_out: u64,
}

impl AuditedRefusals {
    /// How many were left out before this one; `None` if it is left out, too.
    fn take(&self, now: Moment) -> Option<u64> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (rate, burst) = (AUDITED_REFUSALS_PER_SECOND, AUDITED_REFUSALS_BURST);
        if counts.rate.take(now, 1, rate, burst).is_err() {
            counts.left_out += 1;
            return None;
        }
        Some(std::mem::take(&mut counts.left_out))
    }
}

impl Audit {
    /// The request of `origin` was refused, which may be another one than the admin's.
    pub(super) fn note_refusal(&mut self, origin: &Origin, code: &str) {
        let mut now = self.under_way.iter_mut().chain(&mut self.resumed);
        if let Some(entry) = now.find(|entry| entry.origin == *origin) {
            entry.refused = Some(code.to_owned());
        }
    }

    /// What a connection has asked for is carried out from here on.
    pub(super) fn resume(&mut self, conn: ConnId) {
        self.resumed.extend(self.deferred.remove(&conn));
    }

    /// What waited for other threads is carried out now.
    pub(super) fn go_on(&mut self, entry: Option<AuditEntry>) {
        self.resumed.extend(entry);
    }

    /// What a connection has asked for will not be carried out.
    pub(super) fn forget(&mut self, conn: ConnId) {
        self.deferred.remove(&conn);
    }
}

impl AuditEntry {
    fn of(
        request: ChatRequest<'_>,
        admin: &Person,
        address: Option<Address>,
    ) -> Option<AuditEntry> {
        let ChatRequest { origin, envelope, .. } = request;
        let (kind, members) = AUDITED.iter().find(|(kind, _)| *kind == envelope.kind)?;
        let (by, named) = match &admin.user {
            user if admin.is_named && *user != UserId::admin() => {
                (UserId::admin(), Some(user.clone()))
            }
            user => (user.clone(), None),
        };
        Some(AuditEntry {
            origin: origin.clone(),
            by,
            named,
            address,
            kind,
            targets: members
                .iter()
                .filter_map(|name| Some((*name, target(envelope, name)?)))
                .collect(),
            refused: None,
        })
    }

    fn data(&self, left_out: u64) -> String {
        object(|w| {
            w.text("by", self.by.as_str());
            w.if_some("as", self.named.as_ref().map(UserId::as_str), Writer::text);
            let address = self.address.map(|address| address.to_string());
            w.if_some("address", address.as_deref(), Writer::text);
            w.text("type", self.kind);
            for (name, value) in &self.targets {
                // `type` is the request's.
                let name = if *name == "type" { "push" } else { name };
                w.raw(name, &value.to_string());
            }
            w.if_some("refused", self.refused.as_deref(), Writer::text);
            w.if_some("left_out", Some(left_out).filter(|count| *count > 0), Writer::number);
        })
    }
}

/// A member that says whom or what a request is about, or how many. No text longer than a name, as
/// the request may be refused for that.
fn target(envelope: &Envelope<'_>, name: &str) -> Option<Value> {
    match value(envelope.member(name)?)? {
        Value::String(text) if text.len() > DM_BYTES_MAX => None,
        Value::Array(all) => Some(all.len().into()),
        Value::Object(_) | Value::Null => None,
        one => Some(one),
    }
}

impl<S: RecordStore> Chat<S> {
    /// Carries out a request, and writes down what an admin does by it: who, from where, what, and
    /// the code if it was refused. What the store refuses later is not known here.
    pub(super) fn audited(
        &mut self,
        net: &mut Net<'_>,
        request: ChatRequest<'_>,
        carry_out: impl FnOnce(&mut Self, &mut Net<'_>),
    ) {
        let admin = request.person.filter(|person| person.is_admin);
        // Before it is carried out: it may end the connection from which it comes.
        let address = admin.and_then(|_| self.address_of(net, request.origin));
        self.audit.under_way = admin.and_then(|admin| AuditEntry::of(request, admin, address));
        carry_out(self, net);
        let Some(entry) = self.audit.under_way.take() else { return };
        match request.origin {
            Origin::Conn(conn, _) if self.hub.has_deferred(*conn) => {
                self.audit.deferred.insert(*conn, entry);
            }
            origin => {
                if let Some(entry) = self.surveys.keep_entry(origin, entry) {
                    self.write_down(net, &entry);
                }
            }
        }
    }

    /// Writes down what was deferred and has been carried out.
    pub(super) fn write_resumed(&mut self, net: &mut Net<'_>) {
        for entry in std::mem::take(&mut self.audit.resumed) {
            self.write_down(net, &entry);
        }
    }

    fn write_down(&mut self, net: &mut Net<'_>, entry: &AuditEntry) {
        let mut left_out = 0;
        if entry.refused.is_some() {
            let Some(count) = self.team.audited_refusals.take(net.now()) else { return };
            left_out = count;
        }
        let data = entry.data(left_out);
        log::info!("admin: {data}");
        self.publish_own(net, AUDIT, data);
    }

    fn address_of(&self, net: &Net<'_>, origin: &Origin) -> Option<Address> {
        match origin {
            Origin::Conn(conn, _) => net.address(*conn),
            Origin::Call(call) => match self.calls.get(*call)? {
                CallWaiter::Http(call) => call.address,
                CallWaiter::Ticket(_)
                | CallWaiter::Program(_)
                | CallWaiter::Source(..)
                | CallWaiter::Own(_) => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: &str, payload: &str) -> String {
        let envelope = Envelope::of_call(kind, payload).unwrap();
        let origin = Origin::Call(7);
        let mut admin = Person::guest();
        admin.user = UserId::parse("root").unwrap();
        let request = ChatRequest { origin: &origin, person: None, envelope: &envelope };
        AuditEntry::of(request, &admin, None).map(|entry| entry.data(0)).unwrap_or_default()
    }

    #[test]
    fn a_refusal_of_somebody_elses_request_is_not_the_admins() {
        let envelope = Envelope::of_call("room:delete", "{}").unwrap();
        let request = ChatRequest { origin: &Origin::Call(7), person: None, envelope: &envelope };
        let under_way = AuditEntry::of(request, &Person::guest(), None);
        let mut audit = Audit { under_way, ..Audit::default() };
        let refused = |audit: &Audit| audit.under_way.as_ref().and_then(|one| one.refused.clone());
        audit.note_refusal(&Origin::Call(8), "busy");
        assert_eq!(refused(&audit), None);
        audit.note_refusal(&Origin::Call(7), "not_found");
        assert_eq!(refused(&audit).as_deref(), Some("not_found"));
    }

    #[test]
    fn an_entry_has_the_members_of_its_request_whatever_else_is_there() {
        let x = r#"{"user":"bob","x":1e999,"room":"no","payload":{"n":1e999}}"#;
        assert_eq!(
            entry("admin:disconnect", x),
            r#"{"by":"root","type":"admin:disconnect","user":"bob"}"#
        );
        let push = r#"{"type":"app:x","users":["a","b"],"payload":{"n":1e999}}"#;
        assert_eq!(
            entry("admin:push", push),
            r#"{"by":"root","type":"admin:push","push":"app:x","users":2}"#
        );
        let update = r#"{"room":"a","owner":"carl","open":false}"#;
        assert_eq!(
            entry("room:update", update),
            r#"{"by":"root","type":"room:update","room":"a","open":false,"owner":"carl"}"#
        );
        assert_eq!(entry("chat:send", r#"{"room":"a"}"#), "");
    }

    #[test]
    fn the_longest_entry_fits() {
        let long = "\\u0001".repeat(DM_BYTES_MAX);
        for (kind, members) in AUDITED {
            let members = members.iter().map(|name| format!(r#""{name}":"{long}""#));
            let payload = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
            let most = crate::base::limits::AUDIT_BYTES_MAX as usize - 256;
            assert!(entry(kind, &payload).len() < most, "{kind}");
        }
    }
}
