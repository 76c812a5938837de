//! Damaged files: every read returns what was written, or an error.
//!
//! `PARLOR_SEED` seeds the places of the damage; `PARLOR_FLIPS` is their number.

use parlor::base::{
    Authority, Body, Chance, Data, Outcome, PublicationId, Query, Record, Revocation, Rights,
    RoomId, Snapshot, StoreChange, StreamId, Timestamp, Told, UserId, What,
};
use parlor::store::{Place, RecordStore, Store, data};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

const ROOMS: [&str; 4] = ["tea", "den", "lobby", "attic"];
const USERS: [&str; 8] = ["ada", "bob", "cy", "dee", "eve", "fay", "gus", "hal"];

const REVOCATIONS: usize = 150;

fn user(id: &str) -> UserId {
    UserId::parse(id).unwrap()
}

fn room(id: &str) -> RoomId {
    RoomId::parse(id).unwrap()
}

fn env(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// What a store is asked.
#[derive(Clone, Debug)]
enum Ask {
    Write(Record),
    Read(Query),
    Seek(Vec<RoomId>, Timestamp),
}

/// Opens a store and asks it; None if it cannot be opened.
fn ask(directory: &Path, asks: &[Ask]) -> Option<(Snapshot, Vec<Told>)> {
    let (wake, woken) = channel();
    let place = Place::Directory(directory.to_owned());
    let opened = Store::open(&place, "another", move || {
        let _ = wake.send(());
    });
    let (mut store, snapshot) = opened.ok()?;
    let mut all_told = vec![None; asks.len()];
    for (ticket, ask) in (0..).zip(asks) {
        let now = Timestamp(1_000_000 + ticket as i64);
        match ask.clone() {
            Ask::Write(record) => store.write(ticket, now, record),
            Ask::Read(query) => store.read(ticket, now, query),
            Ask::Seek(rooms, since) => store.seek(ticket, now, rooms, since),
        }
        .unwrap();
    }
    let mut count = 0;
    while count < asks.len() {
        woken.recv_timeout(Duration::from_secs(30)).expect("the store hangs, or has panicked");
        assert!(!store.has_died(), "the store's thread has panicked");
        for told in store.told() {
            let ticket = told.ticket().expect("it was asked for") as usize;
            all_told[ticket] = Some(told);
            count += 1;
        }
    }
    Some((snapshot, all_told.into_iter().map(Option::unwrap).collect()))
}

fn revoke(revocation: Revocation) -> Record {
    Record::Revoke { revocation, once: false }
}

/// A store with all that there may be.
fn well_filled() -> Vec<Ask> {
    let mut chance = Chance::new(1);
    let mut records = Vec::new();
    let any_user = |chance: &mut Chance| user(USERS[chance.below(6) as usize]);
    for (number, name) in ROOMS.iter().enumerate() {
        records.push(Record::Create {
            room: room(name),
            title: Some(format!("The {name}").into()),
            open: number % 2 == 0,
            owner: user("ada"),
            members: USERS[1..6].iter().map(|id| user(id)).collect(),
            invited: Vec::new(),
            is_own: true,
        });
        let by = Authority { user: user("ada"), rights: Rights::User };
        records.push(Record::Invite { room: room(name), user: user("gus"), by: by.clone() });
        records.push(Record::Ban { room: room(name), user: user("hal"), by });
    }
    for id in USERS {
        records.push(Record::Name { user: user(id), name: format!("{id} Lovelace").into() });
    }
    // More than a page of them.
    for number in 0..REVOCATIONS {
        records.push(revoke(match number % 3 {
            0 => Revocation::User(user(&format!("guest{number}")), Timestamp(number as i64)),
            1 => Revocation::Token(chance.word(24).into(), None),
            _ => Revocation::Token(chance.word(24).into(), Some(Timestamp(1 << 50))),
        }));
    }
    for number in 0..120 {
        let text = format!("{{\"number\": {number}, \"text\": \"{}\"}}", chance.word(60));
        records.push(Record::Event {
            stream: StreamId::parse(["journal", "picture:1"][number % 2]).unwrap(),
            epoch: "life".into(),
            data: match number % 2 {
                0 => Data::Json(text.into()),
                _ => Data::Binary(text.into_bytes().into()),
            },
            keep: 40,
            id: (number % 3 > 0).then(|| {
                let by = (number % 3 > 1).then(|| user("ada"));
                Arc::new(PublicationId { by, id: chance.word(12).into() })
            }),
        });
    }
    for number in 0..700 {
        let room = room(ROOMS[chance.below(4) as usize]);
        let by = any_user(&mut chance);
        let target = 7 + chance.below(150);
        records.push(match chance.below(20) {
            0..=9 => {
                let text =
                    format!("message {number} {}", chance.word(chance.clone().below(90) as usize));
                let data =
                    (chance.below(4) == 0).then(|| format!("{{\"number\": {number}}}").into());
                let reply_to = (chance.below(4) == 0).then_some(1 + target % 6);
                let cid = (chance.below(4) > 0).then(|| chance.word(16).into());
                let body = Body { text: text.into(), data, reply_to };
                Record::Message { room, from: by, to: None, body, cid }
            }
            10 | 11 => Record::Message {
                room: RoomId::direct(&by, &user("zoe")),
                from: by,
                to: Some(user("zoe")),
                body: Body { text: chance.word(40).into(), data: None, reply_to: None },
                cid: Some(chance.word(16).into()),
            },
            12 | 13 => Record::Edit { room, target, text: format!("edit {number}").into(), by },
            14 => {
                let by = Authority { user: by, rights: Rights::Admin };
                Record::Delete { room, target, by }
            }
            15..=17 => {
                let emoji = ["+", "-", "?"][chance.below(3) as usize].into();
                Record::React { room, target, emoji, on: chance.below(4) > 0, by }
            }
            18 => Record::Read { room, user: by, seq: target },
            _ => Record::Delivered { user: by, marks: vec![(room, target)] },
        });
    }
    records.push(Record::Trim { room: room("attic"), before: 20, older_than: Timestamp(0) });
    let by = Authority { user: user("ada"), rights: Rights::User };
    records.push(Record::End { room: room("den"), by });
    records.into_iter().map(Ask::Write).collect()
}

/// Pages of all logs in both directions, repeats of all messages, edits, reactions and revocations
/// that change nothing, and at last read marks.
fn questions(records: &[Ask], all_told: &[Told]) -> Vec<Ask> {
    let mut asks = Vec::new();
    let mut direct: Vec<RoomId> = Vec::new();
    for (ask, told) in records.iter().zip(all_told) {
        let Ask::Write(record) = ask else { continue };
        match record {
            Record::Message { room, cid, .. } => {
                if cid.is_some() {
                    asks.push(ask.clone());
                }
                if room.is_direct() && !direct.contains(room) {
                    direct.push(room.clone());
                }
            }
            Record::Revoke { .. } => asks.push(ask.clone()),
            Record::Delete { .. } if matches!(told, Told::Changed { .. }) => {
                asks.push(ask.clone());
            }
            _ => {}
        }
    }
    let mut pages = Vec::new();
    for room in ROOMS.iter().map(|name| room(name)).chain(direct) {
        for from_end in [false, true] {
            // Those of direct messages are short.
            let mut first = if room.is_direct() { 220 } else { 0 };
            while first < 220 {
                let last = first + 12;
                let (room, entries_max, bytes_max) = (room.clone(), 13, 60_000);
                pages.push(Ask::Read(Query {
                    room,
                    first,
                    last,
                    entries_max,
                    bytes_max,
                    from_end,
                }));
                first += 13;
            }
            let (room, entries_max, bytes_max) = (room.clone(), 200, 8_000);
            pages.push(Ask::Read(Query {
                room,
                first: 0,
                last: u64::MAX,
                entries_max,
                bytes_max,
                from_end,
            }));
        }
    }
    // Pages before the records, as marks move by these.
    pages.extend(asks);
    for (name, id) in ROOMS.iter().zip(["bob", "cy", "dee", "eve"]) {
        let (room, user) = (room(name), user(id));
        pages.push(Ask::Write(Record::Read { room, user, seq: 100 }));
    }
    pages
}

fn is_revocation(line: &str) -> bool {
    line.starts_with("{\"revocation\"")
}

struct World {
    folder: tempfile::TempDir,
    bytes: Vec<u8>,
    asks: Vec<Ask>,
    snapshot: Snapshot,
    truth: Vec<Told>,
    lines: Vec<u8>,
}

impl World {
    fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("sound");
        let records = well_filled();
        let (_, told) = ask(&directory, &records).unwrap();
        let bytes = std::fs::read(directory.join("parlor.db")).unwrap();
        // Of the repeats, those that change nothing: what was trimmed away is none.
        let mut asks = questions(&records, &told);
        let (_, truth) = ask(&directory, &asks).unwrap();
        let mut truth = truth.iter();
        asks.retain(|ask| {
            let told = truth.next().unwrap();
            matches!(told, Told::Answer { .. }) || matches!(ask, Ask::Write(Record::Read { .. }))
        });
        // An older file beside its mark would get a new epoch.
        std::fs::remove_file(directory.join("parlor.mark")).unwrap();
        std::fs::write(directory.join("parlor.db"), &bytes).unwrap();
        let (snapshot, truth) = ask(&directory, &asks).unwrap();
        let sound = folder.path().join("copy.db");
        std::fs::write(&sound, &bytes).unwrap();
        let mut lines = Vec::new();
        data::export(&sound, &mut lines, &mut |_| {}).unwrap();
        for (ask, told) in asks.iter().zip(&truth) {
            assert!(!is_broken(told), "{ask:?}");
        }
        let is_earlier =
            |told: &&Told| matches!(told, Told::Answer { outcome: Outcome::Earlier { .. }, .. });
        let repeats = truth.iter().filter(is_earlier);
        assert!(repeats.count() > 200, "enough repeats");
        World { folder, bytes, asks, snapshot, truth, lines }
    }

    /// What happened with a damaged file.
    fn try_out(&self, name: &str, bytes: &[u8]) -> Result<Seen, String> {
        let directory = self.folder.path().join(name);
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir(&directory).unwrap();
        let file = directory.join("parlor.db");
        std::fs::write(&file, bytes).unwrap();
        let mut faults = 0;
        let checked = data::check(&file, &mut |_| faults += 1, &mut |_| {});
        let is_sound = checked.is_ok() && faults == 0;
        let mut lines = Vec::new();
        match data::export(&file, &mut lines, &mut |_| {}) {
            Ok(_) if lines != self.lines => return Err("the export is another".into()),
            Err(error) if is_sound => return Err(format!("sound, and not exported: {error}")),
            _ => {}
        }
        for ending in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(directory.join(format!("parlor.db{ending}")));
        }
        let Some((snapshot, all_told)) = ask(&directory, &self.asks) else {
            return if is_sound {
                Err("sound, and not opened".into())
            } else {
                Ok(Seen::NotOpened)
            };
        };
        if snapshot != self.snapshot {
            return Err("the snapshot is another".into());
        }
        let mut seen = if is_sound { Seen::Nothing } else { Seen::ByTheCheck };
        for ((ask, told), truth) in self.asks.iter().zip(&all_told).zip(&self.truth) {
            if is_broken(told) {
                if is_sound {
                    return Err(format!("sound, and {told:?} to {ask:?}"));
                }
                seen = Seen::Reading;
                continue;
            }
            // The index of deleted messages is looked at by the check alone.
            let is_right = match is_sound {
                true => told == truth,
                false => but_for_deleted(told) == but_for_deleted(truth),
            };
            if !is_right {
                return Err(format!("{ask:?}:\n{told:?}\ninstead of\n{truth:?}"));
            }
        }
        Ok(seen)
    }
}

fn is_broken(told: &Told) -> bool {
    let outcome = if let Told::Answer { outcome, .. } = told { Some(outcome) } else { None };
    matches!(outcome, Some(Outcome::Damaged | Outcome::Unavailable))
}

/// What was told, without how many messages after a read mark are deleted.
fn but_for_deleted(told: &Told) -> Told {
    let mut told = told.clone();
    if let Told::Changed { change: StoreChange::Room { what, .. }, .. } = &mut told
        && let What::Read { deleted, .. } = what
    {
        *deleted = 0;
    }
    told
}

/// Where damage was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Nothing,
    NotOpened,
    Reading,
    ByTheCheck,
}

/// Calls `work` for all numbers, on as many threads as there are processors; gives what failed.
fn in_parallel(count: u32, work: impl Fn(u32, &str) -> Option<String> + Sync) -> Vec<String> {
    let next = AtomicU32::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                let (next, work) = (&next, &work);
                scope.spawn(move || {
                    let mut failed = Vec::new();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= count {
                            return failed;
                        }
                        failed.extend(work(number, &thread.to_string()));
                    }
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    })
}

#[test]
fn a_flipped_bit_is_never_served() {
    let world = World::new();
    let seed = env("PARLOR_SEED", 7);
    let flips = env("PARLOR_FLIPS", 1_000) as u32;
    let counts: [AtomicU32; 4] = Default::default();
    let failed = in_parallel(flips, |number, name| {
        let mut chance = Chance::new(seed.wrapping_mul(1 << 32).wrapping_add(number.into()));
        let (place, bit) = (chance.below(world.bytes.len() as u64), chance.below(8));
        let mut bytes = world.bytes.clone();
        bytes[place as usize] ^= 1 << bit;
        match world.try_out(name, &bytes) {
            Ok(seen) => {
                counts[seen as usize].fetch_add(1, Ordering::Relaxed);
                None
            }
            Err(what) => Some(format!("seed {seed}, flip {number}: bit {bit} at {place}: {what}")),
        }
    });
    println!(
        "{flips} flips in {} KiB; seen nothing, not opened, in reading, by the check alone: {counts:?}",
        world.bytes.len() / 1024
    );
    assert!(failed.is_empty(), "{} of {flips}:\n{}", failed.len(), failed.join("\n"));
}

/// The log of one room is damaged in the middle: a place in it is one that nobody has been at, which a
/// `resume` refuses, and those in the others are what they were.
#[test]
fn a_damaged_log_keeps_nobody_from_their_places_in_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let rooms: Vec<RoomId> = ["tea", "lobby"].map(room).to_vec();
    let mut asks = well_filled();
    // After the last of them.
    let since = Timestamp(1_000_000 + asks.len() as i64);
    let seek = || Ask::Seek(rooms.clone(), since);
    asks.push(seek());
    let (_, outcomes) = ask(directory.path(), &asks).unwrap();
    let Some(Told::Answer { outcome: Outcome::Positions(whole), .. }) = outcomes.last() else {
        panic!("no places")
    };
    assert!(whole.iter().all(|(_, seq)| (1..u64::MAX).contains(seq)), "{whole:?}");
    let file = directory.path().join("parlor.db");
    let db = rusqlite::Connection::open(file).unwrap();
    let damage = "UPDATE entries SET ts = ts + 1 \
                  WHERE room = (SELECT id FROM rooms WHERE name = 'tea') \
                  AND seq < (SELECT head FROM rooms WHERE name = 'tea')";
    assert!(db.execute(damage, []).unwrap() > 10);
    drop(db);
    let (_, outcomes) = ask(directory.path(), &[seek()]).unwrap();
    let expected = vec![(room("tea"), u64::MAX), whole[1].clone()];
    let outcome = Outcome::Positions(expected);
    assert_eq!(outcomes, [Told::Answer { ticket: 0, outcome }]);
}

#[test]
fn a_cut_is_said_at_the_start_wherever_it_is() {
    let world = World::new();
    const PAGE: usize = 4_096;
    let len = world.bytes.len();
    let mut chance = Chance::new(env("PARLOR_SEED", 7));
    let mut cuts: Vec<usize> = (1..len / PAGE).map(|page| page * PAGE).collect();
    cuts.extend((0..100).map(|_| 1 + chance.below(len as u64 - 1) as usize));
    let failed = in_parallel(cuts.len() as u32, |number, name| {
        let cut = cuts[number as usize];
        match world.try_out(name, &world.bytes[..cut]) {
            Ok(Seen::NotOpened) => None,
            other => Some(format!("cut at {cut} of {len}: {other:?}")),
        }
    });
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn what_is_kept_of_a_damaged_file_is_sound_and_was_there() {
    let world = World::new();
    let seed = env("PARLOR_SEED", 7);
    let lines = String::from_utf8(world.lines.clone()).unwrap();
    let truth: std::collections::HashSet<&str> =
        lines.lines().filter(|line| line.contains("\"text\"") || is_revocation(line)).collect();
    let len = world.bytes.len() as u64;
    let repaired = AtomicU32::new(0);
    let failed = in_parallel(150, |number, name| {
        let mut chance = Chance::new(seed.wrapping_mul(1 << 32).wrapping_add(number.into()));
        let mut bytes = world.bytes.clone();
        if number % 2 == 0 {
            bytes.truncate(chance.below(len) as usize);
        } else {
            for _ in 0..3 {
                let place = 4_096 + chance.below(len - 4_096);
                bytes[place as usize] ^= 1 << chance.below(8);
            }
        }
        let directory = world.folder.path().join(format!("repair-{name}"));
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("parlor.db"), &bytes).unwrap();
        let mut has_told = false;
        let mut lost = |fault: data::BrokenRule| has_told |= fault.what.contains("revocation");
        match data::repair(&directory, "second", &mut lost) {
            Ok(_) => {}
            // Some damage is beyond help; then nothing is changed.
            Err(data::DataError::Damaged(..)) => {
                let is_same = std::fs::read(directory.join("parlor.db")).unwrap() == bytes;
                return (!is_same).then(|| format!("{number}: the file was changed"));
            }
            Err(error) => return Some(format!("{number}: {error}")),
        }
        repaired.fetch_add(1, Ordering::Relaxed);
        let mut kept = Vec::new();
        data::export(&directory, &mut kept, &mut |_| {}).unwrap();
        let kept = String::from_utf8(kept).unwrap();
        let invented = kept.lines().find(|line| {
            let is_message = line.contains("\"kind\":\"message\"")
                && line.contains("\"text\"")
                && !line.contains("\"edited\"");
            (is_message || is_revocation(line)) && !truth.contains(line)
        });
        if kept.lines().filter(|line| is_revocation(line)).count() < REVOCATIONS && !has_told {
            return Some(format!("{number}: revocations are lost, and nobody is told"));
        }
        invented.map(|line| format!("{number}: {line} was never there"))
    });
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    let repaired = repaired.into_inner();
    assert!(repaired > 100, "{repaired} of 150 were repaired");
}
