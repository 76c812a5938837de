//! A list that usually has one item, such as a user's connections or rooms. It allocates only from
//! the second item on.

/// A list optimized for at most one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmallList<T>(Inner<T>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Inner<T> {
    None,
    One(T),
    // Boxed again, so that the common case is the size of a pointer and not of a `Vec`.
    #[allow(clippy::box_collection)]
    Many(Box<Vec<T>>),
}

// Not derived, because that would require `T: Default`.
impl<T> Default for SmallList<T> {
    fn default() -> SmallList<T> {
        SmallList::new()
    }
}

impl<T> SmallList<T> {
    /// An empty list.
    #[must_use]
    pub const fn new() -> SmallList<T> {
        SmallList(Inner::None)
    }

    /// The items, in the order in which they were added.
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

    /// Keeps only the items for which `keep` is true.
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
            let (mut small, mut list) = (SmallList::new(), Vec::new());
            for (adds, item) in steps {
                if adds {
                    small.push(item);
                    list.push(item);
                } else {
                    small.retain(|one| *one != item);
                    list.retain(|one| *one != item);
                }
                prop_assert_eq!(small.as_slice(), &list);
            }
        }
    }

    #[test]
    fn one_item_is_held_without_memory_of_its_own() {
        assert!(
            size_of::<SmallList<u32>>() <= 16 && size_of::<SmallList<crate::base::ConnId>>() <= 16
        );
    }
}
