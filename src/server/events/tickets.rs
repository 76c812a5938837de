//! Tickets: what lets an `EventSource` in, which can send no header, without a token in an address.

use crate::base::limits::{TICKET_MS, TICKETS_MAX};
use crate::base::{Moment, Timestamp};
use crate::server::auth::{Identity, Verifier};
use std::collections::{HashMap, VecDeque};

/// Before a ticket, so that it is not taken for a token.
const PREFIX: &str = "ticket.";

/// Tickets that were given out and not used.
#[derive(Debug, Default)]
pub(in crate::server) struct Tickets {
    identities: HashMap<Box<str>, Identity>,
    /// In the order of their ends.
    ends: VecDeque<(Moment, Box<str>)>,
}

impl Tickets {
    /// A ticket for somebody, good for [`TICKET_MS`] and once; none if there are as many as there may
    /// be. `secret` is nothing that somebody could guess.
    pub(super) fn give(&mut self, identity: Identity, now: Moment, secret: u128) -> Option<String> {
        self.forget(now);
        if self.identities.len() >= TICKETS_MAX {
            return None;
        }
        let ticket = format!("{PREFIX}{secret:032x}");
        self.identities.insert(ticket.as_str().into(), identity);
        self.ends.push_back((now.plus_millis(TICKET_MS), ticket.as_str().into()));
        Some(ticket)
    }

    /// Whether a token is a ticket, good or not.
    pub(in crate::server) fn is_one(token: &str) -> bool {
        token.starts_with(PREFIX)
    }

    /// Whose ticket it is; from then on it is nobody's. What it stands for must hold still.
    pub(super) fn redeem(
        &mut self,
        ticket: &str,
        (now, timestamp): (Moment, Timestamp),
        verifier: &Verifier,
    ) -> Option<Identity> {
        self.forget(now);
        let identity = self.identities.remove(ticket)?;
        holds_still(&identity, timestamp, verifier).then_some(identity)
    }

    /// Whose ticket it is, and stays.
    pub(super) fn owner(
        &mut self,
        ticket: &str,
        (now, timestamp): (Moment, Timestamp),
        verifier: &Verifier,
    ) -> Option<&Identity> {
        self.forget(now);
        let identity = self.identities.get(ticket)?;
        holds_still(identity, timestamp, verifier).then_some(identity)
    }

    fn forget(&mut self, now: Moment) {
        while let Some((_, ticket)) = self.ends.pop_front_if(|(end, _)| *end <= now) {
            self.identities.remove(&ticket);
        }
    }
}

fn holds_still(identity: &Identity, timestamp: Timestamp, verifier: &Verifier) -> bool {
    let is_over = identity.expires.is_some_and(|expires| expires < timestamp);
    let (user, jti) = (&identity.user, identity.jti.as_deref());
    // In open mode there is no token that could be revoked.
    let is_revoked =
        !verifier.is_open() && verifier.revocations().is_revoked(user, jti, identity.issued);
    !is_over && !is_revoked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::UserId;
    use crate::hub::streams::StreamRights;
    use crate::server::auth::{Expected, Keys};

    fn identity(name: &str) -> Identity {
        Identity {
            user: UserId::parse(name).unwrap(),
            name: None,
            admin: false,
            rights: StreamRights::default(),
            expires: None,
            jti: None,
            issued: None,
            limits: None,
        }
    }

    fn at(millis: u64) -> (Moment, Timestamp) {
        (Moment::from_millis(millis), Timestamp(0))
    }

    #[test]
    fn a_ticket_is_good_once_and_not_for_long() {
        let verifier = Verifier::new(Keys::none(), Expected::default());
        let mut tickets = Tickets::default();
        let one = tickets.give(identity("ada"), at(0).0, 1).unwrap();
        let two = tickets.give(identity("bob"), at(1).0, 2).unwrap();
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
        assert!(tickets.identities.is_empty() && tickets.ends.is_empty());
    }

    #[test]
    fn a_ticket_is_worth_no_more_than_the_token_that_it_was_given_for() {
        let verifier = Verifier::new(Keys::none(), Expected::default());
        let mut tickets = Tickets::default();
        let expires = Some(Timestamp(-1));
        let ticket = tickets.give(Identity { expires, ..identity("ada") }, at(0).0, 1).unwrap();
        assert_eq!(tickets.owner(&ticket, at(1), &verifier), None);
        assert_eq!(tickets.redeem(&ticket, at(1), &verifier), None);
    }

    #[test]
    fn there_are_so_many_tickets() {
        let mut tickets = Tickets::default();
        for number in 0..TICKETS_MAX as u128 {
            assert!(tickets.give(identity("ada"), at(0).0, number).is_some());
        }
        assert_eq!(tickets.give(identity("ada"), at(1).0, 0), None);
        assert!(tickets.give(identity("ada"), at(TICKET_MS).0, 0).is_some());
    }
}
