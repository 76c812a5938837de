//! `parlor listen`.

use super::link::{ClientArgs, parse_seconds, refused};
use super::text::{entry_line, remark};
use crate::base::{Entry, RoomId, StreamId, UserId};
use crate::cli::{CommandFailure, Exit, print_while_read, shown};
use crate::client::{
    Client, ClientEvent, Presences, Room, State, StreamData, StreamUpdate, WatchOptions,
};
use crate::reactor::Clock;
use crate::wire::entry::entry as to_push;
use crate::wire::json::object;
use crate::wire::told::ToldObject;
use clap::Args;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// Options of `parlor listen`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  parlor listen --user ada                           all of your rooms
  parlor listen --user ada --since 0 --count 20 tea  the first twenty entries of a room
  parlor listen --token-file token --stream prices --json

It goes on through restarts of the server, without a hole, until it is interrupted, or as --count and --for say. It ends \
with 1 if it may not listen there, 2 if the command line is wrong, 3 if the server cannot be reached, 4 if it refuses the \
token, 6 if --count entries have not come within --for.")]
pub(in crate::cli) struct ListenArgs {
    /// The rooms [default: all of yours, unless there is a --stream or --presence]
    #[arg(value_parser = RoomId::parse)]
    rooms: Vec<RoomId>,

    /// A stream to watch (may be repeated)
    #[arg(long, value_name = "NAME", value_parser = StreamId::parse)]
    stream: Vec<StreamId>,

    /// Which events of the streams: JSON, as docs/streams.md has it
    #[arg(long, value_name = "JSON", requires = "stream")]
    filter: Option<String>,

    /// Most events a second of each stream
    #[arg(long, value_name = "NUMBER", requires = "stream")]
    max_rate: Option<u32>,

    /// Who is online, whenever that changes
    #[arg(long)]
    presence: bool,

    /// Begin each named room behind this entry; 0 for its beginning
    #[arg(long, value_name = "SEQ", requires = "rooms")]
    since: Option<u64>,

    /// End after so many entries and events
    #[arg(long, short = 'C', value_name = "NUMBER")]
    count: Option<u64>,

    /// End after so many seconds
    #[arg(long = "for", short = 'W', value_name = "SECONDS", value_parser = parse_seconds)]
    seconds: Option<Duration>,

    /// Join the rooms first
    #[arg(long, requires = "rooms")]
    join: bool,

    /// Print JSON, a line for each message, as the protocol has them
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    client: ClientArgs,
}

pub(in crate::cli) fn run(args: ListenArgs) -> Result<(), CommandFailure> {
    let client = args.client.start(None)?;
    let rooms: Vec<Room> = args.rooms.iter().map(|name| client.room(name.as_str())).collect();
    if let Some(seq) = args.since {
        // Before anything comes of them, which would be told again.
        rooms.iter().for_each(|room| room.go_on_from(seq));
    }
    args.client.wait(&client)?;
    for room in &rooms {
        let answer = match args.join {
            true => room.join().wait(),
            false => client.request("room:info", &object(|w| w.text("room", room.name()))).wait(),
        };
        let answer = answer.map_err(|error| refused(&format!("{}: ", room.name()), &error))?;
        // Others may look at an open room, and are told nothing of it. A member has a place up to which it has read.
        if ToldObject::parse(&answer).is_none_or(|told| told.number("read").is_none()) {
            let message =
                format!("{}: you are not a member of this room; --join joins it", room.name());
            return Err(CommandFailure::new(message));
        }
    }
    for name in &args.stream {
        let options = WatchOptions {
            filter: args.filter.as_deref().map(Into::into),
            max_rate: args.max_rate,
        };
        client
            .stream(name.as_str(), options)
            .map_err(|error| CommandFailure::usage(format!("--filter: {error}")))?;
    }
    if args.presence {
        client.watch_presence();
    }
    args.follow(&client)
}

impl ListenArgs {
    fn follow(&self, client: &Client) -> Result<(), CommandFailure> {
        let clock = Clock::start();
        let takes_all = self.rooms.is_empty() && self.stream.is_empty() && !self.presence;
        let is_its = |entry: &Entry| takes_all || self.rooms.contains(&entry.room);
        let mut left = self.count.unwrap_or(u64::MAX);
        let mut people = None;
        while left > 0 {
            let wait = self.seconds.map(|seconds| seconds.saturating_sub(clock.elapsed()));
            let event = match wait {
                None => client.events().recv().ok_or(RecvTimeoutError::Disconnected),
                Some(wait) => client.events().recv_timeout(wait),
            };
            let event = match event {
                Ok(event) => event,
                Err(RecvTimeoutError::Timeout) if self.count.is_none() => return Ok(()),
                Err(RecvTimeoutError::Timeout) => {
                    let message =
                        format!("{left} of {} have not come", self.count.unwrap_or_default());
                    return Err(CommandFailure::with(Exit::Timeout, message));
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            };
            let line = match &event {
                ClientEvent::Entry(entry) if is_its(entry) => Some(self.entry(entry)),
                ClientEvent::Stream(update) => Some(self.update(update)),
                ClientEvent::Presence(people) if self.presence => Some(self.people(people)),
                ClientEvent::StreamRefused { stream, error } => {
                    return Err(refused(&format!("{stream}: "), error));
                }
                ClientEvent::State(state @ State::Failed { .. }) => {
                    return Err(self.client.not_online(client, state));
                }
                other => {
                    if let Some(remark) = remark(other) {
                        eprintln!("parlor: {remark}");
                    }
                    None
                }
            };
            if let Some(line) = line {
                // Who is online is told again with each connection.
                let is_new =
                    !matches!(event, ClientEvent::Presence(_)) || people.as_ref() != Some(&line);
                if is_new && !print_while_read(&format!("{line}\n"))? {
                    return Ok(());
                }
                left -= u64::from(is_new);
                if matches!(event, ClientEvent::Presence(_)) {
                    people = Some(line);
                }
            }
        }
        Ok(())
    }

    fn entry(&self, entry: &Entry) -> String {
        if self.json {
            return one_line(&to_push(entry, true));
        }
        entry_line(entry)
    }

    fn update(&self, update: &StreamUpdate) -> String {
        if self.json {
            return one_line(&object(|w| {
                w.text("type", "event");
                w.object_in("payload", |w| {
                    w.text("stream", update.stream.as_str());
                    w.number("seq", update.seq);
                    match &update.data {
                        StreamData::Json(json) => w.raw("data", json),
                        StreamData::Bytes(bytes) => w.number("bytes", bytes.len() as u64),
                    }
                    if let Some(ts) = update.ts {
                        w.number("ts", ts.0);
                    }
                    if update.is_skipped {
                        w.flag("skipped", true);
                    }
                });
            }));
        }
        let data = match &update.data {
            StreamData::Json(json) => shown(json),
            StreamData::Bytes(bytes) => format!("{} bytes", bytes.len()),
        };
        let skipped = if update.is_skipped { " (some were skipped)" } else { "" };
        format!("{} {}{skipped} {data}", update.stream, update.seq)
    }

    fn people(&self, people: &Presences) -> String {
        if self.json {
            return object(|w| {
                w.text("type", "presence");
                w.object_in("payload", |w| {
                    w.array("users", people.users.keys(), |w, user| w.item(user.as_str()));
                    w.number("count", people.count);
                });
            });
        }
        let names: Vec<&str> = people.users.keys().map(UserId::as_str).collect();
        format!("{} online: {}", people.count, names.join(" "))
    }
}

/// JSON on one line: what others have sent may have line breaks between its tokens, where they are spaces (RFC 8259 §2).
fn one_line(json: &str) -> String {
    json.replace(['\n', '\r'], " ")
}
