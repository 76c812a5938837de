//! PEM files (RFC 7468): one base64 block. The content of the block is not checked here.

use super::key::Key;
use super::key_error::KeyProblem;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// A PEM file's only block.
#[derive(Debug)]
pub(super) struct Pem<'a> {
    pub(super) label: &'a str,
    pub(super) der: Vec<u8>,
}

/// Whether a file has a PEM block, valid or not.
pub(super) fn is_pem(text: &str) -> bool {
    text.contains(BEGIN)
}

impl<'a> Pem<'a> {
    /// Parses a file. Text around the block is a comment, as `openssl` writes it.
    pub(super) fn parse(text: &'a str) -> Result<Pem<'a>, KeyProblem> {
        let (_, text) = text.split_once(BEGIN).ok_or(KeyProblem::Format)?;
        let (label, text) = text.split_once(DASHES).ok_or(KeyProblem::Block)?;
        let (body, text) = text.split_once(END).ok_or(KeyProblem::Block)?;
        let text = text.strip_prefix(label).and_then(|text| text.strip_prefix(DASHES));
        if is_pem(text.ok_or(KeyProblem::Block)?) {
            return Err(KeyProblem::Blocks);
        }
        let base64: String = body.split_ascii_whitespace().collect();
        match STANDARD.decode(base64) {
            Ok(der) => Ok(Pem { label, der }),
            // RFC 1421 §4.6.1.1: an old form of encryption has headers in the block.
            Err(_) if body.contains("ENCRYPTED") => Err(KeyProblem::Encrypted),
            Err(_) => Err(KeyProblem::Block),
        }
    }
}

/// The public key of a PEM file.
pub(super) fn public_key(text: &str) -> Result<Key, KeyProblem> {
    let pem = Pem::parse(text)?;
    match pem.label {
        "PUBLIC KEY" | "RSA PUBLIC KEY" => Key::public(&pem.der),
        "CERTIFICATE" | "TRUSTED CERTIFICATE" | "X509 CERTIFICATE" => Err(KeyProblem::Certificate),
        label if label.ends_with("PRIVATE KEY") => Err(KeyProblem::Private),
        label => Err(KeyProblem::Label(label.chars().take(32).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::key::Algorithm;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};

    const ED25519: &str = "-----BEGIN PUBLIC KEY-----\n\
        MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
        -----END PUBLIC KEY-----\n";

    fn problem(text: &str) -> String {
        public_key(text).unwrap_err().to_string()
    }

    #[test]
    fn a_block_may_have_comments_around_it_and_lines_of_any_length() {
        assert_eq!(public_key(ED25519).unwrap().algorithm, Algorithm::EdDsa);
        let around = format!("Key of 2026\r\n{}\r\nthe end", ED25519.replace('\n', "\r\n"));
        assert!(public_key(&around).is_ok());
        let short_lines = ED25519.replace("Ex", "E\nx").replace("Zu", "Z\n u");
        assert!(public_key(&short_lines).is_ok());
    }

    #[test]
    fn what_is_no_block_or_several_is_told_apart() {
        assert!(problem("nothing").contains("neither PEM"));
        for broken in [
            "-----BEGIN ",
            "-----BEGIN PUBLIC KEY-----",
            "-----BEGIN PUBLIC KEY-----\nMCow\n",
            "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PRIVATE KEY-----\n",
            "-----BEGIN PUBLIC KEY-----\nM?ow\n-----END PUBLIC KEY-----\n",
            "-----BEGIN PUBLIC KEY-----\nMCo\n-----END PUBLIC KEY-----\n",
        ] {
            assert!(problem(broken).contains("PEM block"), "{broken}");
        }
        assert!(problem(&ED25519.repeat(2)).contains("several"));
    }

    #[test]
    fn a_block_of_another_kind_is_refused_with_what_to_do() {
        let labelled = |label: &str| problem(&ED25519.replace("PUBLIC KEY", label));
        for private in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"] {
            assert!(labelled(private).contains("openssl pkey -in FILE -pubout"), "{private}");
        }
        assert!(labelled("CERTIFICATE").contains("openssl x509"));
        assert!(labelled("EC PARAMETERS").contains("EC PARAMETERS"));
    }

    #[test]
    fn what_is_no_key_of_a_known_kind_is_refused() {
        let block = |der: &[u8]| {
            let text = STANDARD.encode(der);
            format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n")
        };
        // Without its envelope a key has no kind, even if it is valid.
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = pair.public_key().as_ref();
        assert!(matches!(public_key(&block(point)), Err(KeyProblem::Kind)));
        for der in [&[] as &[u8], &[0x30], &[0x30; 32], &[0x30; 33], &[0x30; 65], &[4; 65]] {
            assert!(matches!(public_key(&block(der)), Err(KeyProblem::Kind)), "{der:?}");
        }
        let whole = Pem::parse(ED25519).unwrap().der;
        for len in 0..whole.len() {
            assert!(public_key(&block(&whole[..len])).is_err(), "cut to {len}");
        }
    }
}
