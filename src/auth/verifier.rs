//! The judge of tokens: the signature by the keys, the claims by what is expected of them, and
//! whether it was revoked.

use super::authenticate::Proof;
use super::browser::Cookies;
use super::claims::millis;
use super::failed_proofs::{ProofPayer, TooManyFailed};
use super::judged::{JudgedTokens, hash};
use super::key::{Algorithm, Key};
use super::{Claims, Identity, Keys, Revocations, TokenError};
use crate::base::limits::{CLAIM_PATTERNS_MAX, JTI_BYTES_MAX, TOKEN_BYTES_MAX};
use crate::base::pattern::Pattern;
use crate::base::{StreamClaims, StreamRights, Timestamp, UserId, UserLimit, UserLimits};
use crate::wire::display_name::plain;
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::sync::Arc;

/// What is expected of a token beside its signature.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Whom it must be for; none: for anybody.
    pub audience: Option<String>,
    /// Whom it must be from; none: from anybody.
    pub issuer: Option<String>,
    /// How far its times may be off, in ms.
    pub leeway_ms: u64,
    /// Longest display name, in bytes.
    pub name_bytes_max: usize,
}

/// Judges tokens.
#[derive(Clone, Debug)]
pub struct Verifier {
    book: Book,
    pub(super) expected: Expected,
    leeway_ms: i64,
    revocations: Revocations,
    /// What browsers are signed in by; none: not at all.
    pub(super) cookies: Option<Cookies>,
    /// Somebody else says who people are, where tokens do not.
    has_others: bool,
}

impl Verifier {
    /// Takes tokens signed with one of `keys`; with none it is open mode, which takes no tokens.
    #[must_use]
    pub fn new(keys: Keys, expected: Expected) -> Verifier {
        let leeway_ms = leeway_ms(&expected);
        let revocations = Revocations::default();
        let cookies = None;
        let book = Book::from(keys);
        Verifier { book, expected, leeway_ms, revocations, cookies, has_others: false }
    }

    /// The longest name of a person, in bytes.
    pub(crate) fn name_bytes_max(&self) -> usize {
        self.expected.name_bytes_max
    }

    /// Whether somebody else says who people are, where tokens do not: then there is no open mode.
    pub(crate) fn set_others(&mut self, has_others: bool) {
        self.has_others = has_others;
    }

    /// Whether tokens can be judged.
    pub(crate) fn has_keys(&self) -> bool {
        !self.book.keys.is_empty()
    }

    /// Judges by other keys from now on. Who was let in by the old ones stays, and what was revoked
    /// stays revoked.
    pub fn replace_keys(&mut self, keys: Keys) {
        self.book = Book::from(keys);
    }

    /// Expects something else of tokens from now on. Who was let in stays.
    pub fn expect(&mut self, expected: Expected) {
        self.leeway_ms = leeway_ms(&expected);
        self.expected = expected;
    }

    /// What was revoked.
    #[must_use]
    pub fn revocations(&self) -> &Revocations {
        &self.revocations
    }

    /// What was revoked, to revoke more.
    pub fn revocations_mut(&mut self) -> &mut Revocations {
        &mut self.revocations
    }

    /// Whether there is no key, so that everybody is who they say.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.book.keys.is_empty() && !self.has_others
    }

    /// How long a token is good after its `exp`, in ms.
    #[must_use]
    pub fn leeway_ms(&self) -> i64 {
        self.leeway_ms
    }

    /// Judges a token at `now`: at most one signature is checked, and none if the same token was judged lately.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Identity, TokenError> {
        self.verify_for(None, token, now)
    }

    /// As [`Verifier::verify`], at the expense of whoever has sent it, if somebody is to pay.
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

    /// What a token says whose signature is good.
    pub(super) fn open(
        &self,
        token: &str,
        now: Timestamp,
        payer: Option<ProofPayer<'_>>,
    ) -> Result<Claims, TokenError> {
        if self.is_open() {
            return Err(TokenError::OpenMode);
        }
        self.book.open(token, now, payer)
    }

    /// Who the claims make somebody at `now`, if they are what is expected.
    pub(super) fn judge(
        &self,
        claims: Claims,
        now: Timestamp,
        expected: &Expected,
    ) -> Result<Identity, TokenError> {
        let expires = millis(claims.exp.as_ref().ok_or(TokenError::NoExpiry)?);
        if now.0 >= expires.saturating_add(self.leeway_ms) {
            return Err(TokenError::Expired);
        }
        let from = claims.nbf.as_ref().map(millis);
        if from.is_some_and(|from| now.0.saturating_add(self.leeway_ms) < from) {
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

    /// Who somebody is of whom another than a token says it.
    ///
    /// # Errors
    /// [`TokenError`]: what is said cannot be, or the user's rights were revoked for a time to come.
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
        // Whom an application calls so is let in, under what of it is a name.
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
        Ok(Identity { user, name, admin: claims.admin, rights, limits, expires, jti, issued })
    }
}

/// Keys, and what was lately judged by them.
#[derive(Clone, Debug)]
pub(super) struct Book {
    keys: Keys,
    judged: RefCell<JudgedTokens>,
}

impl From<Keys> for Book {
    fn from(keys: Keys) -> Book {
        Book { keys, judged: RefCell::default() }
    }
}

impl Book {
    /// What a token says whose signature is good by one of the keys. Who sends it pays before that is looked at,
    /// and has it back if it is so.
    pub(super) fn open(
        &self,
        token: &str,
        now: Timestamp,
        payer: Option<ProofPayer<'_>>,
    ) -> Result<Claims, TokenError> {
        if token.len() > TOKEN_BYTES_MAX || self.keys.is_empty() {
            return Err(TokenError::Invalid);
        }
        let hash = hash(token).ok_or(TokenError::Invalid)?;
        if let Some(judged) = self.judged.borrow().find(&hash, now) {
            return judged;
        }
        let key = selected(&self.keys, token)?;
        let too_many = |TooManyFailed(wait_ms)| TokenError::TooManyFailed(wait_ms);
        let paid = payer.map(|payer| payer.pay(0).map(|paid| (payer, paid)));
        let paid = paid.transpose().map_err(too_many)?;
        let judged = key.open(token);
        if let (Ok(_), Some((payer, paid))) = (&judged, paid) {
            payer.give_back(paid);
        }
        self.judged.borrow_mut().put(hash, token.len(), &judged, now);
        judged
    }
}

/// The key that is to judge a token: that is said by its header, and costs no signature.
fn selected<'k>(keys: &'k Keys, token: &str) -> Result<&'k Key, TokenError> {
    // Nothing of the header is believed but which key is meant: not its jwk, jku, x5c or x5u.
    let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Invalid)?;
    // RFC 7515 §4.1.11: what is critical must be understood, and no extension is.
    if header.crit.is_some() {
        return Err(TokenError::Invalid);
    }
    let algorithm = Algorithm::from_library(header.alg).ok_or(TokenError::Invalid)?;
    keys.select(algorithm, header.kid.as_deref())
}

fn leeway_ms(expected: &Expected) -> i64 {
    i64::try_from(expected.leeway_ms).unwrap_or(i64::MAX)
}

/// What the claims say of streams, if they say anything.
fn stream_claims(
    publish: Option<Vec<String>>,
    subscribe: Option<Vec<String>>,
) -> Result<Option<StreamClaims>, TokenError> {
    if publish.is_none() && subscribe.is_none() {
        return Ok(None);
    }
    Ok(Some(StreamClaims { publish: patterns(publish)?, subscribe: patterns(subscribe)? }))
}

/// A claim that lists patterns of streams.
fn patterns(claim: Option<Vec<String>>) -> Result<Option<Vec<Pattern>>, TokenError> {
    let Some(texts) = claim else { return Ok(None) };
    if texts.len() > CLAIM_PATTERNS_MAX {
        return Err(TokenError::Streams);
    }
    let patterns = texts.iter().map(|text| Pattern::parse(text));
    patterns.collect::<Result<_, _>>().map(Some).map_err(|_| TokenError::Streams)
}

/// The limits that a token asks for. Names that are none of a user's limits are others' matter.
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

/// RFC 7519 §4.1.3: `aud` is one, or a list of them.
fn is_for(aud: Option<&Value>, audience: &str) -> bool {
    match aud {
        Some(Value::String(one)) => one == audience,
        Some(Value::Array(list)) => list.iter().any(|one| one.as_str() == Some(audience)),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
