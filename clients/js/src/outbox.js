// Messages sent and not yet known to be on the server's disk. Each message is a ticket, whose id is the `cid` of the
// wire, so that sending it again after a loss, a reload or a crash is harmless. One writer per room keeps the order.

import { rest } from './env.js';
import { ParlorError } from './errors.js';

/** @typedef {import('./env.js').Env} Env */
/** @typedef {"queued" | "sent" | "acked" | "failed" | "expired" | "cancelled"} Status */
/**
 * What is kept of a ticket.
 * @typedef {object} Kept
 * @property {string} id
 * @property {string} [user] who wrote it, once that is known
 * @property {string} room
 * @property {string} text
 * @property {any} [data]
 * @property {number} [replyTo]
 * @property {number} at ms since 1970
 * @property {string} [failed] the code for which it was refused
 */
/**
 * Hands over what is left of a user's in order, and says what another tab of theirs has taken over.
 * @typedef {(left: Kept[], gone?: string[]) => void} Take
 */
/**
 * Where tickets are kept, by user. A store reports its failures by itself, and `open` does not reject: tickets are sent all the same.
 * @typedef {object} OutboxStore
 * @property {(url: string, options: import('./client.js').Options, take: Take) => string | undefined} [begin] called when a client
 *   is made: returns its user, if that is certain, and hands over what is theirs
 * @property {(user: string, take: Take) => Promise<boolean | void>} open called with each `hello`: hands over what is this
 *   user's, and resolves to whether what was written before, by nobody who was known, may be another's
 * @property {(kept: Kept) => void} put
 * @property {(id: string) => void} remove
 * @property {() => void} close
 */

const AGE_MS_MAX = 48 * 3_600_000;
/** How many wait in one tab: each is read again after a reload. */
const UNSENT_MAX = 10_000;
const WAIT_MS_MIN = 1_000;
const WAIT_MS_MAX = 30_000;

/** Keeps nothing: what is unsent ends with the page. @returns {OutboxStore} */
export function memoryOutbox() {
  return { open: async () => {}, put() {}, remove() {}, close() {} };
}

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
  /** It may be on the server's disk, whatever came back. */
  wasSent = false;
  #outbox;
  /** @type {[(value: any) => void, (error: ParlorError) => void]} */
  #settle = /** @type {any} */ (null);
  #promise = this.#renewed();

  /** @param {Outbox} outbox @param {Kept} kept */
  constructor(outbox, kept) {
    this.#outbox = outbox;
    this.kept = kept;
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

  /** @template T @param {(error: ParlorError) => T} onRejected */
  catch(onRejected) {
    return this.#promise.catch(onRejected);
  }

  /** @param {() => void} onSettled */
  finally(onSettled) {
    return this.#promise.finally(onSettled);
  }

  /** Takes it back; whether that was still possible: what was sent may be on the disk already. @returns {boolean} */
  cancel() {
    return this.#outbox.cancel(this);
  }

  /** Sends it again, after it has failed or was too old; whether it was. @returns {boolean} */
  retry() {
    if (!this.kept.failed) return false;
    this.error = undefined;
    this.#promise = this.#renewed();
    this.#outbox.again(this);
    return true;
  }

  /** @param {{ room: string, seq: number, ts: number }} entry */
  succeed(entry) {
    this.status = 'acked';
    ({ seq: this.seq, ts: this.ts } = entry);
    this.#settle[0](entry);
  }

  /** @param {string} code @param {ParlorError} [error] */
  fail(code, error = new ParlorError(code)) {
    this.status = code === 'expired' || code === 'cancelled' ? code : 'failed';
    this.error = error;
    this.#settle[1](error);
  }

  /** @returns {Promise<any>} */
  #renewed() {
    const promise = new Promise((...settle) => (this.#settle = settle));
    promise.catch(() => {});
    return promise;
  }
}

export class Outbox {
  /** In the order in which they go, those that have failed among them. @type {Ticket[]} */
  #tickets = [];
  /** @type {Set<string>} rooms of which one is on its way, or which wait */
  #busy = new Set();
  #store;
  #core;
  #isOnline = false;
  #count = 0;
  /** @type {string | undefined} */
  #user;

  /**
   * @param {OutboxStore} store
   * @param {import('./env.js').Core} core
   * @param {string} url
   * @param {import('./client.js').Options} options
   */
  constructor(store, core, url, options) {
    this.#store = store;
    this.#core = core;
    this.#user = store.begin?.(url, options, this.#take);
  }

  /** Those that are not acknowledged, of who is here, in order: of a room, or all. @param {string} [room] @returns {Ticket[]} */
  of(room) {
    return this.#tickets.filter(({ kept: { room: its, user = this.#user } }) => (room ?? its) === its && (this.#user ?? user) === user);
  }

  /** Somebody is here: what they have left unsent is sent before anything else; what is another's waits for them. @param {string} user or none: a guest leaves nothing */
  async own(user) {
    this.#user = user;
    const isDoubtful = user && (await this.#store.open(user, this.#take));
    for (const ticket of this.#tickets) {
      if (ticket.kept.user !== undefined || user !== this.#user) continue;
      this.#keep(ticket, { user });
      if (isDoubtful) this.#fail(ticket, 'unconfirmed');
    }
  }

  /** @type {Take} */
  #take = (left, gone = []) => {
    for (const ticket of this.#tickets.filter(({ id }) => gone.includes(id))) this.#drop(ticket).fail('taken');
    const taken = left.filter(({ id }) => !this.#find(id)).map((kept) => new Ticket(this, kept));
    for (const ticket of taken) if (ticket.kept.failed) ticket.fail(ticket.kept.failed);
    // Recovered messages go before all others.
    this.#tickets.unshift(...taken);
    for (const ticket of taken) {
      this.#become(ticket);
      void this.#write(ticket.kept.room);
    }
  };

  /** @param {Omit<Kept, "id" | "at">} what @param {string} [id] @returns {Ticket} */
  add(what, id = this.#newId()) {
    const ticket = new Ticket(this, { ...what, id, at: 0, user: this.#user });
    this.again(ticket);
    return ticket;
  }

  /** @param {Ticket} ticket */
  again(ticket) {
    // It goes in its place: after messages sent before it.
    if (!this.#tickets.includes(ticket)) {
      if (this.#tickets.length >= UNSENT_MAX) return ticket.fail((ticket.kept.failed = 'outbox_full'));
      this.#tickets.push(ticket);
    }
    this.#keep(ticket, { at: this.#core.env.now(), failed: undefined });
    this.#become(ticket, 'queued');
    void this.#write(ticket.kept.room);
  }

  /** @param {Ticket} ticket */
  cancel(ticket) {
    if (ticket.wasSent || !this.#tickets.includes(ticket)) return false;
    this.#end(ticket).fail('cancelled');
    return true;
  }

  /** One's own message was pushed: it is on the disk, whatever became of the reply. @param {{ cid?: string, room: string, seq: number, ts: number }} entry */
  shown({ cid, room, seq, ts }) {
    const ticket = this.#find(cid);
    if (ticket) this.#end(ticket).succeed({ room, seq, ts });
  }

  /** One may not write there any more. @param {string} room @param {string} code */
  refuse(room, code) {
    for (const ticket of this.of(room)) if (ticket.status === 'queued') this.#fail(ticket, code);
  }

  /** @param {boolean} isOnline */
  set online(isOnline) {
    this.#isOnline = isOnline;
    for (const room of new Set(this.#tickets.map(({ kept }) => kept.room))) void this.#write(room);
  }

  close() {
    this.#store.close();
  }

  /** Writes what a room has, one after the other. @param {string} room */
  async #write(room) {
    if (this.#busy.has(room)) return;
    this.#busy.add(room);
    const { env } = this.#core;
    let wait = WAIT_MS_MIN;
    for (;;) {
      const queued = this.of(room).filter(({ status }) => status === 'queued');
      // Messages that are too old fail without a connection, too.
      for (const old of queued) if (env.now() - old.kept.at > AGE_MS_MAX) this.#fail(old, 'expired');
      const ticket = queued.find(({ status }) => status === 'queued');
      if (!ticket || !this.#isOnline) break;
      const { id: cid, text, data, replyTo: reply_to } = ticket.kept;
      // A conversation is created by its first message.
      const pair = /^dm:(.+):(.+)/.exec(room);
      const where = pair ? { to: pair[pair[1] === this.#user ? 2 : 1] } : { room };
      try {
        ticket.wasSent = true;
        this.#become(ticket, 'sent');
        const entry = await this.#core.request('chat:send', { ...where, text, data, cid, reply_to });
        this.#end(ticket).succeed(entry);
        wait = WAIT_MS_MIN;
      } catch (failure) {
        const error = /** @type {ParlorError} */ (failure);
        // Its entry arrived, or it was cancelled, meanwhile.
        if (!this.#tickets.includes(ticket)) continue;
        const isOver = /^(disconnected|cancelled|closed)$/.test(error.code);
        if (!error.passing && !isOver) {
          this.#fail(ticket, error.code, error);
          continue;
        }
        this.#become(ticket, 'queued');
        // The next connection begins with it.
        if (isOver) continue;
        await rest(env, Math.max(error.retryAfter, wait));
        wait = Math.min(WAIT_MS_MAX, wait * 2);
      }
    }
    this.#busy.delete(room);
  }

  /** @param {Ticket} ticket @param {Status} [status] */
  #become(ticket, status = ticket.status) {
    ticket.status = status;
    this.#core.changed('outbox', ticket.kept.room);
  }

  /** @param {Ticket} ticket @param {string} code @param {ParlorError} [error] */
  #fail(ticket, code, error) {
    this.#keep(ticket, { failed: code });
    // The server examined and refused it.
    ticket.wasSent = false;
    ticket.fail(code, error);
    this.#become(ticket);
  }

  /** It is none of ours any more. @param {Ticket} ticket */
  #end(ticket) {
    this.#store.remove(ticket.id);
    return this.#drop(ticket);
  }

  /** @param {string} [cid] */
  #find(cid) {
    return this.#tickets.find(({ id }) => id === cid);
  }

  /** @param {Ticket} ticket */
  #drop(ticket) {
    this.#tickets = this.#tickets.filter((one) => one !== ticket);
    // Its outcome is known by the time anybody looks.
    queueMicrotask(() => this.#become(ticket));
    return ticket;
  }

  /** @param {Ticket} ticket @param {Partial<Kept>} changes */
  #keep(ticket, changes) {
    const { id, user } = (ticket.kept = { ...ticket.kept, ...changes });
    // A guest's messages end with the page: no later user may find them as their own.
    if (user !== '') this.#store.put(ticket.kept);
    else this.#store.remove(id);
  }

  /** A `cid` that none of this user's other clients has: of the time, a number and chance. */
  #newId() {
    const { now, random } = this.#core.env;
    return [now(), (this.#count += 1), random() * 2 ** 52].map((part) => Math.floor(part).toString(36)).join('-');
  }
}
