//! Pools: resources that all clients share. How much of each is taken, and when the log says so.

use crate::base::Moment;
use crate::base::limits::{
    DISK_FILLS_PERCENT, POOL_FILLS_PERCENT, POOL_HAS_ROOM_PERCENT, POOL_LOGGED_EVERY_MS,
    POOLS_CHECKED_MS,
};

/// A pool, with its names in the log, the metrics and the table of `docs/operations.md`. That table
/// also says how much one client may have of each, and what happens beyond that.
#[derive(Debug)]
pub(crate) struct NamedPool {
    pub(crate) name: &'static str,
    /// The key or the constant that bounds it.
    pub(crate) bound: &'static str,
    fills_percent: u64,
    parts: PoolParts,
}

/// Of what the threads of a server have of a pool.
#[derive(Clone, Copy, Debug)]
enum PoolParts {
    /// All have the same.
    One,
    /// Each takes of the same.
    Taken,
    /// Each has its own.
    Own,
}

impl NamedPool {
    const fn taken_by_each(self) -> NamedPool {
        NamedPool { parts: PoolParts::Taken, ..self }
    }

    const fn own_of_each(self) -> NamedPool {
        NamedPool { parts: PoolParts::Own, ..self }
    }

    /// Adds what another thread has of it.
    pub(crate) fn add(&self, to: &mut Used, other: Used) {
        match self.parts {
            PoolParts::One => return,
            PoolParts::Taken => to.taken += other.taken,
            PoolParts::Own => (to.taken, to.max) = (to.taken + other.taken, to.max + other.max),
        }
        to.is_enough &= other.is_enough;
    }
}

const fn pool(name: &'static str, bound: &'static str) -> NamedPool {
    NamedPool { name, bound, fills_percent: POOL_FILLS_PERCENT, parts: PoolParts::One }
}

/// All pools, in the order of [`Chat::pools_used`].
pub(crate) const POOLS: [NamedPool; 14] = [
    pool("connections", "`limits.connections`, and the limit on open files"),
    pool("guests", "`limits.guests`"),
    pool("rooms", "`limits.all_rooms`"),
    pool("streams", "`limits.streams`"),
    pool("stream_bytes", "`limits.all_streams_bytes`"),
    pool("polls", "`backend.poll_threads`"),
    pool("handler_calls", "`backend.call_threads`, `concurrency` of each handler"),
    pool("proofs", "`auth.url_threads`, and 1,024 that wait"),
    pool("tickets", "10,000"),
    pool("outbox_bytes", "`limits.all_outboxes_bytes`").own_of_each(),
    pool("http_calls", "16,384 that wait for an answer").own_of_each(),
    pool("store_queue", "16,384 records and pages, 64 MiB").taken_by_each(),
    pool("revocations", "100,000"),
    NamedPool {
        name: "disk",
        bound: "its size, less `limits.disk_reserve_bytes`",
        fills_percent: DISK_FILLS_PERCENT,
        parts: PoolParts::One,
    },
];

/// How much of a pool is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) taken: u64,
    pub(crate) max: u64,
    /// It may be taken whole, because nobody waits.
    pub(crate) is_enough: bool,
}

impl Used {
    pub(crate) fn new(taken: usize, max: usize) -> Used {
        Used { taken: taken as u64, max: max as u64, is_enough: false }
    }

    /// For places that are soon given back: all may be in use, as long as nobody waits for one.
    pub(crate) fn of_places(taken: usize, max: usize, waiting: usize) -> Used {
        Used { is_enough: waiting == 0, ..Used::new(taken, max) }
    }

    /// 0 for a pool of size 0.
    fn percent(self) -> u64 {
        self.taken.saturating_mul(100).checked_div(self.max).unwrap_or_default()
    }
}

/// What the log has said about the pools.
#[derive(Debug, Default)]
pub(crate) struct Pools {
    checked: Option<Moment>,
    /// For each pool, whether it is filling, and when the log last said so.
    warnings: [PoolWarning; POOLS.len()],
}

#[derive(Clone, Copy, Debug, Default)]
struct PoolWarning {
    fills: bool,
    at: Option<Moment>,
}

impl Pools {
    /// Whether it is time to look again. An error is the time when it will be.
    pub(crate) fn is_due(&mut self, now: Moment) -> Result<(), Moment> {
        let next = self.checked.map(|at| at.plus_millis(POOLS_CHECKED_MS));
        if let Some(next) = next.filter(|next| now < *next) {
            return Err(next);
        }
        self.checked = Some(now);
        Ok(())
    }

    /// Logs which pools fill up, and which have room again.
    pub(crate) fn log_changes(&mut self, now: Moment, used: &[Used; POOLS.len()]) {
        for ((pool, used), warning) in POOLS.iter().zip(used).zip(&mut self.warnings) {
            let NamedPool { name, bound, fills_percent, .. } = pool;
            let (percent, Used { taken, max, is_enough }) = (used.percent(), *used);
            let has_room = percent <= POOL_HAS_ROOM_PERCENT.max(fills_percent - 10);
            let was_logged =
                warning.at.is_some_and(|at| now.millis_since(at) < POOL_LOGGED_EVERY_MS);
            if !warning.fills && percent >= *fills_percent && !is_enough && !was_logged {
                *warning = PoolWarning { fills: true, at: Some(now) };
                log::warn!("{name}: {percent} % are taken, {taken} of {max} ({bound})");
            } else if warning.fills && has_room {
                warning.fills = false;
                log::info!("{name}: there is room again, {taken} of {max} are taken");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_have_the_table_of_pools() {
        let document = include_str!("../../../docs/operations.md");
        let (_, table) = document
            .split_once("| pool | bound | of one | beyond it |\n| --- | --- | --- | --- |\n")
            .unwrap();
        let rows: Vec<&str> = table.lines().take_while(|line| line.starts_with('|')).collect();
        assert_eq!(rows.len(), POOLS.len());
        for (row, NamedPool { name, bound, .. }) in rows.iter().zip(&POOLS) {
            assert!(row.starts_with(&format!("| {name} | {bound} | ")), "{row}");
        }
    }

    #[test]
    fn a_pool_that_fills_is_told_once_until_it_has_room() {
        let mut pools = Pools::default();
        let at = Moment::from_millis;
        let mut look = |now, taken| {
            let mut used = [Used::default(); POOLS.len()];
            used[2] = Used::new(taken, 10);
            used[5] = Used::of_places(8, 8, 0);
            pools.log_changes(at(now), &used);
            assert!(!pools.warnings[5].fills, "nobody waits");
            (pools.warnings[2].fills, pools.warnings[2].at)
        };
        assert_eq!(look(0, 7), (false, None));
        assert_eq!(look(1, 8), (true, Some(at(1))));
        assert_eq!(look(2, 9), (true, Some(at(1))));
        assert_eq!(look(3, 7), (false, Some(at(1))));
        assert_eq!(look(4, 10), (false, Some(at(1))), "not with every burst");
        assert_eq!(look(60_001, 10), (true, Some(at(60_001))));
    }
}
