//! Draws what the chat shows into cells.

use super::layout::ScreenParts;
use super::model::{ChatModel, Panel, room_name};
use super::wrap::{columns, cut, wrap};
use crate::base::Timestamp;
use crate::client::State;
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::Line;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

const TOO_SMALL: &str = "Too small for a chat: 40 x 12 is enough.";
/// Before what is typed.
const PROMPT: &str = "> ";

/// Draws all; and where the cursor is, if it is shown.
pub(super) fn draw(model: &ChatModel, now: Timestamp, buffer: &mut Buffer) -> Option<Position> {
    let area = buffer.area;
    let Some(parts) = model.parts() else {
        for (line, y) in wrap(TOO_SMALL, area.width.into(), 0).iter().zip(area.top()..area.bottom())
        {
            buffer.set_stringn(area.x, y, line, area.width.into(), Style::new());
        }
        return None;
    };
    draw_header(model, parts.header, buffer);
    match &model.panel {
        Some(panel) => draw_panel(model, panel, parts.middle, buffer),
        None => draw_middle(model, &parts, buffer),
    }
    draw_notice(model, &parts, buffer);
    draw_status(model, now, parts.status, buffer);
    draw_input(model, parts.input, buffer)
}

/// Writes a line, if there is a row for it.
fn write(buffer: &mut Buffer, area: Rect, row: u16, text: &str, style: Style) {
    if row < area.height {
        let text = cut(text, area.width.into());
        buffer.set_stringn(area.x, area.y + row, text, area.width.into(), style);
    }
}

fn draw_header(model: &ChatModel, area: Rect, buffer: &mut Buffer) {
    let (title, people) = model.header_words();
    let width = usize::from(area.width);
    let bar = model.palette.bar();
    buffer.set_style(area, bar);
    let title = cut(&format!(" {title} "), width);
    let rest = width.saturating_sub(columns(&title) + 1);
    write(buffer, area, 0, &title, bar.patch(model.palette.strong()));
    let unread = match model.unread_elsewhere() {
        (0, _) => String::new(),
        (messages, 1) => format!("{messages} unread elsewhere "),
        (messages, rooms) => format!("{messages} unread in {rooms} rooms "),
    };
    // Where there is no list, it is the only place.
    let folded = area.width < 60 && !unread.is_empty();
    let right = cut(if folded { &unread } else { &people }, rest);
    let from = u16::try_from(columns(&right) + 1).unwrap_or(u16::MAX);
    let x = area.right().saturating_sub(from).max(area.x);
    write(buffer, Rect { x, width: area.right() - x, ..area }, 0, &right, bar);
}

fn draw_middle(model: &ChatModel, parts: &ScreenParts, buffer: &mut Buffer) {
    if let Some(area) = parts.rooms {
        draw_rooms(model, area, buffer);
    }
    if let Some(area) = parts.people {
        draw_people(model, area, buffer);
    }
    let (width, height) = (usize::from(parts.log.width), usize::from(parts.log.height));
    let mut lines: Vec<Line<'static>> = Vec::new();
    if let Some(room) = model.room() {
        lines = model.lines(room, width).visible(room.place, height);
    }
    let is_alone = lines.is_empty();
    let words = model.empty_words();
    let words = words.iter().flat_map(|words| wrap(words, width.saturating_sub(2), 0));
    let style = if is_alone { Style::new() } else { model.palette.dim() };
    lines.extend(words.map(|line| Line::styled(format!(" {line}"), style)));
    let skipped = if is_alone { 0 } else { lines.len().saturating_sub(height) };
    // Few lines stand above the line that is typed, as many do; words alone stand at the top.
    let from = if is_alone { 0 } else { height.saturating_sub(lines.len()) };
    for (line, y) in lines.iter().skip(skipped).zip((parts.log.y..parts.log.bottom()).skip(from)) {
        buffer.set_line(parts.log.x, y, line, parts.log.width);
    }
}

fn draw_rooms(model: &ChatModel, area: Rect, buffer: &mut Buffer) {
    let palette = model.palette;
    let inner = Rect { width: area.width - 2, ..area };
    for y in area.top()..area.bottom() {
        buffer.set_string(area.right() - 2, y, "│", palette.dim());
    }
    let rooms: Vec<_> = model.my_rooms().collect();
    let at = rooms.iter().position(|(name, _)| Some(*name) == model.current.as_ref());
    let height = usize::from(area.height);
    let skipped = at.map_or(0, |at| (at + 1).saturating_sub(height));
    for ((name, room), row) in rooms.into_iter().skip(skipped).zip(0..area.height) {
        let is_current = Some(name) == model.current.as_ref();
        let count = match room.view.unread {
            0 => String::new(),
            unread => format!(" {unread}"),
        };
        let style = match (is_current, room.view.unread) {
            (true, _) => palette.bar(),
            (false, 1..) => palette.unread(),
            (false, 0) => Style::new(),
        };
        let width = usize::from(inner.width).saturating_sub(columns(&count) + 1);
        let name = cut(&room_name(name, model.me.as_ref()), width);
        let gap = " ".repeat(width - columns(&name).min(width));
        write(buffer, inner, row, &format!(" {name}{gap}{count}"), style);
    }
}

fn draw_people(model: &ChatModel, area: Rect, buffer: &mut Buffer) {
    let palette = model.palette;
    for y in area.top()..area.bottom() {
        buffer.set_string(area.x, y, "│", palette.dim());
    }
    let inner = Rect { x: area.x + 2, width: area.width - 2, ..area };
    let here = model.people_here();
    let more = here.len().saturating_sub(usize::from(area.height));
    for (user, row) in here.into_iter().zip(0..area.height) {
        let is_last = row + 1 == area.height && more > 0;
        let name = if is_last { format!("and {} more", more + 1) } else { user.to_string() };
        write(buffer, inner, row, "●", palette.online());
        let text = Rect { x: inner.x + 2, width: inner.width - 2, ..inner };
        write(buffer, text, row, &name, palette.name(user, model.me.as_ref() == Some(user)));
    }
}

fn draw_panel(model: &ChatModel, panel: &Panel, area: Rect, buffer: &mut Buffer) {
    let lines = panel.wrapped(area.width);
    let more = (lines.len() + 1).saturating_sub(panel.above + usize::from(area.height));
    let hint = if more > 0 || panel.above > 0 {
        "  (PageDown, PageUp; Esc closes)"
    } else {
        "  (Esc closes)"
    };
    let title = (format!("{}{hint}", panel.title), model.palette.strong());
    let lines = lines.into_iter().map(|line| (line, Style::new()));
    let all = std::iter::once(title).chain(lines).skip(panel.above);
    for ((line, style), row) in all.zip(0..area.height) {
        write(buffer, area, row, &format!(" {line}"), style);
    }
}

fn draw_notice(model: &ChatModel, parts: &ScreenParts, buffer: &mut Buffer) {
    if let Some(notice) = &model.notice {
        let lines = wrap(notice, parts.notice.width.into(), 0);
        for (line, row) in lines.iter().zip(0..parts.notice.height) {
            write(buffer, parts.notice, row, line, model.palette.unread());
        }
    }
    write(buffer, parts.talk, 0, &format!("  {}", model.talk_words()), model.palette.dim());
}

fn draw_status(model: &ChatModel, now: Timestamp, area: Rect, buffer: &mut Buffer) {
    let bar = model.palette.bar();
    buffer.set_style(area, bar);
    let is_well = matches!(model.state, State::Online { .. });
    let sign = if is_well { "●" } else { "○" };
    let me = model.me.as_ref().map(|me| format!("{me}, ")).unwrap_or_default();
    let unsent = model.unsent_words();
    let left = format!(" {sign} {me}{unsent}{}", model.connection_words(now));
    let help = "/help ";
    let width = usize::from(area.width);
    let left = cut(&left, width.saturating_sub(columns(help) + 1));
    let gap = " ".repeat(width.saturating_sub(columns(&left) + columns(help)));
    write(buffer, area, 0, &format!("{left}{gap}{help}"), bar);
}

/// The line that is typed, or the part of it around the cursor.
fn draw_input(model: &ChatModel, area: Rect, buffer: &mut Buffer) -> Option<Position> {
    let prompt = columns(PROMPT);
    let width = usize::from(area.width).saturating_sub(prompt);
    let input = model.input();
    let value = input.value();
    let cursor = value.char_indices().nth(input.cursor()).map_or(value.len(), |(at, _)| at);
    // What is pasted may have anything in it, too.
    let cells = value.grapheme_indices(true).map(|(at, cluster)| {
        let shown = match cluster {
            "\n" => "↵".to_owned(),
            cluster => crate::cli::shown(cluster),
        };
        (at, shown)
    });
    let cells: Vec<(usize, String)> = cells.collect();
    let before: usize =
        cells.iter().filter(|(at, _)| *at < cursor).map(|(_, one)| one.width()).sum();
    // The cursor has a cell of its own.
    let skipped = (before + 1).saturating_sub(width);
    let (mut at, mut text) = (0, String::new());
    for (_, cell) in &cells {
        let begin = at;
        at += cell.width();
        if begin >= skipped && at - skipped <= width {
            text.push_str(cell);
        } else if begin < skipped && at > skipped {
            // Half of a wide one.
            text.push(' ');
        }
    }
    write(buffer, area, 0, PROMPT, model.palette.strong());
    let inner = Rect { x: area.x + prompt as u16, width: area.width - prompt as u16, ..area };
    buffer.set_stringn(inner.x, inner.y, text, width, Style::new());
    let x = u16::try_from(before - skipped).unwrap_or(u16::MAX).saturating_add(inner.x);
    Some(Position { x: x.min(area.right() - 1), y: area.y })
}
