//! `[proxies]`: who in front is believed when they say from where a connection or a request comes.

use super::config::Config;
use super::key::{Effect, Key, Kind};
use crate::server::web::{Network, Proxies};

const WANTS: &str = "a list of at most 256 addresses and networks, as 127.0.0.1, ::1 or 10.0.0.0/8";

/// Whose `X-Forwarded-For` counts.
pub(super) const TRUSTED: Key = Key {
    name: "proxies.trusted",
    effect: Effect::Opened,
    about: "Proxies whose X-Forwarded-For is believed. They are not counted as an address of their own.",
    kind: Kind::List {
        wants: WANTS,
        get: |config| texts(&config.proxies.trusted),
        set: |config, items| set(config, items, |proxies| &mut proxies.trusted),
    },
};

/// Whose connections begin with a header of the PROXY protocol.
pub(super) const PROTOCOL: Key = Key {
    name: "proxies.protocol",
    effect: Effect::Opened,
    about: "Proxies whose connections begin with a header of the PROXY protocol, version 2: each must, and \
            nobody else may.",
    kind: Kind::List {
        wants: WANTS,
        get: |config| texts(&config.proxies.protocol),
        set: |config, items| set(config, items, |proxies| &mut proxies.protocol),
    },
};

fn texts(networks: &[Network]) -> Vec<String> {
    networks.iter().map(Network::to_string).collect()
}

fn set(
    config: &mut Config,
    items: &[&str],
    of: fn(&mut Proxies) -> &mut Vec<Network>,
) -> Option<()> {
    *of(&mut config.proxies) = Proxies::list(items)?;
    Some(())
}
