//! A stream's webhook: the path to which others post, what they sign with, how a delivery is known that comes
//! again, and what they are answered.

use super::example::quoted;
use super::feed::{json_pointer, secret, write_pointer, write_secret};
use super::fields::{WEBHOOK, names};
use super::key::{described, integer};
use super::streams::text;
use super::suggest;
use crate::auth::HookSecret;
use crate::base::limits::WEBHOOK_ANSWER_BYTES_MAX;
use crate::base::names::NAME_BYTES_MAX;
use crate::http1::Status;
use std::fmt::Write;
use std::sync::Arc;
use toml::Spanned;
use toml::de::DeValue;

/// A path to which others post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// The path, with the stream's placeholders.
    pub path: Arc<str>,
    /// What they sign with.
    pub secret: HookSecret,
    /// As of [`Poll`](super::Poll).
    pub pointer: Option<Arc<str>>,
    /// The status of the answer after the data was published.
    pub status: Status,
    /// The content of that answer; none: the stream, and the event's number and time, as JSON.
    pub body: Option<Arc<str>>,
    /// The field that names a delivery.
    pub delivery: Arc<str>,
}

/// The field that names a delivery, as GitHub has it.
const DELIVERY: &str = "X-GitHub-Delivery";
/// What may be declared; the first is the default.
const STATUSES: [(i64, Status); 4] =
    [(202, Status::Accepted), (200, Status::Ok), (201, Status::Created), (204, Status::NoContent)];

/// Reads one.
pub(super) fn read(value: &DeValue<'_>) -> Result<Webhook, String> {
    let wants = || {
        "webhook is { path = …, secret_file = … or secret_env = …, pointer = …, status = …, body = …, delivery = … }"
            .to_owned()
    };
    let DeValue::Table(members) = value else { return Err(wants()) };
    let known = || names(&[WEBHOOK]);
    let is_unknown = |name: &&str| known().all(|known| known != *name);
    if let Some(name) = members.iter().map(|(name, _)| name.get_ref().as_ref()).find(is_unknown) {
        return Err(format!("webhook: {}", suggest::unknown(name, known())));
    }
    let member = |name: &str| members.get(name).map(Spanned::get_ref);
    let path = text("path", member("path").ok_or_else(wants)?)?;
    let secret = secret(members).map_err(|(_, wants)| wants)?.ok_or_else(wants)?;
    let pointer = member("pointer").map(json_pointer).transpose()?;
    let status = member("status").map(status).transpose()?.unwrap_or(Status::Accepted);
    let body = member("body").map(body).transpose()?;
    if status == Status::NoContent && body.as_ref().is_some_and(|body| !body.is_empty()) {
        return Err("webhook: an answer of status 204 has no body".to_owned());
    }
    let delivery = member("delivery").map(delivery).transpose()?;
    let delivery = delivery.unwrap_or_else(|| DELIVERY.into());
    Ok(Webhook { path, secret, pointer, status, body, delivery })
}

fn status(value: &DeValue<'_>) -> Result<Status, String> {
    let number = match value {
        DeValue::Integer(number) => integer(number),
        _ => None,
    };
    let is_it = |(status, _): &&(i64, Status)| number == u64::try_from(*status).ok();
    let found = STATUSES.iter().find(is_it).map(|(_, status)| *status);
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

/// Writes one, behind what a stream's table has already.
pub(super) fn write(into: &mut String, webhook: &Webhook) {
    // Writing to a text does not fail.
    let _ = write!(into, ", webhook = {{ path = {}", quoted(&webhook.path));
    write_secret(into, &webhook.secret);
    write_pointer(into, webhook.pointer.as_deref());
    if let Some((number, _)) = STATUSES[1..].iter().find(|(_, status)| *status == webhook.status) {
        let _ = write!(into, ", status = {number}");
    }
    if let Some(body) = &webhook.body {
        let _ = write!(into, ", body = {}", quoted(body));
    }
    if &*webhook.delivery != DELIVERY {
        let _ = write!(into, ", delivery = {}", quoted(&webhook.delivery));
    }
    into.push_str(" }");
}
