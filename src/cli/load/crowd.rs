//! All connections of a run, on one thread: opens them, has them send when it is their turn, and watches what comes.

use super::figures::Figures;
use super::mark::{LoadMark, Marks};
use super::pace::Pace;
use super::plan::{LoadPlan, RunStage};
use super::scenario::Scenario;
use super::user::{LoadUser, UnderWay, UserStage};
use crate::base::{ConnId, Moment};
use crate::client::net::{Socket, SocketEvent, SocketPlan};
use crate::protocol::Message;
use crate::reactor::{Clock, CloseCause, Handler, Io};
use crate::wire::json::object;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked whether all that was under way has come.
const LOOK: Duration = Duration::from_millis(20);
/// More of a connection's messages are not sent before some are acknowledged.
const UNDER_WAY_MAX: usize = 10_000;
/// How long the ends of connections are waited for.
const CLOSE: Duration = Duration::from_millis(500);

/// All connections.
pub(super) struct Crowd {
    pub(super) plan: LoadPlan,
    socket_plan: Arc<SocketPlan>,
    addresses: Vec<SocketAddr>,
    pub(super) marks: Marks,
    pub(super) users: Vec<LoadUser>,
    /// By the index of a connection, whose it is.
    owners: Vec<u32>,
    pub(super) figures: Figures,
    pub(super) clock: Clock,
    pub(super) stage: RunStage,
    ramp: Pace,
    /// Connections to open, in order.
    to_open: VecDeque<u32>,
    pace: Option<Pace>,
    /// Until when a connection has to be ready; in order, as each has the same time.
    deadlines: VecDeque<(Duration, u32, u32)>,
    /// When connections of a storm go again.
    departures: VecDeque<(Duration, u32, u32)>,
    pub(super) ready: u32,
    /// Of each room, the newest entry that anybody has heard of.
    pub(super) heads: Vec<u64>,
    next_second: Duration,
    /// Called each second.
    pub(super) show: Option<fn(&Crowd)>,
    /// Says who a user is, as a member of the URL's query.
    pub(super) identify: Box<dyn Fn(&str) -> String>,
    /// Processor time of this process, as of now.
    processor: fn() -> Duration,
    processor_begun: Duration,
    sending_begun: Duration,
}

impl Crowd {
    pub(super) fn new(
        plan: LoadPlan,
        socket_plan: Arc<SocketPlan>,
        addresses: Vec<SocketAddr>,
        clock: Clock,
        processor: fn() -> Duration,
    ) -> Crowd {
        let now = clock.elapsed();
        let until = now.saturating_add(plan.opening());
        Crowd {
            socket_plan,
            addresses,
            marks: Marks::new(&plan.run, plan.size),
            users: (0..plan.connections).map(|_| LoadUser::new()).collect(),
            owners: Vec::new(),
            figures: Figures::new(),
            clock,
            stage: RunStage::Opening { until },
            ramp: Pace::begin(plan.ramp, now),
            to_open: (0..plan.connections).collect(),
            pace: None,
            deadlines: VecDeque::new(),
            departures: VecDeque::new(),
            ready: 0,
            heads: vec![0; plan.rooms.max(1) as usize],
            next_second: now,
            show: None,
            identify: Box::new(|user| format!("user={user}")),
            processor,
            processor_begun: Duration::ZERO,
            sending_begun: now,
            plan,
        }
    }

    /// Begins; what follows is called by the reactor.
    pub(super) fn begin(&mut self, io: &mut Io) {
        self.time(io);
    }

    pub(super) fn user(&mut self, index: u32) -> Option<&mut LoadUser> {
        self.users.get_mut(index as usize)
    }

    fn owner(&self, conn: ConnId) -> Option<u32> {
        self.owners.get(conn.index()).copied().filter(|owner| *owner != u32::MAX)
    }

    // --- Opening ---

    fn open(&mut self, io: &mut Io, index: u32, now: Duration) {
        let target = self.target(index);
        let addresses = self.addresses.clone();
        let timeout = self.plan.timeout;
        let socket_plan = Arc::clone(&self.socket_plan);
        let Some(user) = self.user(index) else { return };
        user.attempt += 1;
        (user.standing, user.begun) = (UserStage::Opening, now);
        user.socket = Some(Box::new(Socket::new(socket_plan, target)));
        let attempt = user.attempt;
        self.deadlines.push_back((now + timeout, index, attempt));
        self.with_socket(io, index, |socket, io, sink| socket.found(io, Ok(addresses), sink));
    }

    fn target(&self, index: u32) -> String {
        let url = &self.socket_plan.url;
        if !self.plan.scenario.is_chat() {
            return url.target().replace("{conn}", &index.to_string());
        }
        let resumes = self.users.get(index as usize).is_some_and(|user| user.has_entered);
        let url = url.with_query(&(self.identify)(&self.plan.user_name(index)));
        if resumes { url.with_query("resume=1") } else { url }.target().to_owned()
    }

    /// Lets a connection do something, and does what comes of it.
    fn with_socket(
        &mut self,
        io: &mut Io,
        index: u32,
        act: impl FnOnce(&mut Socket, &mut Io, &mut dyn FnMut(SocketEvent<'_>) -> bool),
    ) {
        let Some(mut socket) = self.user(index).and_then(|user| user.socket.take()) else {
            return;
        };
        let (mut answers, mut over) = (Vec::new(), None);
        let now = self.clock.elapsed();
        act(&mut socket, io, &mut |event| {
            match event {
                SocketEvent::Opened(_) => self.opened(index, now),
                SocketEvent::Text(text) => self.heard(index, text, now, &mut answers),
                SocketEvent::Bytes(bytes) => self.figures.bytes_came += bytes.len() as u64,
                SocketEvent::NotOpened(error) => over = Some(error.to_string()),
                SocketEvent::Closed { code, reason } => {
                    let code = code.map_or("no code".to_owned(), |code| code.to_string());
                    over = Some(format!("closed with {code} {reason}").trim_end().to_owned());
                }
                SocketEvent::Broken(error) => over = Some(error.to_string()),
            }
            true
        });
        for answer in answers {
            socket.send(io, Message::Text(&answer));
        }
        if let Some(why) = over {
            return self.lost(index, &why, now);
        }
        for conn in socket.conns() {
            let place = conn.index();
            if self.owners.len() <= place {
                self.owners.resize(place + 1, u32::MAX);
            }
            if let Some(owner) = self.owners.get_mut(place) {
                *owner = index;
            }
        }
        if let Some(user) = self.user(index) {
            user.socket = Some(socket);
        }
    }

    /// The opening handshake is over.
    fn opened(&mut self, index: u32, now: Duration) {
        let is_chat = self.plan.scenario.is_chat();
        let Some(user) = self.user(index) else { return };
        if is_chat {
            user.standing = UserStage::Entering;
        } else {
            self.is_ready(index, now);
        }
    }

    /// It may send.
    pub(super) fn is_ready(&mut self, index: u32, now: Duration) {
        let stays = self.plan.stay;
        let is_storm = self.plan.scenario == Scenario::Storm;
        let Some(user) = self.user(index) else { return };
        if user.standing == UserStage::Ready {
            return;
        }
        (user.standing, user.has_entered) = (UserStage::Ready, true);
        let (took, attempt) = (now.saturating_sub(user.begun), user.attempt);
        self.ready += 1;
        self.figures.connected(took);
        if is_storm {
            self.departures.push_back((now + stays, index, attempt));
        }
    }

    /// It is not there any more.
    fn away(&mut self, index: u32) {
        let Some(user) = self.user(index) else { return };
        user.socket = None;
        // What it has sent may have been stored, or not.
        user.under_way.clear();
        let before = std::mem::replace(&mut user.standing, UserStage::Away);
        if before == UserStage::Ready {
            self.ready = self.ready.saturating_sub(1);
        }
    }

    /// It is over, and this end has not ended it.
    fn lost(&mut self, index: u32, why: &str, now: Duration) {
        self.away(index);
        if self.stage == RunStage::Closing {
            return;
        }
        match self.plan.scenario {
            // It comes back at once.
            Scenario::Crowd if self.is_sending() => {
                self.figures.failed(&format!("lost: {why}"));
                self.to_open.push_back(index);
                self.ramp = Pace::begin(self.plan.ramp, now);
            }
            Scenario::Storm => {
                self.figures.failed(why);
                self.to_open.push_back(index);
            }
            _ => self.figures.failed(why),
        }
    }

    pub(super) fn is_sending(&self) -> bool {
        matches!(self.stage, RunStage::Sending { .. } | RunStage::Draining { .. })
    }

    // --- Sending ---

    /// Sends what was due up to a moment.
    fn send_due(&mut self, io: &mut Io, upto: Duration, now: Duration) {
        let senders = u64::from(self.plan.senders.max(1));
        while let Some((turn, meant)) = self.pace.as_mut().and_then(|pace| pace.take(upto)) {
            self.figures.meant += 1;
            // Below the number of connections.
            self.send(io, (turn % senders) as u32, meant, now);
        }
    }

    fn send(&mut self, io: &mut Io, index: u32, meant: Duration, now: Duration) {
        let room = self.plan.room(index);
        let Some(user) = self.users.get_mut(index as usize) else { return };
        let (UserStage::Ready, Some(socket)) = (user.standing, &mut user.socket) else {
            return self.figures.failed("not sent: its connection is not open");
        };
        if user.under_way.len() >= UNDER_WAY_MAX {
            return self.figures.failed("not sent: too many are not acknowledged");
        }
        let mark = LoadMark { sender: index, number: user.sent, meant, sent: now };
        let text = self.marks.text(mark);
        let id = user.sent + 1_000;
        let message = match (self.plan.scenario, &self.plan.template) {
            (Scenario::Rooms | Scenario::Crowd, _) => object(|w| {
                w.text("type", "chat:send");
                w.number("id", id);
                w.object_in("payload", |w| {
                    w.text("room", &self.plan.room_name(room));
                    w.text("text", &text);
                });
            }),
            (Scenario::Streams, _) => object(|w| {
                w.text("type", "publish");
                w.number("id", id);
                w.object_in("payload", |w| {
                    w.text("stream", &self.plan.stream);
                    w.object_in("data", |w| w.text("load", &text));
                });
            }),
            (_, Some(template)) => template.replace("{mark}", &text),
            (_, None) => text,
        };
        if !socket.send(io, Message::Text(&message)) {
            return self.figures.failed("not sent: too much waits for its connection");
        }
        user.sent += 1;
        if self.plan.scenario.is_chat() {
            user.under_way.push_back(UnderWay { id, meant });
        }
        self.figures.bytes_sent += message.len() as u64;
        self.figures.left(now.saturating_sub(meant));
    }

    // --- Time ---

    /// Does what is due, and says when something is due next.
    fn time(&mut self, io: &mut Io) {
        let now = self.clock.elapsed();
        if now >= self.next_second {
            self.next_second = now + Duration::from_secs(1);
            let open = u64::from(self.ready);
            self.figures.begin_second(open);
            if let Some(show) = self.show {
                show(self);
            }
        }
        let is_storm = self.plan.scenario == Scenario::Storm;
        let upto = if is_storm { self.stage.storms_until(now) } else { now };
        while !self.to_open.is_empty() && self.ramp.take(upto).is_some() {
            if let Some(index) = self.to_open.pop_front() {
                self.open(io, index, now);
            }
        }
        while let Some((_, index, attempt)) =
            self.deadlines.pop_front_if(|(deadline, ..)| *deadline <= now)
        {
            let is_late = self.user(index).is_some_and(|user| {
                user.attempt == attempt
                    && matches!(user.standing, UserStage::Opening | UserStage::Entering)
            });
            if is_late {
                let why = match self.user(index).map(|user| user.standing) {
                    Some(UserStage::Entering) => {
                        "no hello came, or no answer to join (--secret-file, if it has keys)"
                    }
                    _ => "it took too long to connect",
                };
                self.leave(io, index);
                self.lost(index, why, now);
            }
        }
        while let Some((_, index, attempt)) = self.departures.pop_front_if(|(at, ..)| *at <= now) {
            // The server may have ended it before.
            if self.user(index).is_some_and(|user| user.attempt == attempt && user.socket.is_some())
            {
                self.leave(io, index);
                self.away(index);
                self.to_open.push_back(index);
            }
        }
        self.advance(io, now);
        self.send_due(io, now, now);
        let next = [
            Some(self.next_second),
            self.pace.as_ref().and_then(Pace::due),
            self.ramp.due().filter(|_| !self.to_open.is_empty()),
            self.deadlines.front().map(|(at, ..)| *at),
            self.departures.front().map(|(at, ..)| *at),
            Some(now + LOOK),
        ];
        let next = next.into_iter().flatten().min().unwrap_or(now + LOOK);
        io.wake_at(Moment::ZERO + next.max(now + Duration::from_millis(1)));
    }

    fn leave(&mut self, io: &mut Io, index: u32) {
        if let Some(socket) = self.user(index).and_then(|user| user.socket.take()) {
            socket.leave(io, 1_000, "");
        }
    }

    fn end(&mut self, io: &mut Io) {
        self.figures.end_second();
        self.stage = RunStage::Closing;
        for index in 0..self.plan.connections {
            self.leave(io, index);
        }
        io.stop_by(io.now() + CLOSE);
    }

    /// Goes on to the next stage when it is time.
    fn advance(&mut self, io: &mut Io, now: Duration) {
        match self.stage {
            RunStage::Opening { until } => {
                let is_settled =
                    |user: &LoadUser| matches!(user.standing, UserStage::Ready | UserStage::Away);
                let all = self.to_open.is_empty() && self.users.iter().all(is_settled);
                let is_storm = self.plan.scenario == Scenario::Storm;
                if self.ready == 0 && !is_storm && (all || now >= until) {
                    return self.end(io);
                }
                if all || is_storm || now >= until {
                    self.stage = RunStage::Sending { until: now + self.plan.sending };
                    self.sending_begun = now;
                    self.processor_begun = (self.processor)();
                    if is_storm {
                        self.ramp = Pace::begin(self.plan.ramp, now);
                    } else {
                        self.pace = Some(Pace::begin(self.plan.rate, now));
                    }
                }
            }
            RunStage::Sending { until } if now >= until => {
                // However late it is.
                self.send_due(io, until.saturating_sub(Duration::from_nanos(1)), now);
                self.pace = None;
                self.figures.sending = now.saturating_sub(self.sending_begun);
                self.figures.processor = (self.processor)().saturating_sub(self.processor_begun);
                self.stage = RunStage::Draining { until: now + self.plan.drain };
            }
            RunStage::Draining { until } if now >= until || self.has_all() => {
                self.count_lost();
                self.end(io);
            }
            RunStage::Sending { .. } | RunStage::Draining { .. } | RunStage::Closing => {}
        }
    }
}

impl Handler for Crowd {
    fn opened(&mut self, _: &mut Io, _: ConnId, _: SocketAddr) {}

    fn connected(&mut self, io: &mut Io, conn: ConnId) {
        if let Some(index) = self.owner(conn) {
            self.with_socket(io, index, |socket, io, sink| socket.connected(io, conn, sink));
        }
    }

    fn received(&mut self, io: &mut Io, conn: ConnId, bytes: &mut [u8]) -> usize {
        let mut used = bytes.len();
        if let Some(index) = self.owner(conn) {
            self.with_socket(io, index, |socket, io, sink| {
                used = socket.received(io, conn, bytes, sink);
            });
        }
        used
    }

    fn closed(&mut self, io: &mut Io, conn: ConnId, cause: CloseCause) {
        let Some(index) = self.owner(conn) else { return };
        if let Some(owner) = self.owners.get_mut(conn.index()) {
            *owner = u32::MAX;
        }
        self.with_socket(io, index, |socket, io, sink| {
            if socket.has(conn) {
                socket.closed(io, conn, cause, sink);
            }
        });
    }

    fn timer_fired(&mut self, io: &mut Io) {
        self.time(io);
    }
}
