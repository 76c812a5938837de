//! Keeps what is sound of a damaged store.
//!
//! A new file is made from what can be read and is undamaged: of each room's log the longest piece
//! without a hole. If members or messages show what the log has lost, that is added at its end
//! again: somebody came or went, a text was changed or deleted.

use super::derived::derive;
use super::files::{NewStore, Restored};
use super::salvage::{Salvage, salvage_file};
use super::{DataError, NotWhole, Result, database_of, failed, fault_of_files, refuse_mixture};
use crate::store::integrity::FILE_NAME;
use crate::store::loss::{BrokenRule, StoreTraces};
use crate::store::rows;
use crate::store::tail::{FoundTail, HeldTail};
use std::path::Path;

/// Makes a sound store, with a new epoch, of what is sound in the one in `directory`. Hands to
/// `lost` what is gone.
///
/// # Errors
/// [`DataError`]; then nothing is changed.
pub fn repair(directory: &Path, epoch: &str, lost: &mut dyn FnMut(BrokenRule)) -> Result<Restored> {
    let file = database_of(&directory.join(FILE_NAME))?;
    let mut new = NewStore::begin_in(directory)?;
    match fault_of_files(&file)? {
        // What is before the cut may be sound.
        None | Some(NotWhole::Cut(_)) => {}
        Some(fault @ (NotWhole::NotItsLog(_) | NotWhole::OlderLog(_) | NotWhole::OlderFile(_))) => {
            return Err(DataError::Damaged(file, fault.to_string()));
        }
        Some(fault @ (NotWhole::Gone(_) | NotWhole::Empty(_))) => {
            return Err(DataError::Damaged(file, format!("{fault}; nothing can be kept")));
        }
    }
    let damaged = |error: rusqlite::Error| {
        // SQLite does not understand a statement if the schema is damaged.
        if rows::is_damage(&error) || matches!(error, rusqlite::Error::SqlInputError { .. }) {
            let what = format!("{}, and nothing can be kept", rows::what(&error));
            DataError::Damaged(file.clone(), what)
        } else {
            DataError::Database(error)
        }
    };
    let seen = StoreTraces::read(&file).map_err(failed(&file))?;
    let old = salvage_file(&file).map_err(damaged)?;
    match refuse_mixture(&seen, &old, &file) {
        // The data are too damaged to tell.
        Err(DataError::Database(error)) if rows::is_damage(&error) => {}
        other => other?,
    }
    let held = HeldTail::take(&file).map_err(failed(&file))?;
    let tail = match held.read(&old) {
        // What follows a lost commit may go on where its room ends.
        Ok(tail) => FoundTail { keeps_all: true, ..tail },
        Err(error) if rows::is_damage(&error) => {
            let what = format!("the tail of the journal: {}", rows::what(&error));
            lost(BrokenRule { room: None, what });
            FoundTail::default()
        }
        Err(error) => return Err(DataError::Database(error)),
    };
    if tail.is_missing {
        lost(BrokenRule { room: None, what: "the tail of the journal is not there".into() });
    }
    new.fill(|db| {
        db.execute("UPDATE meta SET value = ?1 WHERE key = 'epoch'", [epoch])?;
        Salvage { old: &old, tail: &tail, new: db, lost }.all(epoch).map_err(damaged)?;
        Ok(derive(db)?)
    })?;
    drop(old);
    new.finish(&mut |_| {})
}
