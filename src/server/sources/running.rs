//! What feeds a stream or a family of streams, as declared: what is asked, how often, and which
//! part of the answer is the data.

use super::deliveries::Deliveries;
use super::operate::LatePolls;
use super::placeholders::fill_placeholders;
use crate::backend::{Pick, PollFn, PollFrom, Task};
use crate::base::StreamId;
use crate::base::declaration::Declaration;
use crate::base::limits::LATE_POLLS;
use crate::base::pattern::Pattern;
use crate::base::tree::pointer;
use crate::config::Feed;
use std::fmt;
use std::sync::Arc;

/// Nothing can end a function, so it may take this long.
const FUNCTION_TIMEOUT_MS: u64 = 24 * 3_600 * 1_000;

/// What feeds a stream, or a family of them.
#[derive(Debug)]
pub(crate) struct RunningFeed {
    pub(super) pattern: Pattern,
    pub(super) declared: Option<Feed>,
    pub(super) function: Option<FunctionPoll>,
    /// The kind of its streams; if that changes, it begins anew.
    pub(super) kind: FeedKind,
    /// The largest data of the stream, in bytes.
    pub(super) max_bytes: usize,
    pub(crate) is_paused: bool,
    /// Its late streams, as of the last look.
    pub(super) late: LatePolls,
    /// Polls that failed, after all their retries.
    pub(super) failures: u64,
    /// How often the stream refused its data.
    pub(super) refused: u64,
    pub(super) last_error: Option<Box<str>>,
    /// The deliveries to its webhook.
    pub(super) deliveries: Deliveries,
}

/// What cannot change while a stream goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FeedKind {
    pub(super) is_binary: bool,
    is_durable: bool,
}

impl FeedKind {
    /// The kind by a stream's declaration, which a stream of the embedding program may lack.
    pub(super) fn of(declaration: Option<&Declaration>) -> FeedKind {
        declaration.map_or(FeedKind::default(), |declaration| FeedKind {
            is_binary: declaration.binary,
            is_durable: declaration.durable,
        })
    }
}

/// A function of the embedding program that is polled.
#[derive(Clone)]
pub(crate) struct FunctionPoll {
    pub(crate) every_ms: u64,
    pub(crate) run: Arc<PollFn>,
}

impl RunningFeed {
    pub(super) fn new(pattern: Pattern) -> RunningFeed {
        RunningFeed {
            pattern,
            declared: None,
            function: None,
            kind: FeedKind::default(),
            max_bytes: 0,
            is_paused: false,
            late: LatePolls::default(),
            failures: 0,
            refused: 0,
            last_error: None,
            deliveries: Deliveries::default(),
        }
    }

    pub(super) fn is_required(&self) -> bool {
        self.declared.as_ref().is_some_and(|feed| feed.is_required)
    }

    /// How often it is polled, in ms, if it is.
    pub(super) fn every_ms(&self) -> Option<u64> {
        let of_function = self.function.as_ref().map(|function| function.every_ms);
        of_function.or_else(|| Some(self.declared.as_ref()?.poll.as_ref()?.every_ms))
    }

    /// A stream is late after this many ms without a poll.
    pub(super) fn late_after_ms(&self) -> Option<u64> {
        let poll = self.declared.as_ref().and_then(|feed| feed.poll.as_ref());
        let timeout_ms = poll.map_or(0, |poll| poll.timeout_ms);
        Some(self.every_ms()?.saturating_mul(LATE_POLLS).saturating_add(timeout_ms))
    }

    /// What is asked for a stream, and the timeout in ms.
    pub(super) fn task(&self, stream: &StreamId) -> Option<(Task, u64)> {
        if let Some(function) = &self.function {
            let from = PollFrom::Function(Arc::clone(&function.run), stream.clone());
            return Some((Task::Poll { from, pick: Pick::Bytes }, FUNCTION_TIMEOUT_MS));
        }
        let poll = self.declared.as_ref()?.poll.as_ref()?;
        let from = fill_placeholders(&poll.target, &self.pattern, stream.as_str())?;
        let pick = pick_of(self.kind.is_binary, poll.pointer.as_deref());
        Some((Task::Poll { from, pick }, poll.timeout_ms))
    }
}

/// Which part of an answer is a stream's data.
pub(crate) fn pick_of(is_binary: bool, path: Option<&str>) -> Pick {
    if is_binary {
        return Pick::Bytes;
    }
    // The configuration has been checked, so the pointer is valid.
    Pick::Json(pointer(path.unwrap_or_default()).unwrap_or_default().into())
}

impl fmt::Debug for FunctionPoll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionPoll").field("every_ms", &self.every_ms).finish_non_exhaustive()
    }
}
