//! Clients that call functions of the program's on the network's thread: which may do everything there, but wait.

use parlor::base::EntryKind;
use parlor::client::{
    Client, ClientBuilder, ClientEvent, StartError, State, TicketStatus, TokenFailure, TokenReason,
    WebSocket, WebSocketNews,
};
use parlor::server::{Config, Running, Server};
use parlor::store::Place;
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};
use tungstenite::Message;

const PATIENCE: Duration = Duration::from_secs(20);

/// With rates that are no bound, so that tests are short.
fn serve() -> Running {
    let mut config = Config::new("127.0.0.1:0".parse().unwrap(), Place::Memory);
    for limit in ["requests_per_second", "burst", "user_work_per_second", "user_work_burst"] {
        config.set(&format!("limits.{limit}=100000")).unwrap();
    }
    Server::start(config).unwrap()
}

fn stop(server: Running) {
    server.handle().stop().unwrap();
    server.join().unwrap();
}

fn builder(server: &Running, user: &str) -> ClientBuilder {
    Client::builder(&format!("ws://{}/ws?user={user}", server.local_addr()))
}

/// A client whose events go to a channel, with the name of the thread that told them. Where the function has ended, so
/// has the channel.
fn told(builder: ClientBuilder) -> (Client, Receiver<(String, ClientEvent)>) {
    let (tell, told) = channel();
    let on_event = move |event| {
        let thread = thread::current().name().unwrap_or_default().to_owned();
        let _ = tell.send((thread, event));
    };
    (builder.thread_name("NetworkThread").on_event(on_event).start().unwrap(), told)
}

/// The next event that is wanted, with those before it.
fn until(
    told: &Receiver<(String, ClientEvent)>,
    is_wanted: impl Fn(&ClientEvent) -> bool,
) -> Vec<ClientEvent> {
    let mut seen = Vec::new();
    loop {
        let (thread, event) = told.recv_timeout(PATIENCE).expect("an event in time");
        assert_eq!(thread, "NetworkThread");
        let is_last = is_wanted(&event);
        seen.push(event);
        if is_last {
            return seen;
        }
    }
}

fn is_online(event: &ClientEvent) -> bool {
    matches!(event, ClientEvent::State(State::Online { .. }))
}

#[test]
fn events_come_on_the_networks_thread_also_those_that_the_program_brings_about() {
    let server = serve();
    let (ada, told) = told(builder(&server, "ada"));
    until(&told, is_online);
    let room = ada.room("tea");
    let call = room.join().into_event().unwrap();
    until(
        &told,
        |event| matches!(event, ClientEvent::Answer { call: of, answer: Ok(_) } if *of == call),
    );
    let ticket = room.send("good evening");
    let id = ticket.id().to_owned();
    ticket.into_events().unwrap();
    let (mut is_stored, mut is_seen) = (None, None);
    while is_stored.is_none() || is_seen.is_none() {
        match told.recv_timeout(PATIENCE).unwrap().1 {
            ClientEvent::Ticket { id: of, status: TicketStatus::Acked { seq, .. }, .. } => {
                assert_eq!(*of, *id);
                is_stored = Some(seq);
            }
            ClientEvent::Entry(entry) if matches!(entry.kind, EntryKind::Message { .. }) => {
                is_seen = Some(entry.seq);
            }
            _ => {}
        }
    }
    assert_eq!(is_stored, is_seen);
    // The program's own thread changes the state: the network's tells it.
    ada.pause();
    until(&told, |event| matches!(event, ClientEvent::State(State::Paused { .. })));
    // Refused here, and told all the same.
    let call = ada.request("x", "no object").into_event().unwrap();
    let seen = until(&told, |event| matches!(event, ClientEvent::Answer { .. }));
    let Some(ClientEvent::Answer { call: of, answer: Err(error) }) = seen.last() else {
        panic!("{seen:?}")
    };
    assert_eq!((*of, &*error.code), (call, "bad_json"));
    // The queue is the program's no more.
    assert!(ada.events().try_recv().is_err());
    ada.close(Duration::ZERO).unwrap();
    let last: Vec<ClientEvent> = told.iter().map(|(_, event)| event).collect();
    assert_eq!(last, [ClientEvent::State(State::Closed)]);
    stop(server);
}

#[test]
fn a_repeat_is_the_message_that_waits_and_another_of_its_id_is_refused() {
    let client = Client::builder("ws://127.0.0.1:1/").start().unwrap();
    let send = |text: &str| client.room("tea").message(text).id("mine").send();
    let (first, repeat, other) = (send("good evening"), send("good evening"), send("good night"));
    assert_eq!(&*other.wait().unwrap_err().code, "conflict");
    assert_eq!(client.unsent().len(), 1);
    first.cancel();
    assert_eq!(
        [first.status(), repeat.status()],
        [TicketStatus::Cancelled, TicketStatus::Cancelled]
    );
    // Whoever has told each of two to come among the events is told once.
    send("good evening").into_events().unwrap();
    send("good evening").into_events().unwrap();
    client.room("tea").send("and another").into_events().unwrap();
    let events = client.events();
    assert_eq!(client.close(Duration::ZERO).unwrap_err().messages.len(), 2);
    let told = events.filter_map(|event| match event {
        ClientEvent::Ticket { id, status: TicketStatus::Failed(error), .. } => {
            Some((id, error.code))
        }
        _ => None,
    });
    let told: Vec<_> = told.collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told.iter().all(|(_, code)| &**code == "closed"));
    // And behind the end nothing is waited for.
    assert_eq!(&*send("good evening").wait().unwrap_err().code, "closed");
}

#[test]
fn who_takes_no_answers_can_ask_for_no_more() {
    let client = Client::builder("ws://127.0.0.1:1/").start().unwrap();
    let ask = || client.request("x", "{}").into_event();
    let asked = (0..20_000).take_while(|_| ask().is_ok()).count();
    // Those that wait to be sent, and those of which it was told that they cannot.
    assert_eq!(asked, 1_000 + 10_000);
    assert_eq!(&*ask().unwrap_err().code, "overloaded");
    let ticket = client.room("tea").send("good evening");
    assert_eq!(&*ticket.wait().unwrap_err().code, "overloaded");
    assert_eq!(&*ticket.into_events().unwrap_err().code, "overloaded");
    assert!(client.unsent().is_empty());
    // It waits for no event.
    assert_eq!(&*client.request("x", "{}").wait().unwrap_err().code, "overloaded");

    let events = client.events();
    let refused = std::iter::from_fn(|| events.try_recv().ok())
        .filter(|event| matches!(event, ClientEvent::Answer { answer: Err(_), .. }));
    assert_eq!(refused.take(2).count(), 2);
    ask().unwrap();
    client.room("tea").send("good evening").into_events().unwrap();
    assert_eq!(client.unsent().len(), 1);
}

/// A client that is given to its own function.
fn with_itself(
    builder: ClientBuilder,
    mut act: impl FnMut(&mut Option<Client>, &ClientEvent) + Send + 'static,
) -> Arc<Mutex<Option<Client>>> {
    let place: Arc<Mutex<Option<Client>>> = Arc::default();
    let own = Arc::clone(&place);
    let mut is_held = place.lock().unwrap();
    let on_event = move |event| act(&mut own.lock().unwrap(), &event);
    *is_held = Some(builder.on_event(on_event).start().unwrap());
    drop(is_held);
    place
}

/// Says when it is dropped.
struct Token(Sender<&'static str>);

impl Drop for Token {
    fn drop(&mut self) {
        let _ = self.0.send("dropped");
    }
}

#[test]
fn the_function_may_send_stop_and_drop_its_client_and_is_dropped_once() {
    let server = serve();
    for way in ["stop", "close", "drop"] {
        let (tell, told) = channel();
        let token = Token(tell.clone());
        let place = with_itself(builder(&server, "ada"), move |client, event| {
            let _token = &token;
            match event {
                ClientEvent::State(State::Closed) => tell.send("closed").unwrap(),
                event if is_online(event) => {
                    let room = client.as_ref().unwrap().room("tea");
                    room.join().into_event().unwrap();
                    room.send(way).into_events().unwrap();
                }
                ClientEvent::Ticket { status: TicketStatus::Acked { .. }, .. } => match way {
                    "stop" => client.as_ref().unwrap().stop(PATIENCE),
                    "close" => client.as_ref().unwrap().close(PATIENCE).unwrap(),
                    _ => *client = None,
                },
                _ => {}
            }
        });
        let said: Vec<&str> = std::iter::from_fn(|| told.recv_timeout(PATIENCE).ok()).collect();
        assert_eq!(said, ["closed", "dropped"], "{way}");
        drop(place);
    }
    stop(server);
}

#[test]
fn stopping_waits_for_nobody_and_ends_when_all_is_stored_or_in_time() {
    let server = serve();
    let (ada, told) = told(builder(&server, "ada"));
    let room = ada.room("tea");
    room.join().into_event().unwrap();
    for number in 0..100 {
        room.send(&format!("{number}")).into_events().unwrap();
    }
    // Before it is online.
    ada.stop(PATIENCE);
    let seen: Vec<ClientEvent> = told.iter().map(|(_, event)| event).collect();
    let is_acked = |event: &&ClientEvent| {
        matches!(event, ClientEvent::Ticket { status: TicketStatus::Acked { .. }, .. })
    };
    assert_eq!(seen.iter().filter(is_acked).count(), 100);
    assert_eq!(seen.last(), Some(&ClientEvent::State(State::Closed)));
    assert!(ada.unsent().is_empty());
    // Nobody is there to store it.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/ws", nobody.local_addr().unwrap());
    let (ada, told) = self::told(Client::builder(&url));
    ada.room("tea").send("x");
    let begun = Instant::now();
    ada.stop(Duration::from_secs(60));
    ada.stop(Duration::from_millis(200));
    assert!(begun.elapsed() < Duration::from_millis(100), "it waits");
    while told.recv_timeout(PATIENCE).is_ok() {}
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(200) && took < PATIENCE, "{took:?}");
    assert_eq!(ada.unsent().len(), 1);
    drop(ada);
    // What it waits for is gone, by the program's hand.
    let (ada, told) = self::told(Client::builder(&url).ping(PATIENCE, PATIENCE));
    let ticket = ada.room("tea").send("x");
    let begun = Instant::now();
    ada.stop(PATIENCE);
    ticket.cancel();
    while told.recv_timeout(PATIENCE).is_ok() {}
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    // Nothing is on its way: it ends at once, whatever it would look at next.
    let (ada, told) = self::told(builder(&server, "ada").ping(PATIENCE, PATIENCE));
    until(&told, is_online);
    let begun = Instant::now();
    ada.stop(PATIENCE);
    while told.recv_timeout(PATIENCE).is_ok() {}
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    stop(server);
}

#[test]
fn a_token_is_asked_for_by_an_event_and_may_be_late() {
    let server = serve();
    let (ada, told) = told(builder(&server, "ada").token_by_event());
    let asked = || {
        let seen = until(&told, |event| matches!(event, ClientEvent::TokenWanted { .. }));
        match seen.last() {
            Some(ClientEvent::TokenWanted { question, reason }) => (*question, *reason),
            _ => panic!("{seen:?}"),
        }
    };
    let (question, reason) = asked();
    assert_eq!(reason, TokenReason::First);
    ada.give_token(question, Err(TokenFailure { message: "not yet".into(), is_final: false }));
    let (again, _) = asked();
    assert_ne!(again, question);
    // An answer to an earlier question.
    ada.give_token(question, Err(TokenFailure { message: "never".into(), is_final: true }));
    ada.give_token(again, Ok(None));
    until(&told, is_online);
    drop(ada);
    stop(server);
}

#[test]
fn the_networks_thread_is_the_programs_to_prepare() {
    let server = serve();
    let (tell, told) = channel();
    let also = tell.clone();
    let ada = builder(&server, "ada").on_start(move || tell.send(thread::current().id()).unwrap());
    let ada = ada.on_event(move |_| _ = also.send(thread::current().id())).start().unwrap();
    let first = told.recv_timeout(PATIENCE).unwrap();
    assert_eq!(told.recv_timeout(PATIENCE), Ok(first));
    drop(ada);
    stop(server);
}

#[test]
fn a_name_that_no_thread_can_have_is_refused() {
    let started = Client::builder("ws://127.0.0.1:1/").thread_name("a\0b").start();
    assert!(matches!(started, Err(StartError::System(_))), "{started:?}");
    let started = WebSocket::builder("ws://127.0.0.1:1/").thread_name("a\0b").start();
    assert!(started.unwrap_err().to_string().contains("has a zero in it"));
}

#[test]
fn a_panic_in_the_function_ends_the_client_and_nobody_waits_for_ever() {
    let server = serve();
    let (tell, told) = channel();
    let token = Token(tell);
    let on_event = move |event: ClientEvent| {
        let _token = &token;
        assert!(!is_online(&event), "it does not like that");
    };
    let ada = builder(&server, "ada").on_event(on_event).start().unwrap();
    assert_eq!(told.recv_timeout(PATIENCE), Ok("dropped"));
    assert!(ada.wait_state(PATIENCE, |state| *state == State::Closed).is_some());
    assert_eq!(&*ada.request("info", "{}").wait().unwrap_err().code, "closed");
    ada.close(PATIENCE).unwrap();
    stop(server);
}

#[test]
fn a_message_is_handed_over_where_it_lies_and_the_function_may_drop_the_socket() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let mut socket = tungstenite::accept(listener.accept().unwrap().0).unwrap();
        loop {
            match socket.read() {
                Ok(message @ (Message::Text(_) | Message::Binary(_))) => {
                    socket.send(message).unwrap();
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    });
    let place: Arc<OnceLock<Mutex<Option<WebSocket>>>> = Arc::default();
    let (own, (tell, told)) = (Arc::clone(&place), channel());
    let token = Token(tell.clone());
    let long = "x".repeat(20_000);
    let expected = long.clone();
    let on_event = move |news: WebSocketNews<'_>| {
        let _token = &token;
        let mut place = own.wait().lock().unwrap();
        let socket = place.as_ref().expect("nothing comes behind its end");
        match news {
            WebSocketNews::Opened(None) => {
                socket.send("hello").unwrap();
                tell.send("opened").unwrap();
            }
            WebSocketNews::Text("hello") => {
                socket.send_bytes(expected.as_bytes()).unwrap();
                tell.send("text").unwrap();
            }
            WebSocketNews::Bytes(bytes) => {
                assert_eq!(bytes, expected.as_bytes());
                tell.send("bytes").unwrap();
                *place = None;
            }
            other => panic!("{other:?}"),
        }
    };
    let socket = WebSocket::builder(&url).on_event(on_event).start().unwrap();
    assert!(place.set(Mutex::new(Some(socket))).is_ok());
    let said: Vec<&str> = std::iter::from_fn(|| told.recv_timeout(PATIENCE).ok()).collect();
    assert_eq!(said, ["opened", "text", "bytes", "dropped"]);
    server.join().unwrap();
}

#[test]
fn a_panic_in_a_sockets_function_ends_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let mut socket = tungstenite::accept(listener.accept().unwrap().0).unwrap();
        while socket.read().is_ok() {}
    });
    let (tell, told) = channel();
    let token = Token(tell);
    let on_event = move |news: WebSocketNews<'_>| {
        let _token = &token;
        panic!("it does not like {news:?}");
    };
    let socket = WebSocket::builder(&url).on_event(on_event).start().unwrap();
    assert_eq!(told.recv_timeout(PATIENCE), Ok("dropped"));
    assert!(socket.wait_state(PATIENCE, |state| *state == State::Closed).is_some());
    assert!(socket.close(1_000, "", PATIENCE));
    server.join().unwrap();
}

#[test]
fn a_repeat_of_a_message_that_was_refused_is_sent_again() {
    let server = serve();
    let ada = builder(&server, "ada").start().unwrap();
    let send = || ada.room("tea").message("good evening").id("mine").send();
    assert_eq!(&*send().wait().unwrap_err().code, "not_member");
    ada.room("tea").join().wait().unwrap();
    assert!(send().wait().is_ok());
    assert!(ada.unsent().is_empty());
    let wrong = Client::builder("ws://127.0.0.1:1/").field("Host", "evil").start().unwrap_err();
    assert!(matches!(&wrong, StartError::Request(_)) && wrong.is_fatal(), "{wrong}");
    let wrong = WebSocket::builder("ws://127.0.0.1:1/").protocol("a b").start().unwrap_err();
    assert!(matches!(&wrong, StartError::Request(_)), "{wrong}");
    assert!(!ada.wait_closed(Duration::ZERO));
    ada.stop(Duration::ZERO);
    assert!(ada.wait_closed(PATIENCE) && ada.wait_closed(Duration::ZERO));
    let socket = WebSocket::builder("ws://127.0.0.1:1/").start().unwrap();
    assert!(!socket.wait_closed(Duration::ZERO));
    socket.stop(1_000, "", Duration::ZERO);
    assert!(socket.wait_closed(PATIENCE));
    stop(server);
}
