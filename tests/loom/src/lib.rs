//! What the library's files see of the rest of it, with loom's locks.

#![allow(missing_docs, dead_code)]

/// In place of the reactor's: whoever wakes it is waited for, as the network's thread waits in the system.
mod reactor {
    use std::time::Duration;

    #[derive(Clone, Debug)]
    pub(crate) struct Clock;

    impl Clock {
        pub(crate) fn elapsed(&self) -> Duration {
            Duration::ZERO
        }
    }

    #[derive(Clone, Debug)]
    pub(crate) struct Wake(pub(crate) std::sync::Arc<loom::sync::Notify>);

    impl Wake {
        pub(crate) fn wake(&self) {
            self.0.notify();
        }
    }
}

mod client;
