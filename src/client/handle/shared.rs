//! What a client's threads share: its core behind a lock, what it wants of the network, and what waits for the program.
//! Whichever thread has something for the core hands it over itself; the network's thread is woken for what only it can
//! do.

use crate::base::{Moment, Now};
use crate::client::core::{
    ClientEvent, Core, CoreEffect, CoreInput, Kept, RequestError, State, TicketStatus, TokenReason,
};
use crate::client::file_outbox::FileOutbox;
use crate::client::thread::{EventQueue, EventSource, Monitor, Monitored, Waited};
use crate::reactor::Clock;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, TryRecvError};
use std::task::Waker;
use std::time::Duration;

/// So many events are taken before the core is told, unless all are.
const TAKEN_AT_ONCE: u32 = 64;
/// While so many answers, and news of messages, wait for the program to take them, it is refused more.
const UNTAKEN_MAX: usize = 10_000;

/// An answer, once there is one.
pub(super) type CallCell = Waited<Option<Result<Box<str>, RequestError>>>;
/// What has become of a message; `true` once the client is over and nothing more will.
pub(super) type TicketCell = Waited<(TicketStatus, bool)>;

/// Where an answer goes.
#[derive(Debug)]
enum Destination {
    /// Whoever waits for it looks here.
    Cell(Arc<CallCell>),
    /// It comes among the events.
    Events,
}

/// Who is told of a message.
#[derive(Debug)]
struct TicketPlace {
    number: u64,
    /// Whoever waits for it looks here.
    cell: Arc<TicketCell>,
    /// It comes among the events, too.
    in_events: bool,
}

/// What a client's threads share.
pub(super) type SharedClient = Monitor<ClientInner>;

/// What the lock protects.
#[derive(Debug)]
pub(super) struct ClientInner {
    pub(super) core: Core,
    /// Until the client is over: then another process may have it.
    pub(super) outbox: Option<Arc<FileOutbox>>,
    /// No more than the core is given credit for, and [`UNTAKEN_MAX`] with what was asked before.
    pub(super) events: EventQueue<ClientEvent>,
    /// How many of them are of what the program has asked for.
    own_events: usize,
    /// How many of them were taken without the core's knowing.
    taken: u32,
    /// What the network's thread has to do.
    pub(super) tasks: Vec<ClientTask>,
    /// When that thread looks at the time next.
    pub(super) armed: Moment,
    /// The client is to end when all is stored, or then.
    pub(super) stop_at: Option<Moment>,
    /// That thread hands events to a function of the program's.
    pub(super) hands_over: bool,
    /// The program gives a token when an event asks for it.
    pub(super) tells_token_wanted: bool,
    effects: Vec<CoreEffect>,
    wakers: Vec<Waker>,
    calls: HashMap<u64, Destination>,
    /// That of the newest request or message.
    last_number: u64,
    /// Of messages that this process has sent and that are not on the server's disk.
    tickets: HashMap<Arc<str>, TicketPlace>,
    /// Of those that waited when the client ended, and are told behind the other events.
    closed: Vec<(u64, Arc<str>)>,
    /// A message could not be kept.
    pub(super) keep_failed: bool,
}

/// What only the network's thread does.
#[derive(Debug)]
pub(super) enum ClientTask {
    AskToken {
        serial: u64,
        reason: TokenReason,
    },
    Dial {
        serial: u64,
        has_token: bool,
    },
    Found {
        serial: u64,
        found: io::Result<Vec<SocketAddr>>,
    },
    Send {
        serial: u64,
        text: String,
    },
    Drop {
        serial: u64,
    },
    /// Says what is wrong with the outbox: never under the lock, as a program's logger may ask the client.
    Warn(String),
    Stop,
}

impl Monitored for ClientInner {
    fn needs_network(&self) -> bool {
        !self.tasks.is_empty()
            || self.core.deadline() < self.armed
            || self.stop_at.is_some_and(|at| at < self.armed || self.is_drained())
            || self.hands_over && self.events.len() > 0
    }

    fn take_wakers(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.wakers)
    }
}

impl SharedClient {
    /// Hands something to the core, from a thread of the program's.
    pub(super) fn input(&self, input: CoreInput<'_>) {
        self.with(|inner, shared| inner.handle(shared, input));
    }

    /// Gives the network's thread something to do.
    pub(super) fn task(&self, task: ClientTask) {
        self.with(|inner, _| inner.tasks.push(task));
    }

    /// The network's thread ends: nothing more comes of anything.
    pub(super) fn end(&self) {
        self.with_own(|inner, shared| inner.end(shared));
        self.notify();
    }

    /// The next event, for the network's thread.
    pub(super) fn take_own(&self) -> Option<ClientEvent> {
        self.with_own(|inner, shared| inner.take_event(shared))
    }
}

impl ClientInner {
    pub(super) fn new(core: Core, outbox: Option<FileOutbox>) -> ClientInner {
        ClientInner {
            core,
            outbox: outbox.map(Arc::new),
            events: EventQueue::new(),
            own_events: 0,
            taken: 0,
            tasks: Vec::new(),
            armed: Moment::NEVER,
            stop_at: None,
            hands_over: false,
            tells_token_wanted: false,
            effects: Vec::new(),
            wakers: Vec::new(),
            calls: HashMap::new(),
            last_number: 0,
            tickets: HashMap::new(),
            closed: Vec::new(),
            keep_failed: false,
        }
    }

    fn end(&mut self, shared: &SharedClient) {
        if *self.core.state() != State::Closed {
            self.handle(shared, CoreInput::Close);
        }
        self.outbox = None;
        self.tasks.clear();
        let closed = || Err(RequestError::own("closed"));
        for (call, destination) in std::mem::take(&mut self.calls) {
            self.settle(call, destination, closed());
        }
        for (id, place) in std::mem::take(&mut self.tickets) {
            self.wakers.extend(place.cell.change(|(_, is_over)| *is_over = true));
            if place.in_events && place.cell.look(|(status, _)| status.is_step()) {
                self.closed.push((place.number, id));
            }
        }
        // They are taken from its end.
        self.closed.sort_unstable_by_key(|(number, _)| std::cmp::Reverse(*number));
        self.events.end();
    }

    /// Whether nothing is on its way that will arrive without the program's doing something about it.
    pub(super) fn is_drained(&self) -> bool {
        let tries = matches!(
            self.core.state(),
            State::Connecting
                | State::Authenticating
                | State::Online { .. }
                | State::Waiting { .. }
        );
        !tries || self.core.unsent().all(|kept| kept.failed.is_some())
    }

    /// Whether the network's thread has ended.
    pub(super) fn is_over(&self) -> bool {
        self.events.is_over()
    }

    /// Hands something to the core, and does what it wants; what the network's thread has to do waits for it.
    pub(super) fn handle(&mut self, shared: &SharedClient, input: CoreInput<'_>) {
        if self.is_over() {
            return;
        }
        let timestamp = Clock::timestamp();
        let now = Now { moment: shared.clock.now(), timestamp, age_by: timestamp };
        let mut effects = std::mem::take(&mut self.effects);
        self.core.handle(now, input, &mut effects);
        let had_effects = !effects.is_empty();
        for effect in effects.drain(..) {
            self.effect(effect);
        }
        self.effects = effects;
        if had_effects {
            shared.notify();
        }
    }

    fn effect(&mut self, effect: CoreEffect) {
        match effect {
            CoreEffect::AskToken { serial, reason } if self.tells_token_wanted => {
                self.tell_own(ClientEvent::TokenWanted { question: serial, reason });
            }
            CoreEffect::AskToken { serial, reason } => {
                self.tasks.push(ClientTask::AskToken { serial, reason });
            }
            CoreEffect::Dial { serial, has_token } => {
                self.tasks.push(ClientTask::Dial { serial, has_token });
            }
            CoreEffect::Send { serial, text } => self.tasks.push(ClientTask::Send { serial, text }),
            CoreEffect::Drop { serial } => self.tasks.push(ClientTask::Drop { serial }),
            CoreEffect::Tell(event) => self.events.push(event),
            CoreEffect::Answer { call, answer } => self.answer(call, answer),
            CoreEffect::Ticket { id, status } => self.ticket(&id, status),
            CoreEffect::Keep(kept) => {
                if let Some(outbox) = &self.outbox
                    && let Err(error) = outbox.keep(&kept)
                {
                    let told = format!("a message that is not sent cannot be kept: {error}");
                    self.tasks.push(ClientTask::Warn(told));
                    self.keep_failed = true;
                }
            }
            CoreEffect::Forget(id) => {
                if let Some(outbox) = &self.outbox
                    && let Err(error) = outbox.forget(&id)
                {
                    // It is sent once more by the next process, which the server takes as a repeat.
                    let told = format!("a message that was sent cannot be struck off: {error}");
                    self.tasks.push(ClientTask::Warn(told));
                }
            }
        }
    }

    fn ticket(&mut self, id: &Arc<str>, status: TicketStatus) {
        let is_over = matches!(status, TicketStatus::Acked { .. } | TicketStatus::Cancelled);
        if let Some(place) = self.tickets.get(id) {
            let (number, in_events) = (place.number, place.in_events);
            self.wakers.extend(place.cell.change(|(place, _)| *place = status.clone()));
            if in_events && (!status.is_step() || !self.is_full()) {
                self.tell_own(ClientEvent::Ticket { number, id: Arc::clone(id), status });
            }
        }
        if is_over {
            self.tickets.remove(id);
        }
    }

    pub(super) fn answer(&mut self, call: u64, answer: Result<Box<str>, RequestError>) {
        if let Some(destination) = self.calls.remove(&call) {
            self.settle(call, destination, answer);
        }
    }

    fn settle(
        &mut self,
        call: u64,
        destination: Destination,
        answer: Result<Box<str>, RequestError>,
    ) {
        match destination {
            Destination::Cell(cell) => {
                self.wakers.extend(cell.change(|place| *place = Some(answer)));
            }
            Destination::Events => self.tell_own(ClientEvent::Answer { call, answer }),
        }
    }

    /// Tells of what the program has asked for.
    fn tell_own(&mut self, event: ClientEvent) {
        self.own_events += 1;
        self.events.push(event);
    }

    /// Whether the program must take events before it asks for more.
    fn is_full(&self) -> bool {
        self.own_events >= UNTAKEN_MAX
    }

    /// Why nothing can be asked for now.
    fn refusal(&self) -> Option<RequestError> {
        let code = match () {
            () if self.is_over() => "closed",
            () if self.is_full() => "overloaded",
            () => return None,
        };
        Some(RequestError::own(code))
    }

    /// An answer comes among the events from now on; or does now, if it is here.
    ///
    /// # Errors
    /// The answer says why it was not asked for, and there is no room to tell it.
    pub(super) fn answer_in_events(
        &mut self,
        call: u64,
        cell: &CallCell,
    ) -> Result<(), RequestError> {
        match self.calls.get_mut(&call) {
            Some(destination) => *destination = Destination::Events,
            None => match cell.look(Option::take) {
                Some(Err(error)) if self.is_full() => return Err(error),
                Some(answer) => self.tell_own(ClientEvent::Answer { call, answer }),
                None => {}
            },
        }
        Ok(())
    }

    /// What becomes of a message comes among the events from now on; what has become of it does now.
    ///
    /// # Errors
    /// Why it was refused, where there is no room to tell it.
    pub(super) fn ticket_in_events(
        &mut self,
        number: u64,
        id: &Arc<str>,
        cell: &TicketCell,
    ) -> Result<(), RequestError> {
        match cell.look(|(status, _)| status.clone()) {
            TicketStatus::Queued => {}
            TicketStatus::Sent if self.is_full() => {}
            TicketStatus::Failed(error) if self.is_full() => return Err(error),
            status => self.tell_own(ClientEvent::Ticket { number, id: Arc::clone(id), status }),
        }
        // Another message may have this id by now.
        if let Some(place) = self.tickets.get_mut(id).filter(|place| place.number == number) {
            place.in_events = true;
        }
        Ok(())
    }

    /// Whether an answer is waited for.
    pub(super) fn awaits(&self, call: u64) -> bool {
        self.calls.contains_key(&call)
    }

    /// A place for an answer, and its number.
    pub(super) fn new_call(&mut self) -> (u64, Arc<CallCell>) {
        let call = self.new_number();
        let refusal = self.refusal();
        let is_asked = refusal.is_none();
        let cell = Arc::new(Waited::new(refusal.map(Err)));
        if is_asked {
            self.calls.insert(call, Destination::Cell(Arc::clone(&cell)));
        }
        (call, cell)
    }

    /// A number for a request or a message.
    fn new_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Sends a message. A repeat of one that is not on the server's disk is that one; if it has failed, it is sent again.
    /// Its number, and whether it is new, so that it is not in the outbox yet.
    pub(super) fn send(
        &mut self,
        shared: &SharedClient,
        kept: Kept,
    ) -> (u64, Arc<TicketCell>, bool) {
        let number = self.new_number();
        if self.core.has_unsent(&kept.id) && !self.is_full() && !self.is_over() {
            if !self.core.repeats(&kept) {
                let conflict = TicketStatus::Failed(RequestError::own("conflict"));
                return (number, Arc::new(Waited::new((conflict, false))), false);
            }
            // An earlier process has left it, if nobody here has sent it.
            let place = self.tickets.entry(Arc::clone(&kept.id)).or_insert_with(|| {
                let cell = Arc::new(Waited::new((TicketStatus::Queued, false)));
                TicketPlace { number, cell, in_events: false }
            });
            let (number, cell) = (place.number, Arc::clone(&place.cell));
            self.handle(shared, CoreInput::Retry(&kept.id));
            return (number, cell, false);
        }
        let status = match self.is_full() {
            true => TicketStatus::Failed(RequestError::own("overloaded")),
            false => TicketStatus::Queued,
        };
        let is_taken = status == TicketStatus::Queued && !self.is_over();
        let cell = Arc::new(Waited::new((status, self.is_over())));
        if is_taken {
            let id = Arc::clone(&kept.id);
            let place = TicketPlace { number, cell: Arc::clone(&cell), in_events: false };
            self.tickets.insert(Arc::clone(&id), place);
            self.handle(shared, CoreInput::Send(kept));
            // What the core does not have will never change.
            if !self.core.has_unsent(&id) {
                self.tickets.remove(&id);
            }
        }
        (number, cell, is_taken)
    }

    /// The next event.
    fn take_event(&mut self, shared: &SharedClient) -> Option<ClientEvent> {
        let Some(event) = self.events.pop() else {
            // Made when it is taken: there may be many, and nobody left who takes them.
            let (number, id) = self.closed.pop()?;
            let status = TicketStatus::Failed(RequestError::own("closed"));
            return Some(ClientEvent::Ticket { number, id, status });
        };
        // The core gives no credit for what the program has asked for, or is asked.
        let is_own = matches!(
            event,
            ClientEvent::Answer { .. }
                | ClientEvent::Ticket { .. }
                | ClientEvent::TokenWanted { .. }
        );
        self.own_events -= usize::from(is_own);
        self.taken += u32::from(!is_own);
        if self.events.len() == 0 || self.taken >= TAKEN_AT_ONCE {
            let taken = std::mem::take(&mut self.taken);
            self.handle(shared, CoreInput::Taken(taken));
        }
        Some(event)
    }
}

impl EventSource<ClientEvent> for SharedClient {
    fn wait(&self, timeout: Option<Duration>) -> Result<ClientEvent, RecvTimeoutError> {
        let found = Monitor::wait(self, timeout, |inner, shared| match inner.take_event(shared) {
            Some(event) => Some(Ok(event)),
            None => inner.is_over().then_some(Err(RecvTimeoutError::Disconnected)),
        });
        found.unwrap_or(Err(RecvTimeoutError::Timeout))
    }

    fn take(&self) -> Result<ClientEvent, TryRecvError> {
        self.with(|inner, shared| match inner.take_event(shared) {
            Some(event) => Ok(event),
            None if inner.is_over() => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        })
    }

    fn descriptor(&self) -> io::Result<OwnedFd> {
        self.lock().events.descriptor()
    }
}
