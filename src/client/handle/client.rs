//! What a program has of a client. Every function may be called from every thread, also at once.

use super::builder::{ClientBuilder, millis};
use super::room::Room;
use super::shared::{ClientInner, SharedClient};
use super::stream::Stream;
use super::ticket::{Reply, Ticket};
use crate::base::{Chance, RoomId, StreamId};
use crate::client::core::{
    ClientEvent, CoreInput, Hello, Hint, Kept, Quality, RequestError, State, Step, TicketStatus,
    TokenFailure, WatchOptions, message_id,
};
use crate::client::thread::{Events, NetworkThread, Waited, lock};
use crate::reactor::Clock;
use crate::wire::json::Object;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A client of a parlor server: a connection that mends itself, messages that are neither lost nor doubled, rooms
/// without holes. Clones are one client. When the last one is dropped, with its rooms and streams, it closes, and its
/// thread ends.
#[derive(Clone, Debug)]
pub struct Client(Arc<ClientHandle>);

/// What the clones of a client share.
pub(super) struct ClientHandle {
    pub(super) shared: Arc<SharedClient>,
    pub(super) ids: Mutex<Ids>,
    pub(super) thread: NetworkThread,
}

/// Makes ids of messages that no other client of the same user has.
pub(super) struct Ids {
    chance: Chance,
    last: u64,
}

impl Ids {
    pub(super) fn new(seed: u64) -> Ids {
        // Another stream of numbers than the waits between attempts have.
        Ids { chance: Chance::new(seed.rotate_left(32)), last: 0 }
    }
}

/// Messages that were not on the server's disk when the client was closed. An outbox has them still.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsent {
    /// The messages, room by room in their order.
    pub messages: Vec<Kept>,
}

impl Client {
    /// How a client is made: `Client::builder("wss://host/ws").token("…").start()?`.
    #[must_use]
    pub fn builder(url: &str) -> ClientBuilder {
        ClientBuilder::new(url)
    }

    pub(super) fn new(handle: ClientHandle) -> Client {
        Client(Arc::new(handle))
    }

    pub(super) fn shared(&self) -> &Arc<SharedClient> {
        &self.0.shared
    }

    /// A room. It need not exist, and the user need not be in it: [`Room::join`] is a request of its own. If no room can
    /// have this name, all that is asked of it is refused with `bad_name`.
    #[must_use]
    pub fn room(&self, name: &str) -> Room {
        Room::new(self.clone(), name)
    }

    /// The rooms of which something is known: at first, those in which the user is.
    #[must_use]
    pub fn rooms(&self) -> Vec<Room> {
        let names: Vec<RoomId> = self.shared().lock().core.rooms().cloned().collect();
        names.into_iter().map(|name| Room::new(self.clone(), name.as_str())).collect()
    }

    /// Watches a stream, or watches it in another way: its events come among the client's.
    ///
    /// # Errors
    /// `bad_name` if no stream can have this name, `bad_json` if the filter is no object of JSON. What the server says of
    /// it is an event.
    pub fn stream(&self, name: &str, options: WatchOptions) -> Result<Stream, RequestError> {
        let stream = StreamId::parse(name).map_err(|_| RequestError::own("bad_name"))?;
        if options.filter.as_deref().is_some_and(|filter| !is_object(filter)) {
            return Err(RequestError::own("bad_json"));
        }
        let input = CoreInput::Watch { stream: stream.clone(), options: Some(options) };
        self.shared().input(input);
        Ok(Stream { client: self.clone(), stream })
    }

    /// Watches a stream no more, whoever has asked for it.
    pub fn unwatch(&self, stream: StreamId) {
        self.shared().input(CoreInput::Watch { stream, options: None });
    }

    /// Wants to be told who is online: [`ClientEvent::Presence`].
    pub fn watch_presence(&self) {
        self.shared().input(CoreInput::WatchPresence);
    }

    /// Sends a request of any type, also of the application's own, with the JSON of an object as its payload. The answer
    /// is a payload's JSON. It waits while there is no connection.
    #[must_use]
    pub fn request(&self, kind: &str, payload: &str) -> Reply<Box<str>> {
        self.request_within(kind, payload, None)
    }

    /// The same, with another time for the answer than the client's.
    #[must_use]
    pub fn request_within(
        &self,
        kind: &str,
        payload: &str,
        timeout: Option<Duration>,
    ) -> Reply<Box<str>> {
        let timeout_ms =
            timeout.map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
        let (kind, payload) = (kind.to_owned(), payload.to_owned());
        self.ask(
            |raw| Some(raw.into()),
            |call| match is_object(&payload) {
                true => Ok(CoreInput::Ask { call, kind, payload, timeout_ms }),
                false => Err(RequestError::own("bad_json")),
            },
        )
    }

    /// Asks something, and reads the answer.
    pub(super) fn ask<T>(
        &self,
        read: fn(&str) -> Option<T>,
        input: impl FnOnce(u64) -> Result<CoreInput<'static>, RequestError>,
    ) -> Reply<T> {
        let shared = Arc::clone(self.shared());
        let (call, cell) = shared.with(|inner, shared| {
            let (call, cell) = inner.new_call();
            match input(call) {
                Ok(input) if inner.awaits(call) => inner.handle(shared, input),
                Ok(_) => {}
                Err(error) => inner.answer(call, Err(error)),
            }
            (call, cell)
        });
        Reply { call, cell, shared, read }
    }

    /// Says something that wants no answer, now or never: whether it was sent is not known.
    pub fn say(&self, kind: &str, payload: &str) {
        if is_object(payload) {
            self.shared().input(CoreInput::Say { kind, payload });
        }
    }

    /// The queue of what the client tells. A program that takes nothing of it holds nothing up but its own rooms and
    /// streams: rooms are read on later, streams skip as they are declared.
    #[must_use]
    pub fn events(&self) -> Events<ClientEvent> {
        Events(Arc::clone(self.shared()) as _)
    }

    // --- How it is ---

    /// What it does about its connection.
    #[must_use]
    pub fn state(&self) -> State {
        self.shared().lock().core.state().clone()
    }

    /// Waits until the state is one that is wanted, and returns it; `None` if it is not in time.
    #[must_use]
    pub fn wait_state(
        &self,
        timeout: Duration,
        is_wanted: impl Fn(&State) -> bool,
    ) -> Option<State> {
        self.shared().wait(Some(timeout), |inner, _| {
            let state = inner.core.state();
            is_wanted(state).then(|| state.clone())
        })
    }

    /// Waits until it sends and receives.
    ///
    /// # Errors
    /// The state that it is in, if it is not online in time, or has stopped trying.
    pub fn wait_online(&self, timeout: Duration) -> Result<(), State> {
        let ends = |state: &State| {
            matches!(state, State::Online { .. } | State::Closed | State::Failed { .. })
        };
        match self.wait_state(timeout, ends).unwrap_or_else(|| self.state()) {
            State::Online { .. } => Ok(()),
            state => Err(state),
        }
    }

    /// The round trip, once it was measured.
    #[must_use]
    pub fn quality(&self) -> Option<Quality> {
        self.shared().lock().core.quality()
    }

    /// What the server has said of itself and of the user, once it has.
    #[must_use]
    pub fn hello(&self) -> Option<Hello> {
        self.shared().lock().core.hello().cloned()
    }

    /// The messages that are not on the server's disk, of whoever is here: those on their way, those that were refused,
    /// and those that an earlier process left.
    #[must_use]
    pub fn unsent(&self) -> Vec<Kept> {
        self.shared().lock().core.unsent().cloned().collect()
    }

    /// The last 20 changes of the state, oldest first, each with its cause and what is done about it.
    #[must_use]
    pub fn why(&self) -> Vec<Step> {
        self.shared().lock().core.why().cloned().collect()
    }

    // --- What it is to do ---

    /// Answers [`ClientEvent::TokenWanted`]: a token, none for a guest, or why there is none. Whether that was still
    /// asked; otherwise it changes nothing.
    pub fn give_token(&self, question: u64, given: Result<Option<String>, TokenFailure>) -> bool {
        let given = given.map(|token| token.map(Arc::from));
        self.shared().with(|inner, shared| {
            let is_asked = inner.core.asks_token(question);
            inner.handle(shared, CoreInput::Token { serial: question, given });
            is_asked
        })
    }

    /// Something is known of the network or the machine.
    pub fn hint(&self, hint: Hint) {
        self.shared().input(CoreInput::Hint(hint));
    }

    /// Connects now, whatever was planned; also after [`Client::pause`], and after it has failed.
    pub fn retry_now(&self) {
        self.shared().with(|inner, shared| {
            if !inner.is_over() {
                inner.handle(shared, CoreInput::Open);
            }
        });
    }

    /// Lets go of the connection until [`Client::retry_now`]: what is asked meanwhile waits.
    pub fn pause(&self) {
        self.shared().input(CoreInput::Pause("pause()"));
    }

    /// Takes back a message of [`Client::unsent`], unless it was sent already.
    pub fn cancel(&self, id: &str) {
        self.shared().input(CoreInput::Cancel(id));
    }

    /// Sends a message of [`Client::unsent`] again that has failed or expired.
    pub fn retry(&self, id: &str) {
        self.shared().input(CoreInput::Retry(id));
    }

    /// Begins to end: when all messages are on the server's disk, at the latest after so long, it closes for good,
    /// whatever other clones there are. It does not wait for messages that were refused, nor while the client has failed
    /// or is paused. It never waits: the last events are [`State::Closed`], and what then fails with `closed`. The sooner of
    /// several calls counts.
    pub fn stop(&self, drain: Duration) {
        self.shared().with(|inner, shared| {
            if !inner.is_over() {
                let at = shared.clock.now().plus_millis(millis(drain));
                inner.stop_at = Some(inner.stop_at.map_or(at, |earlier| earlier.min(at)));
            }
        });
    }

    /// The same, and waits until it has ended. On the network's thread, where it is called by
    /// [`ClientBuilder::on_event`] or by a task that was woken there, it does not wait.
    ///
    /// # Errors
    /// [`Unsent`]: the messages that were not stored, refused ones among them.
    pub fn close(&self, drain: Duration) -> Result<(), Unsent> {
        self.stop(drain);
        self.0.thread.join();
        let messages = self.unsent();
        if messages.is_empty() { Ok(()) } else { Err(Unsent { messages }) }
    }

    /// Waits until it has ended for good, which [`Client::stop`] begins: also until a function of
    /// [`ClientBuilder::on_event`] has returned. Whether it has. On the network's
    /// thread it does not wait.
    #[must_use]
    pub fn wait_closed(&self, timeout: Duration) -> bool {
        let over = |inner: &mut ClientInner, _: &_| inner.is_over().then_some(());
        let timeout = if self.0.thread.is_current() { Duration::ZERO } else { timeout };
        let is_over = self.shared().wait(Some(timeout), over).is_some();
        if is_over {
            self.0.thread.join();
        }
        is_over
    }

    /// Sends a message.
    pub(super) fn send(&self, message: Kept) -> Ticket {
        let shared = Arc::clone(self.shared());
        let id = Arc::clone(&message.id);
        let ((number, cell, is_new), outbox, failed) = shared.with(|inner, shared| {
            inner.keep_failed = false;
            let sent = inner.send(shared, message);
            (sent, inner.outbox.clone(), std::mem::take(&mut inner.keep_failed))
        });
        // Outside of the lock: the disk takes its time, and several threads' messages take it once.
        let is_kept = match outbox {
            // The network's thread says why.
            _ if failed => false,
            Some(outbox) => {
                let synced = outbox.sync().inspect_err(|error| {
                    log::error!("a message cannot be kept: {error}");
                });
                synced.is_ok()
            }
            None => true,
        };
        // A repeat was kept before; what may be on the server's disk already goes on.
        if is_new && !is_kept {
            shared.input(CoreInput::Cancel(&id));
            let waker = cell.change(|(status, _)| {
                if *status == TicketStatus::Cancelled {
                    *status = TicketStatus::Failed(RequestError::own("outbox_failed"));
                }
            });
            // A thread that has repeated it meanwhile.
            if let Some(waker) = waker {
                waker.wake();
            }
        }
        Ticket { number, id, cell, shared }
    }

    /// A message that is none.
    pub(super) fn refused(&self, id: Arc<str>, error: RequestError) -> Ticket {
        let cell = Arc::new(Waited::new((TicketStatus::Failed(error), false)));
        Ticket { number: 0, id, cell, shared: Arc::clone(self.shared()) }
    }

    pub(super) fn new_id(&self) -> Arc<str> {
        let Ids { chance, last } = &mut *lock(&self.0.ids);
        *last += 1;
        message_id(Clock::timestamp(), *last, chance)
    }
}

impl Drop for ClientHandle {
    fn drop(&mut self) {
        self.shared.with(|inner, shared| {
            if !inner.is_over() {
                inner.stop_at = Some(shared.clock.now());
            }
        });
        self.thread.join();
    }
}

pub(super) fn is_object(text: &str) -> bool {
    crate::wire::json::scan(text, crate::base::limits::JSON_DEPTH_MAX - 1).is_ok()
        && matches!(Object::parse(text), Ok(Some(_)))
}

impl fmt::Debug for ClientHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientHandle")
            .field("state", self.shared.lock().core.state())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.messages.len() {
            1 => f.write_str("a message was not stored"),
            many => write!(f, "{many} messages were not stored"),
        }
    }
}

impl std::error::Error for Unsent {}
