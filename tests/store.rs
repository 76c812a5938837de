//! The store's own interface: numbers, repeats, failures, and what survives.

use parlor::base::{
    Authority, Body, EntryKind, MemberState, Outcome, Query, Record, Revocation, Rights, RoomId,
    Snapshot, StoreChange, Timestamp, Told, UserId, What, Written,
};
use parlor::store::{EventsWanted, LockError, OpenError, Place, RecordStore, Store, Waker};
use std::io::{BufRead, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

struct Opened {
    store: Store,
    snapshot: Snapshot,
    woken: Receiver<()>,
    next: u64,
}

fn open(place: &Place) -> Opened {
    let (wake, woken) = channel();
    let (store, snapshot) = Store::open(place, "first", move || {
        let _ = wake.send(());
    })
    .unwrap();
    Opened { store, snapshot, woken, next: 0 }
}

impl Opened {
    fn submit(&mut self, now: i64, record: Record) -> u64 {
        self.next += 1;
        self.store.write(self.next, Timestamp(now), record).unwrap();
        self.next
    }

    fn written(&mut self, count: usize) -> Vec<Written> {
        let mut all_written = Vec::new();
        while all_written.len() < count {
            self.woken.recv_timeout(Duration::from_secs(10)).unwrap();
            all_written.extend(self.store.told().into_iter().map(|told| match told {
                Told::Changed { change, .. } => Written::Changed(change),
                Told::News(news) => panic!("{news:?}, and there is one end"),
                Told::Answer { outcome, .. } => Written::Unchanged(outcome),
            }));
        }
        all_written
    }

    fn write(&mut self, now: i64, record: Record) -> Written {
        self.submit(now, record);
        self.written(1).remove(0)
    }

    fn read(&mut self, query: Query) -> Vec<u64> {
        self.next += 1;
        self.store.read(self.next, Timestamp(0), query).unwrap();
        let Written::Unchanged(Outcome::Page(page)) = self.written(1).remove(0) else {
            panic!("no page")
        };
        page.iter().map(|entry| entry.seq).collect()
    }
}

fn user(id: &str) -> UserId {
    UserId::parse(id).unwrap()
}

fn room(id: &str) -> RoomId {
    RoomId::parse(id).unwrap()
}

fn join(of: &str, who: &str) -> Record {
    Record::Join { room: room(of), user: user(who), by: None }
}

fn leave(who: &str) -> Record {
    Record::Leave { room: room("a"), user: user(who), by: None }
}

fn say(of: &str, who: &str, text: &str, cid: Option<&str>) -> Record {
    let body = Body { text: text.into(), data: None, reply_to: None };
    Record::Message { room: room(of), from: user(who), to: None, body, cid: cid.map(Into::into) }
}

/// Number, time, and whether it was there before.
fn message(written: &Written) -> (u64, i64, bool) {
    match written {
        Written::Unchanged(Outcome::Earlier { seq, ts }) => (*seq, ts.0, true),
        written => match what(written) {
            What::Message(entry) => (entry.seq, entry.ts.0, false),
            other => panic!("{other:?}"),
        },
    }
}

/// What has changed in a room.
fn what(written: &Written) -> &What {
    match written {
        Written::Changed(StoreChange::Room { what, .. }) => what,
        other => panic!("{other:?}"),
    }
}

fn is_changed(written: &Written) -> bool {
    matches!(written, Written::Changed(_))
}

/// Who adds somebody.
fn admin() -> Option<Authority> {
    Some(Authority { user: user("root"), rights: Rights::Admin })
}

fn page(first: u64, last: u64, entries_max: usize, from_end: bool) -> Query {
    Query { room: room("a"), first, last, entries_max, bytes_max: 1 << 20, from_end }
}

#[test]
fn entries_are_numbered_without_a_hole_and_time_never_falls() {
    let mut opened = open(&Place::Memory);
    opened.write(1_000, join("a", "ada"));
    assert_eq!(message(&opened.write(2_000, say("a", "ada", "x", None))), (2, 2_000, false));
    // The clock jumped back.
    assert_eq!(message(&opened.write(500, say("a", "ada", "y", None))), (3, 2_000, false));
    assert_eq!(message(&opened.write(2_001, say("a", "ada", "z", None))), (4, 2_001, false));
    opened.write(0, join("b", "ada"));
    let first_of_b = message(&opened.write(3_000, say("b", "ada", "x", None)));
    assert_eq!(first_of_b.0, 2, "each room counts for itself");
}

#[test]
fn a_repeat_gives_the_first_result_also_within_a_batch_and_uses_up_no_number() {
    let mut opened = open(&Place::Memory);
    opened.write(0, join("a", "ada"));
    opened.write(0, join("a", "bob"));
    // Handed over at once: most of them make up one batch.
    for _ in 0..5 {
        opened.submit(7, say("a", "ada", "x", Some("c1")));
    }
    opened.submit(8, say("a", "ada", "other", Some("c1")));
    opened.submit(9, say("a", "bob", "x", Some("c1")));
    let written = opened.written(7);
    let messages: Vec<_> = written.iter().take(5).map(message).collect();
    assert_eq!(messages[0], (3, 7, false));
    assert!(messages[1..].iter().all(|one| *one == (3, 7, true)), "{messages:?}");
    assert_eq!(written[5], Outcome::Mismatch.into());
    assert_eq!(message(&written[6]), (4, 9, false), "ids are each author's own");
}

#[test]
fn what_was_answered_is_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::Directory(folder.path().join("data"));
    let mut opened = open(&place);
    let mode = folder.path().join("data").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "nobody else may look in");
    for name in ["parlor.db", "parlor.db-wal", "parlor.mark"] {
        let file = folder.path().join("data").join(name);
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    assert_eq!(opened.snapshot.epoch, "first");
    let create = Record::Create {
        room: room("a"),
        title: Some("Room A".into()),
        open: false,
        owner: user("ada"),
        members: vec![user("bob")],
        invited: Vec::new(),
        is_own: true,
    };
    opened.write(1, create.clone());
    assert_eq!(opened.write(2, create), Outcome::RoomExists.into());
    opened.write(3, say("a", "ada", "hello", Some("c1")));
    opened.write(4, say("a", "bob", "hi", None));
    let read = |seq| Record::Read { room: room("a"), user: user("ada"), seq };
    let has_read = What::Read { user: user("ada"), seq: 4, messages: 2, deleted: 0 };
    assert_eq!(*what(&opened.write(5, read(99))), has_read);
    assert_eq!(opened.write(5, read(1)), Outcome::Done.into());
    opened.write(6, Record::Name { user: user("ada"), name: "Ada".into() });
    drop(opened);

    let mut opened = open(&place);
    assert_eq!(opened.snapshot.epoch, "first", "the epoch is the store's, for its life");
    let state = &opened.snapshot.rooms[0];
    assert_eq!((state.room.as_str(), &*state.title, state.is_open), ("a", "Room A", false));
    assert_eq!((state.head, state.messages, state.ts), (4, 2, Timestamp(4)));
    assert_eq!(state.owner, Some(user("ada")));
    let member = |joined, is_own| MemberState {
        joined,
        read: 4,
        read_messages: 2,
        deleted_unread: 0,
        delivered: joined,
        has_written: true,
        is_own,
    };
    let members =
        [(room("a"), user("ada"), member(1, true)), (room("a"), user("bob"), member(2, false))];
    assert_eq!(opened.snapshot.members.concat(), members);
    assert_eq!(opened.snapshot.names, [(user("ada"), "Ada".into())]);
    assert_eq!(message(&opened.write(9, say("a", "ada", "hello", Some("c1")))), (3, 3, true));
    assert_eq!(message(&opened.write(9, say("a", "ada", "again", None))).0, 5);
}

#[test]
fn pages_are_the_logs_in_both_directions_and_within_their_bounds() {
    let mut opened = open(&Place::Memory);
    opened.write(0, join("a", "ada"));
    for n in 2..=10 {
        opened.write(n, say("a", "ada", &"x".repeat(100), None));
    }
    assert_eq!(opened.read(page(1, 10, 4, false)), [1, 2, 3, 4]);
    assert_eq!(opened.read(page(1, 10, 4, true)), [7, 8, 9, 10]);
    assert_eq!(opened.read(page(3, 5, 9, false)), [3, 4, 5]);
    assert_eq!(opened.read(page(11, 20, 9, false)), [0; 0]);
    assert_eq!(opened.read(page(1, u64::MAX, 2, true)), [9, 10]);
    let small = Query { bytes_max: 600, ..page(2, 10, 9, false) };
    assert_eq!(opened.read(small), [2, 3]);
    let tiny = Query { bytes_max: 1, ..page(2, 10, 9, true) };
    assert_eq!(opened.read(tiny), [10], "at least one");
}

#[test]
fn a_page_shows_what_was_written_just_before_it() {
    let mut opened = open(&Place::Memory);
    opened.submit(0, join("a", "ada"));
    for n in 0..20 {
        opened.submit(n, say("a", "ada", "x", None));
    }
    opened.store.read(1_000, Timestamp(0), page(1, 100, 100, false)).unwrap();
    let written = opened.written(22);
    let Some(Written::Unchanged(Outcome::Page(page))) = written.last() else {
        panic!("the page comes last")
    };
    assert_eq!(page.len(), 21);
}

#[test]
fn a_record_does_not_wait_for_the_pages_that_others_asked_for() {
    const PAGES: u64 = 300;
    let mut opened = open(&Place::Memory);
    opened.write(0, join("a", "ada"));
    for n in 0..200 {
        opened.submit(n, say("a", "ada", &"x".repeat(1_000), None));
    }
    opened.written(200);
    let query = Query { bytes_max: 250_000, ..page(1, 200, 200, false) };
    for n in 0..PAGES {
        opened.store.read(1_000 + n, Timestamp(0), query.clone()).unwrap();
    }
    opened.store.write(5, Timestamp(1), say("a", "ada", "quick", None)).unwrap();
    let mut order = Vec::new();
    while order.len() < PAGES as usize + 1 {
        opened.woken.recv_timeout(Duration::from_secs(10)).unwrap();
        order.extend(opened.store.told().iter().filter_map(Told::ticket));
    }
    let place = order.iter().position(|ticket| *ticket == 5).unwrap();
    assert!(place < PAGES as usize / 2, "{place} pages came before it");
}

#[test]
fn coming_and_going_are_entries_and_an_owner_hands_over() {
    let mut opened = open(&Place::Memory);
    for name in ["ada", "bob", "cy"] {
        opened.write(0, join("a", name));
    }
    assert_eq!(opened.write(0, join("a", "bob")), Outcome::Done.into(), "a member joins once");
    let left = opened.write(1, leave("ada"));
    let What::Left { entry, owner, is_own: true } = what(&left) else { panic!("{left:?}") };
    assert_eq!(*owner, Some(user("bob")), "the member of longest standing");
    let EntryKind::Left { user: gone, .. } = &entry.kind else { panic!() };
    assert_eq!((gone.as_str(), entry.seq), ("ada", 4));
    assert_eq!(opened.write(1, leave("ada")), Outcome::NotMember.into());
    opened.write(1, leave("bob"));
    let left = opened.write(1, leave("cy"));
    let What::Left { entry, owner: None, .. } = what(&left) else { panic!("{left:?}") };
    assert_eq!(entry.seq, 6, "a room outlives its last member");
    let joined = opened.write(2, join("a", "dee"));
    let What::Joined { entry, owner, is_own: true } = what(&joined) else { panic!("{joined:?}") };
    assert_eq!((owner, entry.seq), (&Some(user("dee")), 7));
    // Only whoever comes by themselves makes a room by it.
    let brought = Record::Join { room: room("none"), user: user("ada"), by: admin() };
    assert_eq!(opened.write(2, brought), Outcome::NotMember.into());
}

#[test]
fn nobody_comes_into_a_closed_room_by_themselves_also_while_it_is_being_made() {
    let mut opened = open(&Place::Memory);
    let create = Record::Create {
        room: room("a"),
        title: None,
        open: false,
        owner: user("ada"),
        members: vec![],
        invited: Vec::new(),
        is_own: true,
    };
    // Decided before the room was there.
    opened.submit(0, create);
    opened.submit(0, join("a", "mallory"));
    assert_eq!(opened.written(2)[1], Outcome::NotMember.into());
    let brought = Record::Join { room: room("a"), user: user("bob"), by: admin() };
    assert!(is_changed(&opened.write(1, brought)));
}

#[test]
fn a_revocation_is_once_where_it_says_so_and_forgotten_when_its_token_is_long_over() {
    const DAY: i64 = 24 * 60 * 60 * 1_000;
    let folder = tempfile::tempdir().unwrap();
    let place = Place::Directory(folder.path().to_owned());
    let token = |jti: &str, until: Option<i64>, once| Record::Revoke {
        revocation: Revocation::Token(jti.into(), until.map(Timestamp)),
        once,
    };
    let mut opened = open(&place);
    let already = || Written::Unchanged(Outcome::AlreadyRevoked);
    assert!(is_changed(&opened.write(1_000, token("code", Some(5_000), true))));
    assert_eq!(opened.write(1_001, token("code", Some(5_000), true)), already());
    assert_eq!(opened.write(1_002, token("code", Some(4_000), false)), Outcome::Done.into());
    assert!(is_changed(&opened.write(1_003, token("for-ever", None, false))));
    for number in 0..100 {
        assert!(is_changed(&opened.write(1_004, token(&format!("t{number}"), Some(4_999), true))));
    }
    // Entries that are dated ahead make nothing older: what is forgotten goes by the time that comes with it.
    opened.write(9 * DAY, join("a", "ada"));
    assert_eq!(opened.write(1_005, token("code", Some(5_000), true)), already());
    drop(opened);
    // What was used up stays so over a restart, until its time is over since a day.
    let mut opened = open(&place);
    assert_eq!(opened.write(DAY + 5_000, token("code", Some(5_000), true)), already());
    assert!(is_changed(&opened.write(DAY + 5_001, token("code", Some(5_000), true))));
    drop(opened);
    assert_eq!(
        open(&place).snapshot.revocations,
        [
            Revocation::Token("code".into(), Some(Timestamp(5_000))),
            Revocation::Token("for-ever".into(), None),
        ],
        "those that come with it are forgotten, some at a time"
    );
}

#[test]
fn direct_messages_make_their_room_once() {
    let mut opened = open(&Place::Memory);
    let (ada, bob) = (user("ada"), user("bob"));
    let direct = RoomId::direct(&ada, &bob);
    let data = "{\"a\": 1.50}";
    let send = |from: &UserId, to: &UserId| Record::Message {
        room: direct.clone(),
        from: from.clone(),
        to: Some(to.clone()),
        body: Body { text: "psst".into(), data: Some(data.into()), reply_to: None },
        cid: None,
    };
    assert_eq!(message(&opened.write(0, send(&ada, &bob))).0, 1);
    let second = opened.write(0, send(&bob, &ada));
    let What::Message(entry) = what(&second) else { panic!("{second:?}") };
    assert_eq!(entry.seq, 2);
    let EntryKind::Message { body, .. } = &entry.kind else { panic!() };
    assert_eq!(body.data.as_deref(), Some(data), "data is kept as it came");
}

#[test]
fn a_second_process_is_refused_and_told_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::Directory(folder.path().to_owned());
    let opened = open(&place);
    let error = Store::open(&place, "other", || {}).unwrap_err();
    let OpenError::Lock(LockError::Held { pid, .. }) = &error else { panic!("{error}") };
    assert_eq!(*pid, Some(std::process::id()));
    assert!(error.to_string().contains(&format!("in use by process {}", std::process::id())));
    drop(opened);
    open(&place);
}

fn shell(file: &Path, sql: &str) -> String {
    let output = std::process::Command::new("sqlite3")
        .arg(file)
        .arg(sql)
        .output()
        .expect("the sqlite3 shell is needed: apt-get install sqlite3");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn the_sqlite3_shell_reads_the_file_and_a_person_understands_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("parlor.db");
    let mut opened = open(&Place::Directory(folder.path().to_owned()));
    opened.write(5, join("a", "ada"));
    opened.write(6, say("a", "ada", "hello", None));
    // While the server runs, too: what it has in its journal is in the tables when it is idle.
    let sql = "SELECT r.name, e.seq, e.kind, e.user, e.text \
               FROM entries e JOIN rooms r ON r.id = e.room ORDER BY e.seq";
    let (line, rows) = ("a|1|joined|ada|", "a|1|joined|ada|\na|2|message|ada|hello");
    let seen: Vec<String> = (0..500)
        .map(|_| shell(&file, sql))
        .inspect(|_| std::thread::sleep(Duration::from_millis(10)))
        .take_while(|seen| seen != rows)
        .collect();
    assert!(seen.len() < 500 && seen.iter().all(|seen| seen == line), "{seen:?}");
    drop(opened);
    assert_eq!(shell(&file, sql), rows);
    assert_eq!(shell(&file, "SELECT count(*), max(records) FROM journal"), "1|[]");
    assert_eq!(shell(&file, "SELECT count(*) FROM journal, json_each(records);"), "0");
    assert_eq!(shell(&file, "PRAGMA integrity_check"), "ok");
    assert_eq!(shell(&file, "PRAGMA journal_mode"), "wal");
}

#[test]
fn a_file_of_a_newer_version_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::Directory(folder.path().to_owned());
    drop(open(&place));
    let file = folder.path().join("parlor.db");
    let version = shell(&file, "PRAGMA user_version");
    shell(&file, "PRAGMA user_version = 1");
    let error = Store::open(&place, "other", || {}).unwrap_err();
    assert!(matches!(error, OpenError::Older { version: 1 }), "{error}");
    shell(&file, "PRAGMA user_version = 999");
    let error = Store::open(&place, "other", || {}).unwrap_err();
    assert!(matches!(error, OpenError::Newer { version: 999 }), "{error}");
    shell(&file, &format!("PRAGMA user_version = {version}"));
    open(&place);
}

#[test]
fn a_database_that_cannot_be_written_stores_nothing_half_and_goes_on_when_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = open(&Place::Directory(folder.path().to_owned()));
    opened.write(0, join("a", "ada"));
    // Another process holds the write lock: no batch can be committed.
    let file = folder.path().join("parlor.db");
    let mut other = std::process::Command::new("sqlite3")
        .arg(&file)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("the sqlite3 shell is needed: apt-get install sqlite3");
    let mut to_other = other.stdin.take().unwrap();
    let mut from_other = std::io::BufReader::new(other.stdout.take().unwrap());
    to_other.write_all(b"BEGIN IMMEDIATE; SELECT 'held';\n").unwrap();
    let mut line = String::new();
    from_other.read_line(&mut line).unwrap();
    assert_eq!(line, "held\n");

    assert_eq!(opened.write(1, join("a", "bob")), Outcome::Unavailable.into());
    assert_eq!(opened.read(page(1, 9, 9, false)), [1], "what is there can be read");
    // A message needs no table.
    assert_eq!(message(&opened.write(2, say("a", "ada", "kept", Some("c1")))), (2, 2, false));

    to_other.write_all(b"ROLLBACK; SELECT 'free';\n").unwrap();
    line.clear();
    from_other.read_line(&mut line).unwrap();
    drop(to_other);
    other.wait().unwrap();
    // Nothing of what was refused was stored.
    let joined = opened.write(3, join("a", "bob"));
    assert!(
        matches!(&joined, Written::Changed(StoreChange::Room { what: What::Joined { entry, .. }, .. }) if entry.seq == 3),
        "{joined:?}"
    );
}

#[test]
fn what_was_queued_behind_a_failed_batch_fails_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut opened = open(&Place::Directory(folder.path().to_owned()));
    opened.write(0, join("a", "ada"));
    let file = folder.path().join("parlor.db");
    let trigger = "CREATE TRIGGER refuse BEFORE INSERT ON members \
                   WHEN NEW.user = 'bad' BEGIN SELECT RAISE(ABORT, 'refused'); END";
    shell(&file, trigger);
    // The first fails its batch; the others were decided before that was heard of.
    opened.submit(1, join("a", "bad"));
    for _ in 0..50 {
        opened.submit(1, say("a", "ada", "good", None));
    }
    std::thread::sleep(Duration::from_millis(200));
    let written = opened.written(51);
    let unavailable = Outcome::Unavailable.into();
    assert!(written.iter().all(|written| *written == unavailable), "{written:?}");
    // From here on the failure has been heard of.
    assert_eq!(message(&opened.write(2, say("a", "ada", "good", None))).0, 2);
}

#[test]
fn a_member_is_not_invited_any_more() {
    let mut opened = open(&Place::Memory);
    opened.write(1, join("a", "ada"));
    opened.write(2, join("a", "bob"));
    // It was decided before bob had come.
    let by = Authority { user: user("ada"), rights: Rights::User };
    let invite = Record::Invite { room: room("a"), user: user("bob"), by: by.clone() };
    assert_eq!(opened.write(3, invite), Outcome::Done.into());
    opened.write(4, leave("bob"));
    let (title, open) = (None, Some(false));
    opened.write(5, Record::Update { room: room("a"), title, open, owner: None, by });
    assert_eq!(opened.write(6, join("a", "bob")), Outcome::NotMember.into());
}

#[test]
fn on_a_disk_what_a_turn_brings_shares_a_commit_when_it_ends_or_when_it_is_much() {
    const FEW: usize = 8;
    /// Long after a commit, and long before the thread looks by itself.
    const SOON: Duration = Duration::from_millis(500);
    let folder = tempfile::tempdir().unwrap();
    let mut opened = open(&Place::Directory(folder.path().join("data")));
    opened.write(1, join("a", "ada"));
    assert!(!opened.store.turn_ends(), "the thread does it");
    let processors = std::thread::available_parallelism().unwrap().get();
    assert_eq!(opened.store.may_poll(), processors > 1);
    // A machine that is busy for a moment may let the thread work without a call, or let it wait.
    let is_so = |count: usize, ends: bool, opened: &mut Opened| {
        std::thread::sleep(Duration::from_millis(50));
        let batches = opened.store.counters().batches.count();
        for _ in 0..count {
            opened.submit(2, say("a", "ada", "x", None));
        }
        let waits = opened.woken.recv_timeout(Duration::from_millis(50)).is_err();
        let begun = std::time::Instant::now();
        if ends {
            opened.store.turn_ends();
        }
        let told = opened.store.told().len();
        let got = told + opened.written(count - told).len();
        let is_one = opened.store.counters().batches.count() == batches + 1;
        got == count && begun.elapsed() < SOON && waits == ends && (is_one || !ends)
    };
    assert!((0..5).any(|_| is_so(FEW, true, &mut opened)), "together, when the turn ends");
    assert!((0..5).any(|_| is_so(100, false, &mut opened)), "the thread begins before that");
}

#[test]
fn in_memory_whoever_ends_its_turn_stores_what_is_little_and_the_others_are_woken() {
    const ENDS: usize = 3;
    const MESSAGES: usize = 400;
    let (wakers, woken): (Vec<Waker>, Vec<_>) = (0..ENDS)
        .map(|_| {
            let (wake, woken) = channel::<()>();
            let waker: Waker = Box::new(move || {
                let _ = wake.send(());
            });
            (waker, woken)
        })
        .unzip();
    let all = &EventsWanted::ALL;
    let clock = std::time::Instant::now();
    let opened =
        Store::open_ends(&Place::Memory, "epoch", all, wakers, move || clock.elapsed()).unwrap();
    let (mut ends, _) = opened;
    // Nobody is told of turns yet: the thread does it.
    for user in ["ada", "bob", "cyd"] {
        ends[0].write(1, Timestamp(1), join("a", user)).unwrap();
        for (end, woken) in ends.iter_mut().zip(&woken) {
            woken.recv_timeout(Duration::from_secs(10)).unwrap();
            assert_eq!(end.told().len(), 1);
        }
    }
    assert!(ends.iter_mut().all(|end| !end.turn_ends()), "nothing was given");
    // On one thread, each message is stored when the turn ends, unless the store's thread merges.
    let mut helped = 0;
    for n in 0..MESSAGES as u64 {
        ends[1].write(n, Timestamp(2), say("a", "ada", "x", None)).unwrap();
        if ends[1].turn_ends() {
            helped += 1;
            assert_eq!(ends[1].told().len(), 1, "at once");
            assert!(woken[1].try_recv().is_err(), "it is awake");
        } else {
            woken[1].recv_timeout(Duration::from_secs(10)).unwrap();
            assert_eq!(ends[1].told().len(), 1);
        }
        woken[2].recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(ends[2].told().len(), 1);
    }
    assert!(helped > MESSAGES / 2, "{helped}");
    // A page is read by the thread, and shows all of it.
    let query = page(1, 9_999, 9_999, false);
    ends[1].read(1, Timestamp(3), query).unwrap();
    assert!(!ends[1].turn_ends());
    woken[1].recv_timeout(Duration::from_secs(10)).unwrap();
    match &ends[1].told()[..] {
        [Told::Answer { outcome: Outcome::Page(page), .. }] => {
            assert_eq!(page.len(), ENDS + MESSAGES)
        }
        other => panic!("{other:?}"),
    }
    ends[0].told();
    // On threads of their own, all are answered and told of all, in order.
    let threads = ends.into_iter().zip(woken).enumerate().map(|(number, (mut end, woken))| {
        std::thread::spawn(move || {
            let (mut told, mut answers) = (Vec::new(), 0);
            let mut take = |end: &mut Store| {
                for one in end.told() {
                    answers += usize::from(one.ticket().is_some());
                    match one {
                        Told::Changed { change: StoreChange::Room { version, .. }, .. } => {
                            told.push(version)
                        }
                        other => panic!("{other:?}"),
                    }
                }
                (told.len(), answers)
            };
            for n in 0..MESSAGES as u64 {
                let user = ["ada", "bob", "cyd"][number];
                end.write(n, Timestamp(4), say("a", user, "y", None)).unwrap();
                // In some turns there are several.
                if n % 3 != 0 {
                    end.turn_ends();
                    take(&mut end);
                }
            }
            end.turn_ends();
            while take(&mut end) != (ENDS * MESSAGES, MESSAGES) {
                woken.recv_timeout(Duration::from_secs(10)).unwrap();
            }
            assert!(told.is_sorted_by(|before, after| *after == before + 1));
        })
    });
    for thread in threads.collect::<Vec<_>>() {
        thread.join().unwrap();
    }
}
