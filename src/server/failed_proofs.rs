//! Who pays for proofs that fail: tokens, codes, cookies and signatures that are wrong.
//!
//! To find out that a signature is wrong costs a hundred times what it costs to send one, and who sends it is
//! nobody yet. So the address pays before the signature is looked at, and has it back if it was good: who proves
//! themselves pays nothing, however many of them share an address.

use super::chat::Chat;
use super::journal::Limited;
use super::rates::{Allowance, Asker, Rates};
use super::web::{Address, Net};
use crate::base::limits::{FAILED_PROOF_ADDRESSES_MAX, REQUESTS_PER_PROOF, SIGNED_BYTES_PER_PROOF};
use crate::base::{Limits, Moment};
use crate::store::Backend;
use std::cell::{Cell, RefCell};

/// The last part of the limit's key.
const LIMIT: &str = "failed_proofs_per_second";

/// The budgets of all addresses.
#[derive(Debug)]
pub(super) struct FailedProofs {
    rates: RefCell<Rates>,
    /// Signatures that were looked at since this was last asked for.
    looked_at: Cell<u32>,
    /// Whether a proof was not looked at since this was last asked for.
    is_over: Cell<bool>,
}

impl FailedProofs {
    pub(super) fn new(seed: u64) -> FailedProofs {
        let rates = RefCell::new(Rates::new(FAILED_PROOF_ADDRESSES_MAX, seed));
        FailedProofs { rates, looked_at: Cell::new(0), is_over: Cell::new(false) }
    }

    /// Who pays for what comes from an address.
    pub(super) fn payer(&self, address: Address, now: Moment, limits: &Limits) -> Payer<'_> {
        let allowance = Allowance {
            per_second: limits.failed_proofs_per_second,
            burst: limits.failed_proofs_burst,
            per_minute: 0,
        };
        Payer { proofs: self, address, now, allowance }
    }

    /// How many signatures were looked at since the last call, and whether one was not, as its address had failed
    /// too often.
    pub(super) fn take_notes(&self) -> (u32, bool) {
        (self.looked_at.take(), self.is_over.take())
    }
}

/// Whoever has sent a proof.
#[derive(Clone, Copy, Debug)]
pub(super) struct Payer<'a> {
    proofs: &'a FailedProofs,
    address: Address,
    now: Moment,
    allowance: Allowance,
}

/// As many proofs of an address have failed as may; another one may come in so many ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooManyFailed(pub(super) u64);

/// What was paid for a proof: lost, unless the proof was good.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub(super) struct Paid {
    weight: u32,
}

impl Payer<'_> {
    /// Pays for a proof that signs so many bytes, before it is looked at.
    pub(super) fn pay(self, signed_bytes: usize) -> Result<Paid, TooManyFailed> {
        let weight = weight(signed_bytes);
        let asker = Asker::Address(self.address);
        let taken = self.proofs.rates.borrow_mut().take(asker, self.now, weight, self.allowance);
        match taken {
            Ok(()) => {
                self.proofs.looked_at.set(self.proofs.looked_at.get().saturating_add(1));
                Ok(Paid { weight })
            }
            Err(held) => {
                self.proofs.is_over.set(true);
                Err(TooManyFailed(held.wait_ms()))
            }
        }
    }

    /// The proof was good.
    pub(super) fn give_back(self, paid: Paid) {
        let asker = Asker::Address(self.address);
        self.proofs.rates.borrow_mut().give_back(&asker, paid.weight, self.allowance);
    }

    /// Whether a proof could be paid for now, if it came.
    pub(super) fn can_pay(self) -> Result<(), TooManyFailed> {
        let weight = weight(0);
        let asker = Asker::Address(self.address);
        let mut rates = self.proofs.rates.borrow_mut();
        match rates.take(asker.clone(), self.now, weight, self.allowance) {
            Ok(()) => {
                rates.give_back(&asker, weight, self.allowance);
                Ok(())
            }
            Err(held) => {
                self.proofs.is_over.set(true);
                Err(TooManyFailed(held.wait_ms()))
            }
        }
    }
}

/// A proof weighs 1, and as much again for each so many bytes that it signs.
fn weight(signed_bytes: usize) -> u32 {
    u32::try_from(signed_bytes / SIGNED_BYTES_PER_PROOF).unwrap_or(u32::MAX).saturating_add(1)
}

impl<S: Backend> Chat<S> {
    /// Takes note of the proofs that were looked at for a request: what they weigh in the turn of its connection, and
    /// whether there was one that was not looked at.
    pub(super) fn note_proofs(&mut self, net: &mut Net<'_>, who: Limited<'_>) -> bool {
        let (looked_at, is_over) = self.failed_proofs.take_notes();
        net.weigh(looked_at as usize * REQUESTS_PER_PROOF);
        if is_over {
            self.counters.limited(LIMIT);
            self.note_limited(net.now(), LIMIT, who);
        }
        is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits { failed_proofs_per_second: 1, failed_proofs_burst: 3, ..Limits::default() }
    }

    fn address(text: &str) -> Address {
        Address::of(text.parse().unwrap())
    }

    #[test]
    fn who_fails_pays_and_who_is_right_does_not() {
        let (proofs, limits) = (FailedProofs::new(0), limits());
        let at = Moment::from_millis;
        let payer = |millis| proofs.payer(address("10.0.0.1"), at(millis), &limits);
        for _ in 0..100 {
            let paid = payer(1_000).pay(0).unwrap();
            payer(1_000).give_back(paid);
        }
        assert_eq!(proofs.take_notes(), (100, false));
        for _ in 0..3 {
            let _ = payer(1_000).pay(0).unwrap();
        }
        assert_eq!(payer(1_000).can_pay(), Err(TooManyFailed(1_000)));
        assert_eq!(payer(1_001).pay(0).unwrap_err(), TooManyFailed(999));
        assert_eq!(proofs.take_notes(), (3, true));
        assert_eq!(proofs.take_notes(), (0, false));
        let other = proofs.payer(address("10.0.0.2"), at(1_001), &limits);
        assert!(other.can_pay().is_ok() && other.pay(0).is_ok());
        assert!(payer(2_000).pay(0).is_ok());
    }

    #[test]
    fn a_proof_of_much_weighs_as_much() {
        let (proofs, limits) = (FailedProofs::new(0), limits());
        let payer = proofs.payer(address("2001:db8::1"), Moment::from_millis(1_000), &limits);
        let _ = payer.pay(SIGNED_BYTES_PER_PROOF).unwrap();
        assert_eq!(payer.pay(SIGNED_BYTES_PER_PROOF).unwrap_err(), TooManyFailed(1_000));
        assert!(payer.pay(SIGNED_BYTES_PER_PROOF - 1).is_ok());
        // What weighs more than a burst passes where nothing has failed.
        let other = proofs.payer(address("10.0.0.2"), Moment::from_millis(1_000), &limits);
        assert!(other.pay(usize::MAX).is_ok());
    }
}
