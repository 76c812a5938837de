//! What a client says in the log of the program, for which nobody waits and which nobody asked for.

use log::{Level, LevelFilter, Log, Metadata, Record};
use parlor::client::{Backoff, Client, FileOutbox, TicketStatus};
use parlor::server::{Config, Server};
use parlor::store::Place;
use std::net::TcpListener;
use std::process::Command;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// Keeps each line, with the name of the thread that said it.
struct Lines(Mutex<Vec<(Level, String, String)>>);

static LINES: Lines = Lines(Mutex::new(Vec::new()));

impl Log for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let thread = thread::current().name().unwrap_or_default().to_owned();
        self.0.lock().unwrap().push((record.level(), record.args().to_string(), thread));
    }

    fn flush(&self) {}
}

/// A process whose files have at most 4 KiB stands for a full disk.
#[test]
fn an_outbox_that_cannot_keep_a_message_later_says_so_and_the_message_goes_all_the_same() {
    let done = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec prlimit --fsize=4096 \"$0\" --exact --ignored --nocapture inside::later"])
        .arg(std::env::current_exe().unwrap())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    let why = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.success() && said.contains("1 passed"),
        "{said}{why}\nit needs prlimit (on Debian: apt-get install util-linux)"
    );
}

mod inside {
    use super::*;

    #[test]
    #[ignore = "runs where files cannot grow"]
    fn later() {
        log::set_logger(&LINES).unwrap();
        log::set_max_level(LevelFilter::Error);
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let client = Client::builder(&format!("ws://{address}/ws?user=ada"))
            .thread_name("NetworkThread")
            .backoff(Backoff { min_ms: 50, max_ms: 50, ..Backoff::default() })
            .outbox(FileOutbox::open(folder.path()).unwrap())
            .start()
            .unwrap();
        let room = client.room("tea");
        drop(room.join());
        // Who writes them is not known yet: they are kept once more when it is, for which there is no room.
        let tickets: Vec<_> = (0..3).map(|_| room.send(&"x".repeat(1_000))).collect();
        assert!(tickets.iter().all(|ticket| ticket.status() == TicketStatus::Queued));
        assert_eq!(*LINES.0.lock().unwrap(), []);

        let server = Server::start(Config::new(address, Place::Memory)).unwrap();
        let begun = Instant::now();
        let is_stored = |status| matches!(status, TicketStatus::Acked { .. });
        while !tickets.iter().all(|ticket| is_stored(ticket.status())) {
            assert!(begun.elapsed() < PATIENCE, "{tickets:?}");
            thread::sleep(Duration::from_millis(5));
        }
        let lines = LINES.0.lock().unwrap().clone();
        assert!(!lines.is_empty());
        for (level, line, thread) in lines {
            assert_eq!((level, &*thread), (Level::Error, "NetworkThread"), "{line}");
            assert!(line.starts_with("a message that is not sent cannot be kept: "), "{line}");
        }
        client.close(Duration::ZERO).unwrap();
        server.handle().stop().unwrap();
        server.join().unwrap();
    }
}
