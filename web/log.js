// One room: what is known of it, and the part of its log that this page holds, without a hole from `first` to `last`.
// It applies entries; it does not fetch any.

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
    return APPLIED;
  }

  /** Puts a page of older entries before what is held. */
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

  /** How many messages of others come after `seq`; null if not all of them are held. */
  unreadAfter(seq, self) {
    if (this.first === null || this.first > seq + 1) return null;
    let count = 0;
    for (let at = this.indexFrom(seq + 1); at < this.items.length; at += 1) if (countsFor(this.items[at], self)) count += 1;
    return count;
  }
}

/** Whether an item is one that its reader, `self`, would call unread. */
export function countsFor(item, self) {
  return item.kind === 'message' && item.from !== self;
}

/** What is shown of an entry; null for kinds that this page does not know: they only count as seen. */
function shown(type, { seq, ts, from, user, text, cid, reply_to: replyTo }) {
  if (type === 'room:joined' || type === 'room:left') return { kind: type, seq, from: user, ts };
  if (type === 'chat:message') return { kind: 'message', seq, from, text: text ?? '', ts, cid, replyTo };
  return null;
}

/**
 * Whether a push is an entry of a room's log: those have a place in it and a time. One of a kind that is not known here
 * is seen, too; otherwise it would look like a hole.
 */
export function isEntry({ room, seq, ts }) {
  return typeof room === 'string' && Number.isInteger(seq) && Number.isInteger(ts);
}

/** The room of two people's direct messages. */
export function directRoom(one, other) {
  return `dm:${[one, other].sort().join(':')}`;
}

/** A room, its log, and where one is in it. */
export class Room {
  title = '';
  open = false;
  members = null;
  read = 0;
  unread = 0;
  /** The head up to which `unread` has counted already. */
  counted = 0;
  log = new Log();
  /** A direct conversation in which nobody has written yet. */
  draft = false;
  loading = false;
  problem = null;
  held = [];
  filling = false;
  /** A head that the server told and that the log has yet to reach. */
  target = 0;
  /** The read mark as the server knows it; `read` may be ahead of it. */
  marked = 0;
  marking = false;
  markedAt = 0;

  constructor(name, self) {
    this.name = name;
    const pair = name.startsWith('dm:') ? name.slice(3).split(':') : null;
    this.peer = pair && (pair[0] === self ? pair[1] : pair[0]);
  }
}
