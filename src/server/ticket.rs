//! A call of the embedding program that is on its way to the disk.

use super::handle::HandleError;
use super::shared::Shared;
use crate::base::RoomId;
use crate::hub::{Answer, Refusal};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// What becomes of a call that needs the store.
#[derive(Debug, Default)]
pub(super) struct TicketState {
    result: Mutex<Option<Result<(RoomId, u64), HandleError>>>,
    answered: Condvar,
}

impl TicketState {
    pub(super) fn answer(&self, result: Result<(RoomId, u64), HandleError>) {
        *self.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        self.answered.notify_all();
    }

    pub(super) fn answer_with(&self, answer: Result<Answer, Refusal>) {
        self.answer(match answer {
            Ok(Answer::Sent { room, seq, .. }) => Ok((room, seq)),
            Ok(Answer::Joined(room)) => Ok((room.room, room.head)),
            Ok(Answer::Done { room, .. }) => Ok((room, 0)),
            Ok(_) => Err(HandleError::Refused {
                code: "internal",
                message: "an answer to what was not asked",
            }),
            Err(refusal) => {
                Err(HandleError::Refused { code: refusal.code.as_str(), message: refusal.message })
            }
        });
    }
}

/// A call that is on its way to the disk.
#[derive(Debug)]
#[must_use = "the call may still fail: wait for it, or drop it knowingly"]
pub struct Ticket {
    state: Arc<TicketState>,
    shared: Arc<Shared>,
}

impl Ticket {
    pub(super) fn new(state: Arc<TicketState>, shared: Arc<Shared>) -> Ticket {
        Ticket { state, shared }
    }

    /// Waits until it is on disk. Returns the room, and for a message its `seq`, for a membership
    /// that began the room's newest one.
    ///
    /// # Errors
    /// Why it is not; [`HandleError::WouldDeadlock`] at once, when called inside a handler.
    pub fn wait(&self, timeout: Duration) -> Result<(RoomId, u64), HandleError> {
        if self.shared.reactor_thread.get() == Some(&std::thread::current().id()) {
            return self.try_wait().unwrap_or(Err(HandleError::WouldDeadlock));
        }
        let result = self.state.result.lock().unwrap_or_else(PoisonError::into_inner);
        let (result, _) = self
            .state
            .answered
            .wait_timeout_while(result, timeout, |result| result.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        result.clone().unwrap_or(Err(HandleError::Timeout))
    }

    /// What became of it, if that is known.
    #[must_use]
    pub fn try_wait(&self) -> Option<Result<(RoomId, u64), HandleError>> {
        self.state.result.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
