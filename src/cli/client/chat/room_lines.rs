//! A room's log as lines of a screen, from the newest upwards: only those that are looked at are made.

use super::loaded_log::{Happened, LoadedLog, LogEntry, LogMessage};
use super::palette::Palette;
use super::times::LocalTimes;
use super::wrap::{columns, cut, wrap};
use crate::base::{Timestamp, UserId};
use crate::cli::shown;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use std::sync::Arc;

/// Below so many columns there are no times of day.
const TIMES_COLUMNS_MIN: usize = 50;
/// Messages that are not stored have no number yet; so many come before them.
const UNSENT_FROM: u64 = 1 << 62;

/// A message of the user's that is not on the server's disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UnsentLine {
    pub(super) id: Arc<str>,
    pub(super) text: String,
    pub(super) reply_to: Option<u64>,
    pub(super) at: Timestamp,
    /// Why it was refused.
    pub(super) refusal: Option<String>,
}

/// Where somebody looks at: the last block on the screen, and how many of its lines are below the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LogPlace {
    pub(super) block: u64,
    pub(super) hidden: usize,
}

/// A room's log on a screen. Each entry is a block of lines, by its number.
pub(super) struct RoomLines<'a> {
    pub(super) log: &'a LoadedLog,
    pub(super) unsent: &'a [UnsentLine],
    pub(super) me: Option<&'a UserId>,
    /// What is behind this entry is new to the user.
    pub(super) new_after: Option<u64>,
    pub(super) width: usize,
    pub(super) times: &'a LocalTimes,
    pub(super) palette: Palette,
}

impl RoomLines<'_> {
    /// The newest lines, oldest first; `place` is where the user looks at, `None` for the newest.
    pub(super) fn visible(&self, place: Option<LogPlace>, height: usize) -> Vec<Line<'static>> {
        let mut lines: Vec<Line<'static>> = Vec::new();
        let mut hidden = place.map_or(0, |place| place.hidden);
        for block in self.upwards(place.map(|place| place.block)) {
            let mut of_block = self.block(block);
            // It may have become shorter.
            of_block.truncate(of_block.len().saturating_sub(std::mem::take(&mut hidden)).max(1));
            lines.extend(of_block.into_iter().rev());
            if lines.len() >= height {
                break;
            }
        }
        lines.truncate(height);
        lines.reverse();
        lines
    }

    /// The place so many lines above another; as far up as there are lines for the screen. And how many were missing.
    pub(super) fn above(
        &self,
        place: Option<LogPlace>,
        count: usize,
        height: usize,
    ) -> (Option<LogPlace>, usize) {
        let hidden = place.map_or(0, |place| place.hidden);
        let wanted = hidden + count;
        let mut lens = Vec::new();
        let mut total = 0;
        for block in self.upwards(place.map(|place| place.block)) {
            let len = self.block(block).len();
            lens.push((block, len));
            total += len;
            if total >= wanted + height {
                break;
            }
        }
        let reached = wanted.min(total.saturating_sub(height)).max(hidden.min(wanted));
        let mut rest = reached;
        for (block, len) in lens {
            if rest < len {
                return (Some(LogPlace { block, hidden: rest }), wanted - reached);
            }
            rest -= len;
        }
        (place, wanted - reached)
    }

    /// The place so many lines below another; `None` for the newest.
    pub(super) fn below(&self, place: Option<LogPlace>, count: usize) -> Option<LogPlace> {
        let LogPlace { block, hidden } = place?;
        if hidden >= count {
            return Some(LogPlace { block, hidden: hidden - count });
        }
        let mut rest = count - hidden;
        for block in self.downwards(block) {
            let len = self.block(block).len();
            if rest <= len {
                let place = LogPlace { block, hidden: len - rest };
                let is_end = place.hidden == 0 && self.upwards(None).next() == Some(block);
                return (!is_end || !self.log.is_live).then_some(place);
            }
            rest -= len;
        }
        // There is more of it than is loaded.
        let last = self.upwards(None).next().unwrap_or(block);
        (!self.log.is_live).then_some(LogPlace { block: last, hidden: 0 })
    }

    /// Whether so many lines are above a place.
    pub(super) fn has_above(&self, place: Option<LogPlace>, count: usize) -> bool {
        let mut total = 0;
        let mut upwards = self.upwards(place.map(|place| place.block));
        upwards.any(|block| {
            total += self.block(block).len();
            total >= count
        })
    }

    /// The blocks from one on, newest first.
    fn upwards(&self, from: Option<u64>) -> impl Iterator<Item = u64> {
        let from = from.unwrap_or(u64::MAX);
        let unsent = if self.log.is_live { self.unsent.len() as u64 } else { 0 };
        let unsent = (UNSENT_FROM..UNSENT_FROM + unsent).rev().filter(move |block| *block <= from);
        unsent.chain(self.log.entries().range(..=from).rev().map(|(seq, _)| *seq))
    }

    /// The blocks behind one.
    fn downwards(&self, after: u64) -> impl Iterator<Item = u64> {
        let unsent = if self.log.is_live { self.unsent.len() as u64 } else { 0 };
        let unsent = (UNSENT_FROM..UNSENT_FROM + unsent).filter(move |block| *block > after);
        self.log.entries().range(after.saturating_add(1)..).map(|(seq, _)| *seq).chain(unsent)
    }

    // --- Blocks ---

    fn block(&self, block: u64) -> Vec<Line<'static>> {
        let mut lines = Vec::new();
        if let Some(entry) = self.log.entries().get(&block) {
            self.rules(block, entry, &mut lines);
            match &entry.what {
                Happened::Message(message) => self.message(block, entry.ts, message, &mut lines),
                Happened::Joined { user, by: None } => {
                    self.event(block, entry.ts, &format!("{user} joins"), &mut lines);
                }
                Happened::Joined { user, by: Some(by) } => {
                    self.event(block, entry.ts, &format!("{by} adds {user}"), &mut lines);
                }
                Happened::Left { user, by: None } => {
                    self.event(block, entry.ts, &format!("{user} leaves"), &mut lines);
                }
                Happened::Left { user, by: Some(by) } => {
                    self.event(block, entry.ts, &format!("{by} removes {user}"), &mut lines);
                }
            }
        } else if let Some(unsent) = self.unsent_line(block) {
            self.unsent(unsent, &mut lines);
        }
        lines
    }

    fn unsent_line(&self, block: u64) -> Option<&UnsentLine> {
        self.unsent.get(usize::try_from(block.checked_sub(UNSENT_FROM)?).ok()?)
    }

    /// The lines between days, and before what is new.
    fn rules(&self, seq: u64, entry: &LogEntry, lines: &mut Vec<Line<'static>>) {
        let before = self.log.entries().range(..seq).next_back();
        let day = self.times.day_and_time(entry.ts).0;
        let begins_day = match before {
            Some((_, before)) => self.times.day_and_time(before.ts).0 != day,
            None => !self.log.has_older,
        };
        if begins_day {
            lines.push(self.rule(&day, self.palette.dim()));
        }
        let begins_new = |new_after: u64| {
            seq > new_after && before.is_none_or(|(before, _)| *before <= new_after)
        };
        if self.new_after.is_some_and(begins_new) {
            lines.push(self.rule("new", self.palette.unread()));
        }
    }

    fn rule(&self, word: &str, style: Style) -> Line<'static> {
        let rest = self.width.saturating_sub(columns(word) + 4);
        Line::styled(format!("── {word} {}", "─".repeat(rest)), style)
    }

    /// What is before a name: the entry's number and its time.
    fn prefix(&self, number: &str, ts: Timestamp) -> String {
        let newest = self.log.entries().keys().next_back().copied().unwrap_or_default();
        let width = newest.to_string().len().max(2);
        match self.width >= TIMES_COLUMNS_MIN {
            true => format!("{number:>width$} {} ", self.times.day_and_time(ts).1),
            false => format!("{number:>width$} "),
        }
    }

    fn event(&self, seq: u64, ts: Timestamp, text: &str, lines: &mut Vec<Line<'static>>) {
        let prefix = self.prefix(&seq.to_string(), ts);
        let indent = columns(&prefix);
        let mut prefix = Some(prefix);
        for line in wrap(text, self.width.saturating_sub(indent), 0) {
            let before = prefix.take().unwrap_or_else(|| " ".repeat(indent));
            lines.push(Line::styled(before + &line, self.palette.dim()));
        }
    }

    fn message(
        &self,
        seq: u64,
        ts: Timestamp,
        message: &LogMessage,
        lines: &mut Vec<Line<'static>>,
    ) {
        let prefix = self.prefix(&seq.to_string(), ts);
        let indent = columns(&prefix);
        self.quote(message.reply_to, indent, lines);
        let dim = self.palette.dim();
        let (text, style) = match message.is_deleted {
            true => ("(deleted)", dim),
            false => (&*message.text, Style::new()),
        };
        let mark = match message {
            LogMessage { is_deleted: true, .. } => "",
            LogMessage { edited: 1.., .. } => " (edited)",
            LogMessage { has_data: true, text, .. } if text.is_empty() => "(data)",
            _ => "",
        };
        self.text(&prefix, &message.from, (text, style), mark, lines);
        if !message.reactions.is_empty() {
            let of_emoji = |(emoji, users): &(Arc<str>, Vec<UserId>)| {
                let users: Vec<&str> = users.iter().map(UserId::as_str).collect();
                format!("{} {}", shown(emoji), users.join(", "))
            };
            let all: Vec<String> = message.reactions.iter().map(of_emoji).collect();
            let line = cut(&all.join("  "), self.width.saturating_sub(indent));
            lines.push(Line::styled(" ".repeat(indent) + &line, dim));
        }
    }

    fn unsent(&self, unsent: &UnsentLine, lines: &mut Vec<Line<'static>>) {
        let Some(me) = self.me else { return };
        let number = if unsent.refusal.is_some() { "!" } else { "…" };
        let prefix = self.prefix(number, unsent.at);
        let indent = columns(&prefix);
        self.quote(unsent.reply_to, indent, lines);
        let mark = if unsent.refusal.is_some() { "" } else { " (waiting)" };
        self.text(&prefix, me, (&unsent.text, self.palette.dim()), mark, lines);
        if let Some(refusal) = &unsent.refusal {
            let told = format!("not sent: {refusal}; /retry sends it again, /drop forgets it");
            for line in wrap(&told, self.width.saturating_sub(indent), 0) {
                lines.push(Line::styled(" ".repeat(indent) + &line, self.palette.failed()));
            }
        }
    }

    /// A dim line of what is replied to.
    fn quote(&self, reply_to: Option<u64>, indent: usize, lines: &mut Vec<Line<'static>>) {
        let Some(seq) = reply_to else { return };
        let told = match self.log.message(seq) {
            Some(message) if message.is_deleted => format!("{}: (deleted)", message.from),
            Some(message) => format!("{}: {}", message.from, shown(&message.text)),
            None => format!("to {seq}"),
        };
        let line = cut(&format!("┌ {told}"), self.width.saturating_sub(indent));
        lines.push(Line::styled(" ".repeat(indent) + &line, self.palette.dim()));
    }

    /// A name and a text, and a dim word behind it.
    fn text(
        &self,
        prefix: &str,
        from: &UserId,
        (text, style): (&str, Style),
        mark: &'static str,
        lines: &mut Vec<Line<'static>>,
    ) {
        let indent = columns(prefix);
        let width = self.width.saturating_sub(indent).max(2);
        let name = cut(from.as_str(), (width / 2).max(1));
        let begin = columns(&name) + 2;
        let mut head = Some([
            Span::styled(prefix.to_owned(), self.palette.dim()),
            Span::styled(name, self.palette.name(from, self.me == Some(from))),
            Span::raw(": "),
        ]);
        for line in wrap(text, width, begin) {
            let mut spans: Vec<Span<'static>> = match head.take() {
                Some(head) => head.into(),
                None => vec![Span::raw(" ".repeat(indent))],
            };
            spans.push(Span::styled(line, style));
            lines.push(Line::from(spans));
        }
        let fits = |line: &Line<'static>| line.width() + columns(mark) <= self.width;
        match lines.last_mut() {
            Some(last) if fits(last) => last.push_span(Span::styled(mark, self.palette.dim())),
            _ => lines.push(Line::styled(" ".repeat(indent) + mark.trim(), self.palette.dim())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::for_tests::{entry, message, user};
    use super::*;
    use crate::base::EntryKind;
    use crate::client::{HistoryPage, Part};

    fn lines<'a>(log: &'a LoadedLog, times: &'a LocalTimes, width: usize) -> RoomLines<'a> {
        let (unsent, me, new_after) = (&[], None, None);
        RoomLines { log, unsent, me, new_after, width, times, palette: Palette::plain() }
    }

    fn texts(lines: &[Line<'_>]) -> Vec<String> {
        lines.iter().map(|line| line.to_string().trim_end().to_owned()).collect()
    }

    fn log_of(texts: &[&str]) -> LoadedLog {
        let mut log = LoadedLog::default();
        for (text, seq) in texts.iter().zip(1..) {
            log.take_entry(&message(seq, "bob", text));
        }
        log
    }

    #[test]
    fn messages_are_wrapped_under_their_text_and_days_have_a_line() {
        let mut log =
            log_of(&["hello", "one two three four five six seven eight nine\x1b[31m", "a\nb"]);
        log.take_entry(&entry(4, EntryKind::Joined { user: user("cy"), by: None }));
        log.take_entry(&entry(
            5,
            EntryKind::Edited { target: 1, text: Some("bye".into()), by: user("bob") },
        ));
        log.take_entry(&entry(
            6,
            EntryKind::Reacted { target: 3, emoji: "👍".into(), on: true, by: user("ada") },
        ));
        let times = LocalTimes::utc();
        assert_eq!(
            texts(&lines(&log, &times, 50).visible(None, 20)),
            [
                "── 1994-11-06 ────────────────────────────────────",
                " 1 08:49 bob: bye (edited)",
                " 2 08:49 bob: one two three four five six seven",
                "         eight nine\u{fffd}[31m",
                " 3 08:49 bob: a",
                "         b",
                "         👍 ada",
                " 4 08:49 cy joins",
            ]
        );
        assert_eq!(
            texts(&lines(&log, &times, 20).visible(None, 4)),
            [" 3 bob: a", "   b", "   👍 ada", " 4 cy joins"]
        );
    }

    #[test]
    fn what_is_not_stored_yet_says_so() {
        let log = log_of(&["hello"]);
        let (times, me) = (LocalTimes::utc(), user("ada"));
        let line = |refusal: Option<&str>| UnsentLine {
            id: "i".into(),
            text: "well".to_owned(),
            reply_to: Some(1),
            at: Timestamp(784_111_777_000),
            refusal: refusal.map(str::to_owned),
        };
        let unsent = [line(None), line(Some("too_large: it is too large"))];
        let view = RoomLines {
            unsent: &unsent,
            me: Some(&me),
            new_after: Some(0),
            ..lines(&log, &times, 60)
        };
        assert_eq!(
            texts(&view.visible(None, 9))[1..],
            [
                "── new ─────────────────────────────────────────────────────",
                " 1 08:49 bob: hello",
                "         ┌ bob: hello",
                " … 08:49 ada: well (waiting)",
                "         ┌ bob: hello",
                " ! 08:49 ada: well",
                "         not sent: too_large: it is too large; /retry sends",
                "         it again, /drop forgets it",
            ]
        );
    }

    #[test]
    fn scrolling_moves_by_lines_and_keeps_its_place() {
        let mut log = LoadedLog::default();
        let entries = (101..=200).map(|seq| message(seq, "bob", "a\nb\nc")).collect();
        log.take_page(Part::Newest, &HistoryPage { entries, head: 200, has_more: true });
        let times = LocalTimes::utc();
        let view = lines(&log, &times, 60);
        let (place, missing) = view.above(None, 10, 8);
        assert_eq!((place, missing), (Some(LogPlace { block: 197, hidden: 1 }), 0));
        let seen = texts(&view.visible(place, 8));
        assert_eq!((seen.len(), seen[7].trim()), (8, "b"));
        assert_eq!(view.below(place, 4), Some(LogPlace { block: 198, hidden: 0 }));
        assert_eq!(view.below(place, 10), None);
        assert_eq!(view.below(place, 999), None);
        let (top, missing) = view.above(place, 1_000, 8);
        assert_eq!((top, missing), (Some(LogPlace { block: 103, hidden: 1 }), 1_010 - 292));
        assert_eq!(texts(&view.visible(top, 8))[0], "101 08:51 bob: a");
        // Older entries above, and newer ones below, change nothing.
        let entries = (1..=100).map(|seq| message(seq, "bob", "x")).collect();
        log.take_page(Part::Before(101), &HistoryPage { entries, head: 200, has_more: false });
        log.take_entry(&message(201, "bob", "y"));
        assert_eq!(texts(&lines(&log, &times, 60).visible(place, 8)), seen);
    }
}
