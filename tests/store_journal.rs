//! The journal: what is committed there alone is shown by all that reads a store, survives a kill at
//! any moment, and comes into the tables once.

mod store_image;

use parlor::base::{
    Authority, Body, Outcome, Query, Record, Rights, RoomId, StoreChange, Timestamp, Told, UserId,
    What,
};
use parlor::store::data;
use parlor::store::{Place, RecordStore, Store};
use rusqlite::Connection;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use store_image::{faults, files, laid_out};

const WAIT: Duration = Duration::from_secs(20);

struct Server {
    store: Store,
    woken: Receiver<()>,
    epoch: String,
    next: u64,
}

fn serve(directory: &Path) -> Server {
    let (wake, woken) = channel();
    let place = Place::Directory(directory.to_owned());
    let (store, snapshot) = Store::open(&place, "first", move || {
        let _ = wake.send(());
    })
    .unwrap();
    Server { store, woken, epoch: snapshot.epoch, next: 0 }
}

impl Server {
    /// Writes records together, and gives what is told of them.
    fn write(&mut self, records: impl IntoIterator<Item = Record>) -> Vec<Told> {
        let mut waiting = 0;
        for record in records {
            self.next += 1;
            waiting += 1;
            self.store.write(self.next, Timestamp(self.next as i64), record).unwrap();
        }
        self.told(waiting)
    }

    fn told(&mut self, count: usize) -> Vec<Told> {
        let mut told = Vec::new();
        while told.len() < count {
            self.woken.recv_timeout(WAIT).unwrap();
            told.extend(self.store.told());
        }
        told
    }

    /// The texts of a room's newest entries, or the outcome that there is instead.
    fn texts(&mut self, name: &str) -> Result<Vec<String>, Outcome> {
        let (entries_max, bytes_max, from_end) = (1_000, 1 << 20, false);
        let (room, first, last) = (room(name), 1, u64::MAX >> 1);
        let query = Query { room, first, last, entries_max, bytes_max, from_end };
        self.next += 1;
        self.store.read(self.next, Timestamp(self.next as i64), query).unwrap();
        match self.told(1).remove(0) {
            Told::Answer { outcome: Outcome::Page(page), .. } => Ok(page
                .iter()
                .filter_map(|entry| match &entry.kind {
                    parlor::base::EntryKind::Message { body, .. } => Some(body.text.to_string()),
                    _ => None,
                })
                .collect()),
            Told::Answer { outcome, .. } => Err(outcome),
            other => panic!("{other:?}"),
        }
    }
}

fn room(name: &str) -> RoomId {
    RoomId::parse(name).unwrap()
}

fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

fn join(name: &str, who: &str) -> Record {
    Record::Join { room: room(name), user: user(who), by: None }
}

fn say(name: &str, who: &str, text: &str, cid: Option<&str>) -> Record {
    let body = Body { text: text.into(), data: None, reply_to: None };
    let (room, from) = (room(name), user(who));
    Record::Message { room, from, to: None, body, cid: cid.map(Into::into) }
}

fn read(name: &str, who: &str, seq: u64) -> Record {
    Record::Read { room: room(name), user: user(who), seq }
}

fn delivered(who: &str, marks: &[(&str, u64)]) -> Record {
    let marks = marks.iter().map(|(name, seq)| (room(name), *seq)).collect();
    Record::Delivered { user: user(who), marks }
}

/// The seq of a message that was stored, or of the one that it repeats.
fn seq(told: &Told) -> (u64, bool) {
    match told {
        Told::Changed { change: StoreChange::Room { what: What::Message(entry), .. }, .. } => {
            (entry.seq, false)
        }
        Told::Answer { outcome: Outcome::Earlier { seq, .. }, .. } => (*seq, true),
        other => panic!("{other:?}"),
    }
}

fn exported(path: &Path) -> String {
    let mut out = Vec::new();
    data::export(path, &mut out, &mut |_| {}).unwrap();
    String::from_utf8(out).unwrap()
}

const TAIL: &str = "parlor.db-tail";
/// How each record of the tail begins.
const RECORD: &[u8] = b"\x01PJ";

fn journaled_rows(directory: &Path) -> i64 {
    let db = Connection::open(directory.join("parlor.db")).unwrap();
    let sql = "SELECT count(*) FROM journal WHERE records <> '[]'";
    db.query_row(sql, (), |row| row.get(0)).unwrap()
}

/// How many commits of the journal have something: rows, by SQL, and records of the tail that are
/// needed, by how `docs/store.md` describes them.
fn journaled(directory: &Path) -> (i64, usize) {
    let rows = journaled_rows(directory);
    let db = Connection::open(directory.join("parlor.db")).unwrap();
    let meta = |key| -> u64 {
        let sql = "SELECT CAST(value AS INTEGER) FROM meta WHERE key = ?1";
        db.query_row(sql, [key], |row| row.get::<_, i64>(0)).unwrap().cast_unsigned()
    };
    // What an earlier tail has left has lower numbers.
    let oldest = meta("oldest").max(meta("tail"));
    let tail = fs::read(directory.join(TAIL)).unwrap_or_default();
    let records = tail.windows(16).filter(|head| head.starts_with(RECORD));
    let numbers = records.map(|head| u64::from_le_bytes(head[8..].try_into().unwrap()));
    (rows, numbers.filter(|n| *n >= oldest).count())
}

/// Everything that is journaled, and what is not, one after another.
fn story() -> Vec<Record> {
    let by = |name: &str| Authority { user: user(name), rights: Rights::User };
    let mut story = vec![join("tea", "ada"), join("tea", "bob"), join("den", "bob")];
    for number in 0..5 {
        let (text, cid) = (format!("tea {number}"), format!("t{number}"));
        story.push(say("tea", "ada", &text, Some(&cid)));
        story.push(say("den", "bob", &format!("den {number} \"\\\n\u{1}"), None));
    }
    story.extend([
        read("tea", "bob", 4),
        delivered("bob", &[("tea", 6), ("den", 3)]),
        Record::Delete { room: room("tea"), target: 4, by: by("ada") },
        say("tea", "bob", "behind the deletion", Some("b0")),
        read("tea", "ada", 5),
        read("tea", "ada", 9),
    ]);
    let body =
        Body { text: "directly".into(), data: Some("{\"price\":1.50}".into()), reply_to: Some(1) };
    for number in 0..2 {
        story.push(Record::Message {
            room: room("dm:ada:bob"),
            from: user("ada"),
            to: Some(user("bob")),
            body: Body { reply_to: (number > 0).then_some(1), ..body.clone() },
            cid: Some(format!("d{number}").into()),
        });
    }
    story.extend([
        Record::Leave { room: room("den"), user: user("bob"), by: None },
        join("den", "bob"),
        say("den", "bob", "again", None),
        Record::End { room: room("den"), by: by("bob") },
        say("tea", "ada", "the last", Some("t9")),
    ]);
    story
}

#[test]
fn a_kill_after_any_commit_leaves_what_all_show_alike() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("first");
    let mut server = serve(&directory);
    let mut in_journal = (0, 0);
    for (number, record) in story().into_iter().enumerate() {
        server.write([record]);
        let killed = laid_out(folder.path().join("killed"), &files(&directory));
        let (rows, records) = journaled(&killed);
        in_journal = (in_journal.0 + rows, in_journal.1 + records);
        assert_eq!(faults(&killed), [""; 0], "after record {number}");
        let lines = exported(&killed);
        let copy = folder.path().join(format!("{number}.db"));
        data::backup(&killed, &copy, &mut |fault| panic!("{fault}"), &mut |_| {}).unwrap();
        assert_eq!(exported(&copy), lines, "the backup after record {number}");
        drop(serve(&killed));
        assert_eq!(journaled(&killed), (0, 0));
        assert!(!killed.join(TAIL).exists(), "nothing needs it after an orderly end");
        assert_eq!(faults(&killed), [""; 0], "opened again after record {number}");
        assert_eq!(exported(&killed), lines, "opened again after record {number}");
    }
    let (rows, records) = in_journal;
    assert!(
        rows > 5 && records > 100,
        "{rows} rows and {records} records were in the journal alone"
    );
}

#[test]
fn a_repeat_is_known_in_the_journal_behind_it_and_after_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = serve(folder.path());
    server.write([join("tea", "ada")]);
    let once = || say("tea", "ada", "once", Some("c"));
    let told = server.write([once(), once()]);
    assert_eq!(told.iter().map(seq).collect::<Vec<_>>(), [(2, false), (2, true)]);
    let again = server.write([once(), say("tea", "ada", "other", Some("c"))]);
    assert_eq!(seq(&again[0]), (2, true));
    assert_eq!(again[1], Told::Answer { ticket: 5, outcome: Outcome::Mismatch });
    // A page brings it into the table.
    assert_eq!(server.texts("tea").unwrap(), ["once"]);
    assert_eq!(seq(&server.write([once()])[0]), (2, true));
    let killed = laid_out(folder.path().join("killed"), &files(folder.path()));
    assert_eq!(seq(&serve(&killed).write([once()])[0]), (2, true));
}

/// More than may wait, and than the tail takes: it is merged while it comes, and nothing is lost, left or repeated.
#[test]
fn a_flood_is_merged_while_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = serve(folder.path());
    let rooms: Vec<String> = (0..50).map(|number| format!("room{number}")).collect();
    server.write(rooms.iter().map(|name| join(name, "ada")));
    let (mut sent, mut most, mut longest) = (vec![0u64; rooms.len()], 0, 0);
    for round in 0..60 {
        let records = (0..500).map(|number| {
            // One of them has half of all.
            let place = if number % 2 == 0 { 0 } else { number % rooms.len() };
            sent[place] += 1;
            let text = format!("{} {}", sent[place], "x".repeat(300));
            let cid = format!("c{}", sent[place]);
            say(&rooms[place], "ada", &text, Some(&cid))
        });
        server.write(records);
        longest = longest.max(fs::metadata(folder.path().join(TAIL)).unwrap().len());
        if round % 20 == 0 {
            most = most.max(journaled(folder.path()).1);
        }
    }
    assert!(most > 0, "nothing was in the journal");
    for (name, sent) in rooms.iter().zip(&sent) {
        let db = Connection::open(folder.path().join("parlor.db")).unwrap();
        let sql = "SELECT head FROM rooms WHERE name = ?1";
        let head: i64 = db.query_row(sql, [name], |row| row.get(0)).unwrap();
        assert!(head.cast_unsigned() <= sent + 1);
        if name == "room0" {
            assert!(head > 8_000, "only {head} of the large room are merged");
        }
    }
    // Beside the server, with much in the journal: no reading is of a whole log for each entry.
    assert_eq!(faults(folder.path()), [""; 0]);
    // It was written from its start again: all that came would be 14 MB.
    assert!((8 << 20..11 << 20).contains(&longest), "{longest} bytes");
    let killed = laid_out(folder.path().join("killed"), &files(folder.path()));
    let lines = exported(&killed);
    drop(serve(&killed));
    assert_eq!((exported(&killed), faults(&killed)), (lines, Vec::new()));
    fs::remove_dir_all(killed).unwrap();
    drop(server);
    assert_eq!(faults(folder.path()), [""; 0]);
    let total: u64 = sent.iter().sum();
    let messages = exported(folder.path()).matches("\"kind\":\"message\"").count() as u64;
    assert_eq!((messages, total), (30_000, 30_000));
}

/// Writes a message to each of some rooms again and again, until something is merged or `most` were written.
/// Returns how many were, and how many of them are merged; `None` if the machine has stood still, so that
/// the thread may have merged because nothing came.
fn merged_by(rooms: usize, most: usize) -> Option<(usize, usize)> {
    let folder = tempfile::tempdir().unwrap();
    let mut server = serve(folder.path());
    let rooms: Vec<String> = (0..rooms).map(|number| format!("room{number}")).collect();
    server.write(rooms.iter().map(|name| join(name, "ada")));
    let db = Connection::open(folder.path().join("parlor.db")).unwrap();
    let (mut sent, mut merged) = (0, 0);
    while sent < most && merged == 0 {
        let begun = std::time::Instant::now();
        server.write(rooms.iter().map(|name| say(name, "ada", "x", None)));
        sent += rooms.len();
        let sql = "SELECT count(*) FROM entries WHERE kind = 'message'";
        let found: i64 = db.query_row(sql, (), |row| row.get(0)).unwrap();
        merged = usize::try_from(found).unwrap();
        if begun.elapsed() > Duration::from_millis(900) {
            return None;
        }
    }
    // What needs the tables has the thread end, and finds all of it there.
    let each = sent / rooms.len();
    for name in &rooms {
        assert_eq!(server.texts(name).unwrap().len(), each);
        assert_eq!(seq(&server.write([say(name, "ada", "x", None)])[0]), (each as u64 + 2, false));
    }
    drop(server);
    assert_eq!(faults(folder.path()), [""; 0]);
    Some((sent, merged))
}

/// Where many write, a thread merges what waits, long before it is so much that each commit is followed by a
/// slice, and some of it stays for those who go on.
#[test]
fn it_is_merged_beside_the_commits_of_many_unless_of_many_rooms() {
    let within = |rooms, most| (0..5).find_map(|_| merged_by(rooms, most)).expect("a free machine");
    let (sent, merged) = within(32, 12_000);
    assert!((4_000..12_000).contains(&sent), "{sent}");
    assert!(merged > 0 && merged + 3_000 < sent, "{merged} of {sent}");
    // Of 400 rooms a page is changed for more of them later.
    assert_eq!(within(400, 6_000), (6_000, 0));
}

/// A row that is in a table's way keeps one room in the journal. The others go on, and what was
/// acknowledged is kept.
#[test]
fn a_room_that_cannot_be_merged_stays_in_the_journal_and_holds_up_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("parlor.db");
    let mut server = serve(folder.path());
    server.write([join("tea", "ada"), join("den", "ada")]);
    let db = Connection::open(&file).unwrap();
    let sql = "INSERT INTO entries (room, seq, ts, kind, user, messages, sum) \
               SELECT id, 2, 1, 'left', 'zoe', 0, 0 FROM rooms WHERE name = 'tea'";
    db.execute(sql, ()).unwrap();
    for number in 0..3 {
        server.write([say("tea", "ada", &format!("tea {number}"), None)]);
        server.write([say("den", "ada", &format!("den {number}"), None)]);
    }
    let merged = |name: &str| -> i64 {
        let sql = "SELECT head FROM rooms WHERE name = ?1";
        db.query_row(sql, [name], |row| row.get(0)).unwrap()
    };
    for _ in 0..500 {
        if merged("den") == 4 {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!((merged("tea"), merged("den")), (1, 4));
    assert!(journaled(folder.path()).1 >= 3);
    assert_eq!(server.texts("tea"), Err(Outcome::Damaged));
    assert_eq!(server.texts("den").unwrap(), ["den 0", "den 1", "den 2"]);
    // It takes nothing more, and the other does.
    let told = server.write([
        join("tea", "bob"),
        say("tea", "ada", "tea 3", None),
        say("den", "ada", "den 3", None),
    ]);
    let damaged = |ticket| Told::Answer { ticket, outcome: Outcome::Damaged };
    assert_eq!(told[..2], [damaged(11), damaged(12)]);
    assert_eq!(seq(&told[2]), (5, false));
    drop(server);
    let told = faults(folder.path()).join("\n");
    assert!(told.contains("tea"), "{told}");
    // It is not all in one file, and that says so.
    let mut alone = files(folder.path());
    alone.retain(|name, _| name == "parlor.db");
    let alone = laid_out(folder.path().join("alone"), &alone);
    let told = faults(&alone).join("\n");
    assert!(told.contains("commits 2 to 7 are not there"), "{told}");
    fs::remove_dir_all(alone).unwrap();
    let place = Place::Directory(folder.path().to_owned());
    let refused = Store::open(&place, "second", || {}).unwrap_err().to_string();
    assert!(refused.contains("is damaged"), "{refused}");
    // With the row gone everything is there.
    db.execute("DELETE FROM entries WHERE user = 'zoe'", ()).unwrap();
    drop(db);
    let mut server = serve(folder.path());
    assert_eq!(server.texts("tea").unwrap(), ["tea 0", "tea 1", "tea 2"]);
    drop(server);
    assert_eq!(faults(folder.path()), [""; 0]);
}

/// A message by which a direct room begins: the tables change, too, so it is in a row of the journal.
fn say_directly(text: &str) -> Record {
    let body = Body { text: text.into(), data: None, reply_to: None };
    let (from, to) = (user("ada"), Some(user("bob")));
    Record::Message { room: room("dm:ada:bob"), from, to, body, cid: None }
}

/// The files of a server that is killed when five things were said, the first in a row of the
/// journal, the others in the tail.
fn killed_with_words(folder: &Path) -> store_image::Files {
    let directory = folder.join("first");
    let mut server = serve(&directory);
    for record in [join("tea", "ada"), join("den", "ada"), say_directly("word 0")] {
        server.write([record]);
    }
    for number in 1..5 {
        let name = if number == 3 { "tea" } else { "den" };
        server.write([say(name, "ada", &format!("word {number}"), None)]);
    }
    assert_eq!(journaled(&directory), (1, 4));
    files(&directory)
}

/// A commit of the journal that is not what was written is shown to nobody, and what is sound is
/// kept.
#[test]
fn a_damaged_journal_is_refused_and_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let image = killed_with_words(folder.path());
    let damage_row = |killed: &Path| {
        let db = Connection::open(killed.join("parlor.db")).unwrap();
        let changed = "UPDATE journal SET records = replace(records, 'word 0', 'lie 0')";
        db.execute(changed, ()).unwrap();
    };
    let damage_record = |killed: &Path| {
        let mut tail = fs::read(killed.join(TAIL)).unwrap();
        let at = tail.windows(6).position(|window| window == b"word 3").unwrap();
        tail[at] ^= 1;
        fs::write(killed.join(TAIL), tail).unwrap();
    };
    for (is_of_table, words, direct, tea) in [
        (true, "is not what was written", vec![], vec!["word 3"]),
        (false, "commit 6 is not there", vec!["word 0"], vec![]),
    ] {
        let killed = laid_out(folder.path().join("killed"), &image);
        if is_of_table {
            damage_row(&killed);
        } else {
            damage_record(&killed);
        }
        let told = faults(&killed).join("\n");
        assert!(told.contains("the journal, commit ") && told.contains(words), "{told}");
        let error = data::export(&killed, &mut Vec::new(), &mut |_| {}).unwrap_err().to_string();
        assert!(error.contains("is damaged"), "{error}");
        let place = Place::Directory(killed.clone());
        let before = files(&killed);
        let error = Store::open(&place, "second", || {}).unwrap_err().to_string();
        assert!(error.contains("is damaged"), "{error}");
        assert!(files(&killed) == before, "something was changed");
        let copy = folder.path().join("copy.db");
        let mut told = Vec::new();
        data::backup(&killed, &copy, &mut |fault| told.push(fault.to_string()), &mut |_| {})
            .unwrap();
        assert!(told.iter().any(|what| what.contains("the journal, commit ")), "{told:?}");
        fs::remove_file(copy).unwrap();
        let mut lost = Vec::new();
        data::repair(&killed, "second", &mut |fault| lost.push(fault.to_string())).unwrap();
        assert!(lost.iter().any(|what| what.contains("the journal, commit ")), "{lost:?}");
        let mut server = serve(&killed);
        assert_eq!(server.epoch, "second");
        let found = server.texts("dm:ada:bob").unwrap_or_default();
        assert_eq!(found, direct);
        assert_eq!(server.texts("tea").unwrap(), tea);
        assert_eq!(server.texts("den").unwrap(), ["word 1", "word 2", "word 4"]);
    }
}

/// Wherever a bit of the tail is flipped, nothing else is shown than what was said: the start is
/// refused, or what is lost is said and a new epoch begins.
#[test]
fn a_flipped_bit_of_the_tail_is_never_served() {
    let folder = tempfile::tempdir().unwrap();
    let image = killed_with_words(folder.path());
    let whole = exported(&laid_out(folder.path().join("killed"), &image));
    let end = image[TAIL].iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let (mut refused, mut lost, mut harmless) = (0, 0, 0);
    for at in 0..end + 16 {
        let mut image = image.clone();
        image.get_mut(TAIL).unwrap()[at] ^= 1 << (at % 8);
        let killed = laid_out(folder.path().join("killed"), &image);
        let told = faults(&killed);
        let place = Place::Directory(killed.clone());
        match Store::open(&place, "second", || {}) {
            Err(_) => refused += 1,
            Ok((store, snapshot)) => {
                drop(store);
                let is_lost = snapshot.epoch == "second";
                assert_eq!(told.is_empty(), !is_lost, "byte {at}: {told:?}");
                if is_lost {
                    lost += 1;
                } else {
                    assert_eq!(exported(&killed), whole, "byte {at}");
                    harmless += 1;
                }
            }
        }
    }
    // Of four records the last one is lost, and zeros between and behind them mean nothing.
    assert!(refused > 300 && lost > 100 && harmless > 16, "{refused} {lost} {harmless}");
}

/// What merges is not synced: a power loss may take it, and not the commits behind it, which are in
/// the tail.
#[test]
fn a_power_loss_that_takes_a_merge_back_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("first");
    let mut server = serve(&directory);
    server.write([join("tea", "ada"), join("den", "ada")]);
    let mut before = None;
    for number in 0..4 {
        server.write([say("tea", "ada", &format!("word {number}"), None)]);
        server.write([say("den", "ada", &format!("word {number}"), None)]);
        before.get_or_insert_with(|| files(&directory));
        // A page brings its room into the tables.
        server.texts("tea").unwrap();
    }
    let lines = exported(&directory);
    let mut image = files(&directory);
    let log = before.unwrap().remove("parlor.db-wal").unwrap();
    assert_ne!(image.insert("parlor.db-wal".into(), log.clone()), Some(log.clone()));
    // Or the disk has later pages of them, and not the earlier ones.
    let mut torn = files(&directory);
    let now = torn.get_mut("parlor.db-wal").unwrap();
    let merged = now.iter().zip(&log).position(|(now, before)| now != before).unwrap();
    now[merged] ^= 1;
    for (name, image) in [("lost", image), ("torn", torn)] {
        let lost = laid_out(folder.path().join(name), &image);
        assert_eq!((faults(&lost), exported(&lost)), (Vec::new(), lines.clone()), "{name}");
        let copy = folder.path().join(format!("{name}.db"));
        data::backup(&lost, &copy, &mut |fault| panic!("{fault}"), &mut |_| {}).unwrap();
        assert_eq!(exported(&copy), lines);
        assert_eq!(serve(&lost).epoch, "first");
        assert_eq!((faults(&lost), exported(&lost)), (Vec::new(), lines.clone()));
    }
}

/// What is in the tables stays in the tail no longer than it must.
#[test]
fn after_a_rest_the_tail_is_written_from_its_start() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = serve(folder.path());
    server.write([join("tea", "ada")]);
    for text in ["first", "second", "third"] {
        server.write([say("tea", "ada", text, None)]);
    }
    let holds = |text: &str| {
        let tail = fs::read(folder.path().join(TAIL)).unwrap();
        tail.windows(text.len()).any(|window| window == text.as_bytes())
    };
    assert!(holds("first") && holds("third"));
    let mut waited = Duration::ZERO;
    while journaled(folder.path()) != (0, 0) {
        std::thread::sleep(Duration::from_millis(10));
        waited += Duration::from_millis(10);
        assert!(waited < WAIT, "it is not merged");
    }
    // The store's thread goes on before it takes this.
    server.write([say("tea", "ada", "fourth", None)]);
    assert!(holds("fourth") && !holds("first"));
    let killed = laid_out(folder.path().join("killed"), &files(folder.path()));
    assert_eq!(faults(&killed), [""; 0]);
    let texts = serve(&killed).texts("tea").unwrap();
    assert_eq!(texts, ["first", "second", "third", "fourth"]);
}

/// The first record that is needed is missed, too, if only a merge follows it.
#[test]
fn a_record_before_a_merge_is_missed() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("first");
    let mut server = serve(&directory);
    for record in [
        join("tea", "ada"),
        join("den", "ada"),
        say("tea", "ada", "tea", None),
        say("den", "ada", "den", None),
    ] {
        server.write([record]);
    }
    // A page brings its room into the tables.
    server.texts("tea").unwrap();
    let mut image = files(&directory);
    image.remove("parlor.mark");
    let told = |image: &store_image::Files| {
        faults(&laid_out(folder.path().join("killed"), image)).join("\n")
    };
    assert!(!told(&image).contains("is not there\n"), "{}", told(&image));
    let tail = image.get_mut(TAIL).unwrap();
    let at = tail.windows(5).position(|window| window == b"\"den\"").unwrap();
    tail[at + 1] ^= 1;
    assert!(
        told(&image).contains("the journal, commit 5: commit 4 is not there"),
        "{}",
        told(&image)
    );
    for is_there in [true, false] {
        if !is_there {
            image.remove(TAIL);
        }
        assert!(told(&image).contains("commit 4 is not there"), "{}", told(&image));
        let killed = folder.path().join("killed");
        let (copy, restored) = (folder.path().join("copy.db"), folder.path().join("restored"));
        let mut found = Vec::new();
        data::backup(&killed, &copy, &mut |fault| found.push(fault.to_string()), &mut |_| {})
            .unwrap();
        assert!(found.iter().any(|what| what.starts_with("the journal: ")), "{found:?}");
        fs::remove_file(copy).unwrap();
        assert!(data::restore(&killed, &restored, "second").is_err());
    }
}

#[test]
fn a_tail_whose_name_is_damaged_is_not_overlooked() {
    let folder = tempfile::tempdir().unwrap();
    let image = killed_with_words(folder.path());
    let killed = laid_out(folder.path().join("killed"), &image);
    let db = Connection::open(killed.join("parlor.db")).unwrap();
    db.execute_batch("UPDATE meta SET value = '9' WHERE key = 'tail'").unwrap();
    drop(db);
    assert!(!faults(&killed).is_empty());
    assert!(Store::open(&Place::Directory(killed.clone()), "second", || {}).is_err());
    let copy = folder.path().join("copy.db");
    let mut told = Vec::new();
    data::backup(&killed, &copy, &mut |fault| told.push(fault.to_string()), &mut |_| {}).unwrap();
    assert!(told.iter().any(|what| what.starts_with("the journal: ")), "{told:?}");
    // Nor where nobody has begun one.
    let ended = folder.path().join("first");
    let db = Connection::open(ended.join("parlor.db")).unwrap();
    db.execute_batch("UPDATE meta SET value = '9' WHERE key = 'oldest'").unwrap();
    drop(db);
    assert!(!faults(&ended).is_empty());
    assert!(Store::open(&Place::Directory(ended), "second", || {}).is_err());
}

/// Whoever copies a store while its server ends, or begins, has all that was acknowledged by then.
#[test]
fn a_backup_beside_a_server_that_ends_and_begins_lacks_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("served");
    drop(serve(&directory));
    let (acknowledged, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let backups = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let mut server = serve(&directory);
                server.write([join("tea", "ada")]);
                for _ in 0..20 {
                    server.write([say("tea", "ada", "word", None)]);
                    acknowledged.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        let mut backups = 0;
        let end = std::time::Instant::now() + Duration::from_secs(3);
        while std::time::Instant::now() < end {
            let copy = folder.path().join("copy.db");
            let before = acknowledged.load(Ordering::SeqCst);
            let done = data::backup(&directory, &copy, &mut |_| {}, &mut |_| {});
            let found = done.map(|_| exported(&copy).matches("\"text\":\"word\"").count() as u64);
            if !found.as_ref().is_ok_and(|found| *found >= before) {
                is_over.store(true, Ordering::Relaxed);
                panic!("{found:?} of {before}, after {backups} backups");
            }
            fs::remove_file(&copy).unwrap();
            backups += 1;
        }
        is_over.store(true, Ordering::Relaxed);
        backups
    });
    assert!(backups > 10, "{backups} backups");
}

#[test]
fn a_store_may_be_where_names_are_not_in_utf_8() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &[u8]| folder.path().join(std::ffi::OsStr::from_bytes(name));
    let mut server = serve(&at(b"first \xe9"));
    for record in [join("tea", "ada"), say("tea", "ada", "x", None)] {
        server.write([record]);
    }
    let killed = laid_out(at(b"killed \xe9"), &files(&at(b"first \xe9")));
    assert_eq!(faults(&killed), [""; 0]);
    assert_eq!(serve(&killed).texts("tea").unwrap(), ["x"]);
}

/// A server of the version before has no tail.
#[test]
fn a_file_of_the_version_before_the_tail_is_updated_with_what_its_journal_has() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("first");
    let mut server = serve(&directory);
    server.write([say_directly("word 0")]);
    let mut image = files(&directory);
    drop(server);
    image.remove(TAIL);
    let older = || {
        let killed = laid_out(folder.path().join("killed"), &image);
        let db = Connection::open(killed.join("parlor.db")).unwrap();
        db.execute_batch(
            "DELETE FROM meta WHERE key IN ('tail', 'oldest'); PRAGMA user_version = 5",
        )
        .unwrap();
        killed
    };
    let killed = older();
    assert_eq!(journaled_rows(&killed), 1);
    assert_eq!(serve(&killed).texts("dm:ada:bob").unwrap(), ["word 0"]);
    assert_eq!(faults(&killed), [""; 0]);
    let (backup, restored) = (folder.path().join("backup.db"), folder.path().join("restored"));
    let killed = older();
    data::backup(&killed, &backup, &mut |fault| panic!("{fault}"), &mut |_| {}).unwrap();
    let error = data::export(&killed, &mut Vec::new(), &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("start a server with it once"), "{error}");
    for from in [backup, killed] {
        let _ = fs::remove_dir_all(&restored);
        data::restore(&from, &restored, "second").unwrap();
        assert_eq!(serve(&restored).texts("dm:ada:bob").unwrap(), ["word 0"]);
    }
    let repaired = older();
    data::repair(&repaired, "second", &mut |fault| panic!("{fault}")).unwrap();
    assert_eq!(serve(&repaired).texts("dm:ada:bob").unwrap(), ["word 0"]);
}

/// The files of the version before there was a journal.
#[test]
fn a_file_of_the_version_before_is_updated_at_the_start_or_with_a_restore_or_a_repair() {
    let folder = tempfile::tempdir().unwrap();
    let lines = include_str!("store_v4/lines.jsonl");
    let older = |name: &str| {
        let directory = folder.path().join(name);
        fs::create_dir(&directory).unwrap();
        let db = Connection::open(directory.join("parlor.db")).unwrap();
        db.execute_batch(include_str!("store_v4/dump.sql")).unwrap();
        directory
    };
    let started = older("started");
    let error = data::export(&started, &mut Vec::new(), &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("start a server with it once, which updates it"), "{error}");
    let mut server = serve(&started);
    let db = Connection::open(started.join("parlor.db")).unwrap();
    let sql = "SELECT n FROM journal";
    assert_eq!(db.query_row(sql, (), |row| row.get::<_, i64>(0)).unwrap(), 15);
    assert_eq!(exported(&started), lines);
    let told = server
        .write([say("tea", "ada", "m0", Some("c0")), say("tea", "ada", "later", Some("later"))]);
    assert_eq!(told.iter().map(seq).collect::<Vec<_>>(), [(2, true), (11, false)]);
    drop(server);
    assert_eq!(faults(&started), [""; 0]);

    let (backup, restored) = (older("backup"), folder.path().join("restored"));
    data::restore(&backup, &restored, "first").unwrap();
    let without_epoch = |lines: &str| lines.split_once('\n').unwrap().1.to_owned();
    assert_eq!(without_epoch(&exported(&restored)), without_epoch(lines));

    let repaired = older("repaired");
    data::repair(&repaired, "second", &mut |fault| panic!("{fault}")).unwrap();
    assert_eq!(without_epoch(&exported(&repaired)), without_epoch(lines));
}
