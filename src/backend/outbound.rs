//! The reactor's end of outgoing calls: the jobs in progress, their purposes and their retries.

use super::backoff::Backoff;
use super::job::{Failure, JobId, JobResult, Task};
use super::pool::{Finish, Pool};
use crate::base::{Chance, Limits, Moment};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Jobs in progress, each with a purpose `P` of the caller.
#[derive(Debug)]
pub(crate) struct Outbound<P> {
    /// For each lane, in their order.
    pools: [Pool; 3],
    last_id: u64,
    sent: BTreeMap<JobId, SentJob<P>>,
    /// Failed jobs, and when to retry them.
    due: BTreeSet<(Moment, JobId)>,
    chance: Chance,
    backoff: Backoff,
}

#[derive(Debug)]
struct SentJob<P> {
    purpose: P,
    task: Arc<Task>,
    timeout_ms: u64,
    bytes_max: usize,
    failures: u32,
    retries: Retries,
    lane: Lane,
}

/// Which threads run a job, so that one kind does not wait for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    Polls,
    Calls,
    Proofs,
}

/// Which failures are retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retries {
    /// Every failure: calling twice does no harm.
    Always,
    /// Failures where the backend received nothing, until then.
    Unreached { until: Moment },
    /// None.
    Never,
}

impl<P> Outbound<P> {
    /// Uses as many threads as the limits say, and starts none yet. `finish` passes a job's outcome
    /// to [`Outbound::take_result`].
    pub(crate) fn new(limits: &Limits, finish: Arc<Finish>, seed: u64) -> Outbound<P> {
        let lanes = [
            ("parlor-polls", limits.backend_poll_threads as usize),
            ("parlor-calls", limits.backend_call_threads as usize),
            ("parlor-auth", limits.auth_url_threads as usize),
        ];
        // A thread becomes idle only shortly after it reports an outcome, so one job per thread may
        // wait. No more jobs are started than there are threads.
        let pool = |(name, threads)| Pool::new(name, threads, threads, Arc::clone(&finish));
        Outbound {
            pools: lanes.map(pool),
            last_id: 0,
            sent: BTreeMap::new(),
            due: BTreeSet::new(),
            chance: Chance::new(seed),
            backoff: backoff(limits),
        }
    }

    /// Applies other limits.
    pub(crate) fn reconfigure(&mut self, limits: &Limits) {
        self.backoff = backoff(limits);
    }

    /// Starts a job. Failures are retried, unless it is a trial.
    ///
    /// # Errors
    /// [`Failure::Full`], [`Failure::Stopped`]: nothing was started, and the purpose comes back.
    pub(crate) fn poll(
        &mut self,
        task: Task,
        (timeout_ms, bytes_max): (u64, usize),
        is_trial: bool,
        purpose: P,
    ) -> Result<JobId, (P, Failure)> {
        let retries = if is_trial { Retries::Never } else { Retries::Always };
        let (task, lane) = (Arc::new(task), Lane::Polls);
        self.begin(SentJob { purpose, task, timeout_ms, bytes_max, failures: 0, retries, lane })
    }

    /// Starts a job that somebody waits for, which ends within `timeout_ms`. It is retried only if the
    /// backend received nothing.
    ///
    /// # Errors
    /// As of [`Outbound::poll`].
    pub(crate) fn call(
        &mut self,
        lane: Lane,
        now: Moment,
        task: Task,
        (timeout_ms, bytes_max): (u64, usize),
        purpose: P,
    ) -> Result<JobId, (P, Failure)> {
        let retries = Retries::Unreached { until: now.plus_millis(timeout_ms) };
        let task = Arc::new(task);
        self.begin(SentJob { purpose, task, timeout_ms, bytes_max, failures: 0, retries, lane })
    }

    fn begin(&mut self, sent: SentJob<P>) -> Result<JobId, (P, Failure)> {
        let id = JobId(self.last_id + 1);
        let (task, bounds) = (Arc::clone(&sent.task), (sent.timeout_ms, sent.bytes_max));
        if let Err(failure) = self.pool(&sent).submit(id, task, bounds) {
            return Err((sent.purpose, failure));
        }
        self.last_id += 1;
        self.sent.insert(id, sent);
        Ok(id)
    }

    fn pool(&self, sent: &SentJob<P>) -> &Pool {
        &self.pools[sent.lane as usize]
    }

    /// Takes the outcome of a job. Returns it with the purpose, unless the job is retried.
    pub(crate) fn take_result(
        &mut self,
        now: Moment,
        id: JobId,
        outcome: JobResult,
    ) -> Option<(P, JobResult)> {
        if let Err(failure) = &outcome
            && let Some(at) = self.next_try(now, id, failure)
        {
            self.due.insert((at, id));
            return None;
        }
        self.sent.remove(&id).map(|sent| (sent.purpose, outcome))
    }

    /// When to retry a job, if at all.
    fn next_try(&mut self, now: Moment, id: JobId, failure: &Failure) -> Option<Moment> {
        let sent = self.sent.get_mut(&id)?;
        sent.failures += 1;
        let at = now.plus_millis(self.backoff.wait_ms(sent.failures, &mut self.chance)?);
        let is_tried = match sent.retries {
            Retries::Always => failure.is_backends(),
            Retries::Unreached { until } => failure.is_unreached() && at < until,
            Retries::Never => false,
        };
        is_tried.then_some(at)
    }

    /// Starts the retries that are due. Returns those that cannot be started.
    pub(crate) fn start_due_retries(&mut self, now: Moment) -> Vec<(JobId, P, Failure)> {
        let mut failed = Vec::new();
        while let Some(&(at, id)) = self.due.first().filter(|(at, _)| *at <= now) {
            self.due.remove(&(at, id));
            let Some(sent) = self.sent.get(&id) else { continue };
            let timeout_ms = match sent.retries {
                Retries::Unreached { until } => until.millis_since(now),
                Retries::Always | Retries::Never => sent.timeout_ms,
            };
            let (task, bounds) = (Arc::clone(&sent.task), (timeout_ms, sent.bytes_max));
            if let Err(failure) = self.pool(sent).submit(id, task, bounds)
                && let Some(sent) = self.sent.remove(&id)
            {
                failed.push((id, sent.purpose, failure));
            }
        }
        failed
    }

    /// When the next retry is due.
    pub(crate) fn next_due(&self) -> Option<Moment> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Accepts no more jobs, and terminates running programs. Waits for those, but not long.
    pub(crate) fn stop(&self) {
        self.pools.iter().for_each(Pool::stop);
    }
}

fn backoff(limits: &Limits) -> Backoff {
    Backoff { retries: limits.backend_retries, first_ms: limits.backend_backoff_ms }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{HttpRequest, Pick, PollFrom};
    use crate::base::{Data, StreamId};
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    fn outbound(limits: &Limits) -> (Outbound<u8>, Receiver<(JobId, JobResult)>) {
        let (to_test, came) = channel();
        let to_test = Mutex::new(to_test);
        let finish = move |id, outcome| {
            let _ = to_test.lock().unwrap().send((id, outcome));
        };
        (Outbound::new(limits, Arc::new(finish), 7), came)
    }

    /// Runs jobs until one is over, with an invented time of the reactor.
    fn until_over(
        outbound: &mut Outbound<u8>,
        came: &Receiver<(JobId, JobResult)>,
    ) -> (u8, JobResult) {
        let mut now = Moment::ZERO;
        loop {
            let (id, outcome) = came.recv_timeout(Duration::from_secs(10)).unwrap();
            if let Some(over) = outbound.take_result(now, id, outcome) {
                return over;
            }
            now = outbound.next_due().unwrap();
            assert!(outbound.start_due_retries(now).is_empty());
        }
    }

    fn failing(times: u32) -> (Task, Arc<AtomicU32>) {
        let count = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&count);
        let run = move |_: &StreamId| {
            let is_well = counted.fetch_add(1, Ordering::Relaxed) >= times;
            if is_well { Ok(Data::Json("1".into())) } else { Err("not yet".into()) }
        };
        let from = PollFrom::Function(Arc::new(run), StreamId::parse("s").unwrap());
        (Task::Poll { from, pick: Pick::Bytes }, count)
    }

    #[test]
    fn what_is_polled_is_tried_three_times_more() {
        let (mut outbound, came) = outbound(&Limits::default());
        for (times, is_well, tries) in [(0, true, 1), (3, true, 4), (4, false, 4)] {
            let (task, count) = failing(times);
            outbound.poll(task, (60_000, 100), false, 1).unwrap();
            let (purpose, outcome) = until_over(&mut outbound, &came);
            assert_eq!((purpose, outcome.is_ok()), (1, is_well), "{times}");
            assert_eq!(count.load(Ordering::Relaxed), tries);
        }
        let (task, count) = failing(4);
        outbound.poll(task, (60_000, 100), true, 1).unwrap();
        assert!(until_over(&mut outbound, &came).1.is_err());
        assert_eq!(count.load(Ordering::Relaxed), 1, "a trial is one");
        assert!(outbound.sent.is_empty() && outbound.due.is_empty());
    }

    #[test]
    fn what_somebody_waits_for_is_tried_again_only_if_nothing_was_sent_and_there_is_time() {
        let (mut outbound, _came) = outbound(&Limits::default());
        let request = || {
            let url = "http://127.0.0.1:9/".into();
            Task::Call(HttpRequest { url, fields: Vec::new(), body: None })
        };
        let unheard = || Err(Failure::Unreached("refused".into()));
        let now = Moment::ZERO;
        let id = outbound.call(Lane::Calls, now, request(), (1_000, 10), 1).unwrap();
        assert!(outbound.take_result(now, id, unheard()).is_none());
        let late = Moment::from_millis(999);
        assert!(outbound.take_result(late, id, unheard()).is_some(), "its time would be over");
        let id = outbound.call(Lane::Calls, now, request(), (1_000, 10), 2).unwrap();
        let over = outbound.take_result(now, id, Err(Failure::Timeout));
        assert_eq!(over.map(|(purpose, _)| purpose), Some(2), "it may have been heard");
        assert!(outbound.take_result(now, id, unheard()).is_none(), "it is over");
    }
}
