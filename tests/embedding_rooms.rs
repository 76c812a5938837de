//! What an embedding program can do in rooms with its handle, and what strangers who know a room's
//! name can do there. The clients are tungstenite's.

use parlor::base::declaration::{DataMember, Declaration, Keep, Kind};
use parlor::base::pattern::Pattern;
use parlor::base::request::Part;
use parlor::base::{ConnId, EntryKind};
use parlor::protocol::CloseCode;
use parlor::server::{Access, Config, HandleError, NewRoom, RoomChange, Running, Server, Ticket};
use parlor::store::Place;
use serde_json::{Value, json};
use std::fmt::Debug;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::Duration;
use tungstenite::protocol::Role;
use tungstenite::{Message, WebSocket};

const WAIT: Duration = Duration::from_secs(5);

fn start(streams: Vec<Declaration>) -> Running {
    let mut config = Config::new("127.0.0.1:0".parse().unwrap(), Place::Memory);
    config.set("closing.timeout_ms=100").unwrap();
    config.set("limits.page=3").unwrap();
    config.streams = streams;
    Server::start(config).unwrap()
}

struct Client {
    socket: WebSocket<TcpStream>,
    last_id: u64,
    hello: Value,
}

impl Client {
    fn new(server: &Running, user: &str) -> Client {
        let mut stream = TcpStream::connect(server.local_addr()).unwrap();
        stream.set_read_timeout(Some(WAIT)).unwrap();
        let request = format!(
            "GET /ws?user={user} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            server.local_addr()
        );
        stream.write_all(request.as_bytes()).unwrap();
        // To the head's last byte: what comes behind it are frames.
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
        let socket = WebSocket::from_raw_socket(stream, Role::Client, None);
        let mut client = Client { socket, last_id: 0, hello: Value::Null };
        client.hello = client.wait("hello");
        client
    }

    fn next(&mut self) -> Value {
        loop {
            match self.socket.read().expect("a message within the time") {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Close(close) => {
                    let close = close.expect("a code");
                    return json!({ "type": "closed", "payload": {
                        "code": u16::from(close.code), "reason": close.reason.to_string(),
                    } });
                }
                _ => {}
            }
        }
    }

    /// The payload of the next message of a type.
    fn wait(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next();
            if message["type"] == kind {
                return message["payload"].clone();
            }
        }
    }

    /// The answer: its payload, or its code.
    fn ask(&mut self, kind: &str, payload: Value) -> Result<Value, String> {
        self.last_id += 1;
        let id = self.last_id;
        let text = json!({ "type": kind, "id": id, "payload": payload }).to_string();
        self.socket.send(Message::text(text)).unwrap();
        loop {
            let message = self.next();
            if message["id"] == id {
                let payload = message["payload"].clone();
                return match message["type"].as_str() {
                    Some("reply") => Ok(payload),
                    _ => Err(payload["code"].as_str().unwrap().to_owned()),
                };
            }
        }
    }
}

fn done<T>(ticket: Result<Ticket<T>, HandleError>) -> T {
    ticket.unwrap().wait(WAIT).unwrap()
}

/// The wire's code for which a call was refused.
fn refused<T: Debug>(ticket: Result<Ticket<T>, HandleError>) -> &'static str {
    match ticket.unwrap().wait(WAIT).unwrap_err() {
        HandleError::Refused { code, .. } => code,
        other => panic!("{other:?}"),
    }
}

fn end(server: Running) {
    server.handle().stop().unwrap();
    server.join().unwrap();
}

#[test]
fn a_room_that_a_program_makes_is_closed_to_a_stranger_who_knows_its_name() {
    let server = start(Vec::new());
    let handle = server.handle();
    done(handle.create("7", "ada", NewRoom { members: &["bob"], ..NewRoom::default() }));
    done(handle.publish("7", "ada", "between us", None));
    let mut mallory = Client::new(&server, "mallory");
    for (kind, payload) in [
        ("room:join", json!({ "room": "7" })),
        ("room:info", json!({ "room": "7" })),
        ("chat:history", json!({ "room": "7" })),
        ("chat:send", json!({ "room": "7", "text": "let me in" })),
        ("room:members", json!({ "room": "7" })),
        ("room:invite", json!({ "room": "7", "user": "mallory" })),
    ] {
        assert_eq!(mallory.ask(kind, payload), Err("not_member".to_owned()), "{kind}");
    }
    assert_eq!(mallory.ask("room:create", json!({ "room": "7" })), Err("conflict".to_owned()));
    let listed = mallory.ask("room:list", json!({ "open": true })).unwrap();
    assert_eq!(listed["rooms"], json!([]));
    let bob = Client::new(&server, "bob");
    assert_eq!(bob.hello["rooms"][0]["room"], "7");
    assert_eq!(bob.hello["rooms"][0]["open"], false);
    end(server);
}

#[test]
fn a_room_that_a_program_makes_is_open_where_it_says_so() {
    let server = start(Vec::new());
    let new = NewRoom { open: true, title: "Tea", ..NewRoom::default() };
    done(server.handle().create("tea", "ada", new));
    let joined = Client::new(&server, "cy").ask("room:join", json!({ "room": "tea" })).unwrap();
    assert_eq!((&joined["title"], &joined["open"]), (&json!("Tea"), &json!(true)));
    let again = server.handle().create("tea", "bob", NewRoom::default());
    assert_eq!(refused(again), "conflict");
    let long = NewRoom { title: &"x".repeat(129), ..NewRoom::default() };
    let too_large = server.handle().create("long", "ada", long).unwrap_err();
    assert_eq!(too_large, HandleError::Size { what: "title", limit: 128 });
    assert!(matches!(
        server.handle().create("a", "ada", NewRoom { members: &["b c"], ..NewRoom::default() }),
        Err(HandleError::Name(_))
    ));
    end(server);
}

#[test]
fn a_program_changes_what_a_room_is_like_and_its_members_are_told() {
    let server = start(Vec::new());
    let handle = server.handle();
    done(handle.create("7", "ada", NewRoom { members: &["bob"], ..NewRoom::default() }));
    let mut bob = Client::new(&server, "bob");
    let renamed = RoomChange { title: Some("Ours"), ..RoomChange::default() };
    done(handle.update("7", renamed));
    let mut told = json!({ "room": "7", "title": "Ours", "open": false, "owner": "ada" });
    assert_eq!(bob.wait("room:updated"), told);
    let given = RoomChange { open: Some(true), owner: Some("bob"), ..RoomChange::default() };
    done(handle.update("7", given));
    told["open"] = json!(true);
    told["owner"] = json!("bob");
    assert_eq!(bob.wait("room:updated"), told);
    assert_eq!(refused(handle.update("none", renamed)), "no_such_room");
    let stranger = RoomChange { owner: Some("eve"), ..RoomChange::default() };
    assert_eq!(refused(handle.update("7", stranger)), "no_such_user");
    let turned = RoomChange { title: Some("a\u{202e}b"), ..RoomChange::default() };
    assert!(handle.update("7", turned).unwrap_err().to_string().contains("direction"));
    let long = RoomChange { title: Some(&"x".repeat(129)), ..RoomChange::default() };
    let too_large = handle.update("7", long).unwrap_err();
    assert_eq!(too_large, HandleError::Size { what: "title", limit: 128 });
    end(server);
}

#[test]
fn to_join_somebody_to_a_room_makes_none() {
    let server = start(Vec::new());
    assert_eq!(refused(server.handle().join("none", "ada")), "no_such_room");
    // The name is still to be had, by whoever makes the room.
    done(server.handle().create("none", "bob", NewRoom::default()));
    done(server.handle().join("none", "ada"));
    end(server);
}

#[test]
fn what_a_program_makes_counts_towards_nobodys_number_of_rooms() {
    let mut config = Config::new("127.0.0.1:0".parse().unwrap(), Place::Memory);
    config.set("limits.rooms=2").unwrap();
    let server = Server::start(config).unwrap();
    for number in 0..5 {
        done(server.handle().create(&format!("r{number}"), "ada", NewRoom::default()));
    }
    let mut ada = Client::new(&server, "ada");
    for number in 0..2 {
        ada.ask("room:create", json!({ "room": format!("own{number}") })).unwrap();
    }
    assert_eq!(ada.ask("room:create", json!({})), Err("quota".to_owned()));
    end(server);
}

#[test]
fn a_program_invites_removes_bans_and_ends() {
    let server = start(Vec::new());
    let handle = server.handle();
    done(handle.create("7", "ada", NewRoom { members: &["cy"], ..NewRoom::default() }));
    let mut bob = Client::new(&server, "bob");
    done(handle.invite("7", "bob", "ada"));
    assert_eq!(bob.wait("room:invited"), json!({ "room": "7", "title": "", "by": "ada" }));
    bob.ask("room:join", json!({ "room": "7" })).unwrap();
    done(handle.remove("7", "bob"));
    assert_eq!(bob.wait("room:removed"), json!({ "room": "7", "reason": "removed" }));
    assert_eq!(bob.ask("room:join", json!({ "room": "7" })), Err("not_member".to_owned()));

    let mut cy = Client::new(&server, "cy");
    done(handle.ban("7", "cy", "ada"));
    assert_eq!(cy.wait("room:removed"), json!({ "room": "7", "by": "ada", "reason": "banned" }));
    assert_eq!(refused(handle.invite("7", "cy", "ada")), "conflict");
    assert_eq!(refused(handle.join("7", "cy")), "forbidden");
    assert_eq!(refused(handle.ban("7", "ada", "ada")), "bad_request");
    done(handle.unban("7", "cy"));
    done(handle.join("7", "cy"));
    cy.wait("room:joined");

    done(handle.end("7"));
    assert_eq!(cy.wait("room:removed"), json!({ "room": "7", "reason": "deleted" }));
    for ticket in [handle.end("7"), handle.remove("7", "cy"), handle.join("7", "cy")] {
        assert_eq!(refused(ticket), "no_such_room");
    }
    assert_eq!(refused(handle.create("7", "ada", NewRoom::default())), "conflict");
    end(server);
}

#[test]
fn a_program_reads_members_history_and_what_is_unread_of_any_room() {
    let server = start(Vec::new());
    let handle = server.handle();
    done(handle.create(
        "7",
        "ada",
        NewRoom { members: &["bob", "cy", "dee"], ..NewRoom::default() },
    ));
    let page = done(handle.members("7", None));
    let names: Vec<&str> = page.members.iter().map(|one| one.user.as_str()).collect();
    assert_eq!((&names[..], page.more), (&["ada", "bob", "cy"][..], true));
    assert!(page.members[0].owner && !page.members[1].owner);
    let page = done(handle.members("7", Some("cy")));
    assert_eq!((page.members[0].user.as_str(), page.more), ("dee", false));

    for text in ["one", "two"] {
        done(handle.publish("7", "ada", text, Some(text)));
    }
    let page = done(handle.history("7", Part::Newest));
    assert_eq!((page.entries.len(), page.head, page.more), (3, 6, true));
    let EntryKind::Message { from, body, cid, .. } = &page.entries[2].kind else { panic!() };
    assert_eq!((from.as_str(), &*body.text, cid.as_deref()), ("ada", "two", Some("two")));
    let page = done(handle.history("7", Part::After(4)));
    assert_eq!((page.entries[0].seq, page.more), (5, false));

    assert_eq!(done(handle.unread("7", "bob")).unread, 2);
    assert_eq!(done(handle.unread("7", "ada")).unread, 0);
    assert_eq!(refused(handle.unread("7", "mallory")), "not_member");
    assert_eq!(refused(handle.unread("none", "ada")), "no_such_room");
    assert_eq!(refused(handle.members("none", None)), "no_such_room");
    assert_eq!(refused(handle.history("none", Part::Newest)), "no_such_room");
    end(server);
}

#[test]
fn history_comes_from_the_store_where_memory_does_not_reach() {
    let mut config = Config::new("127.0.0.1:0".parse().unwrap(), Place::Memory);
    config.set("limits.tail_entries=2").unwrap();
    let server = Server::start(config).unwrap();
    let handle = server.handle();
    done(handle.create("7", "ada", NewRoom::default()));
    for number in 0..20 {
        done(handle.publish("7", "ada", &number.to_string(), None));
    }
    let page = done(handle.history("7", Part::Before(11)));
    assert_eq!((page.entries.len(), page.entries[9].seq, page.more), (10, 10, false));
    end(server);
}

#[test]
fn one_connection_is_sent_to_and_closed_and_the_users_other_one_is_not() {
    let server = start(Vec::new());
    let handle = server.handle();
    let (told, connections) = mpsc::channel::<ConnId>();
    let tell = move |call: parlor::server::Call, reply: parlor::server::Reply| {
        told.send(call.connection.unwrap()).unwrap();
        reply.ok(json!({})).unwrap();
    };
    handle.handle("who", Access::User, tell).unwrap();
    let (mut one, mut other) = (Client::new(&server, "ada"), Client::new(&server, "ada"));
    one.ask("who", json!({})).unwrap();
    let connection = connections.recv().unwrap();
    done(handle.send_to_connection(connection, "note", &json!({ "to": "one" })));
    assert_eq!(one.wait("note"), json!({ "to": "one" }));
    assert_eq!(
        handle.send_to_connection(connection, "chat:message", &json!({})).unwrap_err(),
        HandleError::Type
    );
    assert_eq!(
        handle.close_connection(connection, CloseCode(1_006), "").unwrap_err(),
        HandleError::CloseCode
    );
    done(handle.close_connection(connection, CloseCode(4_900), "signed in elsewhere"));
    let closed = json!({ "code": 4_900, "reason": "signed in elsewhere" });
    assert_eq!(one.wait("closed"), closed);
    drop(one);
    handle.send_to_user("ada", "note", &json!({ "to": "all" })).unwrap();
    assert_eq!(other.wait("note"), json!({ "to": "all" }), "nothing was sent to it before");
    // Its place in the table may be another's by now, and its name is not.
    assert_eq!(
        refused(handle.send_to_connection(connection, "note", &json!({}))),
        "no_such_connection"
    );
    assert_eq!(
        refused(handle.close_connection(connection, CloseCode(4_900), "")),
        "no_such_connection"
    );
    end(server);
}

#[test]
fn an_event_that_a_stream_does_not_take_is_an_error_that_says_why() {
    let declare = |name: &str| Declaration {
        keep: Keep::Log(10),
        program: true,
        ..Declaration::new(Pattern::parse(name).unwrap())
    };
    let members = vec![DataMember { name: "x".into(), kind: Kind::Number }];
    let pose = Declaration { members, max_bytes: 64, ..declare("pose:{id}") };
    let others = Declaration { program: false, publish: true, ..declare("others") };
    let bytes = Declaration { binary: true, ..declare("bytes") };
    let server = start(vec![pose, others, bytes]);
    let handle = server.handle();
    let why = |result: Result<(), HandleError>| match result.unwrap_err() {
        HandleError::Event { stream, code, message } => (stream.to_string(), code, message),
        other => panic!("{other:?}"),
    };
    let (stream, code, _) = why(handle.publish_event("psoe:1", &json!({ "x": 1 })));
    assert_eq!((&*stream, code), ("psoe:1", "no_such_stream"));
    assert_eq!(why(handle.publish_event("others", &json!(1))).1, "forbidden");
    for data in [json!({ "y": 1 }), json!({ "x": "1" }), json!([])] {
        let (_, code, message) = why(handle.publish_event("pose:1", &data));
        assert_eq!(code, "bad_request");
        assert!(message.starts_with("x: "), "it names the member: {message}");
    }
    let large = json!({ "x": 1, "pad": "y".repeat(64) });
    assert_eq!(why(handle.publish_event("pose:1", &large)).1, "too_large");
    assert_eq!(why(handle.publish_bytes("pose:1", b"x")).1, "bad_request");
    assert_eq!(why(handle.publish_event("bytes", &json!(1))).1, "bad_request");
    assert_eq!(
        handle.publish_event("psoe:1", &json!(1)).unwrap_err().to_string(),
        "the stream psoe:1: no_such_stream: there is no such stream"
    );
    handle.publish_event("pose:1", &json!({ "x": 1 })).unwrap();
    let told = Client::new(&server, "ada").ask("subscribe", json!({ "stream": "pose:1" })).unwrap();
    assert_eq!(told["streams"][0]["seq"], 1, "nothing but that was published");
    end(server);
}

#[test]
fn a_program_that_publishes_the_same_again_publishes_it_once() {
    let log = Declaration {
        keep: Keep::Log(10),
        program: true,
        publish: true,
        ..Declaration::new(Pattern::parse("log").unwrap())
    };
    let server = start(vec![log]);
    let handle = server.handle();
    for data in [json!(1), json!(1), json!(2)] {
        handle.publish_event_once("log", &data, "a").unwrap();
    }
    handle.publish_event_once("log", &json!(3), "b").unwrap();
    let error = handle.publish_event_once("log", &json!(1), "").unwrap_err();
    assert_eq!(error.to_string(), "the id has 1 to 64 bytes");
    assert!(handle.publish_event_once("log", &json!(1), &"x".repeat(65)).is_err());
    let mut ada = Client::new(&server, "ada");
    let told = ada.ask("subscribe", json!({ "stream": "log" })).unwrap();
    let data: Vec<&Value> =
        told["streams"][0]["snapshot"].as_array().unwrap().iter().map(|one| &one["data"]).collect();
    assert_eq!(data, [&json!(1), &json!(3)]);
    // A user's ids are their own.
    let own = ada.ask("publish", json!({ "stream": "log", "data": 4, "id": "a" })).unwrap();
    assert_eq!(own["seq"], 3);
    end(server);
}

#[test]
fn an_answer_is_handed_to_a_function() {
    let server = start(Vec::new());
    let handle = server.handle();
    let (tell, told) = std::sync::mpsc::channel();
    let after = |what: &'static str| {
        let tell = tell.clone();
        move |done: Result<_, HandleError>| tell.send((what, done.map(|_| ()))).unwrap()
    };
    // On the server's thread, which goes on after a panic.
    handle.create("news", "bot", NewRoom::default()).unwrap().then(|_| panic!("as planned"));
    handle.create("den", "bot", NewRoom::default()).unwrap().then(after("created"));
    assert_eq!(told.recv_timeout(WAIT).unwrap(), ("created", Ok(())));
    handle.create("den", "bot", NewRoom::default()).unwrap().then(after("again"));
    let (what, done) = told.recv_timeout(WAIT).unwrap();
    assert!(what == "again" && matches!(done, Err(HandleError::Refused { code: "conflict", .. })));
    // One that is there already is handed over at once.
    let ticket = handle.publish("den", "bot", "hello", None).unwrap();
    ticket.wait(WAIT).unwrap();
    ticket.then(after("published"));
    assert_eq!(told.try_recv().unwrap(), ("published", Ok(())));
    // Each is told once, whatever comes.
    for _ in 0..100 {
        handle.publish("den", "bot", "hello", None).unwrap().then(after("last"));
    }
    handle.stop().unwrap();
    server.join().unwrap();
    assert!(told.iter().take(100).all(|(what, _)| what == "last"));
    drop((handle, tell));
    assert_eq!(told.iter().count(), 0);
}
