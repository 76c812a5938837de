//! The id of a connection: its reactor, its index in that one's table, and a generation.

use std::fmt;

/// Names one connection for the life of the process.
///
/// The index is used again after the connection has closed. The generation then differs, so a late
/// event or effect reaches nobody instead of another connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId {
    /// The reactor and the index.
    place: u32,
    generation: u32,
}

/// So many bits of a place are the index.
const INDEX_BITS: u32 = 26;

impl ConnId {
    /// The connection at `index` of the table, with this generation.
    #[must_use]
    pub const fn new(index: u32, generation: u32) -> ConnId {
        ConnId { place: index, generation }
    }

    /// As [`ConnId::new`], for the table of this reactor: the number is below 64, the index below 2²⁶.
    #[must_use]
    pub const fn of_reactor(reactor: u32, index: u32, generation: u32) -> ConnId {
        ConnId { place: reactor << INDEX_BITS | index, generation }
    }

    /// The number of the reactor that has it.
    #[must_use]
    pub const fn reactor(self) -> usize {
        (self.place >> INDEX_BITS) as usize
    }

    /// The index in the connection table.
    #[must_use]
    pub const fn index(self) -> usize {
        (self.place & ((1 << INDEX_BITS) - 1)) as usize
    }

    /// The generation at that index.
    #[must_use]
    pub const fn generation(self) -> u32 {
        self.generation
    }

    /// Parses text such as `7-1a2b3c`, as `Display` writes it.
    #[must_use]
    pub fn parse(text: &str) -> Option<ConnId> {
        let (place, generation) = text.split_once('-')?;
        let conn = ConnId {
            place: place.parse().ok()?,
            generation: u32::from_str_radix(generation, 16).ok()?,
        };
        // Only one text per id is valid.
        (conn.to_string() == text).then_some(conn)
    }

    /// Both in one number, for an event queue's token.
    #[must_use]
    pub const fn to_u64(self) -> u64 {
        (self.generation as u64) << 32 | self.place as u64
    }

    /// The inverse of [`ConnId::to_u64`].
    #[must_use]
    pub const fn from_u64(token: u64) -> ConnId {
        ConnId { place: token as u32, generation: (token >> 32) as u32 }
    }
}

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:x}", self.place, self.generation)
    }
}

impl fmt::Debug for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_names_its_connection_again() {
        for conn in [ConnId::new(0, 0), ConnId::new(7, 0x1a2b3c), ConnId::new(u32::MAX, u32::MAX)] {
            assert_eq!(ConnId::from_u64(conn.to_u64()), conn);
        }
        assert_eq!(ConnId::new(7, 0x1a2b3c).to_string(), "7-1a2b3c");
        let conn = ConnId::of_reactor(63, (1 << 26) - 1, 5);
        assert_eq!((conn.reactor(), conn.index(), conn.generation()), (63, (1 << 26) - 1, 5));
        assert_eq!(ConnId::of_reactor(0, 7, 1), ConnId::new(7, 1));
        assert_eq!(ConnId::parse(&conn.to_string()), Some(conn));
        assert_eq!(ConnId::parse("7-1a2b3c"), Some(ConnId::new(7, 0x1a2b3c)));
        for wrong in ["", "7", "7-", "-1", "07-1", "+7-1", "7-01", "7-A", "7-100000000", "7-1-1"] {
            assert_eq!(ConnId::parse(wrong), None, "{wrong}");
        }
    }
}
