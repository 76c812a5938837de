//! A robot that is watched: its state, its trajectory and the frames of its camera, 30 times a second,
//! each as a stream of the kind that fits.
//!
//! Run: `cargo run --release --example pipeline`, then open the printed address. Behind it may stand where to
//! listen: `-- 127.0.0.1:8081`.
//!
//! | stream | |
//! | --- | --- |
//! | `state` | a state: whoever is slow skips to the newest |
//! | `trajectory` | a log of the last 900 points: who comes sees the last half minute, and misses none after it |
//! | `frame` | bytes, a state: a picture for an `<img>`, which skips, too |

use parlor::base::declaration::{Declaration, Keep, Readers};
use parlor::base::pattern::Pattern;
use parlor::http1::Status;
use parlor::server::{Access, Config, Handle, HandleError, PathAnswer, Server};
use parlor::store::Place;
use serde_json::json;
use std::time::{Duration, Instant};

const PER_SECOND: u32 = 30;
const SIDE: usize = 96;

fn stream(name: &str, keep: Keep) -> Result<Declaration, Box<dyn std::error::Error>> {
    let mut stream = Declaration::new(Pattern::parse(name)?);
    (stream.keep, stream.program, stream.read) = (keep, true, Readers::Public);
    Ok(stream)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listen = std::env::args().nth(1).unwrap_or("127.0.0.1:8080".to_owned());
    let address = listen.parse().map_err(|error| format!("{listen}: {error}"))?;
    let mut config = Config::new(address, Place::Memory);
    config.lets_guests_in = true;
    let mut frame = stream("frame", Keep::Latest)?;
    (frame.binary, frame.max_bytes) = (true, 300 * 1024);
    config.streams =
        vec![stream("state", Keep::Latest)?, stream("trajectory", Keep::Log(900))?, frame];
    let server = Server::start(config)?;
    server.stop_on_signals()?;
    let parlor = server.handle();
    parlor.answer_path("GET", "/", Access::Public, |_, reply| {
        let page = include_str!("page.html");
        if let Ok(answer) = PathAnswer::new(Status::Ok, "text/html; charset=utf-8", page) {
            let _ = reply.send(answer);
        }
    })?;
    println!("Pipeline: http://{}/", server.local_addr());
    drive(&parlor);
    Ok(server.join()?)
}

/// Publishes until the server stops.
fn drive(parlor: &Handle) {
    let begun = Instant::now();
    for step in 0u32.. {
        // By the clock, not by sleeping: a late step does not make all others late.
        let due = begun + Duration::from_secs(1) * step / PER_SECOND;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let t = f64::from(step) / f64::from(PER_SECOND);
        let (x, y) = ((t * 0.7).cos() * 0.8, (t * 1.1).sin() * 0.8);
        let told = publish(parlor, step, t, x, y);
        if told == Err(HandleError::Stopped) {
            return;
        }
    }
}

fn publish(parlor: &Handle, step: u32, t: f64, x: f64, y: f64) -> Result<(), HandleError> {
    parlor.publish_event("state", &json!({ "step": step, "t": t, "x": x, "y": y }))?;
    parlor.publish_event("trajectory", &json!([x, y]))?;
    parlor.publish_bytes("frame", &picture(x, y))
}

/// What the camera sees: a spot on a dark ground, as a BMP of 24 bits.
fn picture(x: f64, y: f64) -> Vec<u8> {
    const HEAD: usize = 54;
    let size = HEAD + SIDE * SIDE * 3;
    let mut bytes = Vec::with_capacity(size);
    bytes.extend_from_slice(b"BM");
    for number in [size as u32, 0, HEAD as u32, 40, SIDE as u32, SIDE as u32] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(&[1, 0, 24, 0]);
    bytes.resize(HEAD, 0);
    let place = |of: f64| (of + 1.0) / 2.0 * SIDE as f64;
    for row in 0..SIDE {
        for column in 0..SIDE {
            let distance = (column as f64 - place(x)).hypot(row as f64 - place(y));
            let light = (255.0 * (1.0 - distance / 14.0)).clamp(16.0, 255.0) as u8;
            bytes.extend_from_slice(&[light / 2, light, light]);
        }
    }
    bytes
}
