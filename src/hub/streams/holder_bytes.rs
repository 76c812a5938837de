//! Counts kept bytes by holder, and whose may be dropped.

use super::holdings::Holder;
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of kept events, and how many of them stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct KeptBytes {
    pub(super) all: usize,
    pub(super) fixed: usize,
}

impl KeptBytes {
    pub(super) fn droppable(self) -> usize {
        self.all - self.fixed
    }

    fn changed(self, before: KeptBytes, after: KeptBytes) -> KeptBytes {
        let (all, fixed) = (self.all - before.all, self.fixed - before.fixed);
        KeptBytes { all: all + after.all, fixed: fixed + after.fixed }
    }
}

/// The bytes of all holders. A change takes time in proportion to the logarithm of the number of
/// holders.
#[derive(Debug, Default)]
pub(super) struct HolderBytes {
    held: BTreeMap<Holder, KeptBytes>,
    total: KeptBytes,
    /// Holders with droppable bytes, by all that they have.
    droppable: BTreeSet<(usize, Holder)>,
}

impl HolderBytes {
    /// Replaces `before` by `after` in a holder's bytes.
    pub(super) fn change(&mut self, holder: Holder, before: KeptBytes, after: KeptBytes) {
        if before == after {
            return;
        }
        self.total = self.total.changed(before, after);
        let held = self.held.entry(holder).or_default();
        let was = *held;
        *held = was.changed(before, after);
        let is = *held;
        if is == KeptBytes::default() {
            self.held.remove(&holder);
        }
        if was.droppable() > 0 {
            self.droppable.remove(&(was.all, holder));
        }
        if is.droppable() > 0 {
            self.droppable.insert((is.all, holder));
        }
    }

    pub(super) fn of(&self, holder: Holder) -> KeptBytes {
        self.held.get(&holder).copied().unwrap_or_default()
    }

    pub(super) fn total(&self) -> KeptBytes {
        self.total
    }

    /// The holders with droppable bytes and what they have, largest first.
    pub(super) fn largest_first(&self) -> impl Iterator<Item = (Holder, usize)> {
        self.droppable.iter().rev().map(|(all, holder)| (*holder, *all))
    }
}
