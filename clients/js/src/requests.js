// A client's request queue: assigns ids, keeps the rate that `hello.limits` asks for, waits where the server said
// `retry_after_ms`, and passes each answer to the caller. When the connection ends, requests already sent become
// `disconnected`; the others wait for the next one.

import { onAbort } from './env.js';
import { ParlorError } from './errors.js';

/** @typedef {import('./env.js').Env} Env */
/** @typedef {ReturnType<typeof requestQueue>} Requests */
/**
 * @typedef {object} Asked
 * @property {string} type
 * @property {any} payload
 * @property {boolean} first
 * @property {number} id the one it was sent with last; 0 before
 * @property {number} limited how often the server had no time for it
 * @property {(payload: any) => void} resolve
 * @property {(error: ParlorError) => void} reject
 */
/** @typedef {{ timeout?: number, signal?: AbortSignal, first?: boolean, now?: boolean }} AskOptions `now`: before it is online, on this connection or never */

const WAITING_MAX = 1_000;
const LIMITED_MAX = 8;
// A little below what the server allows: its bucket and ours do not fill at the same moment.
const PACE = 0.9;
const BURST_SPARE = 2;

/** @param {Env} env @param {number} patience for an answer, in ms @param {(text: string) => void} transmit */
export function requestQueue(env, patience, transmit) {
  /** @type {Asked[]} */
  let queue = [];
  /** @type {Map<number, Asked>} */
  const sent = new Map();
  let lastId = 0;
  // Whether the client is online.
  let isOpen = false;
  let perSecond = 0;
  let burst = 0;
  let bytesMax = Infinity;
  let tokens = 0;
  let filledAt = 0;
  let pausedUntil = 0;
  /** @type {any} */
  let timer = null;

  const fill = () => {
    const now = env.now();
    tokens = Math.min(burst, tokens + (Math.max(0, now - filledAt) / 1_000) * perSecond);
    filledAt = now;
  };

  /** @param {Asked} asked */
  const enqueue = (asked) => {
    if (asked.first) queue.unshift(asked);
    else queue.push(asked);
    pump();
  };

  // The server would end the connection over it, and again at every retry.
  const isTooLarge = (/** @type {string} */ text) => new TextEncoder().encode(text).length > bytesMax;

  /** @param {Asked} asked */
  const send = (asked) => {
    const text = JSON.stringify({ type: asked.type, id: (asked.id = lastId += 1), payload: asked.payload });
    if (isTooLarge(text)) return asked.reject(new ParlorError('too_large', { limit: bytesMax }));
    tokens -= 1;
    sent.set(asked.id, asked);
    transmit(text);
  };

  const pump = () => {
    env.clearTimeout(timer);
    if (!isOpen) return;
    fill();
    const pause = pausedUntil - filledAt;
    while (queue[0] && tokens >= 1 && pause <= 0) send(/** @type {Asked} */ (queue.shift()));
    if (queue[0]) timer = env.setTimeout(pump, Math.max(pause, ((1 - tokens) / perSecond) * 1_000, 5));
  };

  return {
    /** A connection has said hello; its limits hold from now on. Returns how long two requests take at least, in ms. @param {any} [limits] */
    begin(limits = {}) {
      perSecond = Math.max(0.2, (limits.requests_per_second ?? 10) * PACE);
      tokens = burst = Math.max(1, (limits.burst ?? 30) - BURST_SPARE);
      bytesMax = limits.message_bytes;
      filledAt = env.now();
      pausedUntil = 0;
      return 2_000 / perSecond;
    },

    /** It is online: what has waited goes. */
    release() {
      isOpen = true;
      pump();
    },

    /** The connection is gone: nothing that was asked on it is answered any more. */
    pause() {
      isOpen = false;
      env.clearTimeout(timer);
      for (const asked of sent.values()) asked.reject(new ParlorError('disconnected'));
      sent.clear();
    },

    /** None will come, or none of these is for who is there now. */
    end(code = 'closed') {
      for (const asked of queue.splice(0)) asked.reject(new ParlorError(code));
    },

    /**
     * Asks. Rejects with a {@link ParlorError}.
     * @param {string} type
     * @param {any} [payload]
     * @param {AskOptions} [options]
     * @returns {Promise<any>}
     */
    ask: (type, payload = {}, { timeout = patience, signal, first = false, now = false } = {}) =>
      new Promise((resolve, reject) => {
        if (queue.length >= WAITING_MAX) return reject(new ParlorError('overloaded'));
        if (signal?.aborted) return reject(new ParlorError('cancelled'));
        const stop = (/** @type {string} */ code) => {
          queue = queue.filter((one) => one !== asked);
          sent.delete(asked.id);
          asked.reject(new ParlorError(code));
        };
        const late = timeout < Infinity ? env.setTimeout(() => stop('timeout'), timeout) : null;
        const unbind = onAbort(signal, () => stop('cancelled'));
        const end = () => (env.clearTimeout(late), unbind());
        /** @type {Asked} */
        const asked = {
          type, payload, first, id: 0, limited: 0,
          resolve: (value) => (end(), resolve(value)),
          reject: (error) => (end(), reject(error)),
        };
        if (now) send(asked);
        else enqueue(asked);
      }),

    /** Says something that is worth nothing later: now or never. @param {string} type @param {any} payload @returns {boolean} */
    tell(type, payload) {
      fill();
      const text = JSON.stringify({ type, payload });
      if (!isOpen || queue[0] || tokens < 1 || filledAt < pausedUntil || isTooLarge(text)) return false;
      tokens -= 1;
      transmit(text);
      return true;
    },

    /** Takes a `reply` or an `error` of the server. @param {any} message */
    settle({ type, id, payload }) {
      const isLimited = type === 'error' && payload.code === 'rate_limited' && !payload.by;
      if (isLimited) pausedUntil = Math.max(pausedUntil, env.now() + (payload.retry_after_ms || 1_000));
      const asked = sent.get(id);
      if (!asked) return;
      sent.delete(id);
      if (type === 'reply') asked.resolve(payload);
      else if (isLimited && (asked.limited += 1) <= LIMITED_MAX) {
        // The server did not process it: it goes before later requests.
        asked.first = true;
        enqueue(asked);
      } else asked.reject(new ParlorError(payload.code ?? 'internal', payload));
    },
  };
}
