//! The chat without a terminal and without a server: told what happens, typed at, and looked at.

use super::draw::draw;
use super::for_tests::{entry, message, room, user};
use super::model::ChatModel;
use super::palette::Palette;
use super::room_lines::UnsentLine;
use super::task::{ChatAnswer, ChatTask, JoinableRoom, JoinableRooms};
use super::times::LocalTimes;
use crate::base::{Body, EntryKind, Timestamp};
use crate::client::{
    ClientEvent, HistoryPage, Membership, Part, Presences, RequestError, RoomView, State,
};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::sync::Arc;

const ONLINE: State = State::Online { since: Timestamp(0) };
const NOW: Timestamp = Timestamp(784_111_777_000);

struct Scene {
    model: ChatModel,
    done: Vec<ChatTask>,
}

impl Scene {
    fn new() -> Scene {
        Scene::begin(None)
    }

    fn begin(wanted: Option<&str>) -> Scene {
        let (times, palette) = (LocalTimes::utc(), Palette::plain());
        let mut model = ChatModel::new("ws://x/ws".to_owned(), wanted.map(room), times, palette);
        model.me = Some(user("ada"));
        Scene { model, done: Vec::new() }
    }

    /// In `tea` with some messages of Bob's, and in `attic`.
    fn in_tea(texts: &[&str]) -> Scene {
        let mut scene = Scene::begin(Some("tea"));
        scene.view("tea", texts.len() as u64, 0);
        scene.view("attic", 4, 0);
        scene.told(ClientEvent::State(ONLINE));
        let entries = (1..).zip(texts).map(|(seq, text)| message(seq, "bob", text)).collect();
        scene
            .page(Part::Newest, HistoryPage { entries, head: texts.len() as u64, has_more: false });
        scene.done.clear();
        scene
    }

    fn view(&mut self, name: &str, last: u64, unread: u64) {
        let mut view = RoomView::default();
        (view.membership, view.last, view.unread) = (Membership::Member, last, unread);
        view.read = last - unread;
        self.model.take_view(&room(name), view);
    }

    fn told(&mut self, event: ClientEvent) {
        self.model.take_event(&event);
        self.settle();
    }

    fn answered(&mut self, answer: ChatAnswer) {
        self.model.take_answer(answer);
        self.settle();
    }

    fn page(&mut self, part: Part, page: HistoryPage) {
        self.answered(ChatAnswer::Page { room: room("tea"), part, answer: Ok(page) });
    }

    fn settle(&mut self) {
        self.model.mark_read();
        self.done.extend(self.model.take_tasks());
    }

    fn key(&mut self, code: KeyCode) {
        self.press(code, KeyModifiers::NONE);
    }

    fn press(&mut self, code: KeyCode, modifiers: KeyModifiers) {
        self.model.take_key(KeyEvent::new(code, modifiers));
        self.settle();
    }

    fn types(&mut self, line: &str) {
        line.chars().for_each(|one| self.key(KeyCode::Char(one)));
    }

    fn enters(&mut self, line: &str) {
        self.types(line);
        self.key(KeyCode::Enter);
    }

    /// What was wanted, without what is told of typing and reading.
    fn wanted(&mut self) -> Vec<ChatTask> {
        let done = std::mem::take(&mut self.done);
        let is_kept = |task: &ChatTask| {
            !matches!(
                task,
                ChatTask::Typing { .. }
                    | ChatTask::MarkRead(_)
                    | ChatTask::Members { is_asked: false, .. }
            )
        };
        done.into_iter().filter(is_kept).collect()
    }

    fn screen(&mut self, width: u16, height: u16) -> Vec<String> {
        self.model.resize(width, height);
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| _ = draw(&self.model, NOW, frame.buffer_mut())).unwrap();
        let buffer = terminal.backend().buffer();
        let row = |y: u16| {
            let cells = (0..width).filter_map(|x| buffer.cell((x, y)));
            let text: String = cells.map(ratatui::buffer::Cell::symbol).collect();
            text.trim_end().to_owned()
        };
        (0..height).map(row).collect()
    }
}

fn refusal(code: &str) -> RequestError {
    let mut error = RequestError::default();
    (error.code, error.message) = (code.into(), "it may not be".into());
    error
}

fn has(screen: &[String], text: &str) -> bool {
    screen.iter().any(|line| line.contains(text))
}

#[test]
fn a_newcomer_is_told_what_to_do() {
    let mut scene = Scene::new();
    let screen = scene.screen(80, 24);
    assert!(has(&screen, "Connecting …") && has(&screen, "○ ada, connecting …"), "{screen:#?}");
    let (reason, until) = ("connection refused".into(), Timestamp(NOW.0 + 2_500));
    scene.told(ClientEvent::State(State::Waiting { until, attempt: 1, reason, code: None }));
    let screen = scene.screen(80, 24);
    assert!(has(&screen, "ws://x/ws: connection refused"), "{screen:#?}");
    assert!(has(&screen, "not connected, again in 3 s: connection refused"), "{screen:#?}");
    scene.told(ClientEvent::State(ONLINE));
    assert_eq!(scene.wanted(), [ChatTask::Rooms { is_asked: false }]);
    let tea = JoinableRoom { name: room("tea"), title: "Tea & talk".to_owned(), members: 3 };
    let rooms = JoinableRooms { open: vec![tea], invites: vec![(room("attic"), user("cy"))] };
    scene.answered(ChatAnswer::Rooms { is_asked: false, answer: Ok(rooms) });
    for (width, height) in [(80, 24), (40, 20)] {
        let screen = scene.screen(width, height);
        for words in ["You are in no room yet", "/join NAME", "/help", "Tea & talk", "/join attic"]
        {
            assert!(has(&screen, words), "{words}: {screen:#?}");
        }
    }
    scene.enters("hello");
    assert!(has(&scene.screen(80, 24), "you are in no room: /join NAME enters one"));
    // What was typed is not lost.
    assert_eq!(scene.model.input().value(), "hello");
}

#[test]
fn a_message_waits_until_it_is_stored_or_says_why_not() {
    let mut scene = Scene::in_tea(&["hello"]);
    scene.enters("good evening");
    let send =
        ChatTask::Send { room: room("tea"), text: "good evening".to_owned(), reply_to: None };
    assert_eq!(scene.wanted(), [send]);
    let (id, text): (Arc<str>, String) = ("i".into(), "good evening".to_owned());
    let unsent = UnsentLine { id: id.clone(), text, reply_to: None, at: NOW, refusal: None };
    scene.model.take_sent(&room("tea"), unsent);
    let screen = scene.screen(80, 24);
    assert!(has(&screen, "… 08:49 ada: good evening (waiting)") && has(&screen, " 1 unsent, "));
    let refused = |id: &Arc<str>| ChatAnswer::Settled {
        room: room("tea"),
        id: id.clone(),
        answer: Err(refusal("quota")),
    };
    scene.answered(refused(&id));
    let screen = scene.screen(80, 24);
    assert!(has(&screen, "not sent: quota: it may not be; /retry"), "{screen:#?}");
    scene.enters("/retry");
    assert_eq!(scene.wanted(), [ChatTask::Retry { room: room("tea"), id: id.clone() }]);
    assert!(has(&scene.screen(80, 24), "(waiting)"));
    // The entry itself tells that it is stored.
    let mut entry = message(2, "ada", "good evening");
    if let EntryKind::Message { cid, .. } = &mut entry.kind {
        *cid = Some(id.clone());
    }
    scene.told(ClientEvent::Entry(entry));
    let screen = scene.screen(80, 24);
    assert!(has(&screen, " 2 08:49 ada: good evening") && !has(&screen, "waiting"), "{screen:#?}");
    scene.answered(refused(&id));
    assert!(!has(&scene.screen(80, 24), "not sent"));
    let text = "x".to_owned();
    let unsent = UnsentLine { id: id.clone(), text, reply_to: None, at: NOW, refusal: None };
    scene.model.take_sent(&room("tea"), unsent);
    scene.answered(refused(&id));
    scene.enters("/drop");
    assert_eq!(scene.wanted(), [ChatTask::Drop(id)]);
    assert_eq!(scene.model.unsent(), (0, 0));
}

#[test]
fn a_message_that_waits_is_the_last_one_and_not_the_one_before_it() {
    let mut scene = Scene::in_tea(&["hello"]);
    scene.told(ClientEvent::Entry(message(2, "ada", "mine")));
    let (id, text): (Arc<str>, String) = ("i".into(), "just now".to_owned());
    let unsent = UnsentLine { id: id.clone(), text, reply_to: None, at: NOW, refusal: None };
    scene.model.take_sent(&room("tea"), unsent);
    for line in ["/e x", "/delete"] {
        scene.enters(line);
        assert_eq!(scene.wanted(), [], "{line}");
        assert!(has(&scene.screen(80, 24), "your last message is not on the server yet"));
    }
    // One that was refused is not sent any more: the last is the one before it.
    let answer = Err(refusal("quota"));
    scene.answered(ChatAnswer::Settled { room: room("tea"), id, answer });
    scene.enters("/delete");
    assert_eq!(scene.wanted(), [ChatTask::Delete { room: room("tea"), seq: 2 }]);
}

#[test]
fn what_is_typed_before_there_is_a_connection_is_kept() {
    let mut scene = Scene::begin(Some("tea"));
    scene.types("good evening");
    assert!(has(&scene.screen(80, 24), "> good evening"));
    scene.key(KeyCode::Enter);
    assert_eq!(scene.wanted(), []);
    assert_eq!(scene.model.input().value(), "good evening");
    scene.view("tea", 1, 0);
    scene.told(ClientEvent::State(ONLINE));
    scene.done.clear();
    assert_eq!(scene.model.input().value(), "good evening");
    scene.key(KeyCode::Enter);
    let text = "good evening".to_owned();
    assert_eq!(scene.wanted(), [ChatTask::Send { room: room("tea"), text, reply_to: None }]);
}

#[test]
fn a_small_terminal_has_the_messages_and_the_line_that_is_typed() {
    let mut scene =
        Scene::in_tea(&["one", "two words that go on behind the edge of such a screen"]);
    scene.types("hello");
    let screen = scene.screen(40, 12);
    assert!(has(&screen, "bob: one") && has(&screen, "> hello"), "{screen:#?}");
    assert!(has(&screen, "bob: two words") && has(&screen, "of such a"), "{screen:#?}");
}

#[test]
fn commands_find_the_message_that_they_are_about() {
    let mut scene = Scene::in_tea(&["one", "two"]);
    scene.told(ClientEvent::Entry(message(3, "ada", "mine")));
    let tea = || room("tea");
    let text = || "x y".to_owned();
    for (line, task) in [
        ("/r x y", ChatTask::Send { room: tea(), text: text(), reply_to: Some(2) }),
        ("/reply 1 x y", ChatTask::Send { room: tea(), text: text(), reply_to: Some(1) }),
        ("/e x y", ChatTask::Edit { room: tea(), seq: 3, text: text() }),
        ("/edit 1 x y", ChatTask::Edit { room: tea(), seq: 1, text: text() }),
        ("/delete", ChatTask::Delete { room: tea(), seq: 3 }),
        ("/react 👍", ChatTask::React { room: tea(), seq: 2, emoji: "👍".into(), on: true }),
        ("//x y", ChatTask::Send { room: tea(), text: "/x y".into(), reply_to: None }),
        ("/leave", ChatTask::Leave(tea())),
        ("/who", ChatTask::Members { room: tea(), is_asked: true }),
        ("/why", ChatTask::Why),
        ("/quit", ChatTask::Quit),
    ] {
        scene.enters(line);
        assert_eq!(scene.wanted(), [task], "{line}");
    }
    let reacted = EntryKind::Reacted { target: 2, emoji: "👍".into(), on: true, by: user("ada") };
    scene.told(ClientEvent::Entry(entry(4, reacted)));
    scene.enters("/react 2 👍");
    let taken_back = ChatTask::React { room: tea(), seq: 2, emoji: "👍".into(), on: false };
    assert_eq!(scene.wanted(), [taken_back]);
    scene.enters("/nonsense");
    assert!(has(&scene.screen(80, 24), "there is no command /nonsense: /help lists them"));
    assert_eq!(scene.model.input().value(), "/nonsense");
}

#[test]
fn what_is_seen_is_read_and_what_is_not_is_counted() {
    let mut scene = Scene::in_tea(&["one"]);
    scene.view("tea", 2, 1);
    scene.told(ClientEvent::Entry(message(2, "bob", "two")));
    assert!(scene.done.contains(&ChatTask::MarkRead(room("tea"))), "{:?}", scene.done);
    scene.done.clear();
    scene.view("attic", 9, 5);
    let screen = scene.screen(80, 24);
    assert!(screen[1].starts_with(" attic           5│"), "{screen:#?}");
    assert!(scene.screen(40, 12)[0].ends_with("5 unread elsewhere"));
    // What is below the screen is not read.
    let texts = ["x"; 40];
    let mut scene = Scene::in_tea(&texts);
    scene.screen(80, 24);
    scene.key(KeyCode::PageUp);
    scene.view("tea", 41, 1);
    scene.told(ClientEvent::Entry(message(41, "bob", "new")));
    assert!(!scene.done.contains(&ChatTask::MarkRead(room("tea"))));
    let screen = scene.screen(80, 24);
    assert!(has(&screen, "1 new below; Esc") && !has(&screen, "bob: new"), "{screen:#?}");
    scene.key(KeyCode::Esc);
    assert!(scene.done.contains(&ChatTask::MarkRead(room("tea"))));
    assert!(has(&scene.screen(80, 24), "bob: new"));
}

#[test]
fn rooms_are_changed_by_keys_and_keep_what_is_typed() {
    let mut scene = Scene::in_tea(&["one"]);
    scene.view("attic", 9, 5);
    scene.types("half a sen");
    scene.press(KeyCode::Char('n'), KeyModifiers::CONTROL);
    assert_eq!(scene.model.current, Some(room("attic")));
    assert_eq!(scene.wanted(), [ChatTask::Page { room: room("attic"), part: Part::Newest }]);
    let entries = (1..=9).map(|seq| message(seq, "bob", "x")).collect();
    let page = HistoryPage { entries, head: 9, has_more: false };
    let part = Part::Newest;
    scene.answered(ChatAnswer::Page { room: room("attic"), part, answer: Ok(page) });
    let screen = scene.screen(80, 24);
    let rule = screen.iter().position(|line| line.contains("── new ──")).unwrap();
    assert!(screen[rule + 1].contains(" 5 08:49 bob"), "{screen:#?}");
    scene.press(KeyCode::Up, KeyModifiers::ALT);
    assert_eq!(scene.model.current, Some(room("tea")));
    assert_eq!(scene.model.input().value(), "half a sen");
    scene.press(KeyCode::Char('u'), KeyModifiers::CONTROL);
    scene.enters("/join new");
    assert_eq!(scene.wanted(), [ChatTask::Join(room("new"))]);
    // It may not: the user is where they were, or in another of their rooms.
    let answer = Err(refusal("forbidden"));
    scene.answered(ChatAnswer::Joined { room: room("new"), answer });
    assert_eq!(scene.model.current, Some(room("attic")));
    assert!(has(&scene.screen(80, 24), "new: forbidden: it may not be"));
}

#[test]
fn history_is_loaded_page_by_page_and_the_place_is_kept() {
    let mut scene = Scene::new();
    scene.view("tea", 300, 0);
    scene.told(ClientEvent::State(ONLINE));
    scene.screen(80, 24);
    let page = |seqs: std::ops::RangeInclusive<u64>, has_more| {
        let text = |seq: u64| format!("number {seq}");
        let entries = seqs.map(|seq| message(seq, "bob", &text(seq))).collect();
        HistoryPage { entries, head: 300, has_more }
    };
    scene.page(Part::Newest, page(261..=300, true));
    assert_eq!(
        scene.wanted(),
        [Part::Newest, Part::Before(261)].map(|part| ChatTask::Page { room: room("tea"), part })
    );
    for _ in 0..4 {
        scene.key(KeyCode::PageUp);
    }
    assert_eq!(scene.wanted(), []);
    assert!(has(&scene.screen(80, 24), "number 261"));
    let before = scene.screen(80, 24);
    // What was gone up already, without finding anything there, is made up for.
    scene.page(Part::Before(261), page(161..=260, true));
    let screen = scene.screen(80, 24);
    assert!(screen != before && has(&screen, "number 209"), "{screen:#?}");
    scene.told(ClientEvent::Entry(message(301, "bob", "just now")));
    assert_eq!(scene.screen(80, 24)[1..20], screen[1..20]);
    for size in [(40, 12), (200, 50), (30, 8), (80, 24)] {
        let resized = scene.screen(size.0, size.1);
        assert!(has(&resized, "number 228") && !has(&resized, "just now"), "{resized:#?}");
    }
    scene.enters("/history 20");
    assert_eq!(
        scene.wanted().last(),
        Some(&ChatTask::Page { room: room("tea"), part: Part::Before(70) })
    );
    scene.page(Part::Before(70), page(1..=69, false));
    let screen = scene.screen(80, 24);
    assert!(screen[20].contains("number 20"), "{screen:#?}");
    scene.key(KeyCode::Esc);
    assert_eq!(scene.wanted(), [ChatTask::Page { room: room("tea"), part: Part::Newest }]);
}

#[test]
fn all_commands_and_keys_fit_a_common_terminal() {
    let mut scene = Scene::in_tea(&["one"]);
    scene.enters("/help");
    let screen = scene.screen(80, 24);
    let all: Vec<String> = scene.model.panel.iter().flat_map(|panel| panel.lines.clone()).collect();
    assert!(all.len() > 15);
    for line in &all {
        assert!(has(&screen, line), "{line}: {screen:#?}");
    }
    scene.screen(40, 12);
    for _ in 0..20 {
        scene.key(KeyCode::PageDown);
    }
    assert!(has(&scene.screen(40, 12), "behind"));
    scene.key(KeyCode::Esc);
    assert!(has(&scene.screen(80, 24), "bob: one"));
}

#[test]
fn who_is_here_and_who_types_is_seen() {
    let mut scene = Scene::in_tea(&["one"]);
    let people = ["ada", "bob", "cy"].map(|name| (user(name), name.into())).into();
    let people = Presences { users: people, count: 3, is_counted: false };
    scene.told(ClientEvent::Presence(Arc::new(people)));
    let members = ["ada", "bob", "dora"].map(user).into();
    scene.model.rooms.get_mut(&room("tea")).unwrap().members = Some(members);
    let mut view = RoomView::default();
    (view.membership, view.title) = (Membership::Member, "Tea \u{202e}& talk".into());
    view.typists = ["bob", "cy"].map(user).into();
    scene.model.take_view(&room("tea"), view);
    let screen = scene.screen(80, 24);
    assert!(screen[0].starts_with(" tea — Tea \u{fffd}& talk"), "{screen:#?}");
    assert!(screen[0].ends_with("2 of 3 online: ada bob"), "{screen:#?}");
    assert!(has(&screen, "bob and cy type …"));
    let wide = scene.screen(200, 50);
    assert!(wide[1].ends_with("│ ● ada") && wide[2].ends_with("│ ● bob"), "{wide:#?}");
    let entry = entry(2, EntryKind::Left { user: user("bob"), by: None });
    scene.told(ClientEvent::Entry(entry));
    assert!(scene.screen(80, 24)[0].ends_with("1 of 2 online: ada"));
    // A server may tell it room by room.
    for (kind, here) in
        [("user:online", "2 of 2 online: ada dora"), ("user:offline", "0 of 2 online:")]
    {
        let payload = r#"{"room":"tea","users":["ada","dora"],"version":2}"#.into();
        scene.told(ClientEvent::Push { kind: kind.into(), payload });
        assert!(scene.screen(80, 24)[0].ends_with(here), "{:?}", scene.screen(80, 24)[0]);
    }
}

#[test]
fn a_line_is_edited_by_clusters_and_scrolls_sideways() {
    let mut scene = Scene::in_tea(&["one"]);
    scene.model.take_paste("日本e\u{301}\r\nx\x1b[2J");
    assert_eq!(scene.model.input().value(), "日本e\u{301}\nx\x1b[2J");
    let screen = scene.screen(40, 12);
    assert_eq!(screen[10].replace(' ', ""), ">日本e\u{301}↵x\u{fffd}[2J");
    for _ in 0..5 {
        scene.key(KeyCode::Backspace);
    }
    scene.key(KeyCode::Backspace);
    scene.key(KeyCode::Backspace);
    assert_eq!(scene.model.input().value(), "日本");
    scene.types(&"abcdefghij".repeat(6));
    let screen = scene.screen(40, 12);
    assert!(screen[10].ends_with("hij") && !screen[10].contains('日'), "{screen:#?}");
    scene.key(KeyCode::Home);
    assert!(scene.screen(40, 12)[10].contains('日'));
    scene.press(KeyCode::Char('k'), KeyModifiers::CONTROL);
    assert_eq!(scene.model.input().value(), "");
    scene.enters("/why");
    scene.key(KeyCode::Up);
    assert_eq!(scene.model.input().value(), "/why");
    scene.key(KeyCode::Down);
    scene.types("/ro");
    scene.key(KeyCode::Tab);
    assert_eq!(scene.model.input().value(), "/room");
    scene.types(" at");
    scene.key(KeyCode::Tab);
    assert_eq!(scene.model.input().value(), "/room attic ");
    // The first clears, the second ends.
    scene.press(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert!(!scene.model.is_quitting);
    scene.press(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert!(scene.model.is_quitting);
}

#[test]
fn every_size_of_a_screen_is_drawn() {
    let text =
        "wide 日本 and 👩‍🚀 e\u{301}, \x1b[31m and a-word-that-is-longer-than-many-a-screen-is-wide";
    let mut scene = Scene::in_tea(&[text; 30]);
    let body = Box::new(Body { text: text.into(), data: None, reply_to: Some(3) });
    let kind = EntryKind::Message { from: user("bob"), body, cid: None, changes: None };
    scene.told(ClientEvent::Entry(entry(31, kind)));
    scene.types(text);
    for width in [1, 5, 19, 20, 21, 33, 40, 49, 50, 59, 60, 80, 99, 100, 130] {
        for height in 1..=30 {
            let screen = scene.screen(width, height);
            assert!(screen.iter().all(|line| !line.contains('\x1b')));
            scene.key(if height % 2 == 0 { KeyCode::PageUp } else { KeyCode::PageDown });
        }
    }
    let small = scene.screen(18, 8).join(" ");
    assert!(small.contains("Too small"), "{small}");
}
