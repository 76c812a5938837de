// One connection for a page, under the names of the services that applications have written for themselves, so that it
// can replace them without changing their callers.

import { connect } from './client.js';
import { Listeners, environment } from './env.js';
import { onMessage } from './messages.js';
import { pageClient } from './page-client.js';
import { isSameUser, renewToken, subjectOf } from './tokens.js';

/** @typedef {import('./client.js').Client} Client */
/** @typedef {string | number} Id */
/** @typedef {string | import('./connection.js').TokenSource | null | undefined} Token */
/** @typedef {import('./client.js').Options & { url?: string, attempts?: number }} ServiceOptions `attempts`: how often it tries in a row; it never gives up, if not told otherwise */

const URL_OF_PAGE = '/ws';

export class WebSocketService {
  /** @type {ServiceOptions} */
  #options;
  /** @type {Client | null} */
  #client = null;
  /** @type {Token} */
  #token;
  #listeners;
  /** They stay when the connection is another. @type {{ type: string, handler: (payload: any) => void, stop: () => void }[]} */
  #handlers = [];
  #isConnected = false;

  /** @param {ServiceOptions} [options] those of `connect`, too */
  constructor(options = {}) {
    this.#options = options;
    this.#listeners = new Listeners(environment(options.env).report);
  }

  /** For the next `connect`. @param {ServiceOptions} options */
  configure(options) {
    this.#options = { ...this.#options, ...options };
  }

  /** What is below: its rooms, streams and presence. @returns {Client | null} */
  get client() {
    return this.#client;
  }

  /** Is told when there is another client, or none any more. @param {() => void} listener @returns {() => void} ends it */
  onClientChange(listener) {
    return this.#listeners.on('client', listener);
  }

  /**
   * Connects, also again after it has failed; with another token, as whom that one says: a newer one of the same user
   * (by the `sub` of a JWT) changes nothing of what is there.
   * @param {Token} [token]
   * @returns {Promise<void>} resolves when it is online; rejects when it ended before. Whoever does not look is not bothered
   */
  connect(token) {
    if (!isSameUser(token, this.#token) || this.#client?.state.name === 'closed') this.disconnect();
    const isNewer = typeof token === 'string' && token !== this.#token;
    this.#token = token;
    if (this.#client && isNewer) renewToken(this.#client, token);
    const client = this.#client ?? this.#open(token);
    if (/failed|paused/.test(client.state.name)) client.retryNow();
    const ready = client.ready();
    ready.catch(() => {});
    return ready;
  }

  /** Ends it. Handlers and listeners stay for the next. */
  disconnect() {
    const client = this.#client;
    if (!client) return;
    this.#client = null;
    for (const entry of this.#handlers) entry.stop();
    client.close();
    this.#judge();
    this.#listeners.emit('client');
  }

  /** Sends a message that wants no answer: now or never. @param {string} type @param {any} [payload] @returns {boolean} whether it was sent */
  send(type, payload = {}) {
    return this.#client?.send(type, named(payload)) ?? false;
  }

  /**
   * Listens to messages of a type: those of rooms in order and once, also what was missed. Each handler counts once.
   * @param {string} type
   * @param {(payload: any) => void} handler
   * @returns {() => void} ends it
   */
  on(type, handler) {
    const off = () => this.off(type, handler);
    if (this.#handlers.some((entry) => entry.type === type && entry.handler === handler)) return off;
    const entry = { type, handler, stop: () => {} };
    this.#handlers.push(entry);
    if (this.#client) entry.stop = onMessage(this.#client, type, handler);
    return off;
  }

  /** @param {string} type @param {(payload: any) => void} handler */
  off(type, handler) {
    const place = this.#handlers.findIndex((entry) => entry.type === type && entry.handler === handler);
    if (place >= 0) this.#handlers.splice(place, 1)[0].stop();
  }

  /**
   * Is told when it comes to be connected, and when it is not any more.
   * @param {(connected: boolean) => void} listener
   * @returns {() => void} ends it
   */
  onConnectionChange(listener) {
    return this.#listeners.on('connection', listener);
  }

  isConnected() {
    return this.#client?.state.name === 'online';
  }

  /**
   * Says something in a conversation; what cannot be sent now is sent later, once and in order.
   * @param {Id} conversation
   * @param {string} text
   * @returns {boolean} whether it was taken
   */
  sendChatMessage(conversation, text) {
    if (!this.#client || this.#hasEnded) return false;
    return this.#client.room(conversation).send(text).status !== 'failed';
  }

  /** One is typing there; told every 3 s at most. @param {Id} conversation @returns {boolean} whether it is connected */
  sendTypingIndicator(conversation) {
    if (!this.isConnected()) return false;
    this.#client?.room(conversation).typing();
    return true;
  }

  get #hasEnded() {
    return /closed|failed/.test(this.#client?.state.name ?? 'closed');
  }

  /** @param {Token} token */
  #open(token) {
    const { url = URL_OF_PAGE, attempts = Infinity, backoff, ...options } = this.#options;
    const newest = () => /** @type {string} */ (this.#token);
    const source = typeof token === 'string' ? newest : (token ?? undefined);
    const client = connect(url, { user: subjectOf(token) ?? undefined, ...options, backoff: { attempts, ...backoff }, token: source });
    this.#client = client;
    client.on('state', () => client === this.#client && this.#judge());
    for (const entry of this.#handlers) entry.stop = onMessage(client, entry.type, entry.handler);
    this.#listeners.emit('client');
    return client;
  }

  #judge() {
    if (this.isConnected() === this.#isConnected) return;
    this.#isConnected = !this.#isConnected;
    this.#listeners.emit('connection', this.#isConnected);
  }
}

/** Names of rooms and users are texts, also where an application counts them. @param {any} payload */
function named(payload) {
  const isCounted = (/** @type {string} */ name) => typeof payload?.[name] === 'number';
  const counted = ['room', 'user', 'to'].filter(isCounted).map((name) => [name, String(payload[name])]);
  return counted.length > 0 ? { ...payload, ...Object.fromEntries(counted) } : payload;
}

/** The page's own. */
export const webSocketService = new WebSocketService();
webSocketService.onClientChange(() => pageClient.set(webSocketService.client));
