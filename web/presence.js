// Who is online, and what people are called. The client's own presence knows one list of everybody; here are those
// with whom one shares a room, too, and lists of which only a part is asked for.
// Lists come in pages, changes as pushes with a version; only what is newer than what is known is applied.
// Where people are many only their number is told: then it is not known who they are.

import { Names } from './names.js';

const PAGE = 200;
const PAGES_MAX = 5;
const AGAIN_MS = 4_000;
const SOON_MS = 300;
/** What the server tells of people. */
export const PUSHES = ['user:online', 'user:offline', 'user:count'];

export class Presence {
  /** Ids of who is online; null as long as nothing is known. */
  online = null;
  /** Whether there are more people than were listed. */
  partial = false;
  /** Of whom the server tells: `everyone`, `rooms` (those with whom one shares a room) or `off`. */
  scope = 'everyone';
  names = new Names();
  #ask;
  #changed;
  #version = 0;
  #held = null;
  #run = 0;
  #again = 0;
  #learned = new Set();
  /** How many are online, where only that is told: by room, `''` for all. */
  #counts = new Map();

  constructor(ask, changed) {
    this.#ask = ask;
    this.#changed = changed;
  }

  /** What somebody is called, told apart from others who are called nearly so. */
  name(user) {
    return this.names.get(user);
  }

  /** A new connection: of whom it tells. */
  begin(scope = 'everyone') {
    this.scope = scope;
    if (scope !== 'off') return;
    this.#counts.clear();
    this.#unknown();
  }

  /** How many are online, and whether it is at least so many; null as long as nothing is known. */
  get number() {
    if (this.online !== null) return { people: this.online.size, more: this.partial };
    if (this.#counts.size === 0) return null;
    // Of rooms that share people the largest is what is certain.
    return { people: Math.max(...this.#counts.values()), more: !this.#counts.has('') };
  }

  /** Lists anew. Versions hold within one connection. */
  async list() {
    if (this.scope === 'off') return;
    this.#run += 1;
    const run = this.#run;
    this.#held = [];
    const users = new Set();
    let version = null;
    let more = true;
    try {
      let after;
      for (let page = 0; more && page < PAGES_MAX; page += 1) {
        const reply = await this.#ask('presence:list', { ...(after && { after }), limit: PAGE });
        if (run !== this.#run) return;
        // The list's state is that of its first page: what changed while we turned the pages is in the pushes.
        version ??= reply.version;
        for (const { user, name } of reply.users) {
          users.add(user);
          this.names.set(user, name);
        }
        after = reply.users.at(-1)?.user;
        more = reply.more && after !== undefined;
      }
    } catch (refusal) {
      if (run !== this.#run) return;
      // What was held is lost: what is shown may be wrong, and is asked for again.
      this.#held = null;
      if (refusal.code === 'forbidden') this.begin('off');
      else if (refusal.code !== 'disconnected') this.#listLater();
      return;
    }
    const held = this.#held;
    this.#held = null;
    this.#version = version ?? 0;
    this.online = users;
    this.partial = more;
    this.#counts.clear();
    for (const { type, payload } of held) this.push(type, payload);
    this.#changed();
  }

  /** Learns who the members of a room are and what they are called, once in each connection: `each(members, isFirst)`. */
  async learn(room, each) {
    if (this.#learned.has(room)) return;
    this.#learned.add(room);
    let after;
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const reply = await this.#ask('room:members', { room, ...(after && { after }), limit: PAGE }).catch(() => null);
      // Those that were told are right; the next connection asks again.
      if (reply === null) return;
      for (const { user, name } of reply.members) this.names.set(user, name);
      each(reply.members, page === 0);
      this.#changed();
      after = reply.members.at(-1)?.user;
      if (!reply.more || after === undefined) return;
    }
  }

  /** Applies a push. */
  push(type, payload) {
    if (this.#held !== null) {
      this.#held.push({ type, payload });
    } else if (payload.reset) {
      // Some change did not reach us, whatever the version of those that did; or the lists are back.
      this.#back(payload.room);
    } else if (payload.version > this.#version) {
      this.#version = payload.version;
      this.#apply(type, payload);
    }
  }

  #apply(type, { users, online, room = '' }) {
    if (type === 'user:count') {
      this.#counts.set(room, online);
      this.#unknown();
    } else if (this.#counts.has(room)) {
      this.#back(room);
    } else if (this.online !== null) {
      this.#move(type, users);
    }
  }

  #move(type, users) {
    if (type === 'user:online') {
      for (const user of users) this.online.add(user);
      // Pushes carry ids only; the names of people never seen come with the next list, asked for once for many.
      if (users.some((user) => !this.names.has(user))) this.#listLater(this.online.size > PAGE ? AGAIN_MS : SOON_MS);
    } else {
      // Who goes is told of in each room that they are in, so that once is enough.
      for (const user of users) this.online.delete(user);
    }
    this.#changed();
  }

  /** Of a room, or of all, lists are told again: they are worth asking for when there is none that is only counted. */
  #back(room) {
    if (room) this.#counts.delete(room);
    else this.#counts.clear();
    if (this.#counts.size === 0) this.list();
    else this.#changed();
  }

  #unknown() {
    this.online = null;
    this.partial = false;
    clearTimeout(this.#again);
    this.#again = 0;
    this.#changed();
  }

  /** Somebody came into one of our rooms or left it: it may be that we are told of others now. */
  moved(self) {
    // Of who comes in we are told, of those that we come to, or that have left all our rooms, not.
    if (this.scope === 'rooms') this.#listLater(self ? SOON_MS : AGAIN_MS);
  }

  /** We are in this room no more. */
  left(room) {
    if (this.#counts.has(room)) this.#back(room);
    else this.moved(true);
  }

  isOnline(user) {
    return this.online?.has(user) ?? false;
  }

  /** Whether it is certain that somebody is not online; `shared`: whether we share a room with them. */
  isOffline(user, shared) {
    return this.online !== null && !this.partial && !this.online.has(user) && (shared || this.scope === 'everyone');
  }

  /** The connection is gone: what it told about moments is void; who was there stays shown until it is known anew. */
  lost() {
    this.#run += 1;
    this.#held = null;
    this.#version = 0;
    this.#learned.clear();
    this.#counts.clear();
    clearTimeout(this.#again);
    this.#again = 0;
  }

  #listLater(within = AGAIN_MS) {
    if (this.#again !== 0) return;
    this.#again = setTimeout(() => {
      this.#again = 0;
      // While people are only counted, a list would be void with the next change.
      if (this.#counts.size === 0) this.list();
    }, within / 2 + (Math.random() * within) / 2);
  }
}
