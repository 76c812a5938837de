//! Checksums of rows: each row has one of all its other columns, in its column `sum`.

use super::rows::{damaged, not_negative};
use rusqlite::functions::FunctionFlags;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Result, Row};
use sha1::{Digest, Sha1};

/// Adds the function `row_sum(table, column, …)` to a connection's SQL: the first eight bytes of
/// the SHA-1 of its arguments, each with its type and length.
pub(super) fn add_row_sum(db: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    db.create_scalar_function("row_sum", -1, flags, |context| {
        let values = (0..context.len()).map(|index| context.get_raw(index));
        Ok(sum(values))
    })
}

/// The checksum of values.
pub(super) fn sum<'a>(values: impl Iterator<Item = ValueRef<'a>>) -> i64 {
    let mut sum = RowSum::new();
    values.for_each(|value| sum.add(value));
    sum.end()
}

/// The checksum of a text that is in no row.
pub(super) fn sum_of_text(text: &str) -> i64 {
    sum(std::iter::once(ValueRef::Text(text.as_bytes())))
}

/// Rows without a long text are shorter.
const HELD_BYTES: usize = 256;

/// A checksum, to which values are added one by one. They are held until there are enough for
/// several blocks of SHA-1, which takes them faster than one by one.
struct RowSum {
    sha: Sha1,
    held: [u8; HELD_BYTES],
    len: usize,
}

impl RowSum {
    fn new() -> RowSum {
        RowSum { sha: Sha1::new(), held: [0; HELD_BYTES], len: 0 }
    }

    fn add(&mut self, value: ValueRef<'_>) {
        let (kind, bytes): (u8, &[u8]) = match value {
            ValueRef::Null => (0, &[]),
            ValueRef::Integer(integer) => return self.add_number(1, integer.to_le_bytes()),
            ValueRef::Real(real) => return self.add_number(2, real.to_le_bytes()),
            ValueRef::Text(text) => (3, text),
            ValueRef::Blob(blob) => (4, blob),
        };
        let mut head = [kind; 9];
        head[1..].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.hold(&head);
        self.hold(bytes);
    }

    fn add_number(&mut self, kind: u8, number: [u8; 8]) {
        let mut whole = [kind; 17];
        whole[1..9].copy_from_slice(&8u64.to_le_bytes());
        whole[9..].copy_from_slice(&number);
        self.hold(&whole);
    }

    // With a length that is known where it is called this is a few moves.
    #[inline]
    fn hold(&mut self, bytes: &[u8]) {
        if self.len + bytes.len() > HELD_BYTES {
            self.sha.update(&self.held[..self.len]);
            self.len = 0;
        }
        match self.held.get_mut(self.len..self.len + bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            None => self.sha.update(bytes),
        }
    }

    fn end(mut self) -> i64 {
        self.sha.update(&self.held[..self.len]);
        let digest = self.sha.finalize();
        let first = digest.first_chunk::<8>().copied().unwrap_or_default();
        i64::from_le_bytes(first)
    }
}

/// Whether a row is what was written, as a query's `column` says by `row_sum`.
pub(super) fn check(row: &Row<'_>, column: usize, what: &str) -> Result<()> {
    if row.get::<_, Option<bool>>(column)? == Some(true) {
        return Ok(());
    }
    Err(damaged(format!("{what} is not what was written")))
}

/// All of a row's `N` columns but its checksum, in the table's order, each read once. For what is
/// read in large numbers this costs less than `row_sum` in SQL.
pub(super) struct WholeRow<'a, const N: usize>([ValueRef<'a>; N]);

impl<'a, const N: usize> WholeRow<'a, N> {
    /// Reads a row, which has its checksum as the last column, and compares it with that.
    #[inline]
    pub(super) fn read(row: &'a Row<'_>, table: &str, what: &str) -> Result<WholeRow<'a, N>> {
        let mut columns = [ValueRef::Null; N];
        for (index, column) in columns.iter_mut().enumerate() {
            *column = row.get_ref(index)?;
        }
        let mut found = RowSum::new();
        found.add(ValueRef::Text(table.as_bytes()));
        columns.iter().for_each(|column| found.add(*column));
        if row.get_ref(N)? != ValueRef::Integer(found.end()) {
            return Err(damaged(format!("{what} is not what was written")));
        }
        Ok(WholeRow(columns))
    }

    pub(super) fn integer(&self, column: usize) -> Result<i64> {
        Ok(self.0[column].as_i64()?)
    }

    pub(super) fn unsigned(&self, column: usize) -> Result<u64> {
        not_negative(self.integer(column)?)
    }

    pub(super) fn flag(&self, column: usize) -> Result<bool> {
        Ok(self.integer(column)? != 0)
    }

    pub(super) fn text(&self, column: usize) -> Result<&'a str> {
        Ok(self.0[column].as_str()?)
    }

    pub(super) fn text_or_null(&self, column: usize) -> Result<Option<&'a str>> {
        Ok(self.0[column].as_str_or_null()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One value after the other, with nothing held.
    fn slow_sum(values: &[ValueRef<'_>]) -> i64 {
        let mut sha = Sha1::new();
        for value in values {
            let number;
            let (kind, bytes): (u8, &[u8]) = match value {
                ValueRef::Null => (0, &[]),
                ValueRef::Integer(integer) => {
                    number = integer.to_le_bytes();
                    (1, &number)
                }
                ValueRef::Real(real) => {
                    number = real.to_le_bytes();
                    (2, &number)
                }
                ValueRef::Text(text) => (3, text),
                ValueRef::Blob(blob) => (4, blob),
            };
            sha.update([kind]);
            sha.update((bytes.len() as u64).to_le_bytes());
            sha.update(bytes);
        }
        i64::from_le_bytes(*sha.finalize().first_chunk().unwrap())
    }

    #[test]
    fn a_sum_is_of_each_value_with_its_type_and_length_wherever_a_block_ends() {
        let text = "x".repeat(3 * HELD_BYTES);
        for length in (0..=HELD_BYTES + 40).chain([2 * HELD_BYTES, 3 * HELD_BYTES]) {
            let values = [
                ValueRef::Text(b"rooms"),
                ValueRef::Integer(-length.cast_signed() as i64),
                ValueRef::Text(&text.as_bytes()[..length]),
                ValueRef::Null,
                ValueRef::Real(0.5),
                ValueRef::Blob(&text.as_bytes()[length / 2..length]),
                ValueRef::Integer(1),
            ];
            assert_eq!(sum(values.into_iter()), slow_sum(&values), "{length}");
        }
    }
}
