//! `parlor send`.

use super::link::{ClientArgs, refused};
use crate::base::limits::JSON_DEPTH_MAX;
use crate::base::{RoomId, UserId};
use crate::cli::{CommandFailure, Exit, print_out, shown};
use crate::client::{Client, FileOutbox, NewMessage, Room, State, Ticket};
use crate::reactor::Clock;
use crate::wire::json::{object, whole};
use clap::Args;
use std::io::BufRead;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// So many messages are on their way before another line is read.
const UNDER_WAY_MAX: usize = 1_000;

/// Options of `parlor send`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  parlor send --user ada --join tea 'Good evening'
  tail -F log | parlor send --token-file token logs
  parlor send --user ada --outbox ~/outbox tea 'The cellar is wet'
  tail -F log | parlor send --user bot --token-file token --outbox ~/outbox logs

It ends when the messages are on the server's disk: with 0, or with 1 if one was refused, 2 if the command line is \
wrong, 3 if the server cannot be reached, 4 if it refuses the token, 6 if it does not answer in time.")]
pub(in crate::cli) struct SendArgs {
    /// The room
    #[arg(value_parser = RoomId::parse)]
    room: RoomId,

    /// The message; without it each line of standard input is one
    text: Option<String>,

    /// JSON that goes with the message
    #[arg(long, value_name = "JSON", requires = "text")]
    data: Option<String>,

    /// The number of the entry to which it replies
    #[arg(long, value_name = "SEQ", requires = "text")]
    reply_to: Option<u64>,

    /// An id for it: a message that was sent with the same is not stored again
    #[arg(long, value_name = "ID", requires = "text")]
    cid: Option<String>,

    /// Join the room first; a name that nobody uses becomes an open room of yours
    #[arg(long)]
    join: bool,

    /// Most lines of standard input a second
    #[arg(long, value_name = "NUMBER", conflicts_with = "text")]
    rate: Option<f64>,

    /// A folder in which messages of --user are kept until they are on the server's disk. What an earlier run has left
    /// is sent first
    #[arg(long, value_name = "DIR", requires = "user")]
    outbox: Option<PathBuf>,

    /// Print JSON, a line for each message
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    client: ClientArgs,
}

/// A message on its way.
struct Sent {
    ticket: Ticket,
    begun: Duration,
}

pub(in crate::cli) fn run(args: SendArgs) -> Result<(), CommandFailure> {
    if args.rate.is_some_and(|rate| !(rate > 0.0 && rate.is_finite())) {
        return Err(CommandFailure::usage("--rate is more than 0"));
    }
    if args.data.as_deref().is_some_and(|data| whole(data, JSON_DEPTH_MAX).is_err()) {
        return Err(CommandFailure::usage("--data is no JSON"));
    }
    let outbox = args.outbox.as_ref().map(FileOutbox::open).transpose();
    let outbox = outbox.map_err(|error| CommandFailure::new(format!("--outbox: {error}")))?;
    if let Some(beside) = outbox.as_ref().and_then(FileOutbox::unreadable) {
        eprintln!("parlor: lines of the outbox cannot be read: they are in {}", beside.display());
    }
    let client = args.client.start(outbox)?;
    let room = client.room(args.room.as_str());
    // Without an outbox nothing is read that could not be sent.
    if args.outbox.is_none() {
        args.client.wait(&client)?;
    }
    let joining = args.join.then(|| room.join());
    let clock = Clock::start();
    let (under_way, sent) = sync_channel(UNDER_WAY_MAX);
    let mut is_read = Ok(());
    match &args.text {
        Some(text) => {
            let mut message = room.message(text);
            if let Some(data) = &args.data {
                message = message.data(data);
            }
            if let Some(seq) = args.reply_to {
                message = message.reply_to(seq);
            }
            if let Some(cid) = &args.cid {
                message = message.id(cid);
            }
            let ticket = of_user(message, args.client.user.as_ref()).send();
            let sent = Sent { ticket, begun: clock.elapsed() };
            // It has room for the only one.
            let _ = under_way.send(sent);
            drop(under_way);
        }
        None => {
            let (room, user, rate) = (room.clone(), args.client.user.clone(), args.rate);
            let reads = move || read_lines(&room, user.as_ref(), rate, clock, &under_way);
            let reader = std::thread::Builder::new().name("parlor-lines".to_owned()).spawn(reads);
            let reader = reader.map_err(CommandFailure::new)?;
            let outcome = args.settle(&client, &sent, clock);
            // If something went wrong it may wait for a line for ever: it ends with the process.
            outcome?;
            is_read = reader.join().unwrap_or(Ok(()));
        }
    }
    if args.text.is_some() {
        args.settle(&client, &sent, clock)?;
    }
    if let Some(joining) = joining {
        joining.wait().map_err(|error| refused(&format!("{}: ", args.room), &error))?;
    }
    args.finish(&client, &sent)?;
    is_read.map_err(|error| CommandFailure::new(format!("standard input: {error}")))
}

/// A token of somebody else must not send what is of --user.
fn of_user(message: NewMessage, user: Option<&UserId>) -> NewMessage {
    match user {
        Some(user) => message.of(user.clone()),
        None => message,
    }
}

/// Sends each line; ends with the last, or when nobody waits for more.
fn read_lines(
    room: &Room,
    user: Option<&UserId>,
    rate: Option<f64>,
    clock: Clock,
    under_way: &SyncSender<Sent>,
) -> std::io::Result<()> {
    let mut next = clock.elapsed();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if let Some(rate) = rate {
            std::thread::sleep(next.saturating_sub(clock.elapsed()));
            next += Duration::from_secs_f64(1.0 / rate);
        }
        let begun = clock.elapsed();
        let sent = Sent { ticket: of_user(room.message(&line), user).send(), begun };
        if under_way.send(sent).is_err() {
            break;
        }
    }
    Ok(())
}

impl SendArgs {
    /// Waits for each message, and says what became of it.
    fn settle(
        &self,
        client: &Client,
        sent: &Receiver<Sent>,
        clock: Clock,
    ) -> Result<(), CommandFailure> {
        let mut refusal = None;
        while let Ok(Sent { ticket, begun }) = sent.recv() {
            match ticket.wait_timeout(self.client.timeout) {
                Some(Ok(stored)) => {
                    let took_ms = clock.elapsed().saturating_sub(begun).as_millis();
                    let line = if self.json {
                        object(|w| {
                            w.text("room", self.room.as_str());
                            w.number("seq", stored.seq);
                            w.number("ts", stored.ts.0);
                            w.text("cid", ticket.id());
                            w.number("ms", u64::try_from(took_ms).unwrap_or(u64::MAX));
                        })
                    } else {
                        format!("{} {} in {took_ms} ms", self.room, stored.seq)
                    };
                    print_out(&format!("{line}\n"))?;
                }
                Some(Err(error)) => {
                    if self.json {
                        let line = object(|w| {
                            w.text("room", self.room.as_str());
                            w.text("cid", ticket.id());
                            w.object_in("error", |w| {
                                w.text("code", &error.code);
                                w.text("message", &error.message);
                            });
                        });
                        print_out(&format!("{line}\n"))?;
                    }
                    // The others may fare better.
                    let failure = refused(&format!("{}: ", self.room), &error);
                    if let Some(before) = refusal.replace(failure) {
                        eprintln!("parlor: {}", before.message);
                    }
                }
                None => return Err(self.late(client, sent)),
            }
        }
        refusal.map_or(Ok(()), Err)
    }

    /// Waits for what an earlier run has left, too.
    fn finish(&self, client: &Client, sent: &Receiver<Sent>) -> Result<(), CommandFailure> {
        let is_wanted = |client: &Client| client.unsent().iter().any(|kept| kept.failed.is_none());
        if is_wanted(client) {
            let clock = Clock::start();
            while is_wanted(client) && clock.elapsed() < self.client.timeout {
                std::thread::sleep(Duration::from_millis(10));
            }
            if is_wanted(client) {
                return Err(self.late(client, sent));
            }
        }
        self.client.is_right_user(client)?;
        for kept in client.unsent() {
            let (code, text) = (kept.failed.as_deref().unwrap_or_default(), shown(&kept.text));
            let code = shown(code);
            eprintln!(
                "parlor: {}: refused before, and still in the outbox: {code}: {text}",
                kept.room
            );
        }
        Ok(())
    }

    /// Nothing came in time. Says what becomes of the messages that are on their way.
    fn late(&self, client: &Client, sent: &Receiver<Sent>) -> CommandFailure {
        let wrong_user = self.client.is_right_user(client).err();
        let is_right_user = wrong_user.is_none();
        let mut failure = wrong_user.unwrap_or_else(|| match client.state() {
            State::Online { .. } => {
                let seconds = self.client.timeout.as_secs_f64();
                let message = format!("the server has not answered within {seconds} s");
                CommandFailure::with(Exit::Timeout, message)
            }
            state => self.client.not_online(client, &state),
        });
        if let Some(folder) = &self.outbox {
            let kept = match client.unsent().len() {
                // The client tells of those of whoever is here.
                _ if !is_right_user => "the messages of --user are".to_owned(),
                1 => "1 message is".to_owned(),
                count => format!("{count} messages are"),
            };
            failure.message += &format!("; {kept} kept in {}", folder.display());
            let is_lost = |sent: &Sent| {
                let answer = sent.ticket.try_wait();
                answer.is_some_and(|answer| {
                    answer.is_err_and(|error| &*error.code == "outbox_failed")
                })
            };
            match sent.try_iter().filter(is_lost).count() {
                0 => {}
                count => failure.message += &format!("; {count} could not be kept, and are lost"),
            }
        }
        failure
    }
}
