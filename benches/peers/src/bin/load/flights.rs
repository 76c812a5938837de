//! Messages that are sent and waited for. A group is a sender and its receivers; its flight is a
//! burst of messages, and is over when each receiver has each of them.

use crate::content::{self, Template};
use crate::incoming::{Came, Expected, Incoming};
use crate::{Done, Fallible, Options, PATIENCE};
use mio::net::TcpStream;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use parlor_peers::frame;
use parlor_peers::handshake;
use parlor_peers::latency::Latency;
use parlor_peers::workload::Workload;
use std::io::{ErrorKind, Read, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

const BUFFER_BYTES: usize = 256 * 1024;
const EVENTS_PER_WAIT: usize = 1_024;
const INPUT: Token = Token(usize::MAX);
const STANDARD_INPUT: i32 = 0;

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    /// The group that it sends for, and what of the flight is to be sent.
    sends: Option<Outgoing>,
    /// The group that it receives from.
    receives: usize,
    incoming: Incoming,
    /// Messages that it has received.
    received: u64,
}

/// From the message `next` on, of which `sent` bytes have left, to before the message `end`.
#[derive(Clone, Copy, Debug)]
struct Outgoing {
    group: usize,
    next: u64,
    sent: usize,
    end: u64,
}

#[derive(Debug)]
struct Group {
    sender: usize,
    receivers: u64,
    template: Rc<Template>,
    /// Messages that are to come to all receivers together.
    missing: u64,
    began: Instant,
}

pub(crate) struct Flights {
    poll: Poll,
    connections: Vec<Connection>,
    groups: Vec<Group>,
    expected: Expected,
    burst: u64,
    buffer: Vec<u8>,
    outgoing: Vec<u8>,
    /// Of the work that is being done.
    is_stopping: bool,
    under_way: usize,
    count: u64,
    latency: Latency,
}

/// Who sends for a group, how many receive, and what stands before the body.
struct Plan {
    sender: usize,
    receivers: usize,
    addressee: String,
}

impl Flights {
    /// Opens all connections.
    pub(crate) fn connect(options: &Options) -> Fallible<Flights> {
        let first = if options.binary { frame::BINARY } else { frame::TEXT };
        let (bytes, burst) = match options.workload {
            Workload::Echo { bytes, burst, .. } | Workload::FanOut { bytes, burst, .. } => {
                (bytes, burst)
            }
            Workload::Targeted { bytes, .. } => (bytes, 1),
            Workload::Handshakes { .. } | Workload::Idle { .. } => (content::NUMBER_BYTES, 1),
        };
        if bytes < content::NUMBER_BYTES {
            return Err("messages are too short for their number".into());
        }
        let body = content::words(bytes);
        let mut groups = Vec::new();
        let mut template = None;
        for Plan { sender, receivers, addressee } in plans(options.workload) {
            let template = match &template {
                Some(template) if addressee.is_empty() => Rc::clone(template),
                _ => Rc::new(Template::new(first, &addressee, &body)),
            };
            let (receivers, began) = (receivers as u64, Instant::now());
            groups.push(Group { sender, receivers, template, missing: 0, began });
        }
        template.take();
        let mut flights = Flights {
            poll: Poll::new()?,
            connections: Vec::new(),
            groups,
            expected: Expected { first, body, compressed: options.deflate },
            burst: burst as u64,
            buffer: vec![0; BUFFER_BYTES],
            outgoing: Vec::with_capacity(BUFFER_BYTES),
            is_stopping: false,
            under_way: 0,
            count: 0,
            latency: Latency::default(),
        };
        for place in 0..options.workload.connections() {
            flights.open(options, place)?;
        }
        for (group, Group { sender, .. }) in flights.groups.iter().enumerate() {
            let outgoing = Outgoing { group, next: 0, sent: 0, end: 0 };
            flights.connections[*sender].sends = Some(outgoing);
        }
        Ok(flights)
    }

    fn open(&mut self, options: &Options, place: usize) -> Fallible<()> {
        let (path, receives) = match options.workload {
            Workload::Targeted { users, connections_each, .. } => {
                let user = place / connections_each;
                // The user before sends to it.
                (format!("/u/{user}"), (user + users - 1) % users)
            }
            Workload::FanOut { .. } => ("/all".to_owned(), 0),
            _ => ("/echo".to_owned(), place),
        };
        let stream = std::net::TcpStream::connect_timeout(&options.address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let request = handshake::request(&options.address.to_string(), &path, options.deflate);
        (&stream).write_all(&request)?;
        let mut answer = Vec::new();
        let accepted = loop {
            let len = (&stream).read(&mut self.buffer)?;
            answer.extend_from_slice(&self.buffer[..len]);
            match handshake::accepted(&answer)? {
                Some(accepted) => break accepted,
                None if len == 0 => return Err("the server has hung up".into()),
                None => {}
            }
        };
        if options.deflate && !accepted.compresses {
            return Err("the server does not compress".into());
        }
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, Token(place), both)?;
        let incoming = Incoming::default();
        self.connections.push(Connection { stream, sends: None, receives, incoming, received: 0 });
        self.take(place, &answer[accepted.head_len..])
    }

    /// Works for `time`, and until nothing is under way any more.
    pub(crate) fn work(&mut self, time: Duration) -> Fallible<Done> {
        let start = Instant::now();
        self.is_stopping = false;
        self.count = 0;
        self.latency = Latency::default();
        for group in 0..self.groups.len() {
            self.launch(group)?;
        }
        let mut events = Events::with_capacity(EVENTS_PER_WAIT);
        while self.under_way > 0 {
            self.turn(&mut events, PATIENCE)?;
            self.is_stopping |= start.elapsed() >= time;
        }
        Ok(Done { count: self.count, time: start.elapsed(), latency: self.latency.clone() })
    }

    /// Lets [`Flights::idle_until_input`] see standard input.
    pub(crate) fn watch_input(&mut self) -> Fallible<()> {
        let interest = Interest::READABLE;
        Ok(self.poll.registry().register(&mut SourceFd(&STANDARD_INPUT), INPUT, interest)?)
    }

    /// Answers what is asked while nothing is sent, until there is input.
    pub(crate) fn idle_until_input(&mut self) -> Fallible<()> {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        let mut events = Events::with_capacity(EVENTS_PER_WAIT);
        while !self.turn(&mut events, DAY)? {}
        Ok(())
    }

    /// Handles what is ready; tells whether there is input.
    fn turn(&mut self, events: &mut Events, patience: Duration) -> Fallible<bool> {
        match self.poll.poll(events, Some(patience)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(false),
            polled => polled?,
        }
        if events.is_empty() {
            return Err(format!("messages do not come: {} flights", self.under_way).into());
        }
        let mut has_input = false;
        for event in &*events {
            if event.token() == INPUT {
                has_input = true;
                continue;
            }
            if event.is_readable() {
                self.read(event.token().0)?;
            }
            if event.is_writable() {
                self.write(event.token().0)?;
            }
        }
        Ok(has_input)
    }

    /// Begins a group's next flight.
    fn launch(&mut self, group: usize) -> Fallible<()> {
        let burst = self.burst;
        let Group { sender, receivers, missing, began, .. } = &mut self.groups[group];
        (*missing, *began) = (burst * *receivers, Instant::now());
        let sender = *sender;
        if let Some(outgoing) = &mut self.connections[sender].sends {
            outgoing.end += burst;
        }
        self.under_way += 1;
        self.write(sender)
    }

    /// Sends what is to be sent, as far as the system takes it.
    fn write(&mut self, place: usize) -> Fallible<()> {
        let Connection { stream, sends: Some(outgoing), .. } = &mut self.connections[place] else {
            return Ok(());
        };
        let template = &self.groups[outgoing.group].template;
        let frame_len = template.frame_len();
        while outgoing.next < outgoing.end {
            self.outgoing.clear();
            for message in outgoing.next..outgoing.end {
                template.put(&mut self.outgoing, content::number(outgoing.group, message));
                if self.outgoing.len() >= BUFFER_BYTES {
                    break;
                }
            }
            let offered = &self.outgoing[outgoing.sent..];
            let len = match stream.write(offered) {
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            let is_all = len == offered.len();
            outgoing.sent += len;
            outgoing.next += (outgoing.sent / frame_len) as u64;
            outgoing.sent %= frame_len;
            if !is_all {
                return Ok(());
            }
        }
        Ok(())
    }

    fn read(&mut self, place: usize) -> Fallible<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        loop {
            match self.connections[place].stream.read(&mut buffer) {
                Ok(0) => return Err("the server has hung up".into()),
                Ok(len) => {
                    self.take(place, &buffer[..len])?;
                    if len < buffer.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        self.buffer = buffer;
        Ok(())
    }

    /// Checks what came.
    fn take(&mut self, place: usize, mut bytes: &[u8]) -> Fallible<()> {
        while !bytes.is_empty() {
            let Connection { incoming, receives, received, .. } = &mut self.connections[place];
            let (group, next) = (*receives, *received);
            match incoming.take(&mut bytes, &self.expected, || content::number(group, next))? {
                Some(Came::Message) => {
                    *received += 1;
                    self.delivered(group)?;
                }
                Some(Came::Ping(payload)) => self.pong(place, &payload)?,
                None => {}
            }
        }
        Ok(())
    }

    fn delivered(&mut self, group: usize) -> Fallible<()> {
        let Group { receivers, missing, began, .. } = &mut self.groups[group];
        *missing = missing.checked_sub(1).ok_or("a message came that was not sent")?;
        if *missing > 0 {
            return Ok(());
        }
        self.count += self.burst * *receivers;
        self.latency.note(began.elapsed());
        self.under_way -= 1;
        if self.is_stopping { Ok(()) } else { self.launch(group) }
    }

    /// Servers ask whom they have not heard for long: who receives only, and who is not at work.
    fn pong(&mut self, place: usize, payload: &[u8]) -> Fallible<()> {
        let Connection { stream, sends, .. } = &mut self.connections[place];
        if sends.is_some_and(|outgoing| outgoing.sent > 0) {
            return Err("a ping came while a message was on its way".into());
        }
        Ok(stream.write_all(&content::control_frame(frame::PONG, payload))?)
    }
}

fn plans(workload: Workload) -> Vec<Plan> {
    match workload {
        Workload::Echo { connections, .. } => (0..connections)
            .map(|sender| Plan { sender, receivers: 1, addressee: String::new() })
            .collect(),
        Workload::FanOut { connections, .. } => {
            vec![Plan { sender: 0, receivers: connections, addressee: String::new() }]
        }
        Workload::Targeted { users, connections_each, .. } => (0..users)
            .map(|user| Plan {
                sender: user * connections_each,
                receivers: connections_each,
                addressee: format!("{} ", (user + 1) % users),
            })
            .collect(),
        Workload::Handshakes { .. } | Workload::Idle { .. } => Vec::new(),
    }
}
