//! The program's log, whose filter and format can change while it runs.

use super::log_line;
use crate::base::date::rfc3339;
use crate::config::LogFormat;
use crate::reactor::Clock;
use env_logger::Logger;
use log::{Log, Metadata, Record};
use std::io::Write;
use std::sync::{Arc, PoisonError, RwLock};
use systemd_journal_logger::{JournalLog, connected_to_journal};

/// The installed logger.
#[derive(Clone)]
pub(super) struct ProgramLog(Arc<RwLock<LogSink>>);

/// Where lines go.
struct LogSink {
    /// The filter, and standard error.
    logger: Logger,
    /// The journal of systemd, if standard error leads there and lines are for people: it gets each
    /// field by its name (`systemd.journal-fields(7)`).
    journal: Option<JournalLog>,
}

impl ProgramLog {
    /// Installs the logger, on standard error, with a filter that has been checked (`log.level`).
    /// Call it once per process.
    pub(super) fn start(filter: &str, format: LogFormat) -> ProgramLog {
        let sink = LogSink::new(filter, format);
        let level = sink.logger.filter();
        let log = ProgramLog(Arc::new(RwLock::new(sink)));
        // Fails only if a logger is already installed.
        if log::set_boxed_logger(Box::new(log.clone())).is_ok() {
            log::set_max_level(level);
        }
        log
    }

    /// Changes the filter and the format.
    pub(super) fn change(&self, filter: &str, format: LogFormat) {
        let sink = LogSink::new(filter, format);
        let level = sink.logger.filter();
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = sink;
        log::set_max_level(level);
    }
}

impl LogSink {
    fn new(filter: &str, format: LogFormat) -> LogSink {
        let is_for_journal = format == LogFormat::Text && connected_to_journal();
        let journal = is_for_journal.then(JournalLog::new).and_then(Result::ok);
        LogSink { logger: logger(filter, format), journal }
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
        self.0.read().unwrap_or_else(PoisonError::into_inner).logger.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        let sink = self.0.read().unwrap_or_else(PoisonError::into_inner);
        match &sink.journal {
            // What it does not take is not lost.
            Some(journal) if sink.logger.matches(record) => {
                if journal.journal_send(record).is_err() {
                    sink.logger.log(record);
                }
            }
            Some(_) => {}
            None => sink.logger.log(record),
        }
    }

    fn flush(&self) {
        self.0.read().unwrap_or_else(PoisonError::into_inner).logger.flush();
    }
}
