//! Tables in memory: indexes of their rows, and the rows after a key.

use std::collections::BTreeMap;
use std::ops::Bound;

/// A type of its own for the index of a row in a slab of such rows.
#[allow(unused_macros, reason = "the hub alone has such slabs, and some builds leave it out")]
macro_rules! index_in_slab {
    ($visibility:vis $index:ident, $row:ty) => {
        /// The index of a row in its table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $visibility struct $index($visibility u32);

        impl std::ops::Index<$index> for slab::Slab<$row> {
            type Output = $row;

            fn index(&self, $index(ix): $index) -> &$row {
                &self[ix as usize]
            }
        }

        impl std::ops::IndexMut<$index> for slab::Slab<$row> {
            fn index_mut(&mut self, $index(ix): $index) -> &mut $row {
                &mut self[ix as usize]
            }
        }
    };
}
#[allow(unused_imports, reason = "as above")]
pub(crate) use index_in_slab;

/// The rows after a key, in the order of keys; all of them without one.
pub fn following<'a, K: Ord, V>(
    table: &'a BTreeMap<K, V>,
    after: Option<&K>,
) -> impl Iterator<Item = (&'a K, &'a V)> {
    let start = after.map_or(Bound::Unbounded, Bound::Excluded);
    table.range::<K, _>((start, Bound::Unbounded))
}
