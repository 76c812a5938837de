//! Who is there, for the servers on tokio: each connection has a queue of its own, and a message is
//! cloned (which the libraries make cheap: a reference) into the queues of its recipients.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Messages that wait for one connection: more than any workload here has under way.
const QUEUE_MESSAGES: usize = 4_096;

/// What a connection's path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// Any other path: each message comes back.
    Echo,
    /// `/all`: each message goes to all connections there.
    Everybody,
    /// `/u/K`: a text `K BODY` goes to all connections on `/u/K`, as `BODY`.
    User(String),
}

impl Role {
    pub fn of(path: &str) -> Role {
        match path.strip_prefix("/u/") {
            Some(user) => Role::User(user.into()),
            None if path == "/all" => Role::Everybody,
            None => Role::Echo,
        }
    }
}

/// All connections that others' messages go to.
#[derive(Debug)]
pub struct Crowd<M> {
    inner: Arc<Mutex<Inner<M>>>,
}

#[derive(Debug)]
struct Inner<M> {
    everybody: Vec<Recipient<M>>,
    users: HashMap<String, Vec<Recipient<M>>>,
    next_id: u64,
}

#[derive(Debug)]
struct Recipient<M> {
    id: u64,
    queue: Sender<M>,
}

/// A connection's place in the crowd, which ends with this.
#[derive(Debug)]
pub struct Member<M> {
    crowd: Crowd<M>,
    role: Role,
    id: u64,
}

impl<M> Clone for Crowd<M> {
    fn clone(&self) -> Crowd<M> {
        Crowd { inner: Arc::clone(&self.inner) }
    }
}

impl<M> Default for Crowd<M> {
    fn default() -> Crowd<M> {
        let inner = Inner { everybody: Vec::new(), users: HashMap::new(), next_id: 0 };
        Crowd { inner: Arc::new(Mutex::new(inner)) }
    }
}

impl<M> Crowd<M> {
    /// Takes a connection in: its place, and the queue of what is for it.
    pub fn join(&self, role: Role) -> (Member<M>, Receiver<M>) {
        let (queue, received) = channel(QUEUE_MESSAGES);
        let mut inner = self.lock();
        let id = inner.next_id;
        inner.next_id += 1;
        match &role {
            Role::Echo => {}
            Role::Everybody => inner.everybody.push(Recipient { id, queue }),
            Role::User(user) => {
                inner.users.entry(user.clone()).or_default().push(Recipient { id, queue });
            }
        }
        drop(inner);
        (Member { crowd: self.clone(), role, id }, received)
    }

    fn lock(&self) -> MutexGuard<'_, Inner<M>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M: Clone> Member<M> {
    /// Hands a message on. `body_after` makes, of a user's message, the one that begins so many
    /// bytes later.
    pub fn tell(&self, message: M, text: &[u8], body_after: impl FnOnce(&M, usize) -> M) {
        let inner = self.crowd.lock();
        match &self.role {
            Role::Echo => {}
            Role::Everybody => hand_to(&inner.everybody, message),
            Role::User(_) => {
                let Some(space) = memchr::memchr(b' ', text) else { return };
                let Ok(user) = str::from_utf8(&text[..space]) else { return };
                if let Some(recipients) = inner.users.get(user) {
                    hand_to(recipients, body_after(&message, space + 1));
                }
            }
        }
    }
}

/// Who has no room in its queue is left out: none of the workloads comes near.
fn hand_to<M: Clone>(recipients: &[Recipient<M>], message: M) {
    for recipient in recipients {
        let _ = recipient.queue.try_send(message.clone());
    }
}

impl<M> Drop for Member<M> {
    fn drop(&mut self) {
        let mut inner = self.crowd.lock();
        match &self.role {
            Role::Echo => {}
            Role::Everybody => inner.everybody.retain(|other| other.id != self.id),
            Role::User(user) => {
                if let Some(recipients) = inner.users.get_mut(user) {
                    recipients.retain(|other| other.id != self.id);
                }
            }
        }
    }
}
