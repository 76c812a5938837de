//! What the chat says of itself: the connection, who types, what is new.

use super::model::{ChatModel, ChatRoom, room_name};
use crate::base::{Timestamp, UserId};
use crate::cli::shown;
use crate::client::{Membership, State};

impl ChatModel {
    /// What the client does about its connection.
    pub(super) fn connection_words(&self, now: Timestamp) -> String {
        match &self.state {
            State::Online { .. } => match self.quality {
                Some(quality) => {
                    format!("online, {} ({} ms)", quality.level.as_str(), quality.rtt_ms)
                }
                None => "online".to_owned(),
            },
            State::Authenticating => "signing in …".to_owned(),
            State::Waiting { until, reason, .. } => {
                let wait_ms = until.0.saturating_sub(now.0).max(0);
                let seconds = wait_ms.saturating_add(999) / 1_000;
                format!("not connected, again in {seconds} s: {}", in_short(reason))
            }
            State::Paused { reason } => format!("paused: {}; /retry connects", shown(reason)),
            State::Closed => "closed".to_owned(),
            State::Failed { reason, .. } => {
                format!("refused: {}; /retry asks again", shown(reason))
            }
            _ => "connecting …".to_owned(),
        }
    }

    /// What waits to be sent; empty if nothing does.
    pub(super) fn unsent_words(&self) -> String {
        let (waiting, refused) = self.unsent();
        let mut words = String::new();
        if waiting > 0 {
            words += &format!("{waiting} unsent, ");
        }
        if refused > 0 {
            words += &format!("{refused} refused, ");
        }
        words
    }

    /// Who types in the room, or what is new below the screen.
    pub(super) fn talk_words(&self) -> String {
        let Some(room) = self.room() else { return String::new() };
        if room.place.is_some() {
            return match room.view.unread {
                0 => "older messages; Esc: the newest".to_owned(),
                unread => format!("{unread} new below; Esc: the newest"),
            };
        }
        let typists: Vec<&str> = room.view.typists.iter().map(UserId::as_str).collect();
        match typists[..] {
            [] => String::new(),
            [one] => format!("{one} types …"),
            [one, other] => format!("{one} and {other} type …"),
            [one, other, third] => format!("{one}, {other} and {third} type …"),
            _ => format!("{} people type …", typists.len()),
        }
    }

    /// The room that is shown, and who is here.
    pub(super) fn header_words(&self) -> (String, String) {
        let Some((name, room)) = self.current.as_ref().zip(self.room()) else {
            return ("parlor".to_owned(), self.url.clone());
        };
        let mut title = room_name(name, self.me.as_ref());
        if !room.view.title.is_empty() {
            title += &format!(" — {}", shown(&room.view.title));
        }
        let here = self.people_here();
        let people = match (&room.members, &self.people) {
            // What was known is of the connection before.
            _ if !self.state.is_online() => String::new(),
            (Some(members), Some(people)) if !people.is_counted => {
                let names: Vec<&str> = here.iter().map(|user| user.as_str()).collect();
                format!("{} of {} online: {}", names.len(), members.len(), names.join(" "))
            }
            (Some(members), _) => members_words(members.len() as u64),
            (None, Some(people)) => format!("{} online", people.count),
            (None, None) => String::new(),
        };
        (title, people)
    }

    /// How much is unread in other rooms: messages, and rooms.
    pub(super) fn unread_elsewhere(&self) -> (u64, usize) {
        let others = self.my_rooms().filter(|(name, _)| Some(*name) != self.current.as_ref());
        let unread = others.map(|(_, room)| room.view.unread).filter(|unread| *unread > 0);
        unread.fold((0, 0), |(messages, rooms), unread| (messages + unread, rooms + 1))
    }

    /// What is to be read where there is no message.
    pub(super) fn empty_words(&self) -> Vec<String> {
        let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
        match self.room() {
            Some(room) => self.empty_room_words(room),
            None if !self.has_begun => match &self.state {
                State::Waiting { reason, .. } => vec![
                    format!("{}: {}", self.url, in_short(reason)),
                    String::new(),
                    "The chat begins when the server is there. `parlor serve` starts one at this \
                     machine; /why tells what was tried, /quit ends."
                        .to_owned(),
                ],
                _ => lines(&["Connecting …"]),
            },
            None => {
                let mut words: Vec<String> = lines(&[
                    "Welcome! You are in no room yet.",
                    "",
                    "/join NAME   enters a room; a new name makes one",
                    "/dm USER TEXT   writes to one person",
                    "/help   lists all commands and keys",
                ]);
                let Some(listed) = &self.listed else { return words };
                for (room, by) in &listed.invites {
                    words.extend([String::new(), format!("{by} invites you: /join {room}")]);
                }
                if !listed.open.is_empty() {
                    words.extend([String::new(), "Rooms that you may join:".to_owned()]);
                }
                words.extend(listed.open.iter().map(|room| {
                    let title = shown(&room.title);
                    format!("  {}  {}  {title}", room.name, members_words(room.members))
                }));
                words
            }
        }
    }

    fn empty_room_words(&self, room: &ChatRoom) -> Vec<String> {
        let has_messages = room.log.last_message(|_| true).is_some();
        if has_messages || !room.unsent.is_empty() || room.log.has_older {
            return Vec::new();
        }
        let word = match &room.view.membership {
            Membership::Member if room.log.is_loaded => {
                "Nobody has written here yet: type a message, and press Enter."
            }
            Membership::Refused(_) | Membership::Left => "You are not in this room.",
            _ if self.state.is_online() => "Loading …",
            _ => "What was written here is shown once there is a connection.",
        };
        vec![word.to_owned()]
    }
}

pub(super) fn members_words(count: u64) -> String {
    if count == 1 { "1 member".to_owned() } else { format!("{count} members") }
}

/// Why there is no connection, for a place that has said so.
fn in_short(reason: &str) -> String {
    shown(reason.strip_prefix("it cannot be reached: ").unwrap_or(reason))
}
