//! NATS with JetStream: the senders publish with a subject for the acknowledgement, the receiver has
//! an ephemeral push consumer.

use crate::Fallible;
use crate::dialect::{Came, Dialect, Line, shown};
use memchr::{memchr, memmem};
use std::net::SocketAddr;

const CONNECT: &[u8] = b"CONNECT {\"verbose\":false,\"pedantic\":false,\"lang\":\"bench\",\
    \"version\":\"0\",\"protocol\":1}\r\nPING\r\n";

/// The numbers of the subscriptions.
const ACKNOWLEDGEMENTS: &str = "1";
const MESSAGES: &str = "2";
const SETUP: &str = "3";

pub(crate) struct Nats {
    pub(crate) address: SocketAddr,
    /// A part of the subjects: another one for each slice.
    pub(crate) slice: String,
}

impl Nats {
    fn open(&self) -> Fallible<Line> {
        let mut line = Line::open(self.address)?;
        line.ask(self, CONNECT, |came| Ok(matches!(came, Came::Ready)))?;
        Ok(line)
    }

    /// A request to JetStream's own subjects, which answers with JSON.
    fn request(&self, line: &mut Line, subject: &str, json: &str) -> Fallible<()> {
        let request = format!(
            "SUB setup.{0} {SETUP}\r\nUNSUB {SETUP} 1\r\nPUB $JS.API.{subject} setup.{0} {1}\r\n{json}\r\n",
            self.slice,
            json.len()
        );
        line.ask(self, request.as_bytes(), |came| match came {
            Came::Message(answer) if memmem::find(answer, b"\"error\"").is_some() => {
                Err(format!("JetStream refuses: {}", shown(answer)).into())
            }
            Came::Message(_) => Ok(true),
            _ => Ok(false),
        })
    }

    fn subscribe(&self, line: &mut Line, subject: &str, subscription: &str) -> Fallible<()> {
        let request = format!("SUB {subject} {subscription}\r\nPING\r\n");
        line.ask(self, request.as_bytes(), |came| Ok(matches!(came, Came::Ready)))
    }
}

impl Dialect for Nats {
    fn receiver(&mut self) -> Fallible<Line> {
        let mut line = self.open()?;
        let stream = r#"{"name":"BENCH","subjects":["bench.>"],"retention":"limits","storage":"file","num_replicas":1}"#;
        self.request(&mut line, "STREAM.CREATE.BENCH", stream)?;
        let slice = &self.slice;
        self.subscribe(&mut line, &format!("deliver.{slice}"), MESSAGES)?;
        let consumer = format!(
            r#"{{"stream_name":"BENCH","config":{{"deliver_subject":"deliver.{slice}","filter_subject":"bench.{slice}.*","deliver_policy":"all","ack_policy":"none"}}}}"#
        );
        self.request(&mut line, "CONSUMER.CREATE.BENCH", &consumer)?;
        Ok(line)
    }

    fn sender(&mut self, sender: usize) -> Fallible<Line> {
        let mut line = self.open()?;
        self.subscribe(&mut line, &format!("ack.{}.{sender}", self.slice), ACKNOWLEDGEMENTS)?;
        Ok(line)
    }

    fn put(&self, sender: usize, _: u64, text: &[u8], into: &mut Vec<u8>) {
        let slice = &self.slice;
        let head = format!("PUB bench.{slice}.{sender} ack.{slice}.{sender} {}\r\n", text.len());
        into.extend_from_slice(head.as_bytes());
        into.extend_from_slice(text);
        into.extend_from_slice(b"\r\n");
    }

    fn take(
        &self,
        input: &[u8],
        came: &mut dyn FnMut(Came<'_>) -> Fallible<()>,
    ) -> Fallible<usize> {
        let Some(end) = memchr(b'\n', input) else { return Ok(0) };
        let head = &input[..end];
        if head.starts_with(b"PING") {
            came(Came::Asked(b"PONG\r\n".to_vec()))?;
            return Ok(end + 1);
        }
        if head.starts_with(b"PONG") {
            came(Came::Ready)?;
            return Ok(end + 1);
        }
        if head.starts_with(b"INFO") {
            return Ok(end + 1);
        }
        // MSG SUBJECT SUBSCRIPTION [REPLY-TO] LENGTH
        let head = str::from_utf8(head)?;
        let words: Vec<&str> = head.split_ascii_whitespace().collect();
        let (Some(&"MSG"), Some(&subscription), Some(len)) =
            (words.first(), words.get(2), words.last())
        else {
            return Err(format!("NATS says {head}").into());
        };
        let len: usize = len.parse()?;
        let Some(payload) = input.get(end + 1..end + 1 + len) else { return Ok(0) };
        if input.len() < end + 1 + len + 2 {
            return Ok(0);
        }
        if subscription != ACKNOWLEDGEMENTS {
            came(Came::Message(payload))?;
        } else if memmem::find(payload, b"\"error\"").is_none() {
            came(Came::Acknowledged(None))?;
        } else {
            return Err(format!("JetStream refuses: {}", shown(payload)).into());
        }
        Ok(end + 1 + len + 2)
    }
}
