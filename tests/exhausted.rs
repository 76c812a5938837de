//! A process without a free file descriptor. It is a test program of its own, because it uses up
//! all of them.

use parlor::base::{ConnId, Limits};
use parlor::reactor::{Reactor, ReactorConfig};
use parlor::web::{Application, Message, Net, Web, WebConfig};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::net::TcpStream;
use std::time::Duration;

struct Silent;

impl Application for Silent {
    fn message(&mut self, _: &mut Net<'_>, _: ConnId, _: Message<'_>) {}
}

/// Processor time of this process, in clock ticks (100 a second on Linux); from a file that is open
/// already.
fn ticks(stat: &mut File) -> u64 {
    let mut text = String::new();
    stat.rewind().unwrap();
    stat.read_to_string(&mut text).unwrap();
    let after_name = text.rsplit_once(')').unwrap().1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

fn ask(mut stream: &TcpStream) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn running_out_of_files_neither_spins_nor_forgets_the_backlog() {
    let (ready, is_ready) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let listen = "127.0.0.1:0".parse().unwrap();
        let mut reactor =
            Reactor::bind(&ReactorConfig { listen, limits: Limits::default() }).unwrap();
        ready.send(reactor.local_addr().unwrap()).unwrap();
        reactor.run(&mut Web::new(Silent, WebConfig::default(), 1)).unwrap();
    });
    let address = is_ready.recv().unwrap();
    assert!(ask(&TcpStream::connect(address).unwrap()).contains(" 426 "));

    // All that the limit allows; one is given back for the client's own end.
    let mut stat = File::open("/proc/self/stat").unwrap();
    let mut files: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    files.pop();
    let waiting = TcpStream::connect(address).unwrap();
    assert!(File::open("/dev/null").is_err(), "a file is left, so that this tests nothing");

    // While it waits in the backlog the loop sleeps.
    let before = ticks(&mut stat);
    std::thread::sleep(Duration::from_secs(1));
    let used = ticks(&mut stat) - before;
    assert!(used < 50, "{used} of 100 ticks: it spins");

    // It is served without a new event, once there are files again.
    drop(files);
    assert!(ask(&waiting).contains(" 426 "));
}
