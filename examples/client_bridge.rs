//! A bridge: each line of standard input becomes a message, and none is lost if the server, or this program, is away
//! for a while.
//!
//! Run: `tail -F log | cargo run --release --example client_bridge -- ws://127.0.0.1:8080/ws?user=ada ada logs ./outbox`

use parlor::base::UserId;
use parlor::client::{Client, FileOutbox};
use std::error::Error;
use std::io::BufRead;
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let [url, user, room, folder] = &std::env::args().skip(1).collect::<Vec<_>>()[..] else {
        return Err("client_bridge URL USER ROOM FOLDER".into());
    };
    // As whom the server knows this program: what an earlier run has left is theirs, also if it never got through.
    let user = UserId::parse_any(user)?;
    let client = Client::builder(url).user(user).outbox(FileOutbox::open(folder)?).start()?;
    let room = client.room(room);
    // The answer is not waited for: what is sent meanwhile waits for it.
    let _joining = room.join();
    for line in std::io::stdin().lock().lines() {
        let ticket = room.send(&line?);
        // Refused at once: 10,000 wait already, or the disk is full. Any other end is told by the outbox.
        if let Some(Err(error)) = ticket.try_wait() {
            eprintln!("not sent: {error}");
        }
    }
    client.close(Duration::from_secs(10)).map_err(|unsent| unsent.to_string())?;
    Ok(())
}
