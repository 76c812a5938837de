//! What one sends, many receive: a WebSocket server on parlor's reactor that hands on messages.
//! Each is encoded once, and its recipients share it.
//!
//! On the path `/u/K` a connection belongs to the user K, and a text `K BODY` is delivered, as
//! `BODY`, to all connections of the user K. What comes on any other path goes to all connections
//! there are, the sender's too.
//!
//! Run: `cargo run --release --example fan_out -- 127.0.0.1:9002`

use parlor::base::outbox::NO_SOURCE;
use parlor::base::{Class, ConnId, Limits};
use parlor::protocol::CloseCode;
use parlor::protocol::deflate::CodecsConfig;
use parlor::protocol::endpoint::Broadcast;
use parlor::protocol::handshake::{RequestHead, Upgrade};
use parlor::server::web::{self, Answer, Application, Message, Net, Over, WebConfig};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

#[derive(Default)]
struct FanOut {
    everybody: Members,
    users: BTreeMap<String, Members>,
    /// Whose a connection is, if it is a user's.
    user_of: BTreeMap<ConnId, String>,
    /// What one read has brought for everybody: it leaves together.
    texts: Vec<String>,
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

    /// Sends the same to all of them.
    fn tell(&self, net: &mut Net<'_>, mut broadcast: Broadcast<'_>) {
        for &conn in &self.0 {
            if net.broadcast(conn, &mut broadcast, Class::Durable, NO_SOURCE).is_err() {
                // Who reads so slowly that a message does not fit would have a hole: it goes
                // instead, and the others have everything.
                net.close(conn, CloseCode::TRY_AGAIN_LATER, "too slow");
            }
        }
    }
}

impl Application for FanOut {
    fn request(
        &mut self,
        net: &mut Net<'_>,
        conn: ConnId,
        _: IpAddr,
        head: &RequestHead<'_>,
    ) -> Answer {
        let upgrade = match Upgrade::judge(head) {
            Ok(upgrade) => upgrade,
            Err(refusal) => return refusal.into(),
        };
        if let Some(user) = head.path.strip_prefix("/u/") {
            self.users.entry(user.into()).or_default().insert(conn);
            self.user_of.insert(conn, user.into());
        }
        self.everybody.insert(conn);
        net.accept(&upgrade, None)
    }

    fn message(&mut self, net: &mut Net<'_>, conn: ConnId, message: Message<'_>) {
        match message {
            Message::Text(text) if self.user_of.contains_key(&conn) => {
                if let Some((user, body)) = text.split_once(' ')
                    && let Some(recipients) = self.users.get(user)
                {
                    recipients.tell(net, Broadcast::new(Message::Text(body)));
                }
            }
            Message::Text(text) => self.texts.push(text.to_owned()),
            Message::Binary(_) | Message::Ping(_) => {
                self.tell_texts(net);
                self.everybody.tell(net, Broadcast::new(message));
            }
        }
    }

    fn caught_up(&mut self, net: &mut Net<'_>, _: ConnId) {
        self.tell_texts(net);
    }

    fn closed(&mut self, _: &mut Net<'_>, conn: ConnId, _: Over) {
        self.everybody.remove(conn);
        let Some(user) = self.user_of.remove(&conn) else { return };
        if let Some(conns) = self.users.get_mut(&user) {
            conns.remove(conn);
            if conns.0.is_empty() {
                self.users.remove(&user);
            }
        }
    }
}

impl FanOut {
    /// Tells everybody what one read has brought, in one go: each connection is looked at once.
    fn tell_texts(&mut self, net: &mut Net<'_>) {
        let texts = std::mem::take(&mut self.texts);
        let messages: Vec<Message<'_>> = texts.iter().map(|text| Message::Text(text)).collect();
        if let [first, more @ ..] = &messages[..] {
            self.everybody.tell(net, Broadcast::several(*first, more));
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9002".into());
    let address: SocketAddr = address.parse()?;
    let limits = Limits {
        message_bytes: 1024 * 1024,
        connections_per_address: u32::MAX,
        ..Limits::default()
    };
    println!("fan_out: ws://{address}/");
    // Agreed to with clients that offer it.
    let compression = Some(CodecsConfig::default());
    web::serve(address, WebConfig { limits, compression }, FanOut::default())?;
    Ok(())
}
