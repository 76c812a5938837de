//! The servers, and how each is started.

use crate::options::Options;
use parlor_peers::workload::Workload;
use std::fmt;
use std::path::PathBuf;
use std::process::Command;
use std::str::FromStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    Floor,
    Parlor,
    /// Another build of parlor, as from before a change.
    Before,
    Tungstenite,
    FastWs,
    TokioWs,
    Node,
}

impl Server {
    pub(crate) const ALL: [Server; 7] = [
        Server::Floor,
        Server::Parlor,
        Server::Before,
        Server::Tungstenite,
        Server::FastWs,
        Server::TokioWs,
        Server::Node,
    ];

    /// Neither the measure nor what is measured.
    pub(crate) fn is_peer(self) -> bool {
        !matches!(self, Server::Floor | Server::Parlor | Server::Before)
    }

    fn name(self) -> &'static str {
        match self {
            Server::Floor => "floor",
            Server::Parlor => "parlor",
            Server::Before => "before",
            Server::Tungstenite => "tungstenite",
            Server::FastWs => "fastws",
            Server::TokioWs => "tokio_ws",
            Server::Node => "node",
        }
    }

    /// The command without the address.
    pub(crate) fn command(self, options: &Options, workload: Workload) -> Command {
        let example = if workload.hands_on() { "fan_out" } else { "echo" };
        match self {
            Server::Parlor => Command::new(options.parlor.join(example)),
            Server::Before => Command::new(options.before.join(example)),
            Server::Node => {
                let mut command = Command::new("node");
                command.arg(&options.node_server);
                command
            }
            Server::Floor | Server::Tungstenite | Server::FastWs | Server::TokioWs => {
                Command::new(sibling(self.name()))
            }
        }
    }
}

/// A program of this package.
pub(crate) fn sibling(name: &str) -> PathBuf {
    let own = std::env::current_exe().unwrap_or_default();
    own.with_file_name(name)
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Server {
    type Err = String;

    fn from_str(name: &str) -> Result<Server, String> {
        let found = Server::ALL.into_iter().find(|server| server.name() == name);
        found.ok_or_else(|| format!("{name} is no server"))
    }
}
