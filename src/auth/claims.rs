//! The claims of a token, and the identity that they give.

use crate::base::{StreamRights, Timestamp, UserId, UserLimits};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Number, Value};
use std::fmt;
use std::sync::Arc;

/// Times further from 1970, in ms, are clamped to this: what JavaScript counts exactly, some
/// 285,000 years.
const TIME_MS_MAX: i64 = (1 << 53) - 1;

/// The claims of a token. Unknown claims are ignored; a repeated known one makes the token invalid.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Claims {
    /// The user's id: a string, or an integer, which is read as its digits.
    pub sub: Value,
    /// When it expires, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exp: Option<Number>,
    /// When it becomes valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<Number>,
    /// When it was issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat: Option<Number>,
    /// The audience: a string or a list of strings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aud: Option<Value>,
    /// The issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// The token's id, by which it can be revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// Display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether the user has an admin's rights.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub admin: bool,
    /// Patterns of streams that they may publish to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish: Option<Vec<String>>,
    /// Patterns of streams that they may watch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscribe: Option<Vec<String>>,
    /// Set if it is a code, which signs a browser in once, for this many seconds, and is valid for
    /// nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_in: Option<Number>,
    /// Limits for them, by the last part of their keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Map<String, Value>>,
}

/// Claims that are a JSON object, as RFC 7519 §4 requires: `Claims` alone can also be read from a
/// list.
#[derive(Debug)]
pub(super) struct ClaimsSet(pub(super) Claims);

impl<'de> Deserialize<'de> for ClaimsSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ClaimsSet, D::Error> {
        struct ClaimsVisitor;

        impl<'de> Visitor<'de> for ClaimsVisitor {
            type Value = ClaimsSet;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with claims")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ClaimsSet, A::Error> {
                Claims::deserialize(MapAccessDeserializer::new(map)).map(ClaimsSet)
            }
        }

        deserializer.deserialize_map(ClaimsVisitor)
    }
}

/// A proved identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The user's id.
    pub user: UserId,
    /// Their display name.
    pub name: Option<Arc<str>>,
    /// Whether they have an admin's rights.
    pub admin: bool,
    /// An admin without a token of their own has named them: the holder of the admin token, or
    /// somebody at a socket for admins.
    pub is_named: bool,
    /// Their rights on streams.
    pub rights: StreamRights,
    /// Their token; `None` in open mode, for guests, and for whom the application vouches for
    /// without one. Shared, because each connection holds one.
    pub token: Option<Arc<TokenFacts>>,
}

/// What a token says of itself, and of limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenFacts {
    /// The limits that it asks for.
    pub limits: Option<Arc<UserLimits>>,
    /// When it expires.
    pub expires: Option<Timestamp>,
    /// Its id.
    pub jti: Option<Arc<str>>,
    /// When it was issued.
    pub issued: Option<Timestamp>,
}

impl Identity {
    /// The same user, without an administrator's rights.
    pub(crate) fn without_admins_rights(self) -> Identity {
        if !self.admin {
            return self;
        }
        let rights = StreamRights { is_admin: false, publishes_all: false, ..self.rights };
        Identity { admin: false, rights, ..self }
    }

    /// A user without a token.
    pub(crate) fn without_token(user: UserId, rights: StreamRights) -> Identity {
        Identity { user, name: None, admin: false, is_named: false, rights, token: None }
    }

    /// The limits that their token asks for.
    #[must_use]
    pub fn limits(&self) -> Option<&UserLimits> {
        self.token.as_ref()?.limits.as_deref()
    }

    /// When their token expires.
    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> {
        self.token.as_ref()?.expires
    }

    /// The id of their token.
    #[must_use]
    pub fn jti(&self) -> Option<&Arc<str>> {
        self.token.as_ref()?.jti.as_ref()
    }

    /// When their token was issued.
    #[must_use]
    pub fn issued(&self) -> Option<Timestamp> {
        self.token.as_ref()?.issued
    }
}

/// Converts seconds, perhaps with a fraction, to whole milliseconds.
pub(super) fn millis(seconds: &Number) -> i64 {
    let millis = match seconds.as_i64() {
        Some(whole) => whole.saturating_mul(1_000),
        // JSON has no NaN, and a cast from a float saturates.
        None => seconds.as_f64().map_or(i64::MAX, |seconds| (seconds * 1_000.0) as i64),
    };
    millis.clamp(-TIME_MS_MAX, TIME_MS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn times_have_fractions_and_do_not_overflow() {
        for (text, expected) in [
            ("0", 0),
            ("1800000060", 1_800_000_060_000),
            ("1800000060.5", 1_800_000_060_500),
            ("-1.25", -1_250),
            ("1e3", 1_000_000),
            ("9223372036854775807", TIME_MS_MAX),
            ("-9223372036854775808", -TIME_MS_MAX),
            ("18446744073709551615", TIME_MS_MAX),
            ("99999999999999999999999", TIME_MS_MAX),
            ("1.7976931348623157e308", TIME_MS_MAX),
            ("-1.7976931348623157e308", -TIME_MS_MAX),
            ("5e-324", 0),
        ] {
            assert_eq!(millis(&number(text)), expected, "{text}");
        }
        assert!(serde_json::from_str::<Number>("1e999").is_err());
    }

    #[test]
    fn a_claim_twice_and_one_of_another_kind_is_refused() {
        for wrong in [
            r#"{"sub":"a","sub":"b"}"#,
            r#"{"sub":"a","admin":false,"admin":true}"#,
            r#"{"sub":"a","exp":1,"exp":2}"#,
            r#"{"sub":"a","exp":"1"}"#,
            r#"{"sub":"a","iat":"1"}"#,
            r#"{"sub":"a","jti":7}"#,
            r#"{"sub":"a","iss":["x"]}"#,
            r#"{"sub":"a","admin":"true"}"#,
            r#"{"sub":"a","admin":1}"#,
            r#"{"sub":"a","name":7}"#,
            r#"{"sub":"a","publish":"x"}"#,
            r#"{"sub":"a","subscribe":[7]}"#,
            r#"{"sub":"a","subscribe":7}"#,
            r#"{"sub":"a","limits":7}"#,
            r#"{"sub":"a","limits":[1]}"#,
            r#"{}"#,
            r#"["a",1]"#,
            "null",
        ] {
            assert!(serde_json::from_str::<ClaimsSet>(wrong).is_err(), "{wrong}");
        }
        let others = r#"{"sub":"a","roles":{"admin":true},"scope":7}"#;
        assert!(!serde_json::from_str::<ClaimsSet>(others).unwrap().0.admin);
    }
}
