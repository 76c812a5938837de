//! Streams of bytes over HTTP: contents that are no JSON.

use super::api::{ApiCall, idempotency_key};
use super::call::{HttpCall, refused};
use super::origin::shared_with;
use crate::base::limits::AROUND_DATA_BYTES_MAX;
use crate::base::{Data, StreamId};
use crate::hub::streams::{Declaration, StreamInfo, StreamRights, declared};
use crate::hub::{Input, Origin};
use crate::protocol::handshake::request::percent_decoded_path;
use crate::protocol::handshake::{RequestHead, Response, Status};
use crate::server::calls::Waiting;
use crate::server::chat::Chat;
use crate::server::encode::refusal_detail;
use crate::server::events::STREAMS_PATH;
use crate::server::request::{Fault, own_id};
use crate::server::sources::{hooked, is_form};
use crate::server::web::{Exchange, Net, Request};
use crate::store::Backend;

impl<S: Backend> Chat<S> {
    /// The largest content of a request: where it publishes to a stream, what that takes.
    pub(in crate::server) fn content_bytes_max(
        &self,
        head: &RequestHead<'_>,
        usual: usize,
    ) -> usize {
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
    pub(in crate::server) fn judge_publish(&mut self, call: &ApiCall) -> Option<Response> {
        let stream = StreamId::parse(call.stream()?).ok()?;
        let nobody = StreamRights::default();
        let rights = call.caller.person().map_or(&nobody, |person| &person.streams);
        let refusal = self.hub.streams().to_publish(&stream, rights).err()?;
        self.counters.refused(refusal.code.as_str());
        let response = refused(refusal.code.as_str(), refusal.message, refusal_detail(&refusal));
        Some(shared_with(response, call.shared_with.as_deref()))
    }

    /// Publishes a content of any type to a stream of bytes. Returns whether the call is for that.
    pub(super) fn begin_publish(
        &mut self,
        net: &mut Net<'_>,
        exchange: Exchange,
        request: &Request<'_>,
        call: &ApiCall,
    ) -> Result<bool, Fault> {
        let stream = call.stream().and_then(|name| StreamId::parse(name).ok());
        let is_binary = |stream: &StreamId| {
            self.hub.streams().declaration(stream).is_some_and(|declaration| declaration.binary)
        };
        let Some(stream) = stream.filter(is_binary) else { return Ok(false) };
        let person = call.caller.person();
        let id = idempotency_key(request.head, "id")?;
        let id = id.map(|id| own_id("id", &id, &self.config.limits)).transpose()?;
        let id = person.zip(id).map(|(person, id)| person.publication(id));
        let rights = person.map_or_else(StreamRights::default, |person| person.streams.clone());
        let number =
            self.new_call(Waiting::Http(Box::new(HttpCall::of_api(exchange, request, call))));
        let origin = Origin::Call(number);
        let what = (&stream, rights, request.body.len());
        let Some(publisher) = self.publisher(net, &origin, what, id.is_some()) else {
            return Ok(true);
        };
        self.decide(
            net,
            Input::Publish {
                origin,
                publisher,
                stream,
                data: Data::Binary(request.body.into()),
                id,
            },
        );
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
