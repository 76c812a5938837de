//! Whose bytes are kept, and of whom some may go.

use super::held::Holder;
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of what is kept for one, and how many of them stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct KeptBytes {
    pub(super) all: usize,
    pub(super) fixed: usize,
}

impl KeptBytes {
    /// What may go.
    pub(super) fn loose(self) -> usize {
        self.all - self.fixed
    }

    fn changed(self, before: KeptBytes, after: KeptBytes) -> KeptBytes {
        let (all, fixed) = (self.all - before.all, self.fixed - before.fixed);
        KeptBytes { all: all + after.all, fixed: fixed + after.fixed }
    }
}

/// Those of everybody. A change takes time in proportion to the logarithm of the number of holders.
#[derive(Debug, Default)]
pub(super) struct HeldBytes {
    held: BTreeMap<Holder, KeptBytes>,
    total: KeptBytes,
    /// Those of whom some may go, by what they have.
    loose: BTreeSet<(usize, Holder)>,
}

impl HeldBytes {
    /// Of what is kept for a holder, something is another now than before.
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
        if was.loose() > 0 {
            self.loose.remove(&(was.all, holder));
        }
        if is.loose() > 0 {
            self.loose.insert((is.all, holder));
        }
    }

    pub(super) fn of(&self, holder: Holder) -> KeptBytes {
        self.held.get(&holder).copied().unwrap_or_default()
    }

    pub(super) fn total(&self) -> KeptBytes {
        self.total
    }

    /// Those of whom some may go, and what they have: whoever has most first.
    pub(super) fn largest_first(&self) -> impl Iterator<Item = (Holder, usize)> {
        self.loose.iter().rev().map(|(all, holder)| (*holder, *all))
    }
}
