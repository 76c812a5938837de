// The client: rooms, streams and presence over one connection that comes and goes.

import { connectionOf } from './connection.js';
import { Listeners, environment } from './env.js';
import { ParlorError } from './errors.js';
import { Outbox, memoryOutbox } from './outbox.js';
import { Presence } from './presence.js';
import { Room, isEntry } from './room.js';
import { Stream, bytesOf } from './stream.js';

/** @typedef {import('./connection.js').State} State */
/** @typedef {import('./connection.js').Quality} Quality */
/** @typedef {import('./requests.js').AskOptions} AskOptions */
/**
 * @typedef {object} Options
 * @property {string | import('./connection.js').TokenSource} [token] asked for at first, when it expires, when it is rejected: not with every reconnection
 * @property {import('./outbox.js').OutboxStore} [outbox]
 * @property {string} [user] by which id the server knows who this is, if the page knows it: what they have left unsent is there before the server has answered
 * @property {Partial<import('./connection.js').Backoff>} [backoff]
 * @property {(code: number) => boolean} [fatal] whether a close code is one from which it is not to come back, beside those of the protocol
 * @property {{ interval: number }} [quality] how often the round trip is measured while somebody looks, in ms; 0 for never
 * @property {"keep" | { afterMs: number }} [whenHidden] whether the whole connection is let go of some time after the page is hidden
 * @property {"none" | "sse"} [fallback] what is tried when no WebSocket comes through
 * @property {Tabs} [tabs] whether each tab has a connection of its own, as it does, or `leaderTab()` one for all
 * @property {number} [timeout] of requests, in ms
 * @property {Partial<import('./env.js').Env>} [env]
 */
/** What hands a client its WebSockets. @typedef {(env: import('./env.js').Env, url: string) => import('./env.js').Env} Tabs */
/**
 * @typedef {object} Snapshot
 * @property {State} state
 * @property {import('./wire.js').User | null} user
 * @property {Quality | null} quality
 * @property {RoomSnapshot[]} rooms
 * @property {import('./wire.js').Limits} limits
 */
/** @typedef {{ room: string, title?: string, head: number, read: number, unread: number, membership: import('./room.js').Membership }} RoomSnapshot */

const BACKOFF = /** @type {const} */ ({ min: 1_000, max: 30_000, factor: 2, jitter: 'full', attempts: Infinity, stable: 30_000 });
const ACK_EVERY_MS = 1_000;
const ROOMS_PER_RESUME = 300;
const REQUEST_MS = 20_000;
const INTERVAL_MS = 5_000;

/** @template {import('./wire.js').Messages<M>} [M=any] the application's own messages */
export class Client {
  #env;
  #whenHidden;
  #listeners;
  #connection;
  #outbox;
  #core;
  /** @type {Map<string, Room>} */
  #rooms = new Map();
  /** @type {Map<string, Stream>} */
  #streams = new Map();
  /** @type {any} */
  #hello = null;
  /** @type {string | undefined} whose is what is here; all guests are one: each connection of theirs has another name */
  #owner;
  /** @type {string | null} the life of the store of which the positions are */
  #epoch = null;
  /** @type {Set<Room>} of which something is to be acknowledged */
  #unacked = new Set();
  /** @type {any} */
  #ackTimer;
  /** @type {any} */
  #hiddenTimer;
  /** @type {any} */
  #page;
  /** @type {Snapshot | null} */
  #snapshot = null;
  presence;

  /** @param {string} url @param {Options} [options] */
  constructor(url, options = {}) {
    const { outbox = memoryOutbox(), tabs, whenHidden = 'keep' } = options;
    this.#whenHidden = whenHidden;
    this.#env = environment(options.env);
    if (tabs) this.#env = tabs(this.#env, url);
    this.#listeners = new Listeners(this.#env.report);
    this.#connection = connectionOf({ ...options, timeout: options.timeout ?? REQUEST_MS, url, interval: options.quality?.interval ?? INTERVAL_MS, backoff: { ...BACKOFF, ...options.backoff } }, this.#env, {
      onState: () => this.#stateChanged(),
      onHello: (hello) => this.#welcome(hello),
      onPush: (type, payload) => this.#push(type, payload),
      onBinary: (message) => {
        const { name, ...event } = bytesOf(message);
        this.#streams.get(name)?.push(event);
      },
      onQuality: () => this.#changed('quality', this.quality),
    });
    const core = /** @type {import('./env.js').Core} */ ({
      env: this.#env,
      listeners: this.#listeners,
      ask: /** @type {any} */ (this.request.bind(this)),
      tell: /** @type {any} */ (this.send.bind(this)),
      user: () => this.#hello?.user.id,
      isOnline: this.#connection.isOnline,
      isHidden: this.#connection.isHidden,
      changed: this.#changed.bind(this),
    });
    this.#core = core;
    this.#outbox = core.outbox = new Outbox(outbox, core, url, options);
    this.presence = new Presence(core);
    this.#watchPage();
    this.#connection.open('connect()');
    // Whoever builds a page is told what is wrong with it.
    if (/localhost|127\.0/.test(/** @type {any} */ (this.#env.location?.href))) void import('./hint.js').then((all) => all.hint(this, url, options));
  }

  /** @returns {State} */
  get state() {
    return this.#connection.state;
  }

  /** The round trip, once it was measured. @returns {Quality | null} */
  get quality() {
    return this.#connection.quality;
  }

  /** What the server has said of itself and of its limits, once it has. @returns {import('./wire.js').Hello | null} */
  get hello() {
    return this.#hello;
  }

  /** The last 20 changes of the connection's state, each with its cause and what is done about it. @returns {import('./connection.js').Step[]} */
  why() {
    return this.#connection.steps;
  }

  /** All that is known now; the same object until something has changed. @returns {Snapshot} */
  snapshot() {
    return (this.#snapshot ??= {
      state: this.state,
      user: this.#hello?.user ?? null,
      quality: this.quality,
      limits: this.#hello?.limits ?? {},
      rooms: [...this.#rooms.values()]
        .filter(({ membership }) => membership === 'member')
        .map(({ name, title, last, read, unread, membership }) => ({ room: name, title, head: last, read, unread, membership })),
    });
  }

  /** Resolves when it is online; rejects when it has ended for good. @param {{ signal?: AbortSignal }} [options] @returns {Promise<void>} */
  async ready({ signal } = {}) {
    for (;;) {
      const { state } = this;
      if (state.name === 'online') return;
      if (state.name === 'failed') throw new ParlorError(String(state.code), { message: state.reason });
      if (signal?.aborted) throw new ParlorError('cancelled');
      if (state.name === 'closed') throw new ParlorError('closed');
      await this.#listeners.next('state', signal);
    }
  }

  /** Does not wait any longer; also comes back from `failed`, `paused` and `closed`. */
  retryNow() {
    const { name } = this.state;
    if (/online|connecting|authenticating/.test(name)) return;
    if (name === 'closed') this.#watchPage();
    this.#connection.open('retryNow()');
  }

  /** Lets go of the connection until `retryNow()`; what is sent meanwhile waits. @param {string} [reason] */
  pause(reason = 'pause()') {
    this.#connection.pause(reason);
  }

  /** Ends it. What is unsent is in the outbox. */
  close() {
    this.#connection.close();
    this.#page.abort();
    this.#env.clearTimeout(this.#hiddenTimer);
    this.#outbox.close();
  }

  /**
   * Listens: to `state`, `quality`, `rooms`, `outbox`, `presence`, `notice`, `error`, or to messages of any other type,
   * the application's own ones.
   * @template {import('./wire.js').Heard<M>} T
   * @param {T} event
   * @param {(payload: import('./wire.js').Event<M, T>) => void} fn
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {() => void} ends it
   */
  on(event, fn, options) {
    if (event === 'presence') void this.presence.begin();
    return this.#listeners.on(event, fn, options);
  }

  /** A room, to read. With `join` one joins it, as soon as one may. @param {string | number} name @param {{ join?: boolean }} [options] @returns {Room} */
  room(name, { join } = {}) {
    const room = this.#room(`${name}`);
    if (join && !/^dm:/.test(room.name) && /unknown|none/.test(room.membership)) room.want();
    return room;
  }

  /** The direct messages with somebody: once it is known who one is, as after `ready()`. @param {string | number} user @returns {Room} */
  direct(user) {
    if (!this.#hello) throw new ParlorError('not_ready', { message: 'await ready()' });
    return this.#room(`dm:${[this.#hello.user.id, user].sort().join(':')}`);
  }

  /** A stream. @template [T=any] @param {string} name @param {import('./stream.js').StreamOptions} [options] @returns {Stream<T>} */
  stream(name, options = {}) {
    const stream = this.#streams.get(name) ?? new Stream(name, options, this.#core);
    this.#streams.set(name, stream);
    return stream;
  }

  /** What is unsent, or has failed. @returns {import('./outbox.js').Ticket[]} */
  get unsent() {
    return this.#outbox.of();
  }

  /**
   * Sends a message of any type that wants no answer: now or never; whether it was sent.
   * @type {<T extends import('./wire.js').Said<M>>(type: T, ...rest: import('./wire.js').With<import('./wire.js').Payload<M, T>, []>) => boolean}
   */
  send(type, payload = /** @type {any} */ ({})) {
    return this.#connection.requests.tell(type, payload);
  }

  /**
   * Asks, and resolves to the answer's payload; waits for a connection.
   * @type {<T extends import('./wire.js').Asked<M>>(type: T, ...rest: import('./wire.js').With<import('./wire.js').Payload<M, T>, [options?: AskOptions]>)
   *   => Promise<import('./wire.js').Answer<M, T>>}
   */
  async request(type, payload, options) {
    if (/closed|failed/.test(this.state.name)) throw new ParlorError('closed');
    return this.#connection.requests.ask(type, payload, options);
  }

  /** @param {string} name */
  #room(name) {
    let room = this.#rooms.get(name);
    if (!room) {
      room = new Room(name, this.#core);
      // `hello` has named the others.
      if (this.#connection.isOnline()) room.membership = 'none';
      this.#rooms.set(name, room);
    }
    return room;
  }

  #stateChanged() {
    const isOnline = this.#connection.isOnline();
    if (!isOnline) {
      this.presence.lost();
      for (const stream of this.#streams.values()) stream.lost();
      this.#outbox.online = false;
    }
    this.#changed('state', this.state);
    if (!isOnline || !this.#connection.isOnline()) return;
    this.#outbox.online = true;
    for (const stream of this.#streams.values()) stream.settle();
    if (this.#listeners.has('presence')) void this.presence.begin();
  }

  /** @param {any} hello */
  async #welcome(hello) {
    const before = this.#owner;
    const owner = (this.#owner = hello.user.anonymous ? '' : hello.user.id);
    this.#hello = hello;
    if (before !== undefined && before !== owner) {
      // Nothing that one person has asked for or read is done in the name of another.
      this.#connection.requests.end('cancelled');
      for (const room of this.#rooms.values()) room.end();
      this.#rooms.clear();
      this.#unacked.clear();
      for (const stream of this.#streams.values()) stream.forget();
    }
    const isSameLife = this.#epoch === hello.epoch;
    this.#epoch = hello.epoch;
    const known = [...this.#rooms.values()].filter((room) => room.isFollowed);
    /** @type {Map<string, any>} */
    const heads = new Map(hello.rooms.map((/** @type {any} */ room) => [room.room, room]));
    if (!isSameLife) {
      for (const room of known) room.reset(heads.get(room.name)?.head ?? 0);
    }
    for (const room of hello.rooms) this.#room(room.room).welcome(room);
    for (const room of this.#rooms.values()) if (!heads.has(room.name)) room.missing();
    // What comes from here on is newer than what was said.
    await this.#outbox.own(owner);
    const positions = isSameLife ? known.filter((room) => heads.has(room.name)) : [];
    let start = 0;
    // Guests are in no room, and may not even say so.
    if (owner) do {
      const piece = positions.slice(start, (start += ROOMS_PER_RESUME));
      const rooms = Object.fromEntries(piece.map((room) => [room.name, room.last]));
      const payload = { epoch: hello.epoch, rooms, more: start < positions.length };
      const answer = await this.#connection.requests.ask('resume', payload, { now: true });
      for (const room of piece) {
        const code = answer.refused?.[room.name]?.code;
        if (code === 'not_member') room.missing();
        // The log does not reach back; ways beside a WebSocket send nothing again, either: it is read.
        else if (!answer.rooms?.[room.name]) void room.behind(heads.get(room.name).head, code);
      }
    } while (start < positions.length);
    this.#changed('rooms');
  }

  /** @param {string} type @param {any} payload */
  #push(type, payload) {
    if (/^user:(online|offline|count)$/.test(type)) this.presence.push(type, payload);
    else if (/^(event|stream:stale)$/.test(type)) this.#streams.get(payload.stream)?.push(payload);
    else if (type === 'room:invited') this.#rooms.get(payload.room)?.missing();
    else if (isEntry(payload) || (payload?.room && /^(chat|room):/.test(type))) this.#room(payload.room).push(type, payload);
    // Also for whoever wants to see all that comes.
    this.#listeners.emit(type, payload);
  }

  /** All that came is here. */
  #ack() {
    this.#ackTimer ??= this.#env.setTimeout(() => {
      this.#ackTimer = null;
      const rooms = Object.fromEntries([...this.#unacked].map((room) => [room.name, room.last]));
      if (this.send('chat:ack', { rooms })) this.#unacked.clear();
      // The pace did not allow it.
      else if (this.#connection.isOnline()) this.#ack();
    }, ACK_EVERY_MS);
  }

  /** @param {string} event @param {any} [value] */
  #changed(event, value) {
    this.#snapshot = null;
    if (value?.what === 'entry') {
      this.#unacked.add(value.room);
      this.#ack();
    }
    this.#listeners.emit(event, value);
  }

  #watchPage() {
    const { document, window } = this.#env;
    const { signal } = (this.#page = new AbortController());
    const judge = (/** @type {Event} */ event) => this.#wake(event);
    for (const type of ['visibilitychange', 'resume']) document?.addEventListener(type, judge, { signal });
    for (const type of ['focus', 'online', 'offline', 'pagehide', 'pageshow']) window?.addEventListener(type, judge, { signal });
  }

  /** Something woke the page, or put it away: judged before timers would, which a hidden page has once a minute. @param {Event} event */
  #wake({ type }) {
    const connection = this.#connection;
    const { state } = this;
    const whenHidden = this.#whenHidden;
    if (type === 'visibilitychange') {
      for (const stream of this.#streams.values()) stream.settle();
      this.#env.clearTimeout(this.#hiddenTimer);
      if (connection.isHidden()) {
        if (whenHidden !== 'keep') this.#hiddenTimer = this.#env.setTimeout(() => connection.pause('hidden'), whenHidden.afterMs);
        return;
      }
    }
    // An open socket keeps a page out of the back/forward cache.
    if (type === 'pagehide') connection.pause(type);
    // A reason to look, not a verdict: it may be another network that is gone.
    else if (type === 'offline') connection.probe();
    else if (state.name === 'paused' && (type === 'pageshow' ? state.reason === 'pagehide' : state.reason === 'hidden')) connection.open(type);
    else if (!connection.isHidden() || type !== 'focus') connection.wake(type);
  }
}

/**
 * Connects.
 * @template {import('./wire.js').Messages<M>} [M=any] the application's own messages
 * @param {string} url of the server's `/ws`: `ws:`, `wss:`, `http:`, `https:`, or relative to the page
 * @param {Options} [options]
 * @returns {Client<M>}
 */
export function connect(url, options) {
  return new Client(url, options);
}
