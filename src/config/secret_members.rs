//! The two members that name a shared secret: `secret_file` and `secret_env`.

use super::fields::Wants;
use crate::auth::HookSecret;
use std::sync::Arc;

pub(super) const SECRET_FILE: Wants = Wants::Text("a file's name");
pub(super) const SECRET_ENV: Wants = Wants::Text("a name that does not begin with PARLOR_");

/// The secret's source in a table.
#[derive(Clone, Debug, Default)]
pub(super) struct SecretMembers {
    pub(super) file: Option<Arc<str>>,
    pub(super) variable: Option<Arc<str>>,
}

impl SecretMembers {
    /// The secret, if the table names one; or the wrong member and the reason.
    pub(super) fn secret(self) -> Result<Option<HookSecret>, (&'static str, &'static str)> {
        match (self.file, self.variable) {
            (Some(_), Some(_)) => {
                Err(("secret_env", "give a secret_file or a secret_env, not both"))
            }
            (Some(path), None) => Ok(Some(HookSecret::of_file(&*path))),
            (None, Some(name)) if name.starts_with("PARLOR_") => Err((
                "secret_env",
                "a variable that begins with PARLOR_ is a key: give secret_env another name",
            )),
            (None, Some(name)) => Ok(Some(HookSecret::of_variable(&*name))),
            (None, None) => Ok(None),
        }
    }
}

impl From<&HookSecret> for SecretMembers {
    fn from(secret: &HookSecret) -> SecretMembers {
        SecretMembers {
            file: secret.file().map(|path| path.to_string_lossy().into()),
            variable: secret.variable().map(Arc::from),
        }
    }
}
