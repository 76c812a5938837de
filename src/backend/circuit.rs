//! Circuit breakers: a backend that failed again and again is not called for a while, and then
//! tried once.

use super::job::JobResult;
use crate::base::{Limits, Moment};
use std::hash::{DefaultHasher, Hash, Hasher};

/// When a circuit opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CircuitSettings {
    /// Failures in a row that open it, if they are the backend's fault alone or those of several
    /// askers.
    pub(crate) failures: u32,
    /// How long it stays open, in ms.
    pub(crate) open_ms: u64,
}

impl From<&Limits> for CircuitSettings {
    fn from(limits: &Limits) -> CircuitSettings {
        CircuitSettings {
            failures: limits.backend_circuit_failures,
            open_ms: limits.backend_circuit_open_ms,
        }
    }
}

/// A circuit. A caller takes a [`Pass`] and returns it with the outcome.
#[derive(Clone, Debug, Default)]
pub(crate) struct Circuit {
    state: CircuitPhase,
    /// Rises with each change, so that outcomes of earlier calls are ignored.
    generation: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CircuitPhase {
    /// Calls pass; counts the failures in a row.
    Closed { failures: Failures },
    /// No calls pass until then.
    Open { until: Moment },
    /// One trial passes; says whether it is in progress.
    HalfOpen { is_trying: bool },
}

impl Default for CircuitPhase {
    fn default() -> CircuitPhase {
        CircuitPhase::Closed { failures: Failures::default() }
    }
}

/// Who may have caused a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Only the backend: it could not be reached, or took too long.
    Backend,
    /// The backend or the asker (a hash of who that is): a request that breaks a backend can be
    /// made on purpose.
    Asker(u64),
}

impl Cause {
    /// The cause of a failure of an asker's call.
    pub(crate) fn of(outcome: &JobResult, asker: &impl Hash) -> Cause {
        match outcome {
            Err(failure) if failure.is_backends_alone() => Cause::Backend,
            Ok(_) | Err(_) => {
                let mut hasher = DefaultHasher::new();
                asker.hash(&mut hasher);
                Cause::Asker(hasher.finish())
            }
        }
    }
}

/// Failures in a row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Failures {
    /// All failures.
    all: u32,
    /// Those that only the backend can have caused.
    of_backend: u32,
    /// One asker who had a failure.
    asker: Option<u64>,
    /// Whether others had one too.
    are_several: bool,
}

impl Failures {
    fn add(&mut self, cause: Cause) {
        self.all += 1;
        match cause {
            Cause::Backend => self.of_backend += 1,
            Cause::Asker(asker) => {
                self.are_several |= self.asker.is_some_and(|one| one != asker);
                self.asker = Some(asker);
            }
        }
    }

    /// Whether there are enough, and not only from one asker.
    fn are_enough(&self, settings: CircuitSettings) -> bool {
        let is_enough = |count| count >= settings.failures;
        is_enough(self.of_backend) || is_enough(self.all) && self.are_several
    }
}

/// Permission for one call.
#[derive(Debug)]
#[must_use = "a pass is given back with what came of it"]
pub(crate) struct Pass {
    generation: u64,
    /// It is the one trial of a circuit that was open.
    pub(crate) is_trial: bool,
}

/// The state of a circuit, for observers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CircuitState {
    Closed,
    Open,
    HalfOpen,
}

impl Circuit {
    pub(crate) fn state(&self) -> CircuitState {
        match self.state {
            CircuitPhase::Closed { .. } => CircuitState::Closed,
            CircuitPhase::Open { .. } => CircuitState::Open,
            CircuitPhase::HalfOpen { .. } => CircuitState::HalfOpen,
        }
    }

    /// In how many ms it may be tried, if it is open.
    pub(crate) fn left_alone_ms(&self, now: Moment) -> Option<u64> {
        let CircuitPhase::Open { until } = self.state else { return None };
        Some(until.millis_since(now)).filter(|left| *left > 0)
    }

    /// Takes permission for one call.
    ///
    /// # Errors
    /// In how many ms it may be tried, at least 1.
    pub(crate) fn pass(&mut self, now: Moment) -> Result<Pass, u64> {
        if let CircuitPhase::Open { until } = self.state {
            let left = until.millis_since(now);
            if left > 0 {
                return Err(left);
            }
            self.change(CircuitPhase::HalfOpen { is_trying: false });
        }
        match &mut self.state {
            CircuitPhase::Closed { .. } => {
                Ok(Pass { generation: self.generation, is_trial: false })
            }
            CircuitPhase::HalfOpen { is_trying: is_trying @ false } => {
                *is_trying = true;
                Ok(Pass { generation: self.generation, is_trial: true })
            }
            CircuitPhase::HalfOpen { is_trying: true } | CircuitPhase::Open { .. } => Err(1),
        }
    }

    /// The call succeeded. Returns whether that has closed the circuit.
    pub(crate) fn succeeded(&mut self, pass: &Pass) -> bool {
        if pass.generation != self.generation {
            return false;
        }
        match &mut self.state {
            CircuitPhase::Closed { failures } => *failures = Failures::default(),
            CircuitPhase::HalfOpen { .. } => {
                self.change(CircuitPhase::default());
                return true;
            }
            CircuitPhase::Open { .. } => {}
        }
        false
    }

    /// The call failed. Returns whether that has opened the circuit. A failed trial that its asker
    /// may have caused closes the circuit until somebody else's next failure.
    pub(crate) fn failed(
        &mut self,
        (pass, cause): (&Pass, Cause),
        now: Moment,
        settings: CircuitSettings,
    ) -> bool {
        if pass.generation != self.generation {
            return false;
        }
        let opens = match &mut self.state {
            CircuitPhase::Closed { failures } => {
                failures.add(cause);
                failures.are_enough(settings)
            }
            CircuitPhase::HalfOpen { .. } if cause == Cause::Backend => true,
            CircuitPhase::HalfOpen { .. } => {
                let mut failures =
                    Failures { all: settings.failures.saturating_sub(1), ..Failures::default() };
                failures.add(cause);
                self.change(CircuitPhase::Closed { failures });
                false
            }
            CircuitPhase::Open { .. } => false,
        };
        if opens {
            self.change(CircuitPhase::Open { until: now.plus_millis(settings.open_ms) });
        }
        opens
    }

    /// The pass was not used: another caller may have it.
    pub(crate) fn unused(&mut self, pass: &Pass) {
        if let CircuitPhase::HalfOpen { is_trying } = &mut self.state
            && pass.generation == self.generation
        {
            *is_trying = false;
        }
    }

    fn change(&mut self, state: CircuitPhase) {
        self.state = state;
        self.generation += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Failure, JobOutput};
    use proptest::prelude::*;

    const SETTINGS: CircuitSettings = CircuitSettings { failures: 10, open_ms: 30_000 };

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    fn opened() -> Circuit {
        let mut circuit = Circuit::default();
        for failure in 1..=10 {
            let pass = circuit.pass(at(0)).unwrap();
            assert_eq!(circuit.failed((&pass, Cause::Backend), at(0), SETTINGS), failure == 10);
        }
        circuit
    }

    #[test]
    fn ten_failures_in_a_row_open_it_for_its_time_and_then_one_is_tried() {
        let mut circuit = opened();
        assert_eq!(circuit.state(), CircuitState::Open);
        assert_eq!(circuit.pass(at(1)).unwrap_err(), 29_999);
        let trial = circuit.pass(at(30_000)).unwrap();
        assert!(trial.is_trial && circuit.state() == CircuitState::HalfOpen);
        assert_eq!(circuit.pass(at(30_000)).unwrap_err(), 1, "one at a time");
        assert!(
            circuit.failed((&trial, Cause::Backend), at(30_001), SETTINGS),
            "one failure opens it again"
        );
        assert_eq!(circuit.pass(at(60_000)).unwrap_err(), 1);
        let trial = circuit.pass(at(60_001)).unwrap();
        assert!(circuit.succeeded(&trial) && circuit.state() == CircuitState::Closed);
        assert!(!circuit.pass(at(60_001)).unwrap().is_trial);
    }

    #[test]
    fn a_success_between_failures_begins_their_count_anew() {
        let mut circuit = Circuit::default();
        for _ in 0..100 {
            for _ in 1..10 {
                let pass = circuit.pass(at(0)).unwrap();
                assert!(!circuit.failed((&pass, Cause::Backend), at(0), SETTINGS));
            }
            let pass = circuit.pass(at(0)).unwrap();
            assert!(!circuit.succeeded(&pass), "it was closed already");
        }
        assert_eq!(circuit.state(), CircuitState::Closed);
    }

    #[test]
    fn what_was_asked_before_a_change_says_nothing_after_it() {
        let mut circuit = Circuit::default();
        let (early, late) = (circuit.pass(at(0)).unwrap(), circuit.pass(at(0)).unwrap());
        for _ in 0..10 {
            let pass = circuit.pass(at(0)).unwrap();
            circuit.failed((&pass, Cause::Backend), at(0), SETTINGS);
        }
        assert!(!circuit.succeeded(&early) && circuit.state() == CircuitState::Open);
        let trial = circuit.pass(at(30_000)).unwrap();
        assert!(
            !circuit.failed((&late, Cause::Backend), at(30_000), SETTINGS),
            "only the trial is judged"
        );
        circuit.unused(&trial);
        let again = circuit.pass(at(30_000)).unwrap();
        assert!(again.is_trial && circuit.succeeded(&again));
    }

    #[test]
    fn what_one_asker_provokes_opens_it_for_nobody() {
        let mut circuit = Circuit::default();
        let mut fail = |cause, now| {
            let pass = circuit.pass(at(now)).unwrap();
            circuit.failed((&pass, cause), at(now), SETTINGS)
        };
        let (mallory, ada) = (Cause::Asker(1), Cause::Asker(2));
        for _ in 0..100 {
            assert!(!fail(mallory, 0));
        }
        for _ in 0..9 {
            assert!(!fail(Cause::Backend, 0), "so often it was not reached");
        }
        assert!(fail(ada, 0), "somebody else, too");
        for round in 1..4 {
            let now = round * 30_000;
            assert!(!fail(mallory, now), "a trial of one asker proves nothing");
            assert!(!fail(mallory, now));
            assert!(fail(if round == 2 { Cause::Backend } else { ada }, now) == (round != 2));
            if round == 2 {
                assert!(fail(ada, now));
            }
        }
    }

    #[test]
    fn a_backend_that_is_not_reached_opens_it_whoever_asks() {
        let unreached: JobResult = Err(Failure::Unreached("refused".into()));
        assert_eq!(Cause::of(&unreached, &"ada"), Cause::Backend);
        assert_eq!(Cause::of(&Err(Failure::Timeout), &"ada"), Cause::Backend);
        let answer = Ok(JobOutput::Answer { status: 500, fields: Vec::new(), body: Vec::new() });
        assert_ne!(Cause::of(&answer, &"ada"), Cause::of(&answer, &"bob"));
        assert_eq!(Cause::of(&Err(Failure::TooLarge), &1), Cause::of(&answer, &1));
    }

    proptest! {
        /// Against a model that keeps the whole history.
        #[test]
        fn it_is_open_only_after_so_many_failures_in_a_row(
            steps in prop::collection::vec((any::<bool>(), 0u64..20_000), 0..200),
            failures in 1u32..12,
        ) {
            let settings = CircuitSettings { failures, open_ms: 30_000 };
            let mut circuit = Circuit::default();
            let (mut in_a_row, mut opened_at, mut now) = (0, None::<u64>, 0);
            for (goes_well, passed) in steps {
                now += passed;
                let may = opened_at.is_none_or(|opened_at: u64| now >= opened_at + 30_000);
                let pass = circuit.pass(at(now));
                prop_assert_eq!(pass.is_ok(), may);
                let Ok(pass) = pass else { continue };
                prop_assert_eq!(pass.is_trial, opened_at.is_some());
                if goes_well {
                    prop_assert_eq!(circuit.succeeded(&pass), opened_at.is_some());
                    (in_a_row, opened_at) = (0, None);
                } else {
                    in_a_row += 1;
                    let opens = opened_at.is_some() || in_a_row >= failures;
                    prop_assert_eq!(circuit.failed((&pass, Cause::Backend), at(now), settings), opens);
                    if opens {
                        opened_at = Some(now);
                    }
                }
            }
        }
    }
}
