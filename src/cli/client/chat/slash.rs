//! What is typed: a message, or a command that begins with a slash.

use crate::base::{RoomId, UserId};

/// A line that was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TypedLine {
    Message(String),
    Command(SlashCommand),
}

/// A command that begins with a slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SlashCommand {
    Help,
    Rooms,
    Room(RoomId),
    Leave,
    Who,
    Direct { user: UserId, text: String },
    Reply { to: MessageTarget, text: String },
    Edit { target: MessageTarget, text: String },
    Delete(MessageTarget),
    React { target: MessageTarget, emoji: String },
    History(Option<u64>),
    Why,
    Retry,
    Drop,
    Quit,
}

/// The message that a command is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageTarget {
    Seq(u64),
    LastOfOthers,
    LastOwn,
}

/// The commands: their names, what follows them, and what they do.
pub(super) const COMMANDS: &[(&[&str], &str, &str)] = &[
    (&["room", "join"], "NAME", "enter a room; a new name makes an open room of yours"),
    (&["leave"], "", "leave this room for good"),
    (&["rooms"], "", "your rooms, and those that you may join"),
    (&["who"], "", "who is in this room"),
    (&["dm"], "USER TEXT", "write to one person"),
    (&["reply"], "N TEXT", "reply to message N"),
    (&["r"], "TEXT", "reply to the last message of others"),
    (&["edit"], "N TEXT", "change your message N"),
    (&["e"], "TEXT", "change your last message"),
    (&["delete"], "[N]", "delete message N, or your last one; an owner any"),
    (&["react"], "[N] EMOJI", "react to N, or the last of others; again takes it back"),
    (&["history"], "[N]", "older messages, or those around N"),
    (&["why"], "", "what the connection has been doing"),
    (&["retry", "drop"], "", "send what was refused again, and connect; or forget it"),
    (&["quit"], "", "end; /help shows this"),
];

/// Every name that a command has.
pub(super) fn command_names() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().flat_map(|(names, ..)| names.iter().copied()).chain(["help"])
}

/// Reads a line; or says what is wrong with it.
pub(super) fn read_line(line: &str) -> Result<TypedLine, String> {
    let Some(command) = line.strip_prefix('/') else {
        return Ok(TypedLine::Message(line.to_owned()));
    };
    if command.starts_with('/') {
        return Ok(TypedLine::Message(command.to_owned()));
    }
    read_command(command).map(TypedLine::Command)
}

fn read_command(command: &str) -> Result<SlashCommand, String> {
    let (name, rest) = split_word(command);
    let usage = || {
        let row = COMMANDS.iter().find(|(names, ..)| names.contains(&name));
        let arguments = row.map_or("", |(_, arguments, _)| arguments);
        format!("it is: /{name} {arguments}")
    };
    let text = |text: &str| match text {
        "" => Err(usage()),
        text => Ok(text.to_owned()),
    };
    let numbered = || {
        let (seq, rest) = split_word(rest);
        let seq = seq.parse().map(MessageTarget::Seq).map_err(|_| usage())?;
        Ok::<_, String>((seq, rest))
    };
    Ok(match name {
        "help" | "?" => SlashCommand::Help,
        "rooms" => SlashCommand::Rooms,
        "room" | "join" => SlashCommand::Room(read_room(rest).ok_or_else(usage)?),
        "leave" => SlashCommand::Leave,
        "who" => SlashCommand::Who,
        "dm" | "msg" => {
            let (user, rest) = split_word(rest);
            let user = UserId::parse(user.trim_start_matches('@')).map_err(|_| usage())?;
            SlashCommand::Direct { user, text: text(rest)? }
        }
        "reply" => {
            let (to, rest) = numbered()?;
            SlashCommand::Reply { to, text: text(rest)? }
        }
        "r" => SlashCommand::Reply { to: MessageTarget::LastOfOthers, text: text(rest)? },
        "edit" => {
            let (target, rest) = numbered()?;
            SlashCommand::Edit { target, text: text(rest)? }
        }
        "e" => SlashCommand::Edit { target: MessageTarget::LastOwn, text: text(rest)? },
        "delete" if rest.is_empty() => SlashCommand::Delete(MessageTarget::LastOwn),
        "delete" => SlashCommand::Delete(numbered()?.0),
        "react" => match numbered() {
            Ok((target, emoji)) if !emoji.is_empty() => {
                SlashCommand::React { target, emoji: emoji.to_owned() }
            }
            _ => SlashCommand::React { target: MessageTarget::LastOfOthers, emoji: text(rest)? },
        },
        "history" if rest.is_empty() => SlashCommand::History(None),
        "history" => SlashCommand::History(Some(rest.parse().map_err(|_| usage())?)),
        "why" => SlashCommand::Why,
        "retry" => SlashCommand::Retry,
        "drop" => SlashCommand::Drop,
        "quit" | "exit" => SlashCommand::Quit,
        _ => {
            return Err(format!(
                "there is no command /{name}: /help lists them; //{command} is a message"
            ));
        }
    })
}

/// A room as people write it, also `#tea`.
fn read_room(name: &str) -> Option<RoomId> {
    RoomId::parse(name.trim_start_matches('#')).ok()
}

fn split_word(text: &str) -> (&str, &str) {
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim()),
        None => (text, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_message_or_a_command() {
        let message = |text: &str| Ok(TypedLine::Message(text.to_owned()));
        let command = |command| Ok(TypedLine::Command(command));
        let (seven, text) = (MessageTarget::Seq(7), "a b".to_owned());
        for (line, read) in [
            ("hello /room", message("hello /room")),
            ("//etc/hosts", message("/etc/hosts")),
            ("", message("")),
            ("/room tea", command(SlashCommand::Room(RoomId::parse("tea").unwrap()))),
            ("/join  #tea ", command(SlashCommand::Room(RoomId::parse("tea").unwrap()))),
            ("/reply 7 a b", command(SlashCommand::Reply { to: seven, text: text.clone() })),
            ("/r a b", command(SlashCommand::Reply { to: MessageTarget::LastOfOthers, text })),
            ("/delete", command(SlashCommand::Delete(MessageTarget::LastOwn))),
            ("/delete 7", command(SlashCommand::Delete(seven))),
            ("/react 7 👍", command(SlashCommand::React { target: seven, emoji: "👍".into() })),
            (
                "/react 👍",
                command(SlashCommand::React {
                    target: MessageTarget::LastOfOthers,
                    emoji: "👍".into(),
                }),
            ),
            ("/history", command(SlashCommand::History(None))),
            ("/history 9", command(SlashCommand::History(Some(9)))),
        ] {
            assert_eq!(read_line(line), read, "{line}");
        }
    }

    #[test]
    fn what_is_no_command_is_told() {
        for (line, told) in [
            (
                "/nonsense x",
                "there is no command /nonsense: /help lists them; //nonsense x is a message",
            ),
            ("/room", "it is: /room NAME"),
            ("/room a b", "it is: /room NAME"),
            ("/reply hello", "it is: /reply N TEXT"),
            ("/reply 5", "it is: /reply N TEXT"),
            ("/delete x", "it is: /delete [N]"),
            ("/dm @bob", "it is: /dm USER TEXT"),
        ] {
            assert_eq!(read_line(line), Err(told.to_owned()), "{line}");
        }
    }

    #[test]
    fn each_command_of_the_table_is_read() {
        for name in command_names() {
            let read = read_command(name);
            assert!(!read.is_err_and(|told| told.starts_with("there is no")), "{name}");
        }
    }
}
