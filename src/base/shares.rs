//! Counts who holds how much of a shared resource.

use std::collections::{BTreeMap, BTreeSet};

/// How much each holder has. A holder with nothing is not stored. A change takes time in proportion
/// to the logarithm of the number of holders.
#[derive(Clone, Debug)]
pub struct Shares<K> {
    held: BTreeMap<K, u64>,
    by_size: BTreeSet<(u64, K)>,
    total: u64,
}

impl<K> Default for Shares<K> {
    fn default() -> Shares<K> {
        Shares { held: BTreeMap::new(), by_size: BTreeSet::new(), total: 0 }
    }
}

impl<K: Ord + Clone> Shares<K> {
    /// Adds to a holder's amount.
    pub fn add(&mut self, holder: &K, amount: u64) {
        let before = self.of(holder);
        self.set(holder, before, before.saturating_add(amount));
    }

    /// Subtracts from a holder's amount.
    pub fn remove(&mut self, holder: &K, amount: u64) {
        let before = self.of(holder);
        self.set(holder, before, before.saturating_sub(amount));
    }

    /// A holder's amount.
    #[must_use]
    pub fn of(&self, holder: &K) -> u64 {
        self.held.get(holder).copied().unwrap_or(0)
    }

    /// The amount of all holders.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Whether a holder may have one more of `max`: only while they have less than is free. So the
    /// first holder leaves half to the others, the next one half of that, and something is always
    /// left for one more. (Buffers of switches use this rule as "dynamic thresholds".)
    #[must_use]
    pub fn may_add(&self, holder: &K, max: u64) -> bool {
        self.of(holder) < max.saturating_sub(self.total)
    }

    /// The holder with most, if anybody has something; among equals the last in order.
    #[must_use]
    pub fn largest(&self) -> Option<(&K, u64)> {
        self.by_size.last().map(|(size, holder)| (holder, *size))
    }

    /// All holders, the largest first.
    pub fn largest_first(&self) -> impl Iterator<Item = (&K, u64)> {
        self.by_size.iter().rev().map(|(size, holder)| (holder, *size))
    }

    /// The number of holders.
    #[must_use]
    pub fn holders(&self) -> usize {
        self.held.len()
    }

    fn set(&mut self, holder: &K, before: u64, after: u64) {
        if before == after {
            return;
        }
        self.total = self.total.saturating_sub(before).saturating_add(after);
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

    #[test]
    fn whoever_comes_leaves_as_much_as_they_take() {
        let mut shares = Shares::default();
        let takes: Vec<u64> = ["a", "b", "c", "d"]
            .iter()
            .map(|holder| {
                while shares.may_add(holder, 16) {
                    shares.add(holder, 1);
                }
                shares.of(holder)
            })
            .collect();
        assert_eq!(takes, [8, 4, 2, 1]);
        shares.remove(&"a", 8);
        assert!(shares.may_add(&"d", 16), "what was given back can be taken again");
        assert!(Shares::default().may_add(&"a", 1) && !Shares::default().may_add(&"a", 0));
    }

    proptest! {
        /// Each holder that asks gets at least half of a fair share, whatever the others hold, as
        /// soon as each place was given back once.
        #[test]
        fn nobody_is_kept_from_half_of_a_fair_share(
            places in 4u64..64,
            greedy in 1u8..12,
            order in prop::collection::vec(any::<prop::sample::Index>(), 600),
        ) {
            let (mut shares, modest) = (Shares::default(), greedy);
            let mut held = Vec::new();
            let mut had = 0;
            for (step, index) in order.iter().enumerate() {
                // The modest holder comes when all others have what they could get. Who gives back
                // is random.
                let comers = if step < 200 { greedy } else { greedy + 1 };
                for turn in 0..comers {
                    let comer = (turn + index.index(usize::from(comers)) as u8) % comers;
                    if shares.may_add(&comer, places) {
                        shares.add(&comer, 1);
                        held.push(comer);
                    }
                }
                had = had.max(shares.of(&modest));
                prop_assert!(shares.total() <= places);
                let back = held.swap_remove(index.index(held.len()));
                shares.remove(&back, 1);
            }
            let fair = places / (u64::from(greedy) + 1);
            prop_assert!(had >= (fair / 2).max(1).min(places), "{had} of {fair}");
        }

        /// Against a table that is searched.
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
                prop_assert_eq!(shares.total(), model.values().sum::<u64>());
                for holder in 0..6 {
                    prop_assert_eq!(shares.of(&holder), model.get(&holder).copied().unwrap_or(0));
                }
            }
        }
    }
}
