//! The write-ahead log or the mark is missing, cut, emptied or an older one. The store reports it,
//! and uses no number twice in one epoch. It never reports a loss for intact files.

mod store_image;

use parlor::base::{
    Body, Chance, Data, Outcome, Record, RoomId, StoreChange, StreamId, Timestamp, Told, UserId,
};
use parlor::store::data;
use parlor::store::{LockError, OpenError, Place, RecordStore, Store};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use store_image::{Files, faults, files, laid_out};

const WAL: &str = "parlor.db-wal";
const TAIL: &str = "parlor.db-tail";
const MARK: &str = "parlor.mark";
/// Of a log's head, and of the head of a frame; a frame has a page of 4,096 bytes.
const LOG_HEAD: usize = 32;
const FRAME: usize = 24 + 4_096;

/// A process that another test starts has our files, and so our locks, for a moment.
fn persistently<T>(mut work: impl FnMut() -> Result<T, OpenError>) -> Result<T, OpenError> {
    for _ in 0..100 {
        match work() {
            Err(OpenError::Lock(LockError::Held { .. })) => {
                std::thread::sleep(Duration::from_millis(10));
            }
            other => return other,
        }
    }
    work()
}

struct Server {
    store: Store,
    woken: Receiver<()>,
    epoch: String,
    heads: BTreeMap<String, u64>,
}

fn serve(directory: &Path, epoch: &str) -> Result<Server, OpenError> {
    persistently(|| {
        let (wake, woken) = channel();
        let place = Place::Directory(directory.to_owned());
        let (store, snapshot) = Store::open(&place, epoch, move || {
            let _ = wake.send(());
        })?;
        let of_rooms = snapshot.rooms.iter().map(|room| (room.room.as_str().to_owned(), room.head));
        let of_streams =
            snapshot.streams.iter().map(|one| (one.stream.as_str().to_owned(), one.head));
        let heads = of_rooms.chain(of_streams).collect();
        assert!(snapshot.streams.iter().all(|stream| *stream.epoch == *snapshot.epoch));
        Ok(Server { store, woken, epoch: snapshot.epoch, heads })
    })
}

impl Server {
    /// Stores something, in a transaction of its own; tells in which log, and under which number.
    fn put(&mut self, record: Record) -> (String, u64) {
        self.store.write(0, Timestamp(7), record).unwrap();
        loop {
            self.woken.recv_timeout(Duration::from_secs(20)).unwrap();
            match self.store.told().pop() {
                None => {}
                Some(Told::Changed {
                    change: StoreChange::Event { stream, event, .. }, ..
                }) => {
                    return (stream.as_str().to_owned(), event.seq);
                }
                Some(Told::Changed { change: StoreChange::Room { room, what, .. }, .. }) => {
                    let newest = what.entries().last().expect("it has one");
                    return (room.as_str().to_owned(), newest.seq);
                }
                Some(other) => panic!("{other:?}"),
            }
        }
    }

    fn create(&mut self, room: &str) {
        let (room, owner) = (RoomId::parse(room).unwrap(), UserId::parse("ada").unwrap());
        let (title, members, invited) = (None, Vec::new(), Vec::new());
        self.put(Record::Create { room, title, open: true, owner, members, invited, is_own: true });
    }

    fn say(&mut self, room: &str) -> (String, u64) {
        let (room, from) = (RoomId::parse(room).unwrap(), UserId::parse("ada").unwrap());
        let body = Body { text: "x".repeat(300).into(), data: None, reply_to: None };
        self.put(Record::Message { room, from, to: None, body, cid: None })
    }

    fn publish(&mut self, stream: &str) -> (String, u64) {
        let (stream, epoch) = (StreamId::parse(stream).unwrap(), self.epoch.as_str().into());
        let data = Data::Json("1".into());
        self.put(Record::Event { stream, epoch, data, keep: 100, id: None })
    }
}

/// What a kill leaves after each of some commits, and which numbers were given by then.
struct Killed {
    folder: tempfile::TempDir,
    images: Vec<(Files, BTreeMap<String, u64>)>,
}

impl Killed {
    fn new() -> Killed {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("first");
        let mut server = serve(&directory, "first").unwrap();
        let mut heads = BTreeMap::new();
        for room in ["tea", "den"] {
            server.create(room);
            heads.insert(room.to_owned(), 1);
        }
        // Cleanly closed and opened again: what follows the first commit is in the log alone.
        drop(server);
        let mut server = serve(&directory, "other").unwrap();
        assert_eq!(server.epoch, "first");
        let mut images = vec![(files(&directory), heads.clone())];
        // Each first goes to the tail, each second to the log.
        for number in 0..12 {
            let (name, head) = match number % 4 {
                0 => server.say("tea"),
                1 | 3 => server.publish("journal"),
                _ => server.say("den"),
            };
            heads.insert(name, head);
            images.push((files(&directory), heads.clone()));
        }
        drop(server);
        Killed { folder, images }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn last(&self) -> Files {
        self.images.last().unwrap().0.clone()
    }
}

/// Opens what is there, and holds that a number that was given in an epoch is not given again in it. Tells whether
/// something was lost.
fn has_lost(directory: &Path, given: &BTreeMap<String, u64>) -> bool {
    let told = faults(directory);
    let mut server = serve(directory, "second").unwrap();
    let is_behind = given.iter().any(|(name, head)| server.heads.get(name).unwrap_or(&0) < head);
    let is_new = server.epoch == "second";
    assert!(!is_behind || is_new, "{:?} instead of {given:?} in one epoch", server.heads);
    assert_eq!(told.is_empty(), !is_new, "{told:?}");
    // All that is missing is named, if there was a mark.
    for (name, head) in given {
        let found = *server.heads.get(name).unwrap_or(&0);
        let last = format!("{head}{}", if found + 1 == *head { " is lost" } else { " are lost" });
        let is_named = |fault: &String| fault.contains(name.as_str()) && fault.ends_with(&last);
        let is_told = told.iter().any(is_named)
            || told[..1.min(told.len())].concat().contains("mark of the data");
        assert!(found == *head || is_told, "{name} {found} {head}: {told:?}");
    }
    server.say("tea");
    drop(server);
    // It is said once.
    assert_eq!(faults(directory), [""; 0]);
    assert_eq!(serve(directory, "third").unwrap().epoch, if is_new { "second" } else { "first" });
    is_new
}

#[test]
fn a_kill_after_any_commit_loses_nothing() {
    let killed = Killed::new();
    for (number, (image, given)) in killed.images.iter().enumerate() {
        let directory = laid_out(killed.at("killed"), image);
        assert!(!has_lost(&directory, given), "after commit {number}");
    }
}

#[test]
fn a_log_that_is_cut_at_any_frame_or_in_one_is_said_with_what_is_lost() {
    let killed = Killed::new();
    let (whole, given) = killed.images.last().unwrap();
    let len = whole[WAL].len();
    let frames = (len - LOG_HEAD) / FRAME;
    assert!(frames > 16, "{frames} frames");
    let cuts =
        (0..frames).flat_map(|frame| [0, 24, 2_000].map(|more| LOG_HEAD + frame * FRAME + more));
    for cut in [0, 1, LOG_HEAD - 1].into_iter().chain(cuts).chain([len - 1]) {
        let mut image = whole.clone();
        image.get_mut(WAL).unwrap().truncate(cut);
        let directory = laid_out(killed.at("cut"), &image);
        assert!(has_lost(&directory, given), "cut at {cut} of {len}");
    }
}

#[test]
fn a_log_that_is_missing_or_an_older_one_is_said() {
    let killed = Killed::new();
    let (whole, given) = killed.images.last().unwrap();
    let mut image = whole.clone();
    image.remove(WAL);
    let directory = laid_out(killed.at("missing"), &image);
    let told = faults(&directory);
    // Beside the fourteen commits, what was merged counts.
    let numbers: Vec<u64> = told[0].split(' ').filter_map(|word| word.parse().ok()).collect();
    assert!(told[0].starts_with("the data have "), "{told:?}");
    assert!(numbers.len() == 2 && numbers[0] >= 3 && numbers[1] - numbers[0] >= 11, "{told:?}");
    assert!(told.contains(&"tea: entries 3 to 4 are lost".into()), "{told:?}");
    assert!(told.contains(&"den: entries 2 to 4 are lost".into()), "{told:?}");
    assert!(told.contains(&"stream journal: events 1 to 6 are lost".into()), "{told:?}");
    assert!(has_lost(&directory, given));
    for (number, (older, _)) in killed.images.iter().enumerate().rev().skip(1) {
        let Some(log) = older.get(WAL) else { continue };
        image.insert(WAL.into(), log.clone());
        assert!(has_lost(&laid_out(killed.at("older"), &image), given), "that of commit {number}");
    }
}

/// Where a later commit shows that one is missing, that is damage; else the mark tells.
#[test]
fn a_tail_that_is_cut_missing_or_an_older_one_is_said_with_what_is_lost() {
    let killed = Killed::new();
    // It ends with zeros that were written ahead.
    let end_of = |tail: &[u8]| tail.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let (before_last, (last_in_tail, given)) = (&killed.images[10].0, &killed.images[11]);
    let (begin, end) = (end_of(&before_last[TAIL]), end_of(&last_in_tail[TAIL]));
    let cut = |image: &Files, len: usize| {
        let mut image = image.clone();
        image.get_mut(TAIL).unwrap().truncate(len);
        laid_out(killed.at("cut"), &image)
    };
    for len in (begin..end).step_by(3).chain([end - 1]) {
        assert!(has_lost(&cut(last_in_tail, len), given), "cut at {len} of {end}");
    }
    assert!(!has_lost(&cut(last_in_tail, end), given), "only zeros are cut");
    let (whole, given) = killed.images.last().unwrap();
    for len in (0..end).step_by(11).chain([end - 1]) {
        let directory = cut(whole, len);
        let told = faults(&directory);
        assert!(told.iter().any(|fault| fault.ends_with("not there")), "{len} of {end}: {told:?}");
        let error = serve(&directory, "second").err().expect("it is refused").to_string();
        assert!(error.contains("is damaged: commit"), "{error}");
        assert!(data::export(&directory, &mut Vec::new(), &mut |_| {}).is_err());
    }
    let mut image = whole.clone();
    for (number, (older, _)) in killed.images.iter().enumerate().rev() {
        image.remove(TAIL);
        image.extend(older.get_key_value(TAIL).map(|(name, tail)| (name.clone(), tail.clone())));
        let directory = laid_out(killed.at("older"), &image);
        if image.get(TAIL) == whole.get(TAIL) {
            assert!(!has_lost(&directory, given));
        } else {
            assert!(!faults(&directory).is_empty(), "that of commit {number}");
            assert!(serve(&directory, "second").is_err(), "that of commit {number}");
        }
    }
}

#[test]
fn a_copy_of_the_file_alone_is_said() {
    let killed = Killed::new();
    let (whole, given) = killed.images.last().unwrap();
    let only = BTreeMap::from([("parlor.db".to_owned(), whole["parlor.db"].clone())]);
    let directory = laid_out(killed.at("alone"), &only);
    let told = faults(&directory);
    assert!(told[0].starts_with("the mark of the data is not there"), "{told:?}");
    assert!(has_lost(&directory, given));
    // Not so of a server that has ended in order.
    let closed = files(&killed.at("first"));
    assert_eq!(closed.keys().collect::<Vec<_>>(), ["parlor.db", MARK]);
    let only = BTreeMap::from([("parlor.db".to_owned(), closed["parlor.db"].clone())]);
    assert!(!has_lost(&laid_out(killed.at("alone"), &only), given));
    assert!(!has_lost(&laid_out(killed.at("alone"), &closed), given));
}

#[test]
fn an_older_file_in_place_of_the_newer_one_is_said() {
    let killed = Killed::new();
    let directory = killed.at("first");
    let older = files(&directory);
    let mut server = serve(&directory, "other").unwrap();
    let (name, head) = server.say("tea");
    drop(server);
    let mut image = files(&directory);
    image.insert("parlor.db".into(), older["parlor.db"].clone());
    let mut given = killed.images.last().unwrap().1.clone();
    given.insert(name, head);
    assert!(has_lost(&laid_out(killed.at("older"), &image), &given));
}

#[test]
fn a_mark_that_is_missing_torn_or_of_another_store_is_said_where_there_is_a_log() {
    let killed = Killed::new();
    let (whole, given) = killed.images.last().unwrap();
    let with_mark = |mark: Option<Vec<u8>>, name: &str| {
        let mut image = whole.clone();
        match mark {
            Some(mark) => image.insert(MARK.into(), mark),
            None => image.remove(MARK),
        };
        has_lost(&laid_out(killed.at(name), &image), given)
    };
    assert!(with_mark(None, "missing"));
    let mark = &whole[MARK];
    let first = mark.iter().position(|byte| *byte == b'\n').unwrap();
    for len in 0..=mark.len() {
        let is_torn = len <= first;
        if len % 7 == 0 || len.abs_diff(first) < 3 {
            assert_eq!(with_mark(Some(mark[..len].to_vec()), "torn"), is_torn, "cut to {len}");
        }
    }
    drop(serve(&killed.at("another"), "another").unwrap());
    assert!(with_mark(Some(files(&killed.at("another"))[MARK].clone()), "strange"));
}

#[test]
fn a_log_of_another_time_than_its_file_is_not_read_with_it() {
    let killed = Killed::new();
    let older = killed.last();
    // One of an earlier generation, of the same store: all that it has is in the file, and more.
    let directory = laid_out(killed.at("generations"), &older);
    let mut server = serve(&directory, "other").unwrap();
    server.say("tea");
    drop(server);
    let mut server = serve(&directory, "other").unwrap();
    assert_eq!(server.epoch, "first");
    server.say("den");
    server.say("den");
    server.publish("journal");
    let newer = files(&directory);
    drop(server);
    let mut image = newer.clone();
    image.insert(WAL.into(), older[WAL].clone());
    let directory = laid_out(killed.at("older log"), &image);
    let refused = |words: &str| {
        let before = files(&directory);
        let error = serve(&directory, "second").err().expect("it is refused").to_string();
        assert!(error.contains(words) && error.contains("must be moved away"), "{error}");
        assert!(faults(&directory).iter().any(|fault| fault.contains(words)));
        assert!(data::repair(&directory, "second", &mut |_| {}).is_err());
        assert_eq!(files(&directory), before, "something was changed");
    };
    refused("an older log than its own");
    // As is asked for: what is missing is said then.
    fs::remove_file(directory.join(WAL)).unwrap();
    assert_eq!(serve(&directory, "second").unwrap().epoch, "second");
    let mut image = newer;
    image.insert("parlor.db".into(), older["parlor.db"].clone());
    laid_out(directory.clone(), &image);
    refused("it is older than parlor.db-wal");
}

#[test]
fn what_is_restored_imported_or_copied_by_sqlite_is_whole() {
    let killed = Killed::new();
    let (whole, given) = killed.images.last().unwrap();
    let directory = laid_out(killed.at("served"), whole);
    let mut server = serve(&directory, "other").unwrap();
    server.say("tea");
    let mut given = given.clone();
    *given.get_mut("tea").unwrap() += 1;
    // Beside the data, too.
    let backup = directory.join("backup.db");
    data::backup(&directory, &backup, &mut |fault| panic!("{fault}"), &mut |_| {}).unwrap();
    let mut lines = Vec::new();
    data::export(&directory, &mut lines, &mut |_| {}).unwrap();
    server.say("den");
    assert_eq!((faults(&directory), faults(&backup)), (Vec::new(), Vec::new()));
    let killed_now = files(&directory);
    drop(server);

    let copy = Files::from([("parlor.db".to_owned(), fs::read(&backup).unwrap())]);
    assert!(!has_lost(&laid_out(killed.at("copied"), &copy), &given));
    for over in [killed.at("restored"), laid_out(killed.at("restored over"), &killed_now)] {
        data::restore(&backup, &over, "first").unwrap();
        assert!(!over.join(MARK).exists(), "that of what was there before");
        assert!(!has_lost(&over, &given));
    }
    // What is left of a store that was removed by hand is not that of the import.
    let imported = killed.at("imported");
    laid_out(imported.clone(), &killed_now);
    for name in ["parlor.db", WAL, TAIL] {
        fs::remove_file(imported.join(name)).unwrap();
    }
    data::import(&mut &lines[..], &imported, None, &mut |_| {}).unwrap();
    assert!(!has_lost(&imported, &given));
    // Whoever opens what a kill has left brings the log into the file.
    let folded = laid_out(killed.at("folded"), &killed_now);
    let db = rusqlite::Connection::open(folded.join("parlor.db")).unwrap();
    db.query_row("SELECT count(*) FROM rooms", (), |_| Ok(())).unwrap();
    drop(db);
    assert!(!folded.join(WAL).exists());
    *given.get_mut("den").unwrap() += 1;
    assert!(!has_lost(&folded, &given));
}

#[test]
fn a_store_of_before_there_were_marks_is_whole() {
    let killed = Killed::new();
    let directory = killed.at("first");
    let db = rusqlite::Connection::open(directory.join("parlor.db")).unwrap();
    db.execute("DELETE FROM meta WHERE key IN ('commits', 'calls_for_log')", ()).unwrap();
    drop(db);
    fs::remove_file(directory.join(MARK)).unwrap();
    assert!(!has_lost(&directory, &killed.images.last().unwrap().1));
    let mut server = serve(&directory, "other").unwrap();
    server.say("tea");
    let (name, head) = server.say("tea");
    let mut image = files(&directory);
    drop(server);
    image.remove(TAIL);
    assert!(has_lost(&laid_out(killed.at("lost"), &image), &BTreeMap::from([(name, head)])));
}

#[test]
fn what_changes_nothing_is_no_commit() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = serve(folder.path(), "first").unwrap();
    let before = files(folder.path());
    let (room, user) = (RoomId::parse("tea").unwrap(), UserId::parse("ada").unwrap());
    server.store.write(0, Timestamp(7), Record::Leave { room, user, by: None }).unwrap();
    server.woken.recv_timeout(Duration::from_secs(20)).unwrap();
    let outcome = Outcome::NotMember;
    assert_eq!(server.store.told(), [Told::Answer { ticket: 0, outcome }]);
    assert_eq!(files(folder.path()), before);
}

/// A server writes while its files are taken as a kill would leave them: first the mark, as nothing else may be behind it.
#[test]
fn a_copy_at_any_moment_that_takes_the_mark_first_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("served");
    let mut server = serve(&directory, "first").unwrap();
    server.create("tea");
    let mut chance = Chance::new(3);
    for round in 0..40 {
        for _ in 0..chance.below(40) {
            server.say("tea");
        }
        let (name, head) = server.say("tea");
        let copy = folder.path().join("copy");
        laid_out(copy.clone(), &files(&directory));
        let copied = serve(&copy, "second").unwrap();
        assert_eq!((copied.epoch.as_str(), copied.heads[&name]), ("first", head), "round {round}");
    }
}
