//! Threads that run jobs: started when needed, ended when idle for a while. Shutdown waits only for
//! programs that they run.

use super::client::{Bounds, Client};
use super::job::{Failure, JobId, JobResult, Task};
use crate::base::limits::{BACKEND_THREAD_IDLE_MS, COMMANDS_END_MS};
use crate::reactor::Clock;
use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Takes the outcome of a job, on the thread that ran it.
pub(crate) type Finish = dyn Fn(JobId, JobResult) + Send + Sync;

/// A bounded set of threads that run jobs.
pub(crate) struct Pool {
    inner: Arc<PoolShared>,
    name: &'static str,
    threads_max: usize,
    waiting_max: usize,
}

struct PoolShared {
    state: Mutex<PoolState>,
    /// There is a job, or the pool is stopping.
    changed: Condvar,
    /// A thread has finished a program.
    rested: Condvar,
    is_stopping: AtomicBool,
    client: Client,
    clock: Clock,
    finish: Arc<Finish>,
}

#[derive(Default)]
struct PoolState {
    jobs: VecDeque<Queued>,
    threads: usize,
    /// Threads that wait for a job.
    idle: usize,
    /// Running programs.
    commands: usize,
}

struct Queued {
    id: JobId,
    task: Arc<Task>,
    bytes_max: usize,
    /// The deadline, by the pool's clock.
    until: Duration,
}

impl Pool {
    /// At most `threads_max` threads; `waiting_max` jobs may wait when all are busy.
    pub(crate) fn new(
        name: &'static str,
        threads_max: usize,
        waiting_max: usize,
        finish: Arc<Finish>,
    ) -> Pool {
        let inner = PoolShared {
            state: Mutex::default(),
            changed: Condvar::new(),
            rested: Condvar::new(),
            is_stopping: AtomicBool::new(false),
            client: Client::default(),
            clock: Clock::start(),
            finish,
        };
        Pool { inner: Arc::new(inner), name, threads_max, waiting_max }
    }

    /// Submits a job. It never blocks.
    ///
    /// # Errors
    /// [`Failure::Full`] if the queue is full, or the system has no thread left;
    /// [`Failure::Stopped`].
    pub(super) fn submit(
        &self,
        id: JobId,
        task: Arc<Task>,
        bounds: (u64, usize),
    ) -> Result<(), Failure> {
        let (timeout_ms, bytes_max) = bounds;
        if self.inner.is_stopping() {
            return Err(Failure::Stopped);
        }
        let until = self.inner.clock.elapsed() + Duration::from_millis(timeout_ms);
        let mut state = self.inner.state();
        let needs_thread = state.idle <= state.jobs.len();
        if needs_thread && state.threads < self.threads_max {
            let inner = Arc::clone(&self.inner);
            let thread = std::thread::Builder::new().name(self.name.into());
            if thread.spawn(move || inner.work()).is_err() {
                return Err(Failure::Full);
            }
            state.threads += 1;
        } else if needs_thread && state.jobs.len() >= state.idle + self.waiting_max {
            return Err(Failure::Full);
        }
        state.jobs.push_back(Queued { id, task, bytes_max, until });
        drop(state);
        self.inner.changed.notify_one();
        Ok(())
    }

    /// Accepts no more jobs and terminates running programs. Waits only for those, but not long.
    pub(super) fn stop(&self) {
        let state = self.inner.close();
        let patience = Duration::from_millis(COMMANDS_END_MS);
        // A program still running then ends with the process, or later.
        let _ = self
            .inner
            .rested
            .wait_timeout_while(state, patience, |state| state.commands > 0)
            .map_err(PoisonError::into_inner);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // Nobody waits for the remaining jobs.
        drop(self.inner.close());
    }
}

impl PoolShared {
    // A thread that panicked while it held the lock left nothing half done.
    fn state(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts no more jobs, and lets threads end.
    fn close(&self) -> MutexGuard<'_, PoolState> {
        self.is_stopping.store(true, Ordering::Release);
        let mut state = self.state();
        state.jobs.clear();
        self.changed.notify_all();
        state
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    fn work(&self) {
        while let Some(queued) = self.next() {
            let Queued { id, task, bytes_max, until } = queued;
            let is_command = task.is_command();
            let timeout = until.saturating_sub(self.clock.elapsed());
            let bounds = Bounds { timeout, bytes_max };
            let run = || self.client.run(&task, bounds, &|| self.is_stopping());
            let outcome = if timeout.is_zero() {
                Err(Failure::Timeout)
            } else {
                // A panic in a function of the embedding program counts as that source's failure
                // only.
                let outcome = catch_unwind(AssertUnwindSafe(run));
                outcome.unwrap_or_else(|_| Err(Failure::Function("it has panicked".to_owned())))
            };
            if is_command {
                self.state().commands -= 1;
                self.rested.notify_all();
            }
            (self.finish)(id, outcome);
        }
    }

    /// The next job; `None` when the thread is to end.
    fn next(&self) -> Option<Queued> {
        let mut state = self.state();
        state.idle += 1;
        let patience = Duration::from_millis(BACKEND_THREAD_IDLE_MS);
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, patience, |state| {
                state.jobs.is_empty() && !self.is_stopping()
            })
            .unwrap_or_else(PoisonError::into_inner);
        state.idle -= 1;
        let queued = if self.is_stopping() { None } else { state.jobs.pop_front() };
        match &queued {
            Some(queued) => state.commands += usize::from(queued.task.is_command()),
            None => state.threads -= 1,
        }
        queued
    }
}

impl Task {
    fn is_command(&self) -> bool {
        matches!(self, Task::Poll { from: super::PollFrom::Command(..), .. })
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{JobOutput, Pick, PollFrom};
    use crate::base::{Data, StreamId};
    use std::sync::mpsc::{Receiver, channel};

    const PATIENCE: Duration = Duration::from_secs(10);

    fn pool(threads_max: usize, waiting_max: usize) -> (Pool, Receiver<(u64, JobResult)>) {
        let (to_test, came) = channel();
        let finish = move |JobId(id), outcome| {
            let _ = to_test.send((id, outcome));
        };
        (Pool::new("test-backend", threads_max, waiting_max, Arc::new(finish)), came)
    }

    fn function(
        run: impl Fn() -> Result<Data, Box<dyn std::error::Error>> + Send + Sync + 'static,
    ) -> Arc<Task> {
        let stream = StreamId::parse("s").unwrap();
        let from = PollFrom::Function(Arc::new(move |_: &StreamId| run()), stream);
        Arc::new(Task::Poll { from, pick: Pick::Bytes })
    }

    fn command(parts: &[&str]) -> Arc<Task> {
        let from =
            PollFrom::Command(parts.iter().map(|part| (*part).to_owned()).collect(), Vec::new());
        Arc::new(Task::Poll { from, pick: Pick::Bytes })
    }

    #[test]
    fn beyond_its_threads_and_its_queue_it_is_full() {
        let (pool, came) = pool(1, 1);
        let (release, hold) = channel::<()>();
        let hold = Mutex::new(hold);
        let held = function(move || {
            let _ = hold.lock().unwrap().recv_timeout(PATIENCE);
            Ok(Data::Json("1".into()))
        });
        pool.submit(JobId(1), Arc::clone(&held), (60_000, 100)).unwrap();
        // Until the thread has taken it, the job itself waits.
        while !pool.inner.state().jobs.is_empty() {
            std::thread::yield_now();
        }
        let quick = function(|| Ok(Data::Json("2".into())));
        pool.submit(JobId(2), Arc::clone(&quick), (60_000, 100)).unwrap();
        assert_eq!(pool.submit(JobId(3), quick, (60_000, 100)), Err(Failure::Full));
        drop(release);
        let (first, _) = came.recv_timeout(PATIENCE).unwrap();
        let (second, _) = came.recv_timeout(PATIENCE).unwrap();
        assert_eq!((first, second), (1, 2));
    }

    #[test]
    fn a_function_that_panics_has_failed_and_its_thread_goes_on() {
        let (pool, came) = pool(1, 8);
        pool.submit(JobId(1), function(|| panic!("planted")), (60_000, 100)).unwrap();
        let (_, outcome) = came.recv_timeout(PATIENCE).unwrap();
        assert!(matches!(outcome, Err(Failure::Function(_))), "{outcome:?}");
        let fails = function(|| Err("no luck".into()));
        pool.submit(JobId(2), fails, (60_000, 100)).unwrap();
        let (_, outcome) = came.recv_timeout(PATIENCE).unwrap();
        assert_eq!(outcome.unwrap_err(), Failure::Function("no luck".into()));
        assert_eq!(pool.inner.state().threads, 1);
    }

    #[test]
    fn a_program_ends_with_its_time_and_with_the_pool() {
        let (pool, came) = pool(4, 8);
        let run = |id, parts: &[&str], bounds| pool.submit(JobId(id), command(parts), bounds);
        run(1, &["printf", "%s", "a b"], (60_000, 3)).unwrap();
        let (_, outcome) = came.recv_timeout(PATIENCE).unwrap();
        assert!(matches!(outcome, Ok(JobOutput::Data(Data::Binary(bytes))) if *bytes == *b"a b"));
        run(2, &["printf", "%s", "a b"], (60_000, 2)).unwrap();
        assert_eq!(came.recv_timeout(PATIENCE).unwrap().1.unwrap_err(), Failure::TooLarge);
        run(3, &["sleep", "600"], (50, 10)).unwrap();
        assert_eq!(came.recv_timeout(PATIENCE).unwrap().1.unwrap_err(), Failure::Timeout);
        for (id, parts) in [(4, &["false"][..]), (5, &["there-is-no-such-program"])] {
            run(id, parts, (60_000, 10)).unwrap();
            let (_, outcome) = came.recv_timeout(PATIENCE).unwrap();
            assert!(matches!(outcome, Err(Failure::Program(_))), "{outcome:?}");
        }
        run(6, &["sleep", "600"], (600_000, 10)).unwrap();
        while pool.inner.state().commands == 0 {
            std::thread::yield_now();
        }
        pool.stop();
        assert_eq!(came.recv_timeout(PATIENCE).unwrap().1.unwrap_err(), Failure::Stopped);
        assert_eq!(run(7, &["true"], (1, 1)), Err(Failure::Stopped));
    }
}
