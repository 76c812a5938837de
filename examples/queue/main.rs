//! A waiting queue with a protocol of its own, word by word, beside streams: the same state by
//! WebSocket and by Server-Sent Events, side by side on one page.
//!
//! Run: `cargo run --release --example queue`, then open the printed address in two windows. An admin's
//! link is printed, too: who opens it may call the next one. Behind the command may stand where to listen:
//! `-- 127.0.0.1:8081`.
//!
//! On `/ws/queue` a client sends `{"request":"queue.join","id":1,"params":{"name":"Ada"}}` and hears
//! `{"response":1,"result":{"number":7}}`, or `{"response":1,"error":{"code","message"}}`; everybody hears
//! `{"event":"queue.changed","data":{…}}`. The same data are the stream `queue`.

use parlor::auth::{Claims, Secret};
use parlor::base::declaration::{Declaration, Readers};
use parlor::base::pattern::Pattern;
use parlor::http1::Status;
use parlor::server::{
    Access, Config, Handle, PathAnswer, Server, Socket, SocketHandler, SocketPath,
};
use parlor::store::Place;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Who waits at one time.
const WAITING_MAX: usize = 1_000;
/// Bytes of a name.
const NAME_BYTES_MAX: usize = 64;

#[derive(Default)]
struct Queue {
    last_number: u64,
    serving: Option<u64>,
    waiting: VecDeque<(u64, String)>,
    here: Vec<Socket>,
}

impl Queue {
    fn state(&self) -> Value {
        let waiting: Vec<Value> = self
            .waiting
            .iter()
            .map(|(number, name)| json!({ "number": number, "name": name }))
            .collect();
        json!({ "serving": self.serving, "waiting": waiting })
    }
}

/// A code for programs and a sentence for people.
type Refused = (&'static str, &'static str);

struct Desk {
    queue: Mutex<Queue>,
    parlor: Handle,
}

impl Desk {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing is left half done by a panic: each change is one assignment.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, kind: &str, params: &Value, is_admin: bool) -> Result<Value, Refused> {
        let mut queue = self.queue();
        let result = match kind {
            "queue.list" => return Ok(queue.state()),
            "queue.join" => {
                let name = params["name"].as_str().unwrap_or_default().trim();
                if name.is_empty() || name.len() > NAME_BYTES_MAX {
                    return Err(("bad_request", "name has 1 to 64 bytes"));
                }
                if queue.waiting.len() >= WAITING_MAX {
                    return Err(("full", "come again later"));
                }
                queue.last_number += 1;
                let number = queue.last_number;
                queue.waiting.push_back((number, name.to_owned()));
                json!({ "number": number })
            }
            "queue.leave" => {
                let number = params["number"].as_u64();
                let before = queue.waiting.len();
                queue.waiting.retain(|(one, _)| Some(*one) != number);
                if queue.waiting.len() == before {
                    return Err(("not_found", "nobody waits with this number"));
                }
                json!({})
            }
            "queue.next" | "queue.clear" if !is_admin => {
                return Err(("forbidden", "this is for admins"));
            }
            "queue.next" => {
                queue.serving = queue.waiting.pop_front().map(|(number, _)| number);
                json!({ "serving": queue.serving })
            }
            "queue.clear" => {
                queue.waiting.clear();
                queue.serving = None;
                json!({})
            }
            _ => return Err(("unknown", "there is no such request")),
        };
        self.changed(&queue);
        Ok(result)
    }

    /// Tells everybody, in both ways. The queue is held, so that no older state comes behind a newer one.
    fn changed(&self, queue: &Queue) {
        let state = queue.state();
        let event = json!({ "event": "queue.changed", "data": state }).to_string();
        // Refused only when the server stops, or when it is far behind: the next change tells all.
        let _ = self.parlor.send_to_sockets(&queue.here, parlor::protocol::Message::Text(&event));
        let _ = self.parlor.publish_event("queue", &state);
    }
}

impl SocketHandler for Desk {
    fn opened(&self, socket: &Socket) {
        let mut queue = self.queue();
        let event = json!({ "event": "queue.changed", "data": queue.state() });
        let _ = socket.text(&event.to_string());
        queue.here.push(socket.clone());
    }

    fn text(&self, socket: &Socket, text: &str) {
        let message: Value = serde_json::from_str(text).unwrap_or_default();
        let is_admin = socket.caller().is_some_and(|caller| caller.admin);
        let answered = match message["request"].as_str() {
            Some(kind) => self.ask(kind, &message["params"], is_admin),
            None => Err(("bad_request", "a message is {\"request\",\"id\",\"params\"}")),
        };
        let id = &message["id"];
        let response = match answered {
            Ok(result) => json!({ "response": id, "result": result }),
            Err((code, message)) => {
                json!({ "response": id, "error": { "code": code, "message": message } })
            }
        };
        let _ = socket.text(&response.to_string());
    }

    fn limited(&self, socket: &Socket, retry_after_ms: u64) {
        let error = json!({ "code": "rate_limited", "retry_after_ms": retry_after_ms });
        let _ = socket.text(&json!({ "response": null, "error": error }).to_string());
    }

    fn closed(&self, socket: &Socket, _: Option<parlor::protocol::CloseCode>) {
        self.queue().here.retain(|one| one.id() != socket.id());
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listen = std::env::args().nth(1).unwrap_or("127.0.0.1:8080".to_owned());
    let address = listen.parse().map_err(|error| format!("{listen}: {error}"))?;
    let mut config = Config::new(address, Place::Memory);
    // A secret for this run: the program makes the only token that there is.
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)?;
    let secret: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let secret = Secret::new(secret.as_bytes()).map_err(|_| "the secret is too short")?;
    config.secret = Some(secret.clone());
    config.lets_guests_in = true;
    let mut stream = Declaration::new(Pattern::parse("queue")?);
    (stream.program, stream.read, stream.max_bytes) = (true, Readers::Public, 128 * 1024);
    config.streams = vec![stream];

    let server = Server::start(config)?;
    server.stop_on_signals()?;
    let parlor = server.handle();
    let desk = Desk { queue: Mutex::default(), parlor: parlor.clone() };
    desk.changed(&desk.queue());
    parlor.own_socket_path(SocketPath::new("/ws/queue"), desk)?;
    parlor.answer_path("GET", "/", Access::Public, |_, reply| {
        let page = include_str!("page.html");
        if let Ok(answer) = PathAnswer::new(Status::Ok, "text/html; charset=utf-8", page) {
            let _ = reply.send(answer);
        }
    })?;

    let claims: Claims = serde_json::from_value(json!({
        "sub": "desk", "admin": true, "exp": 4_000_000_000u64,
    }))?;
    let address = server.local_addr();
    println!("Queue: http://{address}/");
    println!("Admin: http://{address}/#token={}", secret.sign(&claims)?);
    Ok(server.join()?)
}
