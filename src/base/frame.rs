//! Bytes that wait to be sent, for one connection or shared by many, and how they are counted.

use super::limits::{OUTBOXES_BEYOND_BYTES, OUTBOXES_BEYOND_SHARE};
use std::cell::{Cell, OnceCell};
use std::rc::Rc;

/// What a waiting frame counts beside its bytes, so that many tiny frames are not free.
pub const FRAME_OVERHEAD_BYTES: usize = 48;

/// Bytes ready for the wire.
#[derive(Clone, Debug)]
pub enum Frame {
    /// For this connection only.
    Own(Box<[u8]>),
    /// Encoded once for many connections.
    Shared(Rc<SharedBytes>),
}

/// Bytes that wait for many connections and are in memory once. The budget of all outboxes counts
/// them once; each outbox counts them towards its own limit.
#[derive(Debug)]
pub struct SharedBytes {
    bytes: Vec<u8>,
    /// The budget that counts them, set by the first outbox.
    budget: OnceCell<Rc<Budget>>,
}

impl Drop for SharedBytes {
    fn drop(&mut self) {
        if let Some(budget) = self.budget.get() {
            budget.count_out(self.bytes.len());
        }
    }
}

impl Frame {
    /// A frame for many connections. Clones share the bytes.
    #[must_use]
    pub fn shared(bytes: Vec<u8>) -> Frame {
        Frame::Shared(Rc::new(SharedBytes { bytes, budget: OnceCell::new() }))
    }

    /// The bytes.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Frame::Own(bytes) => bytes,
            Frame::Shared(shared) => &shared.bytes,
        }
    }

    /// Counts shared bytes once, in the first budget that meets them.
    pub(super) fn count_bytes_in(&self, budget: &Rc<Budget>) {
        if let Frame::Shared(shared) = self {
            shared.budget.get_or_init(|| {
                budget.count_in(shared.bytes.len());
                Rc::clone(budget)
            });
        }
    }

    /// This frame's part of the memory that its bytes take.
    pub(super) fn part(&self) -> usize {
        match self {
            Frame::Own(bytes) => bytes.len(),
            Frame::Shared(shared) => shared.bytes.len() / Rc::strong_count(shared),
        }
    }
}

/// The bytes that all outboxes hold together, and their limit.
#[derive(Debug)]
pub struct Budget {
    used: Cell<usize>,
    limit: Cell<usize>,
    /// Beyond this, see [`Budget::is_over`].
    most: Cell<usize>,
}

impl Budget {
    /// A budget of `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Rc<Budget> {
        let most = Cell::new(Budget::most(limit));
        Rc::new(Budget { used: Cell::new(0), limit: Cell::new(limit), most })
    }

    /// The limit in bytes.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit.get()
    }

    /// Changes the limit.
    pub fn set_limit(&self, limit: usize) {
        self.limit.set(limit);
        self.most.set(Budget::most(limit));
    }

    fn most(limit: usize) -> usize {
        let beyond = (limit / OUTBOXES_BEYOND_SHARE).max(OUTBOXES_BEYOND_BYTES);
        limit.saturating_add(beyond)
    }

    /// Bytes in use.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used.get()
    }

    /// Whether the limit is reached.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.used.get() >= self.limit.get()
    }

    /// Whether frames that are never refused exceed the limit so far that a connection must be
    /// closed.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.used.get() > self.most.get()
    }

    /// Whether there is room again for more than the next frame.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.used.get() <= self.limit.get() / 4 * 3
    }

    pub(crate) fn count_in(&self, bytes: usize) {
        self.used.set(self.used.get() + bytes);
    }

    pub(crate) fn count_out(&self, bytes: usize) {
        self.used.set(self.used.get() - bytes);
    }
}

/// What a frame counts: all of it towards its outbox's own limit, and what is not shared towards
/// the budget of all.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost {
    pub(super) waiting: usize,
    pub(super) shared: usize,
}

impl Cost {
    #[inline]
    pub(super) fn of(frame: &Frame) -> Cost {
        let len = frame.bytes().len();
        let shared = if matches!(frame, Frame::Shared(_)) { len } else { 0 };
        Cost { waiting: len + FRAME_OVERHEAD_BYTES, shared }
    }

    pub(super) fn add(&mut self, other: Cost) {
        self.waiting += other.waiting;
        self.shared += other.shared;
    }

    pub(super) fn subtract(&mut self, other: Cost) {
        self.waiting -= other.waiting;
        self.shared -= other.shared;
    }

    /// What counts towards the budget of all.
    pub(super) fn own(self) -> usize {
        self.waiting - self.shared
    }
}
