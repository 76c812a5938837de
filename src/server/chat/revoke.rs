//! Tokens that are good no more: whoever stands on one goes.

use super::chat::Chat;
use super::session::Session;
use crate::base::{ConnId, Origin, Revocation};
use crate::store::Backend;
use crate::web::Net;
use crate::wire::close_codes::TOKEN_REVOKED;

impl<S: Backend> Chat<S> {
    /// A revocation is on disk: nobody comes in by such a token any more, and who did goes.
    pub(super) fn revoked(&mut self, net: &mut Net<'_>, origin: &Origin, revocation: &Revocation) {
        self.verifier.revocations_mut().insert(revocation);
        let revocations = self.verifier.revocations();
        let stands_on_it = |session: &&Session| {
            session.signed_in().is_some_and(|known| {
                // Whoever is vouched for may have no end; in open mode, and for guests, there is none of them.
                let is_token =
                    known.expires.is_some() || known.issued.is_some() || known.jti.is_some();
                is_token && revocations.is_revoked(&known.user, known.jti.as_deref(), known.issued)
            })
        };
        let sessions = self.sessions.iter().flatten();
        let ended: Vec<ConnId> = sessions.filter(stands_on_it).map(|one| one.conn).collect();
        self.reply(net, origin, |w| w.number("closed", ended.len() as u64));
        for conn in ended {
            self.close_with(net, conn, TOKEN_REVOKED, "the token was revoked");
        }
    }
}
