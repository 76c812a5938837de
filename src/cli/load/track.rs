//! Whether numbers come each once, in order, without a hole.

use std::collections::BTreeSet;

/// More holes at once are counted, and not looked for any more.
const HOLES_MAX: usize = 1_024;

/// The numbers of one source, as one receiver sees them.
#[derive(Clone, Debug, Default)]
pub(super) struct Track {
    next: u64,
    /// Numbers before `next` that have not come.
    holes: BTreeSet<u64>,
    /// Those beyond [`HOLES_MAX`].
    untold: u64,
}

/// What a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sighting {
    Next,
    /// So many before it have not come yet.
    Early(u64),
    /// It comes behind one that follows it.
    Late,
    Repeat,
}

impl Track {
    /// Begins at a number.
    pub(super) fn from(next: u64) -> Track {
        Track { next, ..Track::default() }
    }

    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn take(&mut self, number: u64) -> Sighting {
        if number == self.next {
            self.next = number.saturating_add(1);
            return Sighting::Next;
        }
        if number > self.next {
            let left_out = number - self.next;
            let room = HOLES_MAX.saturating_sub(self.holes.len()) as u64;
            self.holes.extend(self.next..self.next + left_out.min(room));
            self.untold = self.untold.saturating_add(left_out.saturating_sub(room));
            self.next = number.saturating_add(1);
            return Sighting::Early(left_out);
        }
        if self.holes.remove(&number) { Sighting::Late } else { Sighting::Repeat }
    }

    /// How many numbers before a number have not come.
    pub(super) fn missing(&self, end: u64) -> u64 {
        let behind = end.saturating_sub(self.next);
        behind.saturating_add(self.untold).saturating_add(self.holes.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against a list of what came.
        #[test]
        fn each_number_is_what_a_slow_observer_says(numbers in proptest::collection::vec(0_u64..40, 0..120)) {
            let (mut track, mut seen) = (Track::default(), Vec::new());
            for number in numbers {
                let most = seen.iter().max().map_or(0, |most| most + 1);
                let expected = match number {
                    number if seen.contains(&number) => Sighting::Repeat,
                    number if number < most => Sighting::Late,
                    number if number == most => Sighting::Next,
                    number => Sighting::Early(number - most),
                };
                prop_assert_eq!(track.take(number), expected);
                seen.push(number);
            }
            let missing = (0..50).filter(|number| !seen.contains(number)).count() as u64;
            prop_assert_eq!(track.missing(50), missing);
        }
    }

    #[test]
    fn a_hole_of_any_size_is_counted_and_bounded() {
        let mut track = Track::from(10);
        assert_eq!(track.take(1 << 40), Sighting::Early((1 << 40) - 10));
        assert_eq!(track.missing(1 << 40), (1 << 40) - 10);
        assert_eq!((track.take(11), track.take(11)), (Sighting::Late, Sighting::Repeat));
        assert_eq!(track.missing(1 << 40), (1 << 40) - 11);
        assert!(track.holes.len() < HOLES_MAX);
    }
}
