//! A list that mostly has one item: a user's connections, a user's rooms. It owns memory from the
//! second item on.

/// None, one, or a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Few<T>(Inner<T>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Inner<T> {
    None,
    One(T),
    // Boxed once more, so that the common case pays for a pointer and not for a list.
    #[allow(clippy::box_collection)]
    Many(Box<Vec<T>>),
}

// Derived, it would ask for a `Default` of the items.
impl<T> Default for Few<T> {
    fn default() -> Few<T> {
        Few::new()
    }
}

impl<T> Few<T> {
    /// An empty list.
    #[must_use]
    pub const fn new() -> Few<T> {
        Few(Inner::None)
    }

    /// The items, in the order in which they came.
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        match &self.0 {
            Inner::None => &[],
            Inner::One(item) => std::slice::from_ref(item),
            Inner::Many(items) => items,
        }
    }

    /// Adds an item at the end.
    pub fn push(&mut self, item: T) {
        self.0 = match std::mem::replace(&mut self.0, Inner::None) {
            Inner::None => Inner::One(item),
            Inner::One(first) => Inner::Many(Box::new(vec![first, item])),
            Inner::Many(mut items) => {
                items.push(item);
                Inner::Many(items)
            }
        };
    }

    /// Removes the items that `keep` does not keep.
    pub fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.0 = match std::mem::replace(&mut self.0, Inner::None) {
            Inner::One(item) if keep(&item) => Inner::One(item),
            Inner::None | Inner::One(_) => Inner::None,
            Inner::Many(mut items) => {
                items.retain(keep);
                match items.len() {
                    0 => Inner::None,
                    1 => items.pop().map_or(Inner::None, Inner::One),
                    _ => Inner::Many(items),
                }
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_a_list(steps in proptest::collection::vec((any::<bool>(), 0u8..4), 0..20)) {
            let (mut few, mut list) = (Few::new(), Vec::new());
            for (adds, item) in steps {
                if adds {
                    few.push(item);
                    list.push(item);
                } else {
                    few.retain(|one| *one != item);
                    list.retain(|one| *one != item);
                }
                prop_assert_eq!(few.as_slice(), &list);
            }
        }
    }

    #[test]
    fn one_item_is_held_without_memory_of_its_own() {
        assert!(size_of::<Few<u32>>() <= 16 && size_of::<Few<crate::base::ConnId>>() <= 16);
    }
}
