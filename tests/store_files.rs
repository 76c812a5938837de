//! The files of a store: which belong together, which error says that they do not, and that nothing
//! is changed then.

mod store_image;

use parlor::base::{Body, Record, RoomId, Timestamp, UserId};
use parlor::store::data::{self, DataError};
use parlor::store::{LockError, OpenError, Place, RecordStore, Store};
use std::fs;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use store_image::{Files, faults, files, laid_out};

const PAGE: usize = 4_096;

/// A process that another test starts has our files, and so our locks, for a moment.
fn persistently<T>(mut work: impl FnMut() -> Result<T, DataError>) -> Result<T, DataError> {
    for _ in 0..100 {
        match work() {
            Err(DataError::Open(OpenError::Lock(LockError::Held { .. }))) => {
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
}

fn serve(directory: &Path) -> Result<Server, DataError> {
    serve_with(directory, "first")
}

fn serve_with(directory: &Path, epoch: &str) -> Result<Server, DataError> {
    persistently(|| {
        let (wake, woken) = channel();
        let place = Place::Directory(directory.to_owned());
        let (store, snapshot) = Store::open(&place, epoch, move || {
            let _ = wake.send(());
        })?;
        Ok(Server { store, woken, epoch: snapshot.epoch })
    })
}

impl Server {
    /// Creates a room, if it is not there, and waits until that is stored.
    fn create(&mut self, room: &str) {
        let create = Record::Create {
            room: RoomId::parse(room).unwrap(),
            title: None,
            open: true,
            owner: UserId::parse("ada").unwrap(),
            members: Vec::new(),
            invited: Vec::new(),
            is_own: true,
        };
        self.store.write(0, Timestamp(1), create).unwrap();
        self.woken.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!(self.store.told().len(), 1);
    }

    /// Says so many things, and waits until they are stored.
    fn say(&mut self, what: &str, count: u64) {
        self.create("tea");
        let (room, ada) = (RoomId::parse("tea").unwrap(), UserId::parse("ada").unwrap());
        for number in 1..=count {
            let text = format!("{what} {number} {}", "x".repeat(700)).into();
            let body = Body { text, data: None, reply_to: None };
            let (room, from) = (room.clone(), ada.clone());
            let record = Record::Message { room, from, to: None, body, cid: None };
            self.store.write(number, Timestamp(2), record).unwrap();
        }
        let mut answered = 0;
        while answered < count {
            self.woken.recv_timeout(Duration::from_secs(20)).unwrap();
            answered += self.store.told().len() as u64;
        }
    }
}

/// What a kill leaves: a file of many pages, and a log that has some of them and some more.
fn killed(directory: &Path) -> Files {
    serve(directory).unwrap().say("before", 120);
    let mut server = serve(directory).unwrap();
    // The first commit is brought into the file at once.
    server.say("later", 1);
    // More than the pages that the journal has left free: rooms go to the log, and what is said there
    // to the tail.
    for number in 0..200 {
        server.create(&format!("{number:-<60}"));
    }
    server.say("latest", 30);
    files(directory)
}

fn exported(path: &Path) -> Result<String, DataError> {
    let mut out = Vec::new();
    data::export(path, &mut out, &mut |_| {})?;
    Ok(String::from_utf8(out).unwrap())
}

/// The server and all that reads refuse, with these words, and change nothing.
fn refused(directory: &Path, words: &str) {
    let before = files(directory);
    let error = serve(directory).err().expect("it is refused").to_string();
    assert!(error.contains(words) && error.contains("is damaged"), "{error}");
    assert_eq!(faults(directory).len(), 1);
    assert!(faults(directory)[0].contains(words), "{:?}", faults(directory));
    let copy = directory.join("copy.db");
    for error in [
        exported(directory).unwrap_err(),
        data::backup(directory, &copy, &mut |_| {}, &mut |_| {}).unwrap_err(),
    ] {
        assert!(error.to_string().contains(words), "{error}");
    }
    assert!(!copy.exists());
    assert_eq!(files(directory), before, "something was changed");
}

#[test]
fn a_cut_beside_a_log_is_told_before_anything_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    let image = killed(&folder.path().join("sound"));
    let lines = exported(&laid_out(folder.path().join("whole"), &image)).unwrap();
    let len = image["parlor.db"].len();
    let (mut refusals, mut whole) = (0, 0);
    for cut in (1..len / PAGE).map(|page| page * PAGE).chain([len - 1, len - PAGE - 1, 50]) {
        let mut image = image.clone();
        image.get_mut("parlor.db").unwrap().truncate(cut);
        let directory = laid_out(folder.path().join("cut"), &image);
        match faults(&directory).first() {
            Some(_) => {
                refused(&directory, " bytes are not there");
                refusals += 1;
            }
            // What is missing is in the log.
            None => {
                assert_eq!(exported(&directory).unwrap(), lines, "cut at {cut} of {len}");
                drop(serve(&directory).unwrap());
                assert_eq!(exported(&directory).unwrap(), lines, "cut at {cut} of {len}");
                whole += 1;
            }
        }
    }
    assert!(refusals > 20, "{refusals} refused, {whole} whole");
}

#[test]
fn a_checkpoint_may_end_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let image = killed(&folder.path().join("sound"));
    let done = laid_out(folder.path().join("done"), &image);
    let lines = exported(&done).unwrap();
    // By SQLite alone: a server would also merge the journal.
    let db = rusqlite::Connection::open(done.join("parlor.db")).unwrap();
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(())).unwrap();
    drop(db);
    let (before, after) = (&image["parlor.db"], &files(&done)["parlor.db"]);
    assert!(after.len() > before.len(), "the log has pages that the file has not");
    // SQLite brings them into the file in the order of their numbers, the head first.
    for pages in 0..=after.len() / PAGE {
        let mut file = after[..pages * PAGE].to_vec();
        file.extend(before.iter().skip(file.len()));
        for torn in [0, 100] {
            let mut image = image.clone();
            let mut file = file.clone();
            file.extend(after.iter().skip(file.len()).take(torn));
            image.insert("parlor.db".into(), file);
            let directory = laid_out(folder.path().join("half"), &image);
            assert_eq!(faults(&directory), [""; 0], "{pages} pages are there");
            drop(serve(&directory).unwrap());
            assert_eq!(exported(&directory).unwrap(), lines);
        }
    }
}

#[test]
fn a_log_without_its_file_is_damage_and_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let sound = folder.path().join("sound");
    let mut image = killed(&sound);
    let backup = folder.path().join("backup.db");
    data::backup(&sound, &backup, &mut |_| {}, &mut |_| {}).unwrap();
    let lines = exported(&sound).unwrap();
    let log = image["parlor.db-wal"].clone();
    for is_there in [true, false] {
        image.insert("parlor.db".into(), Vec::new());
        let words =
            if is_there { "it is empty, and its log" } else { "it is not there, and its log" };
        if !is_there {
            image.remove("parlor.db");
        }
        let directory = laid_out(folder.path().join("x"), &image);
        refused(&directory, words);
        let repair = || data::repair(&directory, "second", &mut |_| {}).map(drop);
        let import =
            || data::import(&mut lines.as_bytes(), &directory, None, &mut |_| {}).map(drop);
        for error in [persistently(repair).unwrap_err(), persistently(import).unwrap_err()] {
            let error = error.to_string();
            let says = ["nothing can be kept", "move it away", "is there already"];
            assert!(says.iter().any(|say| error.contains(say)), "{error}");
        }
        assert_eq!(files(&directory), image, "something was changed");
        // To bring back a backup puts it aside.
        let done = persistently(|| data::restore(&backup, &directory, "second")).unwrap();
        let first = if is_there { "parlor.db.old-1" } else { "parlor.db.old-1-wal" };
        assert_eq!(done.old.unwrap(), directory.join(first));
        let after = files(&directory);
        assert_eq!(after["parlor.db.old-1-wal"], log);
        assert!(!after.contains_key("parlor.db-wal"));
        let server = serve(&directory).unwrap();
        assert_eq!(server.epoch, "second");
        drop(server);
        assert_eq!(
            exported(&directory).unwrap().lines().skip(1).collect::<Vec<_>>(),
            lines.lines().skip(1).collect::<Vec<_>>()
        );
    }
}

#[test]
fn a_copy_is_not_made_beside_the_log_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let sound = folder.path().join("sound");
    let image = killed(&sound);
    let backup = folder.path().join("backup.db");
    fs::write(folder.path().join("backup.db-wal"), &image["parlor.db-wal"]).unwrap();
    let error = data::backup(&sound, &backup, &mut |_| {}, &mut |_| {}).unwrap_err();
    assert!(matches!(error, DataError::LeftOver(_)), "{error}");
    assert!(!backup.exists());
    // Nor is the file of a backup served with the log of what was there before.
    fs::remove_file(folder.path().join("backup.db-wal")).unwrap();
    data::backup(&sound, &backup, &mut |_| {}, &mut |_| {}).unwrap();
    let mut image = image;
    image.insert("parlor.db".into(), fs::read(&backup).unwrap());
    refused(&laid_out(folder.path().join("x"), &image), "is the log of another file");
}

#[test]
fn a_damaged_store_is_put_aside_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let sound = folder.path().join("sound");
    let mut image = killed(&sound);
    let backup = folder.path().join("backup.db");
    data::backup(&sound, &backup, &mut |_| {}, &mut |_| {}).unwrap();
    image.get_mut("parlor.db").unwrap().truncate(20 * PAGE);
    for is_repair in [false, true] {
        let directory = laid_out(folder.path().join("x"), &image);
        let old = persistently(|| match is_repair {
            true => data::repair(&directory, "second", &mut |_| {}).map(|done| done.old),
            false => data::restore(&backup, &directory, "second").map(|done| done.old),
        });
        assert_eq!(old.unwrap().unwrap(), directory.join("parlor.db.old-1"));
        let after = files(&directory);
        assert_eq!(after["parlor.db.old-1"], image["parlor.db"]);
        assert_eq!(after["parlor.db.old-1-wal"], image["parlor.db-wal"]);
        assert_eq!(after["parlor.db.old-1-tail"], image["parlor.db-tail"]);
        assert_eq!(after.len(), 4, "{:?}", after.keys());
        assert_eq!(faults(&directory), [""; 0]);
    }
}

#[test]
fn what_a_kill_has_interrupted_is_ended_by_whoever_comes_next() {
    let folder = tempfile::tempdir().unwrap();
    let sound = folder.path().join("sound");
    let mut image = killed(&sound);
    let backup = folder.path().join("backup.db");
    data::backup(&sound, &backup, &mut |_| {}, &mut |_| {}).unwrap();
    image.get_mut("parlor.db").unwrap().truncate(20 * PAGE);
    let linked = || {
        let directory = laid_out(folder.path().join("x"), &image);
        for ending in ["", "-wal", "-tail"] {
            let name = |name: &str| directory.join(format!("{name}{ending}"));
            fs::hard_link(name("parlor.db"), name("parlor.db.old-1")).unwrap();
        }
        directory
    };
    // The old one has both names, and is still in its place: it is put aside by that name.
    let directory = linked();
    refused(&directory, " bytes are not there");
    let done = persistently(|| data::restore(&backup, &directory, "second")).unwrap();
    assert_eq!(done.old.unwrap(), directory.join("parlor.db.old-1"));
    assert_eq!(files(&directory).len(), 4);
    // The new one has its place, and the old one's log has both names: it leaves.
    for is_served in [true, false] {
        let directory = linked();
        fs::copy(&backup, directory.join("parlor.db.new")).unwrap();
        fs::rename(directory.join("parlor.db.new"), directory.join("parlor.db")).unwrap();
        assert_eq!(faults(&directory).len(), 1, "no log of another is read");
        if is_served {
            assert_eq!(serve(&directory).unwrap().epoch, "first");
        } else {
            persistently(|| data::restore(&backup, &directory, "third")).unwrap();
        }
        let after = files(&directory);
        assert_eq!(after["parlor.db.old-1-wal"], image["parlor.db-wal"]);
        let is_left = |name| after.contains_key(name);
        assert!(!is_left("parlor.db-wal") && !is_left("parlor.db-tail"), "{:?}", after.keys());
        assert_eq!(faults(&directory), [""; 0]);
    }
}

#[test]
fn a_server_that_refuses_what_it_reads_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let sound = folder.path().join("sound");
    let mut image = killed(&sound);
    let backup = folder.path().join("backup.db");
    data::backup(&sound, &backup, &mut |_| {}, &mut |_| {}).unwrap();
    // With a log, and one that never had one.
    let mut unused = Files::new();
    unused.insert("parlor.db".into(), fs::read(&backup).unwrap());
    for image in [&mut image, &mut unused] {
        let file = image.get_mut("parlor.db").unwrap();
        for page in file.chunks_mut(PAGE).skip(1) {
            page[0] = 0;
        }
        let directory = laid_out(folder.path().join("x"), image);
        let error = serve(&directory).err().expect("it is refused").to_string();
        assert!(error.contains("is damaged"), "{error}");
        assert_eq!(&files(&directory), image, "something was changed");
    }
}

#[test]
fn a_part_of_a_store_is_not_brought_back_in_its_own_place() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("data");
    serve(&directory).unwrap().say("something", 3);
    fs::copy(directory.join("parlor.db"), directory.join("parlor.db.new")).unwrap();
    let before = files(&directory);
    fs::hard_link(directory.join("parlor.db.new"), folder.path().join("link.db")).unwrap();
    for backup in [
        directory.join("parlor.db.new"),
        directory.join("parlor.db"),
        directory.clone(),
        folder.path().join("link.db"),
    ] {
        let error = data::restore(&backup, &directory, "second").map(drop).unwrap_err();
        assert!(matches!(error, DataError::Itself(_)), "{error}");
        assert_eq!(files(&directory), before);
    }
}

#[test]
fn a_log_that_is_damaged_in_its_middle_gives_a_new_epoch_once_and_is_a_fault() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = killed(&folder.path().join("first"));
    let whole = laid_out(folder.path().join("whole"), &files);
    assert_eq!(faults(&whole), [""; 0]);
    assert_eq!(serve_with(&whole, "second").unwrap().epoch, "first", "a kill loses nothing");
    let log = files.get_mut("parlor.db-wal").unwrap();
    let middle = log.len() / 2;
    log[middle] ^= 1;
    let damaged = laid_out(folder.path().join("damaged"), &files);
    let told = faults(&damaged);
    assert!(told[0].starts_with("the write-ahead log is damaged at byte "), "{told:?}");
    let mut server = serve_with(&damaged, "second").unwrap();
    assert_eq!(server.epoch, "second", "numbers are used again");
    server.say("after", 3);
    // Killed again: what lies behind the new end of the log is not taken for lost once more.
    let again = laid_out(folder.path().join("again"), &self::files(&damaged));
    assert_eq!(serve_with(&again, "third").unwrap().epoch, "second");
    drop(server);
    assert_eq!(serve_with(&damaged, "third").unwrap().epoch, "second");
    assert_eq!(faults(&damaged), [""; 0]);
}
