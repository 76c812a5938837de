//! `/readyz`: whether the server can do what it is for, and how what feeds its streams is.

use super::chat::Chat;
use crate::base::Moment;
use crate::base::limits::READINESS_STREAMS_MS;
use crate::http1::{Response, Status};
use crate::server::http::reading::Readiness;
use crate::server::sources::Overview;
use crate::store::Backend;
use crate::web::Net;
use crate::wire::json::Writer;

/// What `/readyz` told a moment ago: whoever asks again and again does not have all streams looked through
/// each time.
#[derive(Debug)]
pub(super) struct ToldReady {
    at: Moment,
    readiness: Readiness,
    body: Vec<u8>,
}

impl<S: Backend> Chat<S> {
    /// Answers whether the server is ready, with the state of each stream.
    pub(super) fn readyz(&mut self, net: &Net<'_>) -> Response {
        let now = net.now();
        let readiness = self.readiness(net);
        let is_told = |told: &&ToldReady| {
            told.readiness == readiness && now.millis_since(told.at) < READINESS_STREAMS_MS
        };
        let body = match self.told_ready.as_ref().filter(is_told) {
            Some(told) => told.body.clone(),
            None => {
                let body = self.write_readiness(net, readiness).into_bytes();
                let told = ToldReady { at: now, readiness, body: body.clone() };
                self.told_ready = Some(told);
                body
            }
        };
        let response = match readiness.refusal() {
            None => Response::new(Status::Ok, "application/json", body),
            Some(refusal) => Response { body: body.into(), ..refusal.into() },
        };
        response.with("Cache-Control", "no-store")
    }

    fn write_readiness(&self, net: &Net<'_>, readiness: Readiness) -> String {
        let timestamp = net.timestamp();
        let mut writer = Writer::new();
        writer.object(|w| {
            match readiness.refusal() {
                None => w.text("status", "ready"),
                Some(refusal) => w.object_in("error", |w| {
                    w.text("code", refusal.code);
                    w.text("message", &refusal.message);
                }),
            }
            // Nobody needs to know them of a server that ends.
            if readiness == Readiness::Stopping || self.config.streams.is_empty() {
                return;
            }
            let newest = self.hub.streams().newest_times();
            let overviews = self.sources.overviews();
            w.array("streams", &*self.config.streams, |w, declaration| {
                let name = declaration.pattern.as_str();
                w.object(|w| {
                    w.text("stream", name);
                    if let Some(Overview { state, is_required, down, every_ms, late }) =
                        overviews.get(name)
                    {
                        w.text("state", state);
                        if *is_required {
                            w.flag("required", true);
                        }
                        if *down > 0 {
                            w.number("down", *down as u64);
                        }
                        if let Some(every_ms) = every_ms {
                            w.number("every_ms", *every_ms);
                            w.number("polled_ms", late.longest_ms);
                        }
                        if late.streams > 0 {
                            w.number("late", late.streams);
                        }
                    }
                    if let Some(newest) = newest.get(name) {
                        w.number("age_ms", timestamp.0.saturating_sub(newest.0).max(0));
                    }
                });
            });
        });
        writer.finish()
    }
}
