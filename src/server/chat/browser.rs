//! Signing in and out by a cookie (`docs/http.md`).

use crate::auth::{AdminToken, Cookies, Identity};
use crate::base::limits::SIGN_IN_COOKIE_BYTES_MAX;
use crate::base::{RefusalCode, Request, Revocation, Rights};
use crate::http1::response::other_methods;
use crate::http1::{Response, Status};
use crate::hub::Input;
use crate::server::chat::calls::CallWaiter;
use crate::server::chat::chat::Chat;
use crate::server::chat::http_answer::IncomingRequest;
use crate::server::chat::http_call::HttpCall;
use crate::server::http::browser::{METHODS, code_of, cookie_name, is_own_page, set_cookie, user};
use crate::server::http::{
    Rules, admit, bearer, caller, check_origin, denied, json, known, shared_with, signed_in,
};
use crate::store::RecordStore;
use crate::web::{Exchange, HttpAnswer, Net};
use crate::wire::encode;
use crate::wire::error::ErrorReply;
use crate::wire::json::Writer;

impl<S: RecordStore> Chat<S> {
    /// Sets the cookies of sign-ins, and the admins' token.
    pub(crate) fn prove_by(&mut self, cookies: Cookies, admin_token: Option<AdminToken>) {
        self.verifier.sign_in_by(cookies);
        self.verifier.set_admin_token(admin_token);
    }

    /// A request at [`SIGN_IN_PATH`]; `proven` is its sender, if something other than a token says
    /// so.
    pub(super) fn browser_call(
        &mut self,
        net: &mut Net<'_>,
        incoming: IncomingRequest<'_>,
        proven: Option<Box<Identity>>,
    ) -> HttpAnswer {
        let (head, proven) = (incoming.head, proven.as_deref());
        let answered = match head.method {
            "GET" | "HEAD" => self.who_is_signed_in(net, incoming, proven).map(Some),
            "POST" => self.exchange_code(net, incoming).map(|()| None),
            "DELETE" => self.sign_out(net, incoming),
            _ => Err(other_methods(METHODS)),
        };
        match answered {
            Ok(None) => HttpAnswer::Later,
            Ok(Some(response)) | Err(response) => HttpAnswer::Respond(shared_with(response, None)),
        }
    }

    fn who_is_signed_in(
        &self,
        net: &Net<'_>,
        incoming: IncomingRequest<'_>,
        proven: Option<&Identity>,
    ) -> Result<Response, Response> {
        let (head, address) = (incoming.head, incoming.address());
        let rules = Rules { proven, ..self.rules(net, incoming.exchange.conn(), address, false) };
        let by_cookie = signed_in(head, rules)?;
        let has_token = bearer(head).ok().flatten().is_some();
        let by = match (&by_cookie, proven) {
            (Some(_), _) if !has_token => "link",
            (_, Some(_)) => "application",
            (_, None) => "token",
        };
        let caller = caller(head, rules)?;
        let payload = encode::payload(|w| match known(caller.as_ref()) {
            None => w.raw("user", "null"),
            Some(person) => {
                let identity = by_cookie.as_ref().or(proven).filter(|_| by != "token");
                let name = identity.and_then(|identity| identity.name.as_deref());
                let expires = identity.and_then(|identity| identity.expires());
                user(w, person.user.as_str(), name, person.is_admin);
                w.text("by", by);
                w.if_some("expires", expires.map(|expires| expires.0), Writer::number);
            }
        });
        Ok(json(Status::Ok, payload))
    }

    /// Uses up a code. The answer is sent when that is on disk.
    fn exchange_code(
        &mut self,
        net: &mut Net<'_>,
        incoming: IncomingRequest<'_>,
    ) -> Result<(), Response> {
        let head = incoming.head;
        check_origin(head, &[])?;
        self.count_for_program(net, incoming, None)?;
        let text = code_of(incoming.body)?;
        let limits = &self.config.limits;
        let payer = self.failed_proofs.payer(incoming.address(), net.now(), limits);
        let code = self.verifier.judge_code(&text, net.timestamp(), Some(payer)).map_err(denied)?;
        let revocation = Revocation::Token(code.jti.clone(), Some(code.until));
        if !self.verifier.revocations().has_room_for(&revocation) {
            let message = "too many links were used lately";
            return Err(ErrorReply::new(RefusalCode::Quota, message).into());
        }
        // Its rights are judged anew wherever the cookie is shown.
        let here = admit(self.listener(net, incoming.exchange.conn()), code.identity.clone());
        let Identity { user: who, name, admin, .. } = here.map_err(denied)?;
        self.team.note_issued(net.timestamp());
        let (value, expires) = self.verifier.cookie(code, net.timestamp()).map_err(denied)?;
        let seconds = expires.0.saturating_sub(net.timestamp().0) / 1_000;
        let cookie = set_cookie(head, &value, seconds);
        if cookie.len() > SIGN_IN_COOKIE_BYTES_MAX {
            let message = "the rights in this link are more than a cookie can have";
            let error = ErrorReply::new(RefusalCode::TooLarge, message);
            return Err(error.limited_to(SIGN_IN_COOKIE_BYTES_MAX as u64).into());
        }
        let payload = encode::payload(|w| {
            user(w, who.as_str(), name.as_deref(), admin);
            w.text("by", "link");
            w.number("expires", expires.0);
        });
        let answer = json(Status::Ok, payload).with("Set-Cookie", cookie);
        self.revoke_for(net, incoming.exchange, who, (revocation, true), answer);
        Ok(())
    }

    fn sign_out(
        &mut self,
        net: &mut Net<'_>,
        incoming: IncomingRequest<'_>,
    ) -> Result<Option<Response>, Response> {
        let head = incoming.head;
        check_origin(head, &[])?;
        // Success would be untrue: the sign-in stays.
        let has_cookie = head.cookie(&cookie_name(head.host)).is_some();
        if has_cookie && !is_own_page(head) {
            let message = "a sign-in is ended by this server's own page: Origin says so";
            return Err(ErrorReply::new(RefusalCode::Forbidden, message).into());
        }
        if !has_cookie && bearer(head).ok().flatten().is_some() {
            let message = "a token is not signed out: auth:revoke ends it";
            return Err(ErrorReply::new(RefusalCode::BadRequest, message).into());
        }
        let answer = json(Status::Ok, encode::payload(|_| {}));
        let answer = answer.with("Set-Cookie", set_cookie(head, "", 0));
        let rules = self.rules(net, incoming.exchange.conn(), incoming.address(), false);
        let Some(identity) = signed_in(head, rules)? else {
            // The cookie, if there is one, is not valid.
            return Ok(Some(answer));
        };
        self.count_for_program(net, incoming, None)?;
        let is_everywhere = head.query_value("everywhere").is_some_and(|value| {
            value.is_ok_and(|value| ["", "1", "true"].contains(&value.as_ref()))
        });
        let jti = identity.jti().cloned().filter(|_| !is_everywhere);
        let revocation = match jti {
            Some(jti) => Revocation::Token(jti, identity.expires()),
            None => Revocation::User(identity.user.clone(), self.team.until_now(net.timestamp())),
        };
        if !self.verifier.revocations().has_room_for(&revocation) {
            let message = "the limit of revocations is reached: nothing has changed";
            return Err(ErrorReply::new(RefusalCode::Quota, message).into());
        }
        self.revoke_for(net, incoming.exchange, identity.user, (revocation, false), answer);
        Ok(None)
    }

    fn revoke_for(
        &mut self,
        net: &mut Net<'_>,
        exchange: Exchange,
        user: crate::base::UserId,
        (revocation, once): (Revocation, bool),
        answer: Response,
    ) {
        let now = self.read_clocks(net);
        self.verifier.revocations_mut().forget(now.age_by);
        let call = HttpCall { known: Some(answer), ..HttpCall::new(exchange) };
        let call = self.calls.begin(CallWaiter::Http(Box::new(call)));
        let request = Request::Revoke { revocation, once };
        self.decide(
            net,
            Input::Call { call, user, rights: Rights::Program, quotas: None, request },
        );
    }
}
