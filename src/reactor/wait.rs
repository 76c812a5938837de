//! How the loop waits for events.

use super::io::Io;
use super::listener::OpenListener;
use super::reactor::Reactor;
use super::system::{Acceptor, Machine};
use crate::base::Moment;
use crate::base::limits::{POLLS_MAX, STAYS_AWAKE_US};
use mio::Events;
use std::io;
use std::time::Duration;

impl Io {
    /// Something comes soon: if the loop sleeps after this turn, it looks for events before that, for
    /// [`STAYS_AWAKE_US`].
    pub fn stay_awake(&mut self) {
        self.stays_awake = true;
    }
}

impl<A: Acceptor> Reactor<Machine<A>> {
    /// Waits for events: asleep, after it has looked for a while if something comes soon.
    pub(super) fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let timeout = self.timeout();
        let stays_awake = std::mem::take(&mut self.io.stays_awake);
        if stays_awake && timeout != Some(Duration::ZERO) {
            let until = self.clock.elapsed() + Duration::from_micros(STAYS_AWAKE_US);
            for _ in 0..POLLS_MAX {
                self.system.poll.poll(events, Some(Duration::ZERO))?;
                if !events.is_empty() {
                    return Ok(());
                }
                if self.clock.elapsed() >= until {
                    break;
                }
                std::thread::yield_now();
            }
        }
        self.system.poll.poll(events, timeout)
    }

    /// How long to wait: not at all while work is left from the last turn.
    fn timeout(&self) -> Option<Duration> {
        let accepts = self.io.is_accepting && self.listeners.iter().any(OpenListener::accepts);
        if accepts || self.has_work() {
            return Some(Duration::ZERO);
        }
        let paused_until = self.listeners.iter().filter_map(|listener| listener.paused_until).min();
        let paused_until = paused_until.filter(|_| self.io.is_accepting);
        let next = self.next_due().min(paused_until.unwrap_or(Moment::NEVER));
        // One millisecond longer than needed: waking early would mean waiting again.
        (next != Moment::NEVER).then(|| next - self.clock.now() + Duration::from_millis(1))
    }
}
