//! Environment variables: `PARLOR_LIMITS_BURST` is `limits.burst`.

use super::config::Config;
use super::error::{ConfigError, ConfigFaults};
use super::key::RawValue;
use super::keys::keys;
use super::origin::{Origins, ValueOrigin};
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

/// Reads the variables with our prefix into `config`.
pub(super) fn read(
    variables: &[(OsString, OsString)],
    config: &mut Config,
    origins: &mut Origins,
    faults: &mut ConfigFaults,
) {
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
        let special = if name == SECRET_VARIABLE {
            Some(Secret::new(bytes).map(|secret| config.secret = Some(secret)))
        } else if name == ADMIN_TOKEN_VARIABLE {
            Some(AdminToken::new(bytes).map(|token| config.admin_token = Some(token)))
        } else {
            None
        };
        if let Some(set) = special {
            match set {
                Ok(()) => {}
                Err(len) => {
                    let (problem, origin_text) = (KeyProblem::SecretShort(len), name.to_string());
                    let error = KeyError { origin: origin_text, key: None, problem };
                    faults.push(origin, error.into());
                }
            }
            continue;
        }
        let Some(key) = keys().iter().zip(&names).find(|(_, known)| **known == *name) else {
            let special = [SECRET_VARIABLE, ADMIN_TOKEN_VARIABLE, CONFIG_VARIABLE];
            let known = names.iter().map(String::as_str).chain(special);
            let nearest = suggest::nearest(&name, known).map(str::to_owned);
            faults.push(origin, ConfigError::UnknownVariable { nearest });
            continue;
        };
        let Some(text) = value.to_str() else {
            faults.push(origin, ConfigError::NotUnicode);
            continue;
        };
        match key.0.assign(config, &RawValue::Text(text.trim().to_owned())) {
            Ok(()) => {
                origins.insert(key.0.name, origin);
            }
            Err(error) => faults.push(origin, error),
        }
    }
}
