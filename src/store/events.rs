//! Durable streams: their events, numbered within the transaction, and read at the start.

use super::repeats::EVENTS;
use super::rows::{count, damaged, find_row, parsed, unsigned};
use super::sums::check;
use super::write::RecordWriter;
use crate::base::limits::TRIM_ENTRIES_MAX;
use crate::base::{
    Data, Outcome, PublicationId, StoreChange, StreamEvent, StreamId, StreamState, Timestamp,
    UserId, Written,
};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Result, Row, params};
use std::sync::Arc;

/// This share of what is kept may be removed later, as in rooms' logs.
const SLACK_SHARE: u64 = 16;

/// How much of the durable streams a start reads into memory.
pub struct EventsWanted<'a> {
    /// How many of the newest events of a stream; 0 if it is no longer declared.
    pub keep: &'a dyn Fn(&StreamId) -> u64,
    /// The most bytes of one stream.
    pub stream_bytes: usize,
    /// The most bytes of all streams.
    pub all_bytes: usize,
}

impl EventsWanted<'_> {
    /// Everything.
    pub const ALL: EventsWanted<'static> =
        EventsWanted { keep: &|_| u64::MAX, stream_bytes: usize::MAX, all_bytes: usize::MAX };
}

/// A stream's row.
#[derive(Clone, Debug)]
pub(super) struct StreamRow {
    pub(super) id: i64,
    pub(super) name: StreamId,
    pub(super) epoch: Arc<str>,
    pub(super) head: u64,
    pub(super) ts: Timestamp,
    pub(super) first: u64,
}

/// The columns of a stream that [`stream_row`] reads.
macro_rules! stream_columns {
    () => {
        "id, name, epoch, head, ts, first, \
         sum = row_sum('streams', id, name, epoch, head, ts, first)"
    };
}
pub(super) use stream_columns;

pub(super) const STREAMS: &str =
    concat!("SELECT ", stream_columns!(), " FROM streams ORDER BY name");

/// Reads the columns of `stream_columns!`.
pub(super) fn stream_row(row: &Row<'_>) -> Result<StreamRow> {
    check(row, 6, "a stream")?;
    Ok(StreamRow {
        id: row.get(0)?,
        name: parsed(StreamId::parse(row.get_ref(1)?.as_str()?))?,
        epoch: row.get_ref(2)?.as_str()?.into(),
        head: unsigned(row, 3)?,
        ts: Timestamp(row.get(4)?),
        first: unsigned(row, 5)?,
    })
}

/// The columns of an event that [`event`] reads.
macro_rules! event_columns {
    () => {
        "seq, ts, data, by, id, sum = row_sum('events', stream, seq, ts, data, by, id)"
    };
}
pub(super) use event_columns;

/// The events of a stream, newest first.
pub(super) const EVENTS_BACKWARD: &str =
    concat!("SELECT ", event_columns!(), " FROM events WHERE stream = ?1 ORDER BY seq DESC");

/// Reads the columns of `event_columns!`.
pub(super) fn event(row: &Row<'_>) -> Result<StreamEvent> {
    check(row, 5, "an event")?;
    let id = match (row.get_ref(3)?.as_str_or_null()?, row.get_ref(4)?.as_str_or_null()?) {
        (None, None) => None,
        (Some(by), Some(id)) => {
            let by = if by.is_empty() { None } else { Some(parsed(UserId::parse_any(by))?) };
            Some(Arc::new(PublicationId { by, id: id.into() }))
        }
        _ => return Err(damaged("an event with half an id".into())),
    };
    let data = match row.get_ref(2)? {
        ValueRef::Text(_) => Data::Json(row.get_ref(2)?.as_str()?.into()),
        ValueRef::Blob(bytes) => Data::Binary(bytes.into()),
        ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => {
            return Err(damaged("an event that is neither JSON nor bytes".into()));
        }
    };
    Ok(StreamEvent { seq: unsigned(row, 0)?, ts: Timestamp(row.get(1)?), data, id })
}

/// An event as its publisher sends it.
pub(super) struct PublishedEvent<'a> {
    pub(super) stream: &'a StreamId,
    pub(super) data: &'a Data,
    pub(super) keep: u64,
    pub(super) id: Option<&'a Arc<PublicationId>>,
}

impl PublishedEvent<'_> {
    /// The outcome if another event has its id; `None` if that one is no longer kept.
    fn outcome_of_repeat(&self, row: &StreamRow, first: &StreamEvent) -> Option<Outcome> {
        let StreamEvent { seq, ts, data, .. } = first;
        if seq.saturating_add(self.keep.max(1)) <= row.head {
            return None;
        }
        let earlier = Outcome::Earlier { seq: *seq, ts: *ts };
        Some(if data == self.data { earlier } else { Outcome::Mismatch })
    }
}

impl RecordWriter<'_> {
    /// Adds an event to its stream, which its first event creates.
    pub(super) fn publish(&self, event: &PublishedEvent<'_>, epoch: &Arc<str>) -> Result<Written> {
        let (db, name) = (self.db, event.stream);
        let mut row = match find_stream(db, name)? {
            Some(row) => row,
            None => {
                count(db, "streams", 1)?;
                let id = insert_stream(db, name, epoch)?;
                let epoch = Arc::clone(epoch);
                StreamRow { id, name: name.clone(), epoch, head: 0, ts: self.now, first: 1 }
            }
        };
        // A repeat is found in the transaction that would add it, as for messages.
        if let Some(first) = find_same_id(db, &row, event.id)? {
            match event.outcome_of_repeat(&row, &first) {
                Some(outcome) => return Ok(outcome.into()),
                // It is only not removed yet, so its id is free again.
                None => forget_id(db, row.id, first.seq)?,
            }
        }
        row.head += 1;
        row.ts = row.ts.max(self.now);
        let (seq, ts) = (row.head, row.ts);
        let (data, id) = (event.data.clone(), event.id.cloned());
        let stored = StreamEvent { seq, ts, data, id };
        insert_event(db, row.id, &stored)?;
        let kept_from = (row.head + 1).saturating_sub(event.keep.max(1)).max(row.first);
        let excess = kept_from - row.first;
        if excess > 0 && excess >= event.keep / SLACK_SHARE {
            row.first = kept_from.min(row.first + TRIM_ENTRIES_MAX);
            db.prepare_cached("DELETE FROM events WHERE stream = ?1 AND seq < ?2")?
                .execute([row.id, row.first as i64])?;
        }
        save_stream(db, &row)?;
        let StreamRow { name: stream, epoch, .. } = row;
        Ok(Written::Changed(StoreChange::Event { stream, epoch, event: stored }))
    }

    /// The outcome of an event that was published before with the same id, if that is kept.
    pub(super) fn published_before(&self, event: &PublishedEvent<'_>) -> Result<Option<Outcome>> {
        let Some(row) = find_stream(self.db, event.stream)? else { return Ok(None) };
        let first = find_same_id(self.db, &row, event.id)?;
        Ok(first.and_then(|first| event.outcome_of_repeat(&row, &first)))
    }
}

fn find_stream(db: &Connection, name: &StreamId) -> Result<Option<StreamRow>> {
    let sql = concat!("SELECT ", stream_columns!(), " FROM streams WHERE name = ?1");
    find_row(db, sql, [name.as_str()], stream_row)
}

/// The event that was published with this id, if it is still there.
fn find_same_id(
    db: &Connection,
    row: &StreamRow,
    id: Option<&Arc<PublicationId>>,
) -> Result<Option<StreamEvent>> {
    let Some(id) = id else { return Ok(None) };
    let key = (row.id, id.publisher(), &*id.id);
    let sql = concat!(
        "SELECT ",
        event_columns!(),
        " FROM events WHERE stream = ?1 AND by = ?2 AND id = ?3"
    );
    let found = find_row(db, sql, key, event)?;
    EVENTS.verified(db, key, found, |found| found.id.as_ref() == Some(id))
}

fn forget_id(db: &Connection, stream: i64, seq: u64) -> Result<()> {
    let sql = "UPDATE events SET by = NULL, id = NULL, \
         sum = row_sum('events', stream, seq, ts, data, NULL, NULL) WHERE stream = ?1 AND seq = ?2";
    db.prepare_cached(sql)?.execute(params![stream, seq as i64])?;
    Ok(())
}

/// Adds a row that has to be saved, without counting it.
pub(super) fn insert_stream(db: &Connection, name: &StreamId, epoch: &str) -> Result<i64> {
    let sql = "INSERT INTO streams (name, epoch, head, ts, first, sum) VALUES (?1, ?2, 0, 0, 1, 0)";
    db.prepare_cached(sql)?.execute([name.as_str(), epoch])?;
    Ok(db.last_insert_rowid())
}

pub(super) fn save_stream(db: &Connection, row: &StreamRow) -> Result<()> {
    let sql = "UPDATE streams SET head = ?4, ts = ?5, first = ?6, \
         sum = row_sum('streams', ?1, ?2, ?3, ?4, ?5, ?6) WHERE id = ?1";
    db.prepare_cached(sql)?.execute(params![
        row.id,
        row.name.as_str(),
        &*row.epoch,
        row.head as i64,
        row.ts.0,
        row.first as i64,
    ])?;
    Ok(())
}

pub(super) fn insert_event(db: &Connection, stream: i64, event: &StreamEvent) -> Result<()> {
    let data = match &event.data {
        Data::Json(text) => ValueRef::Text(text.as_bytes()),
        Data::Binary(bytes) => ValueRef::Blob(bytes),
    };
    let sql = "INSERT INTO events (stream, seq, ts, data, by, id, sum) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, row_sum('events', ?1, ?2, ?3, ?4, ?5, ?6))";
    db.prepare_cached(sql)?.execute(params![
        stream,
        event.seq as i64,
        event.ts.0,
        ToSqlOutput::Borrowed(data),
        event.id.as_ref().map(|id| id.publisher()),
        event.id.as_ref().map(|id| &*id.id),
    ])?;
    Ok(())
}

/// All streams, with as many of their newest events as are wanted. Checks that the newest event of
/// each is there.
pub(super) fn streams(db: &Connection, wanted: &EventsWanted<'_>) -> Result<Vec<StreamState>> {
    let rows: Vec<StreamRow> =
        db.prepare(STREAMS)?.query_map((), stream_row)?.collect::<Result<_>>()?;
    let mut left = wanted.all_bytes;
    let mut streams = Vec::with_capacity(rows.len());
    for row in rows {
        let keep = (wanted.keep)(&row.name);
        let events = newest(db, &row, keep, wanted.stream_bytes.min(left))?;
        left -= events.iter().map(StreamEvent::bytes).sum::<usize>().min(left);
        let StreamRow { name: stream, epoch, head, ts, .. } = row;
        streams.push(StreamState { stream, epoch, head, ts, events });
    }
    Ok(streams)
}

/// The newest events of a stream, oldest first.
fn newest(
    db: &Connection,
    row: &StreamRow,
    keep: u64,
    bytes_max: usize,
) -> Result<Vec<StreamEvent>> {
    let mut statement = db.prepare_cached(EVENTS_BACKWARD)?;
    let mut rows = statement.query([row.id])?;
    let mut events = Vec::new();
    let (mut bytes, mut expected) = (0, row.head);
    while expected >= row.first {
        let missing = || damaged(format!("stream {} has no event {expected}", row.name));
        let event = event(rows.next()?.ok_or_else(missing)?)?;
        if event.seq != expected {
            return Err(missing());
        }
        bytes += event.bytes();
        if events.len() as u64 >= keep || bytes > bytes_max {
            break;
        }
        events.push(event);
        expected -= 1;
    }
    events.reverse();
    Ok(events)
}
