// The base of every client: a reconnecting connection with its requests, in a page that is hidden and shown.

import { connectionOf } from './connection.js';
import { Listeners, environment, heard } from './env.js';
import { ParlorError } from './errors.js';

/** @typedef {import('./connection.js').State} State */
/** @typedef {import('./connection.js').Quality} Quality */
/** @typedef {import('./requests.js').AskOptions} AskOptions */
/**
 * @typedef {object} BaseOptions
 * @property {string | import('./connection.js').TokenSource} [token] asked for at first, when it expires, when it is rejected: not with every reconnection
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
/** @typedef {{ state: State, user: import('./wire.js').User | null, quality: Quality | null, limits: import('./wire.js').Limits }} BaseSnapshot */

const BACKOFF = /** @type {const} */ ({ min: 1_000, max: 30_000, factor: 2, jitter: 'full', attempts: Infinity, stable: 30_000 });
const REQUEST_MS = 20_000;
const INTERVAL_MS = 5_000;

/** @template {import('./wire.js').Messages<M>} [M=any] the application's own messages */
export class BaseClient {
  /** What the server has said of itself and of its limits, once it has. @type {import('./wire.js').Hello | null} */
  hello = null;
  /** Whose is what is here; all guests are one: each connection of theirs has another name. @protected @type {string | undefined} */
  owner;
  #options;
  /** @type {any} */
  #hiddenTimer;
  /** @type {any} */
  #page;
  /** @type {any} */
  #snapshot = null;

  /** It is `idle` until it begins. @param {string} url @param {BaseOptions} options */
  constructor(url, options) {
    this.#options = options;
    const env = environment(options.env);
    /** @protected */
    this.env = options.tabs ? options.tabs(env, url) : env;
    /** @protected */
    this.listeners = new Listeners(this.env.report);
    const { timeout = REQUEST_MS, quality, backoff } = options;
    /** @protected */
    this.connection = connectionOf({ ...options, timeout, url, interval: quality?.interval ?? INTERVAL_MS, backoff: { ...BACKOFF, ...backoff } }, this.env, /** @type {any} */ (this));
  }

  /** @protected @param {string} url @returns {this} */
  begin(url) {
    this.#watchPage();
    this.connection.open('connect()');
    // On localhost, hints tell a developer what is wrong.
    if (/localhost|127\.0/.test(/** @type {any} */ (this.env.location?.href))) void import('./hint.js').then((all) => all.hint(this, url, this.#options, heard));
    return this;
  }

  /** @returns {State} */
  get state() {
    return this.connection.state;
  }

  /** The round trip, once it was measured. @returns {Quality | null} */
  get quality() {
    return this.connection.quality;
  }

  /** The last 20 changes of the connection's state, each with its cause and what is done about it. @returns {import('./connection.js').Step[]} */
  why() {
    return this.connection.steps;
  }

  /** All that is known now; the same object until something has changed. @returns {ReturnType<this["read"]>} */
  snapshot() {
    return (this.#snapshot ??= this.read());
  }

  /** The same, made anew. @returns {BaseSnapshot} */
  read() {
    const { state, quality, hello } = this;
    return { state, quality, user: hello?.user ?? null, limits: hello?.limits ?? {} };
  }

  /** Resolves when it is online; rejects when it has ended for good. @param {{ signal?: AbortSignal }} [options] @returns {Promise<void>} */
  async ready({ signal } = {}) {
    for (;;) {
      const { state } = this;
      if (state.name === 'online') return;
      if (state.name === 'failed') throw new ParlorError(String(state.code), { message: state.reason });
      if (signal?.aborted) throw new ParlorError('cancelled');
      if (state.name === 'closed') throw new ParlorError('closed');
      await this.listeners.next('state', signal);
    }
  }

  /** Does not wait any longer; also comes back from `failed`, `paused` and `closed`. */
  retryNow() {
    const { name } = this.state;
    if (/online|connecting|authenticating/.test(name)) return;
    if (name === 'closed') this.#watchPage();
    this.connection.open('retryNow()');
  }

  /** Lets go of the connection until `retryNow()`; what is asked meanwhile waits. @param {string} [reason] */
  pause(reason = 'pause()') {
    this.connection.pause(reason);
  }

  /** Ends it. */
  close() {
    this.connection.close();
    this.#page.abort();
    this.env.clearTimeout(this.#hiddenTimer);
  }

  /**
   * Listens: to `state`, `quality`, `notice`, `error`, to what a client with more parts tells of, or to messages of any other
   * type, the application's own ones.
   * @template {import('./wire.js').Heard<M>} T
   * @param {T} event
   * @param {(payload: import('./wire.js').Event<M, T>) => void} fn
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {() => void} ends it
   */
  on(event, fn, options) {
    return this.listeners.on(event, fn, options);
  }

  /**
   * Sends a message of any type that wants no answer: now or never; whether it was sent.
   * @type {<T extends import('./wire.js').Said<M>>(type: T, ...rest: import('./wire.js').With<import('./wire.js').Payload<M, T>, []>) => boolean}
   */
  send(type, payload = /** @type {any} */ ({})) {
    return this.connection.requests.tell(type, payload);
  }

  /**
   * Asks, and resolves to the answer's payload; waits for a connection.
   * @type {<T extends import('./wire.js').Asked<M>>(type: T, ...rest: import('./wire.js').With<import('./wire.js').Payload<M, T>, [options?: AskOptions]>)
   *   => Promise<import('./wire.js').Answer<M, T>>}
   */
  async request(type, payload, options) {
    if (/closed|failed/.test(this.state.name)) throw new ParlorError('closed');
    return this.connection.requests.ask(type, payload, options);
  }

  // --- Called by the connection and by subclasses ---

  /** @protected */
  onState() {
    if (!this.connection.isOnline()) this.lost();
    this.changed('state', this.state);
    this.settle();
  }

  /** @protected @param {any} hello @returns {void | Promise<void>} */
  onHello(hello) {
    const before = this.owner;
    this.owner = hello.user.anonymous ? '' : hello.user.id;
    this.hello = hello;
    if (before !== undefined && before !== this.owner) this.forget();
  }

  /** Also for whoever wants to see all that comes. @protected @param {string} type @param {any} payload */
  onPush(type, payload) {
    this.listeners.emit(type, payload);
  }

  /** The connection is another, or gone. @protected */
  lost() {}

  /** The state is another, or whether the page is seen: does what is to be done now. @protected */
  settle() {}

  /** Nothing that one person has asked for or read is done in the name of another. @protected */
  forget() {
    this.connection.requests.end('cancelled');
  }

  /** @protected @param {string} event @param {any} [value] */
  changed(event, value) {
    this.#snapshot = null;
    this.listeners.emit(event, value);
  }

  #watchPage() {
    const { document, window } = this.env;
    const { signal } = (this.#page = new AbortController());
    const judge = (/** @type {Event} */ event) => this.#wake(event);
    for (const type of ['visibilitychange', 'resume']) document?.addEventListener(type, judge, { signal });
    for (const type of ['focus', 'online', 'offline', 'pagehide', 'pageshow']) window?.addEventListener(type, judge, { signal });
  }

  /** Something woke the page, or put it away: judged before timers would, which a hidden page has once a minute. @param {Event} event */
  #wake({ type }) {
    const connection = this.connection;
    const { state } = this;
    const { whenHidden = 'keep' } = this.#options;
    if (type === 'visibilitychange') {
      this.settle();
      this.env.clearTimeout(this.#hiddenTimer);
      if (connection.isHidden()) {
        if (whenHidden !== 'keep') this.#hiddenTimer = this.env.setTimeout(() => connection.pause('hidden'), whenHidden.afterMs);
        return;
      }
    }
    // An open socket keeps a page out of the back/forward cache.
    if (type === 'pagehide') connection.pause(type);
    // A reason to check, not a verdict: another network may be gone.
    else if (type === 'offline') connection.probe();
    else if (state.name === 'paused' && (type === 'pageshow' ? state.reason === 'pagehide' : state.reason === 'hidden')) connection.open(type);
    else if (!connection.isHidden() || type !== 'focus') connection.wake(type);
  }
}
