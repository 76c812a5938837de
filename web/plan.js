// Plans a log's rows from top to bottom: days, the line before new items, messages, people coming and going, and
// pending messages. It is recomputed from all items at every change; nothing here touches the page.

import { countsFor } from './log.js';

const GROUP_MS = 5 * 60_000;

/** The day of a moment, as an interval: computed once a day, not once a message. */
function dayOf(ts) {
  const from = new Date(ts).setHours(0, 0, 0, 0);
  return { from, to: new Date(from).setDate(new Date(from).getDate() + 1) };
}

/**
 * The rows: `items` of the log, then `pending`; items after `newAfter` are marked as new. Each row has a stable `key`
 * and a `kind`: `day {ts}`, `new`, `notes {notes}` or `message {item, continued, place}`.
 */
export function planned({ items, pending, newAfter, self }) {
  const rows = [];
  let before = null;
  let day = { from: 0, to: 0 };
  let isMarked = newAfter === null;
  let place = 0;
  for (let at = 0; at < items.length; at += 1) {
    const item = items[at];
    if (item.ts < day.from || item.ts >= day.to) {
      day = dayOf(item.ts);
      rows.push({ kind: 'day', key: `day ${day.from}`, ts: item.ts });
      before = null;
    }
    if (!isMarked && item.seq > newAfter && countsFor(item, self)) {
      rows.push({ kind: 'new', key: 'new' });
      isMarked = true;
      before = null;
    }
    if (item.kind === 'message') {
      rows.push({ kind: 'message', key: keyOf(item, self), item, continued: follows(before, item), place: (place += 1) });
      before = item;
    } else {
      const notes = [item];
      while (items[at + 1]?.kind === item.kind && items[at + 1].ts < day.to) notes.push(items[(at += 1)]);
      rows.push({ kind: 'notes', key: `s${item.seq}`, notes });
      before = null;
    }
  }
  for (const one of pending) {
    const item = { ...one, kind: 'message', from: self, seq: null };
    rows.push({ kind: 'message', key: keyOf(item, self), item, continued: follows(before, item), place: (place += 1) });
    before = item.status === 'failed' ? null : item;
  }
  return rows;
}

/** The user's own message keeps its row from sending to the stored entry. */
function keyOf(item, self) {
  return item.from === self && item.cid ? `c${item.cid}` : `s${item.seq}`;
}

/** Whether a message continues the one before it: same author, and soon after. */
function follows(before, item) {
  return before !== null && before.from === item.from && item.ts - before.ts < GROUP_MS;
}
