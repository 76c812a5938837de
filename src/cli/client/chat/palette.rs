//! Colours: those of the terminal's own theme, or none where `NO_COLOR` is set (<https://no-color.org/>).

use crate::base::UserId;
use ratatui::style::{Color, Modifier, Style};

/// What people's names are written in. White and black may be the ground.
const NAMES: &[Color] = &[
    Color::Green,
    Color::Yellow,
    Color::Blue,
    Color::Magenta,
    Color::Cyan,
    Color::LightRed,
    Color::LightBlue,
    Color::LightMagenta,
];

/// The styles of what is drawn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Palette {
    has_colors: bool,
}

impl Palette {
    pub(super) fn of_environment() -> Palette {
        Palette { has_colors: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) }
    }

    #[cfg(test)]
    pub(super) const fn plain() -> Palette {
        Palette { has_colors: false }
    }

    pub(super) const fn dim(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    pub(super) const fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// Of a bar over the whole width.
    pub(super) const fn bar(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    pub(super) const fn unread(self) -> Style {
        self.colored(self.strong(), Color::Yellow)
    }

    pub(super) const fn failed(self) -> Style {
        self.colored(self.strong(), Color::Red)
    }

    pub(super) const fn online(self) -> Style {
        self.colored(Style::new(), Color::Green)
    }

    /// Always the same for a user, whoever looks.
    pub(super) fn name(self, user: &UserId, is_own: bool) -> Style {
        // FNV-1a, of 32 bits.
        let hash = user
            .as_str()
            .bytes()
            .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
        let color = NAMES.iter().cycle().nth(hash as usize % NAMES.len());
        let style = if is_own { self.strong() } else { Style::new() };
        self.colored(style, color.copied().unwrap_or_default())
    }

    const fn colored(self, style: Style, color: Color) -> Style {
        if self.has_colors { style.fg(color) } else { style }
    }
}

#[cfg(test)]
mod tests {
    use super::super::for_tests::user;
    use super::*;

    #[test]
    fn a_name_keeps_its_color_and_without_colors_there_is_none() {
        let colored = Palette { has_colors: true };
        let of = |name: &str| colored.name(&user(name), false).fg;
        assert_eq!(of("ada"), of("ada"));
        let different = ["ada", "bob", "cy", "dora", "emil"].map(of);
        assert!(different.iter().any(|color| *color != of("ada")), "{different:?}");
        let plain = Palette::plain();
        assert_eq!(plain.name(&user("ada"), true), plain.strong());
        assert_eq!((plain.failed().fg, plain.unread().fg), (None, None));
    }
}
