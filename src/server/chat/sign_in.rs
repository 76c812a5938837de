//! Tokens that come as messages, the admission of users, and the end of sessions whose token is
//! revoked.

use super::chat::Chat;
use super::journal::Limited;
use super::session::{SessionPhase, SignedIn};
use super::surveys::{Survey, SurveyReader};
use crate::auth::{TokenError, TokenFacts};
use crate::base::{Address, ConnId, Origin, RefusalCode, Revocation};
use crate::hub::Input;
use crate::server::http::admit;
use crate::store::RecordStore;
use crate::web::Net;
use crate::wire::close_codes::{RATE, TOKEN_REVOKED, UNAUTHORIZED};
use crate::wire::error::ErrorReply;
use crate::wire::server_encode;
use std::sync::Arc;

impl<S: RecordStore> Chat<S> {
    /// Admits somebody whose identity is known.
    pub(super) fn let_in(
        &mut self,
        net: &mut Net<'_>,
        conn: ConnId,
        name: Option<Arc<str>>,
        resumes: bool,
    ) {
        self.arm(net, conn);
        self.widen(net, conn);
        if self.let_in_visitor(net, conn) {
            return;
        }
        if !self.admit(net, conn) || !self.may_be_greeted(net, conn) {
            return;
        }
        let phase = self.sessions.get_mut(conn).map(|session| &mut session.phase);
        let Some(SessionPhase::Known(known)) = phase else { return };
        // All connections of a user share the memory of one id.
        if let Some(id) = self.hub.id_of(&known.user) {
            known.user = id.clone();
        }
        let user = known.user.clone();
        self.decide(net, Input::Connected { conn, user, name, resumes });
    }

    /// Handles a token that came as a message.
    pub(super) fn authenticate(
        &mut self,
        net: &mut Net<'_>,
        conn: ConnId,
        origin: &Origin,
        token: &str,
        resumes: bool,
    ) {
        let address = net.address(conn).unwrap_or(Address::UNKNOWN);
        let payer = self.failed_proofs.payer(address, net.now(), &self.config.limits);
        let verified = self.verifier.verify_for(Some(payer), token, net.timestamp());
        let listener = self.listener(net, conn);
        let verified = verified.and_then(|identity| admit(listener, identity));
        let is_over =
            self.note_proofs(net, Limited { conn: Some(conn), user: None, address: Some(address) });
        if is_over && let Err(error @ TokenError::TooManyFailed(wait_ms)) = verified {
            if self.signed_in(conn).is_none() {
                return self.close_until(net, conn, RATE, error.to_string(), Some(wait_ms));
            }
            let error = ErrorReply::new(RefusalCode::RateLimited, error.to_string());
            return self.refuse(net, origin, error.retry_after(wait_ms));
        }
        let Some(session) = self.sessions.get_mut(conn) else { return };
        let known = session.signed_in().map(|known| known.user.clone());
        match (verified, known) {
            (Ok(mut identity), Some(known)) if identity.user == known => {
                identity.user = known;
                // The new token's rights replace the old ones, even if they are fewer.
                let widened_to = session.signed_in().map_or(0, |known| known.widened_to);
                let (known, _) = SignedIn::of(identity);
                session.phase = SessionPhase::Known(SignedIn { widened_to, ..known });
                self.settle_limits(conn);
                self.arm(net, conn);
                self.reply_to_auth(net, conn, origin);
                self.judge_rights(net, conn);
            }
            // A failed refresh changes nothing.
            (verified, Some(_)) => {
                let message = match verified {
                    Ok(_) => "the token belongs to another user".to_owned(),
                    Err(error) => error.to_string(),
                };
                self.refuse(net, origin, ErrorReply::new(RefusalCode::Unauthorized, message));
            }
            (Ok(identity), None) => {
                let announced = session.is_announcing_resume;
                let SessionPhase::Anonymous { visitor, .. } = &mut session.phase else { return };
                let visitor = visitor.take();
                let (known, name) = SignedIn::of(identity);
                session.phase = SessionPhase::Known(SignedIn { visitor, ..known });
                self.arrived(net, conn);
                self.reply_to_auth(net, conn, origin);
                self.let_in(net, conn, name, resumes || announced);
            }
            (Err(error), None) => self.close_with(net, conn, UNAUTHORIZED, error.to_string()),
        }
    }

    fn reply_to_auth(&mut self, net: &mut Net<'_>, conn: ConnId, origin: &Origin) {
        let Some(known) = self.signed_in(conn) else { return };
        let (user, expires) = (known.user.clone(), known.expires());
        self.reply(net, origin, |w| server_encode::signed_in(w, &user, expires));
    }

    /// A revocation is on disk: such tokens admit nobody any more, and the sessions that they
    /// admitted end.
    pub(super) fn revoked(
        &mut self,
        net: &mut Net<'_>,
        origin: Option<&Origin>,
        revocation: &Revocation,
    ) {
        self.verifier.revocations_mut().insert(revocation);
        let ended = self.standing_on_revoked().len();
        self.surveys.note_revoked(revocation, ended);
        if let Some(origin) = origin {
            let reader = SurveyReader::Request(origin.clone());
            self.survey(net, Survey::Revoked(revocation.clone()), reader);
        }
        self.end_revoked(net);
    }

    /// Ends the sessions that revoked tokens admitted. Who waits to be told how many there were ends
    /// then.
    pub(super) fn end_revoked(&mut self, net: &mut Net<'_>) {
        for conn in self.standing_on_revoked() {
            if !self.surveys.waits(conn) {
                self.close_with(net, conn, TOKEN_REVOKED, "the token was revoked");
            }
        }
    }

    fn standing_on_revoked(&self) -> Vec<ConnId> {
        let revocations = self.verifier.revocations();
        let stands_on_it = |(_, known): &(ConnId, &SignedIn)| {
            // Otherwise there is no token: in open mode, for guests, and for some whom the
            // application vouches for.
            known.token.as_ref().is_some_and(|token| {
                let TokenFacts { expires, jti, issued, .. } = &**token;
                let is_token = expires.is_some() || issued.is_some() || jti.is_some();
                is_token && revocations.is_revoked(&known.user, jti.as_deref(), *issued)
            })
        };
        let sessions = self.sessions.signed_in(None);
        sessions.filter(stands_on_it).map(|(conn, _)| conn).collect()
    }
}
