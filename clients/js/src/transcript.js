// What a room shows: the entries of its log applied to one another, followed by unsent messages. The order is stable:
// log order, then sending order. It is independent of any framework.

import { Listeners, environment } from './env.js';

/** @typedef {import('./client.js').Client} Client */
/** @typedef {import('./errors.js').ParlorError} ParlorError */
/** @typedef {import('./outbox.js').Ticket} Ticket */
/** @typedef {import('./wire.js').Entry} Entry */
/** @typedef {Extract<Entry, { target: number }>} Change an entry that changes another */
/** @typedef {Exclude<Entry, Change>} RowEntry an entry that is a row */
/** @typedef {import('./room.js').Gap} Gap */
/** @typedef {import('./room.js').Room} Room */
/**
 * @typedef {object} MessageRow
 * @property {"message"} type
 * @property {string} key the same from when it is sent to when it is in the log, and ever after
 * @property {string | undefined} id its ticket's, if it is one's own
 * @property {number | undefined} seq none before it is on the server's disk
 * @property {string | undefined} from
 * @property {boolean} isOwn
 * @property {string | undefined} text none once it is deleted
 * @property {any} data
 * @property {number | undefined} replyTo
 * @property {number} ts ms since 1970
 * @property {import('./outbox.js').Status} status
 * @property {ParlorError | undefined} error why it has failed
 * @property {number} edited the `seq` of its newest edit, or 0
 * @property {boolean} deleted
 * @property {Record<string, string[]>} reactions who reacted, by emoji
 */
/** @typedef {{ type: "joined" | "left", key: string, seq: number, user: string, by?: string, ts: number }} MemberRow */
/** @typedef {{ type: "gap", key: string, after: number, before: number, reason: string }} GapRow */
/** @typedef {MessageRow | MemberRow | GapRow} Row */
/**
 * @typedef {object} Shown
 * @property {Row[]} rows all, from the oldest to the newest
 * @property {MessageRow[]} messages those of them that are messages
 * @property {boolean} hasOlder whether the log may have more before the first
 * @property {boolean} isFull as many are kept as may be: no older ones are loaded
 * @property {boolean} isLoaded whether the newest page was there
 * @property {boolean} isLoading
 * @property {ParlorError | null} error why the newest page, or an older one, did not come
 */
/**
 * A row with its place in the log, and up to which entry its state is known.
 * @typedef {{ at: number, asOf: number, row: Row }} Kept
 */

/** Rows that are kept, if not said otherwise; one page more while older ones are read. */
export const ROWS_MAX = 2_000;
/** Entries that are asked for at once. */
export const PAGE = 50;
const RETRY_MS = 2_000;

export class Transcript {
  #client;
  #name;
  #env;
  #limits;
  #listeners;
  #ends = new AbortController();
  /** Ends what listens to the room, which is another one for another user. */
  #bound = new AbortController();
  /** @type {Room} */
  #room;
  /** @type {Kept[]} in the order of the log */
  #kept = [];
  /** @type {Ticket[]} those on their way, and those on the disk of which the entry has not come yet */
  #tickets = [];
  /** The first entry and the last that were here, shown or not. */
  #first = Infinity;
  #last = 0;
  /** The last entry before some that were missed, as one was not in the room. @type {number | null} */
  #hole = null;
  #hasOlder = false;
  #isLoaded = false;
  /** Which load is the one that counts; the others are of a log or a room that was. */
  #loading = 0;
  #loads = 0;
  /** @type {Change[]} changes that came while a page did: they may be newer than it is */
  #changes = [];
  /** @type {ParlorError | null} */
  #error = null;
  /** @type {any} */
  #timer = null;
  /** @type {Shown | null} */
  #shown = null;

  /**
   * Begins to read a room, once one is a member.
   * @param {Client} client
   * @param {string} name
   * @param {{ max?: number, page?: number, env?: Partial<import('./env.js').Env> }} [options] `max` of rows
   */
  constructor(client, name, { max = ROWS_MAX, page = PAGE, env } = {}) {
    this.#client = client;
    this.#name = name;
    this.#env = environment(env);
    this.#limits = { max, page };
    this.#listeners = new Listeners(this.#env.report);
    this.#room = client.room(name);
    const { signal } = this.#ends;
    client.on('outbox', (room) => room === name && this.#collect(), { signal });
    client.on('rooms', (change) => (!change || (change.room === this.#room && change.what === 'membership')) && this.#settle(), { signal });
    client.on('state', () => this.#settle(), { signal });
    this.#bind();
    this.#collect();
    this.#settle();
  }

  /** What is to be shown; the same object until something has changed. @returns {Shown} */
  snapshot() {
    return (this.#shown ??= this.#show());
  }

  /** Is told of each change. @param {() => void} fn @param {{ signal?: AbortSignal }} [options] @returns {() => void} ends it */
  on(fn, options) {
    return this.#listeners.on('change', fn, options);
  }

  /** Reads what is before the first row; whether it did. @returns {Promise<boolean>} */
  async loadOlder() {
    if (!this.#isLoaded) return this.#load();
    const before = this.#kept.length;
    // A page may contain nothing to show, for instance only reactions.
    while (this.#hasOlder && !this.#isFull && this.#kept.length === before) {
      if (!(await this.#load(this.#first))) return false;
    }
    return this.#kept.length > before;
  }

  /** Sends one again that has failed. @param {string} id @returns {boolean} whether it goes */
  retry(id) {
    return this.#ticket(id)?.retry() ?? false;
  }

  /** Takes one back. @param {string} id @returns {boolean} whether that was still possible */
  cancel(id) {
    return this.#ticket(id)?.cancel() ?? false;
  }

  /** Reads no more. */
  close() {
    this.#ends.abort();
    this.#bound.abort();
    this.#env.clearTimeout(this.#timer);
  }

  /** Whether the newest page is here, and all since. */
  get #isWhole() {
    return this.#isLoaded && this.#hole === null;
  }

  get #isFull() {
    return this.#kept.length >= this.#limits.max;
  }

  /** @param {string} id */
  #ticket(id) {
    return this.#room.unsent.find((ticket) => ticket.id === id);
  }

  #bind() {
    this.#bound.abort();
    this.#bound = new AbortController();
    const { signal } = this.#bound;
    this.#room.on('entry', (entry) => this.#arrive(entry), { signal });
    this.#room.on('gap', (gap) => this.#gap(gap), { signal });
  }

  /** Reads the newest page, once one may, and again where entries were missed while one was not in the room. */
  #settle() {
    const room = this.#client.room(this.#name);
    if (room !== this.#room) {
      // The user has changed.
      this.#room = room;
      this.#bind();
      this.#forget();
      this.#collect();
    }
    const isBehind = !this.#isWhole || room.last > this.#last;
    const isThere = this.#client.state.name === 'online' && room.membership === 'member';
    if (isThere && isBehind && !this.#loading) void this.#load();
  }

  /** @param {number} [before] @returns {Promise<boolean>} */
  async #load(before) {
    if (this.#loading) return false;
    const own = (this.#loads += 1);
    this.#loading = own;
    this.#error = null;
    this.#changed();
    try {
      const page = await this.#room.history({ before, limit: this.#limits.page, signal: this.#ends.signal });
      if (own !== this.#loading) return false;
      this.#merge(page, before);
      return true;
    } catch (failure) {
      if (own === this.#loading) this.#fail(/** @type {ParlorError} */ (failure));
      return false;
    } finally {
      if (own === this.#loading) {
        this.#loading = 0;
        this.#changes = [];
        this.#prune();
        this.#changed();
        if (this.#hole !== null && !this.#error) this.#settle();
      }
    }
  }

  /** @param {ParlorError} error */
  #fail(error) {
    this.#error = error;
    // After a loss the next connection asks again.
    if (this.#isWhole || !error.passing || error.code === 'disconnected') return;
    this.#env.clearTimeout(this.#timer);
    this.#timer = this.#env.setTimeout(() => this.#settle(), RETRY_MS);
  }

  /** @param {{ entries: Entry[], head: number, more: boolean }} page @param {number} [before] */
  #merge({ entries, head, more }, before) {
    // So much has arrived meanwhile that the entries next to this page are gone.
    if (before !== undefined && before !== this.#first) return;
    const isNewest = before === undefined;
    const first = entries[0]?.seq ?? head + 1;
    const known = this.#hole ?? this.#last;
    if (isNewest && this.#isLoaded && first > known + 1) {
      // The entries between were never loaded: the older ones would seem adjacent to the new ones.
      this.#kept.splice(0, this.#place(known + 1));
      this.#first = first;
    }
    if (isNewest) this.#hole = null;
    // They are in their state at `head`: changes up to it are included.
    for (const entry of entries) if (isRow(entry)) this.#insert({ at: entry.seq, asOf: head, row: this.#rowOf(entry) });
    for (const change of this.#changes) this.#apply(change);
    if (first <= this.#first) {
      this.#first = first;
      this.#hasOlder = more && entries.length > 0;
    } else if (!this.#isLoaded) this.#hasOlder = this.#first > 1;
    if (isNewest) this.#last = Math.max(this.#last, head);
    this.#isLoaded = true;
  }

  /** @param {Entry} entry */
  #arrive(entry) {
    const isBehindHole = this.#isLoaded && entry.seq > this.#last + 1;
    if (isBehindHole) this.#hole ??= this.#last;
    if (entry.seq > this.#last) this.#last = entry.seq;
    this.#first = Math.min(this.#first, entry.seq);
    if (isRow(entry)) {
      this.#insert({ at: entry.seq, asOf: entry.seq, row: this.#rowOf(entry) });
      this.#trim();
    } else {
      if (this.#loading) this.#changes.push(entry);
      this.#apply(entry);
    }
    this.#prune();
    this.#changed();
    if (isBehindHole) this.#settle();
  }

  /** @param {Gap} gap */
  #gap({ after, before, reason }) {
    const key = `gap#${after}-${before}`;
    /** @type {Row} */
    const row = { type: 'gap', key, after, before, reason };
    if (reason === 'epoch_changed') {
      const wasLoaded = this.#isLoaded;
      this.#forget();
      if (wasLoaded) this.#insert({ at: 0, asOf: 0, row });
      return this.#changed();
    }
    // It is a gap here only if entries before it are held and none within it: another reader may have loaded older
    // ones.
    const next = this.#kept[this.#place(after + 1)]?.at ?? Infinity;
    const isHere = (this.#kept[0]?.at ?? Infinity) <= after && next >= before;
    this.#last = Math.max(this.#last, before - 1);
    if (isHere) this.#insert({ at: before - 0.5, asOf: 0, row });
    this.#prune();
    this.#changed();
  }

  #clear() {
    this.#kept = [];
    [this.#first, this.#last, this.#hole, this.#hasOlder, this.#isLoaded] = [Infinity, 0, null, false, false];
  }

  /** What is here, and what is asked for, is of another log or for another user. */
  #forget() {
    this.#clear();
    this.#loading = 0;
    this.#changes = [];
  }

  /** The place of the first that is not before this one. @param {number} at */
  #place(at) {
    let [low, high] = [0, this.#kept.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#kept[middle].at < at) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** @param {Kept} kept */
  #insert(kept) {
    const place = this.#place(kept.at);
    if (this.#kept[place]?.at !== kept.at) this.#kept.splice(place, 0, kept);
  }

  #trim() {
    const excess = this.#kept.length - this.#limits.max;
    if (excess <= 0) return;
    this.#kept.splice(0, excess);
    this.#first = Math.ceil(this.#kept[0].at);
    this.#hasOlder = true;
  }

  /** @param {Change} change */
  #apply(change) {
    const kept = this.#kept[this.#place(change.target)];
    if (kept?.at !== change.target || kept.row.type !== 'message' || change.seq <= kept.asOf) return;
    kept.asOf = change.seq;
    // A new row: the previous one, already shown, stays unchanged.
    kept.row = changed(kept.row, change);
  }

  /** @param {RowEntry} entry @returns {Row} */
  #rowOf(entry) {
    const { seq, ts } = entry;
    if (entry.type !== 'message') return { type: entry.type, key: `#${seq}`, seq, user: entry.user, by: entry.by, ts };
    const { type, from, cid, text, data, reply_to: replyTo, edited = 0, deleted = false, reactions = {} } = entry;
    const isOwn = from === this.#client.hello?.user.id;
    const id = isOwn ? cid : undefined;
    const about = { seq, from, isOwn, text, data, replyTo, ts, edited, deleted, reactions };
    return { type, key: id ?? `#${seq}`, id, ...about, status: 'acked', error: undefined };
  }

  #collect() {
    const unsent = this.#room.unsent;
    const acked = this.#tickets.filter((ticket) => ticket.status === 'acked' && !unsent.includes(ticket));
    this.#tickets = [...acked, ...unsent];
    // A ticket acknowledged by its own entry disappears in the same turn, when the entry arrives.
    this.#prune();
    this.#changed();
  }

  /** Those that are in the log as far as it is here are no longer on their way. */
  #prune() {
    this.#tickets = this.#tickets.filter(({ status, seq = 0 }) => status !== 'acked' || seq > this.#last);
  }

  #changed() {
    this.#shown = null;
    this.#listeners.emit('change');
  }

  /** @returns {Shown} */
  #show() {
    const durable = this.#kept.map(({ row }) => row);
    const keys = new Set(durable.map(({ key }) => key));
    const from = this.#client.hello?.user.id;
    const coming = this.#tickets.filter(({ id }) => !keys.has(id)).map((ticket) => onItsWay(ticket, from));
    const rows = [...durable, ...coming];
    const messages = /** @type {MessageRow[]} */ (rows.filter(({ type }) => type === 'message'));
    return {
      rows,
      messages,
      hasOlder: this.#hasOlder,
      isFull: this.#isFull,
      isLoaded: this.#isLoaded,
      isLoading: this.#loading > 0,
      error: this.#error,
    };
  }
}

/** @type {(entry: Entry) => entry is RowEntry} */
const isRow = (entry) => ['message', 'joined', 'left'].includes(entry.type);

/** @param {Ticket} ticket @param {string | undefined} from @returns {MessageRow} */
function onItsWay({ id, seq, text, data, kept, ts = kept.at, status, error }, from) {
  const about = { seq, from, isOwn: true, text, data, replyTo: kept.replyTo, ts, edited: 0, deleted: false, reactions: {} };
  return { type: 'message', key: id, id, ...about, status, error };
}

/** A message after an edit, a deletion or a reaction. @param {MessageRow} row @param {Change} change @returns {MessageRow} */
function changed(row, change) {
  if (row.deleted) return row;
  if (change.type === 'deleted') return { ...row, deleted: true, text: undefined, data: undefined, reactions: {} };
  if (change.type === 'reacted') {
    const { emoji, by, on } = change;
    const { [emoji]: before = [], ...others } = row.reactions;
    const users = before.filter((user) => user !== by);
    if (on) users.push(by);
    return { ...row, reactions: users.length > 0 ? { ...row.reactions, [emoji]: users } : others };
  }
  // In a replay the message already contains later edits; an edit of a message deleted later has no text.
  if (change.type !== 'edited' || change.seq <= row.edited || change.deleted) return row;
  return { ...row, text: change.text, edited: change.seq };
}
