//! Going through the log of the room that is shown, and through what a command has answered.

use super::layout::ScreenParts;
use super::model::{ChatModel, ChatRoom};
use super::room_lines::LogPlace;
use super::wrap::wrap;
use crate::base::RoomId;
use crate::client::Part;
use ratatui::layout::Rect;

/// How many screens are gone up that are not loaded yet, at most.
const OWED_MAX: usize = 50;

impl ChatModel {
    /// The parts of the screen as it is now.
    pub(super) fn parts(&self) -> Option<ScreenParts> {
        let width = usize::from(self.area.width);
        let lines = self.notice.as_ref().map_or(0, |notice| wrap(notice, width, 0).len());
        ScreenParts::of(self.area, lines)
    }

    /// The columns and rows of the log.
    fn log_size(&self) -> (usize, usize) {
        let log = self.parts().map_or(Rect::new(0, 0, 20, 1), |parts| parts.log);
        (usize::from(log.width), usize::from(log.height))
    }

    pub(super) fn resize(&mut self, width: u16, height: u16) {
        self.area = Rect::new(0, 0, width, height);
        self.load_around();
    }

    /// Up by nearly a screen.
    pub(super) fn page_up(&mut self) {
        let rows = self.page_rows();
        match &mut self.panel {
            Some(panel) => panel.above = panel.above.saturating_sub(rows),
            None => self.scroll_up(rows),
        }
    }

    pub(super) fn page_down(&mut self) {
        let rows = self.page_rows();
        let middle = self.parts().map(|parts| parts.middle).unwrap_or_default();
        match &mut self.panel {
            Some(panel) => {
                // Its title has a line.
                let lines = panel.wrapped(middle.width).len() + 1;
                let most = lines.saturating_sub(middle.height.into());
                panel.above = (panel.above + rows).min(most);
            }
            None => self.scroll_down(rows),
        }
    }

    fn page_rows(&self) -> usize {
        self.log_size().1.saturating_sub(2).max(1)
    }

    pub(super) fn scroll_up(&mut self, count: usize) {
        let (width, height) = self.log_size();
        let Some(room) = self.room() else { return };
        let (place, missing) = self.lines(room, width).above(room.place, count, height);
        // At the newest, with less than a screen, there is nowhere to go.
        let place = place.filter(|_| missing < count || room.place.is_some());
        let has_older = room.log.has_older;
        if let Some(room) = self.room_mut() {
            room.place = place;
            room.owed = if has_older { (room.owed + missing).min(OWED_MAX * height) } else { 0 };
        }
        self.load_around();
    }

    pub(super) fn scroll_down(&mut self, count: usize) {
        let width = self.log_size().0;
        let Some(room) = self.room() else { return };
        let place = self.lines(room, width).below(room.place, count);
        if let Some(room) = self.room_mut() {
            (room.place, room.owed) = (place, 0);
        }
        self.load_around();
    }

    /// Back to the newest.
    pub(super) fn scroll_to_end(&mut self) {
        let Some(name) = self.current.clone() else { return };
        let Some(room) = self.room_mut() else { return };
        (room.place, room.owed) = (None, 0);
        if !room.log.is_live {
            self.begin_log_at(&name, Part::Newest);
        }
    }

    /// Loads what is before and behind the screen, if it is not there.
    pub(super) fn load_around(&mut self) {
        let (width, height) = self.log_size();
        let Some(name) = self.current.clone() else { return };
        let Some(room) = self.room().filter(|room| room.log.is_loaded) else { return };
        let lines = self.lines(room, width);
        let lacks_above = room.owed > 0 || !lines.has_above(room.place, 3 * height);
        let older = room.log.older().filter(|_| lacks_above);
        let is_near_end = || match room.place {
            None => true,
            place => lines.below(place, 2 * height) == lines.below(place, usize::MAX / 2),
        };
        let newer = room.log.newer().filter(|_| is_near_end());
        if let Some(part) = older.or(newer) {
            self.ask_page(&name, part);
        }
    }

    /// Shows an entry, as the last one on the screen.
    pub(super) fn go_to(&mut self, seq: u64) {
        /// How many behind it are loaded, too.
        const BEHIND: u64 = 50;
        let Some(name) = self.current.clone() else { return };
        let Some(room) = self.room_mut() else { return };
        (room.place, room.owed) = (Some(LogPlace { block: seq, hidden: 0 }), 0);
        if room.log.entries().contains_key(&seq) {
            self.load_around();
        } else {
            self.begin_log_at(&name, Part::Before(seq.saturating_add(BEHIND)));
        }
    }

    fn begin_log_at(&mut self, name: &RoomId, part: Part) {
        if let Some(ChatRoom { log, .. }) = self.rooms.get_mut(name) {
            log.begin_anew();
        }
        self.ask_page(name, part);
    }
}
