//! What lines do that are typed: messages, and commands.

use super::model::ChatModel;
use super::slash::{MessageTarget, SlashCommand, TypedLine};
use super::task::ChatTask;
use crate::base::RoomId;

impl ChatModel {
    pub(super) fn obey(&mut self, typed: TypedLine) {
        let command = match typed {
            TypedLine::Message(text) => return self.send(text, None),
            TypedLine::Command(command) => command,
        };
        match command {
            SlashCommand::Help => self.show_help(),
            SlashCommand::Rooms => self.wants(ChatTask::Rooms { is_asked: true }),
            SlashCommand::Room(name) => self.open(&name),
            SlashCommand::Direct { user, text } => self.wants(ChatTask::Direct { user, text }),
            SlashCommand::Why => self.wants(ChatTask::Why),
            SlashCommand::Retry => self.retry(),
            SlashCommand::Drop => self.drop_refused(),
            SlashCommand::Quit => self.quit(),
            of_room => match self.current.clone() {
                Some(room) => self.obey_in(room, of_room),
                None => self.notice = Some("you are in no room: /join NAME enters one".to_owned()),
            },
        }
    }

    fn obey_in(&mut self, room: RoomId, command: SlashCommand) {
        match command {
            SlashCommand::Leave => self.wants(ChatTask::Leave(room)),
            SlashCommand::Who => self.wants(ChatTask::Members { room, is_asked: true }),
            SlashCommand::Reply { to, text } => {
                if let Some(seq) = self.find(to) {
                    self.send(text, Some(seq));
                }
            }
            SlashCommand::Edit { target, text } => {
                if let Some(seq) = self.find(target) {
                    self.wants(ChatTask::Edit { room, seq, text });
                }
            }
            SlashCommand::Delete(target) => {
                if let Some(seq) = self.find(target) {
                    self.wants(ChatTask::Delete { room, seq });
                }
            }
            SlashCommand::React { target, emoji } => {
                if let Some(seq) = self.find(target) {
                    let has_it = self.me.as_ref().zip(self.room()).is_some_and(|(me, room)| {
                        room.log.message(seq).is_some_and(|one| one.has_reaction(&emoji, me))
                    });
                    self.wants(ChatTask::React { room, seq, emoji, on: !has_it });
                }
            }
            SlashCommand::History(None) => self.page_up(),
            SlashCommand::History(Some(seq)) => self.go_to(seq),
            // They are for all rooms.
            SlashCommand::Help
            | SlashCommand::Rooms
            | SlashCommand::Room(_)
            | SlashCommand::Direct { .. }
            | SlashCommand::Why
            | SlashCommand::Retry
            | SlashCommand::Drop
            | SlashCommand::Quit => {}
        }
    }

    fn send(&mut self, text: String, reply_to: Option<u64>) {
        if let Some(room) = self.current.clone() {
            self.scroll_to_end();
            self.wants(ChatTask::Send { room, text, reply_to });
        }
    }

    /// The number of a message; says so if there is none.
    fn find(&mut self, target: MessageTarget) -> Option<u64> {
        let room = self.room()?;
        let has_waiting = room.unsent.iter().any(|unsent| unsent.refusal.is_none());
        if target == MessageTarget::LastOwn && has_waiting {
            // It is not the message before that one which is meant.
            self.notice = Some("your last message is not on the server yet".to_owned());
            return None;
        }
        let (log, me) = (&self.room()?.log, self.me.as_ref());
        let (seq, whose) = match target {
            MessageTarget::Seq(seq) => (Some(seq), ""),
            MessageTarget::LastOfOthers => {
                (log.last_message(|one| Some(&one.from) != me), "of others")
            }
            MessageTarget::LastOwn => (log.last_message(|one| Some(&one.from) == me), "of yours"),
        };
        if seq.is_none() {
            self.notice = Some(format!("no message {whose} is here yet"));
        }
        seq
    }

    /// Sends again what was refused; connects now.
    fn retry(&mut self) {
        let mut tasks = Vec::new();
        for (name, room) in &mut self.rooms {
            for unsent in room.unsent.iter_mut().filter(|unsent| unsent.refusal.is_some()) {
                unsent.refusal = None;
                tasks.push(ChatTask::Retry { room: name.clone(), id: unsent.id.clone() });
            }
        }
        if !self.state.is_online() {
            tasks.push(ChatTask::RetryNow);
        }
        if tasks.is_empty() {
            self.notice = Some("nothing was refused, and the connection stands".to_owned());
        }
        tasks.into_iter().for_each(|task| self.wants(task));
    }

    fn drop_refused(&mut self) {
        let mut dropped = Vec::new();
        for room in self.rooms.values_mut() {
            room.unsent.retain(|unsent| {
                if unsent.refusal.is_some() {
                    dropped.push(ChatTask::Drop(unsent.id.clone()));
                }
                unsent.refusal.is_none()
            });
        }
        self.notice = Some(format!("forgotten: {}", dropped.len()));
        dropped.into_iter().for_each(|task| self.wants(task));
    }
}
