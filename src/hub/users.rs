//! All users that a hub knows, by their index and by their id.

use super::user::{User, UserIx};
use crate::base::{SeededHash, UserId};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use slab::Slab;
use std::hash::BuildHasher;
use std::ops::{Index, IndexMut};

/// Users. Of each, the table by ids has the index alone: the id is the user's.
#[derive(Debug)]
pub(super) struct Users {
    all: Slab<User>,
    by_id: HashTable<UserIx>,
    hash: SeededHash,
}

impl Users {
    pub(super) fn new(hash: SeededHash) -> Users {
        Users { all: Slab::new(), by_id: HashTable::new(), hash }
    }

    pub(super) fn len(&self) -> usize {
        self.all.len().max(self.by_id.len())
    }

    pub(super) fn ix(&self, id: &UserId) -> Option<UserIx> {
        let is_it = |ix: &UserIx| self[*ix].id == *id;
        self.by_id.find(self.hash.hash_one(id), is_it).copied()
    }

    pub(super) fn get(&self, id: &UserId) -> Option<&User> {
        self.ix(id).map(|ix| &self[ix])
    }

    /// The index of a user, who is added if unknown.
    pub(super) fn ix_or_new(&mut self, id: &UserId) -> UserIx {
        let Users { all, by_id, hash } = self;
        let of = |ix: &UserIx| hash.hash_one(&all[*ix].id);
        match by_id.entry(hash.hash_one(id), |ix| all[*ix].id == *id, of) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(place) => {
                let ix = UserIx(all.insert(User::new(id.clone())) as u32);
                place.insert(ix);
                ix
            }
        }
    }

    /// Forgets a user.
    pub(super) fn remove(&mut self, ix: UserIx) {
        let hash = self.hash.hash_one(&self[ix].id);
        if let Ok(place) = self.by_id.find_entry(hash, |one| *one == ix) {
            place.remove();
        }
        self.all.remove(ix.0 as usize);
    }
}

impl Index<UserIx> for Users {
    type Output = User;

    fn index(&self, ix: UserIx) -> &User {
        &self.all[ix]
    }
}

impl IndexMut<UserIx> for Users {
    fn index_mut(&mut self, ix: UserIx) -> &mut User {
        &mut self.all[ix]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_id_until_forgotten_however_many_there_are() {
        let mut users = Users::new(SeededHash::new(1));
        let id = |n: usize| UserId::parse(&format!("u{n}")).unwrap();
        let all: Vec<UserIx> = (0..1_000).map(|n| users.ix_or_new(&id(n))).collect();
        for (n, ix) in all.iter().enumerate() {
            assert_eq!((users.ix(&id(n)), users.ix_or_new(&id(n))), (Some(*ix), *ix));
            assert_eq!(users[*ix].id, id(n));
        }
        for ix in all.iter().step_by(2) {
            users.remove(*ix);
        }
        assert_eq!(users.len(), 500);
        for n in 0..1_000 {
            assert_eq!(users.get(&id(n)).is_some(), n % 2 == 1, "{n}");
        }
        // Indexes are used again.
        let new = users.ix_or_new(&id(2_000));
        assert!(all.contains(&new) && users.get(&id(2_000)).is_some());
        assert_eq!(users.ix(&id(0)), None);
    }
}
