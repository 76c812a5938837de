//! Who may still store something: what a user stores in a day has a bound, and what the disk has left a reserve.

use super::chat::Chat;
use super::dispatch::Person;
use super::error::ErrorDetail;
use super::journal::Limited;
use super::rates::{Allowance, Asker};
use super::web::Net;
use crate::base::limits::{NAMED_BYTES_STORED, STORED_BYTES_PER_REQUEST};
use crate::hub::Origin;
use crate::store::Backend;

/// The last part of the limit's key.
const LIMIT: &str = "stored_bytes_per_day";

const DAY_SECONDS: u32 = 24 * 60 * 60;

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

impl<S: Backend> Chat<S> {
    /// Whether the disk has too little left for all but admins.
    pub(super) fn disk_is_reserved(&self) -> bool {
        let reserve = self.config.limits.disk_reserve_bytes;
        self.store.space().is_some_and(|space| space.free < reserve)
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
        let allowance = Allowance { per_second: most / DAY_SECONDS, burst: most, per_minute: 0 };
        let weight = u32::try_from(bytes.saturating_add(STORED_BYTES_PER_REQUEST));
        let taken =
            self.stored.take(payer.clone(), net.now(), weight.unwrap_or(u32::MAX), allowance);
        let Err(held) = taken else { return false };
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
