//! What a tap makes go wrong with bytes under way. Pure: time, bytes and chance are arguments.

mod chance;
mod lane;
mod plan;
mod reorder;
mod rule;

pub(super) use lane::{LANE_BYTES_MAX, Lane};
pub(super) use plan::FaultPlan;
pub(super) use reorder::{Reorder, ReorderTurn};
pub(super) use rule::{
    FaultRule, FaultTime, InjectedFault, parse_corrupt, parse_delay, parse_side, parse_throttle,
};
