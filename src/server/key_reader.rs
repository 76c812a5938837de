//! Reading the keys again while the server runs: on the caller's thread, as it waits for the disk.
//! The reactor's thread is handed what came of it.

use super::auth::{KeyError, KeySources};
use super::handle::HandleError;
use super::shared::{Command, Shared};
use std::fmt;
use std::sync::Arc;

/// Reads a server's keys again, from any thread, and can do nothing else.
#[derive(Clone, Debug)]
pub struct KeyReader {
    sources: KeySources,
    shared: Arc<Shared>,
}

/// Why the keys were not replaced: the old ones stay.
#[derive(Debug)]
pub enum KeyReadError {
    /// What is wrong with which file.
    Keys(KeyError),
    /// The server has stopped, or too many calls wait for it.
    Server(HandleError),
}

impl KeyReader {
    pub(super) fn new(sources: KeySources, shared: Arc<Shared>) -> KeyReader {
        KeyReader { sources, shared }
    }

    /// Reads all key files again. From the reactor's next turn on tokens are judged by what they
    /// have now; who was let in stays. Returns what that is: algorithms and `kid`s.
    ///
    /// # Errors
    /// [`KeyReadError`]: nothing has changed.
    pub fn read(&self) -> Result<String, KeyReadError> {
        let keys = self.sources.read().map_err(KeyReadError::Keys)?;
        let shown = keys.to_string();
        // Open mode stays open mode, and nothing else becomes it: sources are not added or lost.
        debug_assert_eq!(keys.is_empty(), self.sources.is_empty());
        self.shared.call(Command::ReplaceKeys(keys)).map_err(KeyReadError::Server)?;
        Ok(shown)
    }
}

impl fmt::Display for KeyReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyReadError::Keys(error) => error.fmt(f),
            KeyReadError::Server(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for KeyReadError {}
