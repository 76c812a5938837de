//! Message types of one's own on the chat server: a dice for everybody, a bell for admins, and a
//! bot that answers in the lobby.
//!
//! Run: `cargo run --release --example bot`, then open the printed address, or send
//! `{"type":"dice.roll","id":1,"payload":{"sides":6}}` on its WebSocket. Behind it may stand where to listen:
//! `-- 127.0.0.1:8081`.

use parlor::server::{Access, Config, NewRoom, Server};
use parlor::store::Place;
use serde_json::json;
use std::time::Duration;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listen = std::env::args().nth(1).unwrap_or("127.0.0.1:8080".to_owned());
    let address = listen.parse().map_err(|error| format!("{listen}: {error}"))?;
    let config = Config::new(address, Place::Memory);
    let server = Server::start(config)?;
    server.stop_on_signals()?;
    let parlor = server.handle();

    // Public: also before `auth`. Answered at once.
    parlor.handle("dice.sides", Access::Public, |_, reply| {
        let _ = reply.ok(json!({ "sides": [4, 6, 8, 12, 20] }));
    })?;

    // For users. Answered later, from another thread; everybody sees the result.
    let everybody = parlor.clone();
    parlor.handle("dice.roll", Access::User, move |call, reply| {
        let Some(sides) = call.payload["sides"].as_u64().filter(|sides| (2..=100).contains(sides))
        else {
            let _ = reply.error("bad_request", "sides is a number from 2 to 100");
            return;
        };
        let everybody = everybody.clone();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            let mut chance = [0; 8];
            if getrandom::fill(&mut chance).is_err() {
                return; // The reply is dropped, which answers `internal`.
            }
            let rolled = u64::from_le_bytes(chance) % sides + 1;
            let who = call.caller.map(|caller| caller.user.to_string());
            let _ = everybody.broadcast("dice.rolled", &json!({ "user": who, "rolled": rolled }));
            let _ = reply.ok(json!({ "rolled": rolled }));
        });
    })?;

    // For admins: refused as `forbidden` before it runs for anybody else.
    let to_one = parlor.clone();
    parlor.handle("bell.ring", Access::Admin, move |call, reply| {
        let user = call.payload["user"].as_str().unwrap_or_default();
        let _ = match to_one.send_to_user(user, "bell.rings", &json!({})) {
            Ok(reached) => reply.ok(json!({ "reached": reached })),
            Err(error) => reply.error("bad_request", &error.to_string()),
        };
    })?;

    // The bot is a user like any other, and owns the lobby, which everybody may join. Its `cid` makes a repeat
    // of the greeting harmless.
    let patience = Duration::from_secs(5);
    parlor.create("lobby", "bot", NewRoom { open: true, ..NewRoom::default() })?.wait(patience)?;
    parlor.publish("lobby", "bot", "Send me dice.roll.", Some("greeting"))?.wait(patience)?;

    println!("http://{}/", server.local_addr());
    server.join()?;
    Ok(())
}
