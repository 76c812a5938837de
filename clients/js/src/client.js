// The client: rooms and presence beside streams, and an outbox.

import { StreamsClient } from './streams.js';
import { Presence } from './presence.js';
import { Outbox, memoryOutbox } from './outbox.js';
import { isEntry } from './entries.js';
import { Room } from './room.js';
import { ParlorError } from './errors.js';

/** @typedef {import('./base.js').Tabs} Tabs */
/** @typedef {import('./base.js').BaseSnapshot & { rooms: RoomSnapshot[] }} Snapshot */
/** @typedef {{ room: string, title?: string, head: number, read: number, unread: number, membership: import('./room.js').Membership }} RoomSnapshot */
/**
 * @typedef {object} ChatOptions
 * @property {import('./outbox.js').OutboxStore} [outbox]
 * @property {string} [user] by which id the server knows who this is, if the page knows it: what they have left unsent is there before the server has answered
 */
/** @typedef {import('./base.js').BaseOptions & ChatOptions} Options */

const ACK_EVERY_MS = 1_000;
const ROOMS_PER_RESUME = 300;

const positionsOf = (/** @type {Room[]} */ rooms) => Object.fromEntries(rooms.map(({ name, last }) => [name, last]));

/** @template {import('./wire.js').Messages<M>} [M=any] the application's own messages @extends {StreamsClient<M>} */
export class Client extends StreamsClient {
  /** @type {Map<string, Room>} */
  #rooms = new Map();
  /** @type {string | null} the life of the store of which the positions are */
  #epoch = null;
  /** @type {Set<Room>} of which something is to be acknowledged */
  #unacked = new Set();
  /** @type {any} */
  #ackTimer;

  /** @param {string} url @param {Options} [options] */
  constructor(url, options = {}) {
    super(url, options);
    /** @protected */
    this.outbox = new Outbox(options.outbox ?? memoryOutbox(), /** @type {any} */ (this), url, options);
    this.presence = new Presence(/** @type {any} */ (this));
    this.begin(url);
  }

  /** The same, made anew. @returns {Snapshot} */
  read() {
    const rooms = [...this.#rooms.values()]
      .filter(({ membership }) => membership === 'member')
      .map(({ name, title, last, read, unread, membership }) => ({ room: name, title, head: last, read, unread, membership }));
    return { ...super.read(), rooms };
  }

  /** Ends it. What is unsent is in the outbox. */
  close() {
    super.close();
    this.outbox.close();
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
    return super.on(event, fn, options);
  }

  /** A room, to read. With `join` one joins it, as soon as one may. @param {string | number} name @param {{ join?: boolean }} [options] @returns {Room} */
  room(name, { join } = {}) {
    const room = this.#room(`${name}`);
    if (join && !/^dm:/.test(room.name) && /unknown|none/.test(room.membership)) room.want();
    return room;
  }

  /** The direct messages with somebody: once it is known who one is, as after `ready()`. @param {string | number} user @returns {Room} */
  direct(user) {
    if (!this.hello) throw new ParlorError('not_ready', { message: 'await ready()' });
    return this.#room(`dm:${[this.hello.user.id, user].sort().join(':')}`);
  }

  /** What is unsent, or has failed. @returns {import('./outbox.js').Ticket[]} */
  get unsent() {
    return this.outbox.of();
  }

  /** @param {string} name */
  #room(name) {
    let room = this.#rooms.get(name);
    if (!room) {
      room = new Room(name, /** @type {any} */ (this));
      // `hello` has named all rooms of the user.
      if (this.connection.isOnline()) room.membership = 'none';
      this.#rooms.set(name, room);
    }
    return room;
  }

  /** @protected */
  lost() {
    super.lost();
    this.presence.lost();
    this.outbox.online = false;
  }

  /** @protected */
  onState() {
    super.onState();
    if (!this.connection.isOnline()) return;
    this.outbox.online = true;
    if (this.listeners.has('presence')) void this.presence.begin();
  }

  /** @protected */
  forget() {
    for (const room of this.#rooms.values()) room.end();
    this.#rooms.clear();
    this.#unacked.clear();
    super.forget();
  }

  /** @protected @param {any} hello */
  async onHello(hello) {
    super.onHello(hello);
    const ask = (/** @type {string} */ type, /** @type {any} */ payload) => this.connection.requests.ask(type, payload, { now: true });
    // If there are many rooms, `hello` has only the first of them.
    for (let page = hello; page.after; hello.rooms.push(...page.rooms)) page = await ask('info', { after: page.after });
    let known = [...this.#rooms.values()].filter((room) => room.isFollowed);
    /** @type {Map<string, number>} */
    const heads = new Map(hello.rooms.map((/** @type {any} */ room) => [room.room, room.head]));
    if (this.#epoch !== hello.epoch) {
      this.#epoch = hello.epoch;
      for (const room of known.splice(0)) room.reset(heads.get(room.name) ?? 0);
    }
    for (const room of hello.rooms) this.#room(room.room).welcome(room);
    for (const room of this.#rooms.values()) if (!heads.has(room.name)) room.missing();
    // Everything that arrives from here on is newer than `hello`.
    await this.outbox.own(/** @type {string} */ (this.owner));
    // Rooms without missed entries continue by themselves.
    known = known.filter((room) => room.isFollowed && room.last !== heads.get(room.name));
    // Guests are in no room, and may not even send `resume`.
    if (this.owner) do {
      const piece = known.splice(0, ROOMS_PER_RESUME);
      const answer = await ask('resume', { epoch: hello.epoch, rooms: positionsOf(piece), more: known.length > 0 });
      for (const room of piece) {
        const code = answer.refused[room.name]?.code;
        if (code === 'not_member') room.missing();
        // The log does not reach back, or the connection is not a WebSocket and resends nothing: read the entries.
        else if (!answer.rooms[room.name]) void room.behind(/** @type {number} */ (heads.get(room.name)), code);
      }
    } while (known.length > 0);
    this.changed('rooms');
  }

  /** @protected @param {string} type @param {any} payload */
  onPush(type, payload) {
    if (/^user:(online|offline|count)$/.test(type)) this.presence.push(type, payload);
    else if (type === 'room:invited') this.#rooms.get(payload.room)?.missing();
    else if (isEntry(payload) || (payload?.room && /^(chat|room):/.test(type))) this.#room(payload.room).push(type, payload);
    super.onPush(type, payload);
  }

  /** All that came is here, also of this room. @protected @param {Room} [room] */
  ack(room) {
    if (room) this.#unacked.add(room);
    this.#ackTimer ??= this.env.setTimeout(() => {
      this.#ackTimer = null;
      if (this.send('chat:ack', { rooms: positionsOf([...this.#unacked]) })) this.#unacked.clear();
      // The rate limit did not allow it.
      else if (this.connection.isOnline()) this.ack();
    }, ACK_EVERY_MS);
  }
}

/**
 * Connects.
 * @template {import('./wire.js').Messages<M>} [M=any] the application's own messages
 * @param {string} url of the server's `/ws`: `ws:`, `wss:`, `http:`, `https:`, or relative to the page
 * @param {Options} [options]
 * @returns {Client<M>}
 */
export const connect = (url, options) => new Client(url, options);
