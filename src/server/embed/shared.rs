//! What the server's threads share with all others: their queues of calls, who is online, and the
//! configuration.

use super::call_queue::{CallQueue, Command, CommandTarget, End, ServerThread};
use super::handle_error::HandleError;
use super::{fault, taken_by};
use crate::base::declaration::declared;
use crate::base::{Data, Limits, Refusal, StreamId, Timestamp, UserId};
use crate::config::{Config, ConfigError};
use crate::hub::streams::NO_SUCH_STREAM;
use crate::reactor::Wake;
use crate::tls::ShownCertificates;
use crate::wire::json::tree;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::ThreadId;

/// A path of the embedding program.
#[derive(Debug, PartialEq, Eq)]
struct OwnTemplate {
    template: String,
    is_socket: bool,
}

/// What the server's threads share with all handles.
#[derive(Debug)]
pub(crate) struct Shared {
    /// In the order of their numbers; there is at least one.
    threads: Vec<ServerThread>,
    /// Who is online, with how many connections. The server's threads write it, any may read it.
    online: Mutex<BTreeMap<UserId, usize>>,
    /// What clients of a server with TLS are shown.
    pub(crate) certificates: OnceLock<Arc<ShownCertificates>>,
    /// The configuration, as of the last call that changes it. A change holds it until its call is
    /// in the queue, so that changes take effect in order.
    pub(crate) config: Mutex<Config>,
    /// Held during a reload, so that there is one at a time.
    pub(crate) reloads: Mutex<u64>,
    /// The embedding program's paths, changed only while the configuration is held.
    own_paths: Mutex<Vec<OwnTemplate>>,
    /// The limits that hold now.
    limits: Mutex<Limits>,
    /// Families of pushes that the embedding program may send: bits of [`FAMILIES`].
    taken_over: AtomicU8,
    /// Whether anybody can ask who is online.
    has_handles: AtomicBool,
    /// One of the threads has ended after an internal error.
    has_died: AtomicBool,
}

/// The prefixes of pushes that a program may send once it answers a request with that prefix.
/// Presence has two prefixes.
const FAMILIES: [(&str, u8); 4] = [("chat:", 1), ("room:", 2), ("user:", 4), ("presence:", 4)];

fn family(kind: &str) -> u8 {
    let own = FAMILIES.iter().find(|(prefix, _)| kind.starts_with(prefix));
    own.map_or(0, |(_, bit)| *bit)
}

impl Shared {
    /// The embedding program answers requests of this type.
    pub(crate) fn take_over(&self, kind: &str) {
        self.taken_over.fetch_or(family(kind), Ordering::Relaxed);
    }

    /// Whether the program may send pushes of this type, because it answers requests of that
    /// family.
    pub(crate) fn is_taken_over(&self, kind: &str) -> bool {
        self.taken_over.load(Ordering::Relaxed) & family(kind) != 0
    }

    /// For threads that are woken so, of which there is at least one.
    pub(crate) fn new(wakes: Vec<Wake>, config: &Config) -> Arc<Shared> {
        Arc::new(Shared {
            threads: wakes.into_iter().map(ServerThread::new).collect(),
            online: Mutex::default(),
            certificates: OnceLock::new(),
            config: Mutex::new(config.clone()),
            reloads: Mutex::default(),
            own_paths: Mutex::default(),
            limits: Mutex::new(config.limits.clone()),
            taken_over: AtomicU8::new(0),
            has_handles: AtomicBool::new(false),
            has_died: AtomicBool::new(false),
        })
    }

    /// The thread of a number; the first, if there is none.
    pub(crate) fn thread(&self, number: usize) -> &ServerThread {
        self.threads.get(number).unwrap_or(&self.threads[0])
    }

    /// How many threads there are.
    pub(crate) fn len(&self) -> usize {
        self.threads.len()
    }

    /// Whether there is one thread.
    pub(crate) fn is_alone(&self) -> bool {
        self.len() == 1
    }

    /// Whether this is one of the server's threads, which must not wait for it.
    pub(crate) fn is_one(&self, thread: ThreadId) -> bool {
        self.threads.iter().any(|one| one.id.get() == Some(&thread))
    }

    /// Wakes all threads.
    pub(crate) fn wake_all(&self) {
        for thread in &self.threads {
            thread.wake.wake();
        }
    }

    /// The first thread tells all others, also when their queues are full: it does so at most twice.
    pub(crate) fn tell_others(&self, command: &Command) {
        for thread in &self.threads[1..] {
            thread.queue().put(command.clone());
            thread.wake.wake();
        }
    }

    /// Whether all threads have turned since the last call; true at the first. Wakes them for the
    /// next.
    pub(crate) fn have_turned(&self) -> bool {
        let mut have_turned = true;
        for thread in &self.threads {
            have_turned &= thread.has_turned.swap(false, Ordering::AcqRel);
            thread.wake.wake();
        }
        have_turned
    }

    // A thread that panics while it holds one of these leaves nothing half done: each is held for a
    // push or a look.
    pub(crate) fn online(&self) -> MutexGuard<'_, BTreeMap<UserId, usize>> {
        self.online.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When the certificate ends, with TLS.
    pub(crate) fn certificate_expiry(&self) -> Option<Timestamp> {
        self.certificates.get().and_then(|shown| shown.expires())
    }

    /// Whether a stream takes an event of the embedding program, as far as its declaration says.
    pub(crate) fn judge_event(&self, stream: &StreamId, data: &Data) -> Result<(), Refusal> {
        let config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        let declaration = declared(&config.streams, stream.as_str()).ok_or(NO_SUCH_STREAM)?;
        declaration.of_program()?.judge(data, tree).map(|_| ())
    }

    /// Who is online is recorded for handles only. All of them come from one that was made before
    /// the server began to run.
    pub(crate) fn has_handles(&self) -> bool {
        self.has_handles.load(Ordering::Relaxed)
    }

    pub(crate) fn keep_online(&self) {
        self.has_handles.store(true, Ordering::Relaxed);
    }

    /// Registers a path of the embedding program, if it can have it.
    pub(crate) fn take_path(
        &self,
        template: &str,
        is_socket: bool,
        command: impl FnOnce() -> Command,
    ) -> Result<(), HandleError> {
        if let Some(fault) = fault(template, is_socket) {
            return Err(HandleError::Path(fault));
        }
        let config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        if taken_by(template, is_socket, &config).is_some() {
            return Err(HandleError::Path("this path is that of a stream, or of its webhook"));
        }
        self.call(command())?;
        let own = OwnTemplate { template: template.to_owned(), is_socket };
        let mut paths = self.own_paths.lock().unwrap_or_else(PoisonError::into_inner);
        if !paths.contains(&own) {
            paths.push(own);
        }
        Ok(())
    }

    /// Checks that a new configuration takes no path of the embedding program.
    pub(crate) fn check_paths(&self, config: &Config) -> Result<(), ConfigError> {
        let paths = self.own_paths.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = |OwnTemplate { template, is_socket }: &OwnTemplate| {
            let (stream, member) = taken_by(template, *is_socket, config)?;
            let wants = format!("its path is {template}, which is the embedding program's");
            Some(ConfigError::BadStream { stream: stream.to_string(), member, wants })
        };
        paths.iter().find_map(taken).map_or(Ok(()), Err)
    }

    /// Fails every call to a thread that was not carried out, and forgets who is online.
    pub(crate) fn fail_calls(&self, thread: usize) {
        self.thread(thread).fail_calls();
        self.online().clear();
    }

    /// A thread has ended after an internal error: the others must not go on without it.
    pub(crate) fn abandon(&self) {
        self.has_died.store(true, Ordering::Release);
        self.wake_all();
    }

    pub(crate) fn has_died(&self) -> bool {
        self.has_died.load(Ordering::Acquire)
    }

    /// # Errors
    /// [`HandleError::Stopped`] if the server has stopped.
    pub(crate) fn is_running(&self) -> Result<(), HandleError> {
        if self.thread(0).queue().is_stopped() { Err(HandleError::Stopped) } else { Ok(()) }
    }

    pub(crate) fn stop(&self, why: End) -> Result<(), HandleError> {
        self.call(Command::Stop(why))
    }

    /// Puts an answer of a handler into the queue of the thread that waits for it.
    pub(crate) fn answer(
        &self,
        thread: usize,
        put: impl FnOnce(&mut CallQueue),
    ) -> Result<(), HandleError> {
        self.thread(thread).answer(put)
    }

    /// Asks the threads for something: all that it concerns, or none.
    pub(crate) fn call(&self, command: Command) -> Result<(), HandleError> {
        let thread = match command.target() {
            CommandTarget::First => self.thread(0),
            CommandTarget::Of(conn) => self.thread(conn.reactor()),
            CommandTarget::All if self.threads.len() == 1 => self.thread(0),
            CommandTarget::All => return self.call_all(&command),
        };
        let mut queue = thread.queue();
        queue.takes(&command)?;
        queue.put(command);
        drop(queue);
        thread.wake.wake();
        Ok(())
    }

    /// Nobody else locks two queues, and these are locked in one order.
    fn call_all(&self, command: &Command) -> Result<(), HandleError> {
        let mut queues: Vec<_> = self.threads.iter().map(ServerThread::queue).collect();
        queues.iter().try_for_each(|queue| queue.takes(command))?;
        for (number, queue) in queues.iter_mut().enumerate() {
            queue.put(match command {
                Command::Say { to, said } => {
                    let here = to.iter().copied().filter(|conn| conn.reactor() == number);
                    Command::Say { to: here.collect(), said: said.clone() }
                }
                command => command.clone(),
            });
        }
        drop(queues);
        self.wake_all();
        Ok(())
    }
}

/// Fails the calls to a thread that has panicked, too.
pub(crate) struct FailCallsOnDrop(pub(in crate::server) Arc<Shared>, pub(in crate::server) usize);

impl Drop for FailCallsOnDrop {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.abandon();
        }
        self.0.fail_calls(self.1);
    }
}
