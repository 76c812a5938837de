//! The program's log, whose filter and format can change while it runs.

use super::log_line;
use crate::base::date::rfc3339;
use crate::config::LogFormat;
use crate::reactor::Clock;
use env_logger::Logger;
use log::{Log, Metadata, Record};
use std::io::Write;
use std::sync::{Arc, PoisonError, RwLock};

/// The installed logger.
#[derive(Clone)]
pub(super) struct ProgramLog(Arc<RwLock<Logger>>);

impl ProgramLog {
    /// Installs the logger, on standard error, with a filter that has been checked (`log.level`).
    /// Call it once per process.
    pub(super) fn start(filter: &str, format: LogFormat) -> ProgramLog {
        let logger = logger(filter, format);
        let level = logger.filter();
        let log = ProgramLog(Arc::new(RwLock::new(logger)));
        // Fails only if a logger is already installed.
        if log::set_boxed_logger(Box::new(log.clone())).is_ok() {
            log::set_max_level(level);
        }
        log
    }

    /// Changes the filter and the format.
    pub(super) fn change(&self, filter: &str, format: LogFormat) {
        let logger = logger(filter, format);
        let level = logger.filter();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = logger;
        log::set_max_level(level);
    }
}

fn logger(filter: &str, format: LogFormat) -> Logger {
    let mut builder = env_logger::Builder::new();
    // It warns of what strangers send, as often as they like. Whoever wants that names it.
    builder.filter_module("rustls", log::LevelFilter::Off);
    builder.parse_filters(filter).format(move |out, record| {
        let ts = rfc3339(Clock::timestamp());
        let line = match format {
            LogFormat::Json => log_line::json(&ts, record),
            LogFormat::Text => {
                let style = out.default_level_style(record.level());
                let level = format!("{style}{:<5}{style:#}", record.level());
                log_line::text(&ts, &level, record)
            }
        };
        out.write_all(line.as_bytes())
    });
    builder.build()
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
