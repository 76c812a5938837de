//! Each event is taken once, by whoever waits; nobody waits for what is there; and what only the network's thread can do
//! it does.

use crate::client::thread::monitor::{Monitor, Monitored};
use crate::client::thread::queue::EventQueue;
use crate::reactor::{Clock, Wake};
use loom::sync::{Arc, Notify};
use loom::thread;

/// More orders than with so many interruptions of a thread that could go on are not tried.
const PREEMPTIONS_MAX: usize = 3;

struct Shared {
    events: EventQueue<u32>,
    /// What the network's thread has to do.
    tasks: Vec<u32>,
    stops: bool,
}

impl Monitored for Shared {
    fn needs_network(&self) -> bool {
        !self.tasks.is_empty() || self.stops
    }
}

fn monitor() -> (Arc<Monitor<Shared>>, std::sync::Arc<Notify>) {
    let notify = std::sync::Arc::new(Notify::new());
    let shared = Shared { events: EventQueue::new(), tasks: Vec::new(), stops: false };
    (Arc::new(Monitor::new(shared, Clock, Wake(std::sync::Arc::clone(&notify)))), notify)
}

fn in_all_orders(test: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS_MAX);
    builder.check(test);
}

/// As `Events::recv`: the next event, or none once nothing more comes.
fn recv(shared: &Monitor<Shared>) -> Option<u32> {
    let found = shared.wait(None, |inner, _| match inner.events.pop() {
        Some(event) => Some(Some(event)),
        None => inner.events.is_over().then_some(None),
    });
    found.flatten()
}

#[test]
fn each_event_is_taken_once_and_all_who_wait_hear_of_the_end() {
    in_all_orders(|| {
        let (shared, _) = monitor();
        let takers: Vec<_> = (0..2)
            .map(|_| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || std::iter::from_fn(|| recv(&shared)).collect::<Vec<u32>>())
            })
            .collect();
        // As the network's thread tells: within the lock, and at its end behind it.
        for event in [1, 2] {
            shared.with_own(|inner, shared| {
                inner.events.push(event);
                shared.notify();
            });
        }
        shared.with_own(|inner, _| inner.events.end());
        shared.notify();
        let taken: Vec<Vec<u32>> = takers.into_iter().map(|taker| taker.join().unwrap()).collect();
        assert!(taken.iter().all(|events| events.is_sorted()));
        let mut all = taken.concat();
        all.sort_unstable();
        assert_eq!(all, [1, 2]);
    });
}

#[test]
fn what_threads_ask_for_the_network_does_and_they_hear_of_it() {
    in_all_orders(|| {
        let (shared, notify) = monitor();
        let network = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                loop {
                    // The reactor sleeps until it is woken.
                    notify.wait();
                    let stops = shared.with_own(|inner, shared| {
                        for task in std::mem::take(&mut inner.tasks) {
                            inner.events.push(task * 10);
                        }
                        shared.notify();
                        if inner.stops {
                            inner.events.end();
                        }
                        inner.stops
                    });
                    shared.notify();
                    if stops {
                        return;
                    }
                }
            })
        };
        let asker = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.with(|inner, _| inner.tasks.push(1)))
        };
        // Without its being done this would wait for ever, which loom calls a deadlock.
        assert_eq!(recv(&shared), Some(10));
        asker.join().unwrap();
        shared.with(|inner, _| inner.stops = true);
        assert_eq!(recv(&shared), None);
        network.join().unwrap();
    });
}
