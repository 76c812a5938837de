// The part of one room's log that this page holds: without a hole from `first` to `last`, and what it shows.
// It applies entries; it does not fetch any, and knows nothing of unread counts.

/** What an entry turned out to be: applied, already known, or beyond something that is missing. */
export const APPLIED = 'applied';
export const KNOWN = 'known';
export const GAP = 'gap';

export class Log {
  /** The smallest `seq` that is covered, or null as long as nothing is known. */
  first = null;
  /** The position: everything up to here was seen or is known to be older than what is held. */
  last = null;
  /** Nothing older is kept by the server. */
  atStart = false;
  /** Messages, arrivals and departures, by `seq`. */
  items = [];

  /** Starts behind `head`: what is older can be put before it. */
  begin(head) {
    this.first = head + 1;
    this.last = head;
    this.atStart = head === 0;
    this.items = [];
  }

  /** Forgets everything, the position included. */
  reset() {
    this.first = null;
    this.last = null;
    this.atStart = false;
    this.items = [];
  }

  /** Applies one entry at the end, in the order of the log. */
  append(type, entry) {
    if (this.last === null || entry.seq > this.last + 1) return GAP;
    if (entry.seq <= this.last) return KNOWN;
    // The position moves before anybody is told: a handler that fails must not make the entry come again.
    this.last = entry.seq;
    const item = shown(type, entry);
    if (item) this.items.push(item);
    else this.#change(type, entry);
    return APPLIED;
  }

  /**
   * Puts a page of older entries before what is held. Its messages carry their newest state already, so its edits,
   * deletions and reactions are not applied again: an old reaction would bring back what was since taken away.
   */
  prepend(entries, more) {
    const older = [];
    for (const { type, payload } of entries) {
      if (payload.seq >= this.first) continue;
      const item = shown(type, payload);
      if (item) older.push(item);
    }
    this.items = [...older, ...this.items];
    if (entries.length > 0) this.first = Math.min(this.first, entries[0].payload.seq);
    this.atStart = !more || this.first <= 1;
  }

  /** Gives up the oldest items, but for the newest `keep`. */
  trim(keep) {
    if (this.items.length <= keep) return;
    this.items = this.items.slice(-keep);
    this.first = this.items[0].seq;
    this.atStart = false;
  }

  /** The item with this `seq`, if it is held. */
  item(seq) {
    const at = this.indexFrom(seq);
    return this.items[at]?.seq === seq ? this.items[at] : undefined;
  }

  /** Where the items with at least this `seq` begin. */
  indexFrom(seq) {
    let low = 0;
    let high = this.items.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.items[middle].seq < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** How many messages of others, not deleted, come after `seq`; null if not all of them are held. */
  unreadAfter(seq, self) {
    if (this.first === null || this.first > seq + 1) return null;
    let count = 0;
    for (let at = this.indexFrom(seq + 1); at < this.items.length; at += 1) if (countsFor(this.items[at], self)) count += 1;
    return count;
  }

  #change(type, entry) {
    const item = this.item(entry.target);
    if (item === undefined || item.kind !== 'message') return;
    if (type === 'chat:edited' && !item.deleted && entry.seq > item.edited && !entry.deleted) {
      item.text = entry.text ?? item.text;
      item.edited = entry.seq;
    } else if (type === 'chat:deleted') {
      item.deleted = true;
      item.text = '';
      item.reactions.clear();
    } else if (type === 'chat:reacted') {
      const users = item.reactions.get(entry.emoji) ?? new Set();
      if (entry.on === false) users.delete(entry.by);
      else users.add(entry.by);
      if (users.size > 0) item.reactions.set(entry.emoji, users);
      else item.reactions.delete(entry.emoji);
    }
    item.revision += 1;
  }
}

/** Whether an item is one that its reader, `self`, would call unread. */
export function countsFor(item, self) {
  return item.kind === 'message' && item.from !== self && !item.deleted;
}

function shown(type, entry) {
  if (type === 'room:joined' || type === 'room:left') {
    return { kind: type, seq: entry.seq, from: entry.user, by: entry.by, ts: entry.ts, revision: 0 };
  }
  if (type !== 'chat:message') return null;
  return {
    kind: 'message',
    seq: entry.seq,
    from: entry.from,
    text: entry.deleted ? '' : entry.text ?? '',
    ts: entry.ts,
    cid: entry.cid,
    edited: entry.edited ?? 0,
    deleted: entry.deleted === true,
    reactions: new Map(Object.entries(entry.reactions ?? {}).map(([emoji, users]) => [emoji, new Set(users)])),
    replyTo: entry.reply_to,
    revision: 0,
  };
}
