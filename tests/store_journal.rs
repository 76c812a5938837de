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

/// How many rows of the journal have something, by SQL.
fn rows_with_records(file: &Path) -> i64 {
    let db = Connection::open(file).unwrap();
    let sql = "SELECT count(*) FROM journal WHERE records <> '[]'";
    db.query_row(sql, (), |row| row.get(0)).unwrap()
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
    let mut in_journal = 0;
    for (number, record) in story().into_iter().enumerate() {
        server.write([record]);
        let killed = laid_out(folder.path().join("killed"), &files(&directory));
        in_journal += rows_with_records(&killed.join("parlor.db"));
        assert_eq!(faults(&killed), [""; 0], "after record {number}");
        let lines = exported(&killed);
        let copy = folder.path().join(format!("{number}.db"));
        data::backup(&killed, &copy, &mut |fault| panic!("{fault}"), &mut |_| {}).unwrap();
        assert_eq!(exported(&copy), lines, "the backup after record {number}");
        assert_eq!(rows_with_records(&copy), 0);
        drop(serve(&killed));
        assert_eq!(rows_with_records(&killed.join("parlor.db")), 0);
        assert_eq!(faults(&killed), [""; 0], "opened again after record {number}");
        assert_eq!(exported(&killed), lines, "opened again after record {number}");
    }
    assert!(in_journal > 10, "{in_journal} rows were in the journal alone");
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

/// More than may wait: it is merged while it comes, and nothing is lost, left or repeated.
#[test]
fn a_flood_is_merged_while_it_comes() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = serve(folder.path());
    let rooms: Vec<String> = (0..50).map(|number| format!("room{number}")).collect();
    server.write(rooms.iter().map(|name| join(name, "ada")));
    let (mut sent, mut most) = (vec![0u64; rooms.len()], 0);
    for round in 0..60 {
        let records = (0..500).map(|number| {
            // One of them has half of all.
            let place = if number % 2 == 0 { 0 } else { number % rooms.len() };
            sent[place] += 1;
            let (text, cid) = (format!("{}", sent[place]), format!("c{}", sent[place]));
            say(&rooms[place], "ada", &text, Some(&cid))
        });
        server.write(records);
        if round % 20 == 0 {
            most = most.max(rows_with_records(&folder.path().join("parlor.db")));
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
    assert!(rows_with_records(&folder.path().join("parlor.db")) > 0);
    assert_eq!(faults(folder.path()), [""; 0]);
    drop(server);
    assert_eq!(faults(folder.path()), [""; 0]);
    let total: u64 = sent.iter().sum();
    let messages = exported(folder.path()).matches("\"kind\":\"message\"").count() as u64;
    assert_eq!((messages, total), (30_000, 30_000));
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
    assert!(rows_with_records(&file) >= 3);
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

/// A row of the journal that is not what was written is shown to nobody, and what is sound is kept.
#[test]
fn a_damaged_journal_is_refused_and_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("first");
    let mut server = serve(&directory);
    server.write([join("tea", "ada"), join("den", "ada")]);
    for number in 0..4 {
        let name = if number == 2 { "tea" } else { "den" };
        server.write([say(name, "ada", &format!("word {number}"), None)]);
    }
    let killed = laid_out(folder.path().join("killed"), &files(&directory));
    let db = Connection::open(killed.join("parlor.db")).unwrap();
    let changed = "UPDATE journal SET records = replace(records, 'word 2', 'lie 2')";
    db.execute(changed, ()).unwrap();
    drop(db);
    let told = faults(&killed).join("\n");
    assert!(
        told.contains("the journal, commit ") && told.contains("is not what was written"),
        "{told}"
    );
    let error = data::export(&killed, &mut Vec::new(), &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("is damaged"), "{error}");
    let place = Place::Directory(killed.clone());
    assert!(Store::open(&place, "second", || {}).unwrap_err().to_string().contains("is damaged"));
    let mut lost = Vec::new();
    data::repair(&killed, "second", &mut |fault| lost.push(fault.to_string())).unwrap();
    assert!(lost.iter().any(|what| what.contains("the journal, commit ")), "{lost:?}");
    let mut server = serve(&killed);
    assert_eq!(server.epoch, "second");
    assert_eq!(server.texts("den").unwrap(), ["word 0", "word 1", "word 3"]);
    assert_eq!(server.texts("tea").unwrap(), [""; 0]);
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
