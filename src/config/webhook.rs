//! A stream's webhook: the path that others post to, their secret, how repeated deliveries are
//! recognised, and the answer.

use super::feed::json_pointer;
use super::fields::{self, Field, Wants, other, put, text, within, written};
use super::key::described;
use super::secret_members::{SECRET_ENV, SECRET_FILE, SecretMembers};
use crate::auth::HookSecret;
use crate::base::limits::WEBHOOK_ANSWER_BYTES_MAX;
use crate::base::names::NAME_BYTES_MAX;
use crate::http1::Status;
use std::sync::Arc;
use toml::de::DeValue;

/// A path that others post to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// The path, with the stream's placeholders.
    pub path: Arc<str>,
    /// The secret that signs their requests.
    pub secret: HookSecret,
    /// As in [`Poll`](super::Poll).
    pub pointer: Option<Arc<str>>,
    /// The status of the answer after publishing.
    pub status: Status,
    /// The content of that answer; none: the stream, and the event's number and time, as JSON.
    pub body: Option<Arc<str>>,
    /// The header field that identifies a delivery.
    pub delivery: Arc<str>,
}

/// The header field that identifies a delivery at GitHub.
const DELIVERY: &str = "X-GitHub-Delivery";
/// The allowed statuses; the first is the default.
const STATUSES: [(u64, Status); 4] =
    [(202, Status::Accepted), (200, Status::Ok), (201, Status::Created), (204, Status::NoContent)];

pub(super) const WANTS: &str = "{ path = …, secret_file = … or secret_env = …, pointer = …, status = …, body = …, delivery = … }";

#[derive(Debug, Default)]
pub(super) struct WebhookMembers {
    path: Option<Arc<str>>,
    secret: SecretMembers,
    pointer: Option<Arc<str>>,
    status: Option<Status>,
    body: Option<Arc<str>>,
    delivery: Option<Arc<str>>,
}

#[rustfmt::skip]
pub(super) const WEBHOOK: &[Field<WebhookMembers>] = &[
    other("path", Wants::Text("a path with each {name} of the stream's, of 1 to 128 bytes"), "",
        "The path to which it is posted.",
        |table, name, value| put(&mut table.path, text(name, value)),
        |table| written(&table.path)),
    other("secret_file", SECRET_FILE, "none",
        "A file with the secret, at least 32 bytes, that signs what is posted. Either this or secret_env.",
        |table, name, value| put(&mut table.secret.file, text(name, value)),
        |table| written(&table.secret.file)),
    other("secret_env", SECRET_ENV, "none",
        "An environment variable with the secret.",
        |table, name, value| put(&mut table.secret.variable, text(name, value)),
        |table| written(&table.secret.variable)),
    other("pointer", Wants::Text("a JSON pointer, as \"/data\""), "the whole content",
        "Where the data is in the content.",
        |table, _, value| put(&mut table.pointer, json_pointer(value)),
        |table| written(&table.pointer)),
    other("status", Wants::Text("200, 201, 202 or 204"), "202",
        "The status of the answer after the data was published.",
        |table, _, value| put(&mut table.status, status(value)),
        |table| STATUSES[1..].iter().find(|(_, one)| Some(*one) == table.status).map(|(number, _)| number.to_string())),
    other("body", Wants::Text("a text of at most 4096 bytes"), "{stream, seq, ts} as JSON",
        "The content of this answer.",
        |table, _, value| put(&mut table.body, body(value)),
        |table| written(&table.body)),
    other("delivery", Wants::Text("the name of a header field"), "\"X-GitHub-Delivery\"",
        "The field that identifies a delivery; a repeated delivery is published once.",
        |table, _, value| put(&mut table.delivery, delivery(value)),
        |table| written(&table.delivery)),
];

pub(super) fn read(value: &DeValue<'_>) -> Result<Webhook, String> {
    let wants = || format!("webhook is {WANTS}");
    let DeValue::Table(members) = value else { return Err(wants()) };
    let mut table = WebhookMembers::default();
    if let Some((_, wrong)) = fields::read(WEBHOOK, &mut table, members).into_iter().next() {
        return Err(format!("webhook: {wrong}"));
    }
    let WebhookMembers { path, secret, pointer, status, body, delivery } = table;
    let path = path.ok_or_else(wants)?;
    let secret = secret.secret().map_err(|(_, wants)| wants.to_owned())?.ok_or_else(wants)?;
    let status = status.unwrap_or(Status::Accepted);
    if status == Status::NoContent && body.as_ref().is_some_and(|body| !body.is_empty()) {
        return Err("webhook: an answer of status 204 has no body".to_owned());
    }
    let delivery = delivery.unwrap_or_else(|| DELIVERY.into());
    Ok(Webhook { path, secret, pointer, status, body, delivery })
}

/// Writes a webhook as an inline table of TOML.
pub(super) fn write(webhook: &Webhook) -> String {
    let Webhook { path, secret, pointer, status, body, delivery } = webhook.clone();
    let members = WebhookMembers {
        path: Some(path),
        secret: SecretMembers::from(&secret),
        pointer,
        status: Some(status),
        body,
        delivery: Some(delivery).filter(|name| &**name != DELIVERY),
    };
    format!("{{ {} }}", fields::write(WEBHOOK, members).join(", "))
}

fn status(value: &DeValue<'_>) -> Result<Status, String> {
    let number = within(value, 200, 204);
    let found = STATUSES.iter().find(|(status, _)| number == Some(*status));
    let found = found.map(|(_, status)| *status);
    found.ok_or_else(|| format!("status is 200, 201, 202 or 204; not {}", described(value)))
}

fn body(value: &DeValue<'_>) -> Result<Arc<str>, String> {
    let text = value.as_str().filter(|text| text.len() <= WEBHOOK_ANSWER_BYTES_MAX);
    let wants = || {
        format!(
            "body is a text of at most {WEBHOOK_ANSWER_BYTES_MAX} bytes; not {}",
            described(value)
        )
    };
    text.map(Arc::from).ok_or_else(wants)
}

/// RFC 9110 §5.1: a field's name.
fn delivery(value: &DeValue<'_>) -> Result<Arc<str>, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let is_name =
        |text: &&str| (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_plain);
    value.as_str().filter(is_name).map(Arc::from).ok_or_else(|| {
        format!("delivery is the name of a field, as \"X-Request-Id\"; not {}", described(value))
    })
}
