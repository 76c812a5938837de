//! A map that usually has few rows, such as a room's members or followers. Few are a list, which has
//! little more room than it needs; many are a tree.

use std::collections::{BTreeMap, btree_map};
use std::ops::Bound;
use std::slice;

/// A list has at most so many rows. A tree that comes to have half of them becomes a list.
const LISTED_MAX: usize = 128;

/// A map in the order of its keys.
#[derive(Clone, Debug)]
pub struct SmallMap<K, V>(Rows<K, V>);

#[derive(Clone, Debug)]
enum Rows<K, V> {
    List(Vec<(K, V)>),
    // Boxed, so that the map is no larger than a list.
    #[allow(clippy::box_collection)]
    Tree(Box<BTreeMap<K, V>>),
}

// Not derived, because that would require `K: Default` and `V: Default`.
impl<K, V> Default for SmallMap<K, V> {
    fn default() -> SmallMap<K, V> {
        SmallMap::new()
    }
}

impl<K, V> SmallMap<K, V> {
    /// An empty map.
    #[must_use]
    pub const fn new() -> SmallMap<K, V> {
        SmallMap(Rows::List(Vec::new()))
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Rows::List(rows) => rows.len(),
            Rows::Tree(rows) => rows.len(),
        }
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes room for so many more, if they are few.
    pub fn reserve(&mut self, more: usize) {
        if let Rows::List(rows) = &mut self.0
            && rows.len().saturating_add(more) <= LISTED_MAX
        {
            rows.reserve_exact(more);
        }
    }

    /// Removes all rows.
    pub fn clear(&mut self) {
        self.0 = Rows::List(Vec::new());
    }

    /// The values, in the order of their keys.
    #[must_use]
    pub fn into_values(self) -> Vec<V> {
        match self.0 {
            Rows::List(rows) => rows.into_iter().map(|(_, value)| value).collect(),
            Rows::Tree(rows) => rows.into_values().collect(),
        }
    }

    /// The values, in the order of their keys.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        let (listed, grown) = match &mut self.0 {
            Rows::List(rows) => (Some(rows.iter_mut().map(|(_, value)| value)), None),
            Rows::Tree(rows) => (None, Some(rows.values_mut())),
        };
        listed.into_iter().flatten().chain(grown.into_iter().flatten())
    }
}

impl<K: Ord, V> SmallMap<K, V> {
    /// A value.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        match &self.0 {
            Rows::List(rows) => rows.get(place(rows, key).ok()?).map(|(_, value)| value),
            Rows::Tree(rows) => rows.get(key),
        }
    }

    /// A value.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        match &mut self.0 {
            Rows::List(rows) => {
                let place = place(rows, key).ok()?;
                rows.get_mut(place).map(|(_, value)| value)
            }
            Rows::Tree(rows) => rows.get_mut(key),
        }
    }

    /// Whether there is a row of this key.
    #[must_use]
    pub fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// Adds a row, or replaces its value. Returns the one before.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match &mut self.0 {
            Rows::List(rows) => match place(rows, &key) {
                Ok(place) => rows.get_mut(place).map(|(_, old)| std::mem::replace(old, value)),
                Err(_) if rows.len() >= LISTED_MAX => {
                    let mut tree: BTreeMap<K, V> = std::mem::take(rows).into_iter().collect();
                    tree.insert(key, value);
                    self.0 = Rows::Tree(Box::new(tree));
                    None
                }
                Err(place) => {
                    if rows.len() == rows.capacity() {
                        rows.reserve_exact(1 + rows.len() / 8);
                    }
                    rows.insert(place, (key, value));
                    None
                }
            },
            Rows::Tree(rows) => rows.insert(key, value),
        }
    }

    /// Removes a row. Returns its value.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        match &mut self.0 {
            Rows::List(rows) => {
                let (_, value) = rows.remove(place(rows, key).ok()?);
                if rows.len() < rows.capacity() / 2 {
                    rows.shrink_to(rows.len() + rows.len() / 8);
                }
                Some(value)
            }
            Rows::Tree(rows) => {
                let removed = rows.remove(key);
                if rows.len() <= LISTED_MAX / 2 {
                    self.0 = Rows::List(std::mem::take(&mut **rows).into_iter().collect());
                }
                removed
            }
        }
    }

    /// The rows after a key; all of them without one.
    #[must_use]
    pub fn following(&self, after: Option<&K>) -> Following<'_, K, V> {
        match &self.0 {
            Rows::List(rows) => {
                let start = after.map_or(0, |after| rows.partition_point(|(key, _)| key <= after));
                Following::List(rows.get(start..).unwrap_or_default().iter())
            }
            Rows::Tree(rows) => {
                let start = after.map_or(Bound::Unbounded, Bound::Excluded);
                Following::Tree(rows.range::<K, _>((start, Bound::Unbounded)))
            }
        }
    }

    /// The rows.
    #[must_use]
    pub fn iter(&self) -> Following<'_, K, V> {
        self.following(None)
    }

    /// The keys.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }

    /// The values, in the order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }
}

/// Where a key is in a list, or would be.
fn place<K: Ord, V>(rows: &[(K, V)], key: &K) -> Result<usize, usize> {
    rows.binary_search_by(|(one, _)| one.cmp(key))
}

/// Rows in the order of their keys.
#[derive(Debug)]
pub enum Following<'a, K, V> {
    /// Of a list.
    List(slice::Iter<'a, (K, V)>),
    /// Of a tree.
    Tree(btree_map::Range<'a, K, V>),
}

impl<'a, K, V> Iterator for Following<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<(&'a K, &'a V)> {
        match self {
            Following::List(rows) => rows.next().map(|(key, value)| (key, value)),
            Following::Tree(rows) => rows.next(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn it_is_no_larger_than_a_list() {
        assert_eq!(size_of::<SmallMap<u64, u64>>(), size_of::<Vec<u64>>());
    }

    proptest! {
        /// Against a tree, across the border between a list and a tree in both directions.
        #[test]
        fn it_has_what_a_tree_has(
            steps in proptest::collection::vec((0u8..8, 0u16..200), 0..2_000),
            adds_first in any::<bool>(),
        ) {
            let (mut map, mut model) = (SmallMap::new(), BTreeMap::new());
            let half = steps.len() / 2;
            for (number, (die, key)) in steps.into_iter().enumerate() {
                map.reserve(usize::from(key % 7));
                // In one half of the steps more are added, in the other more are removed.
                if (die == 0) != ((number < half) == adds_first) {
                    prop_assert_eq!(map.insert(key, number), model.insert(key, number));
                } else {
                    prop_assert_eq!(map.remove(&key), model.remove(&key));
                }
                prop_assert_eq!(map.get(&key), model.get(&key));
                prop_assert_eq!(map.contains_key(&key), model.contains_key(&key));
                prop_assert_eq!((map.len(), map.is_empty()), (model.len(), model.is_empty()));
                prop_assert!(map.following(Some(&key)).eq(model.range(key + 1..)));
                if let Some(value) = map.get_mut(&key) {
                    *value += 1;
                    *model.get_mut(&key).unwrap() += 1;
                }
            }
            prop_assert!(map.iter().eq(&model));
            prop_assert!(map.keys().eq(model.keys()) && map.values().eq(model.values()));
            prop_assert!(map.values_mut().eq(model.values_mut()));
            prop_assert!(map.clone().into_values().iter().eq(model.values()));
            map.clear();
            prop_assert!(map.is_empty());
        }
    }
}
