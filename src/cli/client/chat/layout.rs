//! Where on the screen what is.

use ratatui::layout::Rect;

/// On a smaller screen there is no chat.
const WIDTH_MIN: u16 = 20;
const HEIGHT_MIN: u16 = 7;
/// From so many columns on, rooms and people have columns of their own.
const ROOMS_FROM: u16 = 60;
const PEOPLE_FROM: u16 = 100;
const PEOPLE_WIDTH: u16 = 22;
const ROOMS_WIDTH_MAX: u16 = 26;
const NOTICE_MAX: u16 = 3;

/// The parts of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ScreenParts {
    pub(super) header: Rect,
    pub(super) rooms: Option<Rect>,
    pub(super) log: Rect,
    pub(super) people: Option<Rect>,
    /// The log with what is beside it.
    pub(super) middle: Rect,
    pub(super) notice: Rect,
    /// Who types.
    pub(super) talk: Rect,
    pub(super) input: Rect,
    pub(super) status: Rect,
}

impl ScreenParts {
    /// `None` if the screen is too small; `notice_lines` are wanted for a notice.
    pub(super) fn of(area: Rect, notice_lines: usize) -> Option<ScreenParts> {
        if area.width < WIDTH_MIN || area.height < HEIGHT_MIN {
            return None;
        }
        let wanted = u16::try_from(notice_lines).unwrap_or(u16::MAX);
        let notice_height = wanted.min(NOTICE_MAX).min(area.height - HEIGHT_MIN + 1);
        let row = |y: u16, height: u16| Rect { y, height, ..area };
        let bottom = area.bottom();
        let notice = row(bottom - 3 - notice_height, notice_height);
        let middle = row(area.y + 1, notice.y - area.y - 1);
        let mut log = middle;
        let rooms = (area.width >= ROOMS_FROM).then(|| {
            let width = (area.width / 4).min(ROOMS_WIDTH_MAX);
            log = Rect { x: middle.x + width, width: middle.width - width, ..middle };
            Rect { width, ..middle }
        });
        let people = (area.width >= PEOPLE_FROM).then(|| {
            log.width -= PEOPLE_WIDTH;
            Rect { x: log.right(), width: PEOPLE_WIDTH, ..middle }
        });
        Some(ScreenParts {
            header: row(area.y, 1),
            rooms,
            log,
            people,
            middle,
            notice,
            talk: row(bottom - 3, 1),
            input: row(bottom - 2, 1),
            status: row(bottom - 1, 1),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_cover_the_screen_and_nothing_else() {
        for width in 0..130 {
            for height in 0..40 {
                for notice in 0..5 {
                    let area = Rect::new(0, 0, width, height);
                    let Some(parts) = ScreenParts::of(area, notice) else {
                        assert!(width < WIDTH_MIN || height < HEIGHT_MIN);
                        continue;
                    };
                    let columns = [parts.rooms, Some(parts.log), parts.people];
                    let columns: u16 = columns.into_iter().flatten().map(|part| part.width).sum();
                    assert_eq!(columns, width);
                    let rows = [
                        parts.header,
                        parts.log,
                        parts.notice,
                        parts.talk,
                        parts.input,
                        parts.status,
                    ];
                    assert_eq!(rows.iter().map(|part| part.height).sum::<u16>(), height);
                    assert!(parts.log.height >= 1, "{area:?} {notice}");
                }
            }
        }
    }
}
