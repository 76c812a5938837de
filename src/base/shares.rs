//! Who holds how much of something that there is for all.

use std::collections::{BTreeMap, BTreeSet};

/// How much each holder has; one that has nothing is not remembered. A change takes time in proportion to the
/// logarithm of the number of holders.
#[derive(Clone, Debug)]
pub struct Shares<K> {
    held: BTreeMap<K, u64>,
    by_size: BTreeSet<(u64, K)>,
}

impl<K> Default for Shares<K> {
    fn default() -> Shares<K> {
        Shares { held: BTreeMap::new(), by_size: BTreeSet::new() }
    }
}

impl<K: Ord + Clone> Shares<K> {
    /// A holder has so much more.
    pub fn add(&mut self, holder: &K, amount: u64) {
        let before = self.of(holder);
        self.set(holder, before, before.saturating_add(amount));
    }

    /// A holder has so much less.
    pub fn remove(&mut self, holder: &K, amount: u64) {
        let before = self.of(holder);
        self.set(holder, before, before.saturating_sub(amount));
    }

    /// What a holder has.
    #[must_use]
    pub fn of(&self, holder: &K) -> u64 {
        self.held.get(holder).copied().unwrap_or(0)
    }

    /// Whoever has most, if anybody has something; of several the last one in their order.
    #[must_use]
    pub fn largest(&self) -> Option<(&K, u64)> {
        self.by_size.last().map(|(size, holder)| (holder, *size))
    }

    /// How many have something.
    #[must_use]
    pub fn holders(&self) -> usize {
        self.held.len()
    }

    fn set(&mut self, holder: &K, before: u64, after: u64) {
        if before > 0 {
            self.by_size.remove(&(before, holder.clone()));
        }
        if after > 0 {
            self.by_size.insert((after, holder.clone()));
            self.held.insert(holder.clone(), after);
        } else {
            self.held.remove(holder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against a table that is looked through.
        #[test]
        fn it_knows_who_has_most(steps in prop::collection::vec((0u8..6, 0u64..5, any::<bool>()), 0..80)) {
            let (mut shares, mut model) = (Shares::default(), BTreeMap::<u8, u64>::new());
            for (holder, amount, adds) in steps {
                let held = model.entry(holder).or_default();
                if adds {
                    shares.add(&holder, amount);
                    *held += amount;
                } else {
                    shares.remove(&holder, amount);
                    *held = held.saturating_sub(amount);
                }
                model.retain(|_, held| *held > 0);
                let most = model.iter().max_by_key(|(holder, held)| (**held, **holder));
                prop_assert_eq!(shares.largest(), most.map(|(holder, held)| (holder, *held)));
                prop_assert_eq!(shares.holders(), model.len());
                prop_assert_eq!(shares.by_size.len(), model.len());
                for holder in 0..6 {
                    prop_assert_eq!(shares.of(&holder), model.get(&holder).copied().unwrap_or(0));
                }
            }
        }
    }
}
