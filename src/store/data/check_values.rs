//! Whether a server would take a value.

use crate::base::limits::SHORT_TEXT_BYTES_MAX;

/// A new store's epoch has 16 letters and digits; an embedding program may have another.
const EPOCH_BYTES_MAX: usize = 64;

pub(super) fn is_epoch(epoch: &str) -> bool {
    epoch.len() <= EPOCH_BYTES_MAX && epoch.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The limit is the most that a configuration allows, because another one may have held when the
/// text came.
pub(super) fn is_short(text: &str) -> bool {
    text.len() <= SHORT_TEXT_BYTES_MAX as usize
}

pub(super) fn is_emoji(text: &str) -> bool {
    !text.is_empty() && is_short(text) && !text.chars().any(char::is_control)
}
