// What was sent and is not yet known to be on the server's disk. Each message is a ticket, whose id is the `cid` of
// the wire: so that sending it again, after a loss, a reload or a crash, is harmless. One writer per room keeps the
// order.

import { ParlorError } from './errors.js';

/** @typedef {import('./env.js').Env} Env */
/** @typedef {"queued" | "sent" | "acked" | "failed" | "expired" | "cancelled"} Status */
/**
 * What is kept of a ticket.
 * @typedef {object} Kept
 * @property {string} id
 * @property {string} room
 * @property {string} text
 * @property {any} [data]
 * @property {number} [replyTo]
 * @property {number} at ms since 1970
 * @property {string} [failed] the code for which it was refused
 */
/**
 * Where tickets are kept. What it throws is reported, and the ticket is sent all the same.
 * @typedef {object} OutboxStore
 * @property {(user: string, take: (left: Kept[]) => void) => Promise<any>} open with each connection: hands over what
 *   is left of this user's, in order, before it is done, and what others leave later; other users' is forgotten
 * @property {(kept: Kept) => void} put
 * @property {(id: string) => void} remove
 * @property {() => void} close
 */

const AGE_MS_MAX = 48 * 3_600_000;
const WAIT_MS_MIN = 1_000;
const WAIT_MS_MAX = 30_000;

/** Keeps nothing: what is unsent ends with the page. @returns {OutboxStore} */
export const memoryOutbox = () => ({ open: async () => {}, put() {}, remove() {}, close() {} });

/**
 * A message on its way. Await it for `{ room, seq, ts }`, once it is on the server's disk; whoever does not is not
 * told of its failure by an unhandled rejection.
 * @implements {PromiseLike<{ room: string, seq: number, ts: number }>}
 */
export class Ticket {
  /** @type {Status} */
  status = 'queued';
  /** @type {number | undefined} */
  seq;
  /** @type {number | undefined} */
  ts;
  /** @type {ParlorError | undefined} */
  error;
  /** @type {Kept} */
  kept;
  #outbox;
  /** @type {(value: any) => void} */
  #resolve = () => {};
  /** @type {(error: ParlorError) => void} */
  #reject = () => {};
  /** @type {Promise<any>} */
  #promise = Promise.resolve();

  /** @param {Outbox} outbox @param {Kept} kept */
  constructor(outbox, kept) {
    this.#outbox = outbox;
    this.kept = kept;
    this.#renew();
  }

  /** The `cid` of the wire. */
  get id() {
    return this.kept.id;
  }

  get text() {
    return this.kept.text;
  }

  get data() {
    return this.kept.data;
  }

  /** @type {PromiseLike<{ room: string, seq: number, ts: number }>["then"]} */
  then(onResolved, onRejected) {
    return this.#promise.then(onResolved, onRejected);
  }

  /** Takes it back; whether that was still possible: what was sent may be on the disk already. @returns {boolean} */
  cancel() {
    return this.#outbox.cancel(this);
  }

  /** Sends it again, after it has failed or was too old; whether it was. @returns {boolean} */
  retry() {
    if (this.status !== 'failed' && this.status !== 'expired') return false;
    this.error = undefined;
    this.#renew();
    this.#outbox.again(this);
    return true;
  }

  /** @param {Status} status @param {any} [outcome] */
  become(status, outcome) {
    this.status = status;
    if (status === 'acked') {
      [this.seq, this.ts] = [outcome.seq, outcome.ts];
      this.#resolve(outcome);
    } else if (status !== 'queued' && status !== 'sent') {
      this.error = outcome ?? new ParlorError(status);
      this.#reject(/** @type {ParlorError} */ (this.error));
    }
  }

  #renew() {
    this.#promise = new Promise((resolve, reject) => ([this.#resolve, this.#reject] = [resolve, reject]));
    this.#promise.catch(() => {});
  }
}

export class Outbox {
  /** @type {Map<string, Ticket[]>} in the order in which they go, those that have failed among them */
  #rooms = new Map();
  /** @type {Set<string>} rooms of which one is on its way, or which wait */
  #busy = new Set();
  #store;
  #env;
  #ask;
  #changed;
  #online = false;
  #count = 0;
  /** @type {string | null} */
  #user = null;

  /** @param {OutboxStore} store @param {Pick<import('./env.js').Core, "env" | "ask" | "changed">} core */
  constructor(store, { env, ask, changed }) {
    this.#store = store;
    this.#env = env;
    this.#ask = ask;
    this.#changed = changed;
  }

  /** Those of a room that are not acknowledged, in order. @param {string} room @returns {Ticket[]} */
  of(room) {
    return this.#rooms.get(room) ?? [];
  }

  /** All that are not acknowledged. @returns {Ticket[]} */
  all() {
    return [...this.#rooms.values()].flat();
  }

  /** Somebody is here: what they have left unsent is sent, before anything else. @param {string} user */
  async own(user) {
    const before = this.#user;
    this.#user = user;
    // What one person wrote is not sent in the name of another.
    if (before !== null && before !== user) {
      for (const ticket of this.all()) this.#end(ticket, 'cancelled');
    }
    const early = before === null ? this.all() : [];
    try {
      await this.#store.open(user, (left) => this.#take(user, left));
      // Until now it was not known whose they are.
      for (const { kept } of early) this.#keep(kept);
    } catch (error) {
      this.#env.report(error);
    }
  }

  /** What is left goes before all else. @param {string} user @param {Kept[]} left */
  #take(user, left) {
    if (user !== this.#user) return;
    for (const kept of left.reverse()) {
      if (this.all().some((ticket) => ticket.id === kept.id)) continue;
      const ticket = new Ticket(this, kept);
      if (kept.failed) ticket.become(kept.failed === 'expired' ? 'expired' : 'failed', new ParlorError(kept.failed));
      this.#list(kept.room).unshift(ticket);
      this.#changed('outbox', kept.room);
      void this.#write(kept.room);
    }
  }

  /** @param {Omit<Kept, "id" | "at">} what @param {string} [id] @returns {Ticket} */
  add(what, id = this.#newId()) {
    /** @type {Kept} */
    const kept = { ...what, id, at: this.#env.now() };
    const ticket = new Ticket(this, kept);
    this.#list(what.room).push(ticket);
    this.#keep(kept);
    this.#changed('outbox', what.room);
    void this.#write(what.room);
    return ticket;
  }

  /** @param {Ticket} ticket */
  cancel(ticket) {
    if (ticket.status === 'sent' || !this.of(ticket.kept.room).includes(ticket)) return false;
    this.#end(ticket, 'cancelled');
    return true;
  }

  /** @param {Ticket} ticket */
  again(ticket) {
    ticket.status = 'queued';
    ticket.kept = { ...ticket.kept, at: this.#env.now(), failed: undefined };
    // It goes where it stands: behind what was sent before it.
    if (!this.of(ticket.kept.room).includes(ticket)) this.#list(ticket.kept.room).push(ticket);
    this.#keep(ticket.kept);
    this.#changed('outbox', ticket.kept.room);
    void this.#write(ticket.kept.room);
  }

  /** One's own message was pushed: it is on the disk, whatever became of the reply. @param {string} cid @param {{ room: string, seq: number, ts: number }} entry */
  shown(cid, entry) {
    const ticket = this.all().find((one) => one.id === cid);
    if (ticket) this.#end(ticket, 'acked', entry);
  }

  /** One may not write there any more. @param {string} room @param {string} code */
  refuse(room, code) {
    for (const ticket of [...this.of(room)]) if (ticket.status === 'queued') this.#fail(ticket, new ParlorError(code));
  }

  /** @param {boolean} online */
  set online(online) {
    this.#online = online;
    if (online) for (const room of this.#rooms.keys()) void this.#write(room);
  }

  close() {
    this.#store.close();
  }

  /** Writes what a room has, one after the other. @param {string} room */
  async #write(room) {
    if (this.#busy.has(room) || !this.#online) return;
    this.#busy.add(room);
    let wait = WAIT_MS_MIN;
    for (;;) {
      const ticket = this.of(room).find((one) => one.status === 'queued');
      if (!ticket || !this.#online) break;
      const { id: cid, text, data, replyTo: reply_to, at } = ticket.kept;
      if (this.#env.now() - at > AGE_MS_MAX) {
        this.#fail(ticket, new ParlorError('expired'), 'expired');
        continue;
      }
      // A conversation comes into being with its first message.
      const pair = room.startsWith('dm:') && room.slice(3).split(':');
      const where = pair ? { to: pair[pair[0] === this.#user ? 1 : 0] } : { room };
      ticket.become('sent');
      this.#changed('outbox', room);
      try {
        const answer = await this.#ask('chat:send', { ...where, text, data, cid, reply_to });
        this.#end(ticket, 'acked', answer);
        wait = WAIT_MS_MIN;
      } catch (failure) {
        const error = /** @type {ParlorError} */ (failure);
        if (ticket.status !== 'sent') continue;
        if (!error.passing) {
          this.#fail(ticket, error);
          continue;
        }
        ticket.become('queued');
        this.#changed('outbox', room);
        // The next connection begins with it.
        if (error.code === 'disconnected') break;
        const pause = Math.max(error.retryAfter, wait);
        wait = Math.min(WAIT_MS_MAX, wait * 2);
        await new Promise((resolve) => this.#env.setTimeout(() => resolve(null), pause));
      }
    }
    this.#busy.delete(room);
    if (this.#online && this.of(room).some((one) => one.status === 'queued')) void this.#write(room);
  }

  /** @param {Ticket} ticket @param {ParlorError} error @param {Status} [status] */
  #fail(ticket, error, status = 'failed') {
    this.#keep((ticket.kept = { ...ticket.kept, failed: error.code }));
    ticket.become(status, error);
    this.#changed('outbox', ticket.kept.room);
  }

  /** @param {Ticket} ticket @param {Status} status @param {any} [outcome] */
  #end(ticket, status, outcome) {
    const { room, id } = ticket.kept;
    const list = this.of(room).filter((one) => one !== ticket);
    if (list.length > 0) this.#rooms.set(room, list);
    else this.#rooms.delete(room);
    ticket.become(status, outcome);
    this.#try(() => this.#store.remove(id));
    this.#changed('outbox', room);
  }

  /** @param {string} room */
  #list(room) {
    const list = [...this.of(room)];
    this.#rooms.set(room, list);
    return list;
  }

  /** @param {Kept} kept */
  #keep(kept) {
    this.#try(() => this.#store.put(kept));
  }

  /** @param {() => void} fn */
  #try(fn) {
    try {
      fn();
    } catch (error) {
      this.#env.report(error);
    }
  }

  /** A `cid` that none of this user's other clients has: of the time, a number and chance. */
  #newId() {
    const parts = [this.#env.now(), (this.#count += 1), this.#env.random() * 2 ** 52, this.#env.random() * 2 ** 52];
    return parts.map((part) => Math.floor(part).toString(36)).join('-');
  }
}
