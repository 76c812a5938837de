//! What the connections of a run do.

use clap::ValueEnum;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Scenario {
    /// Each connection sends, and the server sends the same back to it
    Echo,
    /// Some connections send, and the server sends that to all
    Broadcast,
    /// A parlor: each connection is in a room and writes there; all in the room get it
    Rooms,
    /// A parlor: some connections publish to a stream that all watch
    Streams,
    /// Connections come, stay for a moment, and go, again and again
    Storm,
    /// As rooms; connections that the server loses come back at once, and resume
    Crowd,
}

impl Scenario {
    /// Whether the server must be a parlor.
    pub(super) fn is_chat(self) -> bool {
        matches!(self, Scenario::Rooms | Scenario::Streams | Scenario::Crowd)
    }

    /// Whether a message comes to each connection, not to its sender alone.
    pub(super) fn has_few_senders(self) -> bool {
        matches!(self, Scenario::Broadcast | Scenario::Streams)
    }

    pub(super) fn has_rooms(self) -> bool {
        matches!(self, Scenario::Rooms | Scenario::Crowd)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Scenario::Echo => "echo",
            Scenario::Broadcast => "broadcast",
            Scenario::Rooms => "rooms",
            Scenario::Streams => "streams",
            Scenario::Storm => "storm",
            Scenario::Crowd => "crowd",
        }
    }
}
