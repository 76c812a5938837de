//! Derives what a store has and its export does not: the reactions that hold, and how many rows
//! there are.

use rusqlite::{Connection, Result};

/// Derives these in a store that has none of them.
pub(super) fn derive(db: &Connection) -> Result<()> {
    db.execute_batch(
        "-- The newest of each user's reactions of one kind to a message, if it is one that holds.
         INSERT INTO reactions (room, target, emoji, user, seq, sum)
         SELECT room, target, emoji, user, seq,
                row_sum('reactions', room, target, emoji, user, seq)
         FROM (SELECT room, target, emoji, user, max(seq) AS seq, is_on FROM entries
               WHERE kind = 'reacted' AND target IS NOT NULL
               GROUP BY room, target, kind, user, emoji) AS newest
         WHERE is_on = 1 AND EXISTS (
             SELECT 1 FROM entries AS message
             WHERE message.room = newest.room AND message.seq = newest.target
               AND message.kind = 'message' AND message.deleted IS NULL);
         UPDATE entries SET reacted = counted.reactions,
             sum = row_sum('entries', entries.room, seq, ts, kind, user, by, text, data, reply_to,
                 entries.target, emoji, is_on, cid, digest, messages, edited, deleted,
                 counted.reactions)
         FROM (SELECT room, target, count(*) AS reactions FROM reactions GROUP BY room, target)
             AS counted
         WHERE entries.room = counted.room AND entries.seq = counted.target;
         UPDATE rooms SET people = (SELECT count(*) FROM members WHERE members.room = rooms.id)
             + (SELECT count(*) FROM invites WHERE invites.room = rooms.id)
             + (SELECT count(*) FROM bans WHERE bans.room = rooms.id);
         UPDATE rooms SET sum = row_sum('rooms', id, name, title, open, ended, owner, head,
             messages, ts, first, first_ts, first_messages, people);
         UPDATE meta SET value = (SELECT CAST(count(*) AS TEXT) FROM rooms) WHERE key = 'rooms';
         UPDATE meta SET value = (SELECT CAST(count(*) AS TEXT) FROM users) WHERE key = 'users';
         UPDATE meta SET value = (SELECT CAST(count(*) AS TEXT) FROM revocations)
             WHERE key = 'revocations';
         UPDATE meta SET value = (SELECT CAST(count(*) AS TEXT) FROM streams)
             WHERE key = 'streams';
         UPDATE meta SET sum = row_sum('meta', key, value);",
    )
}
