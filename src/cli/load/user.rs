//! One connection of a run: where it stands, and what it has seen.

use super::track::Track;
use crate::client::net::Socket;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UserStage {
    /// It has not begun, or is over.
    Away,
    Opening,
    /// It waits for `hello`, and for its room or stream.
    Entering,
    /// It sends, and is sent to.
    Ready,
}

/// A message that was not acknowledged yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnderWay {
    pub(super) id: u64,
    pub(super) meant: Duration,
}

/// A connection.
#[derive(Debug)]
pub(super) struct LoadUser {
    pub(super) socket: Option<Box<Socket>>,
    pub(super) standing: UserStage,
    pub(super) begun: Duration,
    /// Of attempts: a time that was set for an earlier one is void.
    pub(super) attempt: u32,
    /// Messages that it has sent.
    pub(super) sent: u64,
    pub(super) under_way: VecDeque<UnderWay>,
    /// What it has seen of its room or its stream, or of its own messages.
    pub(super) track: Track,
    /// What it has seen of each sender of a broadcast.
    pub(super) senders: BTreeMap<u32, Track>,
    /// It has been ready once: from then on it misses nothing.
    pub(super) has_entered: bool,
    pub(super) epoch: Option<Box<str>>,
}

impl LoadUser {
    pub(super) fn new() -> LoadUser {
        LoadUser {
            socket: None,
            standing: UserStage::Away,
            begun: Duration::ZERO,
            attempt: 0,
            sent: 0,
            under_way: VecDeque::new(),
            track: Track::default(),
            senders: BTreeMap::new(),
            has_entered: false,
            epoch: None,
        }
    }
}
