//! A WebSocket echo server on parlor's reactor.
//!
//! Run: `cargo run --release --example echo -- 127.0.0.1:9001`

use parlor::base::{ConnId, Limits};
use parlor::server::web::{self, Application, Message, Net};
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
    let address: SocketAddr = address.parse()?;
    let limits = Limits {
        message_bytes: 16 * 1024 * 1024,
        fragments: 65_536,
        connections_per_address: u32::MAX,
        ..Limits::default()
    };
    println!("echo: ws://{address}/");
    web::serve(address, limits, Echo)?;
    Ok(())
}
