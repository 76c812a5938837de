//! The outbox: frames that wait to be sent on one connection, own or shared, in order.
//!
//! While a connection's input is handled, its outbox holds the loop's only send buffer, and answers
//! are written there one after the other. They need no memory of their own, and one call sends them
//! all.
//!
//! A frame keeps its class and source while it waits, so that it can be refused, replaced or taken
//! back. Only a frame whose first byte has left must be finished. The outbox knows neither sockets
//! nor WebSocket: the reactor takes bytes from the front, and everyone else pushes at the back.

use super::Buffer;
use super::class::Class;
use super::frame::{Budget, Cost, FRAME_OVERHEAD_BYTES, Frame};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::rc::Rc;

/// The most frames that an event of a higher priority may overtake, which bounds the cost.
const OVERTAKEN_FRAMES_MAX: usize = 256;

/// The source of frames that belong to no room and no stream.
pub const NO_SOURCE: u32 = u32::MAX;

/// The outbox had no room for a frame of this class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutboxFull;

#[derive(Debug)]
struct Item {
    frame: Frame,
    class: Class,
    source: u32,
}

/// The storage of waiting frames. An outbox owns one only while something waits.
///
/// Invariants: `front_sent` is less than the length of the first frame, or 0 if there is none. At
/// most one frame of [`Class::Pong`] has not begun to leave.
#[derive(Debug, Default)]
pub struct Storage {
    items: VecDeque<Item>,
    /// What they count together.
    cost: Cost,
    front_sent: usize,
    /// How many frames have ever left the front. A frame's index in the queue is its number less
    /// this.
    popped: u64,
    /// The number of the waiting pong, so that a flood of pings does not search the queue.
    pong: Option<u64>,
    /// A buffer that was lent before anything was queued.
    lent: Option<Box<Buffer>>,
}

/// The queue. A fan-out gives each of many connections one frame, which needs no storage.
#[derive(Debug, Default)]
enum Queue {
    #[default]
    Empty,
    /// Nothing is queued, and the connection's input is being handled.
    Lent(Box<Buffer>),
    /// One frame, none of whose bytes has left.
    One(Item),
    Many(Box<Storage>),
}

/// The queue of one connection. A lent buffer goes before the queue, and its bytes are not counted.
#[derive(Debug)]
pub struct Outbox {
    queue: Queue,
    budget: Rc<Budget>,
    limit: u32,
}

impl Outbox {
    /// An empty outbox that is full at `limit` bytes, or when `budget` is spent.
    #[must_use]
    pub fn new(limit: u32, budget: Rc<Budget>) -> Outbox {
        Outbox { queue: Queue::Empty, budget, limit }
    }

    /// An outbox with its own limit and no shared budget.
    #[must_use]
    pub fn alone(limit: u32) -> Outbox {
        Outbox::new(limit, Budget::new(usize::MAX))
    }

    /// Queues a frame. `source` is the room or stream that it is about (see [`Outbox::take_back`]),
    /// or [`NO_SOURCE`].
    ///
    /// # Errors
    /// [`OutboxFull`] if there is no room for this class; nothing was queued. Frames of the classes
    /// `Control`, `Pong` and `Reply` are always taken.
    pub fn push(&mut self, frame: Frame, class: Class, source: u32) -> Result<(), OutboxFull> {
        let bytes = frame.bytes().len();
        if bytes == 0 {
            return Ok(());
        }
        let cost = Cost::of(&frame);
        let limit = self.limit as usize;
        let share = match class {
            Class::Control | Class::Reply => None,
            Class::Pong => {
                frame.count_bytes_in(&self.budget);
                let storage = self.storage();
                if let Some(waiting) = storage.waiting_pong() {
                    let old = Cost::of(waiting);
                    *waiting = frame;
                    storage.cost.subtract(old);
                    storage.cost.add(cost);
                    self.budget.count_out(old.own());
                    self.budget.count_in(cost.own());
                    return Ok(());
                }
                storage.pong = Some(storage.popped + storage.items.len() as u64);
                None
            }
            Class::Durable => Some(limit),
            Class::Stream(priority) => Some(priority.share(limit)),
            Class::Ephemeral => Some(limit / 2),
        };
        // If nothing else waits, a frame passes. Otherwise one larger than its share, such as an
        // image, never would, and fast readers would pay for slow ones.
        let passes = self.is_queue_empty() && class != Class::Ephemeral;
        if let Some(share) = share
            && !passes
            && (self.cost().waiting + cost.waiting > share || self.budget.is_spent())
        {
            return Err(OutboxFull);
        }
        frame.count_bytes_in(&self.budget);
        self.budget.count_in(cost.own());
        let item = Item { frame, class, source };
        if matches!(self.queue, Queue::Empty) {
            self.queue = Queue::One(item);
        } else {
            self.storage().add(item);
        }
        Ok(())
    }

    /// Queues a frame for this connection only, of a class that is never refused. `write` appends
    /// its `len` bytes to the given vector.
    #[inline]
    pub fn push_own(&mut self, len: usize, class: Class, write: impl FnOnce(&mut Vec<u8>)) {
        debug_assert!(matches!(class, Class::Control | Class::Pong | Class::Reply));
        let lent = match &mut self.queue {
            Queue::Lent(lent) => Some(lent),
            Queue::Many(storage) if storage.items.is_empty() => storage.lent.as_mut(),
            Queue::Many(_) | Queue::Empty | Queue::One(_) => None,
        };
        if let Some(lent) = lent.filter(|lent| lent.room() >= len) {
            write(lent.vec());
            return;
        }
        self.queue_own(len, class, write);
    }

    fn queue_own(&mut self, len: usize, class: Class, write: impl FnOnce(&mut Vec<u8>)) {
        // Exactly the final length, so that no byte is moved when it becomes a frame.
        let mut bytes = Vec::with_capacity(len);
        write(&mut bytes);
        // These classes are never refused.
        let _ = self.push(Frame::Own(bytes.into()), class, NO_SOURCE);
    }

    /// Lends a buffer for the next answers if nothing waits. Its capacity is the bound. Its content
    /// belongs to others: this connection's bytes begin at the mark.
    #[inline]
    pub fn lend_buffer(&mut self, buffer: &mut Option<Box<Buffer>>) {
        if !self.is_queue_empty() || self.lent().is_some() {
            return;
        }
        let Some(mut lent) = buffer.take() else { return };
        lent.mark();
        match &mut self.queue {
            Queue::Many(storage) => storage.lent = Some(lent),
            Queue::Empty | Queue::Lent(_) | Queue::One(_) => self.queue = Queue::Lent(lent),
        }
    }

    /// Takes the lent buffer back, with the answers in it. They must be sent before the queue, or
    /// be put back.
    pub fn take_buffer(&mut self) -> Option<Box<Buffer>> {
        match &mut self.queue {
            Queue::Lent(_) => match std::mem::take(&mut self.queue) {
                Queue::Lent(lent) => Some(lent),
                Queue::Empty | Queue::One(_) | Queue::Many(_) => None,
            },
            Queue::Many(storage) => storage.lent.take(),
            Queue::Empty | Queue::One(_) => None,
        }
    }

    /// Queues the unsent part of a lent buffer before everything else. It may begin with the rest
    /// of a frame, so it is never taken back.
    pub fn put_back(&mut self, unsent: &[u8]) {
        if unsent.is_empty() {
            return;
        }
        let frame = Frame::Own(unsent.into());
        let cost = Cost::of(&frame);
        self.budget.count_in(cost.own());
        let item = Item { frame, class: Class::Reply, source: NO_SOURCE };
        if matches!(self.queue, Queue::Empty) {
            self.queue = Queue::One(item);
            return;
        }
        let storage = self.storage();
        storage.cost.add(cost);
        storage.items.push_front(item);
        storage.pong = storage.pong.map(|number| number + 1);
    }

    /// Whether nothing is queued, regardless of a lent buffer.
    #[inline]
    #[must_use]
    pub fn is_queue_empty(&self) -> bool {
        match &self.queue {
            Queue::Empty | Queue::Lent(_) => true,
            Queue::One(_) => false,
            Queue::Many(storage) => storage.items.is_empty(),
        }
    }

    /// What waits counts, without a lent buffer.
    #[inline]
    fn cost(&self) -> Cost {
        match &self.queue {
            Queue::Empty | Queue::Lent(_) => Cost::default(),
            Queue::One(item) => Cost::of(&item.frame),
            Queue::Many(storage) => storage.cost,
        }
    }

    /// Whether so much waits that nothing more should be read from this connection.
    #[inline]
    #[must_use]
    pub fn is_full(&self) -> bool {
        let waiting = self.cost().waiting;
        waiting >= self.limit as usize || (waiting > 0 && self.budget.is_spent())
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.is_queue_empty() && self.lent().is_none_or(|lent| lent.marked().is_empty())
    }

    /// Bytes that wait, including each frame's overhead.
    #[inline]
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.cost().waiting + self.lent().map_or(0, |lent| lent.marked().len())
    }

    /// The memory that waiting frames take, in bytes; of shared frames, their part.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let held = |item: &Item| item.frame.part() + FRAME_OVERHEAD_BYTES;
        match &self.queue {
            Queue::Empty | Queue::Lent(_) => 0,
            Queue::One(item) => held(item),
            Queue::Many(storage) => storage.items.iter().map(held).sum(),
        }
    }

    /// The waiting bytes, in order: one piece per frame, the first without what has already left.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        let (one, storage) = match &self.queue {
            Queue::Empty | Queue::Lent(_) => (None, None),
            Queue::One(item) => (Some(item), None),
            Queue::Many(storage) => (None, Some(storage)),
        };
        let mut skip = storage.map_or(0, |storage| storage.front_sent);
        let lent = self.lent().into_iter().map(Buffer::marked).filter(|bytes| !bytes.is_empty());
        let queued = one
            .into_iter()
            .chain(storage.into_iter().flat_map(|storage| &storage.items))
            .map(move |item| {
                let piece = &item.frame.bytes()[skip..];
                skip = 0;
                piece
            });
        lent.chain(queued)
    }

    /// Removes `sent` bytes, which have left, from the queue.
    ///
    /// # Panics
    /// If that is more than waits.
    pub fn advance(&mut self, sent: usize) {
        debug_assert!(self.lent().is_none_or(|lent| lent.marked().is_empty()));
        // Usually all of it.
        let is_all = match &self.queue {
            Queue::Empty | Queue::Lent(_) => sent == 0,
            Queue::One(item) => item.frame.bytes().len() == sent,
            Queue::Many(storage) => {
                let overheads = storage.items.len() * FRAME_OVERHEAD_BYTES;
                storage.front_sent + sent + overheads == storage.cost.waiting
            }
        };
        if is_all {
            self.clear();
            return;
        }
        if sent > 0 {
            let freed = self.storage().advance(sent);
            self.budget.count_out(freed.own());
        }
    }

    /// Writes what waits, for a connection that no reactor serves. What `to` does not take still
    /// waits and may be tried again.
    ///
    /// # Errors
    /// As [`Write::write`]; [`ErrorKind::WriteZero`] if it takes nothing.
    pub fn write_to(&mut self, to: &mut impl Write) -> io::Result<()> {
        loop {
            let Some(written) = self.pieces().next().map(|piece| to.write(piece)) else {
                return Ok(());
            };
            match written {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(sent) => self.advance(sent),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes back all frames from `source`, except one that has begun to leave.
    pub fn take_back(&mut self, source: u32) {
        self.retain(|item| item.source != source);
    }

    /// Takes back all frames with a source, except one that has begun to leave.
    pub fn take_back_all(&mut self) {
        self.retain(|item| item.source == NO_SOURCE);
    }

    /// Drops everything, even a frame that has begun to leave.
    pub fn clear(&mut self) {
        self.budget.count_out(self.cost().own());
        match &mut self.queue {
            Queue::Lent(lent) => lent.clear_marked(),
            Queue::Many(storage) => storage.clear(),
            Queue::Empty | Queue::One(_) => self.queue = Queue::Empty,
        }
    }

    /// Gives an outbox with one waiting frame a pooled storage for those that follow.
    pub fn lend_storage(&mut self, pool: &mut Vec<Box<Storage>>) {
        if matches!(self.queue, Queue::One(_))
            && let Some(storage) = pool.pop()
        {
            self.move_into(storage);
        }
    }

    /// Takes the storage of an empty outbox, so that an idle connection owns none.
    pub fn reclaim_storage(&mut self, pool: &mut Vec<Box<Storage>>) {
        /// How many are kept for the next turn: enough for a large room, at 1.3 KiB each.
        const POOL_MAX: usize = 2_048;
        /// Larger ones go back to the allocator.
        const ITEMS_MAX: usize = 32;
        if self.is_queue_empty()
            && self.lent().is_none()
            && let Queue::Many(storage) = std::mem::take(&mut self.queue)
            && pool.len() < POOL_MAX
            && storage.items.capacity() <= ITEMS_MAX
        {
            pool.push(storage);
        }
    }

    /// The lent buffer, if there is one.
    fn lent(&self) -> Option<&Buffer> {
        match &self.queue {
            Queue::Lent(lent) => Some(lent),
            Queue::Many(storage) => storage.lent.as_deref(),
            Queue::Empty | Queue::One(_) => None,
        }
    }

    /// The storage, created if needed.
    fn storage(&mut self) -> &mut Storage {
        if !matches!(self.queue, Queue::Many(_)) {
            self.move_into(Box::default());
        }
        match &mut self.queue {
            Queue::Many(storage) => storage,
            Queue::Empty | Queue::Lent(_) | Queue::One(_) => {
                unreachable!("it was moved into storage just now")
            }
        }
    }

    fn move_into(&mut self, mut storage: Box<Storage>) {
        match std::mem::take(&mut self.queue) {
            Queue::One(item) => {
                if item.class == Class::Pong {
                    storage.pong = Some(storage.popped);
                }
                storage.cost.add(Cost::of(&item.frame));
                storage.items.push_back(item);
            }
            Queue::Lent(lent) => storage.lent = Some(lent),
            Queue::Empty | Queue::Many(_) => {}
        }
        self.queue = Queue::Many(storage);
    }

    fn retain(&mut self, keep: impl Fn(&Item) -> bool) {
        if self.is_queue_empty() {
            return;
        }
        let storage = self.storage();
        let mut begun = storage.front_sent > 0;
        let mut freed = Cost::default();
        storage.items.retain(|item| {
            let stays = std::mem::take(&mut begun) || keep(item);
            if !stays {
                freed.add(Cost::of(&item.frame));
            }
            stays
        });
        let pong = storage.items.iter().rposition(|item| item.class == Class::Pong);
        storage.pong = pong.map(|place| storage.popped + place as u64);
        storage.cost.subtract(freed);
        self.budget.count_out(freed.own());
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.budget.count_out(self.cost().own());
    }
}

impl Storage {
    /// Queues an item at the end, or before events of a lower priority at the end. Events of one
    /// stream keep their order, even if its priority has changed.
    fn add(&mut self, item: Item) {
        let mut place = self.items.len();
        if let Class::Stream(priority) = item.class {
            // The first frame may have begun to leave.
            let first = place.saturating_sub(OVERTAKEN_FRAMES_MAX).max(1);
            let goes_before = |waiting: &Item| {
                matches!(waiting.class, Class::Stream(other) if other < priority)
                    && waiting.source != item.source
            };
            while place > first && goes_before(&self.items[place - 1]) {
                place -= 1;
            }
        }
        self.cost.add(Cost::of(&item.frame));
        self.items.insert(place, item);
    }

    fn clear(&mut self) {
        self.items.clear();
        self.cost = Cost::default();
        self.front_sent = 0;
        self.pong = None;
        if let Some(lent) = &mut self.lent {
            lent.clear_marked();
        }
    }

    /// Takes `sent` bytes off the front. Returns what the removed frames counted.
    fn advance(&mut self, mut sent: usize) -> Cost {
        let mut freed = Cost::default();
        while sent > 0 {
            let front = self.items.front().expect("more bytes sent than were waiting");
            let len = front.frame.bytes().len();
            let left = len - self.front_sent;
            if sent < left {
                self.front_sent += sent;
                break;
            }
            sent -= left;
            freed.add(Cost::of(&front.frame));
            self.front_sent = 0;
            if self.pong == Some(self.popped) {
                self.pong = None;
            }
            self.items.pop_front();
            self.popped += 1;
        }
        self.cost.subtract(freed);
        freed
    }

    /// The pong that a newer one may replace, unless it has begun to leave.
    fn waiting_pong(&mut self) -> Option<&mut Frame> {
        let place = usize::try_from(self.pong? - self.popped).ok()?;
        if place == 0 && self.front_sent > 0 {
            return None;
        }
        self.items.get_mut(place).map(|item| &mut item.frame)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Priority;
    use super::*;

    fn own(text: &str) -> Frame {
        Frame::Own(text.as_bytes().into())
    }

    fn text(outbox: &Outbox) -> String {
        outbox.pieces().map(|piece| std::str::from_utf8(piece).unwrap()).collect()
    }

    #[test]
    fn frames_leave_in_order_and_in_any_pieces() {
        let mut outbox = Outbox::alone(1_000);
        for frame in ["abc", "", "defg", "h"] {
            outbox.push(own(frame), Class::Reply, NO_SOURCE).unwrap();
        }
        assert_eq!(text(&outbox), "abcdefgh");
        for rest in ["bcdefgh", "cdefgh", "defgh", "efgh"] {
            outbox.advance(1);
            assert_eq!(text(&outbox), rest);
        }
        outbox.advance(4);
        assert!(outbox.is_empty());
        assert_eq!(outbox.waiting_bytes(), 0);
    }

    #[test]
    fn each_class_has_its_room() {
        let budget = Budget::new(10_000);
        let mut outbox = Outbox::new(1_000, Rc::clone(&budget));
        let frame = || Frame::Own(vec![0; 400].into());
        assert_eq!(outbox.push(frame(), Class::Ephemeral, 1), Ok(()));
        assert_eq!(outbox.push(frame(), Class::Ephemeral, 1), Err(OutboxFull));
        assert_eq!(outbox.push(frame(), Class::Durable, 1), Ok(()));
        assert_eq!(outbox.push(frame(), Class::Durable, 1), Err(OutboxFull));
        assert!(!outbox.is_full());
        assert_eq!(outbox.push(frame(), Class::Reply, 1), Ok(()));
        assert!(outbox.is_full());
        assert_eq!(outbox.push(frame(), Class::Control, 1), Ok(()));
        assert_eq!(budget.used(), 4 * 448);
        drop(outbox);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn an_event_of_a_lower_priority_is_refused_earlier() {
        let mut outbox = Outbox::alone(1_000);
        let mut taken = |priority: Priority| {
            let frame = Frame::Own(vec![0; 100 - FRAME_OVERHEAD_BYTES].into());
            let pushed = outbox.push(frame, Class::Stream(priority), 1);
            (pushed, outbox.waiting_bytes())
        };
        for (priority, share) in
            [(Priority::Low, 200), (Priority::Normal, 500), (Priority::High, 1_000)]
        {
            while taken(priority).0.is_ok() {}
            assert_eq!(taken(priority), (Err(OutboxFull), share), "{priority:?}");
        }
    }

    #[test]
    fn an_event_goes_before_those_of_a_lower_priority_and_before_nothing_else() {
        let mut outbox = Outbox::alone(100_000);
        let (low, normal, high) = (Priority::Low, Priority::Normal, Priority::High);
        let mut event = |name: &str, priority: Priority| {
            outbox.push(own(name), Class::Stream(priority), priority as u32).unwrap();
            text(&outbox)
        };
        // The first may have begun to leave.
        event("a", low);
        assert_eq!(event("b", high), "ab");
        event("c", low);
        event("d", normal);
        event("e", low);
        assert_eq!(event("f", high), "abfdce");
        assert_eq!(event("g", normal), "abfdgce");
        outbox.push(own("!"), Class::Reply, NO_SOURCE).unwrap();
        outbox.push(own("h"), Class::Stream(low), low as u32).unwrap();
        outbox.push(own("i"), Class::Stream(high), high as u32).unwrap();
        assert_eq!(text(&outbox), "abfdgce!ih", "an answer is overtaken by nothing");
    }

    #[test]
    fn an_event_goes_before_none_of_its_own_stream_whatever_the_priority_was() {
        let mut outbox = Outbox::alone(100_000);
        for (name, priority, source) in [
            ("a", Priority::Low, 1),
            ("b", Priority::Low, 1),
            ("c", Priority::Low, 2),
            ("d", Priority::High, 1),
        ] {
            outbox.push(own(name), Class::Stream(priority), source).unwrap();
        }
        assert_eq!(text(&outbox), "abdc");
    }

    #[test]
    fn an_event_overtakes_so_many_and_no_more() {
        let mut outbox = Outbox::alone(1_000_000);
        for _ in 0..OVERTAKEN_FRAMES_MAX + 10 {
            outbox.push(own("l"), Class::Stream(Priority::Low), 1).unwrap();
        }
        outbox.push(own("h"), Class::Stream(Priority::High), 2).unwrap();
        assert_eq!(text(&outbox).find('h'), Some(10));
    }

    #[test]
    fn a_spent_budget_refuses_what_can_wait_and_fills_every_outbox_that_holds_something() {
        let budget = Budget::new(100);
        let mut one = Outbox::new(1_000, Rc::clone(&budget));
        let mut other = Outbox::new(1_000, Rc::clone(&budget));
        one.push(own(&"x".repeat(60)), Class::Reply, NO_SOURCE).unwrap();
        assert!(budget.is_spent());
        assert!(one.is_full());
        assert!(!other.is_full(), "an empty outbox is never full: its peer reads");
        assert_eq!(other.push(own("y"), Class::Ephemeral, 0), Err(OutboxFull));
        assert_eq!(other.push(own("y"), Class::Durable, 0), Ok(()), "whoever reads is served");
        assert_eq!(other.push(own("y"), Class::Durable, 0), Err(OutboxFull));
        one.clear();
        assert_eq!(other.push(own("y"), Class::Durable, 0), Ok(()));
    }

    #[test]
    fn what_waits_for_many_counts_once_towards_the_budget_and_for_each_towards_its_limit() {
        let budget = Budget::new(10_000);
        let mut outboxes =
            [1_000, 1_000, 1_000, 90].map(|limit| Outbox::new(limit, Rc::clone(&budget)));
        let frame = Frame::shared(vec![7; 40]);
        for outbox in &mut outboxes {
            outbox.push(frame.clone(), Class::Durable, 5).unwrap();
            assert_eq!(outbox.waiting_bytes(), 40 + FRAME_OVERHEAD_BYTES);
        }
        let [one, other, third, small] = &mut outboxes;
        assert_eq!(small.push(frame.clone(), Class::Durable, 5), Err(OutboxFull));
        assert_eq!(budget.used(), 40 + 4 * FRAME_OVERHEAD_BYTES);
        // By each way in which a frame leaves.
        one.advance(30);
        assert_eq!(budget.used(), 40 + 4 * FRAME_OVERHEAD_BYTES, "it has begun to leave");
        one.advance(10);
        other.take_back(5);
        third.clear();
        assert_eq!(budget.used(), 40 + FRAME_OVERHEAD_BYTES);
        drop(frame);
        assert_eq!(budget.used(), 40 + FRAME_OVERHEAD_BYTES, "one still has it");
        drop(outboxes);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn what_a_writer_does_not_take_waits() {
        struct ShortWriter(Vec<u8>);
        impl Write for ShortWriter {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                if self.0.len() >= 7 {
                    return Err(ErrorKind::WouldBlock.into());
                }
                let len = bytes.len().min(3);
                self.0.extend(&bytes[..len]);
                Ok(len)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut outbox = Outbox::alone(1_000);
        for frame in ["abcd", "efgh", "ij"] {
            outbox.push(own(frame), Class::Reply, NO_SOURCE).unwrap();
        }
        let mut to = ShortWriter(Vec::new());
        assert_eq!(outbox.write_to(&mut to).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!((&to.0[..], text(&outbox).as_str()), (&b"abcdefg"[..], "hij"));
        outbox.write_to(&mut to.0).unwrap();
        assert_eq!((&to.0[..], outbox.is_empty()), (&b"abcdefghij"[..], true));
    }

    #[test]
    fn a_frame_over_the_limit_passes_an_empty_outbox() {
        let mut outbox = Outbox::alone(100);
        assert_eq!(outbox.push(own(&"x".repeat(500)), Class::Durable, 0), Ok(()));
        assert_eq!(outbox.push(own("y"), Class::Durable, 0), Err(OutboxFull));
    }

    #[test]
    fn only_the_newest_pong_waits_but_one_that_has_begun_to_leave_is_finished() {
        let mut outbox = Outbox::alone(1_000);
        outbox.push(own("first"), Class::Pong, NO_SOURCE).unwrap();
        outbox.push(own("second"), Class::Pong, NO_SOURCE).unwrap();
        assert_eq!(text(&outbox), "second");
        outbox.advance(1);
        outbox.push(own("third"), Class::Pong, NO_SOURCE).unwrap();
        outbox.push(own("fourth"), Class::Pong, NO_SOURCE).unwrap();
        assert_eq!(text(&outbox), "econdfourth");
    }

    #[test]
    fn a_source_is_taken_back_but_for_the_frame_that_has_begun_to_leave() {
        let mut outbox = Outbox::alone(1_000);
        for (frame, source) in [("a1", 1), ("b2", 2), ("c1", 1), ("d2", 2)] {
            outbox.push(own(frame), Class::Durable, source).unwrap();
        }
        outbox.advance(1);
        outbox.take_back(1);
        assert_eq!(text(&outbox), "1b2d2");
        outbox.take_back(2);
        assert_eq!(text(&outbox), "1");
        assert_eq!(outbox.waiting_bytes(), 2 + FRAME_OVERHEAD_BYTES);
    }

    #[test]
    fn an_idle_outbox_owns_no_storage() {
        let mut storage = Vec::new();
        let mut outbox = Outbox::alone(1_000);
        outbox.push(own("a"), Class::Reply, NO_SOURCE).unwrap();
        assert!(matches!(outbox.queue, Queue::One(_)), "a single frame needs none");
        outbox.push(own("b"), Class::Reply, NO_SOURCE).unwrap();
        outbox.reclaim_storage(&mut storage);
        assert_eq!(storage.len(), 0, "what waits keeps its storage");
        outbox.advance(2);
        outbox.reclaim_storage(&mut storage);
        assert!(storage.len() == 1 && matches!(outbox.queue, Queue::Empty));
        outbox.push(own("c"), Class::Reply, NO_SOURCE).unwrap();
        outbox.lend_storage(&mut storage);
        assert!(matches!(outbox.queue, Queue::Many(_)) && storage.is_empty());
        assert_eq!(text(&outbox), "c");
    }

    #[test]
    fn what_is_answered_goes_into_a_lent_buffer_as_long_as_nothing_waits_and_there_is_room() {
        let budget = Budget::new(10_000);
        let mut outbox = Outbox::new(1_000, Rc::clone(&budget));
        let mut used = Buffer::new(9);
        used.vec().push(b'z');
        let mut buffer = Some(Box::new(used));
        outbox.lend_buffer(&mut buffer);
        assert!(buffer.is_none());
        let answer = |outbox: &mut Outbox, text: &str, class| {
            outbox.push_own(text.len(), class, |bytes| bytes.extend_from_slice(text.as_bytes()));
        };
        answer(&mut outbox, "abc", Class::Reply);
        answer(&mut outbox, "de", Class::Pong);
        assert!(outbox.is_queue_empty() && !outbox.is_empty());
        assert_eq!((outbox.waiting_bytes(), budget.used()), (5, 0));
        // No room: from here on everything is queued, in order.
        answer(&mut outbox, "fghi", Class::Reply);
        answer(&mut outbox, "j", Class::Pong);
        answer(&mut outbox, "k", Class::Pong);
        assert_eq!(text(&outbox), "abcdefghik");
        let sent = outbox.take_buffer().unwrap();
        assert_eq!((sent.content(), sent.marked()), (&b"zabcde"[..], &b"abcde"[..]));
        outbox.put_back(&sent.marked()[3..]);
        assert_eq!(text(&outbox), "defghik");
        answer(&mut outbox, "l", Class::Pong);
        assert_eq!(text(&outbox), "defghil", "the pong that waits is still known");
        outbox.take_back(NO_SOURCE - 1);
        outbox.advance(7);
        assert!(outbox.is_empty());
        assert_eq!(budget.used(), 0);
        // No buffer is lent while something waits, and dropped bytes are dropped there too.
        outbox.put_back(b"x");
        let mut buffer = Some(sent);
        outbox.lend_buffer(&mut buffer);
        assert!(buffer.is_some());
        outbox.clear();
        outbox.lend_buffer(&mut buffer);
        outbox.clear();
        assert!(outbox.is_empty() && outbox.take_buffer().is_some());
    }
}
