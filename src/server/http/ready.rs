//! `/readyz`: whether the server can do what it is for, and how what feeds its streams is.

use super::reading::Readiness;
use crate::base::Moment;
use crate::base::limits::READINESS_AGES_MS;
use crate::protocol::handshake::{Response, Status};
use crate::server::chat::Chat;
use crate::server::json::Writer;
use crate::server::sources::Overview;
use crate::server::web::Net;
use crate::store::Backend;
use std::collections::BTreeMap;

/// When the newest event of each declared stream came, as it was known a moment ago: whoever asks again
/// and again does not have all streams looked through each time.
#[derive(Debug, Default)]
pub(in crate::server) struct Ages {
    at: Option<Moment>,
    newest: BTreeMap<Box<str>, i64>,
}

impl<S: Backend> Chat<S> {
    /// Answers whether the server is ready, with the state of each stream.
    pub(in crate::server) fn readyz(&mut self, net: &Net<'_>) -> Response {
        let (now, timestamp) = (net.now(), net.timestamp());
        if self.ages.at.is_none_or(|at| now.millis_since(at) >= READINESS_AGES_MS) {
            let times = self.hub.streams().newest_times();
            let newest = times.into_iter().map(|(name, ts)| (name.into(), ts.0)).collect();
            self.ages = Ages { at: Some(now), newest };
        }
        let readiness = self.rules(net, false).readiness;
        let refusal = readiness.refusal();
        let overviews = self.sources.overviews();
        let mut writer = Writer::new();
        writer.object(|w| {
            match &refusal {
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
            w.array("streams", &*self.config.streams, |w, declaration| {
                let name = declaration.pattern.as_str();
                w.object(|w| {
                    w.text("stream", name);
                    if let Some(Overview { state, is_required, down }) = overviews.get(name) {
                        w.text("state", state);
                        if *is_required {
                            w.flag("required", true);
                        }
                        if *down > 0 {
                            w.number("down", *down as u64);
                        }
                    }
                    if let Some(newest) = self.ages.newest.get(name) {
                        w.number("age_ms", timestamp.0.saturating_sub(*newest).max(0));
                    }
                });
            });
        });
        let body = writer.finish().into_bytes();
        let response = match refusal {
            None => Response::new(Status::Ok, "application/json", body),
            Some(refusal) => Response { body: body.into(), ..refusal.into() },
        };
        response.with("Cache-Control", "no-store")
    }
}
