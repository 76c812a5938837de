// A stream, which clients only watch. It is subscribed to while it has listeners, and continues from its position after
// each reconnection.

import { Listeners, onAbort } from './env.js';

/** @typedef {import('./env.js').Env} Env */
/**
 * `skipped`: some were left out, as the stream or the rate allows.
 * @template [T=any]
 * @typedef {{ stream: string, seq: number, data: T, ts?: number, skipped?: boolean }} StreamEvent
 */
/** What is missing of a log. @typedef {{ stream: string, after: number, reason: string }} StreamGap */
/** When something was heard of it last, and how long ago that was when this was told. @typedef {{ since: number, ageMs: number }} StreamStale */
/** @typedef {{ filter?: Record<string, any>, maxRate?: number, whenHidden?: "pause" | "keep" }} StreamOptions */

const RETRY_MS = 1_000;
const EARLY_MAX = 1_000;

/** Whether a snapshot is the events of a log; that of a state is its data, which may be a list, too. @param {any} snapshot */
export const isLog = (snapshot) => Array.isArray(snapshot) && snapshot[0] && snapshot.every((one) => one?.seq > 0 && one.ts > 0 && 'data' in one);

/** A message of bytes: n, n bytes of the stream's name, 8 of its `seq`, the data. @param {ArrayBuffer} message */
export function bytesOf(message) {
  const view = new DataView(message);
  const end = 1 + view.getUint8(0);
  const name = new TextDecoder().decode(new Uint8Array(message, 1, end - 1));
  return { name, seq: Number(view.getBigUint64(end)), data: new Uint8Array(message, end + 8) };
}

/** @template [T=any] what is in its events */
export class Stream {
  /** The newest event. @type {StreamEvent<T> | null} */
  latest = null;
  /** Why it cannot be watched. @type {import('./errors.js').ParlorError | null} */
  refusal = null;
  /** That nothing was heard of it for too long. @type {StreamStale | null} */
  stale = null;
  #core;
  #options;
  #listeners;
  #isOn = false;
  /** What came before the answer that says where it begins; none is kept after it. @type {any[] | null} */
  #early = [];
  /** @type {string | undefined} */
  #epoch;
  #seq = 0;
  // Changes of the subscription run one after another.
  #turn = Promise.resolve();

  /** @param {string} name @param {StreamOptions} options @param {import('./env.js').Core} core */
  constructor(name, options, core) {
    this.name = name;
    this.#options = options;
    this.#core = core;
    this.#listeners = new Listeners(core.env.report);
  }

  /**
   * Listens to its events, the snapshot first; by `"gap"`, `"refused"`, `"stale"` as the first argument to these.
   * @overload
   * @param {(data: T, event: StreamEvent<T>) => void} event
   * @param {{ signal?: AbortSignal }} [fn]
   * @returns {() => void} ends it
   */
  /**
   * @overload
   * @param {"gap"} event
   * @param {(gap: StreamGap) => void} fn
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {() => void}
   */
  /**
   * @overload
   * @param {"stale"} event
   * @param {(stale: StreamStale | null) => void} fn null when something is heard of it again
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {() => void}
   */
  /**
   * @overload
   * @param {"refused"} event
   * @param {(error: import('./errors.js').ParlorError) => void} fn
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {() => void}
   */
  /**
   * @param {string | ((data: T, event: StreamEvent<T>) => void)} event
   * @param {((value: any) => void) | { signal?: AbortSignal }} [fn]
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {() => void}
   */
  on(event, fn, options) {
    if (typeof event === 'string') return this.#listeners.on(event, /** @type {any} */ (fn), options);
    const listen = /** @type {{ signal?: AbortSignal }} */ (fn ?? {});
    if (listen.signal?.aborted) return () => {};
    const { latest } = this;
    if (latest) this.#listeners.call(() => event(latest.data, latest), null);
    const settle = () => this.settle();
    const off = this.#listeners.on('event', (told) => event(told.data, told), listen, settle);
    settle();
    return () => {
      off();
      settle();
    };
  }

  /** Who watches is another: what one was told is not the other's. */
  forget() {
    this.latest = null;
    this.#epoch = undefined;
    this.#core.changed('stream', this.name);
  }

  /** The connection is another, or gone. */
  lost() {
    this.#isOn = false;
  }

  /** Subscribes or not, as is wanted now. */
  settle() {
    this.#turn = this.#turn.then(() => this.#settle());
  }

  async #settle() {
    const pauses = this.#options.whenHidden === 'pause' && this.#core.connection.isHidden();
    const wanted = this.#listeners.has('event') && !pauses && this.#core.connection.isOnline();
    if (wanted === this.#isOn) return;
    this.#isOn = wanted;
    this.#early = [];
    if (!wanted) {
      if (this.#core.connection.isOnline()) await this.#core.request('unsubscribe', { stream: this.name }).catch(() => {});
      return;
    }
    const { filter, maxRate: max_rate } = this.#options;
    const where = this.#epoch && { since: this.#seq, epoch: this.#epoch };
    try {
      const { streams } = await this.#core.request('subscribe', { stream: this.name, filter, max_rate, ...where });
      this.#begin(streams[0]);
    } catch (/** @type {any} */ error) {
      // The next connection asks again.
      if (!this.#isOn) return;
      this.refusal = error;
      this.#listeners.emit('refused', error);
      this.#core.changed('stream', this.name);
      if (!error.passing) return;
      this.#isOn = false;
      this.#core.env.setTimeout(() => this.settle(), Math.max(error.retryAfter, RETRY_MS));
    }
  }

  /** @param {any} told */
  #begin({ seq, epoch, snapshot, replayed, stale }) {
    this.refusal = null;
    this.#age(stale);
    const isSameLife = epoch === this.#epoch;
    this.#epoch = epoch;
    // In a new life of the stream, nothing is missing for a client that had no event of the old one.
    if (replayed === false && (isSameLife || this.#seq)) {
      this.#listeners.emit('gap', { stream: this.name, after: this.#seq, reason: isSameLife ? 'gone' : 'epoch_changed' });
    }
    if (!replayed) this.#seq = 0;
    const early = /** @type {any[]} */ (this.#early);
    this.#early = null;
    if (isLog(snapshot)) for (const event of snapshot) this.push(event);
    else if (snapshot !== undefined) this.push({ seq, data: snapshot });
    if (snapshot !== undefined) this.#seq = seq;
    // What the shared connection of tabs told before the answer is told again behind it, with what is missing before it.
    for (const event of early) if (!(event.prev > this.#seq)) this.push(event);
  }

  /** @param {any} [told] */
  #age(told) {
    const since = told?.since;
    if (!this.stale && !since) return;
    this.stale = since ? { since, ageMs: told.age_ms } : null;
    this.#core.changed('stream', this.name);
    this.#listeners.emit('stale', this.stale);
  }

  /** Takes an event, or how old the stream is. @param {any} told */
  push(told) {
    // Not subscribed or already seen: a connection shared by tabs also delivers other tabs' events.
    if (!this.#isOn) return;
    if (this.#early) {
      if (this.#early.push(told) > EARLY_MAX) this.#early.shift();
      return;
    }
    const { seq, prev, data, ts } = told;
    if (!seq) return this.#age(told);
    if (seq <= this.#seq) return;
    this.#seq = seq;
    // Events of a snapshot have no `prev`.
    this.latest = { stream: this.name, seq, data, ts, skipped: seq - prev > 1 };
    this.#core.changed('stream', this.name);
    this.#listeners.emit('event', this.latest);
  }

  /**
   * Publishes to it. With an `id` of one's own a repeat is answered as the first was, with `duplicate`.
   * @param {T} data
   * @param {{ id?: string }} [options]
   * @returns {Promise<import('./wire.js').Published>}
   */
  publish(data, options) {
    return this.#core.request('publish', { ...options, stream: this.name, data });
  }
}
