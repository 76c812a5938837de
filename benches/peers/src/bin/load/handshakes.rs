//! Connections that are opened and closed in order: request, answer, Close, Close, and the server
//! ends the TCP connection (RFC 6455 §7.1.1).

use crate::{Done, Fallible, PATIENCE, content};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use parlor_peers::latency::Latency;
use parlor_peers::{frame, handshake};
use socket2::{Domain, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

const NORMAL: [u8; 2] = 1_000_u16.to_be_bytes();

pub(crate) struct Handshakes {
    poll: Poll,
    address: SocketAddr,
    request: Vec<u8>,
    close: Vec<u8>,
    places: Vec<Option<Visit>>,
    visits: u32,
    count: u64,
    latency: Latency,
}

/// One connection.
struct Visit {
    stream: TcpStream,
    stage: Stage,
    received: Vec<u8>,
    began: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Connecting,
    Asked,
    Closing,
    Closed,
}

impl Handshakes {
    pub(crate) fn new(address: SocketAddr, at_once: usize) -> Fallible<Handshakes> {
        Ok(Handshakes {
            poll: Poll::new()?,
            address,
            request: handshake::request(&address.to_string(), "/echo", false),
            close: content::control_frame(frame::CLOSE, &NORMAL),
            places: (0..at_once).map(|_| None).collect(),
            visits: 0,
            count: 0,
            latency: Latency::default(),
        })
    }

    pub(crate) fn work(&mut self, time: Duration) -> Fallible<Done> {
        let start = Instant::now();
        self.count = 0;
        self.latency = Latency::default();
        for place in 0..self.places.len() {
            self.begin(place)?;
        }
        let mut events = Events::with_capacity(self.places.len());
        while self.places.iter().any(Option::is_some) {
            self.poll.poll(&mut events, Some(PATIENCE))?;
            if events.is_empty() {
                return Err(format!("handshakes do not go on: {:?}", self.stages()).into());
            }
            for event in &events {
                let Token(place) = event.token();
                if self.go_on(place)? && start.elapsed() < time {
                    self.begin(place)?;
                }
            }
        }
        Ok(Done { count: self.count, time: start.elapsed(), latency: self.latency.clone() })
    }

    fn begin(&mut self, place: usize) -> Fallible<()> {
        let socket = Socket::new(Domain::for_address(self.address), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if self.address.ip() == Ipv4Addr::LOCALHOST {
            // From many addresses, so that no pair of ports is used again while the server's end
            // of it still waits (TIME_WAIT).
            let source = Ipv4Addr::from_bits(Ipv4Addr::LOCALHOST.to_bits() + 1 + self.visits % 200);
            socket.bind(&SocketAddr::from((source, 0)).into())?;
        }
        self.visits = self.visits.wrapping_add(1);
        match socket.connect(&self.address.into()) {
            Err(error)
                if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) =>
            {
                return Err(error.into());
            }
            _ => {}
        }
        let mut stream = TcpStream::from_std(socket.into());
        let both = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, Token(place), both)?;
        let (stage, received, began) = (Stage::Connecting, Vec::new(), Instant::now());
        self.places[place] = Some(Visit { stream, stage, received, began });
        Ok(())
    }

    /// Does what can be done; tells whether the visit is over.
    fn go_on(&mut self, place: usize) -> Fallible<bool> {
        let Some(visit) = &mut self.places[place] else { return Ok(false) };
        if visit.stage == Stage::Connecting {
            match visit.stream.write(&self.request) {
                Ok(len) if len == self.request.len() => visit.stage = Stage::Asked,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::NotConnected => return Ok(false),
                Ok(_) => return Err("a request was not taken at once".into()),
                Err(error) => return Err(error.into()),
            }
        }
        let mut buffer = [0; 1_024];
        loop {
            match visit.stream.read(&mut buffer) {
                Ok(0) if visit.stage == Stage::Closed => break,
                Ok(0) => return Err(format!("the server has hung up: {:?}", visit.stage).into()),
                Ok(len) => visit.received.extend_from_slice(&buffer[..len]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error.into()),
            }
            if visit.stage == Stage::Asked
                && let Some(accepted) = handshake::accepted(&visit.received)?
            {
                visit.received.drain(..accepted.head_len);
                visit.stream.write_all(&self.close)?;
                visit.stage = Stage::Closing;
            }
            if visit.stage == Stage::Closing && visit.received.len() >= 4 {
                if visit.received != [frame::CLOSE, 2, NORMAL[0], NORMAL[1]] {
                    return Err(format!("no Close with 1000: {:02x?}", visit.received).into());
                }
                visit.stage = Stage::Closed;
            }
        }
        self.latency.note(visit.began.elapsed());
        self.count += 1;
        self.places[place] = None;
        Ok(true)
    }

    fn stages(&self) -> Vec<Stage> {
        self.places.iter().flatten().map(|visit| visit.stage).collect()
    }
}
