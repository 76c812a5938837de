//! JWKS files (RFC 7517): a set of keys in JSON, each with its type and usually its `kid`.
//!
//! Strict: a key that is not understood is an error and is not skipped, because whoever put it into
//! the file expects its tokens to be accepted.

use super::key::{Algorithm, Key};
use super::key_error::KeyProblem;
use crate::base::limits::{KEYS_MAX, KID_BYTES_MAX};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;

#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<Jwk>,
}

/// A JSON Web Key. Other members are ignored, as RFC 7517 §4 requires.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    k: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<IgnoredAny>,
}

/// Parses a file: the keys, or the error with the `kid` of the key or its number, from 1.
pub(super) fn keys(text: &str) -> Result<Vec<Key>, (Option<String>, KeyProblem)> {
    // The parser's message may contain file content, which is a key.
    let set: JwkSet = serde_json::from_str(text)
        .map_err(|error| (None, KeyProblem::Json(error.line(), error.column())))?;
    if set.keys.is_empty() {
        return Err((None, KeyProblem::Empty));
    }
    if set.keys.len() > KEYS_MAX {
        return Err((None, KeyProblem::Keys));
    }
    let numbered = (1..).zip(&set.keys);
    numbered
        .map(|(number, jwk)| {
            let named = |problem| {
                let short = jwk.kid.as_ref().filter(|kid| kid.len() <= KID_BYTES_MAX);
                let name = short.map_or(format!("number {number}"), |kid| format!("{kid:?}"));
                (Some(name), problem)
            };
            jwk.key().map_err(named)
        })
        .collect()
}

impl Jwk {
    fn key(&self) -> Result<Key, KeyProblem> {
        let algorithm = self.algorithm()?;
        if self.alg.as_ref().is_some_and(|alg| alg != algorithm.name()) {
            let said = self.alg.clone().unwrap_or_default();
            return Err(KeyProblem::Alg { said, is: algorithm });
        }
        let is_verifying = |ops: &Vec<String>| ops.iter().any(|op| op == "verify");
        if self.usage.as_ref().is_some_and(|usage| usage != "sig")
            || !self.key_ops.as_ref().is_none_or(is_verifying)
        {
            return Err(KeyProblem::Use);
        }
        if self.d.is_some() {
            return Err(KeyProblem::PrivateMember);
        }
        let key = match algorithm {
            Algorithm::Hs256 => Key::secret(&bytes("k", &self.k)?),
            Algorithm::Rs256 => Key::rsa_components(&bytes("n", &self.n)?, &bytes("e", &self.e)?),
            Algorithm::Es256 => Key::p256(&bytes("x", &self.x)?, &bytes("y", &self.y)?),
            Algorithm::EdDsa => Key::ed25519(&bytes("x", &self.x)?),
        }?;
        Ok(key.named(self.kid.as_deref().map(Into::into)))
    }

    /// The algorithm of the key. Only its type decides.
    fn algorithm(&self) -> Result<Algorithm, KeyProblem> {
        let curve = |wanted, algorithm| match self.crv.as_deref() {
            Some(crv) if crv == wanted => Ok(algorithm),
            crv => Err(KeyProblem::Curve(crv.unwrap_or_default().to_owned())),
        };
        match self.kty.as_str() {
            "oct" => Ok(Algorithm::Hs256),
            "RSA" => Ok(Algorithm::Rs256),
            "EC" => curve("P-256", Algorithm::Es256),
            "OKP" => curve("Ed25519", Algorithm::EdDsa),
            kty => Err(KeyProblem::Type(kty.to_owned())),
        }
    }
}

fn bytes(name: &'static str, member: &Option<String>) -> Result<Vec<u8>, KeyProblem> {
    let text = member.as_ref().ok_or(KeyProblem::Member(name))?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| KeyProblem::Member(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    // From RFC 7517 §A.1, RFC 8037 §A.2, and a secret.
    const EC: &str = r#"{"kty":"EC","crv":"P-256","kid":"ec","use":"sig","alg":"ES256",
        "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}"#;
    const RSA: &str = r#"{"kty":"RSA","kid":"rsa","alg":"RS256","e":"AQAB","key_ops":["verify"],
        "n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}"#;
    const OKP: &str = r#"{"kty":"OKP","crv":"Ed25519","kid":"ed","alg":"EdDSA",
        "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    const OCT: &str =
        r#"{"kty":"oct","kid":"oct","k":"YW4gZXhhbXBsZSBzZWNyZXQgb2YgMzIgYnl0ZXMuLi4"}"#;

    fn read(jwks: &[&str]) -> Result<Vec<Key>, String> {
        keys(&format!(r#"{{"keys":[{}]}}"#, jwks.join(",")))
            .map_err(|(key, problem)| format!("{}: {problem}", key.unwrap_or_default()))
    }

    #[test]
    fn a_set_has_keys_of_all_kinds_each_for_its_own_algorithm() {
        let keys = read(&[EC, RSA, OKP, OCT]).unwrap();
        let shown: Vec<String> = keys.iter().map(Key::to_string).collect();
        assert_eq!(shown, ["ES256 \"ec\"", "RS256 \"rsa\"", "EdDSA \"ed\"", "HS256 \"oct\""]);
    }

    #[test]
    fn a_key_that_is_not_understood_is_an_error_that_names_it() {
        for (key, from, to, expected) in [
            (OKP, "\"OKP\"", "\"PQC\"", "\"ed\": has the kty \"PQC\""),
            (OKP, "Ed25519", "X25519", "\"ed\": has the crv \"X25519\""),
            (EC, "P-256", "P-384", "\"ec\": has the crv \"P-384\""),
            (EC, "ES256", "ES384", "\"ec\": has the alg \"ES384\", but it is a key for ES256"),
            (RSA, "RS256", "HS256", "\"rsa\": has the alg \"HS256\", but it is a key for RS256"),
            (EC, "\"sig\"", "\"enc\"", "\"ec\": is not for signatures"),
            (RSA, "\"verify\"", "\"wrapKey\"", "\"rsa\": is not for signatures"),
            (OKP, "\"x\"", "\"d\":\"AA\",\"x\"", "\"ed\": is a private key"),
            (OKP, "\"x\"", "\"z\"", "\"ed\": has no \"x\""),
            (OCT, "YW4g", "YW4=", "\"oct\": has no \"k\""),
            (OCT, "YW4g", "", "\"oct\": the secret has 29 bytes"),
            (OKP, "11qY", "", "\"ed\": is no valid key"),
            (EC, "MKBC", "MKBD", "\"ec\": is no valid key"),
            (RSA, "DKgw", "DKgg", "\"rsa\": is no valid key"),
            (RSA, "AQAB", "AQAA", "\"rsa\": is no valid key"),
            (RSA, "AQAB", "AA", "\"rsa\": is no valid key"),
            (RSA, "0vx7agoebGcQ", "", "\"rsa\": is an RSA key of 1975 bits, and needs 2048"),
            (OKP, "\"kid\":\"ed\",", "", "number 2: has the crv"),
        ] {
            let changed = key.replace(from, to);
            assert_ne!(changed, key);
            let changed = if from.contains("kid") { changed.replace("25519", "") } else { changed };
            let said = read(&[OCT.replace("oct\",\"k\"", "first\",\"k\"").as_str(), &changed]);
            let said = said.unwrap_err();
            assert!(said.starts_with(expected), "{said}");
        }
    }

    #[test]
    fn what_is_no_set_is_refused_without_repeating_it() {
        for wrong in
            [r#"{"keys":"Tr0ub4dor"}"#, r#"{"keys":[{"kty":"oct","k":{"Tr0ub4dor":1}}]}"#, "{", EC]
        {
            let (_, problem) = keys(wrong).unwrap_err();
            assert!(problem.to_string().starts_with("is no JWKS: see line"), "{problem}");
            assert!(!problem.to_string().contains("Tr0ub4dor"));
        }
        assert!(read(&[]).unwrap_err().contains("has no key"));
        assert!(read(&[OCT; KEYS_MAX + 1]).unwrap_err().contains("more than"));
        let twice = OCT.replace("\"k\"", "\"kid\":\"b\",\"k\"");
        assert!(read(&[&twice]).unwrap_err().contains("no JWKS"), "a member twice");
    }
}
