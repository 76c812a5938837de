//! Environment variables: `PARLOR_LIMITS_BURST` is `limits.burst`.

use super::error::ConfigError;
use super::key::RawValue;
use super::keys::keys;
use super::origin::ValueOrigin;
use super::sources::Draft;
use super::suggest;
use crate::auth::{AdminToken, KeyError, KeyProblem, Secret};
use std::ffi::OsString;

/// The prefix of our variables.
const PREFIX: &str = "PARLOR_";
/// The secret that signs tokens.
pub const SECRET_VARIABLE: &str = "PARLOR_SECRET";
/// The operators' token.
pub const ADMIN_TOKEN_VARIABLE: &str = "PARLOR_ADMIN_TOKEN";
/// The configuration file.
pub const CONFIG_VARIABLE: &str = "PARLOR_CONFIG";

/// Variables that Kubernetes sets in every container for a service named `parlor`: to be ignored.
const OF_SERVICES: &[&str] = &["PARLOR_SERVICE_", "PARLOR_PORT"];

/// The variable for a key.
#[must_use]
pub fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_ascii_uppercase())
}

/// Reads the variables with our prefix.
pub(super) fn read(variables: &[(OsString, OsString)], draft: &mut Draft) {
    let names: Vec<String> = keys().iter().map(|key| variable(key.name)).collect();
    for (name, value) in variables {
        let name = name.to_string_lossy();
        let is_ours = name.starts_with(PREFIX)
            && !OF_SERVICES.iter().any(|prefix| name.starts_with(prefix))
            && name != CONFIG_VARIABLE;
        if !is_ours {
            continue;
        }
        let origin = ValueOrigin::Variable(name.to_string());
        let bytes = value.as_encoded_bytes();
        let config = &mut draft.config;
        let special = match &*name {
            SECRET_VARIABLE => Some(Secret::new(bytes).map(|secret| config.secret = Some(secret))),
            ADMIN_TOKEN_VARIABLE => {
                Some(AdminToken::new(bytes).map(|token| config.admin_token = Some(token)))
            }
            _ => None,
        };
        if let Some(set) = special {
            if let Err(len) = set {
                let problem = KeyProblem::SecretShort(len);
                let error = KeyError { origin: name.to_string(), key: None, problem };
                draft.faults.push(origin, error.into());
            }
            continue;
        }
        let Some((key, _)) = keys().iter().zip(&names).find(|(_, known)| **known == *name) else {
            let special = [SECRET_VARIABLE, ADMIN_TOKEN_VARIABLE, CONFIG_VARIABLE];
            let known = names.iter().map(String::as_str).chain(special);
            let nearest = suggest::nearest(&name, known).map(str::to_owned);
            draft.faults.push(origin, ConfigError::UnknownVariable { nearest });
            continue;
        };
        let Some(text) = value.to_str() else {
            draft.faults.push(origin, ConfigError::NotUnicode);
            continue;
        };
        draft.assign(key, &RawValue::Text(text.trim().to_owned()), origin);
    }
}
