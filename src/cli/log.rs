//! The program's log, whose filter can be exchanged while it runs.

use env_logger::Logger;
use log::{Log, Metadata, Record};
use std::sync::{Arc, PoisonError, RwLock};

/// The log that was started.
#[derive(Clone)]
pub(super) struct ProgramLog(Arc<RwLock<Logger>>);

impl ProgramLog {
    /// Starts it, on standard error, with a filter that has been checked (`log.level`). Once in a
    /// process.
    pub(super) fn start(filter: &str) -> ProgramLog {
        let logger = logger(filter);
        let level = logger.filter();
        let log = ProgramLog(Arc::new(RwLock::new(logger)));
        // Fails only if there is one already.
        if log::set_boxed_logger(Box::new(log.clone())).is_ok() {
            log::set_max_level(level);
        }
        log
    }

    /// Goes by another filter from now on.
    pub(super) fn refilter(&self, filter: &str) {
        let logger = logger(filter);
        let level = logger.filter();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = logger;
        log::set_max_level(level);
    }
}

fn logger(filter: &str) -> Logger {
    env_logger::Builder::new().parse_filters(filter).format_timestamp_millis().build()
}

impl Log for ProgramLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        self.0.read().unwrap_or_else(PoisonError::into_inner).log(record);
    }

    fn flush(&self) {
        self.0.read().unwrap_or_else(PoisonError::into_inner).flush();
    }
}
