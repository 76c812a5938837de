//! What can be kept of the revocations of a damaged store.

use super::check::shown;
use super::salvage::Salvage;
use super::tolerant::{Sql, tolerated};
use crate::store::revocations::{REVOCATIONS, put, revocation, revocation_columns};
use crate::store::rows::{each, unsigned};
use std::collections::BTreeSet;

impl Salvage<'_> {
    /// Revocations whose rows are what was written. One that is lost lets a token in again, so they
    /// are read from both ends if there is a place that cannot be read.
    pub(super) fn revocations(&mut self) -> Sql<()> {
        let new = self.new;
        let (mut lost, mut is_whole) = (BTreeSet::new(), false);
        let backward = concat!(
            "SELECT ",
            revocation_columns!(),
            " FROM revocations ORDER BY kind DESC, key DESC"
        );
        for sql in [REVOCATIONS, backward] {
            let read = each(self.old, sql, (), |row| match tolerated(revocation(row))? {
                Some(revocation) => put(new, &revocation),
                None => {
                    lost.insert(format!("the revocation of {} {}", shown(row, 0), shown(row, 1)));
                    Ok(())
                }
            });
            is_whole = tolerated(read)?.is_some();
            if is_whole {
                break;
            }
        }
        let kept = new.query_row("SELECT count(*) FROM revocations", (), |row| unsigned(row, 0))?;
        let found = kept + lost.len() as u64;
        for what in lost {
            self.lost(None, format!("{what} is lost"));
        }
        self.are_all("revocations", found, is_whole);
        Ok(())
    }
}
