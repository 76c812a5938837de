//! Sign-in of browsers: a code (a token that is valid for one exchange) is exchanged for a cookie
//! (a token of the server's own).

use super::claims::millis;
use super::failed_proofs::ProofPayer;
use super::{Claims, Identity, Keys, Secret, TokenError, Verifier};
use crate::base::Timestamp;
use crate::base::limits::{JTI_BYTES_MAX, SIGN_IN_MS_MAX};
use serde_json::Number;
use std::sync::Arc;

/// Precedes a code's id in the id of its cookie.
const COOKIE_ID_PREFIX: &str = "sign-in:";

/// Signs and verifies browsers' cookies.
#[derive(Clone, Debug)]
pub(crate) struct Cookies {
    secret: Secret,
    keys: Keys,
}

impl Cookies {
    /// Cookies that this secret signs.
    pub(crate) fn new(secret: Secret) -> Cookies {
        Cookies { keys: Keys::from_secret(&secret), secret }
    }
}

/// A valid code that was not used, as far as is known.
#[derive(Debug)]
pub(crate) struct Code {
    claims: Claims,
    pub(crate) identity: Identity,
    /// Its own id. Using the code up revokes this id.
    pub(crate) jti: Arc<str>,
    /// When it expires.
    pub(crate) until: Timestamp,
    lasts_ms: i64,
}

impl Verifier {
    /// Signs browsers in, with these cookies.
    pub(crate) fn sign_in_by(&mut self, cookies: Cookies) {
        self.cookies = Some(cookies);
    }

    /// Verifies a code at `now`.
    ///
    /// # Errors
    /// [`TokenError`]; [`TokenError::NotACode`] for any other token.
    pub(crate) fn judge_code(
        &self,
        code: &str,
        now: Timestamp,
        payer: Option<ProofPayer<'_>>,
    ) -> Result<Code, TokenError> {
        let claims = self.open(code, now, payer)?;
        let lasts_ms = claims.sign_in.as_ref().map(millis).filter(|lasts_ms| *lasts_ms > 0);
        let (lasts_ms, jti) = lasts_ms.zip(claims.jti.clone()).ok_or(TokenError::NotACode)?;
        if jti.len() + COOKIE_ID_PREFIX.len() > JTI_BYTES_MAX {
            return Err(TokenError::Id);
        }
        let identity = self.judge(claims.clone(), now, &self.expected)?;
        let until = identity.expires().unwrap_or(now);
        let until = Timestamp(until.0.saturating_add(self.leeway_ms()));
        let lasts_ms = lasts_ms.min(SIGN_IN_MS_MAX);
        Ok(Code { claims, identity, jti: jti.into(), until, lasts_ms })
    }

    /// The cookie for a code, valid from `now` on, and when it expires. Its `jti` is the code's
    /// after [`COOKIE_ID_PREFIX`], because each code is exchanged once.
    ///
    /// # Errors
    /// [`TokenError::Invalid`] if no cookie can be made.
    pub(crate) fn cookie(
        &self,
        code: Code,
        now: Timestamp,
    ) -> Result<(String, Timestamp), TokenError> {
        let cookies = self.cookies.as_ref().ok_or(TokenError::Invalid)?;
        let seconds = |ms: i64| Number::from_f64(ms as f64 / 1_000.0);
        let expires = Timestamp(now.0.saturating_add(code.lasts_ms));
        let claims = Claims {
            sub: code.identity.user.as_str().into(),
            exp: seconds(expires.0),
            iat: seconds(now.0),
            jti: Some(format!("{COOKIE_ID_PREFIX}{}", code.jti)),
            nbf: None,
            aud: None,
            iss: None,
            sign_in: None,
            ..code.claims
        };
        let signed = cookies.secret.sign(&claims).map_err(|_| TokenError::Invalid)?;
        Ok((signed, expires))
    }

    /// Verifies a cookie at `now`.
    ///
    /// # Errors
    /// [`TokenError`].
    pub(crate) fn judge_cookie(
        &self,
        cookie: &str,
        now: Timestamp,
        payer: Option<ProofPayer<'_>>,
    ) -> Result<Identity, TokenError> {
        let cookies = self.cookies.as_ref().ok_or(TokenError::Invalid)?;
        let claims = cookies.keys.open(cookie, now, payer)?;
        let expected = super::Expected { audience: None, issuer: None, ..self.expected.clone() };
        self.judge(claims, now, &expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Expected;
    use crate::base::Revocation;
    use serde_json::json;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn secret(byte: u8) -> Secret {
        Secret::new(&[byte; 32]).unwrap()
    }

    fn verifier() -> Verifier {
        let expected = Expected {
            audience: Some("chat".into()),
            issuer: None,
            leeway_ms: 30_000,
            name_bytes_max: 128,
        };
        let mut verifier = Verifier::new(Keys::from_secret(&secret(b'k')), expected);
        verifier.sign_in_by(Cookies::new(secret(b'c')));
        verifier
    }

    fn code(more: serde_json::Value) -> String {
        let mut claims = json!({
            "sub": "ada", "exp": 1_800_000_060, "iat": 1_800_000_000, "aud": "chat", "jti": "c-1", "sign_in": 3_600,
            "name": "Ada", "admin": true, "publish": ["state"],
        });
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let claims: Claims = serde_json::from_value(claims).unwrap();
        secret(b'k').sign(&claims).unwrap()
    }

    #[test]
    fn a_code_is_exchanged_for_a_cookie_of_the_same_rights_that_lasts_as_the_code_says() {
        let verifier = verifier();
        let code = verifier.judge_code(&code(json!({})), NOW, None).unwrap();
        assert_eq!((&*code.jti, code.until), ("c-1", Timestamp(1_800_000_090_000)));
        let (cookie, expires) = verifier.cookie(code, NOW).unwrap();
        assert_eq!(expires, Timestamp(NOW.0 + 3_600_000));
        let later = Timestamp(NOW.0 + 3_599_000);
        let identity = verifier.judge_cookie(&cookie, later, None).unwrap();
        assert_eq!((identity.user.as_str(), identity.admin), ("ada", true));
        assert_eq!(
            (identity.name.as_deref(), identity.jti().map(|jti| &**jti)),
            (Some("Ada"), Some("sign-in:c-1"))
        );
        assert_eq!((identity.expires(), identity.issued()), (Some(expires), Some(NOW)));
        assert!(identity.rights.claims.is_some());
        let over = Timestamp(NOW.0 + 3_600_000 + 30_000);
        assert_eq!(verifier.judge_cookie(&cookie, over, None), Err(TokenError::Expired));
    }

    #[test]
    fn a_code_is_no_token_a_token_no_code_and_a_cookie_neither() {
        let verifier = verifier();
        assert_eq!(verifier.verify(&code(json!({})), NOW).unwrap_err(), TokenError::Code);
        for not in [
            json!({ "sign_in": null }),
            json!({ "sign_in": 0 }),
            json!({ "sign_in": -5 }),
            json!({ "jti": null }),
        ] {
            let judged = verifier.judge_code(&code(not.clone()), NOW, None);
            assert_eq!(judged.unwrap_err(), TokenError::NotACode, "{not}");
        }
        let good = verifier.judge_code(&code(json!({})), NOW, None).unwrap();
        let (cookie, _) = verifier.cookie(good, NOW).unwrap();
        assert!(verifier.verify(&cookie, NOW).is_err());
        assert!(verifier.judge_code(&cookie, NOW, None).is_err());
        assert!(verifier.judge_cookie(&code(json!({ "sign_in": null })), NOW, None).is_err());
    }

    #[test]
    fn a_code_is_judged_as_a_token_is() {
        let verifier = verifier();
        for (claims, error) in [
            (json!({ "exp": 1_799_999_000 }), TokenError::Expired),
            (json!({ "aud": "other" }), TokenError::Audience),
            (json!({ "nbf": 1_800_000_100 }), TokenError::NotYet),
            (json!({ "jti": "x".repeat(121) }), TokenError::Id),
        ] {
            assert_eq!(verifier.judge_code(&code(claims), NOW, None).unwrap_err(), error);
        }
        let far = verifier.judge_code(&code(json!({ "sign_in": 1e18 })), NOW, None).unwrap();
        let (_, expires) = verifier.cookie(far, NOW).unwrap();
        assert_eq!(expires, Timestamp(NOW.0 + SIGN_IN_MS_MAX));
    }

    #[test]
    fn a_cookie_is_revoked_by_its_own_id_and_by_its_user() {
        let mut verifier = verifier();
        let good = verifier.judge_code(&code(json!({})), NOW, None).unwrap();
        let (cookie, expires) = verifier.cookie(good, NOW).unwrap();
        let mut signed_out = verifier.clone();
        let of_cookie = Revocation::Token("sign-in:c-1".into(), Some(expires));
        signed_out.revocations_mut().insert(&of_cookie);
        assert_eq!(signed_out.judge_cookie(&cookie, NOW, None), Err(TokenError::Revoked));
        let user = crate::base::UserId::parse("ada").unwrap();
        verifier.revocations_mut().insert(&Revocation::User(user, Timestamp(NOW.0 - 1)));
        assert!(verifier.judge_cookie(&cookie, NOW, None).is_ok(), "it was issued later");
        let user = crate::base::UserId::parse("ada").unwrap();
        verifier.revocations_mut().insert(&Revocation::User(user, NOW));
        assert_eq!(verifier.judge_cookie(&cookie, NOW, None), Err(TokenError::Revoked));
        // A used code is no longer valid.
        let jti = Revocation::Token("c-1".into(), Some(expires));
        signed_out.revocations_mut().insert(&jti);
        let again = signed_out.judge_code(&code(json!({})), NOW, None);
        assert_eq!(again.unwrap_err(), TokenError::Revoked);
    }
}
