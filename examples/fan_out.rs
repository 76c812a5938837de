//! What one sends, many receive: a WebSocket server on parlor's reactor that hands on messages.
//! Each is encoded once, and its recipients share it.
//!
//! On the path `/u/K` a connection belongs to the user K, and a text `K BODY` is delivered, as
//! `BODY`, to all connections of the user K. What comes on any other path goes to all connections
//! there are, the sender's too.
//!
//! Nothing is kept to be read later, so that all wait for whoever is behind: while somebody has no
//! room for a message nothing more is read. Who takes less than 16 KiB in two seconds meanwhile goes.
//!
//! Run: `cargo run --release --example fan_out -- 127.0.0.1:9002`. A number after the address is
//! from how many bytes on messages are compressed, for clients that offer it; without one it is
//! 1,024.

use parlor::base::outbox::NO_SOURCE;
use parlor::base::{Class, ConnId, Limits, Moment};
use parlor::http1::Response;
use parlor::protocol::CloseCode;
use parlor::protocol::deflate::CodecsConfig;
use parlor::protocol::endpoint::Broadcast;
use parlor::protocol::handshake::Upgrade;
use parlor::reactor::{SIGINT, SIGTERM, on_signal};
use parlor::web;
use parlor::web::{
    Application, Exchange, HttpAnswer, Message, Net, SocketEnd, WebConfig, WebRequest,
};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

/// How long somebody for whom the others wait may take nothing, in ms.
const PATIENCE_MS: u64 = 2_000;
/// What they must take in that time, in bytes, or all that waits for them.
const PATIENCE_BYTES: usize = 16 * 1024;

#[derive(Default)]
struct FanOut {
    everybody: Members,
    users: BTreeMap<String, Members>,
    /// Whose a connection is, if it is a user's.
    user_of: BTreeMap<ConnId, String>,
    /// What one read has brought for everybody: it leaves together.
    texts: Vec<String>,
    /// What was said while somebody had no room for the first of it.
    waiting: VecDeque<Said>,
    /// Who has no room for the first of it.
    full: BTreeMap<ConnId, Full>,
    /// Who had none, and has now: they get it together, so that it is encoded once.
    owed: Vec<ConnId>,
}

/// Messages that are on their way together.
struct Said {
    /// To the connections of this user, or to everybody.
    to: Option<String>,
    what: What,
}

enum What {
    Texts(Vec<String>),
    Binary(Vec<u8>),
}

struct Full {
    /// Bytes that waited for them then.
    waited: usize,
    since: Moment,
}

/// Connections, sorted: they are gone through for each message, and come and go once.
#[derive(Default)]
struct Members(Vec<ConnId>);

impl Members {
    fn insert(&mut self, conn: ConnId) {
        if let Err(place) = self.0.binary_search(&conn) {
            self.0.insert(place, conn);
        }
    }

    fn remove(&mut self, conn: ConnId) {
        if let Ok(place) = self.0.binary_search(&conn) {
            self.0.remove(place);
        }
    }
}

impl Application for FanOut {
    fn request(
        &mut self,
        net: &mut Net<'_>,
        exchange: Exchange,
        request: &WebRequest<'_>,
    ) -> HttpAnswer {
        let (conn, head) = (exchange.conn(), request.head);
        let upgrade = match Upgrade::judge(head) {
            Ok(upgrade) => upgrade,
            Err(refusal) => return HttpAnswer::Respond(Response { ends: true, ..refusal.into() }),
        };
        if let Some(user) = head.path.strip_prefix("/u/") {
            self.users.entry(user.into()).or_default().insert(conn);
            self.user_of.insert(conn, user.into());
        }
        self.everybody.insert(conn);
        net.accept(&upgrade, None)
    }

    fn opened(&mut self, net: &mut Net<'_>, conn: ConnId) {
        if !self.waiting.is_empty() {
            net.pause(conn);
        }
    }

    fn message(&mut self, net: &mut Net<'_>, conn: ConnId, message: Message<'_>) {
        match message {
            Message::Text(text) if self.user_of.contains_key(&conn) => {
                if let Some((user, body)) = text.split_once(' ') {
                    self.say(net, Some(user), &[Message::Text(body)]);
                }
            }
            Message::Text(text) => self.texts.push(text.to_owned()),
            Message::Binary(_) | Message::Ping(_) => {
                self.say_texts(net);
                self.say(net, None, &[message]);
            }
        }
    }

    fn caught_up(&mut self, net: &mut Net<'_>, _: ConnId) {
        self.say_texts(net);
    }

    fn drained(&mut self, net: &mut Net<'_>, conn: ConnId) {
        if self.full.remove(&conn).is_some() {
            self.owed.push(conn);
            self.go_on(net);
        }
    }

    fn timer_fired(&mut self, net: &mut Net<'_>) {
        let now = net.now();
        for (&conn, full) in &mut self.full {
            let waits = net.waiting_bytes(conn);
            if waits + PATIENCE_BYTES <= full.waited {
                *full = Full { waited: waits, since: now };
            } else if now.millis_since(full.since) >= PATIENCE_MS {
                net.close(conn, CloseCode::TRY_AGAIN_LATER, "too slow");
            }
        }
        self.look_again(net);
    }

    fn closed(&mut self, net: &mut Net<'_>, conn: ConnId, _: SocketEnd) {
        self.everybody.remove(conn);
        if let Some(user) = self.user_of.remove(&conn)
            && let Some(conns) = self.users.get_mut(&user)
        {
            conns.remove(conn);
            if conns.0.is_empty() {
                self.users.remove(&user);
            }
        }
        self.owed.retain(|one| *one != conn);
        if self.full.remove(&conn).is_some() {
            self.go_on(net);
        }
    }
}

impl Said {
    fn new(to: Option<&str>, messages: &[Message<'_>]) -> Said {
        let what = match messages {
            [Message::Binary(bytes)] => What::Binary(bytes.to_vec()),
            _ => What::Texts(messages.iter().filter_map(text).map(str::to_owned).collect()),
        };
        Said { to: to.map(str::to_owned), what }
    }

    fn with<R>(&self, then: impl FnOnce(&[Message<'_>]) -> R) -> R {
        match &self.what {
            What::Texts(texts) => {
                then(&texts.iter().map(|text| Message::Text(text)).collect::<Vec<_>>())
            }
            What::Binary(bytes) => then(&[Message::Binary(bytes)]),
        }
    }
}

/// Hands a frame to connections, and takes note of those that have no room for it.
fn tell(
    net: &mut Net<'_>,
    conns: &[ConnId],
    messages: &[Message<'_>],
    full: &mut BTreeMap<ConnId, Full>,
) {
    let [first, more @ ..] = messages else { return };
    let mut broadcast = Broadcast::several(*first, more);
    for &conn in conns {
        let told = net.broadcast(conn, &mut broadcast, Class::Durable, NO_SOURCE);
        if told.is_err() && net.is_open(conn) {
            full.insert(conn, Full { waited: net.waiting_bytes(conn), since: net.now() });
        }
    }
}

fn text<'m>(message: &Message<'m>) -> Option<&'m str> {
    match message {
        Message::Text(text) => Some(text),
        Message::Binary(_) | Message::Ping(_) => None,
    }
}

impl FanOut {
    /// Says what one read has brought for everybody, in one go: each connection is looked at once.
    fn say_texts(&mut self, net: &mut Net<'_>) {
        let texts = std::mem::take(&mut self.texts);
        let messages: Vec<Message<'_>> = texts.iter().map(|text| Message::Text(text)).collect();
        if !messages.is_empty() {
            self.say(net, None, &messages);
        }
    }

    /// Tells everybody, or a user; later, if somebody has no room for what came before.
    fn say(&mut self, net: &mut Net<'_>, to: Option<&str>, messages: &[Message<'_>]) {
        if !self.waiting.is_empty() {
            self.waiting.push_back(Said::new(to, messages));
            return;
        }
        self.tell(net, to, messages);
        if !self.full.is_empty() {
            self.waiting.push_back(Said::new(to, messages));
            self.everybody.0.iter().for_each(|conn| net.pause(*conn));
            self.look_again(net);
        }
    }

    fn tell(&mut self, net: &mut Net<'_>, to: Option<&str>, messages: &[Message<'_>]) {
        let FanOut { everybody, users, full, .. } = self;
        let members = match to {
            None => Some(&*everybody),
            Some(user) => users.get(user),
        };
        if let Some(Members(conns)) = members {
            tell(net, conns, messages, full);
        }
    }

    /// Goes on with what waits, as far as everybody has room for it; then all are read again.
    fn go_on(&mut self, net: &mut Net<'_>) {
        if self.full.is_empty()
            && let Some(said) = self.waiting.front()
        {
            let owed = std::mem::take(&mut self.owed);
            said.with(|messages| tell(net, &owed, messages, &mut self.full));
            if self.full.is_empty() {
                self.waiting.pop_front();
            }
        }
        while self.full.is_empty()
            && let Some(next) = self.waiting.pop_front()
        {
            next.with(|messages| self.tell(net, next.to.as_deref(), messages));
            if !self.full.is_empty() {
                self.waiting.push_front(next);
            }
        }
        if self.full.is_empty() {
            self.everybody.0.iter().for_each(|conn| net.resume(*conn));
        } else {
            self.look_again(net);
        }
    }

    fn look_again(&self, net: &mut Net<'_>) {
        if let Some(first) = self.full.values().map(|full| full.since).min() {
            net.wake_at(first.plus_millis(PATIENCE_MS));
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9002".into());
    let address: SocketAddr = address.parse().map_err(|error| format!("{address}: {error}"))?;
    let limits = Limits {
        message_bytes: 1024 * 1024,
        connections_per_address: u32::MAX,
        ..Limits::default()
    };
    let mut compression = CodecsConfig::default();
    if let Some(threshold) = std::env::args().nth(2) {
        compression.threshold_bytes = threshold.parse()?;
    }
    let config = WebConfig { limits, compression: Some(compression), ..WebConfig::default() };
    let mut caught = Ok(());
    web::serve(address, config, FanOut::default(), |address, stop| {
        println!("fan_out: ws://{address}/");
        caught = on_signal(&[SIGINT, SIGTERM], move |_| stop.stop());
    })?;
    Ok(caught?)
}
