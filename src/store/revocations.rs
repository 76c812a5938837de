//! The rows of revocations.

use super::rows::{count, damaged, find_row, parsed};
use super::sums::check;
use super::write::RecordWriter;
use crate::base::limits::{FORGOTTEN_AFTER_MS, FORGOTTEN_PER_REVOCATION};
use crate::base::{Outcome, Revocation, StoreChange, Timestamp, UserId, Written};
use rusqlite::{Connection, Result, Row};

/// The columns of a revocation that [`revocation`] reads.
macro_rules! revocation_columns {
    () => {
        "kind, key, before, sum = row_sum('revocations', kind, key, before)"
    };
}
pub(super) use revocation_columns;

/// All revocations, those of tokens first.
pub(super) const REVOCATIONS: &str =
    concat!("SELECT ", revocation_columns!(), " FROM revocations ORDER BY kind, key");

/// Reads the columns of `revocation_columns!`.
pub(super) fn revocation(row: &Row<'_>) -> Result<Revocation> {
    check(row, 3, "a revocation")?;
    let (key, before) = (row.get_ref(1)?.as_str()?, row.get(2)?);
    match row.get_ref(0)?.as_str()? {
        "token" if before >= 0 => {
            let until = (before > 0).then_some(Timestamp(before));
            Ok(Revocation::Token(key.into(), until))
        }
        "user" => Ok(Revocation::User(parsed(UserId::parse_any(key))?, Timestamp(before))),
        _ => Err(damaged("a revocation of neither a token nor a user".into())),
    }
}

/// The columns `kind`, `key` and `before`.
pub(super) fn columns(revocation: &Revocation) -> (&'static str, &str, i64) {
    match revocation {
        Revocation::Token(jti, until) => ("token", jti, until.map_or(0, |until| until.0)),
        Revocation::User(user, before) => ("user", user.as_str(), before.0),
    }
}

impl RecordWriter<'_> {
    pub(super) fn revoke(&self, revocation: &Revocation, once: bool) -> Result<Written> {
        let db = self.db;
        self.forget()?;
        let (kind, key, before) = columns(revocation);
        let sql = concat!(
            "SELECT ",
            revocation_columns!(),
            " FROM revocations WHERE kind = ?1 AND key = ?2"
        );
        let known = find_row(db, sql, (kind, key), self::revocation)?;
        match known {
            Some(_) if once => return Ok(Outcome::AlreadyRevoked.into()),
            // A longer revocation stays. For a token, 0 is for ever.
            Some(Revocation::Token(_, None)) => return Ok(Outcome::Done.into()),
            Some(known) if before != 0 && columns(&known).2 >= before => {
                return Ok(Outcome::Done.into());
            }
            Some(Revocation::User(_, known)) if known.0 >= before => {
                return Ok(Outcome::Done.into());
            }
            Some(_) => {}
            None => count(db, "revocations", 1)?,
        }
        put(db, revocation)?;
        Ok(Written::Changed(StoreChange::Revoked(revocation.clone())))
    }

    /// Removes revocations of tokens that expired long ago.
    fn forget(&self) -> Result<()> {
        let sql = "DELETE FROM revocations WHERE kind = 'token' AND key IN (SELECT key FROM \
             revocations WHERE kind = 'token' AND before > 0 AND before < ?1 \
             ORDER BY before, key LIMIT ?2)";
        let gone = self
            .db
            .prepare_cached(sql)?
            .execute((self.now.0.saturating_sub(FORGOTTEN_AFTER_MS), FORGOTTEN_PER_REVOCATION))?;
        if gone == 0 { Ok(()) } else { count(self.db, "revocations", -(gone as i64)) }
    }
}

/// A new row, by `kind`, `key` and `before`.
pub(super) const INSERT_REVOCATION: &str = "INSERT INTO revocations (kind, key, before, sum) \
     VALUES (?1, ?2, ?3, row_sum('revocations', ?1, ?2, ?3))";

/// Writes a row, new or not, without counting it.
pub(super) fn put(db: &Connection, revocation: &Revocation) -> Result<()> {
    let or_update = "ON CONFLICT (kind, key) DO UPDATE SET before = ?3, sum = excluded.sum";
    let sql = format!("{INSERT_REVOCATION} {or_update}");
    db.prepare_cached(&sql)?.execute(columns(revocation)).map(drop)
}
