//! The store: SQLite on one worker thread, with group commit. Entries are numbered within the
//! transaction.
//!
//! The data are in a file that the `sqlite3` shell opens (`docs/store.md` describes it). The store
//! decides nothing: what may be written was decided before.

mod append;
mod commands;
pub mod data;
mod disk;
mod ends;
mod events;
mod hot;
mod integrity;
mod journal;
mod journal_end;
mod lock;
mod loss;
mod mark;
mod marks;
mod merge;
mod merge_thread;
mod messages;
mod open_files;
mod opening;
mod pages;
mod permits;
mod record_store;
mod repeats;
mod replay;
mod revocations;
mod rows;
mod schema;
mod seek;
mod snapshot;
#[allow(clippy::module_inception)]
mod store;
mod sums;
mod tail;
mod thread;
mod undo;
mod wal;
mod worker;
mod write;

pub use ends::Waker;
pub use events::EventsWanted;
pub use lock::LockError;
pub use open_files::Space;
pub use record_store::RecordStore;
pub use store::{NotTaken, OpenError, Place, Store};

#[cfg(test)]
mod plans;
