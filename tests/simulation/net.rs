//! The network between one client and the server: what is on its way in each direction.

use super::tls::ClientEnd;
use parlor::base::ConnId;
use parlor::protocol::{FrameHeader, Opcode};
use std::collections::VecDeque;

/// Something that is on its way.
#[derive(Debug)]
pub(crate) enum Parcel {
    Bytes(Vec<u8>),
    /// The sender sends nothing more.
    End,
    /// The connection is gone.
    Reset,
}

/// One direction.
#[derive(Debug, Default)]
pub(crate) struct Way {
    pub(crate) parcels: VecDeque<Parcel>,
    /// When the last of them arrives: none overtakes another.
    pub(crate) last_at: u64,
    /// Nothing arrives any more, and nobody is told.
    pub(crate) is_dead: bool,
    /// Behind so many bytes the connection is cut.
    pub(crate) cut_after: Option<usize>,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) client: usize,
    /// The hub to which it leads.
    pub(crate) hub: usize,
    /// The server's end, while it has one.
    pub(crate) conn: Option<ConnId>,
    /// Of which life of the server that is.
    pub(crate) life: u64,
    pub(crate) up: Way,
    pub(crate) down: Way,
    pub(crate) departures: Departures,
    /// The client's end, with TLS.
    pub(crate) tls: Option<Box<ClientEnd>>,
    /// The client has let go of it: what comes is nobody's.
    pub(crate) is_left: bool,
    pub(crate) server_has_ended: bool,
    /// The client reads nothing until then.
    pub(crate) paused_until: u64,
    pub(crate) is_cut: bool,
    /// What the client has sent reaches the server no sooner.
    pub(crate) late_until: u64,
}

impl Link {
    pub(crate) fn new(client: usize, hub: usize) -> Link {
        Link {
            client,
            hub,
            conn: None,
            life: 0,
            up: Way::default(),
            down: Way::default(),
            departures: Departures::default(),
            tls: None,
            is_left: false,
            server_has_ended: false,
            paused_until: 0,
            is_cut: false,
            late_until: 0,
        }
    }
}

/// In which turn of the server each of its messages began to leave.
#[derive(Debug, Default)]
pub(crate) struct Departures {
    /// The answer's head, until it is through; what follows is frames if it opens a WebSocket.
    head: Vec<u8>,
    is_open: bool,
    is_refused: bool,
    header: Vec<u8>,
    payload_left: u64,
    /// Of messages that the client has not read yet.
    pub(crate) turns: VecDeque<u64>,
    began: u64,
}

impl Departures {
    /// Takes note of bytes that leave.
    pub(crate) fn pass(&mut self, mut bytes: &[u8], turn: u64) {
        while !self.is_open {
            let Some((first, rest)) = bytes.split_first() else { return };
            bytes = rest;
            self.head.push(*first);
            self.is_open = self.head.ends_with(b"\r\n\r\n");
            self.is_refused = self.is_open && !self.head.starts_with(b"HTTP/1.1 101");
        }
        while !self.is_refused && !bytes.is_empty() {
            if self.payload_left > 0 {
                let here = bytes.len().min(self.payload_left as usize);
                self.payload_left -= here as u64;
                bytes = &bytes[here..];
                continue;
            }
            if self.header.is_empty() {
                self.began = turn;
            }
            self.header.push(bytes[0]);
            bytes = &bytes[1..];
            let header = FrameHeader::decode(&self.header).expect("the server sends frames");
            if let Some((header, _)) = header {
                self.header.clear();
                self.payload_left = header.payload_len;
                assert!(header.fin && header.mask.is_none(), "the server sends whole messages");
                if matches!(header.opcode, Opcode::Text | Opcode::Binary) {
                    self.turns.push_back(self.began);
                }
            }
        }
    }
}
