//! A WebSocket echo server on parlor's reactor.
//!
//! Run: `cargo run --release --example echo -- 127.0.0.1:9001`. A number after the address is from
//! how many bytes on messages are compressed, for clients that offer it; without one it is 1,024.

use parlor::base::{ConnId, Limits};
use parlor::protocol::deflate::CodecsConfig;
use parlor::reactor::{SIGINT, SIGTERM, on_signal};
use parlor::web;
use parlor::web::{Application, Message, Net, WebConfig};
use std::net::SocketAddr;

struct Echo;

impl Application for Echo {
    fn message(&mut self, net: &mut Net<'_>, conn: ConnId, message: Message<'_>) {
        // Refused only when the WebSocket is closing: then nobody waits for the echo.
        let _ = net.send(conn, message);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".into());
    let address: SocketAddr = address.parse().map_err(|error| format!("{address}: {error}"))?;
    let limits = Limits {
        message_bytes: 16 * 1024 * 1024,
        fragments: 131_072,
        connections_per_address: u32::MAX,
        ..Limits::default()
    };
    let mut compression = CodecsConfig { context_takeover: true, ..CodecsConfig::default() };
    if let Some(threshold) = std::env::args().nth(2) {
        compression.threshold_bytes = threshold.parse()?;
    }
    let compression = Some(compression);
    let config = WebConfig { limits, compression, ..WebConfig::default() };
    let mut caught = Ok(());
    web::serve(address, config, Echo, |address, stop| {
        println!("echo: ws://{address}/");
        caught = on_signal(&[SIGINT, SIGTERM], move |_| stop.stop());
    })?;
    Ok(caught?)
}
