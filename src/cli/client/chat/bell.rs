//! Waiting for answers beside other things: whoever waits is woken by what it waits for anyhow, a queue or itself.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::task::Wake;
use std::task::{Context, Poll, Waker};
use std::thread::Thread;

/// Puts something into a queue when an answer comes. A full queue has something for its reader to wake up for.
pub(super) struct QueueBell<T>(pub(super) SyncSender<T>, pub(super) fn() -> T);

impl<T: Send + 'static> Wake for QueueBell<T> {
    fn wake(self: Arc<Self>) {
        let QueueBell(queue, what) = &*self;
        let _ = queue.try_send(what());
    }
}

struct ThreadBell(Thread);

impl Wake for ThreadBell {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for one answer.
pub(super) fn wait_for<T>(answer: impl Future<Output = T>) -> T {
    let mut answer = std::pin::pin!(answer);
    let waker = Waker::from(Arc::new(ThreadBell(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match answer.as_mut().poll(&mut context) {
            Poll::Ready(answer) => return answer,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;
    use std::time::Duration;

    #[test]
    fn an_answer_is_waited_for_until_it_comes() {
        assert_eq!(wait_for(async { 7 }), 7);
        let mut polls = 0;
        let answer = std::future::poll_fn(|context| {
            polls += 1;
            let waker = context.waker().clone();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(5));
                waker.wake();
            });
            if polls < 3 { Poll::Pending } else { Poll::Ready(polls) }
        });
        assert_eq!(wait_for(answer), 3);
    }

    #[test]
    fn a_full_queue_is_not_waited_for() {
        let (queue, reader) = sync_channel(1);
        let bell = Arc::new(QueueBell(queue, || 1));
        for _ in 0..3 {
            Arc::clone(&bell).wake();
        }
        assert_eq!(reader.try_iter().count(), 1);
    }
}
