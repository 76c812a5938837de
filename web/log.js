// A room's data, and the part of its log that this page holds, without a gap from `first` to `last`. It applies entries
// but fetches none. Messages arrive in their state at the time of the request, so a later change may already be in
// them: applying an entry twice changes nothing.

/** A history entry, in the form in which the client delivers live entries. */
export function entryOf({ type, payload }) {
  return { ...payload, type: type.slice(type.indexOf(':') + 1) };
}

// The newest changes kept for messages that are still to arrive.
const RECENT_MAX = 256;
// The most users that a history names for each reaction.
const NAMED_MAX = 20;

export class Log {
  /** The smallest `seq` covered, or null while nothing is known. */
  first = null;
  /** The position: every entry up to here was applied, or is older than the items held. */
  last = null;
  /** Whether the server keeps nothing older. */
  atStart = false;
  /** Messages, arrivals and departures, by `seq`. */
  items = [];
  /** The newest changes of any message, oldest first. */
  #recent = [];

  /** Starts after `head`; older entries can be prepended. */
  begin(head) {
    this.first = head + 1;
    this.last = head;
    this.atStart = head === 0;
    this.items = [];
    this.#recent = [];
  }

  /** Forgets everything, including the position. */
  reset() {
    this.first = null;
    this.last = null;
    this.atStart = false;
    this.items = [];
    this.#recent = [];
  }

  /**
   * Applies one entry at the end, in log order; returns whether it was new. The client delivers entries without a gap:
   * a missing number belongs to a kind that only later versions know.
   */
  append(entry) {
    if (this.last === null || entry.seq <= this.last) return false;
    // The position advances before handlers run: if one fails, the entry must not be delivered again.
    this.last = entry.seq;
    const item = shown(entry);
    // A message that arrives deleted never counts as unread; its deletion follows.
    if (item) this.items.push(Object.assign(item, { uncounted: item.deleted === true }));
    else if (CHANGES.has(entry.type)) this.#changed(entry);
    return true;
  }

  /**
   * Prepends a page of older entries. The page's changes are not applied, as newer ones may have followed: they belong
   * to messages in the page, which already contain them, or to older ones, which will. Changes that arrived while the
   * page was loading are applied, as it may lack them.
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

  /** Records a change at the end, of a message held or of one in a page still to arrive. */
  #changed(entry) {
    change(this.item(entry.target), entry);
    this.#recent.push(entry);
    if (this.#recent.length > RECENT_MAX) this.#recent.shift();
  }

  /** Drops the oldest items, keeping the newest `keep`. */
  trim(keep) {
    if (this.items.length <= keep) return;
    this.items = this.items.slice(-keep);
    this.first = this.items[0].seq;
    this.atStart = false;
  }

  /** The item with this `seq`, if held. */
  item(seq) {
    const at = this.indexFrom(seq);
    return this.items[at]?.seq === seq ? this.items[at] : undefined;
  }

  /** The index of the first item with at least this `seq`. */
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

  /** The number of others' messages after `seq`; null if not all of them are held. */
  unreadAfter(seq, self) {
    if (this.first === null || this.first > seq + 1) return null;
    let count = 0;
    for (let at = this.indexFrom(seq + 1); at < this.items.length; at += 1) if (countsFor(this.items[at], self)) count += 1;
    return count;
  }
}

/** Whether an item counts as unread for its reader `self`. */
export function countsFor(item, self) {
  return item.kind === 'message' && !item.deleted && item.from !== self;
}

/**
 * What is shown of an entry; null for entries that only change another one, and for kinds unknown to this page: they
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

/** Applies a change to its message, if there is one; a deleted message stays deleted. */
function change(item, entry) {
  if (item?.kind === 'message' && !item.deleted) CHANGES.get(entry.type)?.(item, entry);
}

/** An edit of a message that was deleted later has no text: the deletion follows. */
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

/** Larger rooms do not send others' marks. */
const MARKED_MEMBERS_MAX = 50;

/** Users by the `seq` that they have read up to. Nobody is listed at their own messages. */
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

/** A room, its log, and the user's position in it. */
export class Room {
  title = '';
  open = false;
  members = null;
  read = 0;
  unread = 0;
  /** The head up to which `unread` counts. */
  counted = 0;
  log = new Log();
  /** A direct conversation without a message. */
  draft = false;
  /** The user's role: `owner` or null. */
  role = null;
  /** The ids of its members, or of those received so far if there are many; null before. */
  people = null;
  /** Others' read marks, by user. */
  marks = new Map();
  /** The page being loaded. */
  loading = null;
  problem = null;
  /** The read mark known to the server; `read` may be ahead of it. */
  marked = 0;
  marking = false;
  markedAt = 0;

  constructor(name, self) {
    this.name = name;
    const pair = name.startsWith('dm:') ? name.slice(3).split(':') : null;
    this.peer = pair && (pair[0] === self ? pair[1] : pair[0]);
  }

  /** Records that a user has read up to here; a mark only moves forward. */
  mark(user, seq) {
    if (seq > (this.marks.get(user) ?? 0)) this.marks.set(user, seq);
  }
}
