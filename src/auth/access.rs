//! Who may call a handler.

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
