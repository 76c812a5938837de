//! Lines for the program's log: of the client on whose thread, or in a call about which, something is logged.

use crate::abi::{
    PARLOR_LOG_DEBUG, PARLOR_LOG_ERROR, PARLOR_LOG_INFO, PARLOR_LOG_TRACE, PARLOR_LOG_WARN,
    parlor_log_fn, parlor_str,
};
use crate::user_data::UserData;
use log::kv::{self, Key, Value, VisitSource};
use log::{Level, LevelFilter, Log, Metadata, Record};
use std::cell::RefCell;
use std::fmt::Write;
use std::mem::ManuallyDrop;
use std::sync::{Arc, Once, PoisonError, RwLock};

/// Where lines of a client go.
pub(crate) struct LogSink {
    pub(crate) on_log: parlor_log_fn,
    pub(crate) level: i32,
    pub(crate) user: Arc<UserData>,
}

thread_local! {
    /// That of whatever this thread does now. It has nothing to drop, and so is there as long as the thread is: a program
    /// may free its client where it is destroyed itself.
    static SINK: RefCell<ManuallyDrop<Option<Arc<LogSink>>>> =
        const { RefCell::new(ManuallyDrop::new(None)) };
}

#[cfg(feature = "client")]
thread_local! {
    /// That of a client's thread, until it ends.
    static OF_THREAD: RefCell<Option<Logging>> = const { RefCell::new(None) };
}

/// Writes members behind a line, as `name=value`.
struct Members<'a>(&'a mut String);

impl<'kvs> VisitSource<'kvs> for Members<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        write!(self.0, " {key}={value}").map_err(kv::Error::from)
    }
}

struct SinkLogger;

static LOGGER: SinkLogger = SinkLogger;

fn number(level: Level) -> i32 {
    match level {
        Level::Error => PARLOR_LOG_ERROR,
        Level::Warn => PARLOR_LOG_WARN,
        Level::Info => PARLOR_LOG_INFO,
        Level::Debug => PARLOR_LOG_DEBUG,
        Level::Trace => PARLOR_LOG_TRACE,
    }
}

/// Where lines of all other threads go: a server has several. Of several servers that of the last has them.
static OF_ALL: RwLock<Vec<Arc<LogSink>>> = RwLock::new(Vec::new());

/// What other threads log goes there from now on.
#[cfg(feature = "server")]
pub(crate) fn of_all(sink: Arc<LogSink>) {
    OF_ALL.write().unwrap_or_else(PoisonError::into_inner).push(sink);
}

/// It goes to whom this belongs no more.
#[cfg(feature = "server")]
pub(crate) fn not_to(user: &Arc<UserData>) {
    let mut places = OF_ALL.write().unwrap_or_else(PoisonError::into_inner);
    let at = places.iter().position(|sink| Arc::ptr_eq(&sink.user, user));
    let before = at.map(|at| places.remove(at));
    if places.is_empty() {
        // Nothing is left of the library then.
        *places = Vec::new();
    }
    // It may be the last that has the program's data, which then calls the program.
    drop(places);
    drop(before);
}

fn sink(level: Level) -> Option<Arc<LogSink>> {
    let sink = SINK.with(|sink| Option::clone(&sink.borrow()));
    let last = || OF_ALL.read().unwrap_or_else(PoisonError::into_inner).last().cloned();
    let sink = sink.or_else(last);
    sink.filter(|sink| number(level) <= sink.level)
}

impl Log for SinkLogger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        sink(metadata.level()).is_some()
    }

    fn log(&self, record: &Record<'_>) {
        if let Some(sink) = sink(record.level()) {
            let mut line = record.args().to_string();
            // Of which room, connection and so on.
            let _ = record.key_values().visit(&mut Members(&mut line));
            #[cfg(feature = "server")]
            let _within = crate::server::Within::enter();
            // SAFETY: the program says that this may be called so, and its own data is there as long as the sink is.
            unsafe {
                (sink.on_log)(
                    sink.user.pointer,
                    number(record.level()),
                    parlor_str::of(line.as_bytes()),
                );
            }
        }
    }

    fn flush(&self) {}
}

/// From now on, once and for good: what is logged goes to programs that want it, and so does what a panic says.
pub(crate) fn begin() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        // Nobody else has this copy of the library's.
        if log::set_logger(&LOGGER).is_ok() {
            log::set_max_level(LevelFilter::Trace);
        }
        std::panic::set_hook(Box::new(|panic| log::error!("{panic}")));
    });
}

/// What this thread logs goes there, until this is dropped.
#[cfg(feature = "client")]
pub(crate) struct Logging(Option<Arc<LogSink>>);

#[cfg(feature = "client")]
impl Logging {
    pub(crate) fn to(sink: Option<Arc<LogSink>>) -> Logging {
        Logging(ManuallyDrop::into_inner(SINK.with(|place| place.replace(ManuallyDrop::new(sink)))))
    }
}

#[cfg(feature = "client")]
impl Drop for Logging {
    fn drop(&mut self) {
        let before = ManuallyDrop::new(self.0.take());
        drop(ManuallyDrop::into_inner(SINK.with(|place| place.replace(before))));
    }
}

/// What this thread logs goes there until it ends: it is a client's.
#[cfg(feature = "client")]
pub(crate) fn of_thread(sink: Option<Arc<LogSink>>) {
    OF_THREAD.with(|place| place.replace(Some(Logging::to(sink))));
}
