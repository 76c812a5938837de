//! Names of users, rooms and streams, checked once where they come in.

use super::ConnId;
use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// Longest user id, longest name of a stream and of a room that is no direct message, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Longest name of a direct message's room: `dm:`, two user ids and a `:`, in bytes.
pub const DM_BYTES_MAX: usize = 3 + NAME_BYTES_MAX + 1 + NAME_BYTES_MAX;
/// How the server's own ids begin, and those of guests.
const OF_SERVER: char = ':';
const GUEST_PREFIX: &str = ":guest-";
/// How the names of direct messages' rooms begin.
pub const DM_PREFIX: &str = "dm:";

/// Why a name was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// It has no bytes.
    Empty,
    /// It has more bytes than its kind may have, which is said.
    TooLong(usize),
    /// It has a character outside of its alphabet.
    Character,
    /// It consists of dots alone, which a path would take for a folder.
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

/// A user's id: 1–64 of `A–Z a–z 0–9 _ . @ -`, not of dots alone. Ids differ by case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(Arc<str>);

/// A room's name: as a user's id, and `:`. Those that begin with `dm:` belong to direct messages
/// and may have 132 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomId(Arc<str>);

/// A stream's name: as a user's id, and `:`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(Arc<str>);

impl StreamId {
    /// Checks `text` and makes it a stream's name.
    pub fn parse(text: &str) -> Result<StreamId, NameError> {
        check(text, NAME_BYTES_MAX, true)?;
        Ok(StreamId(text.into()))
    }

    /// The stream's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl UserId {
    /// Whoever stands for the embedding program where it asks in nobody's name.
    #[must_use]
    pub fn program() -> UserId {
        UserId(":program".into())
    }

    /// Whoever has the admin token and names nobody.
    #[must_use]
    pub fn admin() -> UserId {
        UserId(":admin".into())
    }

    /// The guest on a connection, or all who are on none.
    #[must_use]
    pub fn guest(conn: Option<ConnId>) -> UserId {
        UserId(conn.map_or(":guest".into(), |conn| format!("{GUEST_PREFIX}{conn}").into()))
    }

    /// Whether it is one of the server's own, which begin with `:`, as no user's does: it is in no direct conversation.
    #[must_use]
    pub fn is_of_server(&self) -> bool {
        self.0.starts_with(OF_SERVER)
    }

    /// The connection of a guest, if it is one's.
    #[must_use]
    pub fn connection_of_guest(&self) -> Option<ConnId> {
        ConnId::parse(self.0.strip_prefix(GUEST_PREFIX)?)
    }

    /// As [`UserId::parse`], for what may be one of the server's own, too.
    ///
    /// # Errors
    /// As of [`UserId::parse`].
    pub fn parse_any(text: &str) -> Result<UserId, NameError> {
        check(text.strip_prefix(OF_SERVER).unwrap_or(text), NAME_BYTES_MAX, false)?;
        Ok(UserId(text.into()))
    }

    /// Checks `text` and makes it an id.
    pub fn parse(text: &str) -> Result<UserId, NameError> {
        check(text, NAME_BYTES_MAX, false)?;
        Ok(UserId(text.into()))
    }

    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl RoomId {
    /// Checks `text` and makes it a room's name.
    pub fn parse(text: &str) -> Result<RoomId, NameError> {
        let max = if text.starts_with(DM_PREFIX) { DM_BYTES_MAX } else { NAME_BYTES_MAX };
        check(text, max, true)?;
        Ok(RoomId(text.into()))
    }

    /// The room of the direct messages between two users: the same whoever writes first.
    #[must_use]
    pub fn direct(one: &UserId, other: &UserId) -> RoomId {
        let (first, second) = if one <= other { (one, other) } else { (other, one) };
        RoomId(format!("{DM_PREFIX}{}:{}", first.as_str(), second.as_str()).into())
    }

    /// Whether this is a direct message's room.
    #[must_use]
    pub fn is_direct(&self) -> bool {
        self.0.starts_with(DM_PREFIX)
    }

    /// The room's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
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
