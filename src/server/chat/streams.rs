//! Requests about streams: from the wire to the hub.

use super::chat::Chat;
use super::dispatch::{ACTS_ON_A_CONNECTION, Asked};
use super::session::SessionPhase;
use crate::auth::Person;
use crate::base::declaration::Declaration;
use crate::base::names::NAME_BYTES_MAX;
use crate::base::subscription::Form;
use crate::base::{ConnId, Data, Origin, PublicationId, RefusalCode, StreamId};
use crate::hub::Input;
use crate::store::Backend;
use crate::web::Net;
use crate::wire::error::ErrorReply;
use crate::wire::stream_encode::Usable;
use crate::wire::stream_request::{StreamRequest, stream_request};
use std::sync::Arc;

impl Person {
    /// What they call a publication of theirs.
    pub(super) fn publication(&self, id: Arc<str>) -> Arc<PublicationId> {
        Arc::new(PublicationId { by: Some(self.user.clone()), id })
    }
}

impl<S: Backend> Chat<S> {
    /// A request that is none of the hub's other ones.
    pub(super) fn stream_request(&mut self, net: &mut Net<'_>, asked: Asked<'_>, person: &Person) {
        let Asked { origin, envelope, .. } = asked;
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
            (StreamRequest::Look(query), _) => {
                Input::LookAtStreams { origin: origin.clone(), rights, query }
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

    /// The declared streams that somebody may watch, or publish to, and which of it.
    pub(super) fn streams_for(&self, person: &Person) -> Vec<Usable<'_>> {
        let usable = |declaration| Usable {
            declaration,
            watch: person.streams.may_watch_one(declaration),
            publish: person.streams.may_publish_to_one(declaration),
        };
        let all = self.config.streams.iter().map(usable);
        all.filter(|usable| usable.watch || usable.publish).collect()
    }

    /// Whether there is a declared stream that somebody may publish to.
    pub(super) fn may_publish(&self, person: &Person) -> bool {
        self.config.streams.iter().any(|stream| person.streams.may_publish_to_one(stream))
    }

    /// A binary message: a byte n, n bytes of a stream's name, the data. Returns whether it is one.
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

    /// Lets a connection send what its rights are for: a message of bytes may be larger than others.
    pub(super) fn widen(&mut self, net: &mut Net<'_>, conn: ConnId) {
        let usual = self.config.limits.message_bytes;
        let Some(rights) = self.signed_in(conn).map(|known| known.rights.clone()) else { return };
        let own = |one: &&Declaration| one.binary && rights.may_publish_to_one(one);
        let own = self.config.streams.iter().filter(own);
        let largest = own.map(|one| 1 + NAME_BYTES_MAX as u64 + u64::from(one.max_bytes)).max();
        let widened_to = largest.filter(|bytes| *bytes > usual).unwrap_or(0);
        let phase = self.session_mut(conn).map(|session| &mut session.phase);
        let Some(SessionPhase::Known(known)) = phase else { return };
        if std::mem::replace(&mut known.widened_to, widened_to) != widened_to {
            net.take_messages_up_to(conn, widened_to.max(usual));
        }
    }
}

fn named(message: &[u8]) -> Option<(StreamId, &[u8])> {
    let (len, rest) = message.split_first()?;
    let (name, data) = rest.split_at_checked(usize::from(*len))?;
    Some((StreamId::parse(std::str::from_utf8(name).ok()?).ok()?, data))
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
