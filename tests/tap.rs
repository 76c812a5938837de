//! What `parlor tap` records is a corpus for the fuzz target `decode`: each file is replayed here.

#[path = "../fuzz/bodies/decode.rs"]
mod decode;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Ends the tap, whatever becomes of the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const ASK: &[u8] = b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n";
const CLIENT: &[u8] = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x88\x80\0\0\0\0";
const ANSWER: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
const SERVER: &[u8] = &[0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x88, 0x00];

/// A server that says what it has to say, whatever it hears.
fn serve(listener: &TcpListener) {
    let (mut stream, _) = listener.accept().unwrap();
    stream.read_exact(&mut [0; ASK.len()]).unwrap();
    stream.write_all(&[ANSWER, SERVER].concat()).unwrap();
    stream.read_exact(&mut [0; CLIENT.len()]).unwrap();
}

#[test]
fn a_recording_is_a_corpus_of_the_fuzz_target() {
    let folder = std::env::temp_dir().join(format!("parlor-tap-corpus-{}", std::process::id()));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream = format!("ws://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || serve(&listener));
    let mut tap = Command::new(env!("CARGO_BIN_EXE_parlor"));
    tap.args(["tap", "0", &upstream, "--record-corpus"]).arg(&folder);
    let mut tap = Running(tap.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let mut said = String::new();
    BufReader::new(tap.0.stderr.take().unwrap()).read_line(&mut said).unwrap();
    let address = said.split([' ', ',']).nth(2).unwrap();
    let mut client = TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    client.write_all(ASK).unwrap();
    client.read_exact(&mut [0; ANSWER.len() + SERVER.len()]).unwrap();
    client.write_all(CLIENT).unwrap();
    client.read_to_end(&mut Vec::new()).unwrap();
    drop(client);
    let mut lines = BufReader::new(tap.0.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains(" #1 · over, ")));
    server.join().unwrap();
    let replayed = |name: &str| {
        let file = std::fs::read(folder.join(name)).unwrap();
        decode::decode(&file).unwrap()
    };
    for (name, bytes) in [
        ("0001-client.bin", [&[0x02], ASK, CLIENT].concat()),
        ("0001-server.bin", [&[0x03], ANSWER, SERVER].concat()),
    ] {
        assert_eq!(std::fs::read(folder.join(name)).unwrap(), bytes);
        let decoded = replayed(name);
        assert_eq!((decoded.violation, decoded.unfinished), (None, None), "{name}");
        assert_eq!(decoded.events[0], "Text(\"Hello\")");
        assert!(decoded.events[1].starts_with("Closed"));
    }
    std::fs::remove_dir_all(&folder).unwrap();
}
