// Which rows a log has, from top to bottom: days, the line before what is new, messages, people coming and going, and
// what is on its way. It is made anew with every change, of all that is held; nothing here touches the page.

import { countsFor } from './log.js';

const GROUP_MS = 5 * 60_000;

/** The day of a moment, from when to when it lasts: asked for once a day, not once a message. */
function dayOf(ts) {
  const from = new Date(ts).setHours(0, 0, 0, 0);
  return { from, to: new Date(from).setDate(new Date(from).getDate() + 1) };
}

/**
 * The rows. `items` of the log, then `pending`; what came after `newAfter` is marked as new. Each has a `key` that
 * stays, and a `kind`: `day {ts}`, `new`, `notes {notes}` or `message {item, continued, place}`.
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

/** One's own message keeps its row from the first moment to the stored entry. */
function keyOf(item, self) {
  return item.from === self && item.cid ? `c${item.cid}` : `s${item.seq}`;
}

/** Whether a message goes on where the one before it ended: same author, and soon. */
function follows(before, item) {
  return before !== null && before.from === item.from && item.ts - before.ts < GROUP_MS;
}
