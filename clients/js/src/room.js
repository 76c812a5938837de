// A room: a log of entries, each delivered once, in order and without a gap; and its state outside the log: who is
// typing, what was read.

import { ENTRY, isEntry } from './entries.js';
import { Listeners, onAbort, rest } from './env.js';
import { ParlorError } from './errors.js';

/** @typedef {import('./env.js').Env} Env */
/** @typedef {import('./outbox.js').Outbox} Outbox */
/** @typedef {import('./outbox.js').Ticket} Ticket */
/** @typedef {import('./wire.js').Entry} Entry */
/** @typedef {import('./wire.js').EntryType} EntryType */
/**
 * What a room tells of.
 * @typedef {{ [T in EntryType]: Extract<Entry, { type: T }> } & { entry: Entry, gap: Gap, read: import('./wire.js').Mark,
 *   delivered: import('./wire.js').Mark, typing: import('./wire.js').Typing, removed: import('./wire.js').Removal,
 *   updated: import('./wire.js').Update, refused: ParlorError }} RoomEvents
 */
/** @typedef {{ room: Room, what: "entry", value: Entry } | { room: Room, what: "read" | "typing" | "membership", value?: undefined }} RoomChange */
/** A part of the log that is not kept any more, or that of an earlier one. @typedef {{ room: string, after: number, before: number, reason: string }} Gap */
/** @typedef {"now" | "resume" | { seq: number }} From */
/** `unknown` until the server has said it; `none`: no member; `left`: a member no longer. @typedef {"unknown" | "none" | "joining" | "member" | "refused" | "left"} Membership */

const TYPING_EVERY_MS = 3_000;
const TYPING_MS = 6_000;
const READ_EVERY_MS = 1_000;
const RETRY_MS = 1_000;

export class Room {
  /** @type {Membership} */
  membership = 'unknown';
  /** Why it is refused. @type {ParlorError | null} */
  refusal = null;
  /** @type {string | undefined} */
  title;
  /** The newest entry that was handed over, or the head when one came. @type {number} */
  last = 0;
  /** One's own mark. @type {number} */
  read = 0;
  /** @type {number} */
  unread = 0;
  /** Whether a `resume` names it: it is one of ours, of this epoch. */
  isFollowed = false;
  /** @type {Map<string, any>} who is typing, and the timer of each */
  #typing = new Map();
  #core;
  #listeners;
  #wanted = false;
  /** Up to where entries are known to be there. */
  #head = 0;
  /** Up to where what is unread is counted. */
  #counted = 0;
  #isCatchingUp = false;
  /** Which log it is, and where that was when it became known. */
  #life = 0;
  #begun = 0;
  /** @type {Map<EntryType | "any", number>} where the handlers of a kind have come to */
  #handled = new Map();
  #typedAt = 0;
  /** @type {any} */
  #readTimer = null;

  /** @param {string} name @param {import('./env.js').Core & { outbox: Outbox, ack(room: Room): void }} core */
  constructor(name, core) {
    this.name = name;
    this.#core = core;
    this.#listeners = new Listeners(core.env.report);
  }

  /** Sends a text, and what else is to go with it. @param {string} text @param {{ data?: any, replyTo?: number, cid?: string }} [more] @returns {Ticket} */
  send(text, { cid, ...more } = {}) {
    this.#stopTyping();
    const ticket = this.#core.outbox.add({ room: this.name, text, ...more }, cid);
    if (this.refusal) this.#core.outbox.refuse(this.name, this.refusal.code);
    return ticket;
  }

  /** What is unsent, or has failed, in order. @returns {Ticket[]} */
  get unsent() {
    return this.#core.outbox.of(this.name);
  }

  /** Who is typing: ids. @returns {string[]} */
  get typists() {
    return [...this.#typing.keys()];
  }

  /** @param {number} seq @param {string} text @returns {Promise<import('./wire.js').Logged>} */
  edit(seq, text) {
    return this.#ask('chat:edit', { seq, text });
  }

  /** @param {number} seq @returns {Promise<import('./wire.js').Logged>} */
  delete(seq) {
    return this.#ask('chat:delete', { seq });
  }

  /** @param {number} seq @param {string} emoji @param {boolean} [on] @returns {Promise<import('./wire.js').Logged>} */
  react(seq, emoji, on = true) {
    return this.#ask('chat:react', { seq, emoji, on });
  }

  /**
   * A page of the log, oldest first: after or before a `seq`, or else the newest.
   * @param {{ before?: number, after?: number, limit?: number, signal?: AbortSignal }} [bounds]
   * @returns {Promise<{ entries: Entry[], head: number, more: boolean }>}
   */
  async history({ signal, ...bounds } = {}) {
    const page = await this.#ask('chat:history', bounds, { signal });
    return { ...page, entries: page.entries.map(entryOf) };
  }

  /** All up to here is read; told once a second at most. @param {number} [seq] */
  markRead(seq = this.last) {
    if (seq <= this.read) return;
    this.#mark(seq);
    this.#tellRead();
  }

  /** @param {number} seq */
  #mark(seq) {
    this.read = Math.max(this.read, seq);
    this.#count(seq >= this.last ? 0 : this.unread);
  }

  #tellRead() {
    this.#readTimer ??= this.#core.env.setTimeout(() => {
      this.#readTimer = null;
      this.#ask('chat:read', { seq: this.read }).then(
        ({ unread }) => this.#count(unread),
        () => {},
      );
    }, READ_EVERY_MS);
  }

  /** One is typing, or is not any more; told every 3 s at most. @param {boolean} [typing] */
  typing(typing = true) {
    if (!typing) return this.#stopTyping();
    const now = this.#core.env.now();
    if (now - this.#typedAt < TYPING_EVERY_MS) return;
    if (this.#core.send('chat:typing', { room: this.name })) this.#typedAt = now;
  }

  /** @param {{ after?: string, limit?: number }} [bounds] @returns {Promise<{ members: import('./wire.js').Member[], more: boolean }>} */
  members(bounds) {
    return this.#ask('room:members', bounds);
  }

  /** Joins it; a name that nobody uses becomes an open room of one's own. @returns {Promise<import('./wire.js').RoomInfo>} */
  async join() {
    this.#wanted = true;
    this.#become('joining');
    try {
      // Sent before requests made meanwhile, which require membership.
      const room = await this.#ask('room:join', {}, { first: true });
      this.welcome(room);
      return room;
    } catch (/** @type {any} */ error) {
      // Who closes is refused by nobody.
      if (!error.passing && this.#core.connection.isOnline()) this.#refuse(error);
      throw error;
    }
  }

  /** @returns {Promise<{ room: string }>} */
  leave() {
    this.#wanted = false;
    return this.#ask('room:leave');
  }

  /** Joins it as soon as one may. */
  want() {
    this.#wanted = true;
    if (this.#core.connection.isOnline()) this.missing();
  }

  /**
   * Listens: to entries (`message`, `edited`, `deleted`, `reacted`, `joined`, `left`, or `entry` for all), to `gap`,
   * `read`, `delivered`, `typing`, `removed`, `updated`, `refused`. Entries come from now on, from where the handlers of that kind have come
   * to (`resume`; at first: from the mark of what is read), or from behind a `seq`.
   * @template {keyof RoomEvents} E
   * @param {E} event
   * @param {(value: RoomEvents[E]) => void} fn
   * @param {{ from?: From, signal?: AbortSignal }} [options]
   * @returns {() => void}
   */
  on(event, fn, { from = 'now', signal } = {}) {
    const kind = event === 'entry' ? 'any' : /** @type {EntryType} */ (event);
    const isEntry = kind === 'any' || ENTRY.test(`room:${kind}`);
    if (!isEntry || from === 'now') {
      return this.#listeners.on(event, (value) => {
        if (isEntry) this.#handled.set(kind, value.seq);
        fn(value);
      }, { signal });
    }
    const ends = new AbortController();
    const stop = onAbort(signal, () => ends.abort());
    void (async () => {
      for await (const entry of this.#from(from, kind, ends.signal)) {
        if (ends.signal.aborted) break;
        if (kind === 'any' || entry.type === kind) this.#listeners.call(fn, entry);
        this.#handled.set(kind, entry.seq);
      }
      stop();
    })().catch(this.#core.env.report);
    return () => ends.abort();
  }

  /**
   * All entries, one after the other, for as long as one asks: none is kept for who does not.
   * @param {{ from?: From, signal?: AbortSignal }} [options]
   * @returns {AsyncGenerator<Entry, void>}
   */
  entries({ from = 'now', signal } = {}) {
    return this.#from(from, 'any', signal);
  }

  /** @param {From} from @param {EntryType | "any"} kind @param {AbortSignal} [signal] @returns {AsyncGenerator<Entry, void>} */
  async *#from(from, kind, signal) {
    // Until then the position and the read mark are unknown.
    while (!this.isFollowed && !signal?.aborted) await this.#listeners.next('more', signal);
    let at = from === 'now' ? this.last : from === 'resume' ? (this.#handled.get(kind) ?? this.read) : from.seq;
    let life = this.#life;
    while (!signal?.aborted) {
      // In another life of the log all known positions are void.
      if (life !== this.#life) {
        life = this.#life;
        at = this.#begun;
      }
      // Handlers get newer entries first.
      const begun = at;
      for await (const entry of this.#behind(at, () => this.last, signal, (seq) => (at = seq))) {
        at = entry.seq;
        yield entry;
      }
      // Also when nothing can be read: the user has left, or the client is closed.
      if (at >= this.last || at === begun) await this.#listeners.next('more', signal);
    }
  }

  /**
   * The log behind an entry, as far as `end` says, which is told the head of each page; where it does not reach back, a gap
   * is told, and that much is skipped.
   * @param {number} at @param {(head?: number) => number} end @param {AbortSignal} [signal] @param {(seq: number) => void} [skip]
   * @returns {AsyncGenerator<Entry, void>}
   */
  async *#behind(at, end, signal, skip = (/** @type {number} */ _) => {}) {
    while (at < end() && this.isFollowed && !signal?.aborted) {
      try {
        const { entries, head } = await this.history({ after: at, signal });
        end(head);
        for (const entry of entries) {
          if (entry.seq > end() || signal?.aborted) return;
          at = entry.seq;
          yield entry;
        }
        if (entries.length === 0) skip((at = head));
      } catch (failure) {
        const { code, passing, detail } = /** @type {ParlorError} */ (failure);
        if (code === 'gone') {
          const before = detail.first ?? end() + 1;
          this.#listeners.emit('gap', { room: this.name, after: at, before, reason: code });
          skip((at = before - 1));
        }
        // The store may still refuse the end of a membership. Otherwise `room:removed` comes, and nothing is asked.
        else if (passing || code === 'not_member') await rest(this.#core.env, RETRY_MS);
        else if (/^(cancelled|closed)$/.test(code)) return;
        else throw failure;
      }
    }
  }

  // --- Called only by the client ---

  /** What `hello`, `room:join` or a list says of it. @param {any} room */
  welcome({ head = 0, read = this.read, unread = this.unread, title = this.title }) {
    if (!this.isFollowed) this.last = this.#head = head;
    this.isFollowed = true;
    // The server was not told, or the answer was lost.
    if (read < this.read) this.#tellRead();
    else this.read = read;
    this.title = title;
    this.#counted = head;
    this.#become('member');
    this.#count(unread);
    this.#listeners.emit('more');
  }

  /** It was another user's. */
  end() {
    this.#core.env.clearTimeout(this.#readTimer);
    for (const timer of this.#typing.values()) this.#core.env.clearTimeout(timer);
    this.isFollowed = false;
    this.#become('left');
  }

  /** One is no member, as `hello` says. */
  missing() {
    this.isFollowed = false;
    if (this.#wanted) this.join().catch(() => {});
    else this.#become(/member|left/.test(this.membership) ? 'left' : 'none');
  }

  /** Its log is another: nothing that was known of it holds. @param {number} head */
  reset(head) {
    const after = this.last;
    this.last = this.#head = this.#begun = head;
    this.read = 0;
    this.#life += 1;
    this.#handled.clear();
    if (after > 0) this.#listeners.emit('gap', { room: this.name, after, before: head + 1, reason: 'epoch_changed' });
  }

  /** The log goes up to here, and nothing of it comes unasked: where it is refused, not before it is read. @param {number} head @param {string} [refused] */
  async behind(head, refused) {
    this.#head = Math.max(this.#head, head);
    if (this.#isCatchingUp) return;
    this.#isCatchingUp = true;
    let unread = refused ? 1 : 0;
    const end = (/** @type {number} */ known = -1) => {
      if (known >= 0) unread = 0;
      this.#head = Math.max(this.#head, known);
      return this.#head + unread;
    };
    try {
      for await (const entry of this.#behind(this.last, end, undefined, (seq) => (this.last = seq))) this.#take(entry);
    } catch (error) {
      this.#core.env.report(error);
    }
    this.#isCatchingUp = false;
  }

  /** Takes a push that is for it. @param {string} type @param {any} payload */
  push(type, payload) {
    // An entry of any kind has a number in the log.
    if (isEntry(payload)) return this.#arrive(entryOf({ type, payload }));
    const { user } = payload;
    if (type === 'chat:typing') return this.#types(user, payload.typing !== false);
    if (type === 'room:removed') {
      this.isFollowed = false;
      if (payload.reason !== 'left') this.#wanted = false;
      this.#become('left');
      this.#core.outbox.refuse(this.name, 'not_member');
    } else if (type === 'room:updated') {
      this.title = payload.title;
      this.#changed('membership');
    } else if (type === 'chat:read' && user === this.#core.hello?.user.id) this.#mark(payload.seq);
    this.#listeners.emit(type.slice(5), payload);
  }

  /** @param {Entry} entry */
  #arrive(entry) {
    if (!this.isFollowed) {
      // Another connection of ours has joined, or somebody has added us: request the rest.
      if (this.membership !== 'joining') this.#ask('room:info').then((room) => this.welcome(room), () => {});
      this.welcome({ head: entry.seq - 1 });
    }
    // Missing entries are read before newer ones are delivered.
    if (this.#isCatchingUp || entry.seq > this.last + 1) void this.behind(entry.seq);
    else if (entry.seq > this.last) this.#take(entry);
  }

  /** @param {Entry} entry */
  #take(entry) {
    this.last = entry.seq;
    const { type } = entry;
    if (type === 'message') {
      this.#types(entry.from, false);
      if (entry.from === this.#core.hello?.user.id) {
        this.#core.outbox.shown(entry);
        this.read = entry.seq;
        this.unread = 0;
      } else if (!entry.deleted && entry.seq > this.#counted) this.unread += 1;
    } else if (type === 'left') this.#types(entry.user, false);
    this.#core.ack(this);
    this.#changed('entry', entry);
    this.#listeners.emit(type, entry);
    this.#listeners.emit('entry', entry);
    this.#listeners.emit('more');
  }

  /** @param {string} user @param {boolean} typing */
  #types(user, typing) {
    const { env } = this.#core;
    const before = this.#typing.get(user);
    if (before === undefined && !typing) return;
    env.clearTimeout(before);
    if (typing) this.#typing.set(user, env.setTimeout(() => this.#types(user, false), TYPING_MS));
    else this.#typing.delete(user);
    this.#changed('typing');
    this.#listeners.emit('typing', { room: this.name, user, typing });
  }

  #stopTyping() {
    if (this.#core.env.now() - this.#typedAt < TYPING_MS) this.#core.send('chat:typing', { room: this.name, typing: false });
    this.#typedAt = 0;
  }

  /** @param {number} unread */
  #count(unread) {
    this.unread = unread;
    this.#changed('read');
  }

  /** @param {Membership} membership */
  #become(membership) {
    if (membership === this.membership) return;
    this.membership = membership;
    if (membership !== 'refused') this.refusal = null;
    this.#changed('membership');
  }

  /** @param {ParlorError} error */
  #refuse(error) {
    this.refusal = error;
    this.#become('refused');
    this.#core.outbox.refuse(this.name, error.code);
    this.#listeners.emit('refused', error);
  }

  /** @param {string} what @param {any} [value] */
  #changed(what, value) {
    this.#core.changed('rooms', { room: this, what, value });
  }

  /** @param {string} type @param {any} [payload] @param {import('./requests.js').AskOptions} [options] */
  #ask(type, payload, options) {
    return this.#core.request(type, { room: this.name, ...payload }, options);
  }
}

/** @param {{ type: string, payload: any }} push @returns {Entry} */
function entryOf({ type, payload }) {
  return { ...payload, type: type.replace(ENTRY, '$1') };
}
