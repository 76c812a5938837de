//! Names of users, rooms and streams, checked once on entry.

use super::ConnId;
use arcstr::{ArcStr, literal};
use std::borrow::Borrow;
use std::fmt;

/// Longest user id, stream name and name of a room that is not direct, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Longest name of a direct room: `dm:`, two user ids and a `:`, in bytes.
pub const DM_BYTES_MAX: usize = 3 + NAME_BYTES_MAX + 1 + NAME_BYTES_MAX;
/// Prefixes of the server's own ids and of guests' ids.
const OF_SERVER: char = ':';
const GUEST_PREFIX: &str = ":guest-";
/// Prefix of the names of direct rooms.
pub const DM_PREFIX: &str = "dm:";

/// Why a name was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// It has no bytes.
    Empty,
    /// It has more than this number of bytes.
    TooLong(usize),
    /// It has a character outside its alphabet.
    Character,
    /// It consists only of dots, which a path would take for a directory.
    DotsAlone,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NameError::Empty => "is empty",
            NameError::TooLong(most) => return write!(f, "has more than {most} bytes"),
            NameError::Character => {
                "has a character outside of A-Z a-z 0-9 _ . @ - (rooms and streams: and :)"
            }
            NameError::DotsAlone => "consists of dots alone",
        })
    }
}

impl std::error::Error for NameError {}

/// A user's id: 1–64 of `A–Z a–z 0–9 _ . @ -`, not only dots. Ids are case-sensitive.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(ArcStr);

/// A room's name: as a user's id, and `:`. Names that begin with `dm:` belong to direct rooms and
/// may have 132 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomId(ArcStr);

/// A stream's name: as a user's id, and `:`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(ArcStr);

impl StreamId {
    /// Parses a stream's name.
    pub fn parse(text: &str) -> Result<StreamId, NameError> {
        check(text, NAME_BYTES_MAX, true)?;
        Ok(StreamId(text.into()))
    }
}

impl UserId {
    /// The embedding program, where it acts in no user's name.
    #[must_use]
    pub fn program() -> UserId {
        UserId(literal!(":program"))
    }

    /// The holder of the admin token, where no user is named.
    #[must_use]
    pub fn admin() -> UserId {
        UserId(literal!(":admin"))
    }

    /// The guest on a connection, or all guests without one.
    #[must_use]
    pub fn guest(conn: Option<ConnId>) -> UserId {
        UserId(conn.map_or(literal!(":guest"), |conn| format!("{GUEST_PREFIX}{conn}").into()))
    }

    /// Whether it is one of the server's own ids, which begin with `:`. No user's id does. Such ids
    /// take part in no direct conversation.
    #[must_use]
    pub fn is_of_server(&self) -> bool {
        self.0.starts_with(OF_SERVER)
    }

    /// The connection of a guest, if this is a guest's id.
    #[must_use]
    pub fn connection_of_guest(&self) -> Option<ConnId> {
        ConnId::parse(self.0.strip_prefix(GUEST_PREFIX)?)
    }

    /// As [`UserId::parse`], but also accepts the server's own ids.
    ///
    /// # Errors
    /// As of [`UserId::parse`].
    pub fn parse_any(text: &str) -> Result<UserId, NameError> {
        check(text.strip_prefix(OF_SERVER).unwrap_or(text), NAME_BYTES_MAX, false)?;
        Ok(UserId(text.into()))
    }

    /// Parses a user's id.
    pub fn parse(text: &str) -> Result<UserId, NameError> {
        check(text, NAME_BYTES_MAX, false)?;
        Ok(UserId(text.into()))
    }
}

impl RoomId {
    /// Parses a room's name.
    pub fn parse(text: &str) -> Result<RoomId, NameError> {
        let max = if text.starts_with(DM_PREFIX) { DM_BYTES_MAX } else { NAME_BYTES_MAX };
        check(text, max, true)?;
        Ok(RoomId(text.into()))
    }

    /// The direct room of two users, the same in either order.
    #[must_use]
    pub fn direct(one: &UserId, other: &UserId) -> RoomId {
        let (first, second) = if one <= other { (one, other) } else { (other, one) };
        RoomId(format!("{DM_PREFIX}{}:{}", first.as_str(), second.as_str()).into())
    }

    /// Whether this is a direct room.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        self.0.starts_with(DM_PREFIX)
    }
}

fn check(text: &str, bytes_max: usize, colon: bool) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > bytes_max {
        return Err(NameError::TooLong(bytes_max));
    }
    let allowed = |byte: u8| {
        byte.is_ascii_alphanumeric() || b"_.@-".contains(&byte) || (colon && byte == b':')
    };
    if !text.bytes().all(allowed) {
        return Err(NameError::Character);
    }
    if text.bytes().all(|byte| byte == b'.') {
        return Err(NameError::DotsAlone);
    }
    Ok(())
}

macro_rules! as_text {
    ($name:ident) => {
        impl $name {
            /// The name.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
as_text!(UserId);
as_text!(RoomId);
as_text!(StreamId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_id_has_its_alphabet_and_its_length() {
        for good in ["a", "Ada.Lovelace@example-1", "...a", &"x".repeat(64)] {
            assert_eq!(UserId::parse(good).unwrap().as_str(), good);
        }
        assert_eq!(UserId::parse(""), Err(NameError::Empty));
        assert_eq!(UserId::parse(&"x".repeat(65)), Err(NameError::TooLong(64)));
        assert_eq!(UserId::parse("a:b"), Err(NameError::Character));
        assert_eq!(UserId::parse("ä"), Err(NameError::Character));
        assert_eq!(UserId::parse(".."), Err(NameError::DotsAlone));
    }

    #[test]
    fn a_direct_room_is_the_same_from_both_sides_and_fits_its_length() {
        let long = UserId::parse(&"x".repeat(64)).unwrap();
        let ada = UserId::parse("ada").unwrap();
        let room = RoomId::direct(&long, &ada);
        assert_eq!(room, RoomId::direct(&ada, &long));
        assert_eq!(room.as_str(), format!("dm:ada:{long}"));
        assert!(room.is_direct());
        let longest = RoomId::direct(&long, &UserId::parse(&"y".repeat(64)).unwrap());
        assert_eq!(longest.as_str().len(), DM_BYTES_MAX);
        assert_eq!(RoomId::parse(longest.as_str()), Ok(longest));
    }

    #[test]
    fn a_room_name_may_have_colons() {
        assert!(RoomId::parse("team:red").is_ok());
        assert_eq!(RoomId::parse(&format!("x{}", ":".repeat(64))), Err(NameError::TooLong(64)));
    }
}
