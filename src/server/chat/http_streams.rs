//! Streams of bytes over HTTP: contents that are no JSON.

use super::calls::CallWaiter;
use super::chat::Chat;
use super::http_answer::Incoming;
use super::http_call::HttpCall;
use crate::base::declaration::{Declaration, declared};
use crate::base::limits::AROUND_DATA_BYTES_MAX;
use crate::base::subscription::StreamInfo;
use crate::base::{Data, Origin, StreamId, StreamRights};
use crate::http1::head::percent_decoded_path;
use crate::http1::{RequestHead, Response, Status};
use crate::routes::own::STREAMS_PATH;
use crate::server::http::api::{ApiCall, idempotency_key};
use crate::server::http::shared_with;
use crate::server::http::status::refused;
use crate::server::sources::{hooked, is_form};
use crate::store::Backend;
use crate::web::Net;
use crate::wire::request::{Fault, own_id};

impl<S: Backend> Chat<S> {
    /// The largest content of a request: where it publishes to a stream, what that takes.
    pub(super) fn content_bytes_max(&self, head: &RequestHead<'_>, usual: usize) -> usize {
        if head.method != "POST" {
            return usual;
        }
        let named = || {
            let name = percent_decoded_path(head.path.strip_prefix(STREAMS_PATH)?)?;
            StreamId::parse(&name).ok()
        };
        let (streams, feeds) = (&self.config.streams, &self.config.feeds);
        let hook = || Some(hooked(head.path, feeds, streams)?.1);
        let (stream, times) = match named() {
            Some(stream) => (Some(stream), 1),
            // A form has up to three bytes for each of the data.
            None => (hook(), if is_form(head) { 3 } else { 1 }),
        };
        let declaration = stream.and_then(|stream| declared(streams, stream.as_str()));
        let content =
            |data: &Declaration| (data.max_bytes as usize) * times + AROUND_DATA_BYTES_MAX;
        declaration.map_or(usual, |declaration| usual.max(content(declaration)))
    }

    /// Why somebody may not publish what they are about to send, if they may not.
    pub(super) fn judge_publish(&mut self, call: &ApiCall) -> Option<Response> {
        let stream = StreamId::parse(call.stream()?).ok()?;
        let nobody = StreamRights::default();
        let rights = call.caller.as_ref().map_or(&nobody, |person| &person.streams);
        let refusal = self.hub.streams().to_publish(&stream, rights).err()?;
        self.counters.refused(refusal.code.as_str());
        Some(shared_with(refused(&(&refusal).into()), call.shared_with.as_deref()))
    }

    /// Publishes a content of any type to a stream of bytes. Returns whether the call is for that.
    pub(super) fn begin_publish(
        &mut self,
        net: &mut Net<'_>,
        asked: Incoming<'_>,
        call: &ApiCall,
    ) -> Result<bool, Fault> {
        let stream = call.stream().and_then(|name| StreamId::parse(name).ok());
        let is_binary = |stream: &StreamId| {
            self.hub.streams().declaration(stream).is_some_and(|declaration| declaration.binary)
        };
        let Some(stream) = stream.filter(is_binary) else { return Ok(false) };
        let person = call.caller.as_ref();
        let id = idempotency_key(asked.head, "id")?;
        let id = id.map(|id| own_id("id", &id, &self.config.limits)).transpose()?;
        let id = person.zip(id).map(|(person, id)| person.publication(id));
        let rights = person.map_or_else(StreamRights::default, |person| person.streams.clone());
        let number = self.new_call(CallWaiter::Http(Box::new(HttpCall::of_api(asked, call))));
        let data = Data::Binary(asked.body.into());
        self.publish(net, Origin::Call(number), rights, stream, data, id);
        Ok(true)
    }
}

/// The newest data of a stream of bytes, with its number; nothing, if there was none.
pub(super) fn bytes_of(info: &StreamInfo) -> Response {
    let bytes = match info.newest.as_ref().map(|newest| &newest.data) {
        Some(Data::Binary(bytes)) => bytes.to_vec(),
        Some(Data::Json(_)) | None => Vec::new(),
    };
    let status = if info.newest.is_some() { Status::Ok } else { Status::NoContent };
    let response = Response::new(status, "application/octet-stream", bytes);
    response.with("Parlor-Seq", info.seq.to_string()).with("X-Content-Type-Options", "nosniff")
}
