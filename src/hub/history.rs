//! Pages of a room's log, read from memory if possible and from the store otherwise.

use super::cursor::Cursor;
use super::hub::Hub;
use super::manage::Progress;
use super::pending::Pending;
use super::request::Requester;
use super::room::{Room, RoomIx};
use crate::base::request::Part;
use crate::base::{Answer, Effect, Effects, Entry, Query, Refusal, RoomId};
use std::sync::Arc;

impl Hub {
    /// The room, if the asker may read its log (a member or the embedding program).
    pub(super) fn room_of_reader(
        &self,
        asker: &Requester,
        id: &RoomId,
    ) -> Result<(RoomIx, &Room), Refusal> {
        if asker.is_program {
            return self.room(id).ok_or(asker.stranger());
        }
        self.room_of_member(asker, id).map(|(ix, room, _)| (ix, room))
    }

    pub(super) fn history(
        &mut self,
        asker: &Requester,
        name: &RoomId,
        part: Part,
        limit: usize,
        effects: &mut Effects,
    ) -> Progress {
        let (room, of_room) = self.room_of_reader(asker, name)?;
        let limit = limit.min(self.settings.limits.page as usize);
        let (head, kept) = (of_room.head, of_room.first);
        let (first, last, from_end) = match part {
            Part::Newest => (kept, head, true),
            Part::Before(seq) => (kept, head.min(seq.saturating_sub(1)), true),
            Part::After(seq) if seq.saturating_add(1) < kept => return Err(Refusal::gone(kept)),
            Part::After(seq) => (seq.saturating_add(1), head, false),
        };
        if first > last {
            return Ok(Some(self.history_answer(asker, room, Vec::new(), part)));
        }
        // The newest page is usually in memory.
        let oldest = of_room.oldest_recent();
        let from =
            if from_end { first.max((last + 1).saturating_sub(limit as u64)) } else { first };
        if from >= oldest {
            let recent = of_room.recent(from).into_iter().flatten();
            let page = recent.take_while(|entry| entry.seq <= last).take(limit);
            let page: Vec<_> = page.map(Arc::clone).collect();
            return Ok(Some(self.history_answer(asker, room, page, part)));
        }
        let query = Query {
            room: name.clone(),
            first,
            last,
            entries_max: limit,
            bytes_max: self.settings.limits.page_bytes as usize,
            from_end,
        };
        let pending = Pending::History { asker: asker.clone(), room, part, limit };
        let ticket = self.ticket(pending);
        if let Some(conn) = asker.origin.conn()
            && let Some(connection) = self.connections.get_mut(conn)
        {
            connection.pages += 1;
        }
        effects.push(Effect::Load { ticket, query });
        Ok(None)
    }

    /// A page has come from the store. The newest page is extended to the current head from memory.
    pub(super) fn page_of_now(
        &self,
        room: RoomIx,
        page: Vec<Entry>,
        part: Part,
        limit: usize,
    ) -> Vec<Arc<Entry>> {
        let of_room = &self.rooms[room];
        let kept = page.into_iter().filter(|entry| entry.seq >= of_room.first);
        let mut entries: Vec<Arc<Entry>> = kept.map(Arc::new).collect();
        if part == Part::Newest
            && let Some(last) = entries.last().map(|entry| entry.seq)
            && let Some(since) = of_room.recent(last + 1)
        {
            entries.extend(since.map(Arc::clone));
            let mut budget = self.settings.limits.page_bytes as usize;
            let fits = |entry: &&Arc<Entry>| {
                let is_within = entry.weight() <= budget;
                budget = budget.saturating_sub(entry.weight());
                is_within
            };
            let count = entries.iter().rev().take(limit).take_while(fits).count().max(1);
            entries.drain(..entries.len() - count);
        }
        entries
    }

    /// Answers with a page. A room whose `resume` was refused goes live from the head in this
    /// answer.
    pub(super) fn history_answer(
        &mut self,
        asker: &Requester,
        room: RoomIx,
        entries: Vec<Arc<Entry>>,
        part: Part,
    ) -> Answer {
        if let Some(conn) = asker.origin.conn()
            && let Some(cursor) = self.cursor(conn, room)
            && *cursor == Cursor::Refused
        {
            *cursor = Cursor::Live;
        }
        let of_room = &self.rooms[room];
        let more = match part {
            Part::Newest | Part::Before(_) => {
                entries.first().is_some_and(|entry| entry.seq > of_room.first)
            }
            Part::After(_) => entries.last().is_some_and(|entry| entry.seq < of_room.head),
        };
        Answer::History {
            room: of_room.name.clone(),
            entries,
            asker: asker.user.clone(),
            head: of_room.head,
            more,
        }
    }
}
