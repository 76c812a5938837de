// Who is online, and the names of people. The client's own presence knows one list of everybody; this also handles
// people in shared rooms, and lists that are loaded only in part. Lists come in pages, changes as pushes with a
// version; only versions newer than the known one are applied. Where people are many, the server tells only their
// number: the page then does not know who they are.

import { Names } from './names.js';

const PAGE = 200;
const PAGES_MAX = 5;
const AGAIN_MS = 4_000;
const SOON_MS = 300;
/** The server's pushes about people. */
export const PUSHES = ['user:online', 'user:offline', 'user:count'];

export class Presence {
  /** The ids of people online; null while nothing is known. */
  online = null;
  /** Whether more people are online than were listed. */
  partial = false;
  /** Whose presence the server sends: `everyone`, `rooms` (those who share a room with the user) or `off`. */
  scope = 'everyone';
  names = new Names();
  #ask;
  #changed;
  #version = 0;
  #held = null;
  #run = 0;
  #again = 0;
  #learned = new Set();
  /** The number of people online, where the server sends only that: by room, `''` for all. */
  #counts = new Map();

  constructor(ask, changed) {
    this.#ask = ask;
    this.#changed = changed;
  }

  /** A user's name, distinguished from similar ones. */
  name(user) {
    return this.names.get(user);
  }

  /** Handles a new connection with its scope. */
  begin(scope = 'everyone') {
    this.scope = scope;
    if (scope !== 'off') return;
    this.#counts.clear();
    this.#unknown();
  }

  /** The number of people online, and whether it is a lower bound; null while nothing is known. */
  get number() {
    if (this.online !== null) return { people: this.online.size, more: this.partial };
    if (this.#counts.size === 0) return null;
    // Rooms may share people, so only the largest count is certain.
    return { people: Math.max(...this.#counts.values()), more: !this.#counts.has('') };
  }

  /** Loads the list anew. Versions apply within one connection. */
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
        // The version is that of the first page: pushes contain what changed while the other pages were loading.
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
      // Held pushes are lost and the display may be wrong, so the list is requested again.
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

  /** Loads a room's members and their names, once per connection: `each(members, isFirst)`. */
  async learn(room, each) {
    if (this.#learned.has(room)) return;
    this.#learned.add(room);
    let after;
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const reply = await this.#ask('room:members', { room, ...(after && { after }), limit: PAGE }).catch(() => null);
      // The members received are correct; the next connection asks again.
      if (reply === null) return;
      for (const { user, name } of reply.members) this.names.set(user, name);
      each(reply.members, page === 0);
      this.#changed();
      after = reply.members.at(-1)?.user;
      if (!reply.more || after === undefined) return;
    }
  }

  push(type, payload) {
    if (this.#held !== null) {
      this.#held.push({ type, payload });
    } else if (payload.reset) {
      // Some change was missed, whatever the versions received; or lists are sent again.
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
      // Pushes contain only ids; the next list brings names of unknown people, one request for many.
      if (users.some((user) => !this.names.has(user))) this.#listLater(this.online.size > PAGE ? AGAIN_MS : SOON_MS);
    } else {
      // A user's departure is sent once per shared room; the first one suffices.
      for (const user of users) this.online.delete(user);
    }
    this.#changed();
  }

  /** The server sends lists of a room, or of all, again: request them once none is merely counted. */
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

  /** A member joined or left one of the user's rooms: the server may now send other people's presence. */
  moved(self) {
    // The server announces a user who joins our room, but not the members of a room that we join, nor users who left
    // all our rooms.
    if (this.scope === 'rooms') this.#listLater(self ? SOON_MS : AGAIN_MS);
  }

  /** The user has left this room. */
  left(room) {
    if (this.#counts.has(room)) this.#back(room);
    else this.moved(true);
  }

  isOnline(user) {
    return this.online?.has(user) ?? false;
  }

  /** Whether a user is certainly offline; `shared`: whether they share a room with us. */
  isOffline(user, shared) {
    return this.online !== null && !this.partial && !this.online.has(user) && (shared || this.scope === 'everyone');
  }

  /** The connection is lost: its transient state is void; people online stay shown until the next list. */
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
      // While people are only counted, the next change would invalidate a list.
      if (this.#counts.size === 0) this.list();
    }, within / 2 + (Math.random() * within) / 2);
  }
}
