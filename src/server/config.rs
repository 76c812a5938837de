//! The configuration: its keys, and what must hold between them.

use super::auth::Secret;
use crate::base::Limits;
use crate::store::Place;
use std::fmt;
use std::net::SocketAddr;

/// What a server needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; port 0 for one that is free.
    pub listen: SocketAddr,
    /// Where the data is kept.
    pub data: Place,
    /// Signs tokens; with none it is open mode.
    pub secret: Option<Secret>,
    /// Origins of web pages that may connect beside the server's own, as `https://example.com`.
    pub allowed_origins: Vec<String>,
    /// All limits.
    pub limits: Limits,
}

impl Config {
    /// A server on `listen` with `data`, without a secret, with default limits.
    #[must_use]
    pub fn new(listen: SocketAddr, data: Place) -> Config {
        Config {
            listen,
            data,
            secret: None,
            allowed_origins: Vec::new(),
            limits: Limits::default(),
        }
    }

    /// Whether everybody is who they say.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.secret.is_none()
    }

    /// Checks what must hold between the values.
    ///
    /// # Errors
    /// [`ConfigError::OpenElsewhere`] without a secret on an address that is not this machine's own.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.is_open() && !self.listen.ip().to_canonical().is_loopback() {
            return Err(ConfigError::OpenElsewhere(self.listen));
        }
        Ok(())
    }

    /// Sets a value by its key, as `--set limits.burst=100`.
    ///
    /// # Errors
    /// [`ConfigError`], which names the keys that there are.
    pub fn set(&mut self, assignment: &str) -> Result<(), ConfigError> {
        let (key, value) = assignment
            .split_once('=')
            .ok_or_else(|| ConfigError::NoValue(assignment.to_owned()))?;
        let (key, value) = (key.trim(), value.trim());
        let known = KEYS.iter().find(|known| known.name == key);
        let known = known.ok_or_else(|| ConfigError::UnknownKey(key.to_owned()))?;
        let number: u64 = value
            .parse()
            .ok()
            .filter(|number| (known.min..=known.max).contains(number))
            .ok_or_else(|| ConfigError::BadValue { key: known.name, value: value.to_owned() })?;
        (known.set)(&mut self.limits, number);
        // The low mark is below the limit, or nothing would ever be above it.
        self.limits.outbox_low_bytes =
            self.limits.outbox_low_bytes.min(self.limits.outbox_bytes / 2);
        Ok(())
    }
}

/// A key of the configuration.
struct Key {
    name: &'static str,
    min: u64,
    max: u64,
    get: fn(&Limits) -> u64,
    set: fn(&mut Limits, u64),
}

macro_rules! keys {
    ($($name:literal => $field:ident: $type:ty, $min:literal;)+) => {
        /// Every key, in the order in which they are listed.
        const KEYS: &[Key] = &[$(Key {
            name: $name,
            min: $min,
            max: <$type>::MAX as u64,
            get: |limits| limits.$field as u64,
            // Within the type's range: `Config::set` has checked.
            set: |limits, number| limits.$field = number as $type,
        },)+];
    };
}

keys! {
    "limits.requests_per_second"     => requests_per_second: u32, 1;
    "limits.burst"                   => burst: u32, 1;
    "limits.message_bytes"           => message_bytes: u64, 1;
    "limits.text_bytes"              => text_bytes: u32, 0;
    "limits.data_bytes"              => data_bytes: u32, 0;
    "limits.cid_bytes"               => cid_bytes: u32, 1;
    "limits.title_bytes"             => title_bytes: u32, 0;
    "limits.fragments"               => fragments: u32, 1;
    "limits.connections"             => connections: u32, 1;
    "limits.connections_per_user"    => connections_per_user: u32, 1;
    "limits.connections_per_address" => connections_per_address: u32, 1;
    "limits.rooms"                   => rooms: u32, 0;
    "limits.direct_rooms"            => direct_rooms: u32, 0;
    "limits.all_rooms"               => all_rooms: u32, 1;
    "limits.room_members"            => room_members: u32, 1;
    "limits.create_members"          => create_members: u32, 0;
    "limits.page"                    => page: u32, 1;
    "limits.page_bytes"              => page_bytes: u32, 1;
    "limits.tail_entries"            => tail_entries: u32, 0;
    "limits.tail_bytes"              => tail_bytes: u32, 0;
    "limits.outbox_bytes"            => outbox_bytes: u32, 1_024;
    "limits.outbox_low_bytes"        => outbox_low_bytes: u32, 1;
    "limits.all_outboxes_bytes"      => all_outboxes_bytes: usize, 1_024;
    "limits.stall_timeout_ms"        => stall_timeout_ms: u64, 1;
    "limits.head_bytes"              => head_bytes: u32, 64;
    "limits.headers"                 => headers: u32, 1;
    "handshake.timeout_ms"           => handshake_timeout_ms: u64, 1;
    "auth.timeout_ms"                => auth_timeout_ms: u64, 1;
    "auth.leeway_ms"                 => auth_leeway_ms: u64, 0;
    "heartbeat.interval_ms"          => heartbeat_interval_ms: u64, 10;
    "heartbeat.timeout_ms"           => heartbeat_timeout_ms: u64, 1;
    "heartbeat.message_timeout_ms"   => message_timeout_ms: u64, 1;
    "closing.timeout_ms"             => closing_timeout_ms: u64, 1;
    "presence.grace_ms"              => presence_grace_ms: u64, 0;
    "presence.window_ms"             => presence_window_ms: u64, 1;
}

/// Every key and its default, a line each.
#[must_use]
pub fn keys_and_defaults() -> String {
    let defaults = Limits::default();
    let lines: Vec<String> =
        KEYS.iter().map(|key| format!("  {}={}", key.name, (key.get)(&defaults))).collect();
    lines.join("\n")
}

/// What is wrong with a configuration.
#[derive(Debug)]
pub enum ConfigError {
    /// No key has this name.
    UnknownKey(String),
    /// There is no `=`.
    NoValue(String),
    /// The value is not one of this key's.
    BadValue {
        /// The key.
        key: &'static str,
        /// What was given.
        value: String,
    },
    /// Open mode on an address that others reach.
    OpenElsewhere(SocketAddr),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::UnknownKey(key) => {
                write!(
                    f,
                    "no key is called {key:?}; the keys and their defaults are\n{}",
                    keys_and_defaults()
                )
            }
            ConfigError::NoValue(text) => write!(f, "{text:?} is not of the form KEY=VALUE"),
            ConfigError::BadValue { key, value } => {
                let range = KEYS.iter().find(|known| known.name == *key);
                let (min, max) = range.map_or((0, u64::MAX), |known| (known.min, known.max));
                write!(f, "{key} is an integer from {min} to {max}, not {value:?}")
            }
            ConfigError::OpenElsewhere(address) => write!(
                f,
                "refusing to listen on {address} without a secret: everybody who reaches it could be \
                 anybody.\nGive it a secret of at least 32 bytes (--secret-file FILE, or PARLOR_SECRET), \
                 or listen on 127.0.0.1"
            ),
        }
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(listen: &str) -> Config {
        Config::new(listen.parse().unwrap(), Place::Memory)
    }

    #[test]
    fn every_key_sets_its_own_value_and_no_other() {
        for key in KEYS {
            let mut config = config("127.0.0.1:0");
            let before: Vec<u64> = KEYS.iter().map(|key| (key.get)(&config.limits)).collect();
            let value = (key.get)(&config.limits) + 1;
            config.set(&format!("{}={value}", key.name)).unwrap();
            for (other, before) in KEYS.iter().zip(before) {
                let expected = if other.name == key.name { value } else { before };
                assert_eq!((other.get)(&config.limits), expected, "{} by {}", other.name, key.name);
            }
        }
    }

    #[test]
    fn a_wrong_key_lists_the_right_ones_and_a_wrong_value_its_range() {
        let mut config = config("127.0.0.1:0");
        let message = config.set("limits.bursts=1").unwrap_err().to_string();
        assert!(message.contains("limits.burst=30") && message.contains("presence.grace_ms=5000"));
        for wrong in [
            "limits.burst",
            "limits.burst=",
            "limits.burst=-1",
            "limits.burst=0",
            "limits.burst=4294967296",
        ] {
            assert!(config.set(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn open_mode_is_for_this_machine_alone() {
        for good in ["127.0.0.1:0", "127.9.9.9:1", "[::1]:1"] {
            assert!(config(good).check().is_ok(), "{good}");
        }
        for bad in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1"] {
            let mut config = config(bad);
            assert!(config.check().unwrap_err().to_string().contains("--secret-file"), "{bad}");
            config.secret = Some(Secret::new(&[b'x'; 32]).unwrap());
            assert!(config.check().is_ok());
        }
    }
}
