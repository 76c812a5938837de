//! Verifies tokens: the signature with the keys, the claims against what is expected, and
//! revocations.

use super::authenticate::Proof;
use super::browser::Cookies;
use super::claims::{TokenFacts, millis};
use super::failed_proofs::ProofPayer;
use super::{AdminToken, Claims, Identity, Keys, Revocations, TokenError};
use crate::base::limits::{CLAIM_PATTERNS_MAX, JTI_BYTES_MAX};
use crate::base::pattern::Pattern;
use crate::base::{StreamClaims, StreamRights, Timestamp, UserId, UserLimit, UserLimits};
use crate::wire::display_name::plain;
use serde_json::{Map, Value};
use std::sync::Arc;

/// What is expected of a token beside its signature.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// The required audience; `None` for any.
    pub audience: Option<String>,
    /// The required issuer; `None` for any.
    pub issuer: Option<String>,
    /// How far its times may be off, in ms.
    pub leeway_ms: u64,
    /// Longest display name, in bytes.
    pub name_bytes_max: usize,
}

/// Verifies tokens.
#[derive(Clone, Debug)]
pub struct Verifier {
    keys: Keys,
    admin_token: Option<AdminToken>,
    pub(super) expected: Expected,
    revocations: Revocations,
    /// Signs browsers in; `None` if they cannot.
    pub(super) cookies: Option<Cookies>,
    /// A function or the backend authenticates requests without a token.
    has_others: bool,
}

impl Verifier {
    /// Accepts tokens signed with one of `keys`. With none it is open mode, which accepts no
    /// tokens.
    #[must_use]
    pub fn new(keys: Keys, expected: Expected) -> Verifier {
        let revocations = Revocations::default();
        let cookies = None;
        Verifier { keys, admin_token: None, expected, revocations, cookies, has_others: false }
    }

    /// The longest name of a person, in bytes.
    pub(crate) fn name_bytes_max(&self) -> usize {
        self.expected.name_bytes_max
    }

    /// Sets whether a function or the backend also authenticates requests. Then there is no open
    /// mode.
    pub(crate) fn set_others(&mut self, has_others: bool) {
        self.has_others = has_others;
    }

    /// Sets the admins' token.
    pub(crate) fn set_admin_token(&mut self, token: Option<AdminToken>) {
        self.admin_token = token;
    }

    /// Whether a token is the admins'.
    pub(crate) fn is_admin_token(&self, token: &str) -> bool {
        self.admin_token.as_ref().is_some_and(|admin| admin.is(token))
    }

    /// Whether tokens can be verified.
    pub(crate) fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Verifies with other keys from now on. Clients let in by the old ones stay, and revoked
    /// tokens stay revoked.
    pub fn replace_keys(&mut self, keys: Keys) {
        self.keys = keys;
    }

    /// Changes what is expected of tokens from now on. Clients that were let in stay.
    pub fn expect(&mut self, expected: Expected) {
        self.expected = expected;
    }

    /// The revocations.
    #[must_use]
    pub fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// The revocations, to add more.
    pub fn revocations_mut(&mut self) -> &mut Revocations {
        &mut self.revocations
    }

    /// Whether there is no key, so that any name is accepted.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.keys.is_empty() && !self.has_others
    }

    /// How long a token stays valid after its `exp`, in ms.
    #[must_use]
    pub fn leeway_ms(&self) -> i64 {
        i64::try_from(self.expected.leeway_ms).unwrap_or(i64::MAX)
    }

    /// Verifies a token at `now`. It checks at most one signature, and none if the same token was
    /// verified lately.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Identity, TokenError> {
        self.verify_for(None, token, now)
    }

    /// As [`Verifier::verify`]; the sender pays, if there is a payer.
    ///
    /// # Errors
    /// [`TokenError`].
    pub(crate) fn verify_for(
        &self,
        payer: Option<ProofPayer<'_>>,
        token: &str,
        now: Timestamp,
    ) -> Result<Identity, TokenError> {
        let claims = self.open(token, now, payer)?;
        if claims.sign_in.is_some() {
            return Err(TokenError::Code);
        }
        self.judge(claims, now, &self.expected)
    }

    /// The claims of a token with a valid signature.
    pub(super) fn open(
        &self,
        token: &str,
        now: Timestamp,
        payer: Option<ProofPayer<'_>>,
    ) -> Result<Claims, TokenError> {
        if self.is_open() {
            return Err(TokenError::OpenMode);
        }
        self.keys.open(token, now, payer)
    }

    /// The identity that the claims give at `now`, if they are as expected.
    pub(super) fn judge(
        &self,
        claims: Claims,
        now: Timestamp,
        expected: &Expected,
    ) -> Result<Identity, TokenError> {
        let expires = millis(claims.exp.as_ref().ok_or(TokenError::NoExpiry)?);
        if now.0 >= expires.saturating_add(self.leeway_ms()) {
            return Err(TokenError::Expired);
        }
        let from = claims.nbf.as_ref().map(millis);
        if from.is_some_and(|from| now.0.saturating_add(self.leeway_ms()) < from) {
            return Err(TokenError::NotYet);
        }
        if let Some(audience) = &expected.audience
            && !is_for(claims.aud.as_ref(), audience)
        {
            return Err(TokenError::Audience);
        }
        if expected.issuer.is_some() && expected.issuer != claims.iss {
            return Err(TokenError::Issuer);
        }
        let user = match &claims.sub {
            Value::String(text) => UserId::parse(text),
            // 1 and "1" are one user.
            Value::Number(number) if number.is_i64() || number.is_u64() => {
                UserId::parse(&number.to_string())
            }
            _ => return Err(TokenError::Invalid),
        };
        let user = user.map_err(TokenError::Subject)?;
        let issued = claims.iat.as_ref().map(|iat| Timestamp(millis(iat)));
        self.identity(user, claims, Some(Timestamp(expires)), issued)
    }

    /// The identity from a source other than a token.
    ///
    /// # Errors
    /// [`TokenError`]: it is invalid, or the user's rights are revoked up to a future time.
    pub(crate) fn vouch(&self, proof: Proof, now: Timestamp) -> Result<Identity, TokenError> {
        let Proof { user, name, admin, publish, subscribe, expires_in } = proof;
        let user = UserId::parse(&user).map_err(TokenError::Subject)?;
        let expires_ms = expires_in.map(|time| i64::try_from(time.as_millis()).unwrap_or(i64::MAX));
        let expires = expires_ms.map(|millis| Timestamp(now.0.saturating_add(millis)));
        let claims = Claims { name, admin, publish, subscribe, ..Claims::default() };
        self.identity(user, claims, expires, Some(now))
    }

    fn identity(
        &self,
        user: UserId,
        claims: Claims,
        expires: Option<Timestamp>,
        issued: Option<Timestamp>,
    ) -> Result<Identity, TokenError> {
        // A name with bad characters is not an error: the valid part is used.
        let name = claims.name.as_deref().map(plain).filter(|name| !name.is_empty());
        if name.as_ref().is_some_and(|name| name.len() > self.expected.name_bytes_max) {
            return Err(TokenError::Name);
        }
        let name = name.map(Arc::from);
        if claims.jti.as_ref().is_some_and(|jti| jti.len() > JTI_BYTES_MAX) {
            return Err(TokenError::Id);
        }
        if self.revocations.is_revoked(&user, claims.jti.as_deref(), issued) {
            return Err(TokenError::Revoked);
        }
        let rights = StreamRights {
            is_user: true,
            is_admin: claims.admin,
            publishes_all: claims.admin,
            claims: stream_claims(claims.publish, claims.subscribe)?.map(Arc::new),
        };
        let jti = claims.jti.map(Arc::from);
        let limits = asked_limits(claims.limits)?.map(Arc::new);
        let (admin, is_named) = (claims.admin, false);
        let facts = TokenFacts { limits, expires, jti, issued };
        let token = (facts != TokenFacts::default()).then(|| Arc::new(facts));
        Ok(Identity { user, name, admin, is_named, rights, token })
    }
}

/// The stream claims, if there are any.
fn stream_claims(
    publish: Option<Vec<String>>,
    subscribe: Option<Vec<String>>,
) -> Result<Option<StreamClaims>, TokenError> {
    if publish.is_none() && subscribe.is_none() {
        return Ok(None);
    }
    Ok(Some(StreamClaims { publish: patterns(publish)?, subscribe: patterns(subscribe)? }))
}

/// A claim that lists stream patterns.
fn patterns(claim: Option<Vec<String>>) -> Result<Option<Vec<Pattern>>, TokenError> {
    let Some(texts) = claim else { return Ok(None) };
    if texts.len() > CLAIM_PATTERNS_MAX {
        return Err(TokenError::Streams);
    }
    let patterns = texts.iter().map(|text| Pattern::parse(text));
    patterns.collect::<Result<_, _>>().map(Some).map_err(|_| TokenError::Streams)
}

/// The limits that a token asks for. Unknown names are ignored.
fn asked_limits(claim: Option<Map<String, Value>>) -> Result<Option<UserLimits>, TokenError> {
    let Some(claim) = claim else { return Ok(None) };
    let mut limits = UserLimits::default();
    for (name, value) in &claim {
        if UserLimit::ALL.iter().all(|limit| limit.name() != name) {
            continue;
        }
        let value = value.as_u64().and_then(|value| u32::try_from(value).ok());
        let set = value.map(|value| limits.set(name, value));
        if !matches!(set, Some(Ok(()))) {
            return Err(TokenError::Limits);
        }
    }
    Ok(Some(limits).filter(|limits| !limits.is_empty()))
}

/// RFC 7519 §4.1.3: `aud` is a string or a list of strings.
fn is_for(aud: Option<&Value>, audience: &str) -> bool {
    match aud {
        Some(Value::String(one)) => one == audience,
        Some(Value::Array(list)) => list.iter().any(|one| one.as_str() == Some(audience)),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
