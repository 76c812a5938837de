//! Who pays for failed proofs: wrong tokens, codes, cookies and signatures.
//!
//! Checking a signature costs a hundred times what sending one costs, and its sender is still
//! unknown. So the address pays before the check and is paid back if the signature was valid.
//! Senders of valid proofs pay nothing, however many share an address.

use crate::base::limits::SIGNED_BYTES_PER_PROOF;
use crate::base::rates::{Allowance, Asker, Rates};
use crate::base::{Address, Limits, Moment};
use std::cell::Cell;
use std::sync::Arc;

/// The last part of the limit's key.
pub(crate) const LIMIT: &str = "failed_proofs_per_second";

/// The budgets of all addresses, for all threads of a server; each thread has its own notes.
#[derive(Debug)]
pub(crate) struct FailedProofs {
    rates: Arc<Rates>,
    /// Signatures checked since the last [`FailedProofs::take_notes`].
    checked: Cell<u32>,
    /// Whether a proof was rejected unchecked since then.
    is_over: Cell<bool>,
}

impl FailedProofs {
    /// With these budgets, and notes of its own.
    pub(crate) fn of(rates: Arc<Rates>) -> FailedProofs {
        FailedProofs { rates, checked: Cell::new(0), is_over: Cell::new(false) }
    }

    /// The payer for an address.
    pub(crate) fn payer(&self, address: Address, now: Moment, limits: &Limits) -> ProofPayer<'_> {
        let allowance = Allowance {
            per_second: limits.failed_proofs_per_second,
            burst: limits.failed_proofs_burst,
            per_minute: 0,
        };
        ProofPayer { proofs: self, address, now, allowance }
    }

    /// How many signatures were checked since the last call, and whether one was rejected unchecked
    /// because its address had failed too often.
    pub(crate) fn take_notes(&self) -> (u32, bool) {
        (self.checked.take(), self.is_over.take())
    }
}

/// The sender of a proof.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProofPayer<'a> {
    proofs: &'a FailedProofs,
    address: Address,
    now: Moment,
    allowance: Allowance,
}

/// The address has reached its limit of failed proofs. It may send another in this many ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooManyFailed(pub(crate) u64);

/// The price of a proof. It is lost unless the proof was valid.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub(crate) struct ProofPrice {
    weight: u32,
}

impl ProofPayer<'_> {
    /// Pays for a proof that signs this many bytes, before it is checked.
    pub(crate) fn pay(self, signed_bytes: usize) -> Result<ProofPrice, TooManyFailed> {
        let price = self.take(weight(signed_bytes))?;
        self.proofs.checked.set(self.proofs.checked.get().saturating_add(1));
        Ok(price)
    }

    /// Whether the address could pay for a proof now.
    pub(crate) fn can_pay(self) -> Result<(), TooManyFailed> {
        self.take(weight(0)).map(|price| self.give_back(price))
    }

    fn take(self, weight: u32) -> Result<ProofPrice, TooManyFailed> {
        let asker = Asker::Address(self.address);
        let taken = self.proofs.rates.take(asker, self.now, weight, self.allowance);
        taken.map(|()| ProofPrice { weight }).map_err(|held| {
            self.proofs.is_over.set(true);
            TooManyFailed(held.wait_ms())
        })
    }

    /// Returns the price of a valid proof.
    pub(crate) fn give_back(self, price: ProofPrice) {
        let asker = Asker::Address(self.address);
        self.proofs.rates.give_back(&asker, price.weight, self.allowance);
    }
}

/// A proof costs 1, and once more for each [`SIGNED_BYTES_PER_PROOF`] that it signs.
fn weight(signed_bytes: usize) -> u32 {
    u32::try_from(signed_bytes / SIGNED_BYTES_PER_PROOF).unwrap_or(u32::MAX).saturating_add(1)
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
        let (proofs, limits) = (FailedProofs::of(Arc::new(Rates::new(8, 0))), limits());
        let at = Moment::from_millis;
        let payer = |millis| proofs.payer(address("10.0.0.1"), at(millis), &limits);
        for _ in 0..100 {
            let price = payer(1_000).pay(0).unwrap();
            payer(1_000).give_back(price);
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
        let (proofs, limits) = (FailedProofs::of(Arc::new(Rates::new(8, 0))), limits());
        let payer = proofs.payer(address("2001:db8::1"), Moment::from_millis(1_000), &limits);
        let _ = payer.pay(SIGNED_BYTES_PER_PROOF).unwrap();
        assert_eq!(payer.pay(SIGNED_BYTES_PER_PROOF).unwrap_err(), TooManyFailed(1_000));
        assert!(payer.pay(SIGNED_BYTES_PER_PROOF - 1).is_ok());
        // A price above a burst passes if nothing has failed.
        let other = proofs.payer(address("10.0.0.2"), Moment::from_millis(1_000), &limits);
        assert!(other.pay(usize::MAX).is_ok());
    }
}
