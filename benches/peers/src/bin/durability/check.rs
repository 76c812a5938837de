//! Which message is whose, and whether each came once, in order and unchanged.

use crate::Fallible;
use crate::dialect::shown;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The size of a text.
pub(crate) const TEXT_BYTES: usize = 100;

const FILLER: &str = "the kettle is on and whoever comes by for a cup of tea is welcome to a \
    chair beside the window where the afternoon light is";

/// What a sender sends, and what became of it.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) count: u64,
    pub(crate) acknowledged: u64,
    received: u64,
    /// When those were sent that are not both acknowledged and received.
    times: VecDeque<Instant>,
}

impl Sent {
    /// The next message's number.
    pub(crate) fn send(&mut self, now: Instant) -> u64 {
        self.times.push_back(now);
        self.count += 1;
        self.count - 1
    }

    /// The next is acknowledged; tells how long that took.
    pub(crate) fn acknowledge(&mut self, told: Option<u64>, now: Instant) -> Fallible<Duration> {
        if self.acknowledged == self.count || told.is_some_and(|told| told != self.acknowledged) {
            return Err(format!("{told:?} was acknowledged, not {}", self.acknowledged).into());
        }
        self.acknowledged += 1;
        Ok(self.took(self.acknowledged - 1, now))
    }

    /// The next was received; tells how long that took.
    fn receive(&mut self, now: Instant) -> Duration {
        self.received += 1;
        self.took(self.received - 1, now)
    }

    fn took(&mut self, number: u64, now: Instant) -> Duration {
        let first = self.count - self.times.len() as u64;
        let took = now - self.times[(number - first) as usize];
        let done = self.acknowledged.min(self.received);
        self.times.drain(..(done - first) as usize);
        took
    }

    /// Nothing is under way.
    pub(crate) fn is_done(&self) -> bool {
        self.times.is_empty()
    }
}

/// A text that came is the next of its sender, byte by byte, or this is an error.
pub(crate) fn receive(
    all: &mut [Sent],
    slice: u32,
    text: &[u8],
    now: Instant,
) -> Fallible<Duration> {
    let sender = text.get(9..13).and_then(|digits| str::from_utf8(digits).ok());
    let sender = sender.and_then(|digits| usize::from_str_radix(digits, 16).ok());
    let found = sender.and_then(|sender| Some((sender, all.get_mut(sender)?)));
    let Some((sender, sent)) = found else {
        return Err(format!("this was not sent: {}", shown(text)).into());
    };
    if sent.received == sent.count || text != self::text(slice, sender, sent.received) {
        return Err(format!("not what comes next from {sender}: {}", shown(text)).into());
    }
    Ok(sent.receive(now))
}

/// What a sender says: who and which it is, and words.
pub(crate) fn text(slice: u32, sender: usize, number: u64) -> [u8; TEXT_BYTES] {
    let mut text = [0; TEXT_BYTES];
    text.copy_from_slice(&FILLER.as_bytes()[..TEXT_BYTES]);
    put_hex(&mut text[..8], slice.into());
    put_hex(&mut text[9..13], sender as u64);
    put_hex(&mut text[14..22], number);
    for space in [8, 13, 22] {
        text[space] = b' ';
    }
    text
}

fn put_hex(into: &mut [u8], mut value: u64) {
    for digit in into.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(value & 15) as usize];
        value >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_and_in_order_or_an_error() {
        let now = Instant::now();
        let mut all = [Sent::default(), Sent::default()];
        for _ in 0..2 {
            all[1].send(now);
        }
        assert!(receive(&mut all, 7, &text(7, 1, 1), now).is_err(), "not the first");
        assert!(receive(&mut all, 8, &text(7, 1, 0), now).is_err(), "of another slice");
        assert!(receive(&mut all, 7, &text(7, 0, 0), now).is_err(), "not sent");
        let mut changed = text(7, 1, 0);
        changed[99] ^= 1;
        assert!(receive(&mut all, 7, &changed, now).is_err(), "changed");
        assert!(receive(&mut all, 7, &text(7, 1, 0), now).is_ok());
        assert!(receive(&mut all, 7, &text(7, 1, 0), now).is_err(), "twice");
        assert!(receive(&mut all, 7, &text(7, 1, 1), now).is_ok());
        assert!(!all[1].is_done());
        assert!(all[1].acknowledge(Some(1), now).is_err(), "not the first");
        assert!(all[1].acknowledge(Some(0), now).is_ok());
        assert!(all[1].acknowledge(None, now).is_ok());
        assert!(all[1].is_done());
        assert!(all[1].acknowledge(None, now).is_err(), "all are");
    }
}
