//! Looks names of hosts up, and calls other functions that may block, each on a thread of its own. One that hangs is
//! left behind: nobody waits for it.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many of a client's threads may hang at a time.
const HELPERS_MAX: usize = 4;

/// A client's threads for calls that may block.
#[derive(Clone, Debug, Default)]
pub(crate) struct Helpers(Arc<AtomicUsize>);

/// Counts a thread for as long as it runs, also if what it calls panics.
struct RunningHelper(Arc<AtomicUsize>);

impl Drop for RunningHelper {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Helpers {
    /// Runs a function on a thread of its own.
    ///
    /// # Errors
    /// If too many hang, or the system gives no thread.
    pub(in crate::client) fn run(
        &self,
        name: &str,
        run: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        if self.0.fetch_add(1, Ordering::AcqRel) >= HELPERS_MAX {
            self.0.fetch_sub(1, Ordering::AcqRel);
            return Err(io::Error::other("earlier calls have not returned"));
        }
        let counted = RunningHelper(Arc::clone(&self.0));
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
        let helpers = Helpers::default();
        let (end, ended) = channel::<()>();
        let ended = Arc::new(std::sync::Mutex::new(ended));
        for _ in 0..HELPERS_MAX {
            let ended = Arc::clone(&ended);
            let hangs = move || assert!(ended.lock().unwrap().recv().is_err());
            helpers.run("hangs", hangs).unwrap();
        }
        let (tell, told) = channel();
        look_up(&helpers, ("localhost", 7), move |found| tell.send(found.is_err()).unwrap());
        assert!(told.recv().unwrap());
        drop(end);
        while helpers.0.load(Ordering::Acquire) > 0 {
            std::thread::yield_now();
        }
        helpers.run("again", || {}).unwrap();
    }
}
