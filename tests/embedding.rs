//! The library: a server on a thread, its handle, and an application's handlers. The client is the
//! protocol's own endpoint on a plain socket; third-party clients are in `tests/clients`.

use parlor::auth::{Claims, Secret};
use parlor::base::{ConnId, Outbox, StreamId};
use parlor::http1::Status;
use parlor::protocol::handshake::client::{ClientHandshake, ClientRequest};
use parlor::protocol::{CloseCode, Endpoint, EndpointLimits, Event, MaskKeys, Message, Received};
use parlor::server::{
    Access, Authenticate, Call, Config, Denied, Handle, HandleError, NewRoom, PathAnswer, Proof,
    ReloadError, Reply, Running, Server, Socket, SocketHandler, SocketPath,
};
use parlor::store::Place;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::time::{Duration, Instant};

const WAIT: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct Keys;

impl MaskKeys for Keys {
    fn next_key(&mut self) -> [u8; 4] {
        [1, 2, 3, 4]
    }
}

struct Client {
    stream: TcpStream,
    endpoint: Endpoint,
    out: Outbox,
    unread: Vec<u8>,
    messages: Vec<Value>,
}

impl Client {
    fn connect(server: &Running, target: &str) -> Client {
        let mut client = Client::open(server, target);
        client.take();
        client
    }

    fn open(server: &Running, target: &str) -> Client {
        let mut stream = TcpStream::connect(server.local_addr()).unwrap();
        stream.set_read_timeout(Some(WAIT)).unwrap();
        let host = server.local_addr().to_string();
        let request =
            ClientRequest { host: &host, target, protocols: &[], deflate: &[], fields: &[] };
        let handshake = ClientHandshake::new(request, *b"0123456789abcdef").unwrap();
        stream.write_all(handshake.request()).unwrap();
        let mut bytes = Vec::new();
        let opened = loop {
            if let Some(opened) = handshake.judge(&bytes).unwrap() {
                break opened;
            }
            let mut buffer = [0; 4_096];
            let len = stream.read(&mut buffer).unwrap();
            assert!(len > 0, "the server hung up");
            bytes.extend_from_slice(&buffer[..len]);
        };
        let endpoint = Endpoint::client(Arc::new(EndpointLimits::default()), Box::new(Keys));
        let unread = bytes.split_off(opened.head_len);
        Client { stream, endpoint, out: Outbox::alone(1 << 20), unread, messages: Vec::new() }
    }

    fn take(&mut self) {
        let mut bytes = std::mem::take(&mut self.unread);
        let mut input = Received::new(&mut bytes);
        while let Some(event) = self.endpoint.next_event(&mut input, &mut self.out).unwrap() {
            if let Event::Text(text) = event {
                self.messages.push(serde_json::from_str(text).unwrap());
            }
        }
    }

    fn send(&mut self, kind: &str, id: u64, payload: Value) {
        let text = json!({ "type": kind, "id": id, "payload": payload }).to_string();
        let out = &mut self.out;
        self.endpoint.send.message(Message::Text(&text), out).unwrap();
        let bytes: Vec<u8> = out.pieces().flatten().copied().collect();
        out.advance(bytes.len());
        self.stream.write_all(&bytes).unwrap();
    }

    /// The next message for which `fits` holds; the others are dropped.
    fn wait_for(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + WAIT;
        loop {
            if let Some(place) = self.messages.iter().position(&fits) {
                return self.messages.drain(..=place).next_back().unwrap();
            }
            assert!(Instant::now() < end, "it did not come");
            let mut buffer = [0; 65_536];
            let len = self.stream.read(&mut buffer).expect("a message within the time");
            assert!(len > 0, "the server hung up");
            self.unread.extend_from_slice(&buffer[..len]);
            self.take();
        }
    }

    fn request(&mut self, kind: &str, id: u64, payload: Value) -> Value {
        self.send(kind, id, payload);
        self.wait_for(|message| message["id"] == id)
    }

    fn wait_for_type(&mut self, kind: &str) -> Value {
        self.wait_for(|message| message["type"] == kind)
    }
}

fn start() -> Running {
    Server::start(config()).unwrap()
}

fn config() -> Config {
    let mut config = Config::new("127.0.0.1:0".parse().unwrap(), Place::Memory);
    // These clients do not answer a Close.
    config.set("closing.timeout_ms=100").unwrap();
    config
}

fn stop(server: Running) {
    server.handle().stop().unwrap();
    server.join().unwrap();
}

fn user(server: &Running, name: &str) -> Client {
    let mut client = Client::connect(server, &format!("/ws?user={name}"));
    client.wait_for_type("hello");
    client
}

#[test]
fn a_server_in_memory_stops_at_once_with_a_message_under_way() {
    let took = || {
        let mut config = config();
        config.set("closing.timeout_ms=10").unwrap();
        let server = Server::start(config).unwrap();
        let mut ada = user(&server, "ada");
        ada.send("room:join", 1, json!({ "room": "tea" }));
        ada.wait_for_type("reply");
        let (handle, inner) = (server.handle(), server.handle());
        let ends = move |_, _| {
            // One turn takes both.
            drop(inner.publish("tea", "ada", "the last", None).unwrap());
            inner.stop().unwrap();
        };
        handle.handle("end", Access::User, ends).unwrap();
        let begun = Instant::now();
        ada.send("end", 2, json!({}));
        assert_eq!(ada.wait_for_type("chat:message")["payload"]["text"], "the last");
        server.join().unwrap();
        begun.elapsed()
    };
    // Nothing is to be waited for but the client. Other work may hold up some of them.
    let least = (0..5).map(|_| took()).min().unwrap();
    assert!(least < Duration::from_millis(150), "{least:?}");
}

#[test]
fn a_handler_answers_at_once_later_and_with_an_error() {
    let server = start();
    let handle = server.handle();
    handle
        .handle("now", Access::User, |call, reply| {
            let caller = call.caller.unwrap();
            reply.ok(json!({ "user": caller.user.as_str(), "got": call.payload })).unwrap();
        })
        .unwrap();
    handle
        .handle("later", Access::User, |_, reply| {
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(50));
                reply.ok(json!({ "late": true })).unwrap();
            });
        })
        .unwrap();
    handle
        .handle("no", Access::User, |_, reply| {
            reply.error_with("full", "no seat is left", &json!({ "seats": 0 })).unwrap();
        })
        .unwrap();
    handle
        .handle("wrong", Access::User, |call, reply| {
            let data = json!("x".repeat(call.payload["data"].as_u64().unwrap() as usize));
            let failed = reply.error_with(call.payload["code"].as_str().unwrap(), "", &data);
            assert!(matches!(failed, Err(HandleError::Code | HandleError::Size { .. })));
        })
        .unwrap();
    handle.handle("forgotten", Access::User, |_, reply| drop(reply)).unwrap();
    handle.handle("broken", Access::User, |_, _reply| panic!("a fault in a handler")).unwrap();
    // It may replace one of the wire's own.
    handle
        .handle("ping", Access::Public, |_, reply| reply.ok(json!({ "own": 1 })).unwrap())
        .unwrap();

    let mut ada = user(&server, "ada");
    let now = ada.request("now", 1, json!({ "a": [1, 2] }));
    assert_eq!(now["payload"], json!({ "user": "ada", "got": { "a": [1, 2] } }));
    ada.send("later", 2, json!({}));
    let no = ada.request("no", 3, json!({}));
    assert_eq!(no["type"], "error");
    let told = json!({ "code": "full", "message": "no seat is left", "by": "application", "data": { "seats": 0 } });
    assert_eq!(no["payload"], told);
    assert_eq!(ada.wait_for(|message| message["id"] == 2)["payload"], json!({ "late": true }));
    for (id, kind, asked) in [
        (4, "forgotten", json!({})),
        (5, "broken", json!({})),
        (7, "wrong", json!({ "code": "No Seat", "data": 0 })),
        (8, "wrong", json!({ "code": "full", "data": 20_000 })),
    ] {
        let error = ada.request(kind, id, asked)["payload"].clone();
        assert_eq!((error["code"].as_str(), error.get("by")), (Some("internal"), None), "{kind}");
    }
    assert_eq!(ada.request("ping", 6, json!({}))["payload"], json!({ "own": 1 }));
    stop(server);
}

#[test]
fn the_right_is_checked_before_the_handler_runs() {
    let secret = Secret::new(&[b'k'; 32]).unwrap();
    let token = |user: &str, admin: bool| {
        let claims: Claims =
            serde_json::from_value(json!({ "sub": user, "exp": 4_000_000_000u64, "admin": admin }))
                .unwrap();
        secret.sign(&claims).unwrap()
    };
    let mut config = config();
    config.secret = Some(secret.clone());
    let server = Server::start(config).unwrap();
    let (ran, runs) = mpsc::channel();
    for (kind, access) in
        [("public", Access::Public), ("user", Access::User), ("admin", Access::Admin)]
    {
        let ran = ran.clone();
        server
            .handle()
            .handle(kind, access, move |call, reply| {
                ran.send((call.kind.clone(), call.caller.map(|caller| caller.user.to_string())))
                    .unwrap();
                reply.ok(json!({})).unwrap();
            })
            .unwrap();
    }
    let mut client = Client::connect(&server, "/ws");
    assert_eq!(client.request("public", 1, json!({}))["type"], "reply");
    assert_eq!(client.request("user", 2, json!({}))["payload"]["code"], "unauthorized");
    assert_eq!(client.request("auth", 3, json!({ "token": token("ada", false) }))["type"], "reply");
    assert_eq!(client.request("user", 4, json!({}))["type"], "reply");
    assert_eq!(client.request("admin", 5, json!({}))["payload"]["code"], "forbidden");
    // A refreshed token's rights replace the old ones.
    assert_eq!(client.request("auth", 6, json!({ "token": token("ada", true) }))["type"], "reply");
    assert_eq!(client.request("admin", 7, json!({}))["type"], "reply");
    assert_eq!(
        client.request("auth", 8, json!({ "token": token("bob", true) }))["payload"]["code"],
        "unauthorized"
    );
    let ada = Some("ada".to_owned());
    let expected =
        [("public".to_owned(), None), ("user".to_owned(), ada.clone()), ("admin".to_owned(), ada)];
    assert_eq!(runs.try_iter().collect::<Vec<_>>(), expected);
    stop(server);
}

#[test]
fn keys_are_read_again_and_who_is_there_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    let token = |letter: u8| {
        let exp = Some(4_000_000_000u64.into());
        let claims = Claims { sub: "ada".into(), exp, ..Claims::default() };
        Secret::new(&[letter; 32]).unwrap().sign(&claims).unwrap()
    };
    std::fs::write(&path, [b'a'; 32]).unwrap();
    let server = Server::start(Config { secret_file: Some(path.clone()), ..config() }).unwrap();
    let mut ada = Client::connect(&server, &format!("/ws?token={}", token(b'a')));
    let mut refresh = |id, letter| {
        ada.request("auth", id, json!({ "token": token(letter) }))["type"].as_str() == Some("reply")
    };
    assert!(refresh(1, b'a') && !refresh(2, b'b'));
    std::fs::write(&path, [b'b'; 32]).unwrap();
    let reloader = server.reloader();
    let read = || reloader.reload(&reloader.config());
    let reloaded = read().unwrap();
    assert_eq!(reloaded.keys, "1: HS256 without a kid");
    assert!(reloaded.taken.is_empty() && reloaded.waiting.is_empty(), "{reloaded:?}");
    assert!(!refresh(3, b'a') && refresh(4, b'b'));
    std::fs::write(&path, "short").unwrap();
    let error = read().unwrap_err().to_string();
    assert!(error.contains("5 bytes"), "{error}");
    assert!(refresh(5, b'b'), "the old keys stay");
    stop(server);
    std::fs::write(&path, [b'b'; 32]).unwrap();
    assert!(matches!(read(), Err(ReloadError::Server(HandleError::Stopped))));
}

#[test]
fn another_configuration_is_taken_as_far_as_it_can_be_or_not_at_all() {
    let server = start();
    let (reloader, handle) = (server.reloader(), server.handle());
    let mut ada = user(&server, "ada");
    ada.request("room:join", 1, json!({ "room": "tea" }));
    let mut config = reloader.config();
    config.set("limits.text_bytes=3").unwrap();
    config.set("limits.outbox_bytes=4096").unwrap();
    config.secret_file = Some("nowhere".into());
    let secret_waits = reloader.reload(&config).unwrap();
    let names = |changes: &[parlor::server::Change]| -> Vec<&'static str> {
        changes.iter().map(|change| change.key).collect()
    };
    assert_eq!(names(&secret_waits.taken), ["limits.text_bytes"]);
    assert_eq!(
        names(&secret_waits.waiting),
        ["limits.outbox_bytes", "limits.outbox_low_bytes", "auth.secret_file"],
        "open mode stays open mode"
    );
    assert_eq!(secret_waits.keys, "");
    assert_eq!(secret_waits.taken[0].to_string(), "limits.text_bytes: \"3\", was \"16384\"");
    // For connections that are open, and for handles.
    let send = |id, text: &str| ("chat:send", id, json!({ "room": "tea", "text": text }));
    let (kind, id, payload) = send(2, "four");
    assert_eq!(ada.request(kind, id, payload)["payload"]["limit"], 3);
    assert_eq!(
        handle.publish("tea", "ada", "four", None).unwrap_err().to_string(),
        "a text has at most 3 bytes"
    );
    // What is wrong changes nothing, neither what else it says.
    let mut wrong = reloader.config();
    wrong.limits.text_bytes = 100;
    wrong.limits.cid_bytes = 0;
    assert!(matches!(reloader.reload(&wrong), Err(ReloadError::Config(_))));
    let (kind, id, payload) = send(3, "four");
    assert_eq!(ada.request(kind, id, payload)["payload"]["limit"], 3);
    assert_eq!(reloader.config().limits.text_bytes, 3);
    assert_eq!(reloader.config().limits.outbox_bytes, 1024 * 1024);
    stop(server);
}

#[test]
fn pushes_reach_the_connections_that_they_count() {
    let server = start();
    let handle = server.handle();
    let (mut ada, mut ada_too, mut bob) =
        (user(&server, "ada"), user(&server, "ada"), user(&server, "bob"));
    assert_eq!(handle.send_to_user("ada", "note", &json!({ "n": 1 })), Ok(2));
    assert_eq!(
        handle.send_to_users(&["ada", "bob", "bob", "nobody"], "note", &json!({ "n": 2 })),
        Ok(3)
    );
    assert_eq!(handle.broadcast("note", &json!({ "n": 3 })), Ok(3));
    assert_eq!(handle.send_to_user("nobody", "note", &json!({})), Ok(0));
    for (client, first) in [(&mut ada, 1), (&mut ada_too, 1), (&mut bob, 2)] {
        for n in first..=3 {
            assert_eq!(client.wait_for_type("note")["payload"]["n"], n);
        }
    }
    assert_eq!((handle.is_online("ada"), handle.is_online("nobody")), (Ok(true), Ok(false)));
    let online: Vec<String> =
        handle.online_users().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(online, ["ada", "bob"]);
    let long = "x".repeat(65);
    for kind in ["", "reply", "chat:message", "hello", "ping", "message", "a\nb", "a\u{85}", &long]
    {
        assert_eq!(handle.broadcast(kind, &json!({})), Err(HandleError::Type), "{kind}");
        assert_eq!(handle.send_to_user("ada", kind, &json!({})), Err(HandleError::Type));
    }
    assert!(matches!(handle.is_online("a b"), Err(HandleError::Name(_))));
    stop(server);
}

#[test]
fn a_program_that_has_taken_requests_over_sends_their_pushes() {
    let server = start();
    let handle = server.handle();
    let mut ada = user(&server, "ada");
    let send = |kind: &str| handle.send_to_user("ada", kind, &json!({ "content": kind }));
    let own = ["chat:message", "chat:typing", "room:news", "user:online", "presence:away"];
    for kind in own {
        assert_eq!(send(kind), Err(HandleError::Type), "{kind}");
    }
    let answer = |_: Call, reply: Reply| drop(reply.ok(json!({})));
    handle.handle("chat:send", Access::User, answer).unwrap();
    for kind in ["chat:message", "chat:typing"] {
        assert_eq!(send(kind), Ok(1));
        assert_eq!(ada.wait_for_type(kind)["payload"], json!({ "content": kind }));
    }
    for kind in ["room:news", "user:online", "admin:push", "stream:x", "auth:x", "reply", "chat:\n"]
    {
        assert_eq!(send(kind), Err(HandleError::Type), "{kind}");
    }
    handle.handle("presence:list", Access::User, answer).unwrap();
    assert_eq!(
        (send("user:online"), send("user:typing"), send("presence:away")),
        (Ok(1), Ok(1), Ok(1))
    );
    assert_eq!(send("room:news"), Err(HandleError::Type));
    stop(server);
}

#[test]
fn guests_are_sent_what_all_are_and_do_not_count() {
    let mut config = config();
    config.secret = Some(Secret::new(&[b'k'; 32]).unwrap());
    config.set("auth.anonymous=true").unwrap();
    let server = Server::start(config).unwrap();
    let mut guest = Client::connect(&server, "/ws?anonymous=1");
    let name = guest.wait_for_type("hello")["payload"]["user"]["id"].as_str().unwrap().to_owned();
    let handle = server.handle();
    assert_eq!(handle.broadcast("note", &json!({ "n": 1 })), Ok(0));
    assert_eq!(handle.send_to_user(&name, "note", &json!({ "n": 2 })), Ok(0));
    for n in 1..=2 {
        assert_eq!(guest.wait_for_type("note")["payload"]["n"], n);
    }
    stop(server);
}

#[test]
fn a_handler_may_use_the_handle_without_a_deadlock() {
    let server = start();
    let handle = server.handle();
    let inner = handle.clone();
    handle.handle("all", Access::User, move |_, reply| {
        let reached = inner.broadcast("note", &json!({})).unwrap();
        let online = inner.is_online("ada").unwrap() && inner.online_users().unwrap().len() == 1;
        let waited = inner.publish("lobby", "ada", "hi", None).unwrap().wait(WAIT);
        reply.ok(json!({ "reached": reached, "online": online, "waited": waited.unwrap_err().to_string() })).unwrap();
    }).unwrap();
    let mut ada = user(&server, "ada");
    ada.request("room:join", 1, json!({ "room": "lobby" }));
    let answer = ada.request("all", 2, json!({}));
    assert_eq!(
        (&answer["payload"]["reached"], &answer["payload"]["online"]),
        (&json!(1), &json!(true))
    );
    assert_eq!(answer["payload"]["waited"], HandleError::WouldDeadlock.to_string());
    // It was published all the same.
    assert_eq!(ada.wait_for_type("chat:message")["payload"]["text"], "hi");
    stop(server);
}

#[test]
fn members_come_and_go_and_messages_are_published_in_a_users_name() {
    let server = start();
    let handle = server.handle();
    let mut ada = user(&server, "ada");
    let wait = |ticket: Result<parlor::server::Ticket, HandleError>| ticket.unwrap().wait(WAIT);
    assert_eq!(wait(handle.create("team", "ada", NewRoom::default())).unwrap().1, 1);
    assert_eq!(ada.wait_for_type("room:joined")["payload"]["user"], "ada");
    let (room, seq) = wait(handle.publish("team", "ada", "hello", Some("c1"))).unwrap();
    assert_eq!((room.as_str(), seq), ("team", 2));
    assert_eq!(
        wait(handle.publish("team", "ada", "hello", Some("c1"))).unwrap().1,
        2,
        "a repeat is harmless"
    );
    assert_eq!(ada.wait_for_type("chat:message")["payload"]["cid"], "c1");
    let too_large = handle.publish("team", "ada", &"x".repeat(16_385), None).unwrap_err();
    assert_eq!(too_large, HandleError::Size { what: "text", limit: 16_384 });
    let no_cid = handle.publish("team", "ada", "hello", Some("")).unwrap_err();
    assert_eq!(no_cid, HandleError::Size { what: "cid", limit: 64 });
    let refused = wait(handle.publish("team", "bob", "hello", None)).unwrap_err();
    assert!(matches!(refused, HandleError::Refused { code: "not_member", .. }), "{refused}");
    wait(handle.remove("team", "ada")).unwrap();
    let removed = ada.wait_for_type("room:removed");
    assert_eq!(removed["payload"], json!({ "room": "team", "reason": "removed" }));
    let refused = wait(handle.remove("team", "ada")).unwrap_err();
    assert!(matches!(refused, HandleError::Refused { code: "not_member", .. }), "{refused}");
    stop(server);
}

#[test]
fn every_call_fails_once_the_server_has_stopped() {
    let server = start();
    let handle = server.handle();
    stop(server);
    let stopped = || Some(HandleError::Stopped);
    assert_eq!(handle.broadcast("note", &json!({})).err(), stopped());
    assert_eq!(handle.send_to_user("ada", "note", &json!({})).err(), stopped());
    assert_eq!(handle.is_online("ada").err(), stopped());
    assert_eq!(handle.online_users().err(), stopped());
    assert_eq!(handle.join("a", "b").err(), stopped());
    assert_eq!(handle.remove("a", "b").err(), stopped());
    assert_eq!(handle.publish("a", "b", "", None).err(), stopped());
    assert_eq!(handle.handle("x", Access::Public, |_, _| {}).err(), stopped());
    assert_eq!(handle.stop().err(), stopped());
}

#[test]
fn a_ticket_is_answered_also_when_the_server_stops_meanwhile() {
    let server = start();
    let handle = server.handle();
    let made = handle.create("room", "ada", NewRoom::default()).unwrap();
    made.wait(WAIT).unwrap();
    let tickets: Vec<_> =
        (0..200).map(|n| handle.join("room", &format!("user{n}")).unwrap()).collect();
    handle.stop().unwrap();
    for ticket in tickets {
        let result = ticket.wait(WAIT);
        assert!(matches!(result, Ok(_) | Err(HandleError::Stopped)), "{result:?}");
    }
    server.join().unwrap();
}

#[test]
fn what_was_called_before_the_stop_is_carried_out_and_told() {
    let server = start();
    let handle = server.handle();
    let mut ada = user(&server, "ada");
    let joined = handle.create("room", "bot", NewRoom::default()).unwrap();
    let said = handle.publish("room", "bot", "goodbye", None).unwrap();
    assert_eq!(handle.send_to_user("ada", "note", &json!({ "n": 1 })), Ok(1));
    handle.stop().unwrap();
    // Between the stop's call and its beginning: carried out, or told that it is not.
    let late = handle.send_to_user("ada", "note", &json!({ "n": 2 }));
    assert_eq!(ada.wait_for_type("note")["payload"]["n"], 1);
    if late.is_ok() {
        assert_eq!(ada.wait_for_type("note")["payload"]["n"], 2);
    }
    assert!(joined.wait(WAIT).is_ok());
    // It was asked for before the room was committed, or after it.
    let said = said.wait(WAIT);
    assert!(
        matches!(said, Ok(_) | Err(HandleError::Refused { code: "no_such_room", .. })),
        "{said:?}"
    );
    server.join().unwrap();
}

#[test]
fn calls_beyond_the_queue_fail_and_nothing_is_lost_in_silence() {
    let server = start();
    let handle: Handle = server.handle();
    // The reactor is kept busy by a handler, so that the queue fills.
    let (entered, leave) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (at_entry, at_leave) = (Arc::clone(&entered), Arc::clone(&leave));
    handle
        .handle("block", Access::User, move |_, reply| {
            at_entry.wait();
            at_leave.wait();
            reply.ok(json!({})).unwrap();
        })
        .unwrap();
    let mut ada = user(&server, "ada");
    ada.send("block", 1, json!({}));
    entered.wait();
    let payload = json!({ "text": "x".repeat(1_000_000) });
    let mut accepted = 0u64;
    let full = loop {
        match handle.send_to_user("ada", "note", &payload) {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
        assert!(accepted < 100, "the queue has a bound in bytes");
    };
    assert_eq!(full, HandleError::Full);
    // A server that cannot keep up can still be ended.
    handle.stop().unwrap();
    handle.stop().unwrap();
    leave.wait();
    ada.wait_for(|message| message["id"] == 1);
    ada.wait_for_type("note");
    server.join().unwrap();
}

#[test]
fn large_answers_of_a_handler_are_charged_as_work_on_a_websocket_too() {
    let mut config = config();
    config.limits.user_work_per_second = 1;
    config.limits.user_work_burst = 12;
    let server = Server::start(config).unwrap();
    let answer = json!({ "text": "x".repeat(500_000) });
    server
        .handle()
        .handle("large", Access::User, move |_, reply| reply.ok(answer.clone()).unwrap())
        .unwrap();
    let mut ada = user(&server, "ada");
    assert_eq!(ada.request("large", 1, json!({}))["type"], "reply");
    let refused = ada.request("room:list", 2, json!({}));
    assert_eq!(refused["payload"]["code"], "rate_limited", "{refused}");
    stop(server);
}

/// Makes a call over HTTP; gives the status and what the content says.
fn call(server: &Running, kind: &str, user: &str, payload: &Value) -> (u16, Value) {
    let mut stream = TcpStream::connect(server.local_addr()).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    let body = payload.to_string();
    write!(
        stream,
        "POST /api/v1/call/{kind}?{user} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap())
}

#[test]
fn handlers_answer_calls_over_http_at_once_and_later_and_with_codes_of_their_own() {
    let server = start();
    let handle = server.handle();
    handle
        .handle("who", Access::Public, |call, reply| {
            assert_eq!(call.connection, None);
            let user = call.caller.map(|caller| caller.user.to_string());
            reply.ok(json!({ "user": user, "of": call.payload["of"] })).unwrap();
        })
        .unwrap();
    handle
        .handle("later", Access::User, |_, reply| {
            std::thread::spawn(move || reply.ok(json!({ "late": true })).unwrap());
        })
        .unwrap();
    handle.handle("own", Access::User, |_, reply| reply.error("too_blue", "no").unwrap()).unwrap();
    handle.handle("none", Access::User, |_, reply| drop(reply)).unwrap();
    handle.handle("fault", Access::User, |_, _| panic!("a fault of its own")).unwrap();
    handle.handle("admins", Access::Admin, |_, _| unreachable!()).unwrap();
    // In place of one of the wire's own that no call could be.
    handle.handle("auth", Access::User, |_, reply| reply.ok(json!({})).unwrap()).unwrap();
    let answer = |kind: &str| call(&server, kind, "user=ada", &json!({ "of": 7 }));
    assert_eq!(answer("who"), (200, json!({ "user": "ada", "of": 7 })));
    assert_eq!(call(&server, "who", "", &json!({})), (200, json!({ "user": null, "of": null })));
    assert_eq!(answer("later"), (200, json!({ "late": true })));
    assert_eq!(answer("auth"), (200, json!({})));
    for (kind, status, code, by) in [
        ("own", 400, "too_blue", Some("application")),
        ("none", 500, "internal", None),
        ("fault", 500, "internal", None),
        ("admins", 403, "forbidden", None),
        ("nowhere", 404, "unknown_type", None),
    ] {
        let (got, body) = answer(kind);
        let error = &body["error"];
        assert_eq!((got, error["code"].as_str(), error["by"].as_str()), (status, Some(code), by));
    }
    assert_eq!(call(&server, "later", "", &json!({})).0, 401);
    stop(server);
}

#[test]
fn a_call_over_http_that_waits_when_the_server_stops_is_told_so() {
    let server = start();
    let (held, replies) = mpsc::channel();
    server
        .handle()
        .handle("held", Access::User, move |_, reply| held.send(reply).unwrap())
        .unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| call(&server, "held", "user=ada", &json!({})));
        let reply = replies.recv_timeout(WAIT).unwrap();
        server.handle().stop().unwrap();
        let (status, body) = waiting.join().unwrap();
        assert_eq!((status, body["error"]["code"].as_str()), (503, Some("unavailable")));
        drop(reply);
    });
    server.join().unwrap();
}

#[test]
fn a_connection_id_is_told_to_handlers() {
    let server = start();
    let (told, connections) = mpsc::channel::<ConnId>();
    server
        .handle()
        .handle("who", Access::Public, move |call, reply| {
            told.send(call.connection.unwrap()).unwrap();
            reply.ok(json!({})).unwrap();
        })
        .unwrap();
    let mut client = Client::connect(&server, "/ws?user=ada");
    let hello = client.wait_for_type("hello");
    client.request("who", 1, json!({}));
    assert_eq!(hello["payload"]["connection"], connections.recv().unwrap().to_string());
    stop(server);
}

#[test]
fn a_stream_of_the_programs_is_fed_from_any_thread_and_no_other_is() {
    use parlor::base::declaration::{DataMember, Declaration, Keep};
    use parlor::base::pattern::Pattern;
    let declare = |name: &str, program: bool| {
        let mut declaration = Declaration::new(Pattern::parse(name).unwrap());
        (declaration.keep, declaration.program, declaration.publish) =
            (Keep::Log(100), program, !program);
        declaration
    };
    let mut pose = declare("pose", true);
    pose.members =
        vec![DataMember { name: "x".into(), kind: parlor::base::declaration::Kind::Number }];
    let mut config = Config::new("127.0.0.1:0".parse().unwrap(), Place::Memory);
    config.streams = vec![pose, declare("others", false)];
    let server = Server::start(config).unwrap();
    let mut ada = Client::connect(&server, "/ws?user=ada");
    ada.send("subscribe", 1, json!({ "streams": ["pose", "others"] }));
    ada.wait_for(|message| message["id"] == 1);
    let publisher = server.handle();
    std::thread::spawn(move || {
        assert!(publisher.publish_event("others", &json!(1)).is_err());
        for x in 0..20 {
            publisher.publish_event("pose", &json!({ "x": x })).unwrap();
        }
        assert!(matches!(publisher.publish_event("a b", &json!(1)), Err(HandleError::Name(_))));
    })
    .join()
    .unwrap();
    for x in 0..20 {
        let event = ada.wait_for(|message| message["type"] == "event");
        assert_eq!(event["payload"]["stream"], "pose");
        assert_eq!(event["payload"]["seq"], x + 1);
        assert_eq!(event["payload"]["data"], json!({ "x": x }));
    }
    server.handle().stop().unwrap();
    server.join().unwrap();
}

/// One request of HTTP; the status line's number, the head, the content.
fn http(server: &Running, request: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(server.local_addr()).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    let request = request.replace("HOST", &server.local_addr().to_string());
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, content) = text.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), head.to_owned(), content.to_owned())
}

/// What the program has not answered yet stays in memory, and has a bound.
#[test]
fn bodies_that_wait_for_the_program_have_a_bound_together() {
    const BODY_BYTES: usize = 24 << 20;
    let mut config = config();
    config.set(&format!("http.body_bytes={BODY_BYTES}")).unwrap();
    let server = Server::start(config).unwrap();
    let (kept, waiting) = mpsc::channel();
    let keeps = move |request, reply| kept.send((request, reply)).unwrap();
    server.handle().answer_path("POST", "/kept", Access::Public, keeps).unwrap();
    let body = "x".repeat(BODY_BYTES);
    let posts = || {
        let fields = format!("Connection: close\r\nContent-Length: {BODY_BYTES}");
        http(&server, &format!("POST /kept HTTP/1.1\r\nHost: HOST\r\n{fields}\r\n\r\n{body}"))
    };
    std::thread::scope(|scope| {
        // One after the other: while they come they share the room of their address.
        let post = |_| (scope.spawn(posts), waiting.recv_timeout(WAIT).unwrap());
        let (first, replies): (Vec<_>, Vec<_>) = (0..2).map(post).unzip();
        let (status, _, content) = posts();
        assert_eq!((status, content.contains("overloaded")), (503, true), "{content}");
        for (_, reply) in replies {
            reply.send(PathAnswer::new(Status::Ok, "text/plain", "had").unwrap()).unwrap();
        }
        for one in first {
            assert_eq!(one.join().unwrap().0, 200);
        }
        // What was answered makes room.
        let again = scope.spawn(posts);
        let (_, reply) = waiting.recv_timeout(WAIT).unwrap();
        reply.send(PathAnswer::new(Status::Ok, "text/plain", "had").unwrap()).unwrap();
        assert_eq!(again.join().unwrap().0, 200);
    });
    stop(server);
}

#[test]
fn paths_of_the_programs_are_answered_by_it() {
    let server = start();
    let handle = server.handle();
    handle
        .answer_path("GET", "/api/v1/queue/{id}", Access::Public, |request, reply| {
            let caller = request.caller.as_ref().map(|caller| caller.user.to_string());
            let told = json!({ "id": request.param("id"), "query": request.query, "by": caller });
            let answer = PathAnswer::json(Status::Ok, &told);
            std::thread::spawn(move || reply.send(answer.with("X-Queue", "7").unwrap()));
        })
        .unwrap();
    handle
        .answer_path("POST", "/api/v1/queue/{id}", Access::User, |request, reply| {
            let body = request.json().unwrap_or_default();
            reply.send(PathAnswer::json(Status::Created, &body)).unwrap();
        })
        .unwrap();
    handle.answer_path("GET", "/lost", Access::Public, |_, reply| drop(reply)).unwrap();
    handle.answer_path("GET", "/broken", Access::Public, |_, _reply| panic!("a fault")).unwrap();
    handle
        .answer_path("GET", "/", Access::Public, |_, reply| {
            reply.send(PathAnswer::new(Status::Ok, "text/plain", "mine").unwrap()).unwrap();
        })
        .unwrap();
    for (path, fits) in [
        ("/ws", false),
        ("/api/v1/info", false),
        ("/api/{x}/info/y", false),
        ("queue", false),
        ("/x", true),
        ("/api/public/queue", true),
    ] {
        let done = handle.answer_path("GET", path, Access::Public, |_, _| {});
        assert_eq!(done.is_ok(), fits, "{path}");
    }
    assert!(handle.answer_path("TRACE", "/x", Access::Public, |_, _| {}).is_err());

    let get = |target: &str| {
        http(&server, &format!("GET {target} HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n"))
    };
    let (status, head, content) = get("/api/v1/queue/a%20b?user=ada&x=1");
    assert_eq!(status, 200);
    assert!(head.contains("X-Queue: 7"), "{head}");
    let told: Value = serde_json::from_str(&content).unwrap();
    assert_eq!(told, json!({ "id": "a b", "query": "user=ada&x=1", "by": "ada" }));
    assert_eq!(get("/api/v1/queue/1").2, r#"{"by":null,"id":"1","query":""}"#);
    assert_eq!(get("/lost").0, 500);
    assert_eq!(get("/broken").0, 500);
    assert_eq!(get("/").2, "mine");
    assert_eq!(get("/api/v1/queue").0, 404);
    let post = |target: &str, field: &str| {
        let body = r#"{"n":1}"#;
        let head = format!("POST {target} HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n{field}");
        http(&server, &format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()))
    };
    let (status, _, content) = post("/api/v1/queue/1?user=ada", "");
    assert_eq!((status, content.as_str()), (201, r#"{"n":1}"#));
    assert_eq!(post("/api/v1/queue/1", "").0, 401, "it is for users");
    assert_eq!(post("/api/v1/queue/1?user=ada", "Origin: https://evil.example\r\n").0, 403);
    let (status, head, _) = post("/lost", "");
    assert_eq!((status, head.contains("Allow: GET, HEAD, OPTIONS")), (405, true));
    stop(server);
}

/// Speaks in lines: what it is sent comes back, in capitals, to all who are there.
struct Shouts {
    here: Mutex<Vec<Socket>>,
    handle: Handle,
    seen: mpsc::Sender<String>,
}

impl SocketHandler for Shouts {
    fn opened(&self, socket: &Socket) {
        let name = socket.param("room").unwrap().to_owned();
        let by = socket.caller().map(|caller| caller.user.to_string());
        // All of what it asks for one by one: a panic would close it.
        assert_eq!(socket.params(), [("room".to_owned(), name.clone())]);
        let whole = ["", "user=ada&x=a%26b"].contains(&socket.whole_query());
        assert_eq!(whole, socket.query("x").is_some() || by.is_none());
        socket.text(&format!("welcome to {name}, {by:?}, {:?}", socket.query("x"))).unwrap();
        self.here.lock().unwrap().push(socket.clone());
    }

    fn text(&self, socket: &Socket, text: &str) {
        match text {
            "bye" => socket.close(CloseCode(4321), "as you wish").unwrap(),
            "panic" => panic!("a fault of the program's"),
            _ => {
                let loud = text.to_uppercase();
                let here = self.here.lock().unwrap();
                self.handle.send_to_sockets(here.iter(), Message::Text(&loud)).unwrap();
            }
        }
    }

    fn binary(&self, socket: &Socket, bytes: &[u8]) {
        let back: Vec<u8> = bytes.iter().rev().copied().collect();
        socket.binary(&back).unwrap();
    }

    fn closed(&self, socket: &Socket, code: Option<CloseCode>) {
        self.here.lock().unwrap().retain(|one| one.id() != socket.id());
        let _ = self.seen.send(format!("closed {:?}", code.map(|code| code.0)));
    }

    fn draining(&self, socket: &Socket, spread_ms: u64) {
        socket.text(&format!("come back within {spread_ms} ms")).unwrap();
    }
}

/// A client that knows nothing of parlor: opcodes and payloads.
struct Plain {
    stream: TcpStream,
    endpoint: Endpoint,
    out: Outbox,
    unread: Vec<u8>,
    heard: Vec<(u8, Vec<u8>)>,
}

impl Plain {
    fn connect(server: &Running, target: &str) -> Plain {
        let Client { stream, endpoint, out, unread, .. } = Client::open(server, target);
        Plain { stream, endpoint, out, unread, heard: Vec::new() }
    }

    fn send(&mut self, message: Message<'_>) {
        self.endpoint.send.message(message, &mut self.out).unwrap();
        let bytes: Vec<u8> = self.out.pieces().flatten().copied().collect();
        self.out.advance(bytes.len());
        self.stream.write_all(&bytes).unwrap();
    }

    /// The next text, or bytes, or the code of a Close as text.
    fn next(&mut self) -> Vec<u8> {
        loop {
            let mut bytes = std::mem::take(&mut self.unread);
            let mut input = Received::new(&mut bytes);
            while let Some(event) = self.endpoint.next_event(&mut input, &mut self.out).unwrap() {
                match event {
                    Event::Text(text) => self.heard.push((1, text.as_bytes().to_vec())),
                    Event::Binary(bytes) => self.heard.push((2, bytes.to_vec())),
                    Event::Closed { code, .. } => {
                        let code = code.map_or(0, |code| code.0);
                        self.heard.push((8, code.to_string().into_bytes()));
                    }
                    Event::Ping(_) | Event::Pong(_) => {}
                }
            }
            if !self.heard.is_empty() {
                return self.heard.remove(0).1;
            }
            let mut buffer = [0; 4_096];
            let len = self.stream.read(&mut buffer).expect("a message within the time");
            assert!(len > 0, "the server hung up");
            self.unread.extend_from_slice(&buffer[..len]);
        }
    }

    fn text(&mut self) -> String {
        String::from_utf8(self.next()).unwrap()
    }

    fn wait_for_close(&mut self) {
        while self.text() != "4321" {}
    }
}

fn shouting(server: &Running) -> mpsc::Receiver<String> {
    let (seen, told) = mpsc::channel();
    let handler = Shouts { here: Mutex::default(), handle: server.handle(), seen };
    server.handle().own_socket_path(SocketPath::new("/api/v1/shout/{room}"), handler).unwrap();
    told
}

#[test]
fn a_socket_path_of_the_programs_speaks_its_own_protocol_word_by_word() {
    let server = start();
    let told = shouting(&server);
    let mut ada = Plain::connect(&server, "/api/v1/shout/tea?user=ada&x=a%26b");
    assert_eq!(ada.text(), r#"welcome to tea, Some("ada"), Some("a&b")"#);
    let mut bob = Plain::connect(&server, "/api/v1/shout/tea");
    assert_eq!(bob.text(), "welcome to tea, None, None");
    ada.send(Message::Text("no json at all"));
    assert_eq!((ada.text(), bob.text()), ("NO JSON AT ALL".into(), "NO JSON AT ALL".into()));
    bob.send(Message::Binary(&[1, 2, 255]));
    assert_eq!(bob.next(), [255, 2, 1]);
    bob.send(Message::Text("bye"));
    assert_eq!(bob.text(), "4321");
    assert_eq!(told.recv_timeout(WAIT).unwrap(), "closed Some(4321)");
    ada.send(Message::Text("panic"));
    assert_eq!(ada.text(), "1011", "it is this one's fault alone");
    assert_eq!(told.recv_timeout(WAIT).unwrap(), "closed Some(1011)");
    let mut cy = Plain::connect(&server, "/api/v1/shout/tea?user=cy");
    assert!(cy.text().starts_with("welcome"));
    assert_eq!(server.handle().online_users().unwrap(), [], "the chat knows none of them");
    server.handle().restart().unwrap();
    assert_eq!(cy.text(), "come back within 1000 ms");
    assert_eq!(cy.text(), "1012");
    server.join().unwrap();
    assert_eq!(told.recv_timeout(WAIT).unwrap(), "closed Some(1012)");
}

#[test]
fn who_floods_a_path_of_the_programs_or_does_not_read_is_judged_as_all_are() {
    let mut config = config();
    for limit in ["limits.requests_per_second=1", "limits.burst=3", "limits.limited_requests=5"] {
        config.set(limit).unwrap();
    }
    config.set("limits.outbox_bytes=262144").unwrap();
    let server = Server::start(config).unwrap();
    let told = shouting(&server);
    let mut ada = Plain::connect(&server, "/api/v1/shout/tea?user=ada");
    ada.text();
    for number in 0..8 {
        ada.send(Message::Text(&format!("n{number}")));
    }
    let heard: Vec<String> = (0..4).map(|_| ada.text()).collect();
    assert_eq!(heard, ["N0", "N1", "N2", "4103"]);
    assert_eq!(told.recv_timeout(WAIT).unwrap(), "closed Some(4103)");

    let lazy = Plain::connect(&server, "/api/v1/shout/tea?user=lazy");
    let mut bob = Plain::connect(&server, "/api/v1/shout/tea?user=bob");
    bob.text();
    let (handle, large) = (server.handle(), "x".repeat(60_000));
    let (found, sockets) = mpsc::channel();
    handle.own_socket_path(SocketPath::new("/find"), Finds(Mutex::new(found))).unwrap();
    let mut slow = Plain::connect(&server, "/find?user=slow");
    slow.text();
    let socket = sockets.recv_timeout(WAIT).unwrap();
    // More than its outbox and the system's buffers hold.
    let mut was_closed = false;
    for _ in 0..2_000 {
        was_closed = told_closed(&handle, &socket, &large);
        if was_closed {
            break;
        }
    }
    assert!(was_closed, "what it does not read is not kept without end");
    drop((lazy, bob));
    stop(server);
}

#[test]
fn a_user_has_so_many_connections_on_paths_of_the_programs_too() {
    let mut config = config();
    config.set("limits.connections_per_user=2").unwrap();
    let server = Server::start(config).unwrap();
    let told = shouting(&server);
    let mut ada = Client::connect(&server, "/ws?user=ada");
    ada.wait_for_type("hello");
    let mut own = Plain::connect(&server, "/api/v1/shout/tea?user=ada");
    assert!(own.text().starts_with("welcome"));
    let mut third = Plain::connect(&server, "/api/v1/shout/tea?user=ada");
    assert_eq!(third.text(), "4004", "and nothing that is not of its protocol");
    let mut chat = Client::connect(&server, "/ws?user=ada");
    let error = chat.wait_for_type("error");
    assert_eq!(error["payload"]["close"], 4004);
    // Others have their own, and what is over makes room; who knows no name counts for nobody.
    for (target, count) in [("/api/v1/shout/tea?user=bob", 2), ("/api/v1/shout/tea", 3)] {
        for _ in 0..count {
            assert!(Plain::connect(&server, target).text().starts_with("welcome"), "{target}");
        }
    }
    own.send(Message::Text("bye"));
    own.wait_for_close();
    while told.recv_timeout(WAIT).unwrap() != "closed Some(4321)" {}
    assert!(Plain::connect(&server, "/api/v1/shout/tea?user=ada").text().starts_with("welcome"));
    stop(server);
}

#[test]
fn a_configuration_that_is_read_again_takes_no_path_of_the_programs() {
    let server = start();
    let _told = shouting(&server);
    let reloader = server.reloader();
    for (path, is_taken) in
        [("/api/v1/shout/{id}", true), ("/api/v1/shout/tea", true), ("/whisper/{id}", false)]
    {
        let name = if path.contains('{') { "s:{id}" } else { "s" };
        let mut config = reloader.config();
        config
            .set(&format!("streams={{ {name:?} = {{ publish = true, path = {path:?} }} }}"))
            .unwrap();
        let said = reloader.reload(&config).map(drop).map_err(|error| error.to_string());
        assert_eq!(said.is_err(), is_taken, "{path}: {said:?}");
        if let Err(said) = said {
            assert!(
                said.contains("/api/v1/shout/{room}, which is the embedding program's"),
                "{said}"
            );
        }
    }
    stop(server);
}

/// Hands its sockets on.
struct Finds(Mutex<mpsc::Sender<Socket>>);

impl SocketHandler for Finds {
    fn opened(&self, socket: &Socket) {
        socket.text("here").unwrap();
        self.0.lock().unwrap().send(socket.clone()).unwrap();
    }

    fn text(&self, _: &Socket, _: &str) {}

    fn closed(&self, _: &Socket, code: Option<CloseCode>) {
        assert_eq!(code, Some(CloseCode(4101)));
        CLOSED.store(true, std::sync::atomic::Ordering::SeqCst);
    }
}

static CLOSED: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

fn told_closed(handle: &Handle, socket: &Socket, large: &str) -> bool {
    // The queue of calls has a bound, too.
    let _ = handle.send_to_sockets([socket], Message::Text(large));
    std::thread::sleep(Duration::from_millis(1));
    CLOSED.load(std::sync::atomic::Ordering::SeqCst)
}

#[test]
fn a_function_is_polled_for_a_stream_and_told_when_it_has_changed() {
    let mut config = config();
    config.set("backend.backoff_ms=1").unwrap();
    config
        .set("streams={ \"n:{id}\" = { program = true }, bytes = { program = true, binary = true } }")
        .unwrap();
    let server = Server::start(config).unwrap();
    let handle = server.handle();
    let calls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&calls);
    let run = move |stream: &StreamId| -> Result<Value, String> {
        let call = counted.fetch_add(1, Ordering::Relaxed);
        // Every other one fails, or is what it was before.
        match call % 4 {
            0 => Ok(json!({ "of": stream.as_str(), "n": call / 4 })),
            1 => Err("no luck".into()),
            2 => panic!("planted"),
            _ => Ok(json!({ "of": stream.as_str(), "n": call / 4 })),
        }
    };
    handle.poll("n:{id}", Duration::from_millis(10), run).unwrap();
    let bytes = |_: &StreamId| Ok::<_, std::io::Error>(vec![0, 255]);
    handle.poll_bytes("bytes", Duration::from_millis(10), bytes).unwrap();
    assert!(matches!(
        handle.poll("a b", Duration::ZERO, |_| Ok::<_, String>(Value::Null)),
        Err(HandleError::Stream(_))
    ));
    let mut client = user(&server, "ada");
    assert_eq!(calls.load(Ordering::Relaxed), 0, "nobody watches");
    client.send("subscribe", 1, json!({ "stream": "n:7" }));
    for n in 0..3 {
        let event = client.wait_for_type("event");
        assert_eq!(event["payload"]["data"], json!({ "of": "n:7", "n": n }));
        assert_eq!(event["payload"]["seq"], n + 1);
    }
    handle.stop().unwrap();
    server.join().unwrap();
}

#[test]
fn a_function_says_who_sends_a_request_where_no_token_does() {
    let mut config = config();
    config.secret = Some(Secret::new(&[b'k'; 32]).unwrap());
    config.authenticate = Some(Authenticate::new(|head| match head.query("as").as_deref() {
        None => Ok(None),
        Some("nobody") => Err(Denied::Unauthorized),
        Some("banned") => Err(Denied::Forbidden),
        Some("wrong") => Ok(Some(Proof::user("a b"))),
        Some(name) => {
            assert!(head.address().is_loopback() && head.method() == "GET");
            assert_eq!(head.fields("HOST").count(), 1);
            let admin = name == "boss";
            Ok(Some(Proof { name: Some("N".into()), admin, ..Proof::user(name) }))
        }
    }));
    assert!(!config.is_open());
    let server = Server::start(config).unwrap();
    let mut ada = Client::connect(&server, "/ws?as=ada");
    let hello = ada.wait_for_type("hello");
    assert_eq!(hello["payload"]["user"], json!({ "id": "ada", "name": "N", "admin": false }));
    let mut boss = Client::connect(&server, "/ws?as=boss");
    assert_eq!(boss.wait_for_type("hello")["payload"]["user"]["admin"], true);
    let claims = json!({ "sub": "eve", "exp": 4_000_000_000_u64 });
    let claims: Claims = serde_json::from_value(claims).unwrap();
    let token = Secret::new(&[b'k'; 32]).unwrap().sign(&claims).unwrap();
    let mut eve = Client::connect(&server, &format!("/ws?as=ada&token={token}"));
    assert_eq!(eve.wait_for_type("hello")["payload"]["user"]["id"], "eve", "a token goes before");
    for (target, status) in [
        ("/ws?as=nobody", "401"),
        ("/ws?as=banned", "403"),
        ("/ws?as=wrong", "503"),
        ("/api/v1/info?as=nobody", "401"),
        ("/api/v1/info?as=ada", "200"),
        ("/metrics?as=ada", "403"),
        ("/metrics?as=boss", "200"),
        ("/api/v1/info", "401"),
        ("/healthz?as=nobody", "200"),
    ] {
        assert_eq!(status_of(&server, target), status, "{target}");
    }
    stop(server);
}

/// The status of a request, which asks for a WebSocket if its path is that.
fn status_of(server: &Running, target: &str) -> String {
    let mut stream = TcpStream::connect(server.local_addr()).unwrap();
    stream.set_read_timeout(Some(WAIT)).unwrap();
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade, close\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let more = if target.starts_with("/ws") { upgrade } else { "Connection: close\r\n" };
    let head = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).split(' ').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn what_the_program_publishes_to_a_durable_stream_goes_on_after_a_restart() {
    use parlor::base::declaration::{Declaration, Keep};
    use parlor::base::pattern::Pattern;
    let folder = tempfile::tempdir().unwrap();
    let mut readings = Declaration::new(Pattern::parse("readings").unwrap());
    (readings.keep, readings.program, readings.durable) = (Keep::Log(100), true, true);
    let place = Place::Directory(folder.path().to_owned());
    let mut config = Config::new("127.0.0.1:0".parse().unwrap(), place);
    config.streams = vec![readings];
    let mut epoch = json!(null);
    for life in 0..2 {
        let server = Server::start(config.clone()).unwrap();
        let mut ada = Client::connect(&server, "/ws?user=ada");
        let payload = match life {
            0 => json!({ "stream": "readings" }),
            _ => json!({ "stream": "readings", "since": 2, "epoch": epoch }),
        };
        ada.send("subscribe", 1, payload);
        let reply = ada.wait_for(|message| message["id"] == 1);
        let known = &reply["payload"]["streams"][0];
        assert_eq!(known["seq"], 3 * life);
        if life == 1 {
            assert_eq!((&known["replayed"], &known["epoch"]), (&json!(true), &epoch));
            let missed = ada.wait_for(|message| message["type"] == "event");
            assert_eq!(
                (&missed["payload"]["seq"], &missed["payload"]["data"]),
                (&json!(3), &json!(2))
            );
        }
        epoch = known["epoch"].clone();
        for number in 0..3 {
            server.handle().publish_event("readings", &json!(number)).unwrap();
            let event = ada.wait_for(|message| message["type"] == "event");
            assert_eq!(event["payload"]["seq"], 3 * life + number + 1);
        }
        server.handle().stop().unwrap();
        server.join().unwrap();
    }
}
