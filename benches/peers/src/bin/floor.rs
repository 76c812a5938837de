//! The least that any WebSocket server must do: what the others are compared with.
//!
//! One thread, mio, edge-triggered, one read buffer for all connections, and one read for each that
//! is ready (a short read says that there is no more). Of a frame it looks at the length; it
//! unmasks in place, puts the answer's header in front (a server's header is shorter than a
//! client's) and writes from there. What one read has brought leaves in one write: at once, but for
//! small answers, which leave when all that is ready has been read.
//!
//! It judges nothing and bounds nothing: no UTF-8, no reserved bits, no fragments, no pings, no
//! timers, no limits. It is no server to run.
//!
//! `floor ADDRESS:PORT`. Each message comes back on any path but these: on `/all` it goes to all
//! connections there, and on `/u/K` a text `K BODY` goes to all connections on `/u/K`, as `BODY`.

#![forbid(unsafe_code)]

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use parlor_peers::frame::{self, Header};
use parlor_peers::{handshake, listen};
use slab::Slab;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::ops::Range;

/// A burst of 256 KiB with its headers: to leave the end of the last message for a second read would
/// cost a fiftieth with messages of 16 KiB, and half with one of 256 KiB.
const BUFFER_BYTES: usize = 260 * 1024;
const EVENTS_PER_WAIT: usize = 1_024;
const LISTENER: Token = Token(usize::MAX);
/// Frames up to this size are moved together to be written at once; larger ones stay where they
/// are, and the system gathers them.
const MOVED_BYTES_MAX: usize = 1_024 + 16;
const SLICES_MAX: usize = 64;
/// Answers that are no more than this together are copied and written later: to read all and then
/// write all costs less than to take turns, by more than such a copy does.
const LATER_BYTES_MAX: usize = 1_024;

struct Connection {
    stream: TcpStream,
    stage: Stage,
    begun: Begun,
    /// What the system did not take.
    waiting: Vec<u8>,
    is_registered_for_writing: bool,
}

#[derive(Clone, Copy)]
enum Stage {
    Head,
    Echo,
    Everybody,
    User,
}

/// What has come of something that is not whole.
#[derive(Default)]
enum Begun {
    #[default]
    Nothing,
    /// A head, or so little of a frame that its length is not known.
    Start(Vec<u8>),
    /// A frame of which `have` bytes of `len` are there.
    Frame { bytes: Vec<u8>, have: usize, len: usize },
}

struct Server {
    poll: Poll,
    listener: TcpListener,
    connections: Slab<Connection>,
    everybody: Vec<usize>,
    users: Vec<Vec<usize>>,
    buffer: Vec<u8>,
    /// Buffers of frames that came in pieces, to be used again.
    spares: Vec<Vec<u8>>,
    /// Where in the read bytes the answers lie.
    answers: Vec<Range<usize>>,
    /// Connections with small answers, to be written when all is read.
    later: Vec<usize>,
}

fn main() -> io::Result<()> {
    let poll = Poll::new()?;
    let mut listener = TcpListener::from_std(listen::listener()?);
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut server = Server {
        poll,
        listener,
        connections: Slab::new(),
        everybody: Vec::new(),
        users: Vec::new(),
        buffer: vec![0; BUFFER_BYTES],
        spares: Vec::new(),
        answers: Vec::new(),
        later: Vec::new(),
    };
    let mut events = Events::with_capacity(EVENTS_PER_WAIT);
    loop {
        match server.poll.poll(&mut events, None) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in &events {
            if event.token() == LISTENER {
                server.accept()?;
                continue;
            }
            let Token(place) = event.token();
            if event.is_writable() {
                server.send_waiting(place);
            }
            if event.is_readable() {
                server.read(place, event.is_read_closed());
            }
        }
        while let Some(place) = server.later.pop() {
            server.send_waiting(place);
        }
    }
}

impl Server {
    fn accept(&mut self) -> io::Result<()> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let entry = self.connections.vacant_entry();
            let token = Token(entry.key());
            self.poll.registry().register(&mut stream, token, Interest::READABLE)?;
            entry.insert(Connection {
                stream,
                stage: Stage::Head,
                begun: Begun::Nothing,
                waiting: Vec::new(),
                is_registered_for_writing: false,
            });
        }
    }

    /// Reads until a read is short; until the end if the peer has ended.
    fn read(&mut self, place: usize, is_ended: bool) {
        let mut buffer = std::mem::take(&mut self.buffer);
        while let Some(connection) = self.connections.get_mut(place) {
            let begun = std::mem::take(&mut connection.begun);
            match connection.read(begun, &mut buffer) {
                Ok(Got { len: 0, .. }) => self.drop(place),
                Ok(Got { whole, len, offered, here }) => {
                    if let Some(mut frame) = whole {
                        self.frames(place, &mut frame.0[..frame.1]);
                        self.spares.push(frame.0);
                    }
                    self.received(place, &mut buffer[..here]);
                    if len < offered && !is_ended {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.drop(place),
            }
        }
        self.buffer = buffer;
    }

    fn received(&mut self, place: usize, bytes: &mut [u8]) {
        let Some(connection) = self.connections.get_mut(place) else { return };
        let used = match connection.stage {
            Stage::Head => match bytes.windows(4).rposition(|end| end == handshake::HEAD_END) {
                Some(end) => self.open(place, &bytes[..end + handshake::HEAD_END.len()]),
                None => 0,
            },
            _ => self.frames(place, bytes),
        };
        let rest = &bytes[used..];
        if rest.is_empty() {
            return;
        }
        let begun = match Header::decode(rest) {
            Some(header) => {
                let len = header.frame_len();
                let mut bytes = self.spares.pop().unwrap_or_default();
                if bytes.len() < len {
                    bytes.resize(len, 0);
                }
                bytes[..rest.len()].copy_from_slice(rest);
                Begun::Frame { bytes, have: rest.len(), len }
            }
            None => Begun::Start(rest.to_vec()),
        };
        if let Some(connection) = self.connections.get_mut(place) {
            connection.begun = begun;
        }
    }

    /// Answers a request, which is the only thing that its connection has said so far.
    fn open(&mut self, place: usize, head: &[u8]) -> usize {
        let mut answer = Vec::with_capacity(256);
        if !handshake::answer(head, &mut answer) {
            self.drop(place);
            return head.len();
        }
        let path = str::from_utf8(handshake::path(head)).unwrap_or_default();
        let stage = if let Some(user) = path.strip_prefix("/u/").and_then(|user| user.parse().ok())
        {
            if self.users.len() <= user {
                self.users.resize_with(user + 1, Vec::new);
            }
            self.users[user].push(place);
            Stage::User
        } else if path == "/all" {
            self.everybody.push(place);
            Stage::Everybody
        } else {
            Stage::Echo
        };
        self.connections[place].stage = stage;
        self.send(place, &answer);
        head.len()
    }

    /// Answers all frames that are whole; tells how many bytes they are.
    fn frames(&mut self, place: usize, bytes: &mut [u8]) -> usize {
        let mut answers = std::mem::take(&mut self.answers);
        answers.clear();
        let mut used = 0;
        let mut close = None;
        while let Some(header) = Header::decode(&bytes[used..]) {
            let end = used + header.frame_len();
            if end > bytes.len() {
                break;
            }
            let payload = used + header.header_len;
            if let Some(key) = header.key {
                frame::mask(&mut bytes[payload..end], key, 0);
            }
            let start =
                frame::put_server_header(&mut bytes[..payload], header.first, end - payload);
            used = end;
            match header.first {
                frame::TEXT | frame::BINARY => answers.push(start..end),
                frame::CLOSE => {
                    close = Some(start..end);
                    break;
                }
                _ => {}
            }
        }
        match self.connections[place].stage {
            _ if answers.is_empty() => {}
            Stage::Head | Stage::Echo => self.echo(place, bytes, &answers),
            Stage::Everybody => {
                let all = moved_together(bytes, &answers);
                let everybody = std::mem::take(&mut self.everybody);
                for &recipient in &everybody {
                    self.send(recipient, all);
                }
                self.everybody = everybody;
            }
            Stage::User => {
                for answer in &answers {
                    self.tell_user(&mut bytes[answer.clone()]);
                }
            }
        }
        self.answers = answers;
        if let Some(close) = close {
            self.connections[place].waiting.extend_from_slice(&bytes[close]);
            self.send_waiting(place);
            self.drop(place);
        }
        used
    }

    fn echo(&mut self, place: usize, bytes: &mut [u8], answers: &[Range<usize>]) {
        let len: usize = answers.iter().map(Range::len).sum();
        if len <= LATER_BYTES_MAX {
            let connection = &mut self.connections[place];
            if connection.waiting.is_empty() {
                self.later.push(place);
            }
            for answer in answers {
                connection.waiting.extend_from_slice(&bytes[answer.clone()]);
            }
            return;
        }
        match answers {
            [only] => self.send(place, &bytes[only.clone()]),
            [first, ..] if first.len() <= MOVED_BYTES_MAX => {
                self.send(place, moved_together(bytes, answers));
            }
            _ => {
                for some in answers.chunks(SLICES_MAX) {
                    self.send_gathered(place, bytes, some);
                }
            }
        }
    }

    /// `frame` is `K BODY` behind a header of its own.
    fn tell_user(&mut self, frame: &mut [u8]) {
        let Some(header) = Header::decode(frame) else { return };
        let text = &frame[header.header_len..];
        let Some(space) = memchr::memchr(b' ', text) else { return };
        let user = str::from_utf8(&text[..space]).ok();
        let Some(user) = user.and_then(|user| user.parse::<usize>().ok()) else { return };
        let body = header.header_len + space + 1;
        let body_len = frame.len() - body;
        let start = frame::put_server_header(&mut frame[..body], header.first, body_len);
        let users = std::mem::take(&mut self.users);
        for &recipient in users.get(user).into_iter().flatten() {
            self.send(recipient, &frame[start..]);
        }
        self.users = users;
    }

    fn send(&mut self, place: usize, bytes: &[u8]) {
        let Some(connection) = self.connections.get_mut(place) else { return };
        let sent =
            if connection.waiting.is_empty() { connection.stream.write(bytes) } else { Ok(0) };
        let sent = sent_or_none(sent);
        if sent < bytes.len() {
            connection.waiting.extend_from_slice(&bytes[sent..]);
            self.wait_for_room(place);
        }
    }

    fn send_gathered(&mut self, place: usize, bytes: &[u8], frames: &[Range<usize>]) {
        let Some(connection) = self.connections.get_mut(place) else { return };
        let mut sent = 0;
        if connection.waiting.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            for (slice, frame) in slices.iter_mut().zip(frames) {
                *slice = IoSlice::new(&bytes[frame.clone()]);
            }
            sent = sent_or_none(connection.stream.write_vectored(&slices[..frames.len()]));
        }
        for frame in frames {
            let gone = sent.min(frame.len());
            sent -= gone;
            connection.waiting.extend_from_slice(&bytes[frame.start + gone..frame.end]);
        }
        if !connection.waiting.is_empty() {
            self.wait_for_room(place);
        }
    }

    fn send_waiting(&mut self, place: usize) {
        let Some(connection) = self.connections.get_mut(place) else { return };
        if connection.waiting.is_empty() {
            return;
        }
        let sent = sent_or_none(connection.stream.write(&connection.waiting));
        connection.waiting.drain(..sent);
        if !connection.waiting.is_empty() {
            self.wait_for_room(place);
        }
    }

    /// Lets the system tell when it takes more. An error is heard when it is read.
    fn wait_for_room(&mut self, place: usize) {
        let connection = &mut self.connections[place];
        if !std::mem::replace(&mut connection.is_registered_for_writing, true) {
            let both = Interest::READABLE | Interest::WRITABLE;
            let registry = self.poll.registry();
            let _ = registry.reregister(&mut connection.stream, Token(place), both);
        }
    }

    fn drop(&mut self, place: usize) {
        match self.connections.remove(place).stage {
            Stage::Head | Stage::Echo => {}
            Stage::Everybody => self.everybody.retain(|&other| other != place),
            Stage::User => {
                self.users.iter_mut().for_each(|user| user.retain(|&other| other != place));
            }
        }
    }
}

/// What a read has brought.
struct Got {
    /// The frame that had begun, now whole: its buffer, and its length.
    whole: Option<(Vec<u8>, usize)>,
    /// Bytes that came, and how many could have.
    len: usize,
    offered: usize,
    /// Bytes that are in the shared buffer.
    here: usize,
}

impl Connection {
    /// Reads once: the rest of a frame that has begun to where its beginning is, what follows it to
    /// the shared buffer.
    fn read(&mut self, begun: Begun, buffer: &mut [u8]) -> io::Result<Got> {
        let room = buffer.len();
        match begun {
            Begun::Nothing => {
                let len = self.stream.read(buffer)?;
                Ok(Got { whole: None, len, offered: room, here: len })
            }
            Begun::Start(start) => {
                buffer[..start.len()].copy_from_slice(&start);
                let read = self.stream.read(&mut buffer[start.len()..]);
                let len = match read {
                    Ok(len) => len,
                    Err(error) => {
                        self.begun = Begun::Start(start);
                        return Err(error);
                    }
                };
                let here = start.len() + len;
                Ok(Got { whole: None, len, offered: room - start.len(), here })
            }
            Begun::Frame { mut bytes, have, len: frame_len } => {
                let missing = frame_len - have;
                let rest = IoSliceMut::new(&mut bytes[have..frame_len]);
                let read = self.stream.read_vectored(&mut [rest, IoSliceMut::new(buffer)]);
                let len = *read.as_ref().unwrap_or(&0);
                let whole = if len >= missing {
                    Some((bytes, frame_len))
                } else {
                    self.begun = Begun::Frame { bytes, have: have + len, len: frame_len };
                    None
                };
                read?;
                let here = len.saturating_sub(missing);
                Ok(Got { whole, len, offered: missing + room, here })
            }
        }
    }
}

/// Moves frames that lie apart (by what a client's header is longer) to where the first begins.
fn moved_together<'b>(bytes: &'b mut [u8], frames: &[Range<usize>]) -> &'b [u8] {
    let start = frames[0].start;
    let mut end = frames[0].end;
    for frame in &frames[1..] {
        bytes.copy_within(frame.clone(), end);
        end += frame.len();
    }
    &bytes[start..end]
}

fn sent_or_none(sent: io::Result<usize>) -> usize {
    sent.unwrap_or(0)
}
