// The dashboard's way to the server: calls of the API, and its streams as Server-Sent Events. So whoever looks here does
// not appear online, and the admin token, which opens no WebSocket, is enough.

import { eventsOf } from '../client/sse.js';

const ANSWER_MS_MAX = 20_000;
/** An event comes every 5 s. */
const SILENT_MS_MAX = 16_000;
const WAIT_MS_MAX = 10_000;
const OPEN_USER = 'operator';

/** What the server said when it refused: `status`, if it was an answer, `code`, `field`, and a `message` for people. */
export class Refused extends Error {
  constructor({ code, field, message }, status) {
    super(message);
    Object.assign(this, { code, field, status });
  }

  /** Whether the token or the sign-in is not good, or is not an administrator's. */
  get isOfToken() {
    return this.status === 401 || this.status === 403;
  }
}

/** The refusal in an answer. Something between here and the server answers without one. */
async function refusal(response) {
  const { error } = await response.json();
  return new Refused(error, response.status);
}

export class Link {
  #token;
  #query;
  /** The connections of this page that are open. */
  connections = new Set();

  /** With a token, or by the browser's sign-in; in open mode as anybody. */
  constructor({ token = null, isOpen = false }) {
    this.#token = token;
    this.#query = isOpen && token === null ? { user: OPEN_USER } : {};
  }

  /** A request of the protocol. Rejects with a `Refused`, or with another error if the server does not answer. */
  async call(type, payload = {}) {
    try {
      const response = await this.#fetch(`call/${type}`, { method: 'POST', body: JSON.stringify(payload), signal: AbortSignal.timeout(ANSWER_MS_MAX) });
      if (!response.ok) throw await refusal(response);
      return await response.json();
    } catch (error) {
      throw error instanceof Refused ? error : new Error('the server does not answer', { cause: error });
    }
  }

  /**
   * Follows a stream that is a log, from its `last` newest events on, until `signal` aborts. Comes back by itself, and
   * goes on after the last event. Rejects if the token is refused.
   * @param {(event: { seq: number, ts: number, data: any }) => void} told
   * @param {(state: { isOnline: boolean, until?: number, retry?: () => void, error?: Error }) => void} changed
   * @param {AbortSignal} signal
   */
  async follow(stream, last, told, changed, signal) {
    let place = null;
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      let error;
      try {
        place ??= await this.#before(stream, last);
        await this.#listen(stream, place, (event) => {
          attempt = 0;
          told(event);
        }, () => changed({ isOnline: true }), signal);
      } catch (thrown) {
        error = thrown;
      }
      if (signal.aborted) return;
      if (error?.isOfToken) throw error;
      const ms = Math.random() * 500 + Math.min(WAIT_MS_MAX, 500 * 2 ** attempt);
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, ms);
        changed({ isOnline: false, until: Date.now() + ms, error, retry: () => (clearTimeout(timer), resolve()) });
      });
    }
  }

  /** The place before the last events of a stream. */
  async #before(stream, last) {
    const { seq, epoch } = await this.call('stream:get', { stream });
    return { epoch, seq: Math.max(0, seq - last) };
  }

  async #listen(stream, place, told, opened, signal) {
    let connection;
    const silent = new AbortController();
    let timer = setTimeout(() => silent.abort(), SILENT_MS_MAX);
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => silent.abort(), SILENT_MS_MAX);
    };
    try {
      const query = place.epoch === undefined ? {} : { last_event_id: `${place.epoch}.${place.seq}` };
      const response = await this.#fetch(`streams/${encodeURIComponent(stream)}`, { headers: { Accept: 'text/event-stream' }, signal: AbortSignal.any([silent.signal, signal]) }, query);
      if (!response.ok) throw await refusal(response);
      for await (const text of eventsOf(response.body, alive)) {
        const { type, payload } = JSON.parse(text);
        if (type === 'connected') {
          ({ connection } = payload);
          this.connections.add(connection);
          opened();
        }
        // It says why the events end.
        if (type === 'error') throw new Refused(payload);
        if (type === 'event') take(payload);
        if (type === 'subscribed') begin(payload.streams[0]);
      }
    } finally {
      clearTimeout(timer);
      silent.abort();
      this.connections.delete(connection);
    }

    function take(event) {
      place.seq = event.seq;
      told(event);
    }

    function begin({ epoch, seq, snapshot, replayed }) {
      place.epoch = epoch;
      if (replayed === true) return;
      for (const event of Array.isArray(snapshot) ? snapshot : []) take(event);
      place.seq = seq;
    }
  }

  #fetch(path, options, query = {}) {
    const asked = new URLSearchParams({ ...this.#query, ...query }).toString();
    const headers = { ...options.headers, ...(this.#token === null ? {} : { Authorization: `Bearer ${this.#token}` }) };
    return fetch(`/api/v1/${path}${asked === '' ? '' : `?${asked}`}`, { cache: 'no-store', ...options, headers });
  }
}
