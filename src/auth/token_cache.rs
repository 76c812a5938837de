//! A cache of verified tokens, so that a repeated token costs no signature check.

use super::{Claims, TokenError};
use crate::base::Timestamp;
use crate::base::limits::{TOKEN_CACHE_BYTES_MAX, TOKEN_CACHE_MAX, TOKEN_CACHE_MS};
use aws_lc_rs::digest::{SHA256, digest};
use std::collections::BTreeMap;
use std::fmt;

/// The SHA-256 of a token. Nobody can find a second token with the same hash.
type Hash = [u8; 32];

/// The content of tokens verified lately with one set of keys. Valid and invalid tokens are
/// separate, so that invalid ones never displace valid ones. Times, audience and revocations are
/// not cached: they are checked each time.
#[derive(Clone, Default)]
pub(super) struct TokenCache {
    good: RecentTokens<Claims>,
    bad: RecentTokens<TokenError>,
}

impl TokenCache {
    /// The cached result for a token, if there is one.
    pub(super) fn find(&self, hash: &Hash, now: Timestamp) -> Option<Result<Claims, TokenError>> {
        let good = self.good.find(hash, now).map(|claims| Ok(claims.clone()));
        good.or_else(|| self.bad.find(hash, now).map(|error| Err(*error)))
    }

    /// Caches the result for a token of this many bytes.
    pub(super) fn put(
        &mut self,
        hash: Hash,
        bytes: usize,
        result: &Result<Claims, TokenError>,
        now: Timestamp,
    ) {
        match result {
            Ok(claims) => self.good.put(hash, bytes, claims.clone(), now),
            Err(error) => self.bad.put(hash, HASH_BYTES, *error, now),
        }
    }
}

const HASH_BYTES: usize = 32;

/// The cache key of a token.
pub(super) fn hash(token: &str) -> Option<Hash> {
    digest(&SHA256, token.as_bytes()).as_ref().try_into().ok()
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenCache(…)")
    }
}

/// Results of the last [`TOKEN_CACHE_MS`] and some of the time before, in two halves. The older half
/// is dropped as a whole.
#[derive(Clone)]
struct RecentTokens<T> {
    young: BTreeMap<Hash, T>,
    old: BTreeMap<Hash, T>,
    since: Timestamp,
    /// Bytes of the tokens in the young half.
    bytes: usize,
}

impl<T> Default for RecentTokens<T> {
    fn default() -> RecentTokens<T> {
        RecentTokens { young: BTreeMap::new(), old: BTreeMap::new(), since: Timestamp(0), bytes: 0 }
    }
}

impl<T> RecentTokens<T> {
    fn find(&self, hash: &Hash, now: Timestamp) -> Option<&T> {
        let age_ms = now.0.abs_diff(self.since.0);
        let young = self.young.get(hash).filter(|_| age_ms < 2 * TOKEN_CACHE_MS);
        young.or_else(|| self.old.get(hash).filter(|_| age_ms < TOKEN_CACHE_MS))
    }

    fn put(&mut self, hash: Hash, bytes: usize, value: T, now: Timestamp) {
        let age_ms = now.0.abs_diff(self.since.0);
        let is_full =
            self.young.len() >= TOKEN_CACHE_MAX || self.bytes + bytes > TOKEN_CACHE_BYTES_MAX;
        if age_ms >= TOKEN_CACHE_MS || is_full {
            self.old = std::mem::take(&mut self.young);
            if age_ms >= 2 * TOKEN_CACHE_MS {
                self.old.clear();
            }
            (self.since, self.bytes) = (now, 0);
        }
        self.young.insert(hash, value);
        self.bytes += bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp(1_800_000_000_000 + i64::try_from(millis).unwrap())
    }

    #[test]
    fn what_was_judged_is_remembered_for_a_while() {
        let mut recent = RecentTokens::default();
        let one = hash("one").unwrap();
        recent.put(one, 1, 1, at(0));
        assert_eq!(recent.find(&one, at(TOKEN_CACHE_MS)), Some(&1));
        assert_eq!(recent.find(&hash("two").unwrap(), at(0)), None);
        assert_eq!(recent.find(&one, at(2 * TOKEN_CACHE_MS)), None, "nothing came since");
        recent.put(hash("two").unwrap(), 1, 2, at(TOKEN_CACHE_MS));
        assert_eq!(recent.find(&one, at(2 * TOKEN_CACHE_MS - 1)), Some(&1));
        recent.put(hash("three").unwrap(), 1, 3, at(2 * TOKEN_CACHE_MS));
        assert_eq!(recent.find(&one, at(2 * TOKEN_CACHE_MS)), None);
        recent.put(hash("four").unwrap(), 1, 4, at(10 * TOKEN_CACHE_MS));
        assert_eq!(recent.find(&hash("three").unwrap(), at(10 * TOKEN_CACHE_MS)), None);
        recent.put(hash("three").unwrap(), 1, 3, at(10 * TOKEN_CACHE_MS));
        // A clock set back far does not make entries last long.
        assert_eq!(recent.find(&hash("three").unwrap(), at(0)), None);
    }

    #[test]
    fn it_has_a_bound_in_number_and_in_bytes() {
        let mut recent = RecentTokens::default();
        let hash = |number: usize| hash(&number.to_string()).unwrap();
        for number in 0..3 * TOKEN_CACHE_MAX {
            recent.put(hash(number), 1, number, at(0));
            assert!(recent.young.len() <= TOKEN_CACHE_MAX && recent.old.len() <= TOKEN_CACHE_MAX);
        }
        assert_eq!(recent.find(&hash(0), at(0)), None);
        assert_eq!(
            recent.find(&hash(3 * TOKEN_CACHE_MAX - 1), at(0)),
            Some(&(3 * TOKEN_CACHE_MAX - 1))
        );
        for number in 0..10 {
            recent.put(hash(number), TOKEN_CACHE_BYTES_MAX / 3, number, at(0));
            assert!(recent.bytes <= TOKEN_CACHE_BYTES_MAX && recent.young.len() <= 3);
        }
    }
}
