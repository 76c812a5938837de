//! A WebSocket echo server with nothing but `parlor::protocol` and the standard library: a thread
//! for each connection, blocking sockets. How the opening handshake, the frames and the end of a
//! connection go together for whoever brings their own input and output.
//!
//! Run: `cargo run --release --no-default-features --example serve_blocking -- 127.0.0.1:9003`

use parlor::base::{Moment, Outbox};
use parlor::http1::{HeadReader, HttpRefusal, RequestHead};
use parlor::protocol::deflate::{Codecs, CodecsConfig};
use parlor::protocol::handshake::{Accepted, Upgrade};
use parlor::protocol::{CloseCode, Endpoint, EndpointLimits, Event, Message, Received};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::collections::HashMap;
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const HEAD_BYTES_MAX: usize = 8 * 1024;
const HEADERS_MAX: usize = 64;
const OUTBOX_BYTES: u32 = 1024 * 1024;
const READ_BUFFER_BYTES: usize = 64 * 1024;
const STOP_MAX: Duration = Duration::from_secs(2);

/// Reads a request's head: what belongs to it, and what came behind it.
fn read_head(stream: &mut TcpStream) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
    let (mut bytes, mut reader) = (Vec::new(), HeadReader::default());
    let mut buffer = [0; 1024];
    loop {
        match reader.find_end(&bytes, HEAD_BYTES_MAX) {
            Ok(Some(end)) => {
                let behind = bytes.split_off(end);
                return Ok(Some((bytes, behind)));
            }
            Ok(None) => {}
            Err(error) => {
                stream.write_all(&HttpRefusal::from(error).to_bytes())?;
                return Ok(None);
            }
        }
        match stream.read(&mut buffer)? {
            0 => return Ok(None),
            len => bytes.extend_from_slice(&buffer[..len]),
        }
    }
}

/// What the request is answered with: a WebSocket, compressed if the client offers it, or why not.
fn judge(head: &[u8], codecs: &Arc<Codecs>) -> Result<Accepted, HttpRefusal> {
    let head = RequestHead::parse(head, HEADERS_MAX)?;
    Ok(Upgrade::judge(&head)?.accept(None, Some(codecs)))
}

/// The connections that are open, so that the end reaches them.
#[derive(Default)]
struct Open {
    streams: Mutex<HashMap<SocketAddr, TcpStream>>,
    is_stopping: AtomicBool,
}

impl Open {
    fn streams(&self) -> MutexGuard<'_, HashMap<SocketAddr, TcpStream>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has every connection's thread say Close, and waits for them, for [`STOP_MAX`] at most.
    fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
        for stream in self.streams().values() {
            // Whoever waits for bytes is told that no more come.
            let _ = stream.shutdown(Shutdown::Read);
        }
        let begun = Instant::now();
        while !self.streams().is_empty() && begun.elapsed() < STOP_MAX {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn serve(mut stream: TcpStream, codecs: &Arc<Codecs>, open: &Open) -> io::Result<()> {
    let Some((head, mut bytes)) = read_head(&mut stream)? else { return Ok(()) };
    let Accepted { answer, deflate } = match judge(&head, codecs) {
        Ok(accepted) => accepted,
        Err(refusal) => return stream.write_all(&refusal.to_bytes()),
    };
    stream.write_all(&answer)?;
    let mut endpoint = Endpoint::server(Arc::new(EndpointLimits::default()));
    if let Some(deflate) = deflate {
        endpoint = endpoint.with_deflate(deflate);
    }
    // An outbox is of one thread: it is made where it is used.
    let mut out = Outbox::alone(OUTBOX_BYTES);
    // What came behind the head are frames already.
    let mut len = bytes.len();
    bytes.resize(len.max(READ_BUFFER_BYTES), 0);
    loop {
        let mut input = Received::new(&mut bytes[..len]);
        let is_over = loop {
            // By its halves: an event may be borrowed from the one while the other sends.
            match endpoint.receive.next_event(&mut endpoint.send, &mut input, &mut out) {
                // Refused only after a Close: then nobody waits for the echo.
                Ok(Some(Event::Text(text))) => {
                    let _ = endpoint.send.message(Message::Text(text), &mut out);
                }
                Ok(Some(Event::Binary(bytes))) => {
                    let _ = endpoint.send.message(Message::Binary(bytes), &mut out);
                }
                // What it obliges to is in the outbox.
                Ok(Some(Event::Ping(_) | Event::Pong(_))) => {}
                Ok(None) => break false,
                // The Close that answers it, or says what is wrong, is in the outbox: it leaves,
                // and the server ends TCP (RFC 6455 §7.1.1).
                Ok(Some(Event::Closed { .. })) | Err(_) => break true,
            }
            out.write_to(&mut stream)?;
        };
        out.write_to(&mut stream)?;
        if is_over {
            stream.shutdown(Shutdown::Write)?;
            // Until the peer has ended, too: a reset would take the Close from it.
            while stream.read(&mut bytes)? > 0 {}
            return Ok(());
        }
        len = stream.read(&mut bytes)?;
        if len == 0 {
            if open.is_stopping.load(Ordering::Acquire) {
                // RFC 6455 §7.4.1: 1001, the server goes down.
                endpoint.send.start_close(
                    Some(CloseCode::GOING_AWAY),
                    "the server stops",
                    Moment::from_millis(0),
                    &mut out,
                );
                out.write_to(&mut stream)?;
                stream.shutdown(Shutdown::Write)?;
            }
            return Ok(());
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9003".into());
    let listener = TcpListener::bind(&address).map_err(|error| format!("{address}: {error}"))?;
    println!("serve_blocking: ws://{}/", listener.local_addr()?);
    let codecs = Codecs::new(CodecsConfig::default());
    let open = Arc::new(Open::default());
    let at_end = Arc::clone(&open);
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            at_end.stop();
            std::process::exit(0);
        }
    });
    loop {
        let (stream, peer) = listener.accept()?;
        open.streams().insert(peer, stream.try_clone()?);
        let (codecs, open) = (Arc::clone(&codecs), Arc::clone(&open));
        std::thread::spawn(move || {
            // How a connection ends is its own affair.
            let _ = serve(stream, &codecs, &open);
            open.streams().remove(&peer);
        });
    }
}
