//! What admins do, in the log and in a durable stream of the server's own.

use super::calls::CallWaiter;
use super::chat::Chat;
use super::dispatch::ChatRequest;
use crate::base::names::DM_BYTES_MAX;
use crate::base::{Address, Origin};
use crate::config::AUDIT;
use crate::store::RecordStore;
use crate::web::Net;
use crate::wire::json::{Writer, object};
use crate::wire::request::Envelope;

/// Requests that change something for others, where an admin sends them.
const AUDITED: &[&str] = &[
    "admin:add",
    "admin:disconnect",
    "admin:pause",
    "admin:push",
    "admin:resume",
    "auth:revoke",
    "room:ban",
    "room:delete",
    "room:invite",
    "room:remove",
    "room:unban",
    "room:update",
];
/// Members of these requests that say whom or what they are about.
const TARGETS: &[&str] = &["room", "user", "connection", "stream", "jti"];

/// The request of an admin that is being carried out.
#[derive(Debug, Default)]
pub(super) struct Audit {
    under_way: Option<Origin>,
    /// The code with which it was refused at once.
    refused: Option<String>,
}

impl Audit {
    /// The request of `origin` was refused, which may be another one than the admin's.
    pub(super) fn note_refusal(&mut self, origin: &Origin, code: &str) {
        if self.under_way.as_ref() == Some(origin) {
            self.refused = Some(code.to_owned());
        }
    }
}

impl<S: RecordStore> Chat<S> {
    /// Carries out a request, and writes down what an admin does by it: who, from where, what, and
    /// the code if it was refused at once. What the store refuses later is not known here.
    pub(super) fn audited(
        &mut self,
        net: &mut Net<'_>,
        ChatRequest { origin, person, envelope }: ChatRequest<'_>,
        carry_out: impl FnOnce(&mut Self, &mut Net<'_>),
    ) {
        let admin = person.filter(|person| person.is_admin);
        let admin = admin.filter(|_| AUDITED.contains(&envelope.kind.as_ref()));
        let Some(admin) = admin else { return carry_out(self, net) };
        // Before it is carried out: it may end the connection from which it comes.
        let address = self.address_of(net, origin);
        self.audit = Audit { under_way: Some(origin.clone()), refused: None };
        carry_out(self, net);
        let Audit { refused, .. } = std::mem::take(&mut self.audit);
        let data = object(|w| {
            w.text("by", admin.user.as_str());
            let address = address.map(|address| address.to_string());
            w.if_some("address", address.as_deref(), Writer::text);
            w.text("type", &envelope.kind);
            write_targets(w, envelope);
            w.if_some("refused", refused.as_deref(), Writer::text);
        });
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

/// Whom or what a request is about. Nothing longer than a name, as it may be refused for that.
fn write_targets(w: &mut Writer, envelope: &Envelope<'_>) {
    let Some(payload) = envelope.payload() else { return };
    let short = |name: &str| payload[name].as_str().filter(|text| text.len() <= DM_BYTES_MAX);
    for name in TARGETS {
        w.if_some(name, short(name), Writer::text);
    }
    if envelope.kind == "admin:push" {
        w.if_some("push", short("type"), Writer::text);
        w.if_some(
            "users",
            payload["users"].as_array().map(|users| users.len() as u64),
            Writer::number,
        );
        if payload["all"] == true {
            w.flag("all", true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_somebody_elses_request_is_not_the_admins() {
        let mut audit = Audit { under_way: Some(Origin::Call(7)), refused: None };
        audit.note_refusal(&Origin::Call(8), "busy");
        assert_eq!(audit.refused, None);
        audit.note_refusal(&Origin::Call(7), "not_found");
        assert_eq!(audit.refused.as_deref(), Some("not_found"));
    }
}
