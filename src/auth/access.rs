//! Who may call a handler.

/// Who may call a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody, also before `auth`.
    Public,
    /// Whoever has said who they are.
    User,
    /// Admins.
    Admin,
}
