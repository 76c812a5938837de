//! How far a long task is, on standard error, for people at a terminal: after a second, and gone at
//! its end.

use crate::store::data::TaskProgress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal, Read};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// What is done sooner needs no bar.
const APPEARS_AFTER: Duration = Duration::from_secs(1);
const DRAWN_EVERY: Duration = Duration::from_millis(200);
const COUNTED: &str = "{msg} [{wide_bar}] {percent}% after {elapsed}";
const UNCOUNTED: &str = "{msg} {spinner} after {elapsed}";

/// A bar of a task, which ends when it is dropped.
pub(super) struct TaskBar {
    bar: ProgressBar,
    /// Waits for the moment at which the bar appears; dropped, it waits no longer.
    appears: Option<(Sender<()>, JoinHandle<()>)>,
}

impl TaskBar {
    /// Begins a task. Nothing is shown where standard error is no terminal.
    pub(super) fn begin(part: &'static str) -> TaskBar {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let mut shown = TaskBar { bar, appears: None };
        shown.set_part(part, 0);
        if io::stderr().is_terminal() {
            let (ends, ended) = channel();
            let bar = shown.bar.clone();
            let thread = std::thread::spawn(move || {
                if ended.recv_timeout(APPEARS_AFTER) == Err(RecvTimeoutError::Timeout) {
                    bar.set_draw_target(ProgressDrawTarget::stderr());
                    bar.enable_steady_tick(DRAWN_EVERY);
                }
            });
            shown.appears = Some((ends, thread));
        }
        shown
    }

    fn set_part(&self, part: &'static str, total: u64) {
        let form = if total > 0 { COUNTED } else { UNCOUNTED };
        if let Ok(style) = ProgressStyle::with_template(form) {
            self.bar.set_style(style);
        }
        self.bar.set_message(part);
        self.bar.set_length(total);
        self.bar.set_position(0);
    }

    /// Takes how far the task is.
    pub(super) fn tell(&self, progress: TaskProgress) {
        let TaskProgress { part, done, total } = progress;
        if self.bar.message() != part || self.bar.length() != Some(total) {
            self.set_part(part, total);
        }
        self.bar.set_position(done);
    }

    /// Counts what is read of so many bytes.
    pub(super) fn reading<R: Read>(&self, input: R, bytes: u64) -> impl Read + use<R> {
        self.set_part("reading", bytes);
        self.bar.wrap_read(input)
    }

    /// Prints something while the bar stands aside.
    pub(super) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }
}

impl Drop for TaskBar {
    fn drop(&mut self) {
        if let Some((ends, thread)) = self.appears.take() {
            drop(ends);
            // A bar that could not appear is missed by nobody.
            let _ = thread.join();
        }
        self.bar.finish_and_clear();
    }
}
