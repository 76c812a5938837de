//! The client within tokio: a task takes events when the descriptor says that there are some, others await answers.
//!
//! Run: `cargo run -- ws://127.0.0.1:8080/ws?user=ada tea`

use parlor::base::EntryKind;
use parlor::client::{Client, ClientEvent, Events};
use std::error::Error;
use std::os::fd::OwnedFd;
use std::time::Duration;
use tokio::io::unix::AsyncFd;

/// The next event; `None` once the client is closed.
async fn next(
    descriptor: &AsyncFd<OwnedFd>,
    events: &Events<ClientEvent>,
) -> std::io::Result<Option<ClientEvent>> {
    use std::sync::mpsc::TryRecvError;
    loop {
        match events.try_recv() {
            Ok(event) => return Ok(Some(event)),
            Err(TryRecvError::Disconnected) => return Ok(None),
            Err(TryRecvError::Empty) => {
                // Ready until nothing is left: between the look and this, something may have come.
                let mut ready = descriptor.readable().await?;
                if let Ok(event) = events.try_recv() {
                    return Ok(Some(event));
                }
                ready.clear_ready();
            }
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let [url, room] = &std::env::args().skip(1).collect::<Vec<_>>()[..] else {
        return Err("parlor-with-tokio URL ROOM".into());
    };
    let client = Client::builder(url).start()?;
    let room = client.room(room);
    let events = client.events();
    #[expect(deprecated, reason = "its successor is unsafe, and an OwnedFd is what it asks for")]
    let descriptor = AsyncFd::new(events.descriptor()?)?;
    let says = async {
        room.join().await?;
        let stored =
            tokio::time::timeout(Duration::from_secs(10), room.send("hello from tokio")).await??;
        Ok::<_, Box<dyn Error>>(stored)
    };
    let hears = async {
        while let Some(event) = next(&descriptor, &events).await? {
            if let ClientEvent::Entry(entry) = event
                && let EntryKind::Message { from, body, .. } = entry.kind
            {
                println!("{from}: {}", body.text);
                return Ok::<_, Box<dyn Error>>(entry.seq);
            }
        }
        Err("the client was closed".into())
    };
    let (stored, heard) = tokio::try_join!(says, hears)?;
    println!("stored as {}, heard as {heard}", stored.seq);
    Ok(())
}
