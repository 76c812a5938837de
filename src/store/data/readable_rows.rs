//! Reads what may be damaged, and skips what cannot be read.

use crate::store::rows::{each, is_damage};
use rusqlite::{Connection, Row, params_from_iter};

pub(super) type Sql<T> = rusqlite::Result<T>;

/// Hands each readable row to `found`, and `None` for each place that cannot be read. Behind such a
/// place it goes on, further away each time. The first column is a number by which the rows are
/// ordered, and the last parameter the smallest one.
pub(super) fn each_readable(
    db: &Connection,
    sql: &str,
    of: &[i64],
    mut found: impl FnMut(Option<&Row<'_>>) -> Sql<()>,
) -> Sql<()> {
    let (mut start, mut last, mut step) = (1i64, 0i64, 1i64);
    loop {
        let read = each(db, sql, params_from_iter(of.iter().chain([&start])), |row| {
            if let Ok(key) = row.get(0)
                && key > last
            {
                (last, step) = (key, 1);
            }
            found(Some(row))
        });
        if if_readable(read)?.is_some() {
            return Ok(());
        }
        found(None)?;
        // Nothing is beyond the largest number.
        let (Some(next), Some(further)) = (last.checked_add(step), step.checked_mul(2)) else {
            return Ok(());
        };
        (start, step) = (next, further);
    }
}

/// What was read; `None` if it is damaged.
pub(super) fn if_readable<T>(read: Sql<T>) -> Sql<Option<T>> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error) if is_damage(&error) => Ok(None),
        Err(error) => Err(error),
    }
}
