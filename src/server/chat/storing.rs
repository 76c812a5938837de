//! Who may still store something: a user has a quota for each day, and the disk has a reserve.

use super::chat::Chat;
use super::journal::Limited;
use crate::auth::Person;
use crate::base::limits::{NAMED_BYTES_STORED, STORED_BYTES_PER_REQUEST};
use crate::base::rates::{Allowance, Asker};
use crate::base::{
    ConnId, Data, Moment, Origin, Outcome, PublicationId, Record, Refusal, RefusalCode, StreamId,
    StreamRights, Told,
};
use crate::hub::Input;
use crate::hub::streams::Publisher;
use crate::store::RecordStore;
use crate::web::Net;
use crate::wire::error::ErrorReply;
use crate::wire::request::Envelope;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// The last part of the limit's key.
const LIMIT: &str = "stored_bytes_per_day";

/// A day's quota is this many parts, which come back evenly, so many in a second.
const PARTS_PER_SECOND: u32 = 10_000;
const PARTS_PER_DAY: u32 = 24 * 60 * 60 * PARTS_PER_SECOND;
const ALLOWANCE: Allowance =
    Allowance { per_second: PARTS_PER_SECOND, burst: PARTS_PER_DAY, per_minute: 0 };

/// How many parts of a day's quota of `most` bytes some bytes are.
fn parts(bytes: usize, most: u32) -> u32 {
    let parts = (bytes as u64).saturating_mul(PARTS_PER_DAY.into()).div_ceil(most.max(1).into());
    u32::try_from(parts).unwrap_or(u32::MAX)
}

const DISK_IS_FULL: &str = "the server's disk is nearly full: nothing more is stored";
/// Nobody knows when there will be space again.
const DISK_RETRY_MS: u64 = 60_000;

/// Requests that add to the store. Those that only overwrite, such as marks, or remove something
/// always go on.
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

/// About how many bytes a request adds to the store, and whether it has an id, so that it may be a
/// repeat; `None` if it adds nothing.
pub(super) fn stored_bytes(kind: &str, envelope: &Envelope<'_>) -> Option<(usize, bool)> {
    let factor = if kind == "room:create" { NAMED_BYTES_STORED } else { 1 };
    let has_id = kind == "chat:send" && envelope.has("cid");
    let bytes = envelope.raw_payload.len().saturating_mul(factor);
    STORED.contains(&kind).then_some((bytes, has_id))
}

/// What was counted for a request, until it is known whether it added something to the store.
#[derive(Debug)]
enum StorageCharge {
    /// So many parts.
    Parts { payer: Asker, weight: u32 },
    /// Nothing, because the day's quota is used up: only a repeat may pass.
    OverQuota { payer: Asker, limit: u64, retry_after_ms: u64 },
}

/// What users store.
#[derive(Debug, Default)]
pub(super) struct Stored {
    /// For the current request.
    counted: Option<StorageCharge>,
    /// For requests that the hub keeps until it has caught up, in their order; `None` where nothing
    /// was counted. The hub has at most one of a connection or call, and is caught up in the same turn.
    kept: VecDeque<Option<StorageCharge>>,
    /// For records on their way to the store, by ticket: at most `STORE_QUEUE_MAX`.
    in_flight: HashMap<u64, StorageCharge>,
}

impl<S: RecordStore> Chat<S> {
    /// The current request has made this record, which takes over what was counted. Returns what
    /// goes to the store.
    pub(super) fn count_for(&mut self, ticket: u64, record: Record) -> Record {
        let Some(counted) = self.stored.counted.take() else { return record };
        let record = match counted {
            StorageCharge::Parts { .. } => record,
            StorageCharge::OverQuota { limit, retry_after_ms, .. } => {
                Record::Repeat { of: Box::new(record), limit, retry_after_ms }
            }
        };
        self.stored.in_flight.insert(ticket, counted);
        record
    }

    /// The current request has stored nothing: what was counted for it is given back.
    pub(super) fn count_nothing(&mut self) {
        if let Some(StorageCharge::Parts { payer, weight }) = self.stored.counted.take() {
            self.team.stored.give_back(&payer, weight, ALLOWANCE);
        }
    }

    /// The current request is carried out later.
    pub(super) fn keep_count(&mut self) {
        let counted = self.stored.counted.take();
        self.stored.kept.push_back(counted);
    }

    /// From here on, the current request is the one that was kept first.
    pub(super) fn resume_count(&mut self) {
        self.count_nothing();
        self.stored.counted = self.stored.kept.pop_front().flatten();
    }

    /// Gives back what was counted for a record that added nothing, or logs that the quota is used
    /// up.
    pub(super) fn settle_count(&mut self, now: Moment, told: &Told) {
        let counted = told.ticket().and_then(|ticket| self.stored.in_flight.remove(&ticket));
        match (counted, told) {
            (Some(StorageCharge::Parts { payer, weight }), Told::Answer { .. }) => {
                self.team.stored.give_back(&payer, weight, ALLOWANCE);
            }
            (
                Some(StorageCharge::OverQuota { payer, .. }),
                Told::Answer { outcome: Outcome::OverQuota { .. }, .. },
            ) => self.note_too_much(now, &payer, None),
            (Some(_) | None, _) => {}
        }
    }

    fn note_too_much(&mut self, now: Moment, payer: &Asker, conn: Option<ConnId>) {
        let user = match payer {
            Asker::User(user) => Some(user),
            Asker::Address(_) | Asker::Others => None,
        };
        self.note_limited(now, LIMIT, Limited { conn, user, address: None });
    }

    /// Whether the disk has too little space left for all but admins.
    pub(super) fn disk_is_reserved(&self) -> bool {
        let reserve = self.config.limits.disk_reserve_bytes;
        self.store_client.store.space().is_some_and(|space| space.free < reserve)
    }

    /// Publishes an event with these rights. If a durable stream would grow beyond what the user
    /// may store, only a repeat is answered, and anything else is refused.
    pub(super) fn publish(
        &mut self,
        net: &mut Net<'_>,
        origin: Origin,
        rights: StreamRights,
        stream: StreamId,
        data: Data,
        id: Option<Arc<PublicationId>>,
    ) {
        let grows_by = self.hub.streams().grows_on_disk_by(&stream, &rights, data.len());
        if let Some((bytes, person)) = grows_by.zip(self.person(&origin)) {
            // Without an epoch the stream was never published to, so this is no repeat.
            let has_id = id.is_some() && self.hub.streams().epoch(&stream).is_some();
            if self.is_beyond_store(net, &origin, &person, (bytes, has_id)) {
                return;
            }
        }
        let publisher = if let Some(StorageCharge::OverQuota { .. }) = self.stored.counted {
            Publisher::Again(rights)
        } else {
            let holder = self.holder(net, &origin, &rights);
            Publisher::Client(rights, holder)
        };
        self.decide(net, Input::Publish { origin, publisher, stream, data, id });
    }

    /// Counts what a request adds to the store. Returns whether it was refused. If it has an id and
    /// the quota is used up, the store is asked whether it is a repeat.
    pub(super) fn is_beyond_store(
        &mut self,
        net: &mut Net<'_>,
        origin: &Origin,
        person: &Person,
        (bytes, has_id): (usize, bool),
    ) -> bool {
        if !person.is_admin && self.disk_is_reserved() {
            let error = ErrorReply::new(RefusalCode::Unavailable, DISK_IS_FULL);
            self.refuse(net, origin, error.retry_after(DISK_RETRY_MS));
            return true;
        }
        let most = self.limits_for(person).stored_bytes_per_day;
        let Some(payer) = self.payer(net, origin).filter(|_| most > 0) else { return false };
        let weight = parts(bytes.saturating_add(STORED_BYTES_PER_REQUEST), most);
        let taken = self.team.stored.take(payer.clone(), net.now(), weight, ALLOWANCE);
        let Err(held) = taken else {
            self.stored.counted = Some(StorageCharge::Parts { payer, weight });
            return false;
        };
        let (limit, retry_after_ms) = (most.into(), held.wait_ms());
        if has_id {
            self.stored.counted = Some(StorageCharge::OverQuota { payer, limit, retry_after_ms });
            return false;
        }
        self.counters.limited(LIMIT);
        self.note_too_much(net.now(), &payer, origin.conn());
        let refusal =
            Refusal { retry_after_ms: Some(retry_after_ms), ..Refusal::stored_too_much(limit) };
        self.refuse(net, origin, (&refusal).into());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::UserId;
    use crate::base::rates::Rates;

    #[test]
    fn a_day_has_so_many_bytes_however_few_or_many_they_are() {
        for most in [1_000, 86_399, 172_799, 268_435_456, u32::MAX] {
            let rates = Rates::new(1, 1);
            let ada = Asker::User(UserId::parse("ada").unwrap());
            let piece = (most as usize / 100).max(1);
            let mut stored = 0;
            // Tries every half minute, for ten days.
            for tick in 0..10 * 2_880 {
                let now = Moment::from_millis(1 + tick * 30_000);
                if rates.take(ada.clone(), now, parts(piece, most), ALLOWANCE).is_ok() {
                    stored += piece as u64;
                }
            }
            // The quota that is there at once, and that of ten days.
            let due = 11 * u64::from(most);
            assert!(stored <= due && stored >= due / 100 * 95, "{stored} of {due}");
        }
    }
}
