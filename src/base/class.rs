//! How the outbox may treat a frame that waits to be sent.

/// How the outbox treats a frame when it fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Ends or keeps the connection (Close, Ping, an HTTP answer): never refused.
    Control,
    /// Answers a ping: only the newest waits (RFC 6455 §5.5.3).
    Pong,
    /// Answers a request: never refused; instead nothing more is read while the outbox is full.
    Reply,
    /// An entry of a log: refused when the outbox is full, and fed from the log later.
    Durable,
    /// Typing, presence: refused when the outbox is half full.
    Ephemeral,
    /// An event of a stream: refused when the outbox is full, half full or a quarter full, by its
    /// priority, and fed later. It goes before events of a lower priority that wait.
    Stream(Priority),
}

/// Which stream's events are sent first and given up last when a connection is slow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Given up first.
    Low,
    /// In between.
    #[default]
    Normal,
    /// Sent before the events of others.
    High,
}

impl Priority {
    /// The share of an outbox that such events may fill.
    pub(super) const fn share(self, limit: usize) -> usize {
        match self {
            Priority::Low => limit / 4,
            Priority::Normal => limit / 2,
            Priority::High => limit,
        }
    }
}
