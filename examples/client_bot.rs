//! A bot: it joins a room, and answers whoever says `!time`.
//!
//! Run: `cargo run --release --example client_bot -- ws://127.0.0.1:8080/ws?user=clock lobby`. It ends with the client,
//! that is, when the server does not want it any more.

use parlor::base::EntryKind;
use parlor::client::{Client, ClientEvent};
use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().unwrap_or_else(|| "ws://127.0.0.1:8080/ws?user=clock".to_owned());
    let room = arguments.next().unwrap_or_else(|| "lobby".to_owned());
    let client = Client::builder(&url).start()?;
    let room = client.room(&room);
    // A request waits for the connection; a room that is there already is joined again, which changes nothing.
    room.join().wait()?;
    println!("answering in {}", room.name());
    for event in client.events() {
        match event {
            ClientEvent::Entry(entry) if entry.room.as_str() == room.name() => {
                let EntryKind::Message { body, .. } = entry.kind else { continue };
                if body.text.trim() == "!time" {
                    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
                    // Not waited for: it goes as soon as it can, once.
                    room.message(&format!("it is {now} s after 1970")).reply_to(entry.seq).send();
                }
            }
            ClientEvent::State(state) => println!("{}", state.name()),
            _ => {}
        }
    }
    Ok(())
}
