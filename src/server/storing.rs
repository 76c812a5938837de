//! Who may still store something: what a user stores in a day has a bound, and what the disk has left a reserve.

use super::chat::Chat;
use super::dispatch::Person;
use super::error::ErrorDetail;
use super::journal::Limited;
use super::rates::{Allowance, Asker, Rates};
use super::web::Net;
use crate::base::limits::{NAMED_BYTES_STORED, STORED_BYTES_PER_REQUEST, STORERS_MAX};
use crate::base::{Outcome, StreamId};
use crate::hub::Origin;
use crate::hub::streams::StreamRights;
use crate::store::Backend;
use std::collections::HashMap;

/// The last part of the limit's key.
const LIMIT: &str = "stored_bytes_per_day";

/// What a user may store in a day is so many parts, which come back evenly, so many in a second.
const PARTS_PER_SECOND: u32 = 10_000;
const PARTS_PER_DAY: u32 = 24 * 60 * 60 * PARTS_PER_SECOND;
const ALLOWANCE: Allowance =
    Allowance { per_second: PARTS_PER_SECOND, burst: PARTS_PER_DAY, per_minute: 0 };

/// How many parts of a day's bytes some bytes are.
fn parts(bytes: usize, most: u32) -> u32 {
    let parts = (bytes as u64).saturating_mul(PARTS_PER_DAY.into()).div_ceil(most.max(1).into());
    u32::try_from(parts).unwrap_or(u32::MAX)
}

const TOO_MUCH: &str = "you have stored as much as one may in a day";
const DISK_IS_FULL: &str = "the server's disk is nearly full: nothing more is stored";
/// Nobody knows when somebody will have made room.
const DISK_RETRY_MS: u64 = 60_000;

/// Requests that add to the store. What only overwrites, as a mark, and what takes away goes on.
const STORED: &[&str] = &[
    "chat:edit",
    "chat:react",
    "chat:send",
    "room:ban",
    "room:create",
    "room:invite",
    "room:join",
    "room:update",
];

/// About how many bytes a request adds to the store, with so many of payload; none that adds nothing.
pub(super) fn stored_bytes(kind: &str, bytes: usize) -> Option<usize> {
    let factor = if kind == "room:create" { NAMED_BYTES_STORED } else { 1 };
    STORED.contains(&kind).then_some(bytes.saturating_mul(factor))
}

/// What was counted for a request, until it is known whether it has added something to the store.
#[derive(Debug)]
struct Counted {
    payer: Asker,
    weight: u32,
}

/// What everybody stores.
#[derive(Debug)]
pub(super) struct Stored {
    rates: Rates,
    /// For the request in hand.
    counted: Option<Counted>,
    /// For records that are on their way to the store, by their tickets: no more than `STORE_QUEUE_MAX`.
    at_store: HashMap<u64, Counted>,
}

impl Stored {
    pub(super) fn new(seed: u64) -> Stored {
        let rates = Rates::new(STORERS_MAX, seed);
        Stored { rates, counted: None, at_store: HashMap::new() }
    }
}

/// Whether nothing was added: it was there before, or is refused.
fn adds_nothing(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Message { is_duplicate, .. } | Outcome::Event { is_duplicate, .. } => {
            *is_duplicate
        }
        Outcome::Unchanged { .. }
        | Outcome::Mismatch
        | Outcome::NoSuchMessage
        | Outcome::Forbidden
        | Outcome::Full
        | Outcome::Conflict
        | Outcome::NotMember
        | Outcome::Damaged
        | Outcome::Unavailable
        | Outcome::Overloaded => true,
        // What a room is like, and bans of strangers, come without an entry.
        _ => false,
    }
}

impl<S: Backend> Chat<S> {
    /// What was counted for the request in hand counts for this record.
    pub(super) fn count_for(&mut self, ticket: u64) {
        self.stored.at_store.extend(self.stored.counted.take().map(|counted| (ticket, counted)));
    }

    /// The request in hand has stored nothing: what was counted for it is given back.
    pub(super) fn count_nothing(&mut self) {
        if let Some(Counted { payer, weight }) = self.stored.counted.take() {
            self.stored.rates.give_back(&payer, weight, ALLOWANCE);
        }
    }

    /// What was counted for a record is given back, if it has added nothing.
    pub(super) fn settle_count(&mut self, ticket: u64, outcome: &Outcome) {
        let Some(Counted { payer, weight }) = self.stored.at_store.remove(&ticket) else { return };
        if adds_nothing(outcome) {
            self.stored.rates.give_back(&payer, weight, ALLOWANCE);
        }
    }

    /// Whether the disk has too little left for all but admins.
    pub(super) fn disk_is_reserved(&self) -> bool {
        let reserve = self.config.limits.disk_reserve_bytes;
        self.store.space().is_some_and(|space| space.free < reserve)
    }

    /// The same for a publication, as far as it makes a durable stream larger.
    pub(super) fn publishes_beyond_store(
        &mut self,
        net: &mut Net<'_>,
        origin: &Origin,
        (stream, rights, bytes): (&StreamId, &StreamRights, usize),
    ) -> bool {
        let grows_by = self.hub.streams().grows_on_disk_by(stream, rights, bytes);
        let Some((bytes, person)) = grows_by.zip(self.person(origin)) else { return false };
        self.is_beyond_store(net, origin, &person, bytes)
    }

    /// Counts what a request adds to the store, with so many bytes of payload, or refuses it.
    pub(super) fn is_beyond_store(
        &mut self,
        net: &mut Net<'_>,
        origin: &Origin,
        person: &Person,
        bytes: usize,
    ) -> bool {
        if !person.is_admin && self.disk_is_reserved() {
            let retry_after_ms = Some(DISK_RETRY_MS);
            let detail = ErrorDetail { retry_after_ms, ..ErrorDetail::default() };
            self.refuse_with(net, origin, "unavailable", DISK_IS_FULL, detail);
            return true;
        }
        let most = self.limits_for(person).stored_bytes_per_day;
        let Some(payer) = self.payer(net, origin).filter(|_| most > 0) else { return false };
        let weight = parts(bytes.saturating_add(STORED_BYTES_PER_REQUEST), most);
        let taken = self.stored.rates.take(payer.clone(), net.now(), weight, ALLOWANCE);
        let Err(held) = taken else {
            self.stored.counted = Some(Counted { payer, weight });
            return false;
        };
        self.counters.limited(LIMIT);
        let user = match &payer {
            Asker::User(user) => Some(user),
            Asker::Address(_) | Asker::Others => None,
        };
        self.note_limited(net.now(), LIMIT, Limited { conn: origin.conn(), user, address: None });
        let detail = ErrorDetail {
            limit: Some(most.into()),
            retry_after_ms: Some(held.wait_ms()),
            ..ErrorDetail::default()
        };
        self.refuse_with(net, origin, "quota", TOO_MUCH, detail);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Moment, UserId};

    #[test]
    fn a_day_has_so_many_bytes_however_few_or_many_they_are() {
        for most in [1_000, 86_399, 172_799, 268_435_456, u32::MAX] {
            let mut rates = Rates::new(1, 1);
            let ada = Asker::User(UserId::parse("ada").unwrap());
            let piece = (most as usize / 100).max(1);
            let mut stored = 0;
            // Tries each half minute, for ten days.
            for tick in 0..10 * 2_880 {
                let now = Moment::from_millis(1 + tick * 30_000);
                if rates.take(ada.clone(), now, parts(piece, most), ALLOWANCE).is_ok() {
                    stored += piece as u64;
                }
            }
            // What is there at once, and that of ten days.
            let due = 11 * u64::from(most);
            assert!(stored <= due && stored >= due / 100 * 95, "{stored} of {due}");
        }
    }
}
