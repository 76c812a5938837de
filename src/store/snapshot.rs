//! Reads everything but the logs, at the start.

use super::events::{EventsWanted, streams};
use super::revocations::{REVOCATIONS, columns, revocation};
use super::rows::{
    MEMBERS_BETWEEN, MemberRow, ROOMS_BETWEEN, RoomRow, USERS, damaged, each, meta, parsed,
    room_row, user_of,
};
use super::schema;
use super::sums::check;
use crate::base::{Invite, MemberState, Revocation, RoomId, Snapshot, UserId};
use rusqlite::{Connection, OpenFlags, Result, Row};
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

/// With fewer rooms one connection reads all.
const READERS_FROM_ROOMS: u64 = if cfg!(test) { 20 } else { 20_000 };
/// More threads than these would wait for the disk.
const READERS_MAX: usize = 4;
/// Into how many pieces rooms and members are cut at most, so that the threads end at the same time,
/// and a hub can free the first before it is done with the last.
const PIECES_MAX: i128 = 64;
/// A piece has at least about as many rooms.
const PIECE_ROOMS: i128 = if cfg!(test) { 1 } else { 2_000 };
/// As many memberships are in one list at most.
const LIST_MEMBERS: usize = 65_536;

/// Other connections to the file, for threads that read it beside the one which opens it.
#[derive(Debug, Default)]
pub(super) struct StartReaders {
    connections: Vec<Connection>,
    /// The ids of rooms that the opening connection has changed and not committed: what the others see of
    /// them does not count.
    changed: HashSet<i64>,
}

/// Such connections, if the file has so many rooms that several threads should read them. `changed` are the
/// rooms that differ from what is committed: what `db` has not committed must be in its memory alone
/// (`cache_spill` is off), and nobody else may commit before all have read.
pub(super) fn readers(db: &Connection, file: &Path, changed: HashSet<i64>) -> Result<StartReaders> {
    let rooms: u64 = meta(db, "rooms")?.parse().unwrap_or(0);
    let threads = thread::available_parallelism().map_or(1, usize::from).min(READERS_MAX);
    let others = if rooms < READERS_FROM_ROOMS { 0 } else { threads - 1 };
    let readers = (0..others).map_while(|_| {
        let told = |error: &_| log::warn!("one connection less reads the database: {error}");
        reader(file).inspect_err(told).ok()
    });
    Ok(StartReaders { connections: readers.collect(), changed })
}

fn reader(file: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let reader = Connection::open_with_flags(file, flags)?;
    schema::configure(&reader)?;
    // One look at the state of the file, and not one for each row.
    reader.execute_batch("BEGIN")?;
    Ok(reader)
}

/// Reads everything but the logs, and what is wanted of streams. Checks that the newest entries and
/// events are there. Each of `readers`, which must see what `db` sees but for the rooms that are changed,
/// gets a thread.
pub(super) fn snapshot(
    db: &Connection,
    readers: StartReaders,
    wanted: &EventsWanted<'_>,
) -> Result<Snapshot> {
    let epoch = meta(db, "epoch")?;
    let StartReaders { connections, changed } = readers;
    let mut threads = Threads { db, others: connections };
    // What others see of a changed room does not count, so this connection reads it: a piece of its own.
    let is_shared = !threads.others.is_empty() && !changed.is_empty();
    let (pieces, mut own) = (pieces(db)?, Vec::new());
    if is_shared {
        own.extend(changed.iter().map(|id| (*id, *id)));
        own.sort_unstable();
    }
    let is_read = |id: i64| !is_shared || !changed.contains(&id);
    let read = threads.read(&pieces, |db, piece| rooms(db, piece, is_read))?;
    let mut rooms: Vec<RoomRow> = read.into_iter().flatten().collect();
    for piece in &own {
        rooms.extend(self::rooms(db, *piece, |_| true)?);
    }
    rooms.sort_by_key(|row| row.id);
    are_all(db, "rooms", rooms.iter().map(|row| row.id))?;
    let counts = rooms.iter().map(|_| AtomicU64::new(0)).collect();
    let people = PeopleRows { rooms: &rooms, counts };
    let first = pieces.first();
    let members = threads.read(&pieces, |db, piece| {
        if Some(&piece) == first {
            are_found_by_name(db, &rooms)?;
        }
        people.members(db, piece, is_read)
    })?;
    let mut members: Vec<MemberList> = members.into_iter().flatten().collect();
    drop(threads);
    for piece in own {
        members.extend(people.members(db, piece, |_| true)?);
    }
    let invites = people.read(
        db,
        "SELECT room, user, by, sum = row_sum('invites', room, user, by) FROM invites \
         ORDER BY room, user",
        |room, user, row| {
            check(row, 3, "an invitation")?;
            Ok(Invite { room, user, by: user_of(row, 2)? })
        },
    )?;
    let bans = people.read(
        db,
        "SELECT room, user, sum = row_sum('bans', room, user, by) FROM bans ORDER BY room, user",
        |room, user, row| check(row, 2, "a ban").map(|()| (room, user)),
    )?;
    people.are_all()?;
    let mut names: Vec<(UserId, Arc<str>)> = Vec::new();
    each(db, USERS, (), |row| {
        check(row, 2, "a user")?;
        names.push((user_of(row, 0)?, row.get_ref(1)?.as_str()?.into()));
        Ok(())
    })?;
    are_all(db, "users", names.iter().map(|(user, _)| user))?;
    let revocations: Vec<Revocation> =
        db.prepare(REVOCATIONS)?.query_map((), revocation)?.collect::<Result<_>>()?;
    let keys = revocations.iter().map(columns).map(|(kind, key, _)| (kind, key));
    are_all(db, "revocations", keys)?;
    let streams = streams(db, wanted)?;
    are_all(db, "streams", streams.iter().map(|state| &state.stream))?;
    let rooms = rooms.into_iter().map(|row| row.state).collect();
    Ok(Snapshot { epoch, rooms, members, names, invites, bans, revocations, streams })
}

/// Rooms by their `id`, the first and the last included.
type Piece = (i64, i64);

/// All ids there may be, in pieces of about as many rooms each.
fn pieces(db: &Connection) -> Result<Vec<Piece>> {
    let ends = "SELECT (SELECT min(id) FROM rooms), (SELECT max(id) FROM rooms)";
    let (first, last): (Option<i64>, Option<i64>) =
        db.query_row(ends, (), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (first, last) = (i128::from(first.unwrap_or(0)), i128::from(last.unwrap_or(0)));
    let count = ((last - first) / PIECE_ROOMS).clamp(1, PIECES_MAX);
    let begin = |piece: i128| i64::try_from(first + (last - first) * piece / count).ok();
    let begins: Vec<i64> = (1..count).filter_map(begin).collect();
    // A row that is of no room is noticed, wherever it is.
    let firsts = std::iter::once(i64::MIN).chain(begins.iter().copied());
    let lasts = begins.iter().map(|begin| begin - 1).chain(std::iter::once(i64::MAX));
    Ok(firsts.zip(lasts).collect())
}

/// A connection for each thread that reads: this thread's, and others.
struct Threads<'a> {
    db: &'a Connection,
    others: Vec<Connection>,
}

impl Threads<'_> {
    /// What `read` makes of each piece, in their order; or the first error.
    fn read<T: Send>(
        &mut self,
        pieces: &[Piece],
        read: impl Fn(&Connection, Piece) -> Result<T> + Sync,
    ) -> Result<Vec<T>> {
        let next = AtomicUsize::new(0);
        let work = |db: &Connection| -> Vec<(usize, Result<T>)> {
            let mut done = Vec::new();
            while let place = next.fetch_add(1, Ordering::Relaxed)
                && let Some(piece) = pieces.get(place)
            {
                let found = read(db, *piece);
                let has_failed = found.is_err();
                done.push((place, found));
                if has_failed {
                    break;
                }
            }
            done
        };
        let mut done = thread::scope(|scope| {
            let work = &work;
            let readers = self.others.iter_mut();
            // Without a thread the others do its part.
            let others: Vec<_> = readers
                .map_while(|reader| {
                    thread::Builder::new().spawn_scoped(scope, move || work(reader)).ok()
                })
                .collect();
            let mut done = work(self.db);
            for thread in others {
                match thread.join() {
                    Ok(found) => done.extend(found),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            done
        });
        done.sort_by_key(|(place, _)| *place);
        done.into_iter().map(|(_, found)| found).collect()
    }
}

/// Those rooms of a piece that are to be read. Their newest entries are where they should be.
fn rooms(
    db: &Connection,
    (first, last): Piece,
    is_read: impl Fn(i64) -> bool,
) -> Result<Vec<RoomRow>> {
    let mut rooms = Vec::new();
    each(db, ROOMS_BETWEEN, [first, last], |row| {
        let row = room_row(row)?;
        rooms.extend(is_read(row.id).then_some(row));
        Ok(())
    })?;
    let mut newest = db.prepare_cached("SELECT max(seq) FROM entries WHERE room = ?1")?;
    for row in rooms.iter().filter(|row| row.state.head >= row.state.first) {
        let found: Option<i64> = newest.query_row([row.id], |found| found.get(0))?;
        if found != i64::try_from(row.state.head).ok() {
            let name = &row.state.room;
            return Err(damaged(format!("the newest entries of room {name} are not there")));
        }
    }
    Ok(rooms)
}

/// Checks the index of rooms' names, which may be damaged although the rooms are not: it has each room
/// once, in order. It is read in that order: looked up one by one, names in no order would need each of its
/// pages many times.
fn are_found_by_name(db: &Connection, rooms: &[RoomRow]) -> Result<()> {
    const BY_NAME: &str =
        "SELECT name, id FROM rooms INDEXED BY sqlite_autoindex_rooms_1 ORDER BY name";
    let mut is_found = vec![false; rooms.len()];
    let mut last: Option<&str> = None;
    each(db, BY_NAME, (), |row| {
        let (name, id) = (row.get_ref(0)?.as_str()?, row.get(1)?);
        let place = rooms.binary_search_by_key(&id, |room| room.id).ok();
        let room = place.map(|place| (place, rooms[place].state.room.as_str()));
        let Some((place, room)) = room.filter(|(_, room)| *room == name && last < Some(room))
        else {
            return Err(damaged("the names of the rooms, or their order".to_owned()));
        };
        (is_found[place], last) = (true, Some(room));
        Ok(())
    })?;
    match is_found.iter().position(|is_found| !is_found).and_then(|place| rooms.get(place)) {
        Some(row) => {
            Err(damaged(format!("room {} is not found by its name", row.state.room.as_str())))
        }
        None => Ok(()),
    }
}

/// Checks that a table has as many rows as it should, each once.
fn are_all<T: PartialOrd>(
    db: &Connection,
    table: &str,
    keys: impl Iterator<Item = T>,
) -> Result<()> {
    let (mut count, mut last) = (0u64, None);
    for key in keys {
        if last.as_ref().is_some_and(|last| *last >= key) {
            return Err(damaged(format!("the order of the {table}")));
        }
        (count, last) = (count + 1, Some(key));
    }
    let expected = meta(db, table)?;
    if expected == count.to_string() {
        return Ok(());
    }
    Err(damaged(format!("there are {count} {table}, and there should be {expected}")))
}

/// The rows of members, invites and bans. A missing row is noticed, because rooms know how many
/// they have.
struct PeopleRows<'a> {
    rooms: &'a [RoomRow],
    counts: Vec<AtomicU64>,
}

/// Memberships, as [`Snapshot::members`] has them.
type MemberList = Vec<(RoomId, UserId, MemberState)>;

/// Where the row before was, in a table that is read in the order of its rooms and users.
#[derive(Default)]
struct RoomBefore {
    id: Option<i64>,
    place: usize,
}

impl PeopleRows<'_> {
    /// The members of those rooms of a piece that are to be read, in lists.
    fn members(
        &self,
        db: &Connection,
        (first, last): Piece,
        is_read: impl Fn(i64) -> bool,
    ) -> Result<Vec<MemberList>> {
        let (mut lists, mut list) = (Vec::new(), MemberList::new());
        let (mut of_last, mut before) = (None, RoomBefore::default());
        each(db, MEMBERS_BETWEEN, [first, last], |row| {
            let row = MemberRow::read(row)?;
            let user = parsed(UserId::parse_any(row.user()?))?;
            let id = row.room()?;
            if !(first..=last).contains(&id) {
                return Err(damaged(format!("{user} is in no room of the part")));
            }
            if !is_read(id) {
                return Ok(());
            }
            let room = self.count(id, &user, of_last.as_ref(), &mut before)?;
            of_last = Some(user.clone());
            if list.len() == LIST_MEMBERS {
                lists.push(std::mem::take(&mut list));
            }
            list.push((room, user, row.state()?));
            Ok(())
        })?;
        list.shrink_to_fit();
        lists.push(list);
        Ok(lists)
    }

    /// Reads a table whose first columns are the room and the user, ordered by them.
    fn read<T>(
        &self,
        db: &Connection,
        sql: &str,
        parse: impl Fn(RoomId, UserId, &Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let (mut found, mut last, mut before) = (Vec::new(), None, RoomBefore::default());
        each(db, sql, (), |row| {
            let user = user_of(row, 1)?;
            let room = self.count(row.get(0)?, &user, last.as_ref(), &mut before)?;
            last = Some(user.clone());
            found.push(parse(room, user, row)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// Counts a row of the room with this `id`; the one before was of `last`. Returns the room's
    /// name.
    fn count(
        &self,
        id: i64,
        user: &UserId,
        last: Option<&UserId>,
        before: &mut RoomBefore,
    ) -> Result<RoomId> {
        let is_again = before.id == Some(id);
        // Most rows are of the same room as the one before.
        let place = match is_again {
            true => Ok(before.place),
            false => self.rooms.binary_search_by_key(&id, |room| room.id),
        };
        let is_next = if is_again { last < Some(user) } else { before.id < Some(id) };
        let (Ok(place), true) = (place, is_next) else {
            return Err(damaged(format!("{user} is in no room, or twice in one")));
        };
        *before = RoomBefore { id: Some(id), place };
        self.counts[place].fetch_add(1, Ordering::Relaxed);
        Ok(self.rooms[place].state.room.clone())
    }

    fn are_all(&self) -> Result<()> {
        for (row, found) in self.rooms.iter().zip(&self.counts) {
            let name = &row.state.room;
            if row.people != found.load(Ordering::Relaxed) {
                return Err(damaged(format!("a row of a member of room {name} is not there")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::{insert_room, save_member, save_room};
    use super::super::sums::add_row_sum;
    use super::*;
    use crate::base::RoomState;

    /// A file with 50 rooms, whose ids are far apart, of two members each.
    fn file() -> (tempfile::TempDir, Connection) {
        let folder = tempfile::tempdir().unwrap();
        let mut db = Connection::open(folder.path().join("db")).unwrap();
        db.pragma_update(None, "journal_mode", "WAL").unwrap();
        add_row_sum(&db).unwrap();
        schema::configure(&db).unwrap();
        schema::prepare(&mut db, "epoch").unwrap().unwrap();
        for number in 0..50i64 {
            let name = RoomId::parse(&format!("room{number}")).unwrap();
            let mut row = insert_room(&db, RoomState::new(name, "".into(), true, None)).unwrap();
            let id = (number + 1) * 10_000;
            db.execute("UPDATE rooms SET id = ?1 WHERE id = ?2", [id, row.id]).unwrap();
            (row.id, row.people) = (id, 2);
            save_room(&db, &row).unwrap();
            for user in ["ada", "bob"] {
                let user = UserId::parse(user).unwrap();
                save_member(&db, id, &user, &MemberState::default()).unwrap();
            }
        }
        (folder, db)
    }

    fn read(db: &Connection, others: usize) -> Result<Snapshot> {
        let file = db.path().unwrap().to_owned();
        let connections = (0..others).map(|_| reader(Path::new(&file)).unwrap()).collect();
        snapshot(db, StartReaders { connections, changed: HashSet::new() }, &EventsWanted::ALL)
    }

    #[test]
    fn several_threads_read_what_one_reads() {
        let (_folder, db) = file();
        assert!(pieces(&db).unwrap().len() > 10);
        let alone = read(&db, 0).unwrap();
        assert_eq!(alone.rooms.len(), 50);
        assert_eq!(alone.members.concat().len(), 100);
        for others in 1..4 {
            assert_eq!(read(&db, others).unwrap(), alone);
        }
    }

    #[test]
    fn pieces_are_all_ids_each_once() {
        let (_folder, db) = file();
        let none = Connection::open_in_memory().unwrap();
        none.execute_batch("CREATE TABLE rooms (id INTEGER PRIMARY KEY)").unwrap();
        let extremes = Connection::open_in_memory().unwrap();
        let sql = "CREATE TABLE rooms (id INTEGER PRIMARY KEY); \
             INSERT INTO rooms VALUES (-9223372036854775808), (9223372036854775807)";
        extremes.execute_batch(sql).unwrap();
        for (db, count) in [(&db, 64), (&none, 1), (&extremes, 64)] {
            let pieces = pieces(db).unwrap();
            assert_eq!(pieces.len(), count);
            assert_eq!((pieces[0].0, pieces[pieces.len() - 1].1), (i64::MIN, i64::MAX));
            assert!(pieces.windows(2).all(|pair| pair[0].1.checked_add(1) == Some(pair[1].0)));
        }
    }

    #[test]
    fn several_threads_notice_what_is_missing_strange_or_changed() {
        for (harm, told) in [
            (
                "DELETE FROM members WHERE room = 250000 AND user = 'bob'",
                "of room room24 is not there",
            ),
            ("DELETE FROM rooms WHERE id = 250000", "there are 49 rooms"),
            ("UPDATE members SET room = -7 WHERE room = 250000", "a membership is not what was"),
            ("UPDATE members SET read = 7 WHERE room = 250000", "a membership is not what was"),
            ("UPDATE rooms SET title = 'x' WHERE id = 250000", "a room is not what was"),
            (
                "UPDATE rooms SET head = 1, sum = row_sum('rooms', id, name, title, open, ended, \
              owner, 1, messages, ts, first, first_ts, first_messages, people) WHERE id = 250000",
                "the newest entries of room room24 are not there",
            ),
        ] {
            let (_folder, db) = file();
            db.execute_batch(harm).unwrap();
            for others in [0, 1, 3] {
                let error = read(&db, others).unwrap_err().to_string();
                assert!(error.contains(told), "{harm}: {error}");
            }
        }
    }

    #[test]
    fn several_threads_notice_a_name_that_the_index_of_names_does_not_have() {
        for (before, after) in [("room24", "rooz24"), ("room24", "aoom24")] {
            let (folder, db) = file();
            db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(())).unwrap();
            drop(db);
            let path = folder.path().join("db");
            let mut bytes = std::fs::read(&path).unwrap();
            // Pages of indexes, but for the first: the tables have the name, too.
            for page in bytes.chunks_mut(4_096).skip(1).filter(|page| page[0] == 10) {
                let found = page.windows(6).position(|text| text == before.as_bytes());
                if let Some(at) = found {
                    page[at..at + 6].copy_from_slice(after.as_bytes());
                }
            }
            std::fs::write(&path, bytes).unwrap();
            let db = Connection::open(&path).unwrap();
            add_row_sum(&db).unwrap();
            schema::configure(&db).unwrap();
            for others in [0, 1, 3] {
                let error = read(&db, others).unwrap_err().to_string();
                assert!(error.contains("the names of the rooms, or their order"), "{error}");
            }
        }
    }

    #[test]
    fn several_threads_notice_a_member_of_no_room_wherever_that_is() {
        for room in [i64::MIN, -5, 250_001, 500_001, i64::MAX] {
            let (_folder, db) = file();
            let eve = UserId::parse("eve").unwrap();
            save_member(&db, room, &eve, &MemberState::default()).unwrap();
            for others in [0, 1, 3] {
                let error = read(&db, others).unwrap_err().to_string();
                assert!(error.contains("eve is in no room"), "{room}: {error}");
            }
        }
    }
}
