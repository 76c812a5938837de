// Who is here: the list, and the later changes by version.

/** @typedef {{ user: string, name: string, connections?: number, since?: number }} Present */
/**
 * `counted`: there are so many that only their number is told; `refusal`: why one is not told who is here.
 * @typedef {{ users: Present[], count: number, counted: boolean, refusal?: import('./errors.js').ParlorError }} Presences
 */

const RETRY_MS = 2_000;

export class Presence {
  /** @type {Map<string, Present>} */
  #users = new Map();
  #version = 0;
  /** @type {number | null} */
  #count = null;
  #isListed = false;
  /** @type {any[]} changes that came while the list did */
  #early = [];
  /** @type {Promise<void> | null} */
  #listing = null;
  #core;
  /** @type {Presences | null} */
  #value = null;

  /** @param {import('./env.js').Core} core */
  constructor(core) {
    this.#core = core;
  }

  /** Listens to who is here; told at once if it is known. @param {(value: Presences) => void} fn @param {{ signal?: AbortSignal }} [options] */
  on(fn, options) {
    const off = this.#core.listeners.on('presence', fn, options);
    if (this.#isListed) fn(this.value);
    else void this.begin();
    return off;
  }

  /** Everybody who is here. @returns {Promise<Presences>} */
  async list() {
    await this.begin();
    if (this.value.refusal) throw this.value.refusal;
    return this.value;
  }

  /** @returns {Presences} the same one until it changes */
  get value() {
    return (this.#value ??= {
      users: [...this.#users.values()].sort((a, b) => (a.user < b.user ? -1 : 1)),
      count: this.#count ?? this.#users.size,
      counted: this.#count !== null,
    });
  }

  /** @param {string} user */
  has(user) {
    return this.#users.has(user);
  }

  /** The connection is another: what was known is of the one before. */
  lost() {
    this.#isListed = false;
    this.#version = 0;
    this.#listing = null;
    this.#early = [];
  }

  /** Asks for the list, if somebody wants to know. @returns {Promise<void>} */
  async begin() {
    if (this.#core.connection.isOnline() && !this.#isListed) await (this.#listing ??= this.#list());
  }

  async #list() {
    /** @type {Map<string, Present>} */
    const users = new Map();
    /** @type {string | undefined} */
    let after;
    try {
      for (;;) {
        const page = await this.#core.request('presence:list', { after });
        // What is newer than the first page comes on top.
        if (!after) this.#version = page.version;
        for (const one of page.users) users.set(one.user, one);
        if (!page.more) break;
        after = page.users.at(-1).user;
      }
    } catch (error) {
      this.#listing = null;
      const refusal = /** @type {import('./errors.js').ParlorError} */ (error);
      if (!refusal.passing) this.#core.changed('presence', (this.#value = { ...this.value, refusal }));
      else if (refusal.code !== 'disconnected') this.#core.env.setTimeout(() => void this.begin(), RETRY_MS);
      return;
    }
    this.#users = users;
    this.#isListed = true;
    this.#listing = null;
    for (const [type, payload] of this.#early.splice(0)) this.#take(type, payload);
    this.#changed();
  }

  /** Takes a push about presence. @param {string} type @param {any} payload */
  push(type, payload) {
    // A room's push, or a program's own.
    if (payload.room || !payload.version) return;
    if (type === 'user:count') {
      this.#count = payload.online;
      this.#users.clear();
      return this.#changed();
    }
    if (!this.#isListed) {
      if (this.#listing) this.#early.push([type, payload]);
      return;
    }
    if (this.#take(type, payload)) this.#changed();
  }

  /** Applies a change to the list; whether it is another then. @param {string} type @param {any} payload */
  #take(type, payload) {
    // A reset has the version of the change before it.
    if (payload.version < this.#version + +!payload.reset) return false;
    this.#version = payload.version;
    if (payload.reset) {
      // Lists are available again: request the list anew.
      this.#count = null;
      this.lost();
      void this.begin();
      return false;
    }
    for (const user of payload.users) {
      if (type === 'user:offline') this.#users.delete(user);
      else if (!this.#users.has(user)) this.#users.set(user, { user, name: user });
    }
    return true;
  }

  #changed() {
    this.#value = null;
    this.#core.changed('presence', this.value);
  }
}
