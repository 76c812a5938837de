//! Looks names of hosts up, and calls other functions that may block, each on a thread of its own. One that hangs is
//! left behind: nobody waits for it.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many of a client's threads may hang at a time.
const HELPERS_MAX: usize = 4;
/// How many may hang whose clients are over: with so many, none is begun in this process.
const LEFT_MAX: usize = 64;

/// Of clients that are over.
static LEFT: AtomicUsize = AtomicUsize::new(0);

/// How many threads that clients have left behind still run, in this process: the system has not ended their lookups, or
/// a program's function for tokens has not returned. With 64 none is begun; those that run then
/// may come on top, four of each client.
#[must_use]
pub fn threads_left() -> usize {
    LEFT.load(Ordering::Acquire)
}

/// A client's threads for calls that may block. Those that still run when this is dropped are left behind.
#[derive(Debug)]
pub(crate) struct Helpers(Arc<Running>);

#[derive(Debug)]
struct Running {
    /// How many run, and whether the client is over.
    state: Mutex<(usize, bool)>,
    /// Where they are counted then.
    left: &'static AtomicUsize,
}

impl Running {
    fn lock(&self) -> MutexGuard<'_, (usize, bool)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Helpers {
    fn default() -> Helpers {
        Helpers::counted(&LEFT)
    }
}

impl Drop for Helpers {
    fn drop(&mut self) {
        let (running, is_over) = &mut *self.0.lock();
        *is_over = true;
        self.0.left.fetch_add(*running, Ordering::AcqRel);
    }
}

/// Counts a thread for as long as it runs, also if what it calls panics.
struct RunningHelper(Arc<Running>);

impl RunningHelper {
    fn begin(helpers: &Helpers) -> Option<RunningHelper> {
        let (running, _) = &mut *helpers.0.lock();
        let left = helpers.0.left.load(Ordering::Acquire);
        if *running >= HELPERS_MAX || left >= LEFT_MAX {
            return None;
        }
        *running += 1;
        Some(RunningHelper(Arc::clone(&helpers.0)))
    }
}

impl Drop for RunningHelper {
    fn drop(&mut self) {
        let (running, is_over) = &mut *self.0.lock();
        *running -= 1;
        self.0.left.fetch_sub(usize::from(*is_over), Ordering::AcqRel);
    }
}

impl Helpers {
    fn counted(left: &'static AtomicUsize) -> Helpers {
        Helpers(Arc::new(Running { state: Mutex::new((0, false)), left }))
    }

    /// Runs a function on a thread of its own.
    ///
    /// # Errors
    /// If too many hang, or the system gives no thread.
    pub(in crate::client) fn run(
        &self,
        name: &str,
        run: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        let counted = RunningHelper::begin(self)
            .ok_or_else(|| io::Error::other("earlier calls have not returned"))?;
        let thread = std::thread::Builder::new().name(name.to_owned());
        thread.spawn(move || {
            let _counted = counted;
            run();
        })?;
        Ok(())
    }
}

/// Looks a host's addresses up, and calls `then` with them: at once if the host is an address, or else on another
/// thread.
pub(crate) fn look_up(
    helpers: &Helpers,
    (host, port): (&str, u16),
    then: impl FnOnce(io::Result<Vec<SocketAddr>>) + Clone + Send + 'static,
) {
    if let Ok(address) = host.parse::<IpAddr>() {
        return then(Ok(vec![SocketAddr::new(address, port)]));
    }
    let (name, tell) = (host.to_owned(), then.clone());
    let looks = move || tell((name.as_str(), port).to_socket_addrs().map(Iterator::collect));
    if let Err(error) = helpers.run("parlor-names", looks) {
        then(Err(error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn an_address_is_found_at_once_and_a_name_by_the_system() {
        let (tell, told) = channel();
        let helpers = Helpers::default();
        let also = tell.clone();
        look_up(&helpers, ("::1", 7), move |found| also.send(found.unwrap()).unwrap());
        assert_eq!(told.try_recv().unwrap(), ["[::1]:7".parse().unwrap()]);
        look_up(&helpers, ("localhost", 7), move |found| tell.send(found.unwrap()).unwrap());
        let found = told.recv().unwrap();
        assert!(found.iter().all(|one| one.ip().is_loopback() && one.port() == 7), "{found:?}");
    }

    #[test]
    fn so_many_calls_may_hang_and_no_more() {
        static LEFT: AtomicUsize = AtomicUsize::new(0);
        let left = || LEFT.load(Ordering::Acquire);
        let (end, ended) = channel::<()>();
        let ended = Arc::new(Mutex::new(ended));
        let hangs = || {
            let ended = Arc::clone(&ended);
            move || assert!(ended.lock().unwrap().recv().is_err())
        };
        let helpers = Helpers::counted(&LEFT);
        for _ in 0..HELPERS_MAX {
            helpers.run("hangs", hangs()).unwrap();
        }
        let (tell, told) = channel();
        look_up(&helpers, ("localhost", 7), move |found| tell.send(found.is_err()).unwrap());
        assert!(told.recv().unwrap());
        assert_eq!(left(), 0);
        drop(helpers);
        assert_eq!(left(), HELPERS_MAX);
        // Clients that come and go leave no more than so many.
        while Helpers::counted(&LEFT).run("hangs", hangs()).is_ok() {
            assert!(left() <= LEFT_MAX);
        }
        assert_eq!(left(), LEFT_MAX);
        drop(end);
        while left() > 0 {
            std::thread::yield_now();
        }
        Helpers::counted(&LEFT).run("again", || {}).unwrap();
    }
}
