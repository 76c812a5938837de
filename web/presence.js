// Who is online, what people are called, and who is typing.
// Lists come in pages, changes as pushes with a version; only what is newer than what is known is applied.

const PAGE = 200;
const PAGES_MAX = 5;
const TYPING_MS = 6_000;
const NAMES_AGAIN_MS = 5_000;

export class Presence {
  /** Ids of who is online; null where the server only tells how many (`count`), or nothing is known yet. */
  online = null;
  count = null;
  names = new Map();
  #ask;
  #changed;
  #scope = undefined;
  #version = 0;
  #held = null;
  #run = 0;
  #again = 0;
  #typing = new Map();
  #expiring = 0;

  /** `changed(what)`: `people` or `typing`. */
  constructor(ask, changed) {
    this.#ask = ask;
    this.#changed = changed;
  }

  name(user) {
    return this.names.get(user) ?? user;
  }

  /** Lists anew, of everybody or, where presence is told by room, of one. Versions hold within one connection. */
  async list(room) {
    this.#run += 1;
    const run = this.#run;
    if (room !== this.#scope) this.online = this.count = null;
    this.#scope = room;
    this.#held = [];
    const users = new Set();
    let version = null;
    let after;
    try {
      for (let page = 0; page < PAGES_MAX; page += 1) {
        const reply = await this.#ask('presence:list', { ...(room && { room }), ...(after && { after }), limit: PAGE });
        if (run !== this.#run) return;
        // The list's state is that of its first page: what changed while we turned the pages is in the pushes.
        version ??= reply.version;
        for (const { user, name } of reply.users) {
          users.add(user);
          this.#named(user, name);
        }
        after = reply.users.at(-1)?.user;
        if (!reply.more || after === undefined) break;
      }
    } catch {
      if (run === this.#run) this.#held = null;
      return;
    }
    const held = this.#held;
    this.#held = null;
    this.#version = version ?? 0;
    if (this.count === null) this.online = users;
    for (const { type, payload } of held) this.push(type, payload);
    this.#changed('people');
  }

  /** Learns what the members of a room are called. */
  async learn(room) {
    const reply = await this.#ask('room:members', { room, limit: PAGE }).catch(() => null);
    for (const { user, name } of reply?.members ?? []) this.#named(user, name);
    if (reply) this.#changed('people');
  }

  /** Applies a push, if it is one of these. Returns whether it was. */
  push(type, payload) {
    if (type === 'chat:typing') {
      this.#types(payload);
      return true;
    }
    if (type !== 'user:online' && type !== 'user:offline' && type !== 'user:count') return false;
    if ((payload.room ?? undefined) !== this.#scope) return true;
    if (this.#held !== null) {
      this.#held.push({ type, payload });
      return true;
    }
    if (payload.version <= this.#version) return true;
    this.#version = payload.version;
    if (type === 'user:count') {
      this.count = payload.online;
      this.online = null;
    } else if (payload.reset) {
      this.count = null;
      this.list(this.#scope);
    } else if (this.online !== null) {
      for (const user of payload.users) {
        if (type === 'user:online') this.online.add(user);
        else this.online.delete(user);
      }
      if (type === 'user:online' && payload.users.some((user) => !this.names.has(user))) this.#namesLater();
    }
    this.#changed('people');
    return true;
  }

  isOnline(user) {
    return this.online?.has(user) ?? false;
  }

  /** Who types in a room, the longest first. */
  typing(room) {
    return [...(this.#typing.get(room)?.keys() ?? [])];
  }

  /** Whoever has spoken does not type any more. */
  spoke(room, user) {
    if (this.#typing.get(room)?.delete(user)) this.#changed('typing');
  }

  /** The connection is gone: what it told about moments is void; who was there stays shown until it is known anew. */
  lost() {
    this.#run += 1;
    this.#held = null;
    this.#version = 0;
    this.count = null;
    this.#typing.clear();
    clearTimeout(this.#again);
    this.#again = 0;
    this.#changed('typing');
  }

  #types({ room, user, typing }) {
    const there = this.#typing.get(room) ?? new Map();
    this.#typing.set(room, there);
    if (typing === false) there.delete(user);
    else there.set(user, Date.now() + TYPING_MS);
    this.#expire();
    this.#changed('typing');
  }

  #expire() {
    clearTimeout(this.#expiring);
    const now = Date.now();
    let next = Infinity;
    for (const [room, there] of this.#typing) {
      for (const [user, until] of there) {
        if (until <= now) {
          there.delete(user);
          this.#changed('typing');
        } else {
          next = Math.min(next, until);
        }
      }
      if (there.size === 0) this.#typing.delete(room);
    }
    if (next < Infinity) this.#expiring = setTimeout(() => this.#expire(), next - now + 20);
  }

  #named(user, name) {
    this.names.set(user, name || user);
  }

  /** Pushes carry ids only; the names of people never seen come with the next list, asked for once for many. */
  #namesLater() {
    if (this.#again !== 0) return;
    this.#again = setTimeout(() => {
      this.#again = 0;
      this.list(this.#scope);
    }, Math.random() * NAMES_AGAIN_MS);
  }
}
