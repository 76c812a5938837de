// One room: what is known of it, and the part of its log that this page holds, without a hole from `first` to `last`.
// It applies entries; it does not fetch any. Messages come as they are when the server is asked, so an entry that
// changes one may be known by it already: to apply an entry again changes nothing.

/** An entry of a history, as the client gives those that come live. */
export function entryOf({ type, payload }) {
  return { ...payload, type: type.slice(type.indexOf(':') + 1) };
}

// So many of the newest changes are kept for messages that are on their way.
const RECENT_MAX = 256;
// So many of those who reacted are named in a history, of each reaction.
const NAMED_MAX = 20;

export class Log {
  /** The smallest `seq` that is covered, or null as long as nothing is known. */
  first = null;
  /** The position: everything up to here was seen or is known to be older than what is held. */
  last = null;
  /** Nothing older is kept by the server. */
  atStart = false;
  /** Messages, arrivals and departures, by `seq`. */
  items = [];
  /** The newest changes, of whatever message, oldest first. */
  #recent = [];

  /** Starts behind `head`: what is older can be put before it. */
  begin(head) {
    this.first = head + 1;
    this.last = head;
    this.atStart = head === 0;
    this.items = [];
    this.#recent = [];
  }

  /** Forgets everything, the position included. */
  reset() {
    this.first = null;
    this.last = null;
    this.atStart = false;
    this.items = [];
    this.#recent = [];
  }

  /**
   * Applies one entry at the end, in the order of the log; returns whether it was new. The client hands them over without
   * a hole: a number between that never comes is of a kind that only later versions know.
   */
  append(entry) {
    if (this.last === null || entry.seq <= this.last) return false;
    // The position moves before anybody is told: a handler that fails must not make the entry come again.
    this.last = entry.seq;
    const item = shown(entry);
    // What comes as deleted is never counted as unread, and its deletion follows.
    if (item) this.items.push(Object.assign(item, { uncounted: item.deleted === true }));
    else if (CHANGES.has(entry.type)) this.#changed(entry);
    return true;
  }

  /**
   * Puts a page of older entries before what is held. The changes in it are those of messages in it, which show them,
   * or of older ones, which will: they are not applied, as newer ones may have followed. But what came while the page
   * was on its way need not be in it.
   */
  prepend(entries, more) {
    const older = [];
    for (const entry of entries) {
      if (entry.seq >= this.first) continue;
      const item = shown(entry);
      if (item) older.push(item);
    }
    const bySeq = new Map(older.map((item) => [item.seq, item]));
    for (const entry of this.#recent) change(bySeq.get(entry.target), entry);
    this.items = [...older, ...this.items];
    if (entries.length > 0) this.first = Math.min(this.first, entries[0].seq);
    this.atStart = !more || this.first <= 1;
  }

  /** A change at the end: of a message that is held, or of one that may be when its page comes. */
  #changed(entry) {
    change(this.item(entry.target), entry);
    this.#recent.push(entry);
    if (this.#recent.length > RECENT_MAX) this.#recent.shift();
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
  return item.kind === 'message' && !item.deleted && item.from !== self;
}

/**
 * What is shown of an entry; null for those that only change another, and for kinds that this page does not know: they
 * only count as seen.
 */
function shown({ type, seq, ts, from, user, text, cid, reply_to: replyTo, edited, deleted, reactions }) {
  if (type === 'joined' || type === 'left') return { kind: type, seq, from: user, ts };
  if (type !== 'message') return null;
  const item = { kind: 'message', seq, from, text: text ?? '', ts, cid, replyTo, edited: edited ?? 0, deleted: false, reactions: new Map() };
  if (deleted) remove(item);
  else for (const [emoji, users] of Object.entries(reactions ?? {})) item.reactions.set(emoji, { users: [...users], more: users.length >= NAMED_MAX });
  return item;
}

const CHANGES = new Map([['edited', edit], ['deleted', remove], ['reacted', react]]);

/** Applies a change to its message, if there is one; what was deleted stays so. */
function change(item, entry) {
  if (item?.kind === 'message' && !item.deleted) CHANGES.get(entry.type)?.(item, entry);
}

/** An edit of what was deleted since has no text: the deletion follows. */
function edit(item, { seq, text, deleted }) {
  if (deleted || seq <= item.edited) return;
  item.text = text ?? '';
  item.edited = seq;
}

function remove(item) {
  item.deleted = true;
  item.text = '';
  item.edited = 0;
  item.reactions.clear();
}

function react(item, { emoji, on, by }) {
  const { users, more } = item.reactions.get(emoji) ?? { users: [], more: false };
  const others = users.filter((user) => user !== by);
  if (on && others.length < users.length) return;
  if (on) item.reactions.set(emoji, { users: [...users, by], more });
  else if (others.length > 0 || more) item.reactions.set(emoji, { users: others, more });
  else item.reactions.delete(emoji);
}

/** In larger rooms nobody is told of others' marks. */
const MARKED_MEMBERS_MAX = 50;

/** Who has read up to which message: users by its `seq`. Nobody is said to have read what they wrote themselves. */
export function readersOf({ log, marks, members, peer }, self) {
  const readers = new Map();
  if (peer === null && (members === null || members > MARKED_MEMBERS_MAX)) return readers;
  for (const [user, seq] of marks) {
    let at = log.indexFrom(seq + 1) - 1;
    while (at >= 0 && log.items[at].kind !== 'message') at -= 1;
    const item = log.items[at];
    if (user === self || item === undefined || item.from === user) continue;
    readers.set(item.seq, [...(readers.get(item.seq) ?? []), user].sort());
  }
  return readers;
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
  /** What one is in it: `owner`, or no more than others. */
  role = null;
  /** Ids of its members, or of those that were told if they are many; null before. */
  people = null;
  /** How far others have read, by user. */
  marks = new Map();
  /** The page that is being asked for. */
  loading = null;
  problem = null;
  /** The read mark as the server knows it; `read` may be ahead of it. */
  marked = 0;
  marking = false;
  markedAt = 0;

  constructor(name, self) {
    this.name = name;
    const pair = name.startsWith('dm:') ? name.slice(3).split(':') : null;
    this.peer = pair && (pair[0] === self ? pair[1] : pair[0]);
  }

  /** Somebody has read up to here; a mark only ever moves forward. */
  mark(user, seq) {
    if (seq > (this.marks.get(user) ?? 0)) this.marks.set(user, seq);
  }
}
