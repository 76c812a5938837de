//! `[proxies]`: proxies trusted to name the client of a connection or a request.

use super::config::Config;
use super::key::{ConfigKey, TakesEffect, ValueKind};
use crate::web::{Network, Proxies};

const WANTS: &str = "a list of at most 256 addresses and networks, as 127.0.0.1, ::1 or 10.0.0.0/8";

/// Proxies whose `X-Forwarded-For` counts.
pub(super) const TRUSTED: ConfigKey = ConfigKey {
    name: "proxies.trusted",
    effect: TakesEffect::Opened,
    about: "Proxies whose X-Forwarded-For is trusted; their own addresses are not limited.",
    kind: ValueKind::List {
        wants: WANTS,
        get: |config| texts(&config.proxies.trusted),
        set: |config, items| set(config, items, |proxies| &mut proxies.trusted),
    },
};

/// Proxies whose connections begin with a PROXY header.
pub(super) const PROTOCOL: ConfigKey = ConfigKey {
    name: "proxies.protocol",
    effect: TakesEffect::Opened,
    about: "Proxies whose connections must begin with a PROXY protocol header, version 2; no other may.",
    kind: ValueKind::List {
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
