//! Reading what may be damaged: what cannot be read is passed over.

use crate::store::rows::is_damage;

pub(super) type Sql<T> = rusqlite::Result<T>;

/// Where to read on behind a place that cannot be read: further away each time.
pub(super) struct Skip {
    start: Option<i64>,
    last: i64,
    step: i64,
    pub(super) has_failed: bool,
}

impl Skip {
    pub(super) fn new(start: i64) -> Skip {
        Skip { start: Some(start), last: start - 1, step: 1, has_failed: false }
    }

    pub(super) fn next_start(&self) -> Option<i64> {
        self.start
    }

    pub(super) fn reached(&mut self, key: i64) {
        if key > self.last {
            (self.last, self.step) = (key, 1);
        }
    }

    /// Whether there is more to try, once a reading has ended.
    pub(super) fn goes_on(&mut self, read: Sql<()>) -> Sql<bool> {
        if tolerated(read)?.is_some() {
            return Ok(false);
        }
        self.has_failed = true;
        self.start = self.last.checked_add(self.step);
        // Beyond the largest number there is nothing.
        let Some(next) = self.step.checked_mul(2) else { return Ok(false) };
        self.step = next;
        Ok(self.start.is_some())
    }
}

/// What was read; None if it is damaged.
pub(super) fn tolerated<T>(read: Sql<T>) -> Sql<Option<T>> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error) if is_damage(&error) => Ok(None),
        Err(error) => Err(error),
    }
}
