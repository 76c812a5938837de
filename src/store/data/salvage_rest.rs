//! Keeps what is sound of a damaged store beside its rooms: names, revocations, durable streams.

use super::check::shown;
use super::readable_rows::{Sql, if_readable};
use super::salvage::Salvage;
use crate::base::StreamEvent;
use crate::store::events::{
    EVENTS_BACKWARD, StreamRow, event, insert_event, insert_stream, save_stream, stream_columns,
    stream_row,
};
use crate::store::revocations::{REVOCATIONS, put, revocation, revocation_columns};
use crate::store::rows::{INSERT_USER, USERS, each, unsigned};
use crate::store::sums::check;
use std::collections::BTreeSet;

impl Salvage<'_> {
    /// Keeps names with undamaged rows.
    pub(super) fn users(&mut self) -> Sql<()> {
        let mut bad = Vec::new();
        let read = each(self.old, USERS, (), |row| {
            let user = check(row, 2, "").and_then(|()| Ok((row.get(0)?, row.get(1)?)));
            match if_readable::<(String, String)>(user)? {
                Some(user) => self.new.prepare_cached(INSERT_USER)?.execute(user).map(drop),
                None => {
                    bad.push(shown(row, 0));
                    Ok(())
                }
            }
        });
        if if_readable(read)?.is_none() {
            self.lost(None, "some users' names cannot be read".into());
        }
        for user in bad {
            self.lost(None, format!("the name of user {user} is lost"));
        }
        Ok(())
    }

    /// Keeps revocations with undamaged rows. A lost one lets a token in again, so they are read
    /// from both ends if a place cannot be read.
    pub(super) fn revocations(&mut self) -> Sql<()> {
        let new = self.new;
        let (mut lost, mut is_whole) = (BTreeSet::new(), false);
        let backward = concat!(
            "SELECT ",
            revocation_columns!(),
            " FROM revocations ORDER BY kind DESC, key DESC"
        );
        for sql in [REVOCATIONS, backward] {
            let read = each(self.old, sql, (), |row| match if_readable(revocation(row))? {
                Some(revocation) => put(new, &revocation),
                None => {
                    lost.insert(format!("the revocation of {} {}", shown(row, 0), shown(row, 1)));
                    Ok(())
                }
            });
            is_whole = if_readable(read)?.is_some();
            if is_whole {
                break;
            }
        }
        let kept = new.query_row("SELECT count(*) FROM revocations", (), |row| unsigned(row, 0))?;
        let found = kept + lost.len() as u64;
        for what in lost {
            self.lost(None, format!("{what} is lost"));
        }
        self.are_all("revocations", found, is_whole);
        Ok(())
    }

    /// Keeps streams with undamaged rows, each with the newest of its sound events that have no
    /// hole between them. They get `epoch`, because lost events had numbers, too.
    pub(super) fn streams(&mut self, epoch: &str) -> Sql<()> {
        for table in ["streams", "events"] {
            if self.old.prepare(&format!("SELECT 1 FROM {table}")).is_err() {
                self.lost(None, format!("the durable streams are lost, as there are no {table}"));
                return Ok(());
            }
        }
        let (mut sound, mut lost) = (Vec::new(), Vec::new());
        let sql = concat!("SELECT ", stream_columns!(), " FROM streams ORDER BY id");
        let read = each(self.old, sql, (), |row| {
            match if_readable(stream_row(row))? {
                Some(stream) => sound.push(stream),
                None => lost.push(format!("stream {} is lost", shown(row, 1))),
            }
            Ok(())
        });
        let is_whole = if_readable(read)?.is_some();
        let found = (sound.len() + lost.len()) as u64;
        for what in lost {
            self.lost(None, what);
        }
        self.are_all("streams", found, is_whole);
        for stream in sound {
            self.stream(stream, epoch)?;
        }
        Ok(())
    }

    fn stream(&mut self, old: StreamRow, epoch: &str) -> Sql<()> {
        let new = self.new;
        let id = insert_stream(new, &old.name, epoch)?;
        let mut row = StreamRow { id, epoch: epoch.into(), ..old.clone() };
        // The newest sound event becomes the head.
        let mut next: Option<u64> = None;
        let mut is_over = false;
        let read = each(self.old, EVENTS_BACKWARD, [old.id], |found| {
            let Some(event) = if_readable(event(found))? else {
                is_over = next.is_some();
                return Ok(());
            };
            let StreamEvent { seq, .. } = event;
            let is_next = next.is_none_or(|next| next == seq);
            if is_over || !is_next || seq < old.first || seq > old.head {
                is_over |= next.is_some();
                return Ok(());
            }
            if next.is_none() {
                row.head = seq;
            }
            next = Some(seq - 1);
            insert_event(new, id, &event)
        });
        let is_whole = if_readable(read)?.is_some();
        row.first = next.map_or(row.head + 1, |before| before + 1);
        save_stream(new, &row)?;
        let name = old.name;
        if row.head != old.head || row.first != old.first || !is_whole {
            let kept = (row.head + 1).saturating_sub(row.first);
            let had = (old.head + 1).saturating_sub(old.first);
            self.lost(None, format!("of {had} events of stream {name} the newest {kept} are kept"));
        }
        Ok(())
    }
}
