//! The load: senders that wait for each acknowledgement, and one receiver; one thread, one clock.

use crate::Fallible;
use crate::check::{self, Sent};
use crate::dialect::{Came, Dialect, Line};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use parlor_peers::cpu_time;
use parlor_peers::latency::Latency;
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

/// When nothing comes for so long, something is lost.
const PATIENCE: Duration = Duration::from_secs(10);
/// After the last message: what comes now has come twice.
const STRAY: Duration = Duration::from_millis(5);
const BUFFER_BYTES: usize = 256 * 1_024;
const EVENTS_PER_WAIT: usize = 256;
/// The receiver's place among the connections; the senders follow.
const RECEIVER: usize = 0;

/// What a slice has done.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    /// Messages, all of them acknowledged and received.
    pub(crate) count: u64,
    /// Until the last was acknowledged.
    pub(crate) time: Duration,
    pub(crate) acknowledged: Latency,
    pub(crate) received: Latency,
    /// What the load itself has used of the processors.
    pub(crate) load_cpu: Duration,
}

pub(crate) struct Load {
    dialect: Box<dyn Dialect>,
    poll: Poll,
    connections: Vec<Connection>,
    sent: Vec<Sent>,
    slice: u32,
    depth: usize,
    buffer: Vec<u8>,
    done: Done,
    end: Instant,
    last_acknowledged: Instant,
}

struct Connection {
    stream: TcpStream,
    /// The beginning of what is not all there.
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Load {
    /// Opens the connections. `slice` is in all messages: another slice's are not taken for these.
    pub(crate) fn open(
        mut dialect: Box<dyn Dialect>,
        slice: u32,
        senders: usize,
        depth: usize,
    ) -> Fallible<Load> {
        let poll = Poll::new()?;
        let mut connections = vec![Connection::new(dialect.receiver()?, RECEIVER, &poll)?];
        for sender in 0..senders {
            connections.push(Connection::new(dialect.sender(sender)?, sender + 1, &poll)?);
        }
        let now = Instant::now();
        Ok(Load {
            dialect,
            poll,
            connections,
            sent: (0..senders).map(|_| Sent::default()).collect(),
            slice,
            depth,
            buffer: vec![0; BUFFER_BYTES],
            done: Done::new(),
            end: now,
            last_acknowledged: now,
        })
    }

    /// Sends for `time`, and waits until all is acknowledged and received.
    pub(crate) fn work(&mut self, time: Duration) -> Fallible<Done> {
        let cpu_before = cpu_time::of_this_thread()?;
        let began = Instant::now();
        self.done = Done::new();
        self.end = began + time;
        for sender in 0..self.sent.len() {
            for _ in 0..self.depth {
                self.send(sender, began);
            }
            self.connections[sender + 1].flush()?;
        }
        let mut events = Events::with_capacity(EVENTS_PER_WAIT);
        while !self.sent.iter().all(Sent::is_done) {
            if !self.turn(&mut events, PATIENCE)? {
                return Err("messages or acknowledgements do not come any more".into());
            }
        }
        let load_cpu = cpu_time::of_this_thread()? - cpu_before;
        while self.turn(&mut events, STRAY)? {}
        Ok(Done { time: self.last_acknowledged - began, load_cpu, ..self.done.clone() })
    }

    /// Handles what is ready; `false` if nothing was.
    fn turn(&mut self, events: &mut Events, patience: Duration) -> Fallible<bool> {
        match self.poll.poll(events, Some(patience)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(true),
            polled => polled?,
        }
        for event in &*events {
            self.read(event.token().0)?;
        }
        Ok(!events.is_empty())
    }

    fn read(&mut self, place: usize) -> Fallible<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        loop {
            match self.connections[place].stream.read(&mut buffer) {
                Ok(0) => return Err("the server has hung up".into()),
                Ok(len) => {
                    self.take(place, &buffer[..len])?;
                    // Edge-triggered: a full buffer says that there may be more.
                    if len < buffer.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.buffer = buffer;
        self.connections[place].flush()
    }

    /// Understands what came on a connection.
    fn take(&mut self, place: usize, came: &[u8]) -> Fallible<()> {
        let now = Instant::now();
        let mut kept = std::mem::take(&mut self.connections[place].input);
        let is_kept = !kept.is_empty();
        if is_kept {
            kept.extend_from_slice(came);
        }
        let input = if is_kept { &kept[..] } else { came };
        let mut at = 0;
        while at < input.len() {
            let Load { dialect, sent, done, slice, connections, last_acknowledged, .. } = self;
            let mut acknowledged = 0;
            let len = dialect.take(&input[at..], &mut |came| {
                match came {
                    Came::Acknowledged(number) => {
                        let sender = place.checked_sub(1).ok_or("the receiver sends nothing")?;
                        done.acknowledged.note(sent[sender].acknowledge(number, now)?);
                        *last_acknowledged = now;
                        acknowledged += 1;
                    }
                    Came::Message(text) if place == RECEIVER => {
                        done.received.note(check::receive(sent, *slice, text, now)?);
                        done.count += 1;
                    }
                    Came::Asked(bytes) => connections[place].output.extend_from_slice(&bytes),
                    // A sender in a room hears what is said there.
                    Came::Message(_) | Came::Ready => {}
                }
                Ok(())
            })?;
            if len == 0 {
                break;
            }
            at += len;
            for _ in 0..acknowledged {
                if now < self.end {
                    self.send(place - 1, now);
                }
            }
        }
        let rest = input.len() - at;
        if is_kept {
            kept.drain(..at);
        } else {
            kept.extend_from_slice(&came[came.len() - rest..]);
        }
        self.connections[place].input = kept;
        Ok(())
    }

    /// Writes a sender's next message to its output.
    fn send(&mut self, sender: usize, now: Instant) {
        let number = self.sent[sender].send(now);
        let text = check::text(self.slice, sender, number);
        self.dialect.put(sender, number, &text, &mut self.connections[sender + 1].output);
    }
}

impl Done {
    fn new() -> Done {
        Done {
            count: 0,
            time: Duration::ZERO,
            acknowledged: Latency::default(),
            received: Latency::default(),
            load_cpu: Duration::ZERO,
        }
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.count as f64 / self.time.as_secs_f64()
    }
}

impl Connection {
    fn new(line: Line, place: usize, poll: &Poll) -> Fallible<Connection> {
        line.stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(line.stream);
        poll.registry().register(&mut stream, Token(place), Interest::READABLE)?;
        Ok(Connection { stream, input: line.input, output: Vec::new() })
    }

    /// What is under way is much less than the system's buffers take.
    fn flush(&mut self) -> Fallible<()> {
        if !self.output.is_empty() {
            self.stream.write_all(&self.output).map_err(|error| format!("cannot send: {error}"))?;
            self.output.clear();
        }
        Ok(())
    }
}
