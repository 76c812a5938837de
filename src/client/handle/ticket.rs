//! What a program holds of something that is not done yet: a message, a request.

use super::shared::{CallCell, SharedClient, TicketCell};
use crate::base::Timestamp;
use crate::client::core::{CoreInput, RequestError, TicketStatus};
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Where a message is, once it is on the server's disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its number in the room.
    pub seq: u64,
    /// When it was stored.
    pub ts: Timestamp,
}

/// A message that was sent. Dropping it changes nothing. It may be awaited.
#[derive(Clone)]
pub struct Ticket {
    pub(super) number: u64,
    pub(super) id: Arc<str>,
    pub(super) cell: Arc<TicketCell>,
    pub(super) shared: Arc<SharedClient>,
}

impl Ticket {
    /// The message's id, the `cid` of the protocol: sending it again with the same is harmless.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its number, as [`ClientEvent::Ticket`](crate::client::ClientEvent) has it: no request and no other message of this
    /// client has it; a repeat has that of the message that waits.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// What has become of it so far.
    #[must_use]
    pub fn status(&self) -> TicketStatus {
        self.cell.look(|(status, _)| status.clone())
    }

    /// Waits until it is on the server's disk, or never will be.
    ///
    /// # Errors
    /// Why it was refused; `expired` after 48 hours, `cancelled`, and `closed` if the client was closed before: an
    /// outbox has it still.
    pub fn wait(&self) -> Result<Stored, RequestError> {
        self.cell.wait(outcome)
    }

    /// The same, at most for so long; `None` if it is still on its way.
    #[must_use]
    pub fn wait_timeout(&self, timeout: Duration) -> Option<Result<Stored, RequestError>> {
        self.cell.wait_timeout(timeout, outcome)
    }

    /// The same without waiting.
    #[must_use]
    pub fn try_wait(&self) -> Option<Result<Stored, RequestError>> {
        self.cell.look(outcome)
    }

    /// Takes it back, unless it was sent already: it may be on the server's disk then.
    pub fn cancel(&self) {
        self.input(CoreInput::Cancel(&self.id));
    }

    /// Another message may have the id of one that was cancelled.
    fn input(&self, input: CoreInput<'_>) {
        self.shared.with(|inner, shared| {
            if self.status() != TicketStatus::Cancelled {
                inner.handle(shared, input);
            }
        });
    }

    /// Has what becomes of it come among the client's events, as [`ClientEvent::Ticket`](crate::client::ClientEvent):
    /// each change from now on, and what has become of it before. A message that waits when the client ends has then
    /// failed with `closed`, whether or not it was stored: [`Client::unsent`](crate::client::Client::unsent) has it.
    ///
    /// # Errors
    /// It was not sent, and cannot be told so: 10,000 answers, and news of messages, wait for the program to take them.
    pub fn into_events(self) -> Result<(), RequestError> {
        self.shared.with(|inner, shared| {
            inner.ticket_in_events(self.number, &self.id, &self.cell)?;
            shared.notify();
            Ok(())
        })
    }

    /// Sends it again after it has failed or expired.
    pub fn retry(&self) {
        self.input(CoreInput::Retry(&self.id));
    }
}

/// What it came to.
fn outcome((status, is_over): &mut (TicketStatus, bool)) -> Option<Result<Stored, RequestError>> {
    match status {
        TicketStatus::Acked { seq, ts, .. } => Some(Ok(Stored { seq: *seq, ts: *ts })),
        TicketStatus::Failed(error) => Some(Err(error.clone())),
        TicketStatus::Expired => Some(Err(RequestError::own("expired"))),
        TicketStatus::Cancelled => Some(Err(RequestError::own("cancelled"))),
        TicketStatus::Queued | TicketStatus::Sent if *is_over => {
            Some(Err(RequestError::own("closed")))
        }
        TicketStatus::Queued | TicketStatus::Sent => None,
    }
}

/// A [`Ticket`] that is awaited.
#[derive(Debug)]
pub struct TicketFuture(Ticket);

impl Future for TicketFuture {
    type Output = Result<Stored, RequestError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.cell.poll(context, outcome)
    }
}

impl IntoFuture for Ticket {
    type Output = Result<Stored, RequestError>;
    type IntoFuture = TicketFuture;

    fn into_future(self) -> TicketFuture {
        TicketFuture(self)
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("id", &self.id).field("status", &self.status()).finish()
    }
}

/// The answer to a request, once it has come. Dropping it changes nothing. It may be awaited.
pub struct Reply<T> {
    pub(super) call: u64,
    pub(super) cell: Arc<CallCell>,
    pub(super) shared: Arc<SharedClient>,
    /// Reads the answer's payload.
    pub(super) read: fn(&str) -> Option<T>,
}

impl<T> Reply<T> {
    /// Waits for it: no longer than the client's `timeout`, or the request's own.
    ///
    /// # Errors
    /// Why it was refused, or why there is no answer.
    pub fn wait(self) -> Result<T, RequestError> {
        let answer = self.cell.wait(|place| place.take());
        self.judge(answer)
    }

    /// The same, at most for so long; `None` if it has not come.
    pub fn wait_timeout(&mut self, timeout: Duration) -> Option<Result<T, RequestError>> {
        let answer = self.cell.wait_timeout(timeout, Option::take)?;
        Some(self.judge(answer))
    }

    /// The same without waiting. An answer is given once.
    pub fn try_wait(&mut self) -> Option<Result<T, RequestError>> {
        let answer = self.cell.look(Option::take)?;
        Some(self.judge(answer))
    }

    /// Its number, as [`ClientEvent::Answer`](crate::client::ClientEvent) has it.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.call
    }

    /// Has the answer come among the client's events, as [`ClientEvent::Answer`](crate::client::ClientEvent) with this
    /// number.
    ///
    /// # Errors
    /// It was not asked, and cannot be told so: 10,000 answers, and news of messages, wait for the program to take them.
    pub fn into_event(self) -> Result<u64, RequestError> {
        self.shared.with(|inner, shared| {
            inner.answer_in_events(self.call, &self.cell)?;
            shared.notify();
            Ok(self.call)
        })
    }

    /// Wants no answer any more. The server may have carried it out.
    pub fn cancel(self) {
        self.shared.input(CoreInput::CancelAsked(self.call));
    }

    fn judge(&self, answer: Result<Box<str>, RequestError>) -> Result<T, RequestError> {
        (self.read)(&answer?).ok_or_else(|| RequestError::own("unreadable"))
    }
}

/// A [`Reply`] that is awaited.
#[derive(Debug)]
pub struct ReplyFuture<T>(Reply<T>);

impl<T> Future for ReplyFuture<T> {
    type Output = Result<T, RequestError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let reply = &self.0;
        reply.cell.poll(context, Option::take).map(|answer| reply.judge(answer))
    }
}

impl<T> IntoFuture for Reply<T> {
    type Output = Result<T, RequestError>;
    type IntoFuture = ReplyFuture<T>;

    fn into_future(self) -> ReplyFuture<T> {
        ReplyFuture(self)
    }
}

impl<T> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("call", &self.call).finish_non_exhaustive()
    }
}
