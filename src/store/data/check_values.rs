//! What a server would not have taken from a client, and hands on to others as it is.

use super::check::Checker;
use super::lines::is_data;
use crate::base::limits::SHORT_TEXT_BYTES_MAX;
use crate::base::{Entry, EntryKind};

/// A new store's epoch has 16 letters and digits; an embedding program may have another.
const EPOCH_BYTES_MAX: usize = 64;

pub(super) fn is_epoch(epoch: &str) -> bool {
    epoch.len() <= EPOCH_BYTES_MAX && epoch.bytes().all(|byte| byte.is_ascii_graphic())
}

/// By what the configuration allows at most: the limits may have been others when it came.
pub(super) fn is_short(text: &str) -> bool {
    text.len() <= SHORT_TEXT_BYTES_MAX as usize
}

fn is_emoji(text: &str) -> bool {
    !text.is_empty() && is_short(text) && !text.chars().any(char::is_control)
}

impl Checker<'_> {
    /// What an entry says.
    pub(super) fn values(&mut self, entry: &Entry) {
        let seq = entry.seq;
        match &entry.kind {
            EntryKind::Message { body, cid, .. } => {
                let broken = || format!("the data of message {seq} are not JSON as it is sent");
                self.rule(body.data.as_ref().is_none_or(|data| is_data(data)), broken);
                if let Some(other) = body.reply_to {
                    self.rule((1..seq).contains(&other), || {
                        format!("message {seq} answers entry {other}, which is not before it")
                    });
                }
                let broken = || format!("the client id of message {seq} is empty or too long");
                self.rule(cid.as_ref().is_none_or(|cid| !cid.is_empty() && is_short(cid)), broken);
            }
            EntryKind::Reacted { emoji, .. } => {
                let what = "is empty, too long, or has control characters";
                self.rule(is_emoji(emoji), || format!("the reaction of entry {seq} {what}"));
            }
            _ => {}
        }
    }
}
