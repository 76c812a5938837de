//! A call of the embedding program on its way to the reactor's thread, and often to the disk.

use super::handle_error::HandleError;
use super::shared::Shared;
use crate::base::answer::{MemberInfo, RoomSummary};
use crate::base::{Answer, Entry, Refusal, RoomId};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The result of a call, in a form that any thread may have.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answered {
    /// A room, and the `seq` of an entry in it, or 0.
    Place(RoomId, u64),
    /// A room as a user sees it.
    Room(RoomSummary),
    Members(Members),
    History(History),
    Nothing,
}

/// Some members of a room, in the order of ids.
#[derive(Clone, Debug, PartialEq)]
pub struct Members {
    /// The members.
    pub members: Vec<MemberInfo>,
    /// Whether there are more after the last one.
    pub more: bool,
}

/// A page of a room's log.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// The entries, oldest first.
    pub entries: Vec<Entry>,
    /// The room's newest entry.
    pub head: u64,
    /// Whether there is more in the direction that was asked for.
    pub more: bool,
}

/// How far a member has read a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unread {
    /// The `seq` of the newest entry read.
    pub read: u64,
    /// The number of messages of others after it, without deleted ones.
    pub unread: u64,
}

/// What is done with an answer.
type AfterAnswer = Box<dyn FnOnce(Result<Answered, HandleError>) + Send>;

/// An answer, or what is done with it when it comes.
#[derive(Default)]
struct TicketOutcome {
    result: Option<Result<Answered, HandleError>>,
    then: Option<AfterAnswer>,
}

/// The state of a call.
#[derive(Default)]
pub(crate) struct TicketState {
    outcome: Mutex<TicketOutcome>,
    answered: Condvar,
}

impl fmt::Debug for TicketState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketState").field("result", &self.lock().result).finish_non_exhaustive()
    }
}

impl TicketState {
    fn lock(&self) -> MutexGuard<'_, TicketOutcome> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn answer(&self, result: Result<Answered, HandleError>) {
        let then = {
            let mut outcome = self.lock();
            let then = outcome.then.take().map(|then| (then, result.clone()));
            outcome.result = Some(result);
            then
        };
        self.answered.notify_all();
        if let Some((then, result)) = then {
            call(then, result);
        }
    }

    /// Has this done with the answer, once: now, if it is there.
    fn then(&self, then: AfterAnswer) {
        let result = {
            let mut outcome = self.lock();
            match outcome.result.clone() {
                Some(result) => result,
                None => return outcome.then = Some(then),
            }
        };
        call(then, result);
    }

    pub(crate) fn answer_with(&self, answer: Result<Answer, Refusal>) {
        self.answer(match answer {
            Ok(Answer::Sent { room, seq, .. }) => Ok(Answered::Place(room, seq)),
            Ok(Answer::Joined(room, _)) => Ok(Answered::Place(room.room, room.head)),
            Ok(Answer::Done { room, .. }) => Ok(Answered::Place(room, 0)),
            Ok(Answer::Room(room)) => Ok(Answered::Room(room)),
            Ok(Answer::Members { members, more }) => {
                Ok(Answered::Members(Members { members, more }))
            }
            Ok(Answer::History { entries, head, more, .. }) => {
                let entries = entries.into_iter().map(|entry| (*entry).clone()).collect();
                Ok(Answered::History(History { entries, head, more }))
            }
            Ok(_) => Err(NOT_ASKED),
            Err(refusal) => Err(refusal.into()),
        });
    }
}

impl Drop for TicketState {
    fn drop(&mut self) {
        let outcome = self.outcome.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(then) = outcome.then.take() {
            // Nobody is there to answer it any more.
            call(then, Err(HandleError::Stopped));
        }
    }
}

/// Calls the program, whose panic must not end the server's thread.
fn call(then: AfterAnswer, result: Result<Answered, HandleError>) {
    if catch_unwind(AssertUnwindSafe(|| then(result))).is_err() {
        log::error!("what a program does with an answer has panicked");
    }
}

pub(crate) const NOT_ASKED: HandleError =
    HandleError::Refused { code: "internal", message: "an answer to what was not asked" };

/// A call that the server may not have answered yet. Dropping it does not cancel the call.
#[must_use = "the call may still fail: wait for it, or drop it knowingly"]
pub struct Ticket<T = (RoomId, u64)> {
    pub(super) state: Arc<TicketState>,
    pub(super) shared: Arc<Shared>,
    pub(super) read: fn(Answered) -> Result<T, HandleError>,
}

impl<T> fmt::Debug for Ticket<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("state", &self.state).finish_non_exhaustive()
    }
}

impl<T> Ticket<T> {
    /// Waits for the answer; if something is stored, until it is on disk. A call that puts
    /// something into a room returns the room and a `seq`: that of the message, or for a membership
    /// the room's newest.
    ///
    /// # Errors
    /// Why the call failed; [`HandleError::Timeout`]; [`HandleError::WouldDeadlock`] at once inside
    /// a handler, unless the answer is there.
    pub fn wait(&self, timeout: Duration) -> Result<T, HandleError> {
        if self.shared.is_one(std::thread::current().id()) {
            return self.try_wait().unwrap_or(Err(HandleError::WouldDeadlock));
        }
        let (outcome, _) = self
            .state
            .answered
            .wait_timeout_while(self.state.lock(), timeout, |outcome| outcome.result.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        outcome.result.clone().map_or(Err(HandleError::Timeout), |result| self.read(result))
    }

    /// The answer, if it is there.
    #[must_use]
    pub fn try_wait(&self) -> Option<Result<T, HandleError>> {
        let result = self.state.lock().result.clone();
        result.map(|result| self.read(result))
    }

    /// Has a function called with the answer, once: on this thread, if the answer is there, or else on the server's, which
    /// it must not hold up. A server that has stopped answers with [`HandleError::Stopped`]. A panic of the function's is
    /// logged.
    pub fn then(self, run: impl FnOnce(Result<T, HandleError>) + Send + 'static)
    where
        T: 'static,
    {
        let read = self.read;
        self.state.then(Box::new(move |result| run(result.and_then(read))));
    }

    fn read(&self, result: Result<Answered, HandleError>) -> Result<T, HandleError> {
        (self.read)(result?)
    }
}
