//! Requests about streams, and HTTP content that is not JSON: from the wire to the hub.

use super::calls::CallWaiter;
use super::chat::Chat;
use super::dispatch::{ACTS_ON_A_CONNECTION, ChatRequest};
use super::http_answer::IncomingRequest;
use super::http_call::HttpCall;
use super::session::SessionPhase;
use crate::auth::Person;
use crate::base::declaration::{Declaration, declared};
use crate::base::limits::AROUND_DATA_BYTES_MAX;
use crate::base::names::NAME_BYTES_MAX;
use crate::base::subscription::{Form, StreamInfo};
use crate::base::{ConnId, Data, Origin, PublicationId, RefusalCode, StreamId, StreamRights};
use crate::http1::head::percent_decoded_path;
use crate::http1::{RequestHead, Response, Status};
use crate::hub::Input;
use crate::routes::own::STREAMS_PATH;
use crate::server::http::{ApiCall, idempotency_key, refused, shared_with};
use crate::server::sources::{find_webhook, is_form};
use crate::store::RecordStore;
use crate::web::Net;
use crate::wire::error::ErrorReply;
use crate::wire::request::{Fault, own_id};
use crate::wire::stream_encode::Usable;
use crate::wire::stream_request::{StreamRequest, stream_request};
use std::sync::Arc;

impl Person {
    /// The id of a publication of theirs.
    pub(super) fn publication(&self, id: Arc<str>) -> Arc<PublicationId> {
        Arc::new(PublicationId { by: Some(self.user.clone()), id })
    }
}

fn named(message: &[u8]) -> Option<(StreamId, &[u8])> {
    let (len, rest) = message.split_first()?;
    let (name, data) = rest.split_at_checked(usize::from(*len))?;
    Some((StreamId::parse(std::str::from_utf8(name).ok()?).ok()?, data))
}

/// The newest data of a stream of bytes, with its `seq`; no content if there is none.
pub(super) fn bytes_of(info: &StreamInfo) -> Response {
    let bytes = match info.newest.as_ref().map(|newest| &newest.data) {
        Some(Data::Binary(bytes)) => bytes.to_vec(),
        Some(Data::Json(_)) | None => Vec::new(),
    };
    let status = if info.newest.is_some() { Status::Ok } else { Status::NoContent };
    let response = Response::new(status, "application/octet-stream", bytes);
    response.with("Parlor-Seq", info.seq.to_string()).with("X-Content-Type-Options", "nosniff")
}

impl<S: RecordStore> Chat<S> {
    /// A request about streams, or one for admins.
    pub(super) fn stream_request(
        &mut self,
        net: &mut Net<'_>,
        chat_request: ChatRequest<'_>,
        person: &Person,
    ) {
        let ChatRequest { origin, envelope, .. } = chat_request;
        let fields = envelope.fields(self.limits_for(person), net.timestamp());
        let request = match stream_request(envelope, &fields) {
            Ok(Some(request)) => request,
            Ok(None) => {
                if let Err(fault) = self.administer(net, origin, envelope) {
                    self.fault(net, origin, fault);
                }
                return;
            }
            Err(fault) => return self.fault(net, origin, fault),
        };
        let rights = person.streams.clone();
        let input = match (request, origin) {
            (StreamRequest::Publish(stream, data, id), _) => {
                let id = id.map(|id| person.publication(id));
                return self.publish(net, origin.clone(), rights, stream, data, id);
            }
            (StreamRequest::Query(query), _) => {
                Input::QueryStreams { origin: origin.clone(), rights, query }
            }
            (StreamRequest::Subscribe(asks), Origin::Conn(conn, id)) => {
                let by = (*conn, id.clone());
                return self.subscribe(net, by, rights, Form::Envelope, asks);
            }
            (StreamRequest::Unsubscribe(streams), Origin::Conn(conn, id)) => {
                Input::Unsubscribe { by: (*conn, id.clone()), streams }
            }
            (StreamRequest::Ack(stream, seq), Origin::Conn(conn, id)) => {
                Input::StreamAck { by: (*conn, id.clone()), stream, seq }
            }
            (_, Origin::Call(_)) => {
                let error = ErrorReply::new(RefusalCode::BadRequest, ACTS_ON_A_CONNECTION);
                return self.refuse(net, origin, error);
            }
        };
        self.decide(net, input);
    }

    /// The declared streams that somebody may watch or publish to, and which of the two.
    pub(super) fn streams_for(&self, person: &Person) -> Vec<Usable<'_>> {
        let usable = |declaration| Usable {
            declaration,
            watch: person.streams.may_watch_one(declaration),
            publish: person.streams.may_publish_to_one(declaration),
        };
        let all = self.config.streams.iter().map(usable);
        all.filter(|usable| usable.watch || usable.publish).collect()
    }

    /// Whether somebody may publish to a declared stream.
    pub(super) fn may_publish(&self, person: &Person) -> bool {
        self.config.streams.iter().any(|stream| person.streams.may_publish_to_one(stream))
    }

    /// Publishes a binary message: a byte n, n bytes of a stream's name, the data. Returns whether
    /// it is one.
    pub(super) fn publish_bytes(
        &mut self,
        net: &mut Net<'_>,
        conn: ConnId,
        message: &[u8],
    ) -> bool {
        let Some(rights) = self.signed_in(conn).map(|known| known.rights.clone()) else {
            return false;
        };
        let Some((stream, data)) = named(message) else { return false };
        let data = Data::Binary(data.into());
        self.publish(net, Origin::Conn(conn, None), rights, stream, data, None);
        true
    }

    /// Sets how large a connection's messages may be: larger if it may publish to streams of bytes
    /// that take more.
    pub(super) fn widen(&mut self, net: &mut Net<'_>, conn: ConnId) {
        let usual = self.config.limits.message_bytes;
        let Some(rights) = self.signed_in(conn).map(|known| known.rights.clone()) else {
            return;
        };
        let own = |one: &&Declaration| one.binary && rights.may_publish_to_one(one);
        let own = self.config.streams.iter().filter(own);
        let bytes = |one: &Declaration| one.max_bytes.saturating_add(1 + NAME_BYTES_MAX as u32);
        let largest = own.map(bytes).max();
        let widened_to = largest.filter(|bytes| u64::from(*bytes) > usual).unwrap_or(0);
        let phase = self.sessions.get_mut(conn).map(|session| &mut session.phase);
        let Some(SessionPhase::Known(known)) = phase else { return };
        if std::mem::replace(&mut known.widened_to, widened_to) != widened_to {
            net.take_messages_up_to(conn, u64::from(widened_to).max(usual));
        }
    }

    /// The largest content of a request. If it is for a stream, that depends on what the stream
    /// takes.
    pub(super) fn content_bytes_max(&self, head: &RequestHead<'_>, usual: usize) -> usize {
        if head.method != "POST" {
            return usual;
        }
        let named = || {
            let name = percent_decoded_path(head.path.strip_prefix(STREAMS_PATH)?)?;
            StreamId::parse(&name).ok()
        };
        let (streams, feeds) = (&self.config.streams, &self.config.feeds);
        let hook = || Some(find_webhook(head.path, feeds, streams)?.1);
        let (stream, times) = match named() {
            Some(stream) => (Some(stream), 1),
            // A form has up to three bytes for each byte of the data.
            None => (hook(), if is_form(head) { 3 } else { 1 }),
        };
        let declaration = stream.and_then(|stream| declared(streams, stream.as_str()));
        let content =
            |data: &Declaration| (data.max_bytes as usize) * times + AROUND_DATA_BYTES_MAX;
        declaration.map_or(usual, |declaration| usual.max(content(declaration)))
    }

    /// Why somebody may not publish what they are about to send, if so.
    pub(super) fn judge_publish(&mut self, call: &ApiCall) -> Option<Response> {
        let stream = StreamId::parse(call.stream()?).ok()?;
        let nobody = StreamRights::default();
        let rights = call.caller.as_ref().map_or(&nobody, |person| &person.streams);
        let refusal = self.hub.streams().to_publish(&stream, rights).err()?;
        self.counters.refused(refusal.code.as_str());
        Some(shared_with(refused(&(&refusal).into()), call.shared_with.as_deref()))
    }

    /// Publishes content of any type to a stream of bytes. Returns whether the call is for that.
    pub(super) fn begin_publish(
        &mut self,
        net: &mut Net<'_>,
        incoming: IncomingRequest<'_>,
        call: &ApiCall,
    ) -> Result<bool, Fault> {
        let stream = call.stream().and_then(|name| StreamId::parse(name).ok());
        let is_binary = |stream: &StreamId| {
            self.hub.streams().declaration(stream).is_some_and(|declaration| declaration.binary)
        };
        let Some(stream) = stream.filter(is_binary) else { return Ok(false) };
        let person = call.caller.as_ref();
        let id = idempotency_key(incoming.head, "id")?;
        let id = id.map(|id| own_id("id", &id, &self.config.limits)).transpose()?;
        let id = person.zip(id).map(|(person, id)| person.publication(id));
        let rights = person.map_or_else(StreamRights::default, |person| person.streams.clone());
        let number = self.calls.begin(CallWaiter::Http(Box::new(HttpCall::of_api(incoming, call))));
        let data = Data::Binary(incoming.body.into());
        self.publish(net, Origin::Call(number), rights, stream, data, id);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_bytes_names_its_stream() {
        let read = |message: &'static [u8]| {
            named(message).map(|(stream, data)| (stream.to_string(), data))
        };
        assert_eq!(read(b"\x03cam\x00\xff"), Some(("cam".to_owned(), &b"\x00\xff"[..])));
        assert_eq!(read(b"\x03cam"), Some(("cam".to_owned(), &b""[..])));
        for wrong in [&b""[..], b"\x00data", b"\x04cam", b"\x03c m", b"\x01\xff", b"\xff"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
