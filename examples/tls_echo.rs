//! A WebSocket echo server with TLS.
//!
//! Run: `cargo run --release --example tls_echo -- 127.0.0.1:9443 chat.pem chat.key`, with a
//! certificate and its private key (PEM). A number behind them is from how many bytes on messages
//! are compressed, for clients that offer it; without one it is 1,024.

use parlor::base::{ConnId, Limits};
use parlor::protocol::deflate::CodecsConfig;
use parlor::reactor::{ListeningSocket, Reactor, ReactorListener, SIGINT, SIGTERM, on_signal};
use parlor::tls::{Certificate, ShownCertificates, TlsAcceptor, server_config};
use parlor::web::{Application, Message, Net, WebConfig, serve_with};
use std::fs;

struct Echo;

impl Application for Echo {
    fn message(&mut self, net: &mut Net<'_>, conn: ConnId, message: Message<'_>) {
        // Refused only when the WebSocket is closing: then nobody waits for the echo.
        let _ = net.send(conn, message);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, certificate, key, rest @ ..] = &arguments[..] else {
        return Err("tls_echo ADDRESS CERTIFICATE KEY [THRESHOLD]".into());
    };
    let certificate = Certificate::from_pem(&fs::read(certificate)?, &fs::read(key)?)?;
    let shown = ShownCertificates::new(vec![certificate]);
    let socket = ListeningSocket::tcp(address.parse()?)?;
    let listener = ReactorListener { socket, connections: None };
    // By listener: this one speaks TLS, and asks for no certificate of its clients'.
    let acceptor = TlsAcceptor::new(vec![Some(server_config(shown, None)?)]);
    let limits = Limits {
        message_bytes: 16 * 1024 * 1024,
        fragments: 131_072,
        connections_per_address: u32::MAX,
        ..Limits::default()
    };
    let reactor = Reactor::with(vec![listener], &limits, acceptor)?;
    let mut compression = CodecsConfig { context_takeover: true, ..CodecsConfig::default() };
    if let [threshold] = rest {
        compression.threshold_bytes = threshold.parse()?;
    }
    let compression = Some(compression);
    let config = WebConfig { limits, compression, ..WebConfig::default() };
    let mut caught = Ok(());
    serve_with(reactor, config, Echo, |address, stop| {
        println!("tls_echo: wss://{address}/");
        caught = on_signal(&[SIGINT, SIGTERM], move |_| stop.stop());
    })?;
    Ok(caught?)
}
