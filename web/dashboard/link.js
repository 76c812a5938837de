// The dashboard's way to the server: calls of the API, and its streams as Server-Sent Events. So whoever looks here does
// not appear online, and the admin token, which opens no WebSocket, is enough.

import { eventsOf } from '../client/sse.js';

const ANSWER_MS_MAX = 20_000;
/** An event comes every 5 s. */
const SILENT_MS_MAX = 16_000;
const WAIT_MS_MAX = 10_000;
const OPEN_USER = 'operator';

/** The server's refusal: `code`, and a `message` for people. */
export class Refused extends Error {
  constructor(status, error) {
    super(error?.message ?? `the server answered ${status}`);
    this.status = status;
    this.code = error?.code ?? String(status);
  }
}

export class Link {
  #token;
  #query;

  /** With a token, or by the browser's sign-in; in open mode as anybody. */
  constructor({ token = null, isOpen = false }) {
    this.#token = token;
    this.#query = isOpen && token === null ? { user: OPEN_USER } : {};
  }

  /** A request of the protocol. */
  async call(type, payload = {}) {
    const response = await this.#fetch(`call/${type}`, { method: 'POST', body: JSON.stringify(payload), signal: AbortSignal.timeout(ANSWER_MS_MAX) });
    const answer = await response.json().catch(() => null);
    if (!response.ok || answer === null) throw new Refused(response.status, answer?.error);
    return answer;
  }

  /**
   * Follows a stream that is a log, from its `last` newest events on, for as long as the page is there. Comes back by
   * itself, and goes on after the last event, unless the server does not take who asks (`isOver`).
   * @param {(event: { seq: number, ts: number, data: any }) => void} told
   * @param {(state: { isOnline: boolean, isOver?: boolean, until?: number, retry?: () => void, error?: Error }) => void} changed
   */
  async follow(stream, last, told, changed) {
    let place = null;
    for (let attempt = 0; ; attempt += 1) {
      let error;
      try {
        place ??= await this.#before(stream, last);
        await this.#listen(stream, place, (event) => {
          attempt = 0;
          told(event);
        }, () => changed({ isOnline: true }));
      } catch (thrown) {
        error = thrown;
      }
      if (error?.status === 401 || error?.status === 403) return changed({ isOnline: false, isOver: true });
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

  async #listen(stream, place, told, opened) {
    const silent = new AbortController();
    let timer = setTimeout(() => silent.abort(), SILENT_MS_MAX);
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => silent.abort(), SILENT_MS_MAX);
    };
    try {
      const query = place.epoch === undefined ? {} : { last_event_id: `${place.epoch}.${place.seq}` };
      const response = await this.#fetch(`streams/${encodeURIComponent(stream)}`, { headers: { Accept: 'text/event-stream' }, signal: silent.signal }, query);
      if (!response.ok) throw new Refused(response.status, (await response.json().catch(() => null))?.error);
      opened();
      for await (const text of eventsOf(response.body, alive)) {
        const { type, payload } = JSON.parse(text);
        if (type === 'error') throw new Refused(response.status, payload);
        if (type === 'event') take(payload);
        if (type === 'subscribed') begin(payload.streams[0]);
      }
    } finally {
      clearTimeout(timer);
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
