//! Idle connections: kept open by their clients for the next request, or not used yet. When the
//! table is nearly full they make room for new connections.

use super::Application;
use super::connection::Web;
use super::exchange::{Http, Step};
use crate::base::limits::{ACCEPTS_PER_TURN, CONNECTIONS_KEPT_FREE_SHARE, LOOKS_FOR_A_PLACE};
use crate::base::{Address, ConnId, Moment, Shares};
use crate::reactor::{Io, Wake};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// Idle connections by address. Excludes those of trusted proxies, which serve many clients.
#[derive(Debug, Default)]
pub(super) struct Idle {
    of: BTreeMap<ConnId, (Address, Moment)>,
    /// All, the longest idle first.
    by_time: BTreeSet<(Moment, ConnId)>,
    /// For each address, the longest idle first.
    by_address: BTreeMap<Address, BTreeSet<(Moment, ConnId)>>,
    shares: Shares<Address>,
}

impl Idle {
    /// Marks a connection as idle.
    pub(super) fn enter(&mut self, conn: ConnId, address: Address, now: Moment) {
        self.leave(conn);
        self.of.insert(conn, (address, now));
        self.by_time.insert((now, conn));
        self.by_address.entry(address).or_default().insert((now, conn));
        self.shares.add(&address, 1);
    }

    fn has(&self, conn: ConnId) -> bool {
        self.of.contains_key(&conn)
    }

    /// Removes a connection that is busy or gone.
    pub(super) fn leave(&mut self, conn: ConnId) {
        let Some((address, since)) = self.of.remove(&conn) else { return };
        self.shares.remove(&address, 1);
        self.by_time.remove(&(since, conn));
        if let Some(of_address) = self.by_address.get_mut(&address) {
            of_address.remove(&(since, conn));
            if of_address.is_empty() {
                self.by_address.remove(&address);
            }
        }
    }

    /// The longest idle connection of all, and since when it is.
    fn longest_idle_of_all(&self) -> Option<(Moment, ConnId)> {
        self.by_time.first().copied()
    }

    /// That of the address with the most.
    fn longest_idle(&self) -> Option<(Moment, ConnId)> {
        let (address, _) = self.shares.largest()?;
        self.by_address.get(address)?.first().copied()
    }
}

/// The idle connections of all reactors of a server. Each call takes a lock for a moment.
#[derive(Debug)]
pub(super) struct IdleConnections {
    /// Those that share the places of all listeners, and behind them those of each listener that has
    /// its own.
    groups: Mutex<Vec<Idle>>,
    /// By the number of the reactor; none if there is one.
    desks: Vec<IdleDesk>,
}

/// What other reactors ask of one: to end these connections. Each was idle, and is asked for once.
#[derive(Debug)]
struct IdleDesk {
    /// With each, at how many connections may still be looked for its newcomer.
    to_end: Mutex<Vec<(ConnId, usize)>>,
    wake: Wake,
}

impl IdleConnections {
    /// There are none. Several reactors are woken so.
    pub(super) fn new(wakes: &[Wake]) -> IdleConnections {
        let desk = |wake: &Wake| IdleDesk { to_end: Mutex::default(), wake: wake.clone() };
        IdleConnections { groups: Mutex::default(), desks: wakes.iter().map(desk).collect() }
    }

    fn with<T>(&self, group: usize, change: impl FnOnce(&mut Idle) -> T) -> T {
        // Whoever panics while they hold this leaves nothing half done.
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if groups.len() <= group {
            groups.resize_with(group + 1, Idle::default);
        }
        change(&mut groups[group])
    }

    /// Has another reactor end a connection.
    fn ask_to_end(&self, conn: ConnId, looks: usize) {
        if let Some(desk) = self.desks.get(conn.reactor()) {
            desk.to_end.lock().unwrap_or_else(PoisonError::into_inner).push((conn, looks));
            desk.wake.wake();
        }
    }

    fn take_asked(&self, reactor: usize) -> Vec<(ConnId, usize)> {
        let Some(desk) = self.desks.get(reactor) else { return Vec::new() };
        std::mem::take(&mut *desk.to_end.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The group of idle connections that have the same places as this one.
fn group_of(io: &Io, conn: ConnId) -> usize {
    let listener = io.listener(conn);
    if io.has_own_places(listener) { listener.index() + 1 } else { 0 }
}

/// A connection whose answer is still being read is busy, and returns with its next request.
fn is_busy(io: &Io, conn: ConnId) -> bool {
    !io.may_read(conn) || io.outbox_bytes(conn) > 0
}

impl<A: Application> Web<A> {
    fn waits_for_request(&mut self, conn: ConnId) -> bool {
        let begun = |http: &mut Http| matches!(&http.step, Step::Head(_, kept) if kept.is_empty());
        self.http(conn).is_some_and(begun)
    }

    /// Marks a connection as idle if it waits for its next request.
    pub(super) fn is_idle(&mut self, io: &Io, conn: ConnId) {
        let waits = self.waits_for_request(conn);
        if let Some(address) = self.sockets.address(conn).filter(|_| waits) {
            let now = io.now();
            let idle = self.sockets.common.idle();
            idle.with(group_of(io, conn), |idle| idle.enter(conn, address, now));
        }
    }

    /// A connection is busy or gone.
    pub(super) fn is_not_idle(&mut self, io: &Io, conn: ConnId) {
        self.sockets.common.idle().with(group_of(io, conn), |idle| idle.leave(conn));
    }

    /// Makes room for a new connection: if few places are free, one idle connection is ended, unless
    /// it has sent something that is not read yet.
    pub(super) fn make_room(&mut self, io: &mut Io, newcomer: ConnId) {
        self.may_look(LOOKS_FOR_A_PLACE);
        self.look_for_place(io, newcomer, true);
    }

    fn may_look(&mut self, looks: usize) {
        let most = LOOKS_FOR_A_PLACE * ACCEPTS_PER_TURN;
        self.looks_left = (self.looks_left + looks).min(most);
    }

    /// Takes what is left of the looks for one newcomer.
    fn take_looks(&mut self) -> usize {
        let looks = self.looks_left.min(LOOKS_FOR_A_PLACE);
        self.looks_left -= looks;
        looks
    }

    /// Looks at a connection, if few places are free of those that this one has taken one of: the longest idle
    /// one of whoever has most; and if that has asked for something, of all.
    fn look_for_place(&mut self, io: &mut Io, conn: ConnId, is_first: bool) {
        let (taken, max) = io.places_at(io.listener(conn));
        if max.saturating_sub(taken) >= max / CONNECTIONS_KEPT_FREE_SHARE {
            self.take_looks();
            return;
        }
        let (group, now) = (group_of(io, conn), io.now());
        // Whoever came, or asked, in this turn has had no time to.
        let is_old = |(since, _): &(Moment, ConnId)| *since < now;
        loop {
            let first = self.sockets.common.idle().with(group, |idle| {
                let of_most = idle.longest_idle().filter(|one| is_first && is_old(one));
                let (_, first) = of_most.or_else(|| idle.longest_idle_of_all().filter(is_old))?;
                idle.leave(first);
                Some(first)
            });
            match first {
                None => return,
                Some(first) if first.reactor() != conn.reactor() => {
                    let looks = self.take_looks();
                    return self.sockets.common.idle().ask_to_end(first, looks);
                }
                Some(first) if is_busy(io, first) => {}
                Some(first) => return io.look(first),
            }
        }
    }

    /// Looks at those connections that other reactors have asked to end.
    pub(super) fn end_idle(&mut self, io: &mut Io) {
        for (conn, looks) in self.sockets.common.idle().take_asked(io.number()) {
            self.may_look(looks);
            io.look(conn);
        }
    }

    /// A connection that was to be ended is ended if nothing has come from it. Otherwise another is looked at.
    pub(super) fn looked_at_idle(&mut self, io: &mut Io, conn: ConnId, has_come: bool) {
        // Who has asked for something, and was answered, is in the table again.
        let has_asked = self.sockets.common.idle().with(group_of(io, conn), |idle| idle.has(conn));
        let waits = !has_come && !has_asked && self.waits_for_request(conn) && !is_busy(io, conn);
        let Some(address) = self.sockets.address(conn).filter(|_| waits) else {
            self.is_idle(io, conn);
            self.looks_left = self.looks_left.saturating_sub(1);
            if self.looks_left > 0 {
                self.look_for_place(io, conn, false);
            }
            return;
        };
        self.take_looks();
        self.sockets.counters.idle_ended += 1;
        let message = "idle, and few connections are left for others";
        self.sockets.note(io.now(), conn, &address, &message, "ended");
        // Nothing is left to send or receive: close without waiting.
        self.forget_http(io, conn);
        io.close(conn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address(text: &str) -> Address {
        Address::of(text.parse().unwrap())
    }

    #[test]
    fn the_longest_idle_connection_of_whoever_has_most_goes_first() {
        let (mut idle, at) = (Idle::default(), Moment::from_millis);
        let conn = |index| ConnId::new(index, 0);
        assert_eq!(idle.longest_idle(), None);
        let (one, other) = (address("10.0.0.1"), address("10.0.0.2"));
        for (index, address, millis) in
            [(0, other, 1), (1, one, 9), (2, one, 5), (3, other, 7), (4, one, 6)]
        {
            idle.enter(conn(index), address, at(millis));
        }
        assert_eq!(idle.longest_idle(), Some((at(5), conn(2))));
        // It sent another request.
        idle.enter(conn(2), one, at(10));
        assert_eq!(idle.longest_idle(), Some((at(6), conn(4))));
        idle.leave(conn(4));
        idle.leave(conn(4));
        idle.leave(conn(1));
        assert_eq!(idle.longest_idle(), Some((at(1), conn(0))));
        for index in 0..5 {
            idle.leave(conn(index));
        }
        assert!(
            idle.of.is_empty()
                && idle.by_time.is_empty()
                && idle.by_address.is_empty()
                && idle.shares.holders() == 0
        );
    }

    proptest! {
        /// For any sequence of arrivals and departures, the first to go belongs to an address with
        /// the most connections and is the longest idle there. So an address with no more than a
        /// fair share loses none while another has more, unless those of the other have asked for something.
        #[test]
        fn the_first_to_go_is_of_whoever_has_most(
            steps in prop::collection::vec((0u8..4, 0u8..6, 0u32..40), 1..300),
        ) {
            let (mut idle, mut model) = (Idle::default(), BTreeMap::<ConnId, (u8, u64)>::new());
            for (now, (what, who, index)) in steps.into_iter().enumerate() {
                let conn = ConnId::new(index, 0);
                if what == 0 {
                    idle.leave(conn);
                    model.remove(&conn);
                } else {
                    idle.enter(conn, address(&format!("10.0.0.{who}")), Moment::from_millis(now as u64));
                    model.insert(conn, (who, now as u64));
                }
                let count = |who: u8| model.values().filter(|(one, _)| *one == who).count();
                let most = (0..6).map(count).max().unwrap();
                let first = idle.longest_idle();
                prop_assert_eq!(first.is_some(), !model.is_empty());
                let longest = model.iter().map(|(conn, (_, since))| (*since, *conn)).min();
                let found = idle.longest_idle_of_all();
                prop_assert_eq!(found.map(|(since, conn)| (since.as_millis(), conn)), longest);
                if let Some((_, conn)) = first {
                    let (who, since) = model[&conn];
                    prop_assert_eq!(count(who), most);
                    prop_assert!(model.values().all(|(one, other)| *one != who || *other >= since));
                }
            }
        }
    }
}
