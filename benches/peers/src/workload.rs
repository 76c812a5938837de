//! What is asked of the servers, by name, and what parlor is to reach.

use std::fmt;
use std::str::FromStr;

/// A workload. Its name is what `Display` writes and `FromStr` reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// Each connection sends `burst` messages at once and waits until all have come back.
    Echo { bytes: usize, connections: usize, burst: usize },
    /// One of the connections sends `burst` messages at once and waits until all connections have
    /// all of them.
    FanOut { bytes: usize, connections: usize, burst: usize },
    /// The first connection of each user sends one message to the next user and waits until all
    /// connections of that user have it.
    Targeted { bytes: usize, users: usize, connections_each: usize },
    /// Connections that are opened and closed in order, so many at a time.
    Handshakes { at_once: usize },
    /// Connections that say nothing: what they take of the server's memory.
    Idle { connections: usize },
}

/// Least ratios of parlor's work for each second of processor time to that of others; of memory the
/// largest, in bytes and as a ratio.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Targets {
    pub floor: Option<f64>,
    pub best_peer: Option<f64>,
    pub bytes_max: Option<f64>,
}

/// Messages that are under way at once have no more bytes than this, or it would be the system's
/// buffers that are measured.
const UNDER_WAY_BYTES_MAX: usize = 64 * 1024 * 1024;

const KIB: usize = 1_024;

impl Workload {
    /// All of them.
    pub fn all() -> Vec<Workload> {
        let mut all = Vec::new();
        for bytes in [20, KIB, 16 * KIB, 64 * KIB, 256 * KIB] {
            for connections in [1, 10, 100, 1_000] {
                for burst in [1, 16] {
                    if bytes * connections * burst <= UNDER_WAY_BYTES_MAX {
                        all.push(Workload::Echo { bytes, connections, burst });
                    }
                }
            }
        }
        for connections in [100, 1_000, 5_000] {
            for burst in [1, 16] {
                all.push(Workload::FanOut { bytes: 128, connections, burst });
            }
        }
        all.push(Workload::FanOut { bytes: 16 * KIB, connections: 1_000, burst: 4 });
        all.push(Workload::Targeted { bytes: 128, users: 250, connections_each: 4 });
        all.push(Workload::Handshakes { at_once: 32 });
        all.push(Workload::Idle { connections: 5_000 });
        all
    }

    /// What parlor is to reach, if that was said.
    pub fn targets(self) -> Option<Targets> {
        let (floor, best_peer) = match self {
            Workload::Echo { bytes: 20, connections: 100, burst: 1 } => (0.97, Some(1.02)),
            Workload::Echo { bytes: 20, connections: 100, burst: 16 } => (0.94, Some(1.5)),
            Workload::Echo { bytes: 1_024, connections: 100, burst: 16 } => (0.90, Some(1.5)),
            Workload::Echo { bytes: 16_384, connections: 10, burst: 16 } => (0.80, Some(1.5)),
            Workload::Echo { bytes: 65_536, connections: 10, burst: 1 } => (0.92, Some(1.02)),
            Workload::FanOut { bytes: 128, connections: 1_000, burst: 1 } => (0.95, Some(1.0)),
            Workload::FanOut { bytes: 128, connections: 1_000, burst: 16 } => (0.90, Some(1.0)),
            Workload::FanOut { bytes: 16_384, .. } => (0.86, Some(1.3)),
            Workload::Targeted { .. } => (0.95, None),
            Workload::Handshakes { .. } => (0.97, Some(1.05)),
            Workload::Idle { .. } => {
                let bytes_max = Some(300.0);
                return Some(Targets { floor: None, best_peer: Some(0.1), bytes_max });
            }
            Workload::Echo { .. } | Workload::FanOut { .. } => return None,
        };
        Some(Targets { floor: Some(floor), best_peer, bytes_max: None })
    }

    /// Connections that it opens and keeps.
    pub fn connections(self) -> usize {
        match self {
            Workload::Echo { connections, .. }
            | Workload::FanOut { connections, .. }
            | Workload::Idle { connections } => connections,
            Workload::Targeted { users, connections_each, .. } => users * connections_each,
            Workload::Handshakes { .. } => 0,
        }
    }

    /// Whether messages go to others than their senders.
    pub fn hands_on(self) -> bool {
        matches!(self, Workload::FanOut { .. } | Workload::Targeted { .. })
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Workload::Echo { bytes, connections, burst } => {
                write!(f, "echo-{}x{connections}{}", Bytes(bytes), Burst(burst))
            }
            Workload::FanOut { bytes, connections, burst } => {
                write!(f, "fan-out-{}x{connections}{}", Bytes(bytes), Burst(burst))
            }
            Workload::Targeted { bytes, users, connections_each } => {
                write!(f, "targeted-{}x{users}x{connections_each}", Bytes(bytes))
            }
            Workload::Handshakes { at_once } => write!(f, "handshakes-{at_once}"),
            Workload::Idle { connections } => write!(f, "idle-{connections}"),
        }
    }
}

impl FromStr for Workload {
    type Err = String;

    fn from_str(name: &str) -> Result<Workload, String> {
        let parsed = || {
            let (rest, burst) = match name.split_once("-burst") {
                Some((rest, burst)) => (rest, number(burst)?),
                None => (name, 1),
            };
            let (kind, numbers) = rest.rsplit_once('-')?;
            let numbers: Vec<usize> = numbers.split('x').map(number).collect::<Option<_>>()?;
            Some(match (kind, &numbers[..]) {
                ("echo", &[bytes, connections]) => Workload::Echo { bytes, connections, burst },
                ("fan-out", &[bytes, connections]) => {
                    Workload::FanOut { bytes, connections, burst }
                }
                ("targeted", &[bytes, users, connections_each]) => {
                    Workload::Targeted { bytes, users, connections_each }
                }
                ("handshakes", &[at_once]) => Workload::Handshakes { at_once },
                ("idle", &[connections]) => Workload::Idle { connections },
                _ => return None,
            })
        };
        parsed().ok_or_else(|| format!("{name} is no workload"))
    }
}

/// A number above 0, perhaps of kibibytes.
fn number(text: &str) -> Option<usize> {
    let (digits, unit) = match text.strip_suffix("KiB") {
        Some(digits) => (digits, KIB),
        None => (text, 1),
    };
    digits.parse::<usize>().ok()?.checked_mul(unit).filter(|&number| number > 0)
}

struct Bytes(usize);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes % KIB == 0 => write!(f, "{}KiB", bytes / KIB),
            bytes => write!(f, "{bytes}"),
        }
    }
}

struct Burst(usize);

impl fmt::Display for Burst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => Ok(()),
            burst => write!(f, "-burst{burst}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_again() {
        for workload in Workload::all() {
            assert_eq!(workload.to_string().parse(), Ok(workload));
        }
        assert!("echo-0x1".parse::<Workload>().is_err());
    }

    #[test]
    fn eleven_workloads_have_targets() {
        let with_targets = Workload::all().into_iter().filter(|one| one.targets().is_some());
        assert_eq!(with_targets.count(), 11);
    }
}
