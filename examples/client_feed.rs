//! Watches a stream, and says when it has skipped something, or is stale.
//!
//! Run: `cargo run --release --example client_feed -- ws://127.0.0.1:8080/ws?anonymous prices`

use parlor::client::{Client, ClientEvent, StreamData, WatchOptions};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let [url, name] = &std::env::args().skip(1).collect::<Vec<_>>()[..] else {
        return Err("client_feed URL STREAM".into());
    };
    let client = Client::builder(url).start()?;
    client.stream(name, WatchOptions::default())?;
    for event in client.events() {
        match event {
            ClientEvent::Stream(update) => {
                let skipped = if update.is_skipped { " (some were skipped)" } else { "" };
                match update.data {
                    StreamData::Json(json) => println!("{}{skipped} {json}", update.seq),
                    StreamData::Bytes(bytes) => {
                        println!("{}{skipped} {} bytes", update.seq, bytes.len())
                    }
                }
            }
            ClientEvent::StreamGap { after, .. } => {
                println!("what came after {after} is not kept any more")
            }
            ClientEvent::StreamStale { since: Some(_), .. } => {
                println!("nothing was heard for too long")
            }
            ClientEvent::StreamRefused { error, .. } => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}
