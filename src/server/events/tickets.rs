//! Tickets admit an `EventSource`, which cannot send headers, without a token in an address.

use crate::auth::{Identity, Verifier};
use crate::base::limits::{TICKET_MS, TICKETS_MAX, TICKETS_PER_ADDRESS_MAX, TICKETS_PER_USER_MAX};
use crate::base::{Address, Moment, Shares, Timestamp, UserId};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Precedes a ticket, so that it is not taken for a token.
const PREFIX: &str = "ticket.";

/// Tickets that were given out and not used. Each user and each address has a maximum; beyond it
/// their oldest goes.
#[derive(Debug, Default)]
pub(crate) struct Tickets {
    /// By number, in the order of their ends.
    given: BTreeMap<u64, IssuedTicket>,
    numbers: HashMap<Box<str>, u64>,
    of_users: BTreeMap<UserId, BTreeSet<u64>>,
    of_addresses: BTreeMap<Address, BTreeSet<u64>>,
    addresses: Shares<Address>,
    next: u64,
}

#[derive(Debug)]
struct IssuedTicket {
    ticket: Box<str>,
    identity: Identity,
    address: Address,
    end: Moment,
}

impl Tickets {
    /// How many were given out and not used.
    pub(crate) fn len(&self) -> usize {
        self.given.len()
    }

    /// Gives somebody at an address a ticket, valid once and for [`TICKET_MS`]. If the user or the
    /// address has its maximum, its oldest ticket goes; if there are [`TICKETS_MAX`] in all, the
    /// oldest of the address that has most. Also returns whether a ticket went. Nobody must be able
    /// to guess `secret`.
    pub(crate) fn give(
        &mut self,
        identity: Identity,
        address: Address,
        now: Moment,
        secret: u128,
    ) -> (String, bool) {
        self.forget(now);
        let user = identity.user.clone();
        let mut is_beyond = false;
        let of_user = self.of_users.get(&user);
        if of_user.is_some_and(|own| own.len() >= TICKETS_PER_USER_MAX) {
            is_beyond |= self.take(of_user.and_then(|own| own.first().copied())).is_some();
        }
        if self.addresses.of(&address) >= TICKETS_PER_ADDRESS_MAX as u64 {
            is_beyond |= self.take(self.oldest_of(&address)).is_some();
        }
        if self.given.len() >= TICKETS_MAX {
            let busiest = self.addresses.largest().map(|(address, _)| *address);
            let oldest = busiest.and_then(|address| self.oldest_of(&address));
            is_beyond |= self.take(oldest).is_some();
        }
        let ticket = format!("{PREFIX}{secret:032x}");
        let number = self.next;
        self.next += 1;
        self.numbers.insert(ticket.as_str().into(), number);
        self.of_users.entry(user).or_default().insert(number);
        self.of_addresses.entry(address).or_default().insert(number);
        self.addresses.add(&address, 1);
        let end = now.plus_millis(TICKET_MS);
        let given = IssuedTicket { ticket: ticket.as_str().into(), identity, address, end };
        self.given.insert(number, given);
        (ticket, is_beyond)
    }

    /// Whether a token is a ticket, valid or not.
    pub(crate) fn is_one(token: &str) -> bool {
        token.starts_with(PREFIX)
    }

    /// The owner of a ticket, which is used up. `None` if the owner's identity has expired or is
    /// revoked.
    pub(crate) fn redeem(
        &mut self,
        ticket: &str,
        (now, timestamp): (Moment, Timestamp),
        verifier: &Verifier,
    ) -> Option<Identity> {
        self.forget(now);
        let number = self.numbers.get(ticket).copied();
        let identity = self.take(number)?.identity;
        is_still_valid(&identity, timestamp, verifier).then_some(identity)
    }

    /// The owner of a ticket, which stays valid. `None` as for [`Tickets::redeem`].
    pub(crate) fn owner(
        &mut self,
        ticket: &str,
        (now, timestamp): (Moment, Timestamp),
        verifier: &Verifier,
    ) -> Option<&Identity> {
        self.forget(now);
        let identity = &self.given.get(self.numbers.get(ticket)?)?.identity;
        is_still_valid(identity, timestamp, verifier).then_some(identity)
    }

    fn oldest_of(&self, address: &Address) -> Option<u64> {
        self.of_addresses.get(address)?.first().copied()
    }

    fn take(&mut self, number: Option<u64>) -> Option<IssuedTicket> {
        let number = number?;
        let given = self.given.remove(&number)?;
        self.numbers.remove(&given.ticket);
        self.addresses.remove(&given.address, 1);
        let user = &given.identity.user;
        take_from(&mut self.of_users, user, number);
        take_from(&mut self.of_addresses, &given.address, number);
        Some(given)
    }

    fn forget(&mut self, now: Moment) {
        while let Some((number, given)) = self.given.first_key_value()
            && given.end <= now
        {
            self.take(Some(*number));
        }
    }
}

fn take_from<K: Ord>(of: &mut BTreeMap<K, BTreeSet<u64>>, holder: &K, number: u64) {
    if let Some(numbers) = of.get_mut(holder) {
        numbers.remove(&number);
        if numbers.is_empty() {
            of.remove(holder);
        }
    }
}

fn is_still_valid(identity: &Identity, timestamp: Timestamp, verifier: &Verifier) -> bool {
    let is_over = identity.expires().is_some_and(|expires| expires < timestamp);
    let (user, jti) = (&identity.user, identity.jti().map(|jti| &**jti));
    // In open mode there is no token to revoke.
    let is_revoked =
        !verifier.is_open() && verifier.revocations().is_revoked(user, jti, identity.issued());
    !is_over && !is_revoked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Expected, Keys, TokenFacts};
    use crate::base::StreamRights;
    use std::sync::Arc;

    fn identity(name: &str) -> Identity {
        Identity::without_token(UserId::parse(name).unwrap(), StreamRights::default())
    }

    fn at(millis: u64) -> (Moment, Timestamp) {
        (Moment::from_millis(millis), Timestamp(0))
    }

    #[test]
    fn a_ticket_is_good_once_and_not_for_long() {
        let verifier = Verifier::new(Keys::none(), Expected::default());
        let mut tickets = Tickets::default();
        let one = tickets.give(identity("ada"), here(1), at(0).0, 1).0;
        let two = tickets.give(identity("bob"), here(1), at(1).0, 2).0;
        assert!(Tickets::is_one(&one));
        assert_eq!(tickets.redeem("ticket.3", at(1), &verifier), None);
        assert_eq!(tickets.owner("ticket.3", at(1), &verifier), None);
        let owner = |tickets: &mut Tickets| tickets.owner(&one, at(1), &verifier).cloned();
        assert_eq!(owner(&mut tickets), Some(identity("ada")));
        let user = tickets.redeem(&one, at(1), &verifier).unwrap().user;
        assert_eq!(user.as_str(), "ada");
        assert_eq!(tickets.redeem(&one, at(1), &verifier), None);
        assert_eq!(owner(&mut tickets), None);
        assert_eq!(tickets.redeem(&two, at(TICKET_MS + 1), &verifier), None);
        assert!(is_empty(&tickets));
    }

    #[test]
    fn a_ticket_is_worth_no_more_than_the_token_that_it_was_given_for() {
        let verifier = Verifier::new(Keys::none(), Expected::default());
        let mut tickets = Tickets::default();
        let expires = Some(Timestamp(-1));
        let ticket = tickets
            .give(
                Identity {
                    token: Some(Arc::new(TokenFacts { expires, ..TokenFacts::default() })),
                    ..identity("ada")
                },
                here(1),
                at(0).0,
                1,
            )
            .0;
        assert_eq!(tickets.owner(&ticket, at(1), &verifier), None);
        assert_eq!(tickets.redeem(&ticket, at(1), &verifier), None);
    }

    fn here(last: u8) -> Address {
        Address::of([10, 0, 0, last].into())
    }

    fn is_empty(tickets: &Tickets) -> bool {
        tickets.given.is_empty()
            && tickets.numbers.is_empty()
            && tickets.of_users.is_empty()
            && tickets.of_addresses.is_empty()
            && tickets.addresses.holders() == 0
    }

    #[test]
    fn a_user_who_asks_for_too_many_gives_up_their_own_oldest() {
        let verifier = Verifier::new(Keys::none(), Expected::default());
        let mut tickets = Tickets::default();
        let others = tickets.give(identity("bob"), here(1), at(0).0, 0).0;
        let mut own = Vec::new();
        for number in 1..=TICKETS_PER_USER_MAX as u128 + 2 {
            own.push(tickets.give(identity("ada"), here(1), at(0).0, number).0);
        }
        let mut is_good = |ticket: &str| tickets.owner(ticket, at(1), &verifier).is_some();
        assert!(!is_good(&own[0]) && !is_good(&own[1]) && own[2..].iter().all(|one| is_good(one)));
        assert!(is_good(&others));
        tickets.forget(at(TICKET_MS).0);
        assert!(is_empty(&tickets));
    }

    #[test]
    fn an_address_has_a_share_and_when_all_are_given_the_busiest_gives_up_its_oldest() {
        let verifier = Verifier::new(Keys::none(), Expected::default());
        let mut tickets = Tickets::default();
        let modest = tickets.give(identity("modest"), here(0), at(0).0, u128::MAX).0;
        let mut number = 0;
        let mut greedy = Vec::new();
        for address in 1..=20 {
            for user in 0..TICKETS_PER_ADDRESS_MAX + 10 {
                number += 1;
                let name = format!("u{address}-{user}");
                greedy.push(tickets.give(identity(&name), here(address), at(0).0, number).0);
                let most = tickets.addresses.largest().map_or(0, |(_, count)| count);
                assert!(most <= TICKETS_PER_ADDRESS_MAX as u64);
                assert!(tickets.given.len() <= TICKETS_MAX);
            }
        }
        assert_eq!(tickets.given.len(), TICKETS_MAX, "they were all given");
        assert!(tickets.owner(&modest, at(1), &verifier).is_some());
        let newest = greedy.last().unwrap();
        assert!(tickets.owner(newest, at(1), &verifier).is_some());
        assert!(tickets.owner(&greedy[0], at(1), &verifier).is_none());
        tickets.forget(at(TICKET_MS).0);
        assert!(is_empty(&tickets));
    }
}
