//! What kind of world a seed has: who is in it, how the network is, and which faults there are.
//! Each seed has some of them: a world with all faults at once would hide most behind a few.

use super::dice::Dice;
use super::streams;
use parlor::base::Limits;
use parlor::base::declaration::Declaration;
use parlor::hub::{Retention, Scope};

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) users: usize,
    /// Connections that behave, by user.
    pub(crate) devices: Vec<usize>,
    pub(crate) rogues: usize,
    /// Things that people do, in all.
    pub(crate) actions: u64,
    /// Between two things of one person, in ms.
    pub(crate) pause_ms: u64,
    pub(crate) latency_ms: u64,
    /// One in so many writes is split.
    pub(crate) split_one_in: u64,
    /// What the system holds for a peer.
    pub(crate) window_bytes: u64,
    pub(crate) compression: bool,
    pub(crate) store_ms: u64,
    pub(crate) batch_max: u64,
    pub(crate) token_lasts_s: u64,
    pub(crate) is_open_mode: bool,
    pub(crate) text_bytes: u64,
    pub(crate) limits: Limits,
    pub(crate) streams: Vec<Declaration>,
    /// Less may be kept of them than is declared.
    pub(crate) are_streams_tight: bool,
    pub(crate) presence: Scope,
    /// Of each room's log.
    pub(crate) kept: Retention,
    /// Faults, each a mean time between two of them, in ms; 0 for never.
    pub(crate) cut_ms: u64,
    pub(crate) kill_ms: u64,
    pub(crate) stop_reading_ms: u64,
    pub(crate) store_failure_ms: u64,
    pub(crate) store_full_ms: u64,
    pub(crate) store_slow_ms: u64,
    pub(crate) wall_jump_ms: u64,
    pub(crate) sleep_ms: u64,
}

impl Plan {
    pub(crate) fn draw(dice: &mut Dice) -> Plan {
        let users = dice.range(3, 6) as usize;
        let devices = (0..users).map(|_| if dice.one_in(3) { 2 } else { 1 }).collect();
        let mut often = |percent: u64, from: u64, to: u64| {
            if dice.percent(percent) { dice.range(from, to) } else { 0 }
        };
        let (cut_ms, kill_ms) = (often(90, 200, 2_000), often(80, 2_000, 12_000));
        let stop_reading_ms = often(50, 500, 5_000);
        let store_failure_ms = often(30, 500, 5_000);
        let (store_full_ms, store_slow_ms) = (often(20, 2_000, 10_000), often(40, 1_000, 8_000));
        let (wall_jump_ms, sleep_ms) = (often(25, 2_000, 12_000), often(25, 4_000, 15_000));
        let rate = if dice.one_in(3) { (10, 30) } else { (200, 400) };
        let outbox_bytes = *dice.pick(&[1_024, 2_048, 4_096, 16_384, 1 << 20]);
        let are_streams_tight = dice.one_in(6);
        let limits = Limits {
            requests_per_second: rate.0,
            burst: rate.1,
            connections_per_user: *dice.pick(&[2, 3, 20]),
            page: dice.range(2, 12) as u32,
            listed_rooms: *dice.pick(&[1, 3, 500]),
            page_bytes: *dice.pick(&[600, 2_000, 8_000, 256 * 1024]),
            tail_entries: *dice.pick(&[0, 1, 2, 4, 16]),
            tail_bytes: *dice.pick(&[500, 2_000, 32 * 1024]),
            outbox_bytes,
            outbox_low_bytes: (outbox_bytes / dice.range(2, 8) as u32).max(64),
            all_outboxes_bytes: *dice.pick(&[8_192, 65_536, 1 << 28, 1 << 28]),
            stall_timeout_ms: *dice.pick(&[5_000, 30_000]),
            handshake_timeout_ms: 3_000,
            auth_timeout_ms: 3_000,
            auth_leeway_ms: *dice.pick(&[0, 2_000, 30_000]),
            heartbeat_interval_ms: *dice.pick(&[2_000, 25_000, 25_000]),
            heartbeat_timeout_ms: *dice.pick(&[2_000, 10_000]),
            message_timeout_ms: 5_000,
            closing_timeout_ms: 2_000,
            presence_grace_ms: *dice.pick(&[0, 500, 5_000]),
            presence_window_ms: *dice.pick(&[1, 100, 250]),
            presence_listed_people: *dice.pick(&[2, 500, 500]),
            rooms: *dice.pick(&[5, 1_000]),
            streams: *dice.pick(&[8, 10_000]),
            subscriptions: *dice.pick(&[4, 100]),
            stream_bytes: if are_streams_tight { 2_300 } else { 1 << 20 },
            all_streams_bytes: if are_streams_tight { 11_000 } else { 1 << 28 },
            ..Limits::default()
        };
        let kept = Retention {
            entries: if dice.one_in(4) { dice.range(1, 40) } else { u64::MAX },
            age_ms: if dice.one_in(6) { dice.range(1_000, 40_000) } else { u64::MAX },
        };
        Plan {
            users,
            devices,
            rogues: if dice.one_in(3) { dice.range(1, 2) as usize } else { 0 },
            actions: dice.range(620, 880),
            pause_ms: *dice.pick(&[60, 150, 300]),
            latency_ms: *dice.pick(&[1, 5, 40, 150]),
            split_one_in: *dice.pick(&[3, 10, 40]),
            window_bytes: *dice.pick(&[300, 2_000, 16_000, 64_000]),
            compression: dice.one_in(8),
            store_ms: *dice.pick(&[0, 1, 5, 30]),
            batch_max: *dice.pick(&[1, 3, 512]),
            token_lasts_s: *dice.pick(&[8, 20, 65, 3_600, 3_600]),
            is_open_mode: dice.one_in(5),
            text_bytes: *dice.pick(&[20, 60, 400]),
            limits,
            streams: streams::declared(dice),
            are_streams_tight,
            presence: *dice.pick(&[Scope::Everyone, Scope::Everyone, Scope::Rooms, Scope::Off]),
            kept,
            cut_ms,
            kill_ms,
            stop_reading_ms,
            store_failure_ms,
            store_full_ms,
            store_slow_ms,
            wall_jump_ms,
            sleep_ms,
        }
    }
}
