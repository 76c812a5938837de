//! What requests are judged by, as the server is now.

use super::chat::Chat;
use crate::base::limits::STORE_REFUSED_MS;
use crate::base::{Address, Moment};
use crate::server::http::Rules;
use crate::server::http::reading::Readiness;
use crate::store::Backend;
use crate::web::Net;

impl<S: Backend> Chat<S> {
    /// Whether the server can do what it is for.
    pub(super) fn readiness(&self, net: &Net<'_>) -> Readiness {
        let refused_lately = |at: Moment| net.now().millis_since(at) < STORE_REFUSED_MS;
        match (self.stopping, self.store_refused) {
            (Some(_), _) => Readiness::Stopping,
            (None, _) if self.store.has_lost_files() => Readiness::StoreRefuses,
            (None, _) if self.disk_is_reserved() => Readiness::DiskIsFull,
            (None, Some(at)) if refused_lately(at) => Readiness::StoreRefuses,
            (None, _) if self.sources.lacks_required() => Readiness::SourceDown,
            (None, _) => Readiness::Ready,
        }
    }

    /// What a request's head is judged by now; `is_elsewhere` if a proxy says that it comes from another
    /// machine, and `address` pays for tokens that are no good.
    pub(super) fn rules(&self, net: &Net<'_>, address: Address, is_elsewhere: bool) -> Rules<'_> {
        Rules {
            verifier: &self.verifier,
            payer: self.failed_proofs.payer(address, net.now(), &self.config.limits),
            admin_token: self.config.admin_token.as_ref(),
            allowed_origins: &self.config.allowed_origins,
            now: net.timestamp(),
            is_elsewhere,
            limits: (&self.config.limits, &self.config.exceptions),
            streams: &self.config.streams,
            lets_guests_in: self.config.lets_guests_in,
            readiness: self.readiness(net),
            paths: &self.paths,
            are_metrics_public: self.config.metrics_public,
            proven: None,
            feeds: &self.config.feeds,
        }
    }
}
