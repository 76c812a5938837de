//! In whose name something is done, and by what right.

use super::{RoomState, UserId};

/// The rights of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// A user's own rights.
    User,
    /// An admin's rights.
    Admin,
    /// The embedding program's rights: those of an admin, and no person is named as the one who
    /// used them.
    Program,
}

/// Who has something written, and with what rights. A hub checks that when it decides; the store
/// checks it again within the transaction, because something else may be committed in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// The user.
    pub user: UserId,
    /// Their rights.
    pub rights: Rights,
}

impl Authority {
    /// Whether they have an admin's rights.
    #[must_use]
    pub const fn is_admin(&self) -> bool {
        matches!(self.rights, Rights::Admin | Rights::Program)
    }

    /// Whether they may manage a room: they own it, or are an admin.
    #[must_use]
    pub fn manages(&self, room: &RoomState) -> bool {
        self.is_admin() || room.owner.as_ref() == Some(&self.user)
    }

    /// The user who is named as the one who did it; `None` for the embedding program.
    #[must_use]
    pub fn named(&self) -> Option<&UserId> {
        (self.rights != Rights::Program).then_some(&self.user)
    }
}
