//! The configuration: its keys, and what must hold between them.

use super::auth::{Expected, KeyError, KeyFile, KeySources, Secret};
use super::kept::{kept, kept_text};
use crate::base::{Limits, RoomId};
use crate::hub::{Retentions, Scope, Settings};
use crate::protocol::deflate::CodecsConfig;
use crate::store::Place;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What a server needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; port 0 for one that is free.
    pub listen: SocketAddr,
    /// Where the data is kept.
    pub data: Place,
    /// A secret that signs tokens. Without it and without a file below it is open mode.
    pub secret: Option<Secret>,
    /// A file with that secret.
    pub secret_file: Option<PathBuf>,
    /// Files with the public keys of those who sign tokens, or with sets of keys.
    pub key_files: Vec<KeyFile>,
    /// Whom tokens must be for (`aud`); none: for anybody.
    pub audience: Option<String>,
    /// Whom tokens must be from (`iss`); none: from anybody.
    pub issuer: Option<String>,
    /// Origins of web pages that may connect beside the server's own, as `https://example.com`.
    pub allowed_origins: Vec<String>,
    /// permessage-deflate (RFC 7692).
    pub compression: Compression,
    /// Who is told who is online.
    pub presence: Scope,
    /// Who may make rooms.
    pub rooms_create: Creators,
    /// How much of the rooms' logs is kept.
    pub retention: Retentions,
    /// All limits.
    pub limits: Limits,
}

/// Who may make rooms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Creators {
    /// Everybody.
    #[default]
    Anyone,
    /// Admins.
    Admin,
}

/// Whether messages are compressed for clients that offer it, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compression {
    /// Whether it is agreed to.
    pub enabled: bool,
    /// How.
    pub codecs: CodecsConfig,
}

impl Config {
    /// A server on `listen` with `data`, without a secret, with default limits.
    #[must_use]
    pub fn new(listen: SocketAddr, data: Place) -> Config {
        Config {
            listen,
            data,
            secret: None,
            secret_file: None,
            key_files: Vec::new(),
            audience: None,
            issuer: None,
            allowed_origins: Vec::new(),
            compression: Compression::default(),
            presence: Scope::default(),
            rooms_create: Creators::default(),
            retention: Retentions::default(),
            limits: Limits::default(),
        }
    }

    /// Whether everybody is who they say.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.key_sources().is_empty()
    }

    /// Where the keys come from that tokens are judged by.
    #[must_use]
    pub fn key_sources(&self) -> KeySources {
        KeySources {
            secret: self.secret.clone(),
            secret_file: self.secret_file.clone(),
            key_files: self.key_files.clone(),
        }
    }

    /// What is expected of a token beside its signature.
    #[must_use]
    pub fn expected(&self) -> Expected {
        Expected {
            audience: self.audience.clone(),
            issuer: self.issuer.clone(),
            leeway_ms: self.limits.auth_leeway_ms,
            name_bytes_max: self.limits.title_bytes as usize,
        }
    }

    /// What of it the hub goes by.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let settings = Settings::from(&self.limits);
        let settings = settings.presence(self.presence).keep(self.retention.clone());
        match self.rooms_create {
            Creators::Anyone => settings,
            Creators::Admin => settings.admins_create(),
        }
    }

    /// Checks what must hold between the values.
    ///
    /// # Errors
    /// [`ConfigError::OpenElsewhere`] without a key on an address that is not this machine's own;
    /// [`ConfigError::TwoSecrets`]; [`ConfigError::BadValue`] of a number that is out of its bounds.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.is_open() && !self.listen.ip().to_canonical().is_loopback() {
            return Err(ConfigError::OpenElsewhere(self.listen));
        }
        if self.secret.is_some() && self.secret_file.is_some() {
            return Err(ConfigError::TwoSecrets);
        }
        // An embedding program sets them without `set`.
        let outside = KEYS.iter().find(|key| !key.is_within(self));
        outside.map_or(Ok(()), |key| {
            Err(ConfigError::BadValue { key: key.name, value: key.shown(self) })
        })
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
        if let Some(known) = TEXT_KEYS.iter().find(|known| known.name == key) {
            let bad = || ConfigError::BadValue { key: known.name, value: value.to_owned() };
            return (known.set)(self, value).ok_or_else(bad);
        }
        let known = KEYS.iter().find(|known| known.name == key);
        let known = known.ok_or_else(|| ConfigError::UnknownKey(key.to_owned()))?;
        let number = known
            .parse(value)
            .ok_or_else(|| ConfigError::BadValue { key: known.name, value: value.to_owned() })?;
        (known.set)(self, number);
        // The low mark is below the limit, or nothing would ever be above it.
        self.limits.outbox_low_bytes =
            self.limits.outbox_low_bytes.min(self.limits.outbox_bytes / 2);
        Ok(())
    }
}

/// A key of the configuration. A flag is kept as 0 or 1.
struct Key {
    name: &'static str,
    kind: Kind,
    get: fn(&Config) -> u64,
    set: fn(&mut Config, u64),
}

enum Kind {
    /// An integer within these bounds.
    Number(u64, u64),
    /// `true` or `false`.
    Flag,
}

impl Key {
    fn parse(&self, value: &str) -> Option<u64> {
        match self.kind {
            Kind::Number(min, max) => {
                value.parse().ok().filter(|number| (min..=max).contains(number))
            }
            Kind::Flag => value.parse::<bool>().ok().map(u64::from),
        }
    }

    fn is_within(&self, config: &Config) -> bool {
        let number = (self.get)(config);
        match self.kind {
            Kind::Number(min, max) => (min..=max).contains(&number),
            Kind::Flag => true,
        }
    }

    fn shown(&self, config: &Config) -> String {
        let number = (self.get)(config);
        match self.kind {
            Kind::Number(..) => number.to_string(),
            Kind::Flag => (number == 1).to_string(),
        }
    }
}

macro_rules! keys {
    ($($name:literal => $($field:ident).+: $type:ident $(, $min:literal $(..= $max:literal)?)?;)+) => {
        /// Every key, in the order in which they are listed.
        const KEYS: &[Key] = &[$(Key {
            name: $name,
            kind: keys!(@kind $type $(, $min $(..= $max)?)?),
            get: |config| config.$($field).+ as u64,
            // Within the type's range: `Config::set` has checked.
            set: |config, number| config.$($field).+ = keys!(@value $type number),
        },)+];
    };
    (@kind bool) => { Kind::Flag };
    (@kind $type:ident, $min:literal) => { Kind::Number($min, $type::MAX as u64) };
    (@kind $type:ident, $min:literal ..= $max:literal) => { Kind::Number($min, $max) };
    (@value bool $number:ident) => { $number == 1 };
    (@value $type:ident $number:ident) => { $number as $type };
}

keys! {
    "limits.requests_per_second"     => limits.requests_per_second: u32, 1;
    "limits.burst"                   => limits.burst: u32, 1;
    "limits.message_bytes"           => limits.message_bytes: u64, 1;
    "limits.text_bytes"              => limits.text_bytes: u32, 0;
    "limits.data_bytes"              => limits.data_bytes: u32, 0;
    "limits.cid_bytes"               => limits.cid_bytes: u32, 1..=4_096;
    "limits.emoji_bytes"             => limits.emoji_bytes: u32, 1..=4_096;
    "limits.title_bytes"             => limits.title_bytes: u32, 0..=4_096;
    "limits.fragments"               => limits.fragments: u32, 1;
    "limits.connections"             => limits.connections: u32, 1;
    "limits.connections_per_user"    => limits.connections_per_user: u32, 1;
    "limits.connections_per_address" => limits.connections_per_address: u32, 1;
    "limits.rooms"                   => limits.rooms: u32, 0;
    "limits.direct_rooms"            => limits.direct_rooms: u32, 0;
    "limits.all_rooms"               => limits.all_rooms: u32, 1;
    "limits.room_members"            => limits.room_members: u32, 1;
    "limits.invites"                 => limits.invites: u32, 0;
    "limits.create_members"          => limits.create_members: u32, 0;
    "limits.page"                    => limits.page: u32, 1;
    "limits.page_bytes"              => limits.page_bytes: u32, 1;
    "limits.tail_entries"            => limits.tail_entries: u32, 0;
    "limits.tail_bytes"              => limits.tail_bytes: u32, 0;
    "limits.outbox_bytes"            => limits.outbox_bytes: u32, 1_024;
    "limits.outbox_low_bytes"        => limits.outbox_low_bytes: u32, 1;
    "limits.all_outboxes_bytes"      => limits.all_outboxes_bytes: usize, 1_024;
    "limits.stall_timeout_ms"        => limits.stall_timeout_ms: u64, 1;
    "limits.head_bytes"              => limits.head_bytes: u32, 64;
    "limits.headers"                 => limits.headers: u32, 1;
    "handshake.timeout_ms"           => limits.handshake_timeout_ms: u64, 1;
    "auth.timeout_ms"                => limits.auth_timeout_ms: u64, 1;
    "auth.leeway_ms"                 => limits.auth_leeway_ms: u64, 0;
    "heartbeat.interval_ms"          => limits.heartbeat_interval_ms: u64, 10;
    "heartbeat.timeout_ms"           => limits.heartbeat_timeout_ms: u64, 1;
    "heartbeat.message_timeout_ms"   => limits.message_timeout_ms: u64, 1;
    "closing.timeout_ms"             => limits.closing_timeout_ms: u64, 1;
    "presence.grace_ms"              => limits.presence_grace_ms: u64, 0;
    "presence.window_ms"             => limits.presence_window_ms: u64, 1;
    "presence.listed_people"         => limits.presence_listed_people: u32, 1;
    "compression.enabled"            => compression.enabled: bool;
    "compression.level"              => compression.codecs.level: u8, 0..=9;
    "compression.threshold_bytes"    => compression.codecs.threshold_bytes: u32, 0;
    "compression.context_takeover"   => compression.codecs.context_takeover: bool;
    "compression.windows_bytes"      => compression.codecs.windows_bytes: usize, 0;
}

/// A key whose value is a text; an empty one takes it away.
struct TextKey {
    name: &'static str,
    wants: &'static str,
    get: fn(&Config) -> String,
    set: fn(&mut Config, &str) -> Option<()>,
}

/// Those keys, in the order in which they are listed.
const TEXT_KEYS: &[TextKey] = &[
    TextKey {
        name: "auth.secret_file",
        wants: "a file",
        get: |config| config.secret_file.iter().map(|path| path.display().to_string()).collect(),
        set: |config, text| {
            config.secret_file = (!text.is_empty()).then(|| text.into());
            Some(())
        },
    },
    TextKey {
        name: "auth.key_files",
        wants: "a list of files with commas between them, each FILE or KID=FILE",
        get: |config| config.key_files.iter().map(KeyFile::to_string).collect::<Vec<_>>().join(","),
        set: |config, text| {
            let files = text.split(',').filter(|_| !text.is_empty()).map(str::trim);
            config.key_files = files.map(KeyFile::parse).collect::<Option<_>>()?;
            Some(())
        },
    },
    TextKey {
        name: "auth.audience",
        wants: "a text",
        get: |config| config.audience.clone().unwrap_or_default(),
        set: |config, text| {
            config.audience = (!text.is_empty()).then(|| text.to_owned());
            Some(())
        },
    },
    TextKey {
        name: "presence.scope",
        wants: "everyone, rooms or off",
        get: |config| config.presence.as_str().to_owned(),
        set: |config, text| {
            let scopes = [Scope::Everyone, Scope::Rooms, Scope::Off];
            config.presence = scopes.into_iter().find(|scope| scope.as_str() == text)?;
            Some(())
        },
    },
    TextKey {
        name: "rooms.create",
        wants: "anyone or admin",
        get: |config| match config.rooms_create {
            Creators::Anyone => "anyone".to_owned(),
            Creators::Admin => "admin".to_owned(),
        },
        set: |config, text| {
            config.rooms_create = match text {
                "anyone" => Creators::Anyone,
                "admin" => Creators::Admin,
                _ => return None,
            };
            Some(())
        },
    },
    TextKey {
        name: "retention.default",
        wants: "ENTRIES/AGE_MS, each a number from 1 on or all",
        get: |config| kept_text(config.retention.default),
        set: |config, text| {
            config.retention.default = kept(text)?;
            Some(())
        },
    },
    TextKey {
        name: "retention.rooms",
        wants: "a list of ROOM=ENTRIES/AGE_MS with commas between them",
        get: |config| {
            let rooms = config.retention.rooms.iter();
            let rooms = rooms.map(|(room, of_room)| format!("{room}={}", kept_text(*of_room)));
            rooms.collect::<Vec<_>>().join(",")
        },
        set: |config, text| {
            let rooms = text.split(',').filter(|_| !text.is_empty()).map(|one| {
                let (room, of_room) = one.trim().split_once('=')?;
                Some((RoomId::parse(room).ok()?, kept(of_room)?))
            });
            config.retention.rooms = rooms.collect::<Option<_>>()?;
            Some(())
        },
    },
    TextKey {
        name: "auth.issuer",
        wants: "a text",
        get: |config| config.issuer.clone().unwrap_or_default(),
        set: |config, text| {
            config.issuer = (!text.is_empty()).then(|| text.to_owned());
            Some(())
        },
    },
];

/// Every key and its default, a line each.
#[must_use]
pub fn keys_and_defaults() -> String {
    let defaults = Config::new(SocketAddr::from(([127, 0, 0, 1], 0)), Place::Memory);
    let numbers = KEYS.iter().map(|key| (key.name, key.shown(&defaults)));
    let texts = TEXT_KEYS.iter().map(|key| (key.name, (key.get)(&defaults)));
    let lines: Vec<String> =
        numbers.chain(texts).map(|(name, value)| format!("  {name}={value}")).collect();
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
    /// A secret is given, and a file with one.
    TwoSecrets,
    /// The keys cannot be read, or are none.
    Keys(KeyError),
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
                if let Some(text) = TEXT_KEYS.iter().find(|known| known.name == *key) {
                    return write!(f, "{key} is {}, not {value:?}", text.wants);
                }
                match KEYS.iter().find(|known| known.name == *key).map(|known| &known.kind) {
                    Some(Kind::Number(min, max)) => {
                        write!(f, "{key} is an integer from {min} to {max}, not {value:?}")
                    }
                    Some(Kind::Flag) | None => {
                        write!(f, "{key} is true or false, not {value:?}")
                    }
                }
            }
            ConfigError::OpenElsewhere(address) => write!(
                f,
                "refusing to listen on {address} without a secret: everybody who reaches it could be \
                 anybody.\nGive it a secret of at least 32 bytes (--secret-file FILE, or PARLOR_SECRET) or \
                 the public keys of those who sign tokens (--key-file FILE), or listen on 127.0.0.1"
            ),
            ConfigError::TwoSecrets => f.write_str(
                "a secret (PARLOR_SECRET) and a file with a secret (--secret-file) are both \
                 given: give one",
            ),
            ConfigError::Keys(error) => error.fmt(f),
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
            let before: Vec<u64> = KEYS.iter().map(|key| (key.get)(&config)).collect();
            let value = (key.get)(&config) + 1;
            let text = match key.kind {
                Kind::Number(..) => value.to_string(),
                Kind::Flag => "true".to_owned(),
            };
            config.set(&format!("{}={text}", key.name)).unwrap();
            for (other, before) in KEYS.iter().zip(before) {
                let expected = if other.name == key.name { value } else { before };
                assert_eq!((other.get)(&config), expected, "{} by {}", other.name, key.name);
            }
        }
    }

    #[test]
    fn short_texts_are_as_long_as_a_sound_store_may_have_them_however_they_are_set() {
        use crate::base::limits::SHORT_TEXT_BYTES_MAX;
        let max = u64::from(SHORT_TEXT_BYTES_MAX);
        for name in ["limits.cid_bytes", "limits.emoji_bytes", "limits.title_bytes"] {
            let mut config = config("127.0.0.1:0");
            config.set(&format!("{name}={max}")).unwrap();
            assert!(config.check().is_ok());
            config.set(&format!("{name}={}", max + 1)).unwrap_err();
            let key = KEYS.iter().find(|key| key.name == name).unwrap();
            (key.set)(&mut config, max + 1);
            let Err(ConfigError::BadValue { key, .. }) = config.check() else { panic!("{name}") };
            assert_eq!(key, name);
        }
    }

    #[test]
    fn a_key_of_text_sets_its_own_value_and_an_empty_one_takes_it_away() {
        let shown =
            |config: &Config| TEXT_KEYS.iter().map(|key| (key.get)(config)).collect::<Vec<_>>();
        let keys = TEXT_KEYS.iter().enumerate();
        for (place, key) in keys.filter(|(_, key)| key.name.starts_with("auth.")) {
            let mut config = config("127.0.0.1:0");
            let mut expected = shown(&config);
            config.set(&format!("{}= a=b,./c=d ", key.name)).unwrap();
            expected[place] = "a=b,./c=d".to_owned();
            assert_eq!(shown(&config), expected);
            assert_eq!(
                config.is_open(),
                !key.name.ends_with("file") && !key.name.ends_with("files")
            );
            config.set(&format!("{}=", key.name)).unwrap();
            assert_eq!((key.get)(&config), "");
            assert!(config.is_open());
        }
        for (key, values, wrong) in [
            ("presence.scope", &["everyone", "rooms", "off"][..], "nobody"),
            ("rooms.create", &["anyone", "admin"], "owner"),
            ("retention.default", &["all/all", "10/all", "all/60000"], "0/all"),
            ("retention.rooms", &["", "a:b=10/all,tea=all/1"], "a b=1/1"),
        ] {
            let of_name = TEXT_KEYS.iter().find(|known| known.name == key).unwrap();
            for value in values {
                let mut config = config("127.0.0.1:0");
                config.set(&format!("{key}={value}")).unwrap();
                assert_eq!((of_name.get)(&config), *value);
            }
            let error = config("127.0.0.1:0").set(&format!("{key}={wrong}")).unwrap_err();
            assert!(matches!(error, ConfigError::BadValue { .. }), "{key}={wrong}");
        }
        let mut config = config("127.0.0.1:0");
        for wrong in ["=a", "a=", "a,,b", ","] {
            let error = config.set(&format!("auth.key_files={wrong}")).unwrap_err().to_string();
            assert!(error.contains("KID=FILE"), "{error}");
        }
        config.secret = Secret::new(&[b'x'; 32]).ok();
        config.secret_file = Some("secret".into());
        assert!(matches!(config.check(), Err(ConfigError::TwoSecrets)));
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
            "compression.enabled=1",
            "compression.level=10",
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
