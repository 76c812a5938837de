//! The chat without a terminal: what comes is printed, each line of standard input is a message or a command. A command
//! waits until the messages before it are stored, and is done before the next line is read.

use super::super::link::{ClientArgs, exit_of, refused};
use super::super::text::{entry_line, remark};
use super::answers::{help_lines, why_line};
use super::bell::{QueueBell, wait_for};
use super::slash::{MessageTarget, SlashCommand, TypedLine, read_line};
use super::task::{ChatAnswer, ChatTask, perform};
use crate::base::date::rfc3339;
use crate::base::{Entry, EntryKind, RoomId, UserId};
use crate::cli::shown;
use crate::cli::{CommandFailure, Exit, print_while_read};
use crate::client::{Client, ClientEvent, HistoryPage, Part, RequestError, State, Stored, Ticket};
use crate::reactor::Clock;
use std::collections::{BTreeMap, VecDeque};
use std::io::BufRead;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// How many lines and events wait at most.
const QUEUE: usize = 64;
/// So many messages are on their way before another line is read.
const UNDER_WAY_MAX: usize = 1_000;
/// How many messages are kept that were refused, for `/retry`.
const REFUSED_MAX: usize = 1_000;
/// Among so many of the newest entries is the last message that a command is about.
const NEWEST: u32 = 200;

/// What happens.
enum LineHappening {
    Line(std::io::Result<String>),
    EndOfLines,
    Told(Box<ClientEvent>),
    /// An answer may be there.
    Woken,
}

/// A chat without a terminal.
struct LineChat<'a> {
    args: &'a ClientArgs,
    client: &'a Client,
    me: Option<UserId>,
    current: Option<RoomId>,
    under_way: VecDeque<(RoomId, Ticket)>,
    refused: VecDeque<(RoomId, Ticket)>,
    /// Of each room the newest message of this chat, and the newest entry that was printed.
    stored: BTreeMap<RoomId, u64>,
    printed: BTreeMap<RoomId, u64>,
    /// With what status it ends, as something was refused.
    failure: Option<Exit>,
    waker: Waker,
    /// Nobody reads what is printed any more.
    is_unread: bool,
}

pub(super) fn run(args: &ClientArgs, room: Option<RoomId>) -> Result<(), CommandFailure> {
    let client = args.start(None)?;
    args.wait(&client)?;
    let (queue, happenings) = sync_channel(QUEUE);
    watch(&client, &queue).map_err(CommandFailure::new)?;
    let me = client.hello().map(|hello| hello.user);
    let mut chat = LineChat {
        args,
        client: &client,
        me,
        current: None,
        under_way: VecDeque::new(),
        refused: VecDeque::new(),
        stored: BTreeMap::new(),
        printed: BTreeMap::new(),
        failure: None,
        waker: Waker::from(Arc::new(QueueBell(queue, || LineHappening::Woken))),
        is_unread: false,
    };
    if let Some(room) = room {
        let joined = client.room(room.as_str()).join().wait();
        joined.map_err(|error| refused(&format!("{room}: "), &error))?;
        chat.current = Some(room);
    }
    chat.follow(&happenings)?;
    chat.finish(&happenings)?;
    match chat.failure {
        // What was refused is said already.
        Some(exit) => Err(CommandFailure::with(exit, "")),
        None => Ok(()),
    }
}

/// A thread for lines, and one for what the client tells.
fn watch(client: &Client, queue: &SyncSender<LineHappening>) -> std::io::Result<()> {
    let (lines, told) = (queue.clone(), queue.clone());
    let events = client.events();
    std::thread::Builder::new().name("parlor-events".to_owned()).spawn(move || {
        for event in events {
            if told.send(LineHappening::Told(Box::new(event))).is_err() {
                break;
            }
        }
    })?;
    std::thread::Builder::new().name("parlor-lines".to_owned()).spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let is_end = line.is_err();
            if lines.send(LineHappening::Line(line)).is_err() || is_end {
                return;
            }
        }
        let _ = lines.send(LineHappening::EndOfLines);
    })?;
    Ok(())
}

impl LineChat<'_> {
    /// Until there are no more lines, or one of them ends the chat.
    fn follow(&mut self, happenings: &Receiver<LineHappening>) -> Result<(), CommandFailure> {
        while let Ok(happening) = happenings.recv() {
            match happening {
                LineHappening::Line(Ok(line)) if !self.obey(&line)? => break,
                LineHappening::EndOfLines => break,
                LineHappening::Line(Err(error)) => {
                    return Err(CommandFailure::new(format!("standard input: {error}")));
                }
                LineHappening::Told(event) => self.take_event(&event)?,
                LineHappening::Line(Ok(_)) | LineHappening::Woken => {}
            }
            self.settle_what_is_answered();
        }
        Ok(())
    }

    /// Waits until all is stored, and was printed.
    fn finish(&mut self, happenings: &Receiver<LineHappening>) -> Result<(), CommandFailure> {
        self.settle_all()?;
        let clock = Clock::start();
        loop {
            let is_printed = |(room, seq): (&RoomId, &u64)| self.printed.get(room) >= Some(seq);
            let left = self.args.timeout.saturating_sub(clock.elapsed());
            if self.is_unread || self.stored.iter().all(is_printed) || left == Duration::ZERO {
                return Ok(());
            }
            match happenings.recv_timeout(left) {
                Ok(LineHappening::Told(event)) => self.take_event(&event)?,
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    }

    fn print(&mut self, line: &str) -> Result<(), CommandFailure> {
        // What is sent is sent, whoever reads what comes.
        if !self.is_unread {
            self.is_unread = !print_while_read(&format!("{line}\n"))?;
        }
        Ok(())
    }

    fn print_all(&mut self, lines: &[String]) -> Result<(), CommandFailure> {
        lines.iter().try_for_each(|line| self.print(line))
    }

    fn fail(&mut self, what: &str, error: &RequestError) {
        self.say(&format!("{what}{}", shown(&error.to_string())), exit_of(error));
    }

    fn say(&mut self, message: &str, exit: Exit) {
        eprintln!("parlor: {message}");
        self.failure.get_or_insert(exit);
    }

    fn take_event(&mut self, event: &ClientEvent) -> Result<(), CommandFailure> {
        match event {
            ClientEvent::Entry(entry) => {
                self.printed.insert(entry.room.clone(), entry.seq);
                self.print(&entry_line(entry))?;
            }
            ClientEvent::State(state @ State::Failed { .. }) => {
                return Err(self.args.not_online(self.client, state));
            }
            event => {
                if let Some(remark) = remark(event) {
                    eprintln!("parlor: {remark}");
                }
            }
        }
        Ok(())
    }

    // --- Messages ---

    fn send(&mut self, text: &str, reply_to: Option<u64>) -> Result<(), CommandFailure> {
        let Some(room) = self.current.clone() else {
            self.say("you are in no room: parlor chat ROOM, or /join NAME", Exit::Failure);
            return Ok(());
        };
        if self.under_way.len() >= UNDER_WAY_MAX {
            self.settle_first()?;
        }
        let message = self.client.room(room.as_str()).message(text);
        let message = match reply_to {
            Some(seq) => message.reply_to(seq),
            None => message,
        };
        self.under_way.push_back((room, message.send()));
        Ok(())
    }

    /// Takes what is answered, and has itself woken for the next answer.
    fn settle_what_is_answered(&mut self) {
        while let Some((_, ticket)) = self.under_way.front() {
            let mut next = ticket.clone().into_future();
            let mut context = Context::from_waker(&self.waker);
            match std::pin::Pin::new(&mut next).poll(&mut context) {
                Poll::Ready(answer) => self.take_settled(answer),
                Poll::Pending => return,
            }
        }
    }

    fn settle_first(&mut self) -> Result<(), CommandFailure> {
        let Some((_, ticket)) = self.under_way.front() else { return Ok(()) };
        match ticket.wait_timeout(self.args.timeout) {
            Some(answer) => self.take_settled(answer),
            None => return Err(self.late()),
        }
        Ok(())
    }

    fn settle_all(&mut self) -> Result<(), CommandFailure> {
        while !self.under_way.is_empty() {
            self.settle_first()?;
        }
        Ok(())
    }

    /// The oldest message is stored, or refused.
    fn take_settled(&mut self, answer: Result<Stored, RequestError>) {
        let Some((room, ticket)) = self.under_way.pop_front() else { return };
        match answer {
            Ok(stored) => drop(self.stored.insert(room, stored.seq)),
            Err(error) => {
                self.fail(&format!("{room}: "), &error);
                if self.refused.len() < REFUSED_MAX {
                    self.refused.push_back((room, ticket));
                }
            }
        }
    }

    /// No answer came in time.
    fn late(&self) -> CommandFailure {
        let mut failure = match self.client.state() {
            State::Online { .. } => {
                let seconds = self.args.timeout.as_secs_f64();
                let message = format!("the server has not answered within {seconds} s");
                CommandFailure::with(Exit::Timeout, message)
            }
            state => self.args.not_online(self.client, &state),
        };
        failure.message += &format!("; {} not stored", self.under_way.len());
        failure
    }

    // --- Commands ---

    /// Does what a line says; whether another one is read.
    fn obey(&mut self, line: &str) -> Result<bool, CommandFailure> {
        let command = match read_line(line) {
            Ok(TypedLine::Message(text)) => {
                self.send(&text, None)?;
                return Ok(true);
            }
            Ok(TypedLine::Command(command)) => command,
            Err(told) => {
                self.say(&told, Exit::Failure);
                return Ok(true);
            }
        };
        self.settle_all()?;
        let room = self.current.clone();
        match (command, room) {
            (SlashCommand::Quit, _) => return Ok(false),
            (SlashCommand::Help, _) => self.print_all(&help_lines())?,
            (SlashCommand::Room(room), _) => self.ask(ChatTask::Join(room))?,
            (SlashCommand::Rooms, _) => self.ask(ChatTask::Rooms { is_asked: true })?,
            (SlashCommand::Why, _) => self.ask(ChatTask::Why)?,
            (SlashCommand::Direct { user, text }, _) => {
                self.ask(ChatTask::Direct { user, text })?
            }
            (SlashCommand::Drop, _) => self.refused.clear(),
            (SlashCommand::Retry, _) => {
                for (room, ticket) in std::mem::take(&mut self.refused) {
                    ticket.retry();
                    self.under_way.push_back((room, ticket));
                }
            }
            (command, Some(room)) => self.obey_in(room, command)?,
            (_, None) => self.say("you are in no room: /join NAME enters one", Exit::Failure),
        }
        Ok(true)
    }

    fn obey_in(&mut self, room: RoomId, command: SlashCommand) -> Result<(), CommandFailure> {
        match command {
            SlashCommand::Leave => self.ask(ChatTask::Leave(room)),
            SlashCommand::Who => self.ask(ChatTask::Members { room, is_asked: true }),
            SlashCommand::Reply { to, text } => match self.find(&room, to) {
                Some(seq) => self.send(&text, Some(seq)),
                None => Ok(()),
            },
            SlashCommand::Edit { target, text } => match self.find(&room, target) {
                Some(seq) => self.ask(ChatTask::Edit { room, seq, text }),
                None => Ok(()),
            },
            SlashCommand::Delete(target) => match self.find(&room, target) {
                Some(seq) => self.ask(ChatTask::Delete { room, seq }),
                None => Ok(()),
            },
            SlashCommand::React { target, emoji } => match self.find(&room, target) {
                Some(seq) => {
                    let on = !self.has_reaction(&room, seq, &emoji);
                    self.ask(ChatTask::React { room, seq, emoji, on })
                }
                None => Ok(()),
            },
            SlashCommand::History(None) => self.ask(ChatTask::Page { room, part: Part::Newest }),
            SlashCommand::History(Some(seq)) => {
                let part = Part::Before(seq.saturating_add(1));
                self.ask(ChatTask::Page { room, part })
            }
            // They are for all rooms.
            SlashCommand::Help
            | SlashCommand::Rooms
            | SlashCommand::Room(_)
            | SlashCommand::Direct { .. }
            | SlashCommand::Why
            | SlashCommand::Retry
            | SlashCommand::Drop
            | SlashCommand::Quit => Ok(()),
        }
    }

    /// Asks something, and prints the answer.
    fn ask(&mut self, task: ChatTask) -> Result<(), CommandFailure> {
        let Some(answering) = perform(self.client, task) else { return Ok(()) };
        let mut lines = Vec::new();
        match wait_for(answering) {
            ChatAnswer::Joined { room, answer: Ok(()) } => self.current = Some(room),
            ChatAnswer::Joined { room, answer: Err(error) } => {
                self.fail(&format!("{room}: "), &error);
            }
            ChatAnswer::Left { answer: Ok(()), .. } => self.current = None,
            ChatAnswer::Page { answer: Ok(page), .. } => {
                lines.extend(page.entries.iter().map(entry_line));
            }
            ChatAnswer::Members { answer: Ok(page), .. } => {
                lines.extend(page.members.iter().map(|member| {
                    let here = match member.is_online {
                        Some(true) => " online",
                        Some(false) => " away",
                        None => "",
                    };
                    let owner = if member.is_owner { " owner" } else { "" };
                    format!("{}{here}{owner} read to {}", member.user, member.read)
                }));
            }
            ChatAnswer::Rooms { answer: Ok(rooms), .. } => {
                for room in self.client.rooms() {
                    if let Some(view) =
                        room.view().filter(|view| view.membership.name() == "member")
                    {
                        lines.push(format!("{} {} unread", room.name(), view.unread));
                    }
                }
                lines.extend(rooms.open.iter().map(|room| {
                    format!("{} open {} members {}", room.name, room.members, shown(&room.title))
                }));
                let invite = |(room, by): &(RoomId, UserId)| format!("{room} invited by {by}");
                lines.extend(rooms.invites.iter().map(invite));
            }
            ChatAnswer::Why(steps) => {
                lines.extend(steps.iter().map(|step| why_line(step, &rfc3339(step.at))));
            }
            ChatAnswer::Changed(Err(error))
            | ChatAnswer::Direct(Err(error))
            | ChatAnswer::Left { answer: Err(error), .. }
            | ChatAnswer::Page { answer: Err(error), .. }
            | ChatAnswer::Members { answer: Err(error), .. }
            | ChatAnswer::Rooms { answer: Err(error), .. } => self.fail("", &error),
            ChatAnswer::Changed(Ok(()))
            | ChatAnswer::Direct(Ok(_))
            | ChatAnswer::Settled { .. } => {}
        }
        self.print_all(&lines)
    }

    /// The number of the message that a command is about.
    fn find(&mut self, room: &RoomId, target: MessageTarget) -> Option<u64> {
        if let MessageTarget::Seq(seq) = target {
            return Some(seq);
        }
        let page = self.newest(room, Part::Newest)?;
        let me = self.me.as_ref();
        let found = page.entries.iter().rev().find(|entry| match &entry.kind {
            EntryKind::Message { from, changes, .. } => {
                let is_deleted = changes.as_ref().is_some_and(|changes| changes.deleted.is_some());
                (Some(from) == me) == (target == MessageTarget::LastOwn) && !is_deleted
            }
            _ => false,
        });
        if found.is_none() {
            self.say(&format!("{room}: no such message is among the newest"), Exit::Failure);
        }
        found.map(|entry| entry.seq)
    }

    fn has_reaction(&mut self, room: &RoomId, seq: u64, emoji: &str) -> bool {
        let Some(page) = self.newest(room, Part::Before(seq.saturating_add(1))) else {
            return false;
        };
        let has = |entry: &Entry| match &entry.kind {
            EntryKind::Message { changes: Some(changes), .. } if entry.seq == seq => {
                let mut reactions = changes.reactions.iter();
                reactions.any(|(one, users)| {
                    &**one == emoji && users.iter().any(|user| Some(user) == self.me.as_ref())
                })
            }
            _ => false,
        };
        page.entries.iter().any(has)
    }

    fn newest(&mut self, room: &RoomId, part: Part) -> Option<HistoryPage> {
        let answer = self.client.room(room.as_str()).history(part, NEWEST).wait();
        answer.map_err(|error| self.fail(&format!("{room}: "), &error)).ok()
    }
}
