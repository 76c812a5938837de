//! Gives a running server another configuration.

use crate::auth::Keys;
use crate::base::{ConnId, Origin};
use crate::config::Config;
use crate::hub::Input;
use crate::server::chat::chat::Chat;
use crate::server::chat::errands::DealtErrand;
use crate::server::chat::remote::UNDECLARED;
use crate::store::RecordStore;
use crate::web::Net;

impl<S: RecordStore> Chat<S> {
    /// Applies another configuration, with the keys that were read for it. Later ones have higher
    /// numbers.
    pub(super) fn reconfigure(
        &mut self,
        net: &mut Net<'_>,
        config: Config,
        keys: Keys,
        number: u64,
    ) {
        self.verifier.replace_keys(keys);
        self.verifier.expect(config.expected());
        self.hub.reconfigure(config.settings());
        net.set_limits(&config.limits, &config.proxies);
        self.reconfigure_all(&config, number);
        if self.number == 0 {
            let removed = self.team.remotes().declare(&config.limits, &config.handlers);
            for asking in removed {
                self.deal(net, DealtErrand::Refuse(asking, UNDECLARED));
            }
        }
        self.outbound.reconfigure(&config.limits);
        self.config = config;
        for conn in self.conns() {
            self.settle_limits(conn);
        }
        self.scan_queue.retry_now();
        self.declare_sources(net);
        self.decide(net, Input::Redeclared);
        for conn in self.conns() {
            self.judge_rights(net, conn);
        }
    }

    /// What threads have in common. Each says it, as none judges by an older one; who is late with an
    /// older configuration does not.
    fn reconfigure_all(&self, config: &Config, number: u64) {
        let mut newest = self.team.configured();
        if number >= *newest {
            *newest = number;
            self.hub.reconfigure_all(&config.settings());
            self.team.web.set_limits(&config.limits);
            self.shared.limits().clone_from(&config.limits);
        }
    }

    /// The rights of a connection to watch streams and to publish to them may have changed:
    /// subscriptions that are not allowed any more end.
    pub(super) fn judge_rights(&mut self, net: &mut Net<'_>, conn: ConnId) {
        let Some(known) = self.signed_in(conn) else { return };
        let rights = known.rights.clone();
        self.widen(net, conn);
        let holder = self.holder(net, &Origin::Conn(conn, None), &rights);
        self.decide(net, Input::RightsChanged { conn, rights, holder });
    }
}
