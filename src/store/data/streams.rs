//! Durable streams: checks them, and moves them as lines of JSON.

use super::check::{Checker, shown};
use super::check_values::{is_epoch, is_short};
use super::lines::{EventLine, Line, StreamLine, is_data};
use super::{DataError, Result};
use crate::base::{Data, PublicationId, StreamEvent, StreamId, Timestamp, UserId};
use crate::store::events::{
    STREAMS, StreamRow, event, event_columns, insert_event, insert_stream, save_stream, stream_row,
};
use crate::store::rows::{damaged, each, find_row, parsed, unsigned};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rusqlite::Connection;
use std::sync::Arc;

/// The events of a stream, oldest first.
const EVENTS: &str =
    concat!("SELECT ", event_columns!(), " FROM events WHERE stream = ?1 ORDER BY seq");

impl Checker<'_> {
    /// Checks streams, and that the events of each are there, in order and without a hole.
    pub(super) fn streams(&mut self) -> rusqlite::Result<()> {
        each(self.db, STREAMS, (), |row| {
            self.done.streams += 1;
            let what = || format!("the row of stream {}", shown(row, 1));
            let Some(stream) = self.sound(stream_row(row), what)? else { return Ok(()) };
            let name = &stream.name;
            let is_right = !stream.epoch.is_empty() && is_epoch(&stream.epoch);
            self.rule(is_right, || format!("the epoch of stream {name} is none"));
            let events = format!("the events of stream {name}");
            self.part(&events, |checker| checker.events(&stream))
        })?;
        self.counted("streams", self.done.streams)
    }

    fn events(&mut self, stream: &StreamRow) -> rusqlite::Result<()> {
        let (name, head) = (&stream.name, stream.head);
        let (mut expected, mut last) = (stream.first, Timestamp(i64::MIN));
        each(self.db, EVENTS, [stream.id], |row| {
            self.done.events += 1;
            self.one_more();
            let what = || format!("event {} of stream {name}", shown(row, 0));
            let read = self.sound(event(row), what)?;
            let seq = read.as_ref().map_or(expected, |event| event.seq);
            let broken = || format!("stream {name} goes on with {seq}, and not {expected}");
            self.rule(seq == expected, broken);
            expected = seq.saturating_add(1);
            let Some(event) = read else { return Ok(()) };
            let broken = || format!("event {seq} of stream {name} is before the last one");
            self.rule(event.ts >= last, broken);
            last = event.ts;
            if let Data::Json(text) = &event.data {
                let broken = || format!("event {seq} of stream {name} is not JSON as it is sent");
                self.rule(is_data(text), broken);
            }
            match &event.id {
                Some(id) => self.publication(stream, seq, id),
                None => Ok(()),
            }
        })?;
        let end = expected.saturating_sub(1);
        let broken = || format!("stream {name} ends with {end}, and should with {head}");
        self.rule(expected == head.saturating_add(1), broken);
        let broken = || format!("the newest event of stream {name} has another time");
        self.rule(last <= stream.ts, broken);
        Ok(())
    }

    /// Checks that the index of publications leads to an event that has an id.
    fn publication(
        &mut self,
        stream: &StreamRow,
        seq: u64,
        id: &PublicationId,
    ) -> rusqlite::Result<()> {
        let name = &stream.name;
        let broken = || format!("the id of event {seq} of stream {name} is none");
        self.rule(!id.id.is_empty() && is_short(&id.id), broken);
        let sql = "SELECT seq FROM events INDEXED BY events_by_id \
             WHERE stream = ?1 AND by = ?2 AND id = ?3 AND id IS NOT NULL";
        let key = (stream.id, id.publisher(), &*id.id);
        let found = find_row(self.db, sql, key, |row| unsigned(row, 0))?;
        let broken = || format!("the index of ids does not lead to event {seq} of stream {name}");
        self.rule(found == Some(seq), broken);
        Ok(())
    }
}

/// Hands the lines of all streams to `put`.
pub(super) fn export(db: &Connection, put: &mut dyn FnMut(&Line<'_>) -> Result<()>) -> Result<()> {
    let rows: Vec<StreamRow> =
        db.prepare(STREAMS)?.query_map((), stream_row)?.collect::<rusqlite::Result<_>>()?;
    let mut statement = db.prepare(EVENTS)?;
    for stream in rows {
        let name = stream.name.as_str();
        put(&Line::Stream(StreamLine {
            stream: name.into(),
            epoch: (&*stream.epoch).into(),
            head: stream.head,
            ts: stream.ts.0,
            first: stream.first,
        }))?;
        let mut rows = statement.query([stream.id])?;
        let mut expected = stream.first;
        while let Some(row) = rows.next()? {
            let StreamEvent { seq, ts, data, id } = event(row)?;
            if seq != expected {
                break;
            }
            expected += 1;
            let (data, bytes) = match &data {
                Data::Json(text) => (Some((&**text).into()), None),
                Data::Binary(bytes) => (None, Some(STANDARD.encode(bytes).into())),
            };
            let by = id.as_ref().and_then(|id| id.by.as_ref()).map(|by| by.as_str().into());
            let id = id.as_ref().map(|id| (&*id.id).into());
            let stream = name.into();
            put(&Line::Event(EventLine { stream, seq, ts: ts.0, data, bytes, by, id }))?;
        }
        if expected != stream.head + 1 {
            return Err(damaged(format!("some of stream {name} is not there")).into());
        }
    }
    Ok(())
}

/// Puts a stream into a new store. If the store gets another epoch, so does the stream.
pub(super) fn put_stream(
    db: &Connection,
    line: &StreamLine<'_>,
    new_epoch: Option<&str>,
) -> Result<()> {
    let name = parsed(StreamId::parse(&line.stream))?;
    let epoch = new_epoch.unwrap_or(&line.epoch);
    let id = insert_stream(db, &name, epoch)?;
    let (head, first) = (line.head, line.first);
    let ts = Timestamp(line.ts);
    save_stream(db, &StreamRow { id, name, epoch: epoch.into(), head, ts, first })?;
    Ok(())
}

/// Puts an event into a new store, which has its stream already.
pub(super) fn put_event(db: &Connection, line: &EventLine<'_>) -> Result<()> {
    let wrong = |what: &str| DataError::Line(0, what.to_owned());
    let data = match (&line.data, &line.bytes) {
        (Some(text), None) => Data::Json((&**text).into()),
        (None, Some(bytes)) => {
            let bytes = STANDARD.decode(&**bytes).map_err(|_| wrong("its bytes are not Base64"))?;
            Data::Binary(bytes.into())
        }
        (Some(_), Some(_)) | (None, None) => return Err(wrong("an event has data, or bytes")),
    };
    let by = line.by.as_ref().map(|by| parsed(UserId::parse_any(by))).transpose()?;
    let id = match (&line.id, by) {
        (Some(id), by) => Some(Arc::new(PublicationId { by, id: (&**id).into() })),
        (None, None) => None,
        (None, Some(_)) => return Err(wrong("an event has `by` with its `id` alone")),
    };
    let sql = "SELECT id FROM streams WHERE name = ?1";
    let stream: Option<i64> = find_row(db, sql, [&*line.stream], |row| row.get(0))?;
    let stream = stream.ok_or_else(|| wrong("its stream has not come yet"))?;
    insert_event(db, stream, &StreamEvent { seq: line.seq, ts: Timestamp(line.ts), data, id })?;
    Ok(())
}
