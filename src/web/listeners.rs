//! What differs from listener to listener: its proxies, and the limits on its connections.

use super::admission::Admission;
use super::common::WebCommon;
use super::proxies::Proxies;
use crate::base::{Limits, ListenerId};
use std::net::IpAddr;

/// What holds for a listener's connections. Where nothing is said, the server's limits and its list
/// of proxies hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListenerRules {
    /// How its connections name their clients, whatever peer they come from.
    pub proxy: Option<ProxyKind>,
    /// Most connections of an address to this listener. Those to others are not counted with them.
    pub connections_per_address: Option<u32>,
    /// The same for new connections per minute; 0 for no limit.
    pub connections_per_address_minute: Option<u32>,
    /// Longest time from the TCP connection to the first request's whole head, in ms.
    pub handshake_timeout_ms: Option<u64>,
}

/// How a proxy names the client of a connection or a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyKind {
    /// There is none: clients come directly, whatever the lists of proxies say.
    Direct,
    /// By `X-Forwarded-For`.
    Forwarded,
    /// By a PROXY header, with which each connection begins.
    Protocol,
}

impl ListenerRules {
    /// The limits, with this listener's own in their place.
    pub(super) fn limits(&self, limits: &Limits) -> Limits {
        let minute = self.connections_per_address_minute;
        Limits {
            connections_per_address: self
                .connections_per_address
                .unwrap_or(limits.connections_per_address),
            connections_per_address_minute: minute.unwrap_or(limits.connections_per_address_minute),
            ..limits.clone()
        }
    }

    pub(super) fn counts_apart(&self) -> bool {
        self.connections_per_address.is_some() || self.connections_per_address_minute.is_some()
    }
}

/// All listeners, as far as they matter to connections.
#[derive(Debug)]
pub(super) struct Listeners {
    rules: Vec<ListenerRules>,
    common: WebCommon,
    proxies: Proxies,
    handshake_timeout_ms: u64,
}

impl Listeners {
    pub(super) fn new(
        rules: Vec<ListenerRules>,
        common: WebCommon,
        proxies: Proxies,
        limits: &Limits,
    ) -> Listeners {
        Listeners { rules, common, proxies, handshake_timeout_ms: limits.handshake_timeout_ms }
    }

    /// Applies new limits, beside those of [`WebCommon`].
    pub(super) fn set_limits(&mut self, limits: &Limits) {
        self.handshake_timeout_ms = limits.handshake_timeout_ms;
    }

    pub(super) fn set_proxies(&mut self, proxies: Proxies) {
        self.proxies = proxies;
    }

    pub(super) fn proxies(&self) -> &Proxies {
        &self.proxies
    }

    /// Counts the connections of this listener by their addresses.
    pub(super) fn admission(&self, listener: ListenerId) -> &Admission {
        self.common.admission(listener)
    }

    fn proxy(&self, listener: ListenerId) -> Option<ProxyKind> {
        self.rules.get(listener.index()).and_then(|rules| rules.proxy)
    }

    /// Whether a peer's `X-Forwarded-For` counts.
    pub(super) fn is_trusted(&self, listener: ListenerId, peer: IpAddr) -> bool {
        match self.proxy(listener) {
            Some(ProxyKind::Direct) => false,
            Some(ProxyKind::Forwarded) => true,
            Some(ProxyKind::Protocol) | None => self.proxies.is_trusted(peer),
        }
    }

    /// Whether a peer's connection begins with a PROXY header.
    pub(super) fn speaks_protocol(&self, listener: ListenerId, peer: IpAddr) -> bool {
        match self.proxy(listener) {
            Some(kind) => kind == ProxyKind::Protocol,
            None => self.proxies.speaks_protocol(peer),
        }
    }

    /// Longest time from a connection to its first request's whole head, in ms.
    pub(super) fn handshake_timeout_ms(&self, listener: ListenerId) -> u64 {
        let own = self.rules.get(listener.index()).and_then(|rules| rules.handshake_timeout_ms);
        own.unwrap_or(self.handshake_timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Address, Moment};

    #[test]
    fn each_listener_has_its_own_limits_and_proxies_and_else_those_of_all() {
        let own = ListenerRules {
            proxy: Some(ProxyKind::Protocol),
            connections_per_address: Some(1),
            handshake_timeout_ms: Some(7),
            ..ListenerRules::default()
        };
        let forwarded =
            ListenerRules { proxy: Some(ProxyKind::Forwarded), ..ListenerRules::default() };
        let limits = Limits { connections_per_address: 2, ..Limits::default() };
        let proxies = Proxies {
            trusted: Proxies::list(&["10.0.0.1"]).unwrap(),
            protocol: Proxies::list(&["10.0.0.2"]).unwrap(),
        };
        let direct = ListenerRules { proxy: Some(ProxyKind::Direct), ..ListenerRules::default() };
        let rules = vec![ListenerRules::default(), own, forwarded, direct];
        let common = WebCommon::new(&rules, &limits, &[], 1);
        let listeners = Listeners::new(rules, common, proxies, &limits);
        let [plain, own, forwarded, direct, unknown] = [0, 1, 2, 3, 4].map(ListenerId::new);
        let address = Address::of("192.0.2.1".parse().unwrap());
        let enter = |listener| listeners.admission(listener).enter(address, Moment::ZERO);
        assert!(enter(own).is_ok() && enter(own).is_err());
        assert!(enter(plain).is_ok() && enter(forwarded).is_ok() && enter(unknown).is_err());
        let peers: [IpAddr; 3] =
            ["10.0.0.1", "10.0.0.2", "192.0.2.1"].map(|peer| peer.parse().unwrap());
        let trusted = |listener| peers.map(|peer| listeners.is_trusted(listener, peer));
        assert_eq!(trusted(plain), [true, false, false]);
        assert_eq!(trusted(own), [true, false, false]);
        assert_eq!(trusted(forwarded), [true; 3]);
        assert_eq!(trusted(direct), [false; 3]);
        let speaks = |listener| peers.map(|peer| listeners.speaks_protocol(listener, peer));
        assert_eq!(speaks(plain), [false, true, false]);
        assert_eq!(speaks(own), [true; 3]);
        assert_eq!(speaks(forwarded), [false; 3]);
        assert_eq!(speaks(direct), [false; 3]);
        let timeout = |listener| listeners.handshake_timeout_ms(listener);
        assert_eq!((timeout(own), timeout(plain)), (7, limits.handshake_timeout_ms));
        listeners.common.set_limits(&Limits { connections_per_address: 9, ..limits });
        let enter = |listener| listeners.admission(listener).enter(address, Moment::ZERO);
        assert!(enter(own).is_err() && enter(plain).is_ok());
    }
}
