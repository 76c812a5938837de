//! The handlers that the configuration declares, and how each of them is.

use crate::base::{Limits, Moment};
use crate::server::backend::{Circuit, CircuitSettings, CircuitState, Pass};
use crate::server::config::BackendHandler;
use std::sync::Arc;

/// All of them, in the order in which a type is looked for.
#[derive(Debug)]
pub(in crate::server) struct Remotes {
    list: Vec<Remote>,
    settings: CircuitSettings,
    last_id: u64,
}

/// A handler.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) id: RemoteId,
    pub(super) declared: Arc<BackendHandler>,
    circuit: Circuit,
    /// Requests that are under way.
    under_way: u32,
    counts: [u64; OUTCOMES.len()],
}

/// Names a handler for as long as it is declared as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) struct RemoteId(u64);

/// What became of requests, as the metrics name it, in the order of [`Outcome`].
const OUTCOMES: [&str; 4] = ["ok", "refused", "failed", "not_asked"];

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The backend has answered it.
    Ok = 0,
    /// The backend has refused it.
    Refused = 1,
    /// The backend has failed.
    Failed = 2,
    /// It was not asked: too many were under way, or the circuit is open.
    NotAsked = 3,
}

/// Why the backend is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotAsked {
    /// As many requests are under way as may be.
    TooMany,
    /// It has failed again and again: it is tried in so many ms.
    LeftAlone { retry_after_ms: u64 },
}

/// What is counted of a handler.
#[derive(Clone, Debug, Default)]
pub(in crate::server) struct RemoteMetrics {
    /// Its first type.
    pub(in crate::server) handler: String,
    pub(in crate::server) outcomes: [(&'static str, u64); OUTCOMES.len()],
    pub(in crate::server) under_way: u64,
    /// It is left alone, or tried.
    pub(in crate::server) is_down: bool,
}

impl Remotes {
    pub(in crate::server) fn new(limits: &Limits, declared: &[BackendHandler]) -> Remotes {
        let settings = CircuitSettings::from(limits);
        let mut remotes = Remotes { list: Vec::new(), settings, last_id: 0 };
        remotes.declare(limits, declared);
        remotes
    }

    /// Goes by what is declared now. What is declared as before goes on.
    pub(in crate::server) fn declare(&mut self, limits: &Limits, declared: &[BackendHandler]) {
        self.settings = CircuitSettings::from(limits);
        let mut before = std::mem::take(&mut self.list);
        for handler in declared {
            let place = before.iter().position(|old| *old.declared == *handler);
            let remote = place.map(|place| before.swap_remove(place)).unwrap_or_else(|| {
                self.last_id += 1;
                Remote {
                    id: RemoteId(self.last_id),
                    declared: Arc::new(handler.clone()),
                    circuit: Circuit::default(),
                    under_way: 0,
                    counts: [0; OUTCOMES.len()],
                }
            });
            self.list.push(remote);
        }
    }

    /// The handler that is for a type: the first that takes it.
    pub(in crate::server) fn find(&self, kind: &str) -> Option<Arc<BackendHandler>> {
        let remote = self.list.iter().find(|remote| remote.declared.takes(kind));
        remote.map(|remote| Arc::clone(&remote.declared))
    }

    /// All that are declared.
    pub(in crate::server) fn declared(&self) -> impl Iterator<Item = &BackendHandler> {
        self.list.iter().map(|remote| &*remote.declared)
    }

    fn get(&mut self, id: RemoteId) -> Option<&mut Remote> {
        self.list.iter_mut().find(|remote| remote.id == id)
    }

    /// Leave to ask once for a type; it counts as under way until [`Remotes::done`].
    pub(super) fn begin(
        &mut self,
        now: Moment,
        kind: &str,
    ) -> Option<Result<(RemoteId, Pass), NotAsked>> {
        let remote = self.list.iter_mut().find(|remote| remote.declared.takes(kind))?;
        let not_asked = if remote.under_way >= remote.declared.concurrency {
            NotAsked::TooMany
        } else {
            match remote.circuit.pass(now) {
                Ok(pass) => {
                    remote.under_way += 1;
                    return Some(Ok((remote.id, pass)));
                }
                Err(retry_after_ms) => NotAsked::LeftAlone { retry_after_ms },
            }
        };
        remote.counts[Outcome::NotAsked as usize] += 1;
        Some(Err(not_asked))
    }

    /// A request is over. Of a handler that is declared no more nothing is noted.
    pub(super) fn done(&mut self, now: Moment, id: RemoteId, pass: &Pass, outcome: Outcome) {
        let settings = self.settings;
        let Some(remote) = self.get(id) else { return };
        remote.under_way = remote.under_way.saturating_sub(1);
        remote.counts[outcome as usize] += 1;
        let name = remote.declared.types.first().cloned().unwrap_or_default();
        match outcome {
            Outcome::Ok | Outcome::Refused => {
                if remote.circuit.succeeded(pass) {
                    log::info!("the backend of {name} answers again");
                }
            }
            Outcome::Failed => {
                if remote.circuit.failed(pass, now, settings) && !pass.is_trial {
                    log::warn!("the backend of {name} is left alone for {} ms", settings.open_ms);
                }
            }
            Outcome::NotAsked => remote.circuit.unused(pass),
        }
    }

    /// What is counted of all.
    pub(in crate::server) fn metrics(&self) -> Vec<RemoteMetrics> {
        let of_one = |remote: &Remote| {
            let mut outcomes = OUTCOMES.map(|name| (name, 0));
            for ((_, count), counted) in outcomes.iter_mut().zip(remote.counts) {
                *count = counted;
            }
            RemoteMetrics {
                handler: remote.declared.types.first().map(ToString::to_string).unwrap_or_default(),
                outcomes,
                under_way: remote.under_way.into(),
                is_down: remote.circuit.state() != CircuitState::Closed,
            }
        };
        self.list.iter().map(of_one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remotes(handlers: &[BackendHandler]) -> Remotes {
        Remotes::new(&Limits::default(), handlers)
    }

    #[test]
    fn so_many_are_under_way_and_the_next_is_not_asked() {
        let mut handler = BackendHandler::new(&["a.*"], "http://a/");
        handler.concurrency = 2;
        let mut remotes = remotes(&[handler]);
        let now = Moment::ZERO;
        assert!(remotes.begin(now, "b").is_none());
        let (id, pass) = remotes.begin(now, "a.1").unwrap().unwrap();
        assert!(remotes.begin(now, "a.2").unwrap().is_ok());
        assert_eq!(remotes.begin(now, "a.3").unwrap().unwrap_err(), NotAsked::TooMany);
        remotes.done(now, id, &pass, Outcome::Ok);
        assert!(remotes.begin(now, "a.3").unwrap().is_ok());
        let metrics = remotes.metrics().remove(0);
        assert_eq!((metrics.under_way, metrics.is_down), (2, false));
        assert_eq!(metrics.outcomes.map(|(_, count)| count), [1, 0, 0, 1]);
    }

    #[test]
    fn a_backend_that_fails_is_left_alone_and_refusals_are_no_failures() {
        let mut remotes = remotes(&[BackendHandler::new(&["a"], "http://a/")]);
        let mut end = |now: u64, outcome| {
            let now = Moment::from_millis(now);
            match remotes.begin(now, "a").unwrap() {
                Ok((id, pass)) => {
                    remotes.done(now, id, &pass, outcome);
                    None
                }
                Err(why) => Some(why),
            }
        };
        for _ in 0..9 {
            assert_eq!(end(0, Outcome::Failed), None);
        }
        assert_eq!(end(0, Outcome::Refused), None);
        for _ in 0..10 {
            assert_eq!(end(0, Outcome::Failed), None);
        }
        let left = NotAsked::LeftAlone { retry_after_ms: 29_000 };
        assert_eq!(end(1_000, Outcome::Ok), Some(left));
        assert_eq!(end(30_000, Outcome::Ok), None);
        assert_eq!(end(30_000, Outcome::Ok), None);
    }

    #[test]
    fn what_is_declared_as_before_goes_on_and_what_has_gone_is_nobody() {
        let (one, other) =
            (BackendHandler::new(&["a"], "http://a/"), BackendHandler::new(&["b"], "http://b/"));
        let mut remotes = remotes(&[one.clone(), other.clone()]);
        let now = Moment::ZERO;
        let (of_one, pass) = remotes.begin(now, "a").unwrap().unwrap();
        let (of_other, _pass) = remotes.begin(now, "b").unwrap().unwrap();
        remotes.declare(&Limits::default(), &[other]);
        remotes.done(now, of_one, &pass, Outcome::Failed);
        assert!(remotes.find("a").is_none() && remotes.find("b").is_some());
        assert_eq!(remotes.metrics()[0].under_way, 1);
        assert_eq!(remotes.list[0].id, of_other);
    }
}
