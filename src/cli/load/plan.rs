//! How a run is made.

use super::scenario::Scenario;
use std::time::Duration;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunStage {
    Opening { until: Duration },
    Sending { until: Duration },
    Draining { until: Duration },
    Closing,
}

impl RunStage {
    /// Up to which moment a storm opens connections. It ends when it was meant to, however late this is asked.
    pub(super) fn storms_until(self, now: Duration) -> Duration {
        match self {
            RunStage::Opening { .. } => now,
            RunStage::Sending { until } => now.min(until),
            RunStage::Draining { .. } | RunStage::Closing => Duration::ZERO,
        }
    }
}

/// What the command line has said, in numbers.
#[derive(Clone, Debug)]
pub(super) struct LoadPlan {
    pub(super) scenario: Scenario,
    pub(super) connections: u32,
    /// Connections a second that are opened.
    pub(super) ramp: f64,
    /// Messages a second, of all connections together.
    pub(super) rate: f64,
    /// How long messages are sent.
    pub(super) sending: Duration,
    /// How long what is under way then is waited for.
    pub(super) drain: Duration,
    /// How long a connection may take to be ready.
    pub(super) timeout: Duration,
    pub(super) rooms: u32,
    /// The first so many connections send.
    pub(super) senders: u32,
    /// Bytes of a text.
    pub(super) size: usize,
    /// What is sent in place of a text alone; `{mark}` stands for that.
    pub(super) template: Option<String>,
    pub(super) stream: String,
    /// Names what the run makes.
    pub(super) run: String,
    /// How long a connection of a storm stays.
    pub(super) stay: Duration,
}

impl LoadPlan {
    /// How long opening all connections may take.
    pub(super) fn opening(&self) -> Duration {
        let all = Duration::try_from_secs_f64(f64::from(self.connections) / self.ramp);
        all.unwrap_or(Duration::MAX / 4).saturating_add(self.timeout)
    }

    /// How long all of it may take.
    pub(super) fn longest(&self) -> Duration {
        self.opening().saturating_add(self.sending).saturating_add(self.drain)
    }

    /// The room of a connection.
    pub(super) fn room(&self, index: u32) -> u32 {
        index % self.rooms.max(1)
    }

    pub(super) fn room_name(&self, room: u32) -> String {
        format!("load-{}-{room}", self.run)
    }

    pub(super) fn user_name(&self, index: u32) -> String {
        format!("load-{}-{index}", self.run)
    }
}
