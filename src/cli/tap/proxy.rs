//! The tap as the reactor's handler: which connection belongs to what.

use super::faults::{FaultPlan, Reorder, ReorderTurn};
use super::item::{TapItem, TapWhat};
use super::page::TapPage;
use super::record::RecordPlan;
use super::show::{TapFilter, TapStyle};
use super::sighting::{TapSighting, WatchSettings};
use super::tapped::Tapped;
use super::watch::WireWatch;
use crate::base::{ConnId, ListenerId, Moment};
use crate::cli::print_while_read;
use crate::client::net::byte_link::{ByteLink, LinkChange, LinkTarget};
use crate::client::net::{Helpers, look_up};
use crate::protocol::Role;
use crate::reactor::{CloseCause, Handler, Io, Wake};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

/// How long the upstream may take to be connected, and to greet with TLS.
const CONNECT_MS: u64 = 10_000;

/// What a tap is told.
#[derive(Debug)]
pub(super) struct TapSettings {
    pub(super) target: Arc<LinkTarget>,
    /// The upstream, as it is named to people.
    pub(super) upstream: String,
    pub(super) watch: WatchSettings,
    pub(super) faults: FaultPlan,
    pub(super) record: RecordPlan,
    pub(super) filter: TapFilter,
    pub(super) style: TapStyle,
}

/// A connection of the reactor's, and whose it is.
#[derive(Clone, Copy, Debug)]
enum TapEnd {
    Client(u32),
    Upstream(u32),
    Page,
}

/// A proxy that shows what passes.
#[derive(Debug)]
pub(super) struct Tap {
    settings: TapSettings,
    ends: BTreeMap<ConnId, TapEnd>,
    tapped: BTreeMap<u32, Tapped>,
    last: u32,
    items: u64,
    reorder: Reorder,
    page: Option<TapPage>,
    helpers: Helpers,
    /// Connections that wait for the upstream's addresses: one looks them up for all.
    looking: Vec<u32>,
    tell_found: Sender<io::Result<Vec<SocketAddr>>>,
    found: Receiver<io::Result<Vec<SocketAddr>>>,
    wake: Wake,
    stops: Arc<AtomicBool>,
    /// Why its output ended.
    failed: Option<String>,
}

impl Tap {
    /// A tap that ends when `stops` is true and the reactor is woken.
    pub(super) fn new(
        settings: TapSettings,
        page: Option<TapPage>,
        wake: Wake,
        stops: Arc<AtomicBool>,
    ) -> Tap {
        let (tell_found, found) = channel();
        Tap {
            settings,
            ends: BTreeMap::new(),
            tapped: BTreeMap::new(),
            last: 0,
            items: 0,
            reorder: Reorder::default(),
            page,
            helpers: Helpers::default(),
            looking: Vec::new(),
            tell_found,
            found,
            wake,
            stops,
            failed: None,
        }
    }

    /// Why it ended, if nobody asked for that.
    pub(super) fn failure(self) -> Option<String> {
        self.failed
    }

    /// Begins to pass the bytes of a client that has come.
    fn begin(&mut self, io: &mut Io, client: ConnId, peer: SocketAddr) {
        self.last += 1;
        let number = self.last;
        io.keep_halves(client);
        self.ends.insert(client, TapEnd::Client(number));
        let TapSettings { target, faults, watch, record, .. } = &self.settings;
        let link = ByteLink::new(Arc::clone(target));
        let watch = WireWatch::new(watch.clone());
        let mut tapped = Tapped::new((number, client), link, faults, watch, io.now());
        match record.record(number) {
            Ok(recording) => tapped.recording = recording,
            Err(error) => {
                tapped.tell(Role::Client, TapWhat::Remark(format!("it is not recorded: {error}")));
            }
        }
        self.looking.push(number);
        if self.looking.len() == 1 {
            let (tell, wake) = (self.tell_found.clone(), self.wake.clone());
            look_up(&self.helpers, (&target.host, target.port), move |found| {
                // The tap has ended if nobody hears it.
                let _ = tell.send(found);
                wake.wake();
            });
        }
        self.tapped.insert(number, tapped);
        let what = TapWhat::Opened(format!("connected from {peer}"));
        self.add(io, number, None, what);
        self.settle(io, number);
    }

    /// Registers attempts to connect.
    fn dialled(&mut self, io: &mut Io, number: u32, attempts: Vec<ConnId>) {
        for conn in attempts {
            self.ends.insert(conn, TapEnd::Upstream(number));
            io.set_deadline(conn, io.now().plus_millis(CONNECT_MS));
        }
    }

    fn link_changed(&mut self, io: &mut Io, number: u32, change: LinkChange) {
        if let Some(tapped) = self.tapped.get_mut(&number) {
            tapped.link_changed(io, change, &self.settings.upstream);
        }
    }

    /// Bytes of one end have come.
    fn came(&mut self, io: &mut Io, number: u32, from: Role, bytes: &[u8]) {
        let Some(tapped) = self.tapped.get_mut(&number) else { return };
        tapped.came(io, from, bytes);
        if bytes.is_empty() || !tapped.lane(from).reorders(io.now()) {
            return self.settle(io, number);
        }
        match self.reorder.came(number, from, io.now()) {
            ReorderTurn::Wait(until) => {
                tapped.lane(from).hold(until);
                self.settle(io, number);
            }
            ReorderTurn::Overtake(other, of, at) => {
                tapped.lane(from).hold(Moment::ZERO);
                self.settle(io, number);
                if let Some(overtaken) = self.tapped.get_mut(&other) {
                    overtaken.lane(of).hold(at);
                    overtaken.tell(
                        of,
                        TapWhat::Fault(format!("held by the tap until #{number} had passed")),
                    );
                    self.settle(io, other);
                }
            }
        }
    }

    /// Passes on what may pass, tells what there is to tell, and forgets a connection that is over.
    fn settle(&mut self, io: &mut Io, number: u32) {
        let Some(tapped) = self.tapped.get_mut(&number) else { return };
        let next = tapped.pump(io);
        if next != Moment::NEVER {
            io.wake_at(next);
        }
        let is_over = tapped.is_over();
        let (sent, got) = tapped.watch.bytes_each_way();
        let sightings = tapped.take_sightings();
        for TapSighting { from, what, parts, has_match } in sightings {
            let item = TapItem {
                number: 0,
                conn: number,
                ms: 0,
                from: Some(from),
                what,
                parts,
                has_match,
            };
            self.show(io, item);
        }
        if is_over {
            let text = format!("over, {sent} bytes → and {got} bytes ←");
            self.add(io, number, None, TapWhat::Closed(text));
            self.tapped.remove(&number);
        }
    }

    fn add(&mut self, io: &mut Io, conn: u32, from: Option<Role>, what: TapWhat) {
        let item =
            TapItem { number: 0, conn, ms: 0, from, what, parts: Vec::new(), has_match: false };
        self.show(io, item);
    }

    /// Shows an item, here and on the page.
    fn show(&mut self, io: &mut Io, item: TapItem) {
        self.items += 1;
        let begun = self.tapped.get(&item.conn).map_or(io.now(), |tapped| tapped.begun);
        let item = TapItem { number: self.items, ms: io.now().millis_since(begun), ..item };
        if let Some(page) = &mut self.page {
            page.add(io, &item);
        }
        if self.settings.filter.takes(&item) && self.failed.is_none() {
            match print_while_read(&self.settings.style.lines(&item)) {
                Ok(true) => {}
                // Whoever reads it has seen enough.
                Ok(false) => self.stop(io),
                Err(error) => {
                    self.failed = Some(error.message);
                    self.stop(io);
                }
            }
        }
    }

    fn stop(&mut self, io: &mut Io) {
        for conn in self.ends.keys() {
            io.cut(*conn);
        }
        io.stop_by(io.now());
    }
}

impl Handler for Tap {
    fn opened(&mut self, io: &mut Io, conn: ConnId, peer: SocketAddr) {
        if io.listener(conn) == ListenerId::default() {
            return self.begin(io, conn, peer);
        }
        if let Some(page) = &mut self.page {
            self.ends.insert(conn, TapEnd::Page);
            page.opened(io, conn);
        }
    }

    fn connected(&mut self, io: &mut Io, conn: ConnId) {
        let Some(TapEnd::Upstream(number)) = self.ends.get(&conn).copied() else { return };
        let Some(tapped) = self.tapped.get_mut(&number) else { return io.cut(conn) };
        let change = tapped.link.connected(io, conn);
        self.link_changed(io, number, change);
        self.settle(io, number);
    }

    fn received(&mut self, io: &mut Io, conn: ConnId, bytes: &mut [u8]) -> usize {
        match self.ends.get(&conn).copied() {
            Some(TapEnd::Client(number)) => self.came(io, number, Role::Client, bytes),
            Some(TapEnd::Upstream(number)) => {
                let Some(tapped) = self.tapped.get_mut(&number) else { return bytes.len() };
                let mut plain = Vec::new();
                let change = tapped.link.received(io, bytes, &mut plain);
                self.came(io, number, Role::Server, &plain);
                self.link_changed(io, number, change);
                self.settle(io, number);
            }
            Some(TapEnd::Page) => {
                if let Some(page) = &mut self.page {
                    page.received(io, conn, bytes);
                }
            }
            None => {}
        }
        bytes.len()
    }

    fn peer_ended(&mut self, io: &mut Io, conn: ConnId) {
        let (number, from) = match self.ends.get(&conn).copied() {
            Some(TapEnd::Client(number)) => (number, Role::Client),
            Some(TapEnd::Upstream(number)) => (number, Role::Server),
            Some(TapEnd::Page) | None => return io.end(conn),
        };
        if let Some(tapped) = self.tapped.get_mut(&number) {
            tapped.ended(from);
        }
        self.settle(io, number);
    }

    fn drained(&mut self, io: &mut Io, conn: ConnId) {
        if let Some(TapEnd::Client(number) | TapEnd::Upstream(number)) =
            self.ends.get(&conn).copied()
        {
            self.settle(io, number);
        }
    }

    /// A receiver may be as slow as it likes: the sender waits.
    fn stalled(&mut self, io: &mut Io, conn: ConnId) {
        if let Some(TapEnd::Page) = self.ends.get(&conn) {
            io.cut(conn);
        }
    }

    fn deadline(&mut self, io: &mut Io, conn: ConnId) {
        match self.ends.get(&conn).copied() {
            Some(TapEnd::Upstream(number)) => {
                let why = format!("no answer within {} s", CONNECT_MS / 1_000);
                if self.tapped.get(&number).is_some_and(|tapped| !tapped.link.is_ready()) {
                    self.link_changed(io, number, LinkChange::NotConnected(why));
                    self.settle(io, number);
                }
            }
            Some(TapEnd::Page) => io.cut(conn),
            Some(TapEnd::Client(_)) | None => {}
        }
    }

    fn closed(&mut self, io: &mut Io, conn: ConnId, cause: CloseCause) {
        let number = match self.ends.remove(&conn) {
            Some(TapEnd::Client(number)) => {
                if let Some(tapped) = self.tapped.get_mut(&number) {
                    tapped.client_closed(io, cause);
                }
                number
            }
            Some(TapEnd::Upstream(number)) => {
                let Some(tapped) = self.tapped.get_mut(&number) else { return };
                let change = tapped.link.closed(conn, cause);
                self.link_changed(io, number, change);
                number
            }
            Some(TapEnd::Page) => {
                if let Some(page) = &mut self.page {
                    page.closed(conn);
                }
                return;
            }
            None => return,
        };
        self.redial(io, number);
        self.settle(io, number);
    }

    fn woken(&mut self, io: &mut Io) {
        if self.stops.load(Ordering::Acquire) {
            return self.stop(io);
        }
        while let Ok(found) = self.found.try_recv() {
            for number in std::mem::take(&mut self.looking) {
                let Some(tapped) = self.tapped.get_mut(&number) else { continue };
                let again = |error: &io::Error| io::Error::new(error.kind(), error.to_string());
                let found = found.as_ref().map_err(again).cloned();
                let (change, attempts) = tapped.link.found(io, found);
                self.dialled(io, number, attempts);
                self.link_changed(io, number, change);
                self.settle(io, number);
            }
        }
    }

    fn timer_fired(&mut self, io: &mut Io) {
        let numbers: Vec<u32> = self.tapped.keys().copied().collect();
        for number in numbers {
            self.redial(io, number);
            self.settle(io, number);
        }
    }
}

impl Tap {
    /// Begins further attempts to connect, if it is time.
    fn redial(&mut self, io: &mut Io, number: u32) {
        if let Some(tapped) = self.tapped.get_mut(&number) {
            let attempts = tapped.link.time(io);
            self.dialled(io, number, attempts);
        }
    }
}
