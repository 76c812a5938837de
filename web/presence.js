// Who is online, what people are called, and who is typing.
// Lists come in pages, changes as pushes with a version; only what is newer than what is known is applied.

const PAGE = 200;
const PAGES_MAX = 5;
const TYPING_MS = 6_000;
const AGAIN_MS = 4_000;

export class Presence {
  /** Ids of who is online; null as long as nothing is known. */
  online = null;
  /** Whether there are more people than were listed. */
  partial = false;
  names = new Map();
  #ask;
  #changed;
  #version = 0;
  #held = null;
  #run = 0;
  #again = 0;
  #learned = new Set();
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

  /** Lists anew. Versions hold within one connection. */
  async list() {
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
          this.#named(user, name);
        }
        after = reply.users.at(-1)?.user;
        more = reply.more && after !== undefined;
      }
    } catch (refusal) {
      if (run !== this.#run) return;
      // What was held is lost: what is shown may be wrong, and is asked for again.
      this.#held = null;
      if (refusal.code !== 'disconnected') this.#listLater();
      return;
    }
    const held = this.#held;
    this.#held = null;
    this.#version = version ?? 0;
    this.online = users;
    this.partial = more;
    for (const { type, payload } of held) this.push(type, payload);
    this.#changed('people');
  }

  /** Learns what the members of a room are called, once in each connection. */
  async learn(room) {
    if (this.#learned.has(room)) return;
    this.#learned.add(room);
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
    if (type !== 'user:online' && type !== 'user:offline') return false;
    if (this.#held !== null) {
      this.#held.push({ type, payload });
    } else if (payload.reset) {
      // Some change did not reach us, whatever the version of those that did.
      this.list();
    } else if (payload.version > this.#version) {
      this.#version = payload.version;
      this.#apply(type, payload.users);
    }
    return true;
  }

  #apply(type, users) {
    if (this.online === null) return;
    for (const user of users) {
      if (type === 'user:online') this.online.add(user);
      else this.online.delete(user);
    }
    // Pushes carry ids only; the names of people never seen come with the next list, asked for once for many.
    if (type === 'user:online' && users.some((user) => !this.names.has(user))) this.#listLater();
    this.#changed('people');
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
    this.#learned.clear();
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

  #listLater() {
    if (this.#again !== 0) return;
    this.#again = setTimeout(() => {
      this.#again = 0;
      this.list();
    }, AGAIN_MS / 2 + (Math.random() * AGAIN_MS) / 2);
  }
}
