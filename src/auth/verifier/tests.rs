//! Tokens of every kind, made by the library's signer and by hand.

use super::*;
use crate::auth::Algorithm;
use crate::auth::{KeyFile, KeySources, Secret, SigningKey};
use crate::base::limits::TOKEN_BYTES_MAX;
use crate::base::{NameError, Revocation};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::EncodingKey;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const GOOD: &str = r#"{"sub":"ada","exp":1800000060}"#;
const SECRET: &[u8] = b"an example secret of 32 bytes...";

fn secret() -> Secret {
    Secret::new(SECRET).unwrap()
}

fn expected() -> Expected {
    Expected { leeway_ms: 30_000, name_bytes_max: 128, ..Expected::default() }
}

fn verifier() -> Verifier {
    Verifier::new(Keys::from_secret(&secret()), expected())
}

fn claims(json: &str) -> Claims {
    serde_json::from_str(json).unwrap()
}

/// A token with this header and these claims, valid or not, signed with HS256.
fn token(header: &str, claims: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let key = EncodingKey::from_secret(SECRET);
    let algorithm = jsonwebtoken::Algorithm::HS256;
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, algorithm).unwrap();
    format!("{message}.{signature}")
}

fn verify(json: &str) -> Result<Identity, TokenError> {
    verifier().verify(&token(r#"{"alg":"HS256"}"#, json), NOW)
}

#[test]
fn a_good_token_says_who() {
    let identity = verify(
        r#"{"sub":"ada","exp":1800000060,"iat":1799999990.5,"jti":"t-1","name":"Ada","admin":true}"#,
    )
    .unwrap();
    assert_eq!(identity.user.as_str(), "ada");
    assert_eq!((identity.name.as_deref(), identity.admin), (Some("Ada"), true));
    assert_eq!(identity.expires(), Some(Timestamp(1_800_000_060_000)));
    assert_eq!(identity.issued(), Some(Timestamp(1_799_999_990_500)));
    assert_eq!(identity.jti().map(|jti| &**jti), Some("t-1"));
    let plain = verify(r#"{"sub":1,"exp":1800000060}"#).unwrap();
    assert_eq!(plain.user.as_str(), "1");
    assert_eq!((plain.jti(), plain.issued()), (None, None));
    assert!(verify(r#"{"sub":"1","exp":1800000060.5}"#).is_ok());
}

#[test]
fn times_are_judged_with_the_leeway() {
    for (json, expected) in [
        (r#"{"sub":"a","exp":1799999971}"#, None),
        (r#"{"sub":"a","exp":1799999970.001}"#, None),
        (r#"{"sub":"a","exp":1799999970}"#, Some(TokenError::Expired)),
        (r#"{"sub":"a","exp":-1}"#, Some(TokenError::Expired)),
        (r#"{"sub":"a","exp":-9223372036854775808}"#, Some(TokenError::Expired)),
        (r#"{"sub":"a","exp":18446744073709551615}"#, None),
        (r#"{"sub":"a","exp":1e300}"#, None),
        (r#"{"sub":"a","exp":1800000060,"nbf":1800000030}"#, None),
        (r#"{"sub":"a","exp":1800000060,"nbf":-1e300}"#, None),
        (r#"{"sub":"a","exp":1800000060,"nbf":1800000031}"#, Some(TokenError::NotYet)),
        (r#"{"sub":"a","exp":1800000060,"nbf":1e300}"#, Some(TokenError::NotYet)),
        (r#"{"sub":"a"}"#, Some(TokenError::NoExpiry)),
        (r#"{"sub":"a","exp":null}"#, Some(TokenError::NoExpiry)),
        (r#"{"sub":"a","exp":"1800000060"}"#, Some(TokenError::Invalid)),
        (r#"{"sub":"a","exp":1e999}"#, Some(TokenError::Invalid)),
    ] {
        assert_eq!(verify(json).err(), expected, "{json}");
    }
    let forever = Expected { leeway_ms: u64::MAX, ..expected() };
    let forever = Verifier::new(Keys::from_secret(&secret()), forever);
    let long_ago = token(r#"{"alg":"HS256"}"#, r#"{"sub":"a","exp":-1e300}"#);
    assert!(forever.verify(&long_ago, NOW).is_ok());
}

#[test]
fn what_is_no_user_id_is_refused() {
    assert_eq!(
        verify(r#"{"sub":"a b","exp":1800000060}"#),
        Err(TokenError::Subject(NameError::Character))
    );
    for sub in ["1.5", "null", "true", "[\"a\"]", "{}", "1e3", "18446744073709551616"] {
        let json = format!(r#"{{"sub":{sub},"exp":1800000060}}"#);
        assert_eq!(verify(&json), Err(TokenError::Invalid), "{sub}");
    }
    let with = |name: &str, len: usize| {
        format!(r#"{{"sub":"a","exp":1800000060,"{name}":"{}"}}"#, "x".repeat(len))
    };
    assert!(verify(&with("name", 128)).is_ok());
    assert_eq!(verify(&with("name", 129)), Err(TokenError::Name));
    assert!(verify(&with("jti", JTI_BYTES_MAX)).is_ok());
    assert_eq!(verify(&with("jti", JTI_BYTES_MAX + 1)), Err(TokenError::Id));
}

#[test]
fn audience_and_issuer_are_judged_where_they_are_configured() {
    let strict = Expected {
        audience: Some("chat".to_owned()),
        issuer: Some("https://id.example".to_owned()),
        ..expected()
    };
    let strict = Verifier::new(Keys::from_secret(&secret()), strict);
    for (aud, iss, expected) in [
        (r#""chat""#, r#""https://id.example""#, None),
        (r#"["other","chat"]"#, r#""https://id.example""#, None),
        (r#""Chat""#, r#""https://id.example""#, Some(TokenError::Audience)),
        (r#""chat, other""#, r#""https://id.example""#, Some(TokenError::Audience)),
        (r#"[]"#, r#""https://id.example""#, Some(TokenError::Audience)),
        (r#"[["chat"]]"#, r#""https://id.example""#, Some(TokenError::Audience)),
        (r#"{"chat":1}"#, r#""https://id.example""#, Some(TokenError::Audience)),
        ("null", r#""https://id.example""#, Some(TokenError::Audience)),
        (r#""chat""#, r#""https://id.example/""#, Some(TokenError::Issuer)),
        (r#""chat""#, r#""""#, Some(TokenError::Issuer)),
        (r#""chat""#, "null", Some(TokenError::Issuer)),
        (r#""chat""#, r#"["https://id.example"]"#, Some(TokenError::Invalid)),
    ] {
        let json = format!(r#"{{"sub":"a","exp":1800000060,"aud":{aud},"iss":{iss}}}"#);
        let token = token(r#"{"alg":"HS256"}"#, &json);
        assert_eq!(strict.verify(&token, NOW).err(), expected, "{json}");
    }
    assert_eq!(strict.verify(&token(r#"{"alg":"HS256"}"#, GOOD), NOW), Err(TokenError::Audience));
    assert!(verify(r#"{"sub":"a","exp":1800000060,"aud":"any","iss":"body"}"#).is_ok());
}

#[test]
fn another_key_another_algorithm_and_none_are_refused() {
    let other = Secret::new(b"another secret of 32 bytes......").unwrap();
    let forged = other.sign(&claims(GOOD)).unwrap();
    assert_eq!(verifier().verify(&forged, NOW), Err(TokenError::Invalid));
    let unsigned = |header: &str| {
        format!("{}.{}.", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(GOOD))
    };
    for alg in [
        r#""none""#,
        r#""nOnE""#,
        r#""""#,
        "null",
        "[\"HS256\"]",
        r#""HS384""#,
        r#""HS512""#,
        r#""PS256""#,
        r#""RS384""#,
        r#""ES384""#,
        r#""hs256""#,
    ] {
        let header = format!(r#"{{"alg":{alg}}}"#);
        // Also with a signature that would be valid for HS256.
        for token in [unsigned(&header), token(&header, GOOD)] {
            assert_eq!(verifier().verify(&token, NOW), Err(TokenError::Invalid), "{alg}");
        }
    }
    for alg in ["RS256", "ES256", "EdDSA"] {
        let token = token(&format!(r#"{{"alg":"{alg}"}}"#), GOOD);
        assert_eq!(verifier().verify(&token, NOW), Err(TokenError::UnknownKey), "{alg}");
    }
    let good = token(r#"{"alg":"HS256"}"#, GOOD);
    assert!(verifier().verify(&good, NOW).is_ok());
    let open = Verifier::new(Keys::none(), expected());
    assert_eq!(open.verify(&good, NOW), Err(TokenError::OpenMode));
}

#[test]
fn a_token_that_is_altered_anywhere_is_refused() {
    let good = token(r#"{"alg":"HS256"}"#, GOOD);
    for place in 0..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(bytes).unwrap();
        assert!(verifier().verify(&altered, NOW).is_err(), "{place}");
        assert!(verifier().verify(&good[..place], NOW).is_err(), "cut to {place}");
    }
    let more = format!("{good}.AAAA");
    for junk in ["", ".", "..", "a.b.c", "é.é.é", &more, &format!("{good}="), &format!(" {good}")]
    {
        assert_eq!(verifier().verify(junk, NOW), Err(TokenError::Invalid), "{junk}");
    }
}

#[test]
fn a_header_is_believed_in_nothing_but_which_key_is_meant() {
    for good in [
        r#"{"alg":"HS256","jku":"http://127.0.0.1:1/keys","x5u":"file:///etc/passwd"}"#,
        r#"{"alg":"HS256","jwk":{"kty":"oct","k":"AAAA"},"typ":"anything","cty":"x","b64":false}"#,
        r#"{"alg":"HS256","crit":null}"#,
    ] {
        assert!(verifier().verify(&token(good, GOOD), NOW).is_ok(), "{good}");
    }
    for bad in [
        r#"{"alg":"HS256","crit":["exp"]}"#,
        r#"{"alg":"HS256","crit":["b64"],"b64":true}"#,
        r#"{"alg":"HS256","crit":[]}"#,
        r#"{"alg":"HS256","crit":"exp"}"#,
        r#"{"alg":"HS256","alg":"HS256"}"#,
        r#"{"alg":"none","alg":"HS256"}"#,
        r#"{"kid":"a"}"#,
        r#"{}"#,
        "[]",
        "",
    ] {
        assert_eq!(verifier().verify(&token(bad, GOOD), NOW), Err(TokenError::Invalid), "{bad}");
    }
    let named = token(r#"{"alg":"HS256","kid":"unknown"}"#, GOOD);
    assert_eq!(verifier().verify(&named, NOW), Err(TokenError::UnknownKey));
}

#[test]
fn a_token_has_its_length() {
    let pad = |len: usize| {
        let json = format!(r#"{{"sub":"ada","exp":1800000060,"pad":"{}"}}"#, "x".repeat(len));
        token(r#"{"alg":"HS256"}"#, &json)
    };
    let overhead = pad(0).len();
    // Three bytes become four characters.
    let len = (TOKEN_BYTES_MAX - overhead) / 4 * 3;
    assert!(verifier().verify(&pad(len), NOW).is_ok());
    assert!(pad(len + 3).len() > TOKEN_BYTES_MAX);
    assert_eq!(verifier().verify(&pad(len + 3), NOW), Err(TokenError::Invalid));
}

#[test]
fn a_revoked_token_is_refused_also_after_the_keys_were_replaced() {
    let mut verifier = verifier();
    let header = r#"{"alg":"HS256"}"#;
    let old = token(header, r#"{"sub":"ada","exp":1800000060,"iat":1799999990,"jti":"t-1"}"#);
    let new = token(header, r#"{"sub":"ada","exp":1800000060,"iat":1799999999}"#);
    assert!(verifier.verify(&old, NOW).is_ok());
    verifier.revocations_mut().insert(&Revocation::Token("t-1".into(), None));
    assert_eq!(verifier.verify(&old, NOW), Err(TokenError::Revoked));
    let ada = UserId::parse("ada").unwrap();
    let until = Revocation::User(ada, Timestamp(1_799_999_998_999));
    verifier.revocations_mut().insert(&until);
    assert!(verifier.verify(&new, NOW).is_ok());
    assert_eq!(verifier.verify(&token(header, GOOD), NOW), Err(TokenError::Revoked), "no iat");
    verifier.replace_keys(Keys::from_secret(&secret()));
    assert_eq!(verifier.verify(&old, NOW), Err(TokenError::Revoked));
    assert_eq!(verifier.revocations().len(), 2);
}

fn pem(label: &str, der: impl AsRef<[u8]>) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

const ASYMMETRIC: [&str; 3] = ["RS256", "ES256", "EdDSA"];

/// New PEM files for an algorithm: private and public key.
fn pair(alg: &str) -> (String, String) {
    let both =
        |private: &[u8], public: &[u8]| (pem("PRIVATE KEY", private), pem("PUBLIC KEY", public));
    match alg {
        "RS256" => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
            let public = pair.public_key().as_der().unwrap();
            both(pair.as_der().unwrap().as_ref(), public.as_ref())
        }
        "ES256" => {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
            let public = pair.public_key().as_der().unwrap();
            both(pair.to_pkcs8v1().unwrap().as_ref(), public.as_ref())
        }
        _ => {
            let pair = Ed25519KeyPair::generate().unwrap();
            let public = pair.public_key().as_der().unwrap();
            both(pair.to_pkcs8v1().unwrap().as_ref(), public.as_ref())
        }
    }
}

#[test]
fn a_private_key_signs_what_its_public_half_judges_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut sources = KeySources { secret: Some(secret()), ..KeySources::default() };
    let pairs = ASYMMETRIC.map(pair);
    for (alg, (_, public)) in ASYMMETRIC.iter().zip(&pairs) {
        let path = folder.path().join(alg);
        std::fs::write(&path, public).unwrap();
        sources.key_files.push(KeyFile { kid: Some((*alg).to_owned()), path });
    }
    let verifier = Verifier::new(sources.read().unwrap(), expected());
    for (alg, (private, public)) in ASYMMETRIC.into_iter().zip(&pairs) {
        let key = SigningKey::from_pem(private).unwrap();
        assert_eq!(key.algorithm().name(), alg);
        let sign = |kid| key.sign(&claims(GOOD), kid).unwrap();
        assert_eq!(verifier.verify(&sign(Some(alg)), NOW).unwrap().user.as_str(), "ada");
        assert!(verifier.verify(&sign(None), NOW).is_ok(), "the only key of {alg}");
        assert_eq!(verifier.verify(&sign(Some("other")), NOW), Err(TokenError::UnknownKey));
        for other in ASYMMETRIC.into_iter().filter(|other| *other != alg) {
            assert_eq!(verifier.verify(&sign(Some(other)), NOW), Err(TokenError::Invalid));
        }
        let stranger = SigningKey::from_pem(&pair(alg).0).unwrap();
        let forged = stranger.sign(&claims(GOOD), Some(alg)).unwrap();
        assert_eq!(verifier.verify(&forged, NOW), Err(TokenError::Invalid), "{alg}");
        // The public half, which everybody may know, used as a secret: as PEM, and as DER.
        let der = STANDARD.decode(public.lines().nth(1).unwrap()).unwrap();
        for secret in [public.as_bytes(), &der] {
            let forger = SigningKey::from_secret(&Secret::new(secret).unwrap());
            for kid in [None, Some(alg)] {
                let forged = forger.sign(&claims(GOOD), kid).unwrap();
                assert_eq!(verifier.verify(&forged, NOW), Err(TokenError::Invalid), "{alg}");
            }
        }
    }
}

#[test]
fn a_private_key_may_be_in_its_older_forms() {
    // SEC 1, as `openssl ecparam -genkey` writes it: the content of PKCS #8.
    let ec = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    let pkcs8 = ec.to_pkcs8v1().unwrap();
    let at = pkcs8.as_ref().windows(2).position(|bytes| bytes == [0x04, 0x6d]).unwrap();
    let sec1 = pem("EC PRIVATE KEY", &pkcs8.as_ref()[at + 2..]);
    assert_eq!(SigningKey::from_pem(&sec1).unwrap().algorithm(), Algorithm::Es256);
    // PKCS #1, as `openssl genrsa -traditional` writes it.
    let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let pkcs8 = rsa.as_der().unwrap();
    let at = pkcs8.as_ref().windows(2).position(|bytes| bytes == [0x04, 0x82]).unwrap();
    let pkcs1 = pem("RSA PRIVATE KEY", &pkcs8.as_ref()[at + 4..]);
    assert_eq!(SigningKey::from_pem(&pkcs1).unwrap().algorithm(), Algorithm::Rs256);
    let said = |text: &str| SigningKey::from_pem(text).unwrap_err().to_string();
    assert!(said(&pem("ENCRYPTED PRIVATE KEY", [1])).contains("encrypted"));
    assert!(said(&pem("PUBLIC KEY", [1])).contains("public key"));
    assert!(said(&pem("PRIVATE KEY", [1])).contains("no key of RSA"));
    let whole = pkcs8.as_ref();
    for len in (0..whole.len()).step_by(7) {
        assert!(SigningKey::from_pem(&pem("PRIVATE KEY", &whole[..len])).is_err());
    }
}
