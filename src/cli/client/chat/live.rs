//! The chat at a terminal: one loop, which waits for whatever comes first of keys, events and answers.

use super::super::link::{ClientArgs, is_refusal};
use super::bell::QueueBell;
use super::draw::draw;
use super::model::ChatModel;
use super::palette::Palette;
use super::screen::{Screen, give_back};
use super::task::{Answering, ChatAnswer, ChatTask, perform, settle};
use super::times::LocalTimes;
use crate::base::RoomId;
use crate::cli::CommandFailure;
use crate::cli::shown;
use crate::client::{Client, ClientEvent, State, Ticket};
use crate::reactor::{Clock, SIGINT, SIGTERM, on_signal};
use ratatui::crossterm::event::{Event, read};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::task::{Context, Waker};
use std::time::Duration;

/// How many keys and events wait at most.
const QUEUE: usize = 1_024;
/// So many are taken before the screen is drawn again.
const BATCH: usize = 512;
/// How long the first answer of the server is waited for before there is a screen.
const FIRST_ANSWER: Duration = Duration::from_secs(1);
/// How often the seconds to the next attempt are counted.
const COUNT: Duration = Duration::from_millis(1_000);
/// A process that a signal has ended has this status, and the signal's number.
const BY_SIGNAL: i32 = 128;

/// What happens.
enum Happening {
    Terminal(Event),
    Told(Box<ClientEvent>),
    /// An answer may be there, or a signal.
    Woken,
    /// There are no more keys.
    TerminalEnded(String),
}

/// A chat at a terminal.
struct LiveChat<'a> {
    client: &'a Client,
    model: ChatModel,
    answers: Vec<Answering>,
    waker: Waker,
    /// Of messages that are not stored.
    tickets: BTreeMap<Arc<str>, Ticket>,
    /// Rooms of which the client may know something new.
    touched: BTreeSet<RoomId>,
}

pub(super) fn run(args: &ClientArgs, room: Option<RoomId>) -> Result<(), CommandFailure> {
    let client = args.start(None)?;
    // Somebody who is refused wants to read why, and has nothing to chat with.
    let has_answered =
        |state: &State| !matches!(state, State::Idle | State::Connecting | State::Authenticating);
    let _ = client.wait_state(FIRST_ANSWER.min(args.timeout), has_answered);
    let state = client.state();
    if is_refusal(&state) {
        return Err(args.not_online(&client, &state));
    }
    client.watch_presence();
    let (queue, happenings) = sync_channel(QUEUE);
    let signal = Arc::new(AtomicI32::new(0));
    watch_signals(&signal, queue.clone()).map_err(CommandFailure::new)?;
    let mut screen = Screen::open().map_err(|error| terminal_failed(&error))?;
    let is_watched = watch(&client, &queue);
    let ended = is_watched.and_then(|()| {
        let palette = Palette::of_environment();
        let model = ChatModel::new(args.url.clone(), room, LocalTimes::of_system(), palette);
        let mut chat = LiveChat {
            client: &client,
            model,
            answers: Vec::new(),
            waker: Waker::from(Arc::new(QueueBell(queue, || Happening::Woken))),
            tickets: BTreeMap::new(),
            touched: BTreeSet::new(),
        };
        chat.follow(&mut screen, &happenings, &signal)
    });
    drop(screen);
    // From now on a signal ends the process.
    let signal = signal.swap(SIGINT, Ordering::SeqCst);
    if signal != 0 {
        let _ = say_unsent(&client, Duration::ZERO);
        std::process::exit(BY_SIGNAL + signal);
    }
    ended.map_err(|error| terminal_failed(&error))?;
    let state = client.state();
    if client.hello().is_none() && is_refusal(&state) {
        return Err(args.not_online(&client, &state));
    }
    say_unsent(&client, args.timeout)
}

fn terminal_failed(error: &io::Error) -> CommandFailure {
    CommandFailure::new(format!("the terminal: {error}"))
}

/// The first signal ends the chat, the second one the process.
fn watch_signals(signal: &Arc<AtomicI32>, queue: SyncSender<Happening>) -> io::Result<()> {
    let told = Arc::clone(signal);
    on_signal(&[SIGINT, SIGTERM], move |number| {
        if told.swap(number, Ordering::SeqCst) != 0 {
            give_back();
            std::process::exit(BY_SIGNAL + number);
        }
        let _ = queue.try_send(Happening::Woken);
    })
}

/// A thread for keys, and one for what the client tells.
fn watch(client: &Client, queue: &SyncSender<Happening>) -> io::Result<()> {
    let (keys, told) = (queue.clone(), queue.clone());
    let events = client.events();
    std::thread::Builder::new().name("parlor-events".to_owned()).spawn(move || {
        for event in events {
            if told.send(Happening::Told(Box::new(event))).is_err() {
                break;
            }
        }
    })?;
    std::thread::Builder::new().name("parlor-keys".to_owned()).spawn(move || {
        loop {
            let happening = match read() {
                Ok(event) => Happening::Terminal(event),
                Err(error) => Happening::TerminalEnded(error.to_string()),
            };
            let is_end = matches!(happening, Happening::TerminalEnded(_));
            if keys.send(happening).is_err() || is_end {
                break;
            }
        }
    })?;
    Ok(())
}

/// Waits for what was not sent yet, and says what was not.
fn say_unsent(client: &Client, patience: Duration) -> Result<(), CommandFailure> {
    let waiting = client.unsent().iter().filter(|kept| kept.failed.is_none()).count();
    if waiting > 0 && patience > Duration::ZERO {
        eprintln!("parlor: {waiting} not sent yet: waiting for the server; Ctrl-C ends");
    }
    let Err(unsent) = client.close(patience) else { return Ok(()) };
    for kept in &unsent.messages {
        eprintln!("parlor: not stored: {}: {}", kept.room, shown(&kept.text));
    }
    Err(CommandFailure::new(unsent))
}

impl LiveChat<'_> {
    fn follow(
        &mut self,
        screen: &mut Screen,
        happenings: &Receiver<Happening>,
        signal: &AtomicI32,
    ) -> io::Result<()> {
        let size = screen.terminal.size()?;
        self.model.resize(size.width, size.height);
        // What was told before the screen was there.
        self.take_event(&ClientEvent::State(self.client.state()));
        loop {
            self.settle(screen)?;
            // Who was never let in is told why, as before there was a screen.
            let is_refused = !self.model.has_begun && is_refusal(&self.model.state);
            if self.model.is_quitting || is_refused || signal.load(Ordering::SeqCst) != 0 {
                return Ok(());
            }
            screen.terminal.draw(|frame| {
                // That it has another size may be told later.
                let area = frame.area();
                if area != self.model.area {
                    self.model.resize(area.width, area.height);
                }
                let cursor = draw(&self.model, Clock::timestamp(), frame.buffer_mut());
                if let Some(cursor) = cursor {
                    frame.set_cursor_position(cursor);
                }
            })?;
            let first = match self.model.state {
                State::Waiting { .. } => happenings.recv_timeout(COUNT),
                _ => happenings.recv().map_err(RecvTimeoutError::from),
            };
            match first {
                Ok(first) => {
                    self.take(first)?;
                    for happening in happenings.try_iter().take(BATCH) {
                        self.take(happening)?;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    fn take(&mut self, happening: Happening) -> io::Result<()> {
        match happening {
            Happening::Terminal(Event::Key(key)) => self.model.take_key(key),
            Happening::Terminal(Event::Paste(text)) => self.model.take_paste(&text),
            Happening::Terminal(Event::Resize(width, height)) => self.model.resize(width, height),
            Happening::Told(event) => self.take_event(&event),
            Happening::Terminal(_) | Happening::Woken => {}
            Happening::TerminalEnded(error) => return Err(io::Error::other(error)),
        }
        Ok(())
    }

    fn take_event(&mut self, event: &ClientEvent) {
        match event {
            ClientEvent::State(state) if state.is_online() => {
                if let Some(hello) = self.client.hello() {
                    self.model.take_hello(&hello);
                }
                self.look_at_all();
            }
            ClientEvent::Entry(entry) => drop(self.touched.insert(entry.room.clone())),
            ClientEvent::Read(mark) => drop(self.touched.insert(mark.room.clone())),
            ClientEvent::Typing { room, .. } | ClientEvent::Membership { room, .. } => {
                self.touched.insert(room.clone());
            }
            ClientEvent::Push { .. } => self.look_at_all(),
            _ => {}
        }
        self.model.take_event(event);
    }

    fn look_at_all(&mut self) {
        for room in self.client.rooms() {
            if let (Ok(name), Some(view)) = (RoomId::parse(room.name()), room.view()) {
                self.model.take_view(&name, view);
            }
        }
    }

    fn look(&mut self) {
        for name in std::mem::take(&mut self.touched) {
            if let Some(view) = self.client.room(name.as_str()).view() {
                self.model.take_view(&name, view);
            }
        }
    }

    /// Does what is wanted, and takes what was answered, until nothing is left to do.
    fn settle(&mut self, screen: &mut Screen) -> io::Result<()> {
        loop {
            self.look();
            let mut answers = Vec::new();
            let mut context = Context::from_waker(&self.waker);
            self.answers.retain_mut(|answering| match answering.as_mut().poll(&mut context) {
                std::task::Poll::Ready(answer) => {
                    answers.push(answer);
                    false
                }
                std::task::Poll::Pending => true,
            });
            if !answers.is_empty() {
                self.look_at_all();
            }
            for answer in answers {
                if let ChatAnswer::Settled { id, answer: Ok(_), .. } = &answer {
                    self.tickets.remove(id);
                }
                self.model.take_answer(answer);
            }
            self.model.mark_read();
            let tasks = self.model.take_tasks();
            if tasks.is_empty() {
                return Ok(());
            }
            for task in tasks {
                self.perform(task, screen)?;
            }
        }
    }

    fn perform(&mut self, task: ChatTask, screen: &mut Screen) -> io::Result<()> {
        match task {
            ChatTask::Send { room, text, reply_to } => {
                let mut message = self.client.room(room.as_str()).message(&text);
                if let Some(seq) = reply_to {
                    message = message.reply_to(seq);
                }
                let ticket = message.send();
                let id: Arc<str> = ticket.id().into();
                let at = Clock::timestamp();
                let unsent = ChatModel::new_unsent(Arc::clone(&id), text, reply_to, at);
                self.model.take_sent(&room, unsent);
                self.tickets.insert(id, ticket.clone());
                self.answers.push(settle(room, ticket));
            }
            ChatTask::Retry { room, id } => {
                if let Some(ticket) = self.tickets.get(&id).cloned() {
                    ticket.retry();
                    self.answers.push(settle(room, ticket));
                }
            }
            ChatTask::Suspend => screen.suspend()?,
            ChatTask::Redraw => screen.redraw()?,
            ChatTask::MarkRead(room) => {
                self.client.room(room.as_str()).mark_read(None);
                self.touched.insert(room);
            }
            ChatTask::Typing { room, typing } => self.client.room(room.as_str()).typing(typing),
            ChatTask::Drop(id) => self.client.cancel(&id),
            ChatTask::RetryNow => self.client.retry_now(),
            task => self.answers.extend(perform(self.client, task)),
        }
        Ok(())
    }
}
