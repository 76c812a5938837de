//! What keys do.

use super::model::ChatModel;
use super::slash::{TypedLine, command_names, read_line};
use super::task::ChatTask;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tui_input::{Input, InputRequest};

/// How many lines are kept for the arrow keys.
const LINES_MAX: usize = 100;
/// Longer than any server takes: what a paste has beyond it is left out.
const INPUT_BYTES_MAX: usize = 1 << 20;

impl ChatModel {
    pub(super) fn take_key(&mut self, key: KeyEvent) {
        if key.kind == KeyEventKind::Release {
            return;
        }
        let (control, alt) = (
            key.modifiers.contains(KeyModifiers::CONTROL),
            key.modifiers.contains(KeyModifiers::ALT),
        );
        match key.code {
            KeyCode::Char(one) if control => self.control(one),
            KeyCode::Up if alt => self.open_beside(-1),
            KeyCode::Down if alt => self.open_beside(1),
            KeyCode::Left if control || alt => self.edit(InputRequest::GoToPrevWord),
            KeyCode::Right if control || alt => self.edit(InputRequest::GoToNextWord),
            KeyCode::Backspace if control || alt => self.edit(InputRequest::DeletePrevWord),
            KeyCode::Char('b') if alt => self.edit(InputRequest::GoToPrevWord),
            KeyCode::Char('f') if alt => self.edit(InputRequest::GoToNextWord),
            KeyCode::Enter if alt => self.edit(InputRequest::InsertChar('\n')),
            KeyCode::Char(one) => {
                // Esc and a key that follow closely are one to a terminal.
                if alt {
                    self.escape();
                }
                self.edit(InputRequest::InsertChar(one));
            }
            KeyCode::Enter => self.enter(),
            KeyCode::Esc => self.escape(),
            KeyCode::Tab => self.complete(),
            KeyCode::PageUp => self.page_up(),
            KeyCode::PageDown => self.page_down(),
            KeyCode::Up => self.recall(1),
            KeyCode::Down => self.recall(-1),
            KeyCode::Left => self.edit(InputRequest::GoToPrevChar),
            KeyCode::Right => self.edit(InputRequest::GoToNextChar),
            KeyCode::Home => self.edit(InputRequest::GoToStart),
            KeyCode::End => self.edit(InputRequest::GoToEnd),
            KeyCode::Backspace => self.edit(InputRequest::DeletePrevChar),
            KeyCode::Delete => self.edit(InputRequest::DeleteNextChar),
            _ => {}
        }
    }

    fn control(&mut self, key: char) {
        match key.to_ascii_lowercase() {
            'a' => self.edit(InputRequest::GoToStart),
            'e' => self.edit(InputRequest::GoToEnd),
            'b' => self.edit(InputRequest::GoToPrevChar),
            'f' => self.edit(InputRequest::GoToNextChar),
            'h' => self.edit(InputRequest::DeletePrevChar),
            'w' => self.edit(InputRequest::DeletePrevWord),
            'u' => self.edit(InputRequest::DeleteFromStart),
            'k' => self.edit(InputRequest::DeleteTillEnd),
            'y' => self.edit(InputRequest::Yank),
            'n' => self.open_beside(1),
            'p' => self.open_beside(-1),
            'j' => self.enter(),
            'l' => self.wants(ChatTask::Redraw),
            'z' => self.wants(ChatTask::Suspend),
            'd' if self.input().value().is_empty() => self.quit(),
            'd' => self.edit(InputRequest::DeleteNextChar),
            'c' if self.input().value().is_empty() => self.quit(),
            'c' => {
                self.input_mut().reset();
                self.types();
                self.notice = Some("Ctrl-C once more ends the chat".to_owned());
            }
            _ => {}
        }
    }

    /// A text was pasted: its lines are those of one message.
    pub(super) fn take_paste(&mut self, text: &str) {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let input = self.input_mut();
        let value = input.value();
        let at = value.char_indices().nth(input.cursor()).map_or(value.len(), |(at, _)| at);
        let (before, behind) = value.split_at_checked(at).unwrap_or((value, ""));
        let room = INPUT_BYTES_MAX.saturating_sub(value.len());
        let fits = |(at, one): &(usize, char)| at + one.len_utf8() <= room;
        let pasted: String = text.char_indices().take_while(fits).map(|(_, one)| one).collect();
        let cursor = input.cursor() + pasted.chars().count();
        *input = Input::new(format!("{before}{pasted}{behind}")).with_cursor(cursor);
        self.types();
    }

    fn edit(&mut self, request: InputRequest) {
        let is_full = self.input().value().len() >= INPUT_BYTES_MAX;
        if is_full && matches!(request, InputRequest::InsertChar(_) | InputRequest::Yank) {
            return;
        }
        let changed = self.input_mut().handle(request);
        if changed.is_some_and(|changed| changed.value) {
            self.typed.at = 0;
            self.types();
        }
    }

    /// Tells the others that the user types, or no more; how often, the client knows.
    fn types(&mut self) {
        let value = self.input().value();
        let typing = !value.is_empty() && (!value.starts_with('/') || value.starts_with("//"));
        if let Some(room) = self.current.clone() {
            self.wants(ChatTask::Typing { room, typing });
        }
    }

    fn enter(&mut self) {
        let line = self.input().value().to_owned();
        if line.trim().is_empty() {
            self.panel = None;
            return;
        }
        let typed = match read_line(&line) {
            Ok(typed) => typed,
            Err(told) => {
                self.notice = Some(told);
                return;
            }
        };
        if matches!(typed, TypedLine::Message(_)) && self.current.is_none() {
            self.notice = Some(match self.has_begun {
                true => "you are in no room: /join NAME enters one".to_owned(),
                false => {
                    "there is no connection yet: what you type stays here until then".to_owned()
                }
            });
            return;
        }
        self.input_mut().reset();
        if self.typed.lines.last() != Some(&line) {
            self.typed.lines.push(line);
        }
        if self.typed.lines.len() > LINES_MAX {
            self.typed.lines.remove(0);
        }
        self.typed.at = 0;
        (self.notice, self.panel) = (None, None);
        self.obey(typed);
    }

    fn escape(&mut self) {
        if self.panel.take().is_none() && self.notice.take().is_none() {
            self.scroll_to_end();
        }
    }

    /// Shows a line that was typed before.
    fn recall(&mut self, step: isize) {
        let Some(at) = self.typed.at.checked_add_signed(step) else { return };
        if at > self.typed.lines.len() {
            return;
        }
        self.typed.at = at;
        let line = self.typed.lines.iter().rev().nth(at.wrapping_sub(1)).cloned();
        *self.input_mut() = Input::new(line.unwrap_or_default());
    }

    /// Completes the name of a command, a room or a person before the cursor.
    fn complete(&mut self) {
        let value = self.input().value().to_owned();
        if self.input().cursor() != value.chars().count() {
            return;
        }
        let (before, word) = match value.rfind(' ') {
            Some(at) => value.split_at(at + 1),
            None => ("", value.as_str()),
        };
        let names: Vec<String> = match (before, word.strip_prefix('/')) {
            ("", Some(_)) => command_names().map(|name| format!("/{name}")).collect(),
            ("/room " | "/join ", _) => self.rooms.keys().map(ToString::to_string).collect(),
            _ => {
                let people = self.people.iter().flat_map(|people| people.users.keys());
                people.map(ToString::to_string).collect()
            }
        };
        let mut found = names.iter().filter(|name| name.starts_with(word));
        let (Some(first), false) = (found.next(), word.is_empty()) else { return };
        let mut common = first.clone();
        let mut is_one = true;
        for name in found {
            is_one = false;
            while !name.starts_with(&common) {
                common.pop();
            }
        }
        let end = if is_one { " " } else { "" };
        *self.input_mut() = Input::new(format!("{before}{common}{end}"));
    }

    pub(super) fn quit(&mut self) {
        self.is_quitting = true;
        self.wants(ChatTask::Quit);
    }
}
