//! A user at a parlor: asks, and keeps what is pushed meanwhile.

use crate::client::{BlockingBuilder, BlockingReader};
use crate::client::{BlockingWebSocket, BlockingWriter, Incoming, SocketError};
use crate::reactor::Clock;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::time::Duration;

/// So many pushes are kept.
const PUSHES_MAX: usize = 10_000;
/// How often a request is sent again that came too fast.
const AGAIN_MAX: u32 = 20;

/// A connection, and what came on it.
pub(super) struct Talker {
    reader: BlockingReader,
    writer: BlockingWriter,
    pushes: VecDeque<Value>,
    last_id: u64,
    timeout: Duration,
    /// The payload of its `hello`.
    pub(super) hello: Value,
}

/// An error of the server's: its payload.
pub(super) type Refused = Value;

impl Talker {
    /// Connects, and waits for `hello`.
    pub(super) fn connect(builder: BlockingBuilder, timeout: Duration) -> Result<Talker, String> {
        let builder = builder.connect_timeout(timeout).read_timeout(Some(timeout));
        let socket: BlockingWebSocket = builder.connect().map_err(|error| error.to_string())?;
        let (reader, writer) = socket.split();
        let (pushes, hello) = (VecDeque::new(), Value::Null);
        let mut talker = Talker { reader, writer, pushes, last_id: 0, timeout, hello };
        let first = talker.read()?;
        if first["type"] != "hello" {
            return Err(format!("the first message is no hello: {first}"));
        }
        talker.hello = first["payload"].clone();
        Ok(talker)
    }

    pub(super) fn user(&self) -> String {
        self.hello["user"]["id"].as_str().unwrap_or_default().to_owned()
    }

    pub(super) fn send_text(&self, text: &str) -> Result<(), String> {
        self.writer.send(text).map_err(|error| error.to_string())
    }

    pub(super) fn send_bytes(&self, bytes: &[u8]) -> Result<(), String> {
        self.writer.send_bytes(bytes).map_err(|error| error.to_string())
    }

    pub(super) fn close(&mut self) {
        let _ = self.writer.close(1_000, "");
        let clock = Clock::start();
        while clock.elapsed() < self.timeout
            && let Ok(Some(_)) = self.reader.read()
        {}
    }

    /// The next message.
    pub(super) fn read(&mut self) -> Result<Value, String> {
        loop {
            match self.reader.read() {
                Ok(Some(Incoming::Text(text))) => {
                    return serde_json::from_str(&text)
                        .map_err(|error| format!("a message is not JSON: {error}"));
                }
                Ok(Some(Incoming::Closed { code, reason })) => {
                    return Err(format!("it closed the connection: {code:?} {reason:?}"));
                }
                Ok(Some(_)) => {}
                Ok(None) => return Err("it ended the connection".to_owned()),
                Err(SocketError::Timeout) => return Err("nothing came in time".to_owned()),
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// Asks, and waits for the answer; as often as it comes too fast.
    pub(super) fn try_ask(
        &mut self,
        kind: &str,
        payload: &Value,
    ) -> Result<Result<Value, Refused>, String> {
        for _ in 0..AGAIN_MAX {
            self.last_id += 1;
            let id = self.last_id;
            let request = json!({"type": kind, "id": id, "payload": payload});
            self.send_text(&request.to_string())?;
            let answer = self.answer(&json!(id))?;
            let wait = answer["payload"]["retry_after_ms"].as_u64();
            match answer["type"].as_str() {
                Some("reply") => return Ok(Ok(answer["payload"].clone())),
                Some("error") if answer["payload"]["code"] == "rate_limited" => {
                    let wait =
                        Duration::from_millis(wait.ok_or("rate_limited has no retry_after_ms")?);
                    std::thread::sleep(wait.min(self.timeout));
                }
                _ => return Ok(Err(answer["payload"].clone())),
            }
        }
        Err(format!("{kind} is refused with rate_limited again and again"))
    }

    /// The answer to a request.
    pub(super) fn answer(&mut self, id: &Value) -> Result<Value, String> {
        let clock = Clock::start();
        while clock.elapsed() < self.timeout {
            let message = self.read()?;
            match message["type"].as_str() {
                Some("reply" | "error") if message["id"] == *id => return Ok(message),
                // One that nobody waits for any more.
                Some("reply") if !message["id"].is_null() => {}
                Some(_) => self.keep(message),
                None => return Err(format!("a message has no type: {message}")),
            }
        }
        Err(format!("no answer to request {id} came in time"))
    }

    fn keep(&mut self, message: Value) {
        if self.pushes.len() == PUSHES_MAX {
            self.pushes.pop_front();
        }
        self.pushes.push_back(message);
    }

    /// Asks for what must be granted.
    pub(super) fn ask(&mut self, kind: &str, payload: Value) -> Result<Value, String> {
        let answer = self.try_ask(kind, &payload)?;
        answer.map_err(|error| format!("{kind} {payload} is refused: {error}"))
    }

    /// Asks for what must be refused with one of these codes.
    pub(super) fn refused(
        &mut self,
        kind: &str,
        payload: Value,
        codes: &[&str],
    ) -> Result<Refused, String> {
        let wanted = codes.join(" or ");
        match self.try_ask(kind, &payload)? {
            Ok(reply) => {
                Err(format!("{kind} {payload} is answered with {reply}; expected {wanted}"))
            }
            Err(error) if codes.iter().any(|code| error["code"] == *code) => {
                match error["message"].as_str() {
                    Some(message) if !message.is_empty() => Ok(error),
                    _ => Err(format!("the refusal has no message: {error}")),
                }
            }
            Err(error) => {
                Err(format!("{kind} {payload} is refused with {error}; expected {wanted}"))
            }
        }
    }

    /// Waits for a push of a type that is as it must be; gives its payload.
    pub(super) fn push(
        &mut self,
        kind: &str,
        is_it: impl Fn(&Value) -> bool,
    ) -> Result<Value, String> {
        let is_wanted = |message: &Value| message["type"] == kind && is_it(&message["payload"]);
        if let Some(at) = self.pushes.iter().position(is_wanted) {
            let message = self.pushes.remove(at).unwrap_or_default();
            return Ok(message["payload"].clone());
        }
        let clock = Clock::start();
        while clock.elapsed() < self.timeout {
            let message = self.read().map_err(|error| format!("{kind} did not come: {error}"))?;
            if is_wanted(&message) {
                return Ok(message["payload"].clone());
            }
            self.keep(message);
        }
        Err(format!("{kind} did not come"))
    }

    /// That no such push came until now: what was sent before an answer comes before it, or with it.
    pub(super) fn no_push(
        &mut self,
        kind: &str,
        is_it: impl Fn(&Value) -> bool,
    ) -> Result<(), String> {
        self.ask("ping", json!({}))?;
        let came = self.pushes.iter().find(|one| one["type"] == kind && is_it(&one["payload"]));
        came.map_or(Ok(()), |came| Err(format!("{came} came, which is not for this connection")))
    }
}

/// That something holds.
pub(super) fn must(is_so: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(otherwise()) }
}

/// That a value has all these members.
pub(super) fn has(value: &Value, members: &[&str]) -> Result<(), String> {
    match members.iter().find(|member| value.get(member).is_none()) {
        None => Ok(()),
        Some(member) => Err(format!("{member} is missing in {value}")),
    }
}
