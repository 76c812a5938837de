//! Several reactors of one server, each on a thread of its own. The first one accepts for all, and
//! deals connections out: to whichever has fewest.
//!
//! A listening socket for each (`SO_REUSEPORT`) would spread few connections unevenly, let another
//! process of the same user listen at the port unnoticed, and lose what waits at one that is closed;
//! and Unix sockets, and those that another process passes, cannot have it.

use super::clock::Clock;
use super::io::{Handler, Io};
use super::listener::{OpenListener, file_limit};
use super::places::ConnectionPlaces;
use super::reactor::{LISTENERS, Reactor, ReactorListener, WAKER};
use super::system::{Acceptor, Machine};
use super::wake::Wake;
use crate::base::limits::{
    ALL_OUTBOXES_BYTES_MIN, DEALT_MAX, FILES_FEW, FILES_OF_THREAD, FILES_RESERVED,
};
use crate::base::{Limits, ListenerId};
use mio::net::TcpStream;
use mio::{Poll, Token};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A reactor's part of what is made before the threads begin.
#[derive(Debug)]
pub struct ReactorSeat {
    pub(super) number: usize,
    pub(super) poll: Poll,
    pub(super) clock: Clock,
    pub(super) places: ConnectionPlaces,
    pub(super) desks: Arc<[Desk]>,
}

/// A reactor, as the others see it.
#[derive(Debug)]
pub(super) struct Desk {
    /// Connections for it that it has not taken, at most [`DEALT_MAX`].
    dealt: Mutex<Vec<DealtSocket>>,
    /// How many it had at the end of its last turn.
    open: AtomicUsize,
    wake: Wake,
}

#[derive(Debug)]
struct DealtSocket {
    socket: TcpStream,
    peer: SocketAddr,
    listener: ListenerId,
}

impl Desk {
    // Whoever panics while they hold this leaves nothing half done.
    fn dealt(&self) -> MutexGuard<'_, Vec<DealtSocket>> {
        self.dealt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReactorSeat {
    /// Seats for so many reactors, below 64, whose listeners have these limits of their own.
    ///
    /// # Errors
    /// The system's error.
    pub fn several(
        count: usize,
        limits: &Limits,
        own: &[Option<u32>],
    ) -> io::Result<Vec<ReactorSeat>> {
        let of_threads = FILES_RESERVED + FILES_OF_THREAD * (count as u64).saturating_sub(1);
        let reserved = of_threads + own.iter().flatten().map(|max| u64::from(*max)).sum::<u64>();
        let files = file_limit().map_or(u64::MAX, |limit| limit.saturating_sub(reserved).max(1));
        if files < FILES_FEW.min(limits.connections.into()) {
            log::warn!(connections = files; "the limit on open files leaves places for no more connections than these");
        }
        let connections_max = files.min(u64::from(limits.connections));
        let connections_max = usize::try_from(connections_max).unwrap_or(usize::MAX);
        let (places, clock) = (ConnectionPlaces::new(connections_max, own), Clock::start());
        let polls = (0..count).map(|_| Poll::new()).collect::<io::Result<Vec<Poll>>>()?;
        let desk = |poll: &Poll| {
            let wake = Wake::new(mio::Waker::new(poll.registry(), WAKER)?);
            Ok(Desk { dealt: Mutex::default(), open: AtomicUsize::new(0), wake })
        };
        let desks: Arc<[Desk]> = polls.iter().map(desk).collect::<io::Result<Vec<Desk>>>()?.into();
        let seat = |(number, poll)| {
            let (places, desks) = (places.clone(), Arc::clone(&desks));
            ReactorSeat { number, poll, clock, places, desks }
        };
        Ok(polls.into_iter().enumerate().map(seat).collect())
    }

    /// Wakes its reactor, also before that runs.
    #[must_use]
    pub fn wake(&self) -> Wake {
        self.desks[self.number].wake.clone()
    }

    /// The clock of all of them.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock
    }
}

/// What one of so many reactors has of the bytes that all outboxes may hold: its part, and no less than
/// an outbox needs.
pub(super) fn part_of_outboxes(bytes: usize, reactors: usize) -> usize {
    (bytes / reactors).max(bytes.min(ALL_OUTBOXES_BYTES_MIN))
}

impl<A: Acceptor> Reactor<Machine<A>> {
    /// The reactor of a seat. The first one has the listeners, others none.
    ///
    /// # Errors
    /// The system's error.
    pub fn at(
        seat: ReactorSeat,
        listeners: Vec<ReactorListener>,
        limits: &Limits,
        acceptor: A,
    ) -> io::Result<Reactor<Machine<A>>> {
        let wake = seat.wake();
        let ReactorSeat { number, poll, clock, places, desks } = seat;
        let mut listeners: Vec<OpenListener> =
            listeners.into_iter().map(|one| OpenListener::new(one.socket)).collect();
        for (index, listener) in listeners.iter_mut().enumerate() {
            listener.socket.register(poll.registry(), Token(LISTENERS - index))?;
        }
        let mut io = Io::new(limits, clock.now(), Clock::timestamp());
        io.set_number(number as u32);
        io.places = places;
        io.budget.set_limit(part_of_outboxes(io.budget.limit(), desks.len()));
        Ok(Reactor {
            listeners,
            has_outboxes_by_memory: limits.all_outboxes_bytes == 0,
            ..Reactor::new(Machine { poll, acceptor, number, desks }, clock, wake, io, limits)
        })
    }

    /// Takes a connection in that has just been accepted, or gives it to another reactor.
    pub(super) fn deal(
        &mut self,
        handler: &mut impl Handler,
        (socket, peer): (TcpStream, SocketAddr),
        listener: ListenerId,
    ) {
        let own = self.system.number;
        let others = self.system.desks.iter().enumerate().filter(|(number, _)| *number != own);
        let loads = others.map(|(number, desk)| {
            let waiting = desk.dealt().len();
            let is_stuck = waiting >= DEALT_MAX;
            (is_stuck, desk.open.load(Ordering::Relaxed) + waiting, number)
        });
        let here = (false, self.io.connections(), own);
        let (_, _, number) = loads.fold(here, std::cmp::Ord::min);
        if number == own {
            self.take_in(handler, socket, peer, listener);
            return;
        }
        let desk = &self.system.desks[number];
        desk.dealt().push(DealtSocket { socket, peer, listener });
        desk.wake.wake();
    }

    /// Takes in what the first reactor has dealt to this one.
    pub(super) fn take_dealt(&mut self, handler: &mut impl Handler) {
        let dealt = std::mem::take(&mut *self.system.desks[self.system.number].dealt());
        // When it ends, they come too late: nobody would end them.
        let dealt = dealt.into_iter().filter(|_| self.io.stop_at.is_none());
        for DealtSocket { socket, peer, listener } in dealt.collect::<Vec<_>>() {
            self.take_in(handler, socket, peer, listener);
        }
    }

    /// Tells the others how many connections it has.
    pub(super) fn tell_load(&self) {
        let desk = &self.system.desks[self.system.number];
        desk.open.store(self.io.connections(), Ordering::Relaxed);
    }
}
