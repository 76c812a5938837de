//! `client::Client` against a server of this crate: through restarts, with two of everything.

use parlor::base::EntryKind;
use parlor::client::{
    Backoff, Client, ClientBuilder, ClientEvent, FileOutbox, Part, RequestError, StartError, State,
    TicketStatus, TokenFailure, TokenReason, WatchOptions,
};
use parlor::server::{Access, Config, Running, Server};
use parlor::store::Place;
use serde_json::json;
use std::future::Future;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// With rates that are no bound, so that tests are short.
fn config(address: &str, place: Place) -> Config {
    let mut config = Config::new(address.parse().unwrap(), place);
    for limit in ["requests_per_second", "burst", "user_work_per_second", "user_work_burst"] {
        config.set(&format!("limits.{limit}=100000")).unwrap();
    }
    config
}

fn serve() -> Running {
    Server::start(config("127.0.0.1:0", Place::Memory)).unwrap()
}

fn stop(server: Running) {
    server.handle().stop().unwrap();
    server.join().unwrap();
}

/// Waits are short, so that tests are.
fn builder(address: SocketAddr, user: &str) -> ClientBuilder {
    let quick = Backoff { min_ms: 50, max_ms: 200, ..Backoff::default() };
    Client::builder(&format!("ws://{address}/ws?user={user}")).backoff(quick)
}

fn client(server: &Running, user: &str) -> Client {
    let client = builder(server.local_addr(), user).start().unwrap();
    client.wait_online(PATIENCE).unwrap();
    client
}

/// The next event of this kind.
fn next<T>(client: &Client, mut wanted: impl FnMut(ClientEvent) -> Option<T>) -> T {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let event = client.events().recv_timeout(PATIENCE).expect("an event in time");
        if let Some(found) = wanted(event) {
            return found;
        }
    }
    panic!("it did not come");
}

/// The text of the next message.
fn text(client: &Client) -> (u64, String) {
    next(client, |event| match event {
        ClientEvent::Entry(entry) => match entry.kind {
            EntryKind::Message { body, .. } => Some((entry.seq, body.text.to_string())),
            _ => None,
        },
        ClientEvent::Gap(gap) => panic!("{gap:?}"),
        _ => None,
    })
}

#[test]
fn two_people_talk() {
    let server = serve();
    let (ada, bob) = (client(&server, "ada"), client(&server, "bob"));
    let tea = ada.room("tea");
    tea.join().wait().unwrap();
    let of_bob = bob.room("tea");
    of_bob.join().wait().unwrap();
    let first = tea.send("hello").wait().unwrap();
    assert_eq!(text(&bob), (first.seq, "hello".to_owned()));
    let answer = of_bob.message("and to you").data("{\"n\": 1.50}").reply_to(first.seq).send();
    let answer = answer.wait().unwrap();
    let (body, cid) = next(&ada, |event| match event {
        ClientEvent::Entry(entry) if entry.seq == answer.seq => match entry.kind {
            EntryKind::Message { body, cid, .. } => Some((body, cid)),
            other => panic!("{other:?}"),
        },
        _ => None,
    });
    assert_eq!(
        (&*body.text, body.data.as_deref(), body.reply_to),
        ("and to you", Some("{\"n\": 1.50}"), Some(first.seq))
    );
    assert_eq!(cid, None, "an id is told to whoever has it");
    let edited = tea.edit(first.seq, "good evening").wait().unwrap();
    assert_eq!((edited.seq > answer.seq, edited.is_duplicate), (true, false));
    assert!(tea.edit(first.seq, "good evening").wait().unwrap().is_duplicate);
    assert_eq!(&*tea.edit(answer.seq, "no").wait().unwrap_err().code, "forbidden");
    of_bob.react(first.seq, "\u{1f44d}", true).wait().unwrap();
    of_bob.delete(answer.seq).wait().unwrap();
    let page = tea.history(Part::Newest, 100).wait().unwrap();
    assert_eq!(page.head, page.entries.last().unwrap().seq);
    assert!(!page.has_more);
    let texts: Vec<String> = page
        .entries
        .iter()
        .filter_map(|entry| match &entry.kind {
            EntryKind::Message { body, .. } => Some(body.text.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(texts, ["good evening", ""]);
    let two = tea.history(Part::After(0), 2).wait().unwrap();
    assert_eq!((two.entries.len(), two.has_more), (2, true));
    let members = tea.members(None, 10).wait().unwrap();
    let names: Vec<_> = members
        .members
        .iter()
        .map(|one| (one.user.as_str(), one.is_owner, one.is_online))
        .collect();
    assert_eq!(names, [("ada", true, Some(true)), ("bob", false, Some(true))]);
    let behind = tea.members(Some(&members.members[0].user), 10).wait().unwrap();
    assert_eq!((behind.members.len(), behind.has_more), (1, false));
    of_bob.typing(true);
    next(&ada, |event| match event {
        ClientEvent::Typing { user, typing: true, .. } => (user.as_str() == "bob").then_some(()),
        _ => None,
    });
    of_bob.mark_read(None);
    next(&ada, |event| match event {
        ClientEvent::Read(mark) if mark.user.as_str() == "bob" => Some(()),
        _ => None,
    });
    assert_eq!(bob.hello().unwrap().user.as_str(), "bob");
    assert!(ada.rooms().iter().any(|room| room.name() == "tea"));
    assert_eq!(ada.close(PATIENCE), Ok(()));
    drop((bob, tea, of_bob));
    stop(server);
}

#[test]
fn what_is_sent_while_the_server_is_away_arrives_once_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let place = || Place::Directory(folder.path().to_owned());
    let mut server = Server::start(config("127.0.0.1:0", place())).unwrap();
    let address = server.local_addr();
    let (ada, bob) = (client(&server, "ada"), client(&server, "bob"));
    for client in [&ada, &bob] {
        client.room("tea").join().wait().unwrap();
    }
    let room = ada.room("tea");
    let mut tickets = Vec::new();
    for round in 0..3 {
        for number in 0..20 {
            tickets.push(room.send(&format!("{round}-{number}")));
        }
        stop(server);
        ada.wait_state(PATIENCE, |state| !state.is_online()).unwrap();
        for number in 20..40 {
            tickets.push(room.send(&format!("{round}-{number}")));
        }
        server = Server::start(config(&address.to_string(), place())).unwrap();
    }
    let mut last = 0;
    for ticket in &tickets {
        let stored = ticket.wait_timeout(PATIENCE).expect("in time").unwrap();
        assert!(stored.seq > last);
        last = stored.seq;
    }
    for round in 0..3 {
        for number in 0..40 {
            assert_eq!(text(&bob).1, format!("{round}-{number}"));
        }
    }
    assert!(ada.why().iter().any(|step| step.state == "waiting"), "{:?}", ada.why());
    drop((ada, bob, room, tickets));
    stop(server);
}

#[test]
fn an_outbox_outlives_its_process() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve();
    let setup = client(&server, "ada");
    setup.room("tea").join().wait().unwrap();
    let address = server.local_addr();
    let open = || FileOutbox::open(folder.path()).unwrap();
    // A process that never reaches the server; the user is known to the program.
    let away = Client::builder("ws://127.0.0.1:1/ws");
    let user = parlor::base::UserId::parse_any("ada").unwrap();
    let away = away.user(user.clone()).outbox(open()).start().unwrap();
    let sent: Vec<_> = (0..5).map(|n| away.room("tea").send(&n.to_string())).collect();
    assert_eq!(sent[0].status(), TicketStatus::Queued);
    assert!(FileOutbox::open(folder.path()).is_err(), "two processes have it");
    sent[2].cancel();
    assert_eq!(&*sent[2].wait().unwrap_err().code, "cancelled");
    let left = away.close(Duration::ZERO).unwrap_err();
    assert_eq!(left.to_string(), "4 messages were not stored");
    assert_eq!(&*sent[0].wait().unwrap_err().code, "closed");
    drop(away);
    let again = builder(address, "ada").outbox(open()).user(user).start().unwrap();
    assert_eq!(again.close(PATIENCE), Ok(()));
    drop(again);
    let texts: Vec<String> = (0..4).map(|_| text(&setup).1).collect();
    assert_eq!(texts, ["0", "1", "3", "4"]);
    // Nothing is left for another.
    let other = builder(address, "bob").outbox(open()).start().unwrap();
    other.wait_online(PATIENCE).unwrap();
    assert_eq!(other.unsent(), []);
    drop((setup, other));
    stop(server);
}

#[test]
fn requests_of_the_applications_own_and_what_is_no_json() {
    let server = serve();
    server
        .handle()
        .handle("twice", Access::User, |call, reply| {
            reply.ok(json!({ "n": call.payload["n"].as_u64().unwrap() * 2 })).unwrap();
        })
        .unwrap();
    server.handle().handle("never", Access::User, |_, reply| std::mem::forget(reply)).unwrap();
    let ada = client(&server, "ada");
    assert_eq!(&*ada.request("twice", "{\"n\":21}").wait().unwrap(), "{\"n\":42}");
    assert_eq!(&*ada.request("nobody", "{}").wait().unwrap_err().code, "unknown_type");
    for wrong in ["", "[]", "{\"a\":}", "{\"a\":1,\"a\":2}", "{}{}"] {
        assert_eq!(&*ada.request("twice", wrong).wait().unwrap_err().code, "bad_json", "{wrong}");
    }
    let tea = ada.room("tea");
    let ticket = tea.message("x").data("{\"a\"").send();
    assert_eq!(&*ticket.wait().unwrap_err().code, "bad_json");
    let mut late = ada.request_within("never", "{}", Some(Duration::from_millis(100)));
    assert_eq!(late.wait_timeout(Duration::from_millis(1)), None);
    assert_eq!(&*late.wait().unwrap_err().code, "timeout");
    assert_eq!(&*tea.send("not there").wait().unwrap_err().code, "not_member");
    let nobody = ada.room("a b");
    let code = |error: RequestError| error.code.to_string();
    assert_eq!(code(nobody.send("x").wait().unwrap_err()), "bad_name");
    assert_eq!(code(nobody.join().wait().unwrap_err()), "bad_name");
    assert_eq!(code(nobody.history(Part::Newest, 1).wait().unwrap_err()), "bad_name");
    nobody.typing(true);
    assert_eq!((nobody.name(), nobody.view()), ("a b", None));
    assert_eq!(code(ada.stream("", WatchOptions::default()).unwrap_err()), "bad_name");
    let filter = Some("[]".into());
    let options = WatchOptions { filter, ..WatchOptions::default() };
    assert_eq!(code(ada.stream("prices", options).unwrap_err()), "bad_json");
    let error = Client::builder("localhost:80").token("x").start().unwrap_err();
    assert!(error.is_fatal() && matches!(error, StartError::Url(_)), "{error}");
    drop((ada, tea, nobody));
    stop(server);
}

/// Runs a future on this thread.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park_timeout(PATIENCE),
        }
    }
}

#[test]
fn an_async_program_awaits_tickets_and_replies_and_polls_a_descriptor() {
    let server = serve();
    let ada = client(&server, "ada");
    let tea = ada.room("tea");
    block_on(async {
        tea.join().await.unwrap();
        let stored = tea.send("hello").await.unwrap();
        assert_eq!(tea.history(Part::Newest, 1).await.unwrap().head, stored.seq);
    });
    let events = ada.events();
    let descriptor = events.descriptor().unwrap();
    let is_readable = |seconds: u64| {
        let mut poll = mio::Poll::new().unwrap();
        let raw = descriptor.as_raw_fd();
        let mut source = mio::unix::SourceFd(&raw);
        poll.registry().register(&mut source, mio::Token(0), mio::Interest::READABLE).unwrap();
        let mut events = mio::Events::with_capacity(1);
        poll.poll(&mut events, Some(Duration::from_secs(seconds))).unwrap();
        !events.is_empty()
    };
    assert!(is_readable(0));
    ada.pause();
    loop {
        while events.try_recv().is_ok() {}
        if !is_readable(0) {
            break;
        }
    }
    assert_eq!(events.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(events.recv_timeout(Duration::from_millis(1)), Err(RecvTimeoutError::Timeout));
    ada.retry_now();
    assert!(is_readable(20));
    assert_eq!(ada.close(Duration::ZERO), Ok(()));
    assert!(is_readable(0));
    assert!(events.clone().any(|event| event == ClientEvent::State(State::Closed)));
    assert!(is_readable(0), "that it is closed stays to be seen");
    assert_eq!(events.try_recv(), Err(TryRecvError::Disconnected));
    assert_eq!(events.recv(), None);
    assert_eq!(&*tea.send("late").wait().unwrap_err().code, "closed");
    assert_eq!(&*tea.join().wait().unwrap_err().code, "closed");
    stop(server);
}

#[test]
fn a_function_gives_tokens_and_may_hang() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let fails = Arc::new(AtomicU32::new(2));
    let (reasons, left) = (Arc::clone(&asked), Arc::clone(&fails));
    let server = serve();
    let builder = builder(server.local_addr(), "ada").token_with(move |reason| {
        reasons.lock().unwrap().push(reason);
        if left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .is_ok()
        {
            return Err(TokenFailure { message: "not yet".into(), is_final: false });
        }
        Ok(None)
    });
    let ada = builder.start().unwrap();
    ada.wait_online(PATIENCE).unwrap();
    assert_eq!(*asked.lock().unwrap(), [TokenReason::First; 3]);
    assert!(ada.why().iter().any(|step| &*step.cause == "no token: not yet"), "{:?}", ada.why());
    drop(ada);
    let never = Client::builder(&format!("ws://{}/ws", server.local_addr())).token_with(|_| {
        loop {
            std::thread::park();
        }
    });
    let never = never.start().unwrap();
    assert_eq!(never.state(), State::Connecting);
    let begun = Instant::now();
    drop(never);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    stop(server);
}

#[test]
fn a_program_that_takes_nothing_sends_and_one_that_comes_late_has_no_hole() {
    let server = serve();
    let ada = client(&server, "ada");
    let slow = builder(server.local_addr(), "bob").queue(8).start().unwrap();
    slow.wait_online(PATIENCE).unwrap();
    for client in [&ada, &slow] {
        client.room("tea").join().wait().unwrap();
    }
    let (of_ada, of_bob) = (ada.room("tea"), slow.room("tea"));
    let mut last = None;
    for number in 0..200 {
        last = Some(of_ada.send(&number.to_string()));
    }
    last.unwrap().wait().unwrap();
    of_bob.send("bob's").wait().unwrap();
    for number in 0..200 {
        assert_eq!(text(&slow).1, number.to_string());
    }
    assert_eq!(text(&slow).1, "bob's");
    drop((ada, slow, of_ada, of_bob));
    stop(server);
}

#[test]
fn the_last_clone_closes_and_the_others_do_not() {
    let server = serve();
    let ada = client(&server, "ada");
    let room = ada.room("tea");
    let events = ada.events();
    drop(ada.clone());
    let another = std::thread::spawn(move || ada.wait_online(PATIENCE).unwrap());
    another.join().unwrap();
    room.join().wait().unwrap();
    let begun = Instant::now();
    drop(room);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(events.last(), Some(ClientEvent::State(State::Closed)));
    stop(server);
}
