//! Has bytes of one connection overtake those of another. Within a connection nothing is overtaken.

use crate::base::Moment;
use crate::protocol::Role;

/// How long bytes wait for others that overtake them, in ms.
const WAIT_MS: u64 = 100;
/// How long they wait behind those: another connection's receiver is to see it, too.
const BEHIND_MS: u64 = 20;

/// Whose bytes wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Waiter {
    conn: u32,
    from: Role,
    until: Moment,
}

/// What becomes of bytes that come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli::tap) enum ReorderTurn {
    /// They wait for others, at most until then.
    Wait(Moment),
    /// They pass; those of another connection, that waited, at that time.
    Overtake(u32, Role, Moment),
}

/// Knows who waits.
#[derive(Debug, Default)]
pub(in crate::cli::tap) struct Reorder {
    waiter: Option<Waiter>,
}

impl Reorder {
    /// Bytes of one end of a connection have come.
    pub(in crate::cli::tap) fn came(&mut self, conn: u32, from: Role, now: Moment) -> ReorderTurn {
        match self.waiter {
            Some(waiter) if waiter.until > now && waiter.conn != conn => {
                self.waiter = None;
                ReorderTurn::Overtake(waiter.conn, waiter.from, now.plus_millis(BEHIND_MS))
            }
            Some(waiter) if waiter.until > now && waiter.from == from => {
                ReorderTurn::Wait(waiter.until)
            }
            _ => {
                let until = now.plus_millis(WAIT_MS);
                self.waiter = Some(Waiter { conn, from, until });
                ReorderTurn::Wait(until)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_first_waits_until_another_connection_has_overtaken_it() {
        let at = Moment::from_millis;
        let mut reorder = Reorder::default();
        assert_eq!(reorder.came(1, Role::Client, at(0)), ReorderTurn::Wait(at(WAIT_MS)));
        assert_eq!(reorder.came(1, Role::Client, at(5)), ReorderTurn::Wait(at(WAIT_MS)));
        assert_eq!(
            reorder.came(2, Role::Client, at(9)),
            ReorderTurn::Overtake(1, Role::Client, at(9 + BEHIND_MS))
        );
        assert_eq!(reorder.came(2, Role::Server, at(10)), ReorderTurn::Wait(at(10 + WAIT_MS)));
        // It has waited long enough.
        assert_eq!(reorder.came(1, Role::Server, at(200)), ReorderTurn::Wait(at(200 + WAIT_MS)));
    }
}
