//! The command `parlor chat`.

use super::super::link::{ClientArgs, DEFAULT_URL};
use super::{lines, live};
use crate::base::RoomId;
use crate::cli::CommandFailure;
use clap::Args;
use std::io::IsTerminal;

/// Options of `parlor chat`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  parlor chat --user ada                             at this machine's server; /help lists what can be typed
  parlor chat --user ada tea                         in a room; a new name makes an open room
  parlor chat --token-file token wss://chat.example/ws tea
  uptime | parlor chat --user bot logs               each line is a message, or a /command

Without a terminal at its input and output it prints what comes as `parlor listen` does, takes lines of standard input, and \
ends with the last when all are on the server's disk: with 0, or with 1 if something was refused, 2 if the command line is \
wrong, 3 if the server cannot be reached, 4 if it refuses the token, 6 if it does not answer in time.")]
pub(in crate::cli) struct ChatArgs {
    /// The server's address, as of --url; what has no :// is a room
    #[arg(value_name = "URL")]
    place: Option<String>,

    /// The room to begin in; it is joined, and a name that nobody uses becomes an open room of yours
    #[arg(value_name = "ROOM", value_parser = RoomId::parse)]
    room: Option<RoomId>,

    #[command(flatten)]
    client: ClientArgs,
}

pub(in crate::cli) fn run(args: ChatArgs) -> Result<(), CommandFailure> {
    let (client, room) = args.understand()?;
    let is_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if is_terminal { live::run(&client, room) } else { lines::run(&client, room) }
}

impl ChatArgs {
    /// Where to, and in which room.
    fn understand(self) -> Result<(ClientArgs, Option<RoomId>), CommandFailure> {
        let ChatArgs { place, room, mut client } = self;
        match (place, room) {
            (None, room) => Ok((client, room)),
            (Some(url), room) if url.contains("://") => {
                if client.url != DEFAULT_URL && client.url != url {
                    let message = format!("two servers: --url {} and {url}", client.url);
                    return Err(CommandFailure::usage(message));
                }
                client.url = url;
                Ok((client, room))
            }
            (Some(name), None) => {
                let room = RoomId::parse(name.trim_start_matches('#'));
                let wrong = |error| CommandFailure::usage(format!("{name:?} is no room: {error}"));
                Ok((client, Some(room.map_err(wrong)?)))
            }
            (Some(name), Some(room)) => Err(CommandFailure::usage(format!(
                "{name:?} is no URL: parlor chat [URL] [ROOM], and here the room is {room}"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use crate::cli::CliCommand;
    use clap::Parser;

    fn understood(line: &str) -> Result<(String, Option<String>), String> {
        let cli = Cli::try_parse_from(line.split(' ')).map_err(|error| error.to_string())?;
        let Some(CliCommand::Chat(args)) = cli.command else { panic!("{line}") };
        let (client, room) = args.understand().map_err(|failure| failure.message)?;
        Ok((client.url, room.map(|room| room.to_string())))
    }

    #[test]
    fn a_sole_argument_is_a_server_or_a_room() {
        let url = "wss://chat.example/ws";
        for (line, place, room) in [
            ("parlor chat", DEFAULT_URL, None),
            ("parlor chat tea", DEFAULT_URL, Some("tea")),
            ("parlor chat #tea", DEFAULT_URL, Some("tea")),
            ("parlor chat wss://chat.example/ws", url, None),
            ("parlor chat wss://chat.example/ws tea", url, Some("tea")),
            ("parlor chat --url wss://chat.example/ws tea", url, Some("tea")),
        ] {
            assert_eq!(understood(line), Ok((place.to_owned(), room.map(str::to_owned))), "{line}");
        }
        for (line, told) in [
            ("parlor chat a/b", "\"a/b\" is no room"),
            ("parlor chat tea attic", "\"tea\" is no URL"),
            ("parlor chat --url ws://x/ wss://y/", "two servers"),
        ] {
            let wrong = understood(line).unwrap_err();
            assert!(wrong.contains(told), "{wrong}");
        }
    }
}
