//! What a client is doing about its connection, and what close codes ask of it (`docs/protocol.md`,
//! "Closing"). Names, codes and defaults are those of `clients/js`.

use crate::base::Timestamp;
use std::fmt;
use std::ops::RangeInclusive;

/// What a client is doing about its connection.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum State {
    /// It has not begun.
    #[default]
    Idle,
    /// It asks for a token, looks the name up, connects.
    Connecting,
    /// The WebSocket is open, and the server has not said yet who this is, or what was missed.
    Authenticating,
    /// It sends and receives.
    Online {
        /// Since when.
        since: Timestamp,
    },
    /// The connection was lost: it waits before the next attempt.
    Waiting {
        /// Until when.
        until: Timestamp,
        /// The number of the next attempt: 1 after a connection that lasted.
        attempt: u32,
        /// Why the connection ended, or did not begin.
        reason: Box<str>,
        /// The close code, if one came.
        code: Option<u16>,
    },
    /// It has let go of the connection, until `retry_now`.
    Paused {
        /// Who asked for it.
        reason: Box<str>,
    },
    /// It was closed by intent.
    Closed,
    /// It does not try again by itself.
    Failed {
        /// Why not.
        code: FailCode,
        /// The same for people.
        reason: Box<str>,
    },
}

impl State {
    /// The name that all clients have for it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            State::Idle => "idle",
            State::Connecting => "connecting",
            State::Authenticating => "authenticating",
            State::Online { .. } => "online",
            State::Waiting { .. } => "waiting",
            State::Paused { .. } => "paused",
            State::Closed => "closed",
            State::Failed { .. } => "failed",
        }
    }

    /// Whether it sends and receives.
    #[must_use]
    pub const fn is_online(&self) -> bool {
        matches!(self, State::Online { .. })
    }
}

/// Why a client does not try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailCode {
    /// The server closed with this code, or the program says that it is final.
    Close(u16),
    /// All attempts were used up.
    Attempts,
    /// The token's source said that there will be none.
    Token,
    /// The URL is none, or none that it can connect to.
    Url,
}

impl fmt::Display for FailCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FailCode::Close(code) => write!(f, "{code}"),
            FailCode::Attempts => f.write_str("attempts"),
            FailCode::Token => f.write_str("token"),
            FailCode::Url => f.write_str("url"),
        }
    }
}

/// What a client does about the end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It stops.
    Ends,
    /// It gets another token first.
    AsksForToken,
    /// It comes back, after a wait.
    ComesBack,
}

impl Verdict {
    /// The words that all clients have for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::Ends => "ends",
            Verdict::AsksForToken => "asks for a token",
            Verdict::ComesBack => "comes back",
        }
    }
}

/// Close codes that ask for another token (`docs/protocol.md`, "Closing").
pub const TOKEN_CODES: RangeInclusive<u16> = 4200..=4299;

/// What a close code asks of a client; one that no table lists is judged by its range.
#[must_use]
pub const fn verdict(code: u16) -> Verdict {
    match code {
        1002 | 1003 | 1007 | 1009 | 4000..=4099 => Verdict::Ends,
        4200..=4299 => Verdict::AsksForToken,
        _ => Verdict::ComesBack,
    }
}

/// A change of the state.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// When.
    pub at: Timestamp,
    /// The state's name.
    pub state: &'static str,
    /// Why.
    pub cause: Box<str>,
    /// The close code, or why it does not try again.
    pub code: Option<FailCode>,
    /// What is done about it.
    pub advice: Option<Verdict>,
}

/// How long a client waits between two attempts: at most `min_ms`, then `factor` times as long, up
/// to `max_ms`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// The first wait, in ms.
    pub min_ms: u64,
    /// The longest wait, in ms.
    pub max_ms: u64,
    /// How much longer each is than the one before.
    pub factor: u32,
    /// Whether a wait is a random part of this, so that not all come back at once.
    pub has_jitter: bool,
    /// How many attempts there are at most; `None` for no end.
    pub attempts: Option<u32>,
    /// A connection that has lasted so long, in ms, has the waits begin anew.
    pub stable_ms: u64,
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff {
            min_ms: 1_000,
            max_ms: 30_000,
            factor: 2,
            has_jitter: true,
            attempts: None,
            stable_ms: 30_000,
        }
    }
}

impl Backoff {
    /// The longest wait before this attempt; 0 is the first.
    pub(in crate::client) fn wait_ms(&self, attempt: u32) -> u64 {
        let grown = u64::from(self.factor).saturating_pow(attempt);
        self.min_ms.saturating_mul(grown).min(self.max_ms)
    }
}

/// How good the connection is, by its round trips.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// In a word.
    pub level: Level,
    /// The newest round trip, in ms.
    pub rtt_ms: u64,
    /// How much round trips differ, in ms (RFC 3550 §6.4.1).
    pub jitter_ms: f64,
}

/// The quality of a connection in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Level {
    /// Below 20 ms.
    Excellent,
    /// Below 50 ms.
    Good,
    /// Below 100 ms.
    Fair,
    /// Below 200 ms.
    Poor,
    /// Slower.
    Critical,
    /// No answer came in time, or the connection is gone.
    Lost,
}

impl Level {
    /// The names, and below which round trip in ms each is.
    const BELOW_MS: &[(Level, u64)] =
        &[(Level::Excellent, 20), (Level::Good, 50), (Level::Fair, 100), (Level::Poor, 200)];

    /// That of a round trip.
    pub(super) fn of(rtt_ms: u64) -> Level {
        let found = Level::BELOW_MS.iter().find(|(_, bound)| rtt_ms < *bound);
        found.map_or(Level::Critical, |(level, _)| *level)
    }

    /// The name that all clients have for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::Excellent => "excellent",
            Level::Good => "good",
            Level::Fair => "fair",
            Level::Poor => "poor",
            Level::Critical => "critical",
            Level::Lost => "lost",
        }
    }
}

/// Why a token is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenReason {
    /// There is none yet.
    #[default]
    First,
    /// The one in use ends soon.
    Expiring,
    /// The one in use was refused.
    Rejected,
}

impl TokenReason {
    /// The word that all clients have for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            TokenReason::First => "first",
            TokenReason::Expiring => "expiring",
            TokenReason::Rejected => "rejected",
        }
    }
}
