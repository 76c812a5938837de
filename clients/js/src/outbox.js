// What was sent and is not yet known to be on the server's disk. Each message is a ticket, whose id is the `cid` of
// the wire: so that sending it again, after a loss, a reload or a crash, is harmless. One writer per room keeps the
// order.

import { rest } from './env.js';
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
 * Where tickets are kept. Of what goes wrong it tells by itself: the ticket is sent all the same.
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
  #settle = [() => {}, () => {}];
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

  /** @param {{ seq: number, ts: number }} entry */
  succeed(entry) {
    this.status = 'acked';
    [this.seq, this.ts] = [entry.seq, entry.ts];
    this.#settle[0](entry);
  }

  /** @param {ParlorError} error */
  fail(error) {
    const { code } = error;
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
  /** @type {string | null} */
  #user = null;

  /** @param {OutboxStore} store @param {Pick<import('./env.js').Core, "env" | "ask" | "changed">} core */
  constructor(store, core) {
    this.#store = store;
    this.#core = core;
  }

  /** Those that are not acknowledged, in order: of a room, or all. @param {string} [room] @returns {Ticket[]} */
  of(room) {
    return this.#tickets.filter(({ kept }) => room === undefined || kept.room === room);
  }

  /** Somebody is here: what they have left unsent is sent, before anything else. @param {string} user or none: a guest leaves nothing */
  async own(user) {
    const before = this.#user;
    this.#user = user;
    // What one person wrote is not sent in the name of another.
    if (before !== null && before !== user) {
      for (const ticket of this.of()) this.#end(ticket).fail(new ParlorError('cancelled'));
    }
    const early = before === null ? this.of() : [];
    // Nobody else is to find it as theirs.
    if (!user) return early.forEach(({ id }) => this.#store.remove(id));
    try {
      await this.#store.open(user, (left) => this.#take(user, left));
      // Until now it was not known whose they are.
      for (const { kept } of early) this.#store.put(kept);
    } catch (error) {
      this.#core.env.report(error);
    }
  }

  /** What is left goes before all else. @param {string} user @param {Kept[]} left */
  #take(user, left) {
    if (user !== this.#user) return;
    const known = new Set(this.#tickets.map(({ id }) => id));
    const taken = left.filter(({ id }) => !known.has(id)).map((kept) => new Ticket(this, kept));
    this.#tickets.unshift(...taken);
    for (const ticket of taken) {
      const { failed, room } = ticket.kept;
      if (failed) ticket.fail(new ParlorError(failed));
      this.#core.changed('outbox', room);
      void this.#write(room);
    }
  }

  /** @param {Omit<Kept, "id" | "at">} what @param {string} [id] @returns {Ticket} */
  add(what, id = this.#newId()) {
    const ticket = new Ticket(this, { ...what, id, at: 0 });
    this.again(ticket);
    return ticket;
  }

  /** @param {Ticket} ticket */
  again(ticket) {
    // It goes where it stands: behind what was sent before it.
    if (!this.#tickets.includes(ticket)) this.#tickets.push(ticket);
    this.#keep(ticket, { at: this.#core.env.now(), failed: undefined });
    this.#become(ticket, 'queued');
    void this.#write(ticket.kept.room);
  }

  /** @param {Ticket} ticket */
  cancel(ticket) {
    if (ticket.wasSent || !this.#tickets.includes(ticket)) return false;
    this.#end(ticket).fail(new ParlorError('cancelled'));
    return true;
  }

  /** One's own message was pushed: it is on the disk, whatever became of the reply. @param {string} cid @param {{ room: string, seq: number, ts: number }} entry */
  shown(cid, entry) {
    const ticket = this.#tickets.find(({ id }) => id === cid);
    if (ticket) this.#end(ticket).succeed(entry);
  }

  /** One may not write there any more. @param {string} room @param {string} code */
  refuse(room, code) {
    for (const ticket of this.of(room)) if (ticket.status === 'queued') this.#fail(ticket, new ParlorError(code));
  }

  /** @param {boolean} isOnline */
  set online(isOnline) {
    this.#isOnline = isOnline;
    for (const { kept } of this.of()) void this.#write(kept.room);
  }

  close() {
    this.#store.close();
  }

  /** Writes what a room has, one after the other. @param {string} room */
  async #write(room) {
    if (this.#busy.has(room)) return;
    this.#busy.add(room);
    const { env, ask } = this.#core;
    let wait = WAIT_MS_MIN;
    for (;;) {
      const ticket = this.of(room).find(({ status }) => status === 'queued');
      if (!ticket || !this.#isOnline) break;
      const { id: cid, text, data, replyTo: reply_to, at } = ticket.kept;
      // A conversation comes into being with its first message.
      const pair = room.startsWith('dm:') && room.slice(3).split(':');
      const where = pair ? { to: pair[pair[0] === this.#user ? 1 : 0] } : { room };
      try {
        if (env.now() - at > AGE_MS_MAX) throw new ParlorError('expired');
        ticket.wasSent = true;
        this.#become(ticket, 'sent');
        const entry = await ask('chat:send', { ...where, text, data, cid, reply_to });
        this.#end(ticket).succeed(entry);
        wait = WAIT_MS_MIN;
      } catch (failure) {
        const error = /** @type {ParlorError} */ (failure);
        // It was shown, or taken back, meanwhile.
        if (!this.#tickets.includes(ticket)) continue;
        const isOver = error.code === 'disconnected' || error.code === 'closed';
        if (!error.passing && !isOver) {
          this.#fail(ticket, error);
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

  /** @param {Ticket} ticket @param {Status} status */
  #become(ticket, status) {
    ticket.status = status;
    this.#core.changed('outbox', ticket.kept.room);
  }

  /** @param {Ticket} ticket @param {ParlorError} error */
  #fail(ticket, error) {
    this.#keep(ticket, { failed: error.code });
    // It was looked at, and refused.
    ticket.wasSent = false;
    ticket.fail(error);
    this.#core.changed('outbox', ticket.kept.room);
  }

  /** It is none of ours any more. @param {Ticket} ticket */
  #end(ticket) {
    const { room, id } = ticket.kept;
    this.#tickets = this.#tickets.filter((one) => one !== ticket);
    this.#store.remove(id);
    // What came of it is there when anybody looks.
    queueMicrotask(() => this.#core.changed('outbox', room));
    return ticket;
  }

  /** @param {Ticket} ticket @param {Partial<Kept>} changes */
  #keep(ticket, changes) {
    ticket.kept = { ...ticket.kept, ...changes };
    if (this.#user !== '') this.#store.put(ticket.kept);
  }

  /** A `cid` that none of this user's other clients has: of the time, a number and chance. */
  #newId() {
    const { now, random } = this.#core.env;
    return [now(), (this.#count += 1), random() * 2 ** 52, random() * 2 ** 52].map((part) => Math.floor(part).toString(36)).join('-');
  }
}
