//! The reactor on real sockets, with plain `std` sockets at the other end.

use parlor::base::limits::{
    DRAIN_BYTES_PER_PERIOD, DRAIN_BYTES_PER_TURN, DRAIN_PERIOD_MS, DRAIN_READ_BYTES,
};
use parlor::base::outbox::NO_SOURCE;
use parlor::base::{Class, ConnId, Frame, Limits, Moment, Timestamp};
use parlor::reactor::simulated::SimulatedReactor;
use parlor::reactor::{
    CloseCause, Handler, Io, ListeningSocket, Plain, Reactor, ReactorConfig, ReactorListener,
    ReactorSeat, Wake,
};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const WAIT: Duration = Duration::from_secs(10);

/// What the handler saw.
#[derive(Debug, PartialEq)]
enum Seen {
    Opened(ConnId),
    Received(ConnId, usize),
    Deadline(ConnId),
    Closed(ConnId, CloseCause),
}

/// Does what the bytes say: `e…` echo, `b` boom, `x` end with a goodbye and leave the rest unread,
/// `c` cut, `h` let the directions end one by one, `f` end this one first, `d` deadline in 100 ms, `p` pause for good, `s` stop.
struct Obedient {
    seen: Sender<Seen>,
    told: Sender<usize>,
}

impl Handler for Obedient {
    fn opened(&mut self, _: &mut Io, conn: ConnId, _: SocketAddr) {
        let _ = self.seen.send(Seen::Opened(conn));
    }

    fn received(&mut self, io: &mut Io, conn: ConnId, bytes: &mut [u8]) -> usize {
        let _ = self.seen.send(Seen::Received(conn, bytes.len()));
        if !io.may_read(conn) {
            return 0;
        }
        match bytes[0] {
            b'b' => panic!("a fault in one connection"),
            b'x' => {
                let goodbye = Frame::Own(vec![b'.'; 100_000].into());
                io.push(conn, goodbye, Class::Control, NO_SOURCE).unwrap();
                io.end(conn);
            }
            b'c' => io.cut(conn),
            b'd' => io.set_deadline(conn, io.now().plus_millis(100)),
            b'h' => io.keep_halves(conn),
            b'f' => {
                io.keep_halves(conn);
                io.end_sending(conn);
            }
            b'p' => io.pause(conn),
            b's' => io.stop_by(io.now().plus_millis(2_000)),
            _ => {
                let _ = io.push(conn, Frame::Own((&*bytes).into()), Class::Reply, NO_SOURCE);
            }
        }
        bytes.len()
    }

    fn peer_ended(&mut self, io: &mut Io, conn: ConnId) {
        let last = Frame::Own(vec![b'l'; 1_000_000].into());
        let _ = io.push(conn, last, Class::Reply, NO_SOURCE);
        io.end_sending(conn);
    }

    fn deadline(&mut self, _: &mut Io, conn: ConnId) {
        let _ = self.seen.send(Seen::Deadline(conn));
    }

    fn closed(&mut self, _: &mut Io, conn: ConnId, cause: CloseCause) {
        let _ = self.seen.send(Seen::Closed(conn, cause));
    }

    fn woken(&mut self, io: &mut Io) {
        let _ = self.told.send(io.connections());
        io.wake_at(io.now().plus_millis(50));
    }

    fn timer_fired(&mut self, io: &mut Io) {
        let _ = self.told.send(1_000_000 + io.waiting_bytes());
    }
}

struct Running {
    address: SocketAddr,
    seen: Receiver<Seen>,
    told: Receiver<usize>,
    wake: Wake,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start(limits: Limits) -> Running {
        let (seen, to_test) = channel();
        let (told, numbers) = channel();
        let (ready, is_ready) = channel();
        let thread = std::thread::spawn(move || {
            let listen = "127.0.0.1:0".parse().unwrap();
            let mut reactor = Reactor::bind(&ReactorConfig { listen, limits }).unwrap();
            ready.send((reactor.local_addr().unwrap(), reactor.wake())).unwrap();
            reactor.run(&mut Obedient { seen, told }).unwrap();
        });
        let (address, wake) = is_ready.recv().unwrap();
        Running { address, seen: to_test, told: numbers, wake, thread: Some(thread) }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(WAIT)).unwrap();
        stream
    }

    fn opened(&self) -> ConnId {
        loop {
            if let Seen::Opened(conn) = self.next() {
                return conn;
            }
        }
    }

    fn next(&self) -> Seen {
        self.seen.recv_timeout(WAIT).expect("the handler is called within the time")
    }

    fn closed(&self) -> (ConnId, CloseCause) {
        loop {
            if let Seen::Closed(conn, cause) = self.next() {
                return (conn, cause);
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        while !thread.is_finished()
            && let Ok(mut stream) = TcpStream::connect(self.address)
        {
            let _ = stream.write_all(b"s");
            let _ = stream.shutdown(Shutdown::Write);
            // It has heard that, or this was one connection too many.
            let _ = stream.set_read_timeout(Some(WAIT));
            let _ = stream.read_to_end(&mut Vec::new());
        }
        let _ = thread.join();
    }
}

fn echoes(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).unwrap();
    let mut back = vec![0; bytes.len()];
    stream.read_exact(&mut back).unwrap();
    assert_eq!(back, bytes);
}

#[test]
fn a_peer_that_has_sent_its_last_byte_is_sent_what_follows() {
    let server = Running::start(Limits::default());
    let mut stream = server.connect();
    let conn = server.opened();
    stream.write_all(b"h").unwrap();
    while server.next() != Seen::Received(conn, 1) {}
    echoes(&mut stream, b"echo");
    stream.shutdown(Shutdown::Write).unwrap();
    let mut last = Vec::new();
    stream.read_to_end(&mut last).unwrap();
    assert!(last.len() == 1_000_000 && last.iter().all(|byte| *byte == b'l'));
    assert_eq!(server.closed(), (conn, CloseCause::PeerClosed));
}

#[test]
fn a_peer_that_was_sent_the_last_byte_is_read_until_its_own() {
    let server = Running::start(Limits::default());
    let mut stream = server.connect();
    let conn = server.opened();
    stream.write_all(b"f").unwrap();
    assert_eq!(stream.read(&mut [0; 10]).unwrap(), 0);
    stream.write_all(b"d").unwrap();
    while server.next() != Seen::Deadline(conn) {}
    drop(stream);
    assert_eq!(server.closed(), (conn, CloseCause::PeerClosed));
}

#[test]
fn every_connection_is_opened_and_closed_once_and_says_why() {
    let server = Running::start(Limits::default());
    let stream = server.connect();
    let conn = server.opened();
    drop(stream);
    assert_eq!(server.closed(), (conn, CloseCause::PeerClosed));

    let mut stream = server.connect();
    let next = server.opened();
    assert_eq!(next.index(), conn.index(), "the place is used again");
    assert_ne!(next.generation(), conn.generation());
    stream.write_all(b"c").unwrap();
    assert_eq!(server.closed(), (next, CloseCause::Cut));
    assert_eq!(stream.read(&mut [0; 8]).unwrap_or(0), 0);
}

#[test]
fn a_fault_in_one_connection_never_reaches_another() {
    let server = Running::start(Limits::default());
    let (mut good, mut bad) = (server.connect(), server.connect());
    echoes(&mut good, b"echo before");
    bad.write_all(b"boom").unwrap();
    let (_, cause) = server.closed();
    assert_eq!(cause, CloseCause::Cut);
    echoes(&mut good, b"echo after");
}

#[test]
fn one_connection_too_many_is_cut_and_leaves_room_when_another_has_gone() {
    let running = Running::start(Limits { connections: 1, ..Limits::default() });
    let mut first = running.connect();
    echoes(&mut first, b"e");
    let one = running.opened();
    let mut beyond = running.connect();
    // The end, or a reset.
    assert!(!matches!(beyond.read(&mut [0]), Ok(1..)));
    let (two, cause) = running.closed();
    assert!(two != one && cause == CloseCause::Cut, "{cause:?}");
    echoes(&mut first, b"e");
    first.write_all(b"c").unwrap();
    assert_eq!(running.closed().0, one);
    echoes(&mut running.connect(), b"e");
}

#[test]
fn the_last_bytes_are_not_lost_to_a_reset_when_input_is_left_unread() {
    let server = Running::start(Limits::default());
    let mut stream = server.connect();
    // Much more than is ever read: closing the socket at once would reset the connection.
    stream.write_all(&[&b"x"[..], &[0; 600_000]].concat()).unwrap();
    let mut goodbye = Vec::new();
    stream.read_to_end(&mut goodbye).expect("an end, and no reset");
    assert_eq!(goodbye.len(), 100_000);
    drop(stream);
    assert_eq!(server.closed().1, CloseCause::Ended);
}

#[test]
fn an_end_does_not_wait_for_ever_for_the_peer() {
    let limits = Limits { closing_timeout_ms: 200, ..Limits::default() };
    let server = Running::start(limits);
    let mut stream = server.connect();
    stream.write_all(b"x").unwrap();
    let start = Instant::now();
    assert_eq!(server.closed().1, CloseCause::Ended);
    assert!(start.elapsed() >= Duration::from_millis(150), "the peer had its time");
}

#[test]
fn those_who_were_ended_and_send_on_are_read_at_a_pace_that_they_share() {
    const CONNECTIONS: usize = 40;
    let limits = Limits { closing_timeout_ms: 60_000, ..Limits::default() };
    let begin = Moment::ZERO.plus_millis(1_000);
    let mut reactor = SimulatedReactor::new(&limits, begin, Timestamp(1));
    let mut handler = Obedient { seen: channel().0, told: channel().0 };
    let peer = SocketAddr::from(([127, 0, 0, 1], 1));
    let all: Vec<ConnId> =
        (0..CONNECTIONS).map(|_| reactor.connect(&mut handler, peer, usize::MAX)).collect();
    let flood = vec![b'x'; 1024 * 1024];
    for conn in &all {
        reactor.arrive(*conn, b"x");
    }
    reactor.turn(&mut handler);
    for conn in &all {
        reactor.arrive(*conn, &flood);
    }
    let mut run_until = |moment: Moment| {
        while reactor.next_turn() < moment {
            let now = reactor.next_turn();
            reactor.set_time(now, Timestamp(1));
            let before = reactor.io().counters().bytes_received;
            reactor.turn(&mut handler);
            let in_turn = reactor.io().counters().bytes_received - before;
            assert!(in_turn <= DRAIN_BYTES_PER_TURN as u64, "{in_turn} in a turn");
        }
        all.iter().map(|conn| reactor.io().bytes_each_way(*conn).0).collect::<Vec<_>>()
    };
    let read = run_until(begin.plus_millis(960));
    let periods = 960 / DRAIN_PERIOD_MS + 1;
    let most = periods * (DRAIN_BYTES_PER_PERIOD + DRAIN_READ_BYTES) as u64;
    let sum: u64 = read.iter().sum();
    assert!(sum <= most, "{sum} of at most {most}");
    assert!(sum >= most / 2, "{sum} of at most {most}");
    let (least, most) = (read.iter().min().unwrap(), read.iter().max().unwrap());
    assert!(most - least <= 2 * DRAIN_READ_BYTES as u64, "{least} to {most}");
    // All of it is read at last, and nobody reset in the middle of it.
    let read = run_until(begin.plus_millis(5_000));
    assert!(read.iter().all(|bytes| *bytes == 1 + flood.len() as u64), "{read:?}");
}

#[test]
fn a_peer_that_ends_its_direction_still_gets_what_waits() {
    let server = Running::start(Limits::default());
    let mut stream = server.connect();
    let bytes = vec![b'e'; 200_000];
    stream.write_all(&bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    assert_eq!(back.len(), bytes.len());
    assert_eq!(server.closed().1, CloseCause::PeerClosed);
}

#[test]
fn a_busy_connection_does_not_starve_the_others_and_nothing_of_it_is_forgotten() {
    let server = Running::start(Limits::default());
    let mut busy = server.connect();
    const BYTES: usize = 64 * 1024 * 1024;
    let mut writer = busy.try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        let chunk = vec![b'e'; 1024 * 1024];
        for _ in 0..BYTES / chunk.len() {
            writer.write_all(&chunk).unwrap();
        }
    });
    let reader = std::thread::spawn(move || {
        let mut left = BYTES;
        let mut buffer = vec![0; 1024 * 1024];
        while left > 0 {
            let len = busy.read(&mut buffer).unwrap();
            assert!(len > 0);
            left -= len;
        }
    });
    let mut quiet = server.connect();
    let mut rounds = 0;
    while !reader.is_finished() {
        echoes(&mut quiet, b"echo");
        rounds += 1;
    }
    assert!(rounds > 10, "the quiet one had {rounds} answers while the busy one had its own");
    sender.join().unwrap();
    reader.join().unwrap();
}

#[test]
fn a_connection_whose_outbox_is_full_is_not_read_and_goes_on_when_it_is_not() {
    let limits =
        Limits { outbox_bytes: 64 * 1024, outbox_low_bytes: 8 * 1024, ..Limits::default() };
    let server = Running::start(limits);
    let mut stream = server.connect();
    server.opened();
    const BYTES: usize = 32 * 1024 * 1024;
    let mut writer = stream.try_clone().unwrap();
    let sender = std::thread::spawn(move || writer.write_all(&vec![b'e'; BYTES]).unwrap());
    std::thread::sleep(Duration::from_millis(500));
    assert!(!sender.is_finished(), "all was taken although nothing was read back");
    let received: usize = server
        .seen
        .try_iter()
        .map(|seen| if let Seen::Received(_, len) = seen { len } else { 0 })
        .sum();
    assert!(received < BYTES, "the server has read on");
    let mut left = BYTES;
    let mut buffer = vec![0; 1024 * 1024];
    while left > 0 {
        left -= stream.read(&mut buffer).unwrap();
    }
    sender.join().unwrap();
}

#[test]
fn a_paused_connection_whose_peer_is_gone_is_found_out() {
    let server = Running::start(Limits::default());
    let mut stream = server.connect();
    stream.write_all(b"p").unwrap();
    let conn = server.opened();
    assert_eq!(server.next(), Seen::Received(conn, 1));
    // More that is never read, then a reset.
    stream.write_all(&[0; 100]).unwrap();
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
    assert_eq!(server.closed(), (conn, CloseCause::Failed));
}

#[test]
fn timers_fire_in_time_while_the_loop_is_never_idle() {
    let server = Running::start(Limits::default());
    let mut busy = server.connect();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = std::sync::Arc::clone(&stop);
    let load = std::thread::spawn(move || {
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            echoes(&mut busy, &[b'e'; 1_000]);
        }
    });
    let mut waiting: Vec<TcpStream> = (0..200).map(|_| server.connect()).collect();
    for stream in &mut waiting {
        stream.write_all(b"d").unwrap();
    }
    let start = Instant::now();
    let mut fired = 0;
    while fired < waiting.len() {
        if let Seen::Deadline(_) = server.next() {
            fired += 1;
        }
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    load.join().unwrap();
}

#[test]
fn another_thread_wakes_the_reactor_and_its_own_moment_comes() {
    let server = Running::start(Limits::default());
    let _one = server.connect();
    server.opened();
    server.wake.wake();
    assert_eq!(server.told.recv_timeout(WAIT), Ok(1));
    assert_eq!(server.told.recv_timeout(WAIT), Ok(1_000_000));
    server.wake.wake();
    assert_eq!(server.told.recv_timeout(WAIT), Ok(1));
}

#[test]
fn a_moment_is_a_number_that_a_simulator_can_make() {
    // The handler's view needs no socket.
    let mut io = Io::new(&Limits::default(), Moment::from_millis(7), parlor::base::Timestamp(0));
    let conn = io.open();
    assert_eq!((io.now().as_millis(), io.connections(), io.may_read(conn)), (7, 1, true));
}

/// Answers each byte with itself into the buffer that is lent, and tells everybody else with a
/// frame of theirs.
struct Mixed {
    open: Vec<ConnId>,
}

impl Handler for Mixed {
    fn opened(&mut self, _: &mut Io, conn: ConnId, _: SocketAddr) {
        self.open.push(conn);
    }

    fn received(&mut self, io: &mut Io, conn: ConnId, bytes: &mut [u8]) -> usize {
        for byte in &*bytes {
            // The same frames for all, so that what is joined for one is right for the next.
            let told = Frame::shared(vec![byte.to_ascii_uppercase()]);
            for &other in self.open.iter().filter(|other| **other != conn) {
                let _ = io.push(other, told.clone(), Class::Reply, NO_SOURCE);
            }
        }
        if bytes[0] == b's' {
            io.stop_by(io.now().plus_millis(2_000));
        }
        if let Some(out) = io.outbox(conn) {
            for byte in &*bytes {
                out.push_own(1, Class::Reply, |into| into.push(*byte));
            }
        }
        bytes.len()
    }

    fn closed(&mut self, _: &mut Io, conn: ConnId, _: CloseCause) {
        self.open.retain(|one| *one != conn);
    }
}

#[test]
fn answers_that_share_a_buffer_reach_whom_they_answer_and_nobody_else() {
    const CLIENTS: usize = 8;
    const ROUNDS: usize = 200;
    let (ready, is_ready) = channel();
    let thread = std::thread::spawn(move || {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let config = ReactorConfig { listen, limits: Limits::default() };
        let mut reactor = Reactor::bind(&config).unwrap();
        ready.send(reactor.local_addr().unwrap()).unwrap();
        reactor.run(&mut Mixed { open: Vec::new() }).unwrap();
    });
    let address = is_ready.recv().unwrap();
    let mut clients: Vec<TcpStream> = (0..CLIENTS)
        .map(|_| {
            let stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(WAIT)).unwrap();
            stream
        })
        .collect();
    // Everybody is there before anybody speaks.
    std::thread::sleep(Duration::from_millis(200));
    // Small answers, which are held, and some that are not.
    let say = |client: usize, round: usize| vec![b'a' + client as u8; 1 + round % 7 * 400];
    let said: usize = (0..ROUNDS).map(|round| say(0, round).len()).sum();
    let readers: Vec<_> = clients
        .iter()
        .map(|client| {
            let mut stream = client.try_clone().unwrap();
            std::thread::spawn(move || {
                let mut all = vec![0; said * CLIENTS];
                stream.read_exact(&mut all).unwrap();
                all
            })
        })
        .collect();
    for round in 0..ROUNDS {
        for (client, stream) in clients.iter_mut().enumerate() {
            stream.write_all(&say(client, round)).unwrap();
        }
    }
    for (client, reader) in readers.into_iter().enumerate() {
        let all = reader.join().unwrap();
        for other in 0..CLIENTS as u8 {
            let own = usize::from(other) == client;
            let letter = if own { b'a' + other } else { b'A' + other };
            let count = all.iter().filter(|byte| **byte == letter).count();
            assert_eq!(count, said, "of {} for {client}", letter as char);
        }
    }
    clients[0].write_all(b"s").unwrap();
    drop(clients);
    thread.join().unwrap();
}

/// Dials, and says what becomes of it; what it pushes at once leaves when it is connected.
struct Caller {
    to: Vec<SocketAddr>,
    seen: Sender<String>,
    cuts_at_once: bool,
}

impl Handler for Caller {
    fn opened(&mut self, _: &mut Io, _: ConnId, _: SocketAddr) {
        unreachable!("it has no listener");
    }

    fn connected(&mut self, _: &mut Io, _: ConnId) {
        self.seen.send("connected".into()).unwrap();
    }

    fn received(&mut self, io: &mut Io, conn: ConnId, bytes: &mut [u8]) -> usize {
        self.seen.send(String::from_utf8(bytes.to_vec()).unwrap()).unwrap();
        io.end(conn);
        bytes.len()
    }

    fn closed(&mut self, _: &mut Io, _: ConnId, cause: CloseCause) {
        self.seen.send(format!("{cause:?}")).unwrap();
    }

    fn woken(&mut self, io: &mut Io) {
        match self.to.pop() {
            None => io.stop_by(io.now().plus_millis(2_000)),
            Some(to) => {
                let conn = io.dial(to);
                io.push(conn, Frame::Own(b"hello"[..].into()), Class::Reply, NO_SOURCE).unwrap();
                if self.cuts_at_once {
                    io.cut(conn);
                }
            }
        }
    }
}

/// Runs a reactor that dials each of these when it is woken.
fn caller(to: Vec<SocketAddr>, cuts_at_once: bool) -> (Wake, Receiver<String>, JoinHandle<()>) {
    let (seen, said) = channel();
    let (made, waker) = channel();
    let thread = std::thread::spawn(move || {
        let limits = Limits::default();
        let mut reactor = Reactor::with(Vec::new(), &limits, parlor::reactor::Plain).unwrap();
        reactor.set_buffer_bytes(0);
        made.send(reactor.wake()).unwrap();
        reactor.run(&mut Caller { to, seen, cuts_at_once }).unwrap();
    });
    let wake = waker.recv().unwrap();
    (wake, said, thread)
}

#[test]
fn a_reactor_dials_and_sends_what_was_queued_before() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let free = {
        let bound = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        bound.local_addr().unwrap()
    };
    let (wake, said, thread) = caller(vec![free, listener.local_addr().unwrap()], false);
    wake.wake();
    let (mut peer, _) = listener.accept().unwrap();
    let mut bytes = [0; 5];
    peer.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"hello");
    assert_eq!(said.recv_timeout(WAIT).unwrap(), "connected");
    peer.write_all(b"to you").unwrap();
    assert_eq!(said.recv_timeout(WAIT).unwrap(), "to you");
    drop(peer);
    assert_eq!(said.recv_timeout(WAIT).unwrap(), "Ended");
    wake.wake();
    assert_eq!(said.recv_timeout(WAIT).unwrap(), "Unreachable(ConnectionRefused)");
    wake.wake();
    thread.join().unwrap();
    assert_eq!(said.try_iter().count(), 0, "each end is told once");
}

#[test]
fn what_is_dialled_and_cut_at_once_is_told_once() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (wake, said, thread) = caller(vec![listener.local_addr().unwrap()], true);
    wake.wake();
    assert_eq!(said.recv_timeout(WAIT).unwrap(), "Cut");
    wake.wake();
    thread.join().unwrap();
    assert_eq!(said.try_iter().count(), 0);
}

/// Answers with its number, and ends everything for `s`.
struct Numbered {
    number: usize,
    peers: Vec<Wake>,
    is_over: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl Handler for Numbered {
    fn opened(&mut self, _: &mut Io, conn: ConnId, _: SocketAddr) {
        assert_eq!(conn.reactor(), self.number, "its id names its reactor");
    }

    fn received(&mut self, io: &mut Io, conn: ConnId, bytes: &mut [u8]) -> usize {
        if bytes[0] == b's' {
            self.is_over.store(true, std::sync::atomic::Ordering::SeqCst);
            self.peers.iter().for_each(Wake::wake);
        } else {
            let said = vec![b'0' + self.number as u8];
            io.push(conn, Frame::Own(said.into()), Class::Reply, NO_SOURCE).unwrap();
        }
        bytes.len()
    }

    fn closed(&mut self, _: &mut Io, _: ConnId, _: CloseCause) {}

    fn woken(&mut self, io: &mut Io) {
        if self.is_over.load(std::sync::atomic::Ordering::SeqCst) {
            io.end_all_but(|_| false);
            io.stop_by(io.now().plus_millis(2_000));
        }
    }
}

#[test]
fn the_first_of_several_reactors_deals_connections_out_evenly_and_one_limit_holds() {
    const REACTORS: usize = 3;
    const CONNECTIONS: usize = 12;
    let limits = Limits { connections: CONNECTIONS as u32, ..Limits::default() };
    let mut seats = ReactorSeat::several(REACTORS, &limits, &[None]).unwrap();
    let peers: Vec<Wake> = seats.iter().map(ReactorSeat::wake).collect();
    let is_over = std::sync::Arc::default();
    let socket = ListeningSocket::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let mut listeners = vec![ReactorListener { socket, connections: None }];
    let threads: Vec<JoinHandle<()>> = seats
        .drain(..)
        .enumerate()
        .map(|(number, seat)| {
            let (listeners, limits) = (std::mem::take(&mut listeners), limits.clone());
            let (peers, is_over) = (peers.clone(), std::sync::Arc::clone(&is_over));
            std::thread::spawn(move || {
                let mut reactor = Reactor::at(seat, listeners, &limits, Plain).unwrap();
                reactor.run(&mut Numbered { number, peers, is_over }).unwrap();
            })
        })
        .collect();
    let asks = |stream: &mut TcpStream| {
        stream.set_read_timeout(Some(WAIT)).unwrap();
        stream.write_all(b"?").unwrap();
        let mut number = [0];
        // Nothing comes of one that is turned away.
        stream.read_exact(&mut number).map(|()| usize::from(number[0] - b'0'))
    };
    let mut streams = Vec::new();
    let mut each = [0; REACTORS];
    for _ in 0..CONNECTIONS {
        let mut stream = TcpStream::connect(address).unwrap();
        each[asks(&mut stream).unwrap()] += 1;
        streams.push(stream);
    }
    assert_eq!(each.iter().sum::<usize>(), CONNECTIONS);
    // What a reactor has it tells at the end of its turn: one may be dealt one more than its part.
    assert!(each.iter().all(|count| (3..=5).contains(count)), "{each:?}");
    asks(&mut TcpStream::connect(address).unwrap()).unwrap_err();
    // A place that is given back at one reactor is free at all.
    drop(streams.pop());
    let until = Instant::now() + WAIT;
    let mut last = loop {
        let mut stream = TcpStream::connect(address).unwrap();
        if asks(&mut stream).is_ok() {
            break stream;
        }
        assert!(Instant::now() < until, "no place is free");
    };
    last.write_all(b"s").unwrap();
    for thread in threads {
        thread.join().unwrap();
    }
}
