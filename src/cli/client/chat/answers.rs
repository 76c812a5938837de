//! What the chat makes of the answers to what it has asked.

use super::model::{ChatModel, Panel, room_name};
use super::slash::COMMANDS;
use super::task::{ChatAnswer, JoinableRooms};
use super::words::members_words;
use super::wrap::columns;
use crate::base::RoomId;
use crate::cli::shown;
use crate::client::{HistoryPage, MembersPage, Membership, Part, RequestError, Step};

/// The keys, beside the commands.
const KEYS: &[&str] = &[
    "Enter sends, Alt-Enter begins a line; //x is the message /x; Tab completes",
    "PageUp PageDown: older, newer; Esc: the newest; Up Down: what you typed before",
    "Alt-Up Alt-Down, Ctrl-P Ctrl-N: other rooms; Ctrl-L: draw anew; Ctrl-C: end",
    "Ctrl-A Ctrl-E: begin, end; Ctrl-W Ctrl-U Ctrl-K: delete word, before, behind",
];

impl ChatModel {
    pub(super) fn take_answer(&mut self, answer: ChatAnswer) {
        match answer {
            ChatAnswer::Settled { room, id, answer } => {
                let Some(room) = self.rooms.get_mut(&room) else { return };
                match answer {
                    // Its entry comes, or was here.
                    Ok(_) => room.unsent.retain(|unsent| unsent.id != id),
                    Err(error) => {
                        for unsent in room.unsent.iter_mut().filter(|unsent| unsent.id == id) {
                            unsent.refusal = Some(error.to_string());
                        }
                    }
                }
            }
            ChatAnswer::Direct(Ok(Some(room))) => self.open(&room),
            ChatAnswer::Changed(Ok(())) | ChatAnswer::Direct(Ok(None)) => {}
            ChatAnswer::Changed(Err(error)) | ChatAnswer::Direct(Err(error)) => {
                self.refused(&error)
            }
            ChatAnswer::Page { room, part, answer } => self.take_page(&room, part, answer),
            ChatAnswer::Joined { room, answer: Ok(()) } => self.load(&room),
            ChatAnswer::Joined { room, answer: Err(error) } => {
                self.notice = Some(format!("{}: {error}", room_name(&room, self.me.as_ref())));
                if !error.is_passing() {
                    self.close_refused(&room);
                }
            }
            ChatAnswer::Left { room, answer: Ok(()) } => {
                self.close(&room);
                self.notice = Some(format!("you have left {}", room_name(&room, self.me.as_ref())));
            }
            ChatAnswer::Left { answer: Err(error), .. } => self.refused(&error),
            ChatAnswer::Members { room, is_asked, answer } => match answer {
                Ok(page) => self.take_members(&room, is_asked, &page),
                Err(error) => {
                    self.forget_members(&room);
                    if is_asked {
                        self.refused(&error);
                    }
                }
            },
            ChatAnswer::Rooms { is_asked, answer } => match answer {
                Ok(rooms) if is_asked => self.show_rooms(&rooms),
                Ok(rooms) => self.listed = Some(rooms),
                Err(error) if is_asked => self.refused(&error),
                Err(_) => {}
            },
            ChatAnswer::Why(steps) => self.show_why(&steps),
        }
    }

    pub(super) fn refused(&mut self, error: &RequestError) {
        self.notice = Some(error.to_string());
    }

    /// The user may not enter it: what they see is a room that they are in.
    fn close_refused(&mut self, room: &RoomId) {
        let notice = self.notice.take();
        if self.rooms.get(room).is_some_and(|room| room.view.membership != Membership::Member) {
            self.close(room);
        }
        self.notice = notice;
    }

    fn take_page(&mut self, name: &RoomId, part: Part, answer: Result<HistoryPage, RequestError>) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        // It was begun anew meanwhile.
        if room.log.asked != Some(part) {
            return;
        }
        match answer {
            Ok(page) => {
                room.log.take_page(part, &page);
                let owed = std::mem::take(&mut room.owed);
                if self.current.as_ref() == Some(name) {
                    if owed > 0 {
                        self.scroll_up(owed);
                    }
                    self.load_around();
                }
            }
            Err(error) => {
                room.owed = 0;
                // The next connection, or the next key, asks again.
                if error.is_passing() {
                    room.log.asked = None;
                } else {
                    room.log.refuse_page(part);
                    self.refused(&error);
                }
            }
        }
    }

    fn take_members(&mut self, name: &RoomId, is_asked: bool, page: &MembersPage) {
        if let Some(room) = self.rooms.get_mut(name) {
            let users = page.members.iter().map(|member| member.user.clone());
            room.members = (!page.has_more).then(|| users.collect());
            let online = page.members.iter().filter(|member| member.is_online == Some(true));
            room.online = online.map(|member| member.user.clone()).collect();
        }
        if !is_asked {
            return;
        }
        let width = page.members.iter().map(|member| member.user.as_str().len()).max();
        let width = width.unwrap_or_default();
        let mut lines = Vec::new();
        for member in &page.members {
            let here = match member.is_online {
                Some(true) => "online",
                Some(false) => "away  ",
                None => "      ",
            };
            let owner = if member.is_owner { "owner " } else { "      " };
            let (user, read) = (&member.user, member.read);
            let name = match &*member.name {
                name if name == user.as_str() => String::new(),
                name => format!("  {}", shown(name)),
            };
            lines.push(format!("{:<width$}  {here}  {owner} read to {read}{name}", user.as_str()));
        }
        if page.has_more {
            lines.push("and more".to_owned());
        }
        let title = format!("Who is in {}", room_name(name, self.me.as_ref()));
        self.panel = Some(Panel { title, lines, above: 0 });
    }

    fn show_rooms(&mut self, rooms: &JoinableRooms) {
        let mut lines = Vec::new();
        for (name, room) in self.my_rooms() {
            let unread = match room.view.unread {
                0 => String::new(),
                unread => format!("  {unread} unread"),
            };
            let name = room_name(name, self.me.as_ref());
            lines
                .push(format!("{name}  {}{unread}", shown(&room.view.title)).trim_end().to_owned());
        }
        if lines.is_empty() {
            lines.push("You are in no room. /join NAME makes one.".to_owned());
        }
        let is_mine = |room: &RoomId| {
            self.rooms.get(room).is_some_and(|room| room.view.membership == Membership::Member)
        };
        let others: Vec<_> = rooms.open.iter().filter(|room| !is_mine(&room.name)).collect();
        if !others.is_empty() {
            lines.extend([String::new(), "You may join with /join NAME:".to_owned()]);
        }
        for room in others {
            let members = members_words(room.members);
            let line = format!("{}  {members}  {}", room.name, shown(&room.title));
            lines.push(line.trim_end().to_owned());
        }
        for (room, by) in &rooms.invites {
            lines.push(format!("{room}  {by} invites you"));
        }
        self.panel = Some(Panel { title: "Your rooms".to_owned(), lines, above: 0 });
    }

    fn show_why(&mut self, steps: &[Step]) {
        let line = |step: &Step| why_line(step, &self.times.seconds(step.at));
        // The newest matters, and is seen without turning pages.
        let lines = steps.iter().rev().map(line).collect();
        self.panel = Some(Panel { title: "The connection".to_owned(), lines, above: 0 });
    }

    pub(super) fn show_help(&mut self) {
        let mut lines = help_lines();
        lines.extend(KEYS.iter().map(|line| (*line).to_owned()));
        self.panel = Some(Panel { title: "Commands and keys".to_owned(), lines, above: 0 });
    }
}

/// The commands, a line each.
pub(super) fn help_lines() -> Vec<String> {
    let heads = COMMANDS.iter().map(|(names, arguments, what)| {
        let names: Vec<String> = names.iter().map(|name| format!("/{name}")).collect();
        (format!("{} {arguments}", names.join(" ")), *what)
    });
    let heads: Vec<(String, &str)> = heads.collect();
    let width = heads.iter().map(|(head, _)| columns(head)).max().unwrap_or_default();
    heads.iter().map(|(head, what)| format!("{head:<width$}  {what}")).collect()
}

/// A change of the connection's state, as a line.
pub(super) fn why_line(step: &Step, at: &str) -> String {
    let code = step.code.map(|code| format!(" ({code})")).unwrap_or_default();
    let advice = step.advice.map(|advice| format!("; it {}", advice.as_str())).unwrap_or_default();
    format!("{at} {}: {}{code}{advice}", step.state, shown(&step.cause))
}
