//! All that is to go wrong.

use super::lane::Lane;
use super::rule::FaultRule;
use crate::base::Moment;
use crate::protocol::Role;

/// The rules of flags and of a script, and the seed of what chance decides.
#[derive(Clone, Debug, Default)]
pub(in crate::cli::tap) struct FaultPlan {
    rules: Vec<FaultRule>,
    seed: u64,
}

impl FaultPlan {
    pub(in crate::cli::tap) fn new(rules: Vec<FaultRule>, seed: u64) -> FaultPlan {
        FaultPlan { rules, seed }
    }

    pub(in crate::cli::tap) fn seed(&self) -> u64 {
        self.seed
    }

    /// Whether chance decides anything.
    pub(in crate::cli::tap) fn has_chance(&self) -> bool {
        self.rules.iter().any(FaultRule::has_chance)
    }

    /// The way of one end's bytes on a connection that begins now.
    pub(in crate::cli::tap) fn lane(&self, conn: u32, from: Role, now: Moment) -> Lane {
        let rules = self.rules.iter().filter(|rule| rule.is_for(conn, from)).cloned().collect();
        let of = u64::from(conn) << 1 | u64::from(from == Role::Server);
        Lane::new(rules, self.seed, of, now)
    }
}
