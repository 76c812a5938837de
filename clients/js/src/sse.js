// A replacement where no WebSocket comes through: it looks like one, receives by Server-Sent Events and sends by POST.
// The client above it speaks the same messages, with the same `cid`s, and reads what it has missed as usual.

import { wider } from './world.js';

/** @typedef {import('./env.js').Env} Env */

const CALL = 'api/v1/call/';
const EVENTS = 'api/v1/events';
const STREAMS = 'api/v1/streams/';
/** Something comes with every heartbeat: after so many without, nothing comes any more. */
const HEARTBEATS_MISSED = 3;
const UPGRADE_MS = 60_000;

/**
 * Reads events (WHATWG HTML §9.2.6): the data of each.
 * @param {ReadableStream<Uint8Array>} body
 * @param {() => void} [alive] called with all that comes, also with comments
 * @returns {AsyncGenerator<string, void>}
 */
export async function* eventsOf(body, alive = () => {}) {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let rest = '';
  /** @type {string[]} */
  let data = [];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    alive();
    const lines = (rest + decoder.decode(value, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line.startsWith('data: ')) data.push(line.slice(6));
      else if (line === '') {
        if (data.length > 0) yield data.join('\n');
        data = [];
      }
    }
  }
}

/**
 * What is in a `WebSocket`'s place, for as long as none opens.
 * @param {Env} env
 * @param {() => void} [upgrade] called when one does
 * @returns {new (url: string) => WebSocket}
 */
export const eventsSocket = (env, upgrade = () => {}) => /** @type {any} */ (class EventsSocket {
  binaryType = 'arraybuffer';
  /** @type {any} */ onopen = null;
  /** @type {any} */ onmessage = null;
  /** @type {any} */ onclose = null;
  /** @type {any} */ onerror = null;
  #base;
  #query;
  /** @type {string | null} */
  #token = null;
  /** One for all that is under way. */
  #ends = new AbortController();
  /** In ms: the usual one, until the server has said its own. */
  #heartbeat = 25_000;
  /** Streams that are watched, by events of their own. @type {Map<string, AbortController>} */
  #streams = new Map();

  /** @param {string} url of the WebSocket */
  constructor(url) {
    this.url = url;
    const at = new URL(url);
    at.protocol = at.protocol.replace('ws', 'http');
    const isKnown = at.searchParams.has('resume');
    at.searchParams.delete('resume');
    this.#query = at.searchParams;
    this.#base = new URL('./', at.href.replace(/[?#].*/, ''));
    queueMicrotask(() => {
      if (this.#ends.signal.aborted) return;
      this.onopen?.({});
      if (isKnown) void this.#listen();
    });
  }

  /** @param {string} text */
  send(text) {
    const { type, id, payload = {} } = JSON.parse(text);
    if (type === 'auth') {
      const isFirst = this.#token === null;
      this.#token = payload.token;
      if (isFirst) void this.#listen();
      // The next call shows whether it is valid; until then the events use the previous one.
      else this.#say('reply', {}, id);
    }
    // Missed messages are read; none are resent unasked.
    else if (type === 'resume') this.#say('reply', { rooms: {}, refused: {} }, id);
    else if (type === 'subscribe') for (const stream of payload.streams ?? [payload.stream]) void this.#watch(stream, payload, id);
    else if (type === 'unsubscribe') {
      this.#streams.get(payload.stream)?.abort();
      this.#say('reply', { streams: [payload.stream] }, id);
    } else void this.#call(type, payload, id);
  }

  close() {
    this.#end(1005);
  }

  /** @param {string} path @param {Record<string, any>} [query] */
  #at(path, query = {}) {
    const at = new URL(path, this.#base);
    for (const [name, value] of [...this.#query, ...Object.entries(query)]) if (value !== undefined) at.searchParams.set(name, value);
    return at.href;
  }

  /** @param {string} url @param {any} [how] */
  #fetch(url, how = {}) {
    const headers = { ...how.headers, ...(this.#token !== null && { Authorization: `Bearer ${this.#token}` }) };
    return /** @type {typeof fetch} */ (wider(env).fetch)(url, { signal: this.#ends.signal, cache: 'no-store', ...how, headers });
  }

  /** The events of an answer, for as long as some come. @param {ReadableStream<Uint8Array>} body @param {AbortSignal} signal */
  async *#events(body, signal) {
    /** @type {any} */
    let timer = null;
    const stop = () => env.clearTimeout(timer);
    const alive = () => {
      stop();
      timer = env.setTimeout(() => this.#end(1006), HEARTBEATS_MISSED * this.#heartbeat);
    };
    signal.addEventListener('abort', stop);
    try {
      yield* eventsOf(body, alive);
    } finally {
      stop();
    }
  }

  async #listen() {
    try {
      const answer = await this.#fetch(this.#at(EVENTS), { headers: { Accept: 'text/event-stream' } });
      if (!answer.ok || !answer.body) {
        const { error } = await answer.json();
        // As a WebSocket would have been closed.
        const close = answer.status === 401 ? 4001 : answer.status === 403 ? 4003 : 1006;
        this.#say('error', { ...error, close });
        return this.#end(close);
      }
      for await (const text of this.#events(answer.body, this.#ends.signal)) {
        const { type, payload } = JSON.parse(text);
        if (type === 'connected') {
          this.#heartbeat = payload.heartbeat_ms;
          this.#tryLater();
          this.#say('hello', payload);
        } else if (type === 'error') this.#say(type, payload);
        else this.onmessage?.({ data: text });
      }
    } catch {
      // Either end has closed it.
    }
    this.#end(1006);
  }

  /** Tries once a minute whether a WebSocket opens by now. */
  #tryLater() {
    const { signal } = this.#ends;
    const timer = env.setTimeout(() => {
      const trial = new env.WebSocket(this.url);
      trial.onerror = () => {};
      trial.onopen = () => {
        trial.onclose = null;
        trial.close();
        if (!signal.aborted) upgrade();
      };
      trial.onclose = () => signal.aborted || this.#tryLater();
    }, UPGRADE_MS);
    signal.addEventListener('abort', () => env.clearTimeout(timer), { once: true });
  }

  /** @param {string} stream @param {{ filter?: any, max_rate?: number, since?: number, epoch?: string }} how @param {any} id */
  async #watch(stream, { filter, max_rate, since, epoch }, id) {
    const ends = new AbortController();
    this.#streams.get(stream)?.abort();
    this.#streams.set(stream, ends);
    this.#ends.signal.addEventListener('abort', () => ends.abort(), { signal: ends.signal });
    const last_event_id = since === undefined ? undefined : `${epoch}.${since}`;
    const url = this.#at(STREAMS + encodeURIComponent(stream), { filter: filter && JSON.stringify(filter), max_rate, last_event_id });
    try {
      const answer = await this.#fetch(url, { headers: { Accept: 'text/event-stream' }, signal: ends.signal });
      if (!answer.ok || !answer.body) return this.#say('error', (await answer.json()).error, id);
      for await (const text of this.#events(answer.body, ends.signal)) {
        const { type, payload } = JSON.parse(text);
        if (type === 'subscribed') this.#say('reply', payload, id);
        else if (type === 'error') {
          // It ends only this stream; some of its members apply to a whole connection.
          ends.abort();
          this.#say(type, { ...payload, close: undefined }, id);
        } else if (type !== 'connected') this.onmessage?.({ data: text });
      }
    } catch {
      // Handled below.
    }
    // Start over: the client subscribes again and continues from its position.
    if (!ends.signal.aborted) this.#end(1006);
  }

  /** @param {string} type @param {any} payload @param {any} id */
  async #call(type, payload, id) {
    try {
      const how = { method: 'POST', body: JSON.stringify(payload), headers: { 'Content-Type': 'application/json' } };
      const answer = await this.#fetch(this.#at(CALL + encodeURIComponent(type)), how);
      const told = await answer.json().catch(() => null);
      // As a WebSocket ends with its token.
      if (answer.status === 401 && this.#token !== null) return this.#end(4201);
      // An intermediary has answered: a retry of a request that it blocks would fail, too.
      if (!told && answer.status >= 500) return this.#end(1006);
      const code = answer.status === 413 ? 'too_large' : 'forbidden';
      if (id === undefined) return;
      if (answer.ok) this.#say('reply', told ?? {}, id);
      else this.#say('error', told?.error ?? { code, message: `status ${answer.status}` }, id);
    } catch {
      this.#end(1006);
    }
  }

  /** @param {string} type @param {any} payload @param {any} [id] */
  #say(type, payload, id) {
    if (!this.#ends.signal.aborted) this.onmessage?.({ data: JSON.stringify({ type, id, payload }) });
  }

  /** @param {number} code */
  #end(code) {
    if (this.#ends.signal.aborted) return;
    this.#ends.abort();
    this.onclose?.({ code });
  }
});
