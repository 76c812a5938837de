//! One connection through the tap: its client, the link to the upstream, and the bytes between them.

use super::faults::{FaultPlan, LANE_BYTES_MAX, Lane};
use super::item::{TapPart, TapWhat};
use super::record::Recording;
use super::sighting::TapSighting;
use super::watch::WireWatch;
use crate::base::{ConnId, Moment};
use crate::client::net::byte_link::{ByteLink, LinkChange, push};
use crate::protocol::Role;
use crate::reactor::{CloseCause, Io};

/// Bytes that wait in the outbox of a receiver before more wait in their lane.
pub(super) const OUT_BYTES_MAX: usize = 256 * 1024;
/// How long an end that the tap cuts may still send.
const CUT_MS: u64 = 1_000;

/// A connection.
#[derive(Debug)]
pub(super) struct Tapped {
    pub(super) begun: Moment,
    client: Option<ConnId>,
    pub(super) link: ByteLink,
    from_client: Way,
    from_server: Way,
    pub(super) watch: WireWatch,
    pub(super) recording: Option<Recording>,
    sightings: Vec<TapSighting>,
    is_ending: bool,
}

/// The bytes of one end, on their way to the other.
#[derive(Debug)]
struct Way {
    lane: Lane,
    /// Why their sender is gone altogether.
    sender_gone: Option<CloseCause>,
    passed: PassedEnd,
}

/// What the receiver knows of the sender's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PassedEnd {
    Nothing,
    /// That it sends nothing more.
    Sending,
    /// That it is gone.
    Connection,
}

impl Way {
    fn new(plan: &FaultPlan, conn: u32, from: Role, now: Moment) -> Way {
        let lane = plan.lane(conn, from, now);
        Way { lane, sender_gone: None, passed: PassedEnd::Nothing }
    }
}

impl Tapped {
    pub(super) fn new(
        (number, client): (u32, ConnId),
        link: ByteLink,
        plan: &FaultPlan,
        watch: WireWatch,
        now: Moment,
    ) -> Tapped {
        Tapped {
            begun: now,
            client: Some(client),
            link,
            from_client: Way::new(plan, number, Role::Client, now),
            from_server: Way::new(plan, number, Role::Server, now),
            watch,
            recording: None,
            sightings: Vec::new(),
            is_ending: false,
        }
    }

    /// What there is to tell since the last call.
    pub(super) fn take_sightings(&mut self) -> Vec<TapSighting> {
        std::mem::take(&mut self.sightings)
    }

    pub(super) fn tell(&mut self, from: Role, what: TapWhat) {
        let parts: Vec<TapPart> = Vec::new();
        self.sightings.push(TapSighting { from, what, parts, has_match: false });
    }

    fn way(&mut self, from: Role) -> &mut Way {
        match from {
            Role::Client => &mut self.from_client,
            Role::Server => &mut self.from_server,
        }
    }

    pub(super) fn lane(&mut self, from: Role) -> &mut Lane {
        &mut self.way(from).lane
    }

    /// Both ends are gone.
    pub(super) fn is_over(&self) -> bool {
        self.client.is_none() && self.link.is_over()
    }

    // --- What happens to it ---

    /// Bytes of one end have come.
    pub(super) fn came(&mut self, io: &mut Io, from: Role, bytes: &[u8]) {
        if bytes.is_empty() || self.is_ending {
            return;
        }
        let inflated = self.watch.inflates();
        let passed = self.watch.saw(from, bytes);
        self.sightings.append(&mut self.watch.take_seen());
        if let Some(recording) = &mut self.recording {
            let mut recorded = recording.add(from, bytes);
            if self.watch.inflates() && !inflated {
                recorded = recorded.and_then(|()| recording.set_inflates());
            }
            if let Err(error) = recorded {
                self.recording = None;
                self.tell(from, TapWhat::Remark(format!("it is not recorded any more: {error}")));
            }
        }
        let now = io.now();
        let mut told = Vec::new();
        let lane = self.lane(from);
        lane.take(now, passed.bytes, passed.frames_from, &mut |what| told.push(what));
        self.tell_faults(from, told);
    }

    fn tell_faults(&mut self, from: Role, told: Vec<String>) {
        for what in told {
            self.tell(from, TapWhat::Fault(what));
        }
    }

    /// One end has sent its last byte.
    pub(super) fn ended(&mut self, from: Role) {
        self.watch.ended(from);
        self.sightings.append(&mut self.watch.take_seen());
        self.lane(from).end();
    }

    /// The client's connection is over.
    pub(super) fn client_closed(&mut self, io: &mut Io, cause: CloseCause) {
        self.client = None;
        self.sender_closed(Role::Client, cause);
        if !self.link.is_ready() {
            self.link.cut(io);
        }
    }

    /// Something has become of the link to the upstream; `upstream` is its name.
    pub(super) fn link_changed(&mut self, io: &mut Io, change: LinkChange, upstream: &str) {
        match change {
            LinkChange::None => {}
            LinkChange::Ready => {
                if let Some(conn) = self.link.conn() {
                    io.set_deadline(conn, Moment::NEVER);
                }
            }
            LinkChange::HostEnded => self.ended(Role::Server),
            LinkChange::Over(cause) => self.sender_closed(Role::Server, cause),
            LinkChange::NotConnected(why) => self.not_connected(io, upstream, &why),
            LinkChange::Broken(why) => {
                self.tell(Role::Server, TapWhat::Remark(format!("{upstream}: {why}")));
                self.link.cut(io);
            }
        }
    }

    fn sender_closed(&mut self, from: Role, cause: CloseCause) {
        self.ended(from);
        self.way(from).sender_gone = Some(cause);
        // What the other end says reaches nobody.
        let other = match from {
            Role::Client => Role::Server,
            Role::Server => Role::Client,
        };
        self.lane(other).discard();
    }

    /// Nobody is there: the client is answered in the upstream's place.
    fn not_connected(&mut self, io: &mut Io, upstream: &str, why: &str) {
        self.link.cut(io);
        self.tell(Role::Server, TapWhat::Remark(format!("{upstream}: {why}")));
        self.is_ending = true;
        self.from_client.lane.discard();
        if let Some(client) = self.client {
            let body = format!("parlor tap: {upstream}: {why}\n");
            let head = format!(
                "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain; charset=utf-8\r\n\
                 Content-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            push(io, client, &[head, body].concat().into_bytes());
            io.end(client);
        }
    }

    // --- What passes ---

    /// Passes on what may pass now. Returns when it is to be asked again.
    pub(super) fn pump(&mut self, io: &mut Io) -> Moment {
        if self.is_ending {
            return Moment::NEVER;
        }
        let mut next = self.link.next_at();
        for from in [Role::Client, Role::Server] {
            self.pump_from(io, from);
            if self.is_ending {
                return Moment::NEVER;
            }
            next = next.min(self.lane(from).next_at(io.now()));
        }
        next
    }

    fn pump_from(&mut self, io: &mut Io, from: Role) {
        let now = io.now();
        let mut told = Vec::new();
        let receiver = match from {
            Role::Client => self.link.conn().filter(|_| self.link.is_ready()),
            Role::Server => self.client,
        };
        while let Some(receiver) = receiver {
            let waiting = io.outbox_bytes(receiver);
            if waiting >= OUT_BYTES_MAX {
                io.tell_drained(receiver);
                break;
            }
            let room = OUT_BYTES_MAX - waiting;
            let bytes = self.lane(from).release(now, room, &mut |what| told.push(what));
            if bytes.is_empty() {
                break;
            }
            match from {
                Role::Client => self.link.push(io, &bytes),
                Role::Server => push(io, receiver, &bytes),
            }
        }
        let is_cut = self.lane(from).cuts(now, &mut |what| told.push(what));
        self.tell_faults(from, told);
        if is_cut {
            return self.cut(io);
        }
        let way = self.way(from);
        let gone = way.sender_gone;
        let end = if gone.is_some() { PassedEnd::Connection } else { PassedEnd::Sending };
        let is_over = way.lane.is_over(now) && way.passed != end;
        let is_full = way.lane.waiting_bytes() >= LANE_BYTES_MAX;
        if is_over && let Some(receiver) = receiver {
            self.way(from).passed = end;
            self.pass_end(io, from, receiver, gone);
        }
        let sender = match from {
            Role::Client => self.client,
            Role::Server => self.link.conn(),
        };
        if let Some(sender) = sender {
            if is_full { io.pause(sender) } else { io.resume(sender) }
        }
    }

    /// The sender has ended, or is gone: so does the receiver see it.
    fn pass_end(&mut self, io: &mut Io, from: Role, receiver: ConnId, gone: Option<CloseCause>) {
        match (gone, from) {
            (None, Role::Client) => self.link.end_sending(io),
            (None, Role::Server) => io.end_sending(receiver),
            (Some(CloseCause::PeerClosed | CloseCause::Ended), Role::Client) => {
                self.link.end_sending(io);
                io.end(receiver);
            }
            (Some(CloseCause::PeerClosed | CloseCause::Ended), Role::Server) => io.end(receiver),
            (Some(_), _) => io.cut(receiver),
        }
    }

    /// Both ends see the end, after what has passed.
    fn cut(&mut self, io: &mut Io) {
        self.is_ending = true;
        let deadline = io.now().plus_millis(CUT_MS);
        for conn in self.client.into_iter().chain(self.link.conn()) {
            io.end_by(conn, deadline);
        }
        if !self.link.is_ready() {
            self.link.cut(io);
        }
    }
}
