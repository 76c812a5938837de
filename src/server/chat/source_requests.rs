//! What admins ask about the sources of streams.

use crate::base::subscription::StreamInfo;
use crate::base::{Origin, RefusalCode, StreamId, Timestamp};
use crate::hub::streams::NO_SUCH_STREAM;
use crate::server::chat::chat::Chat;
use crate::server::sources::operate::{PAUSED, RUNNING};
use crate::store::Backend;
use crate::web::Net;
use crate::wire::error::ErrorReply;
use crate::wire::json::Writer;

impl<S: Backend> Chat<S> {
    /// Writes what admins are told of a stream beside what everybody is: how old its newest event is,
    /// and how its source is.
    pub(super) fn source_info(&self, w: &mut Writer, now: Timestamp, info: &StreamInfo) {
        if let Some(newest) = &info.newest {
            w.number("age_ms", now.0.saturating_sub(newest.ts.0).max(0));
        }
        self.sources.write(w, info);
    }

    /// Pauses what feeds a stream, or lets it go on.
    pub(super) fn pause_source(
        &mut self,
        net: &mut Net<'_>,
        origin: &Origin,
        name: &str,
        is_paused: bool,
    ) {
        match self.sources.pause(net.now(), name, is_paused) {
            Some(running) => {
                let state = if running.is_paused { PAUSED } else { RUNNING };
                self.reply(net, origin, |w| {
                    w.text("stream", name);
                    w.text("state", state);
                });
                self.ask_sources(net);
            }
            None => {
                let is_known = StreamId::parse(name)
                    .is_ok_and(|stream| self.hub.streams().declaration(&stream).is_some());
                if is_known {
                    let message =
                        "no source feeds this stream; a family's source has the declared name";
                    self.refuse(net, origin, ErrorReply::new(RefusalCode::Conflict, message));
                } else {
                    self.refuse(net, origin, (&NO_SUCH_STREAM).into());
                }
            }
        }
    }
}
