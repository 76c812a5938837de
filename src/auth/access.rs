//! Who may call a handler.

use super::authenticate::Denied;

/// Who may call a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody, even before `auth`.
    Public,
    /// Signed-in users.
    User,
    /// Admins.
    Admin,
}

impl Access {
    /// Whether somebody may who has said who they are, or is an admin, or neither.
    pub(crate) fn judge(self, is_user: bool, is_admin: bool) -> Result<(), Denied> {
        match self {
            Access::Public => Ok(()),
            Access::User | Access::Admin if !is_user => Err(Denied::Unauthorized),
            Access::Admin if !is_admin => Err(Denied::Forbidden),
            Access::User | Access::Admin => Ok(()),
        }
    }
}
