// A reconnecting WebSocket to any path that speaks JSON, with no further protocol. It waits between attempts as the
// client does, and closes while the page is hidden or unused.

import { Listeners, environment } from './env.js';
import { verdict } from './errors.js';

/** @typedef {import('./connection.js').State} State */
/** @typedef {{ level: string, rtt: number }} OpeningQuality `rtt`: how long it took to open, in ms; nothing else is told by any server */
/**
 * @typedef {object} ReliableSnapshot
 * @property {State} state
 * @property {number} attempt the number of the next attempt in a row; 0 while it is open
 * @property {OpeningQuality | null} quality
 * @property {number | null} lastMessageAt ms since 1970
 */
/**
 * @typedef {object} ReliableOptions
 * @property {number} [minDelay] the bound of the first wait, in ms; it doubles with each
 * @property {number} [maxDelay] the bound of the longest wait, in ms
 * @property {number} [attempts] how many in a row; it never gives up, if not told otherwise
 * @property {(code: number) => boolean} [fatal] whether a close code is one from which it is not to come back; those of the protocol, if not told otherwise
 * @property {boolean} [whileHidden] whether it is kept while nobody sees the page
 * @property {Partial<import('./env.js').Env>} [env]
 */

const MIN_DELAY_MS = 1_000;
const MAX_DELAY_MS = 30_000;
const OPENING_MS = 10_000;
const STABLE_MS = 30_000;
const LEVELS = /** @type {const} */ ([['excellent', 20], ['good', 50], ['fair', 100], ['poor', 200], ['critical', Infinity]]);

/** @param {number} code */
const isFatal = (code) => verdict(code) === 'ends';

/**
 * Connects, and comes back. Listen to `message`, to `open`, and to `change` of what `snapshot()` says.
 * @param {string} url `ws:`, `wss:`, `http:`, `https:`, or relative to the page
 * @param {ReliableOptions} [options]
 */
export function reliable(url, options = {}) {
  const { minDelay = MIN_DELAY_MS, maxDelay = MAX_DELAY_MS, attempts = Infinity, whileHidden = false, fatal = isFatal } = options;
  const env = environment(options.env);
  const listeners = new Listeners(env.report);
  const page = new AbortController();
  /** @type {import('./env.js').SocketLike | null} */
  let socket = null;
  /** @type {any} */
  let timer = null;
  /** @type {ReliableSnapshot} */
  let snapshot = { state: { name: 'idle' }, attempt: 0, quality: null, lastMessageAt: null };

  // Failures since the connection was last stable: one that ends at once does not count as reconnected.
  let failures = 0;
  // The allowed attempts are used up: an event that wakes it starts afresh.
  let isSpent = false;

  const isHidden = () => env.document?.visibilityState === 'hidden';

  /** @param {Partial<ReliableSnapshot>} changes */
  const change = (changes) => {
    snapshot = { ...snapshot, ...changes };
    listeners.emit('change');
  };

  /** @param {number} ms @param {() => void} fn */
  const after = (ms, fn) => {
    env.clearTimeout(timer);
    timer = env.setTimeout(fn, ms);
  };

  // Later events of the old socket are about a connection that is over.
  const drop = () => {
    env.clearTimeout(timer);
    const old = socket;
    socket = null;
    if (!old) return;
    old.onopen = old.onmessage = old.onclose = null;
    old.close(1000);
  };

  /** @param {number} code @param {string} [reason] */
  const lost = (code, reason = `close ${code}`) => {
    drop();
    const { quality } = snapshot;
    const lostQuality = quality && { ...quality, level: 'lost' };
    const isOver = fatal(code);
    isSpent = !isOver && failures >= attempts;
    if (isOver || isSpent) {
      failures = 0;
      return change({ state: { name: 'failed', code, reason }, quality: lostQuality });
    }
    const wait = env.random() * Math.min(maxDelay, minDelay * 2 ** failures);
    failures += 1;
    const state = /** @type {State} */ ({ name: 'waiting', until: env.now() + wait, attempt: failures, reason, code });
    after(wait, open);
    change({ state, attempt: failures, quality: lostQuality });
  };

  const open = () => {
    drop();
    const begun = env.now();
    after(OPENING_MS, () => lost(1006, 'no answer in time'));
    change({ state: { name: 'connecting' } });
    if (snapshot.state.name !== 'connecting') return;
    try {
      const at = new env.URL(url, env.location?.href);
      at.protocol = at.protocol.replace('http', 'ws');
      socket = new env.WebSocket(at.href);
    } catch (error) {
      drop();
      isSpent = false;
      return change({ state: { name: 'failed', code: 'url', reason: String(error) } });
    }
    // The close event has the same information; in Node.js there may be no other listener.
    socket.onerror = () => {};
    socket.onopen = () => {
      const rtt = env.now() - begun;
      after(STABLE_MS, () => (failures = 0));
      change({ state: { name: 'online', since: env.now() }, attempt: 0, quality: { level: LEVELS.find(([, bound]) => rtt < bound)?.[0] ?? '', rtt } });
      listeners.emit('open');
    };
    socket.onmessage = ({ data }) => {
      let message;
      try {
        message = JSON.parse(data);
      } catch (error) {
        return env.report(error);
      }
      change({ lastMessageAt: env.now() });
      listeners.emit('message', message);
    };
    socket.onclose = ({ code }) => lost(code);
  };

  /** @param {string} reason */
  const pause = (reason) => {
    if (/closed|failed|paused/.test(snapshot.state.name)) return;
    drop();
    change({ state: { name: 'paused', reason } });
  };

  /** @param {Event} event */
  const judge = ({ type }) => {
    const { name } = snapshot.state;
    if (type === 'pagehide' || (isHidden() && !whileHidden)) pause(type === 'pagehide' ? type : 'hidden');
    else if (name === 'paused' || name === 'waiting' || (name === 'failed' && isSpent)) open();
  };
  const { signal } = page;
  env.document?.addEventListener('visibilitychange', judge, { signal });
  for (const type of ['online', 'pagehide', 'pageshow']) env.window?.addEventListener(type, judge, { signal });

  if (isHidden() && !whileHidden) pause('hidden');
  else open();

  return {
    /** @returns {ReliableSnapshot} the same object until something has changed */
    snapshot: () => snapshot,
    on: listeners.on.bind(listeners),
    /** Sends a value as JSON: now or never. @param {any} value @returns {boolean} whether it was sent */
    send(value) {
      // A closing socket sends nothing.
      if (!socket || socket.readyState > 1 || snapshot.state.name !== 'online') return false;
      socket.send(JSON.stringify(value));
      return true;
    },
    /** Does not wait any longer; also comes back from `failed`, whatever the cause. */
    retryNow() {
      const { name } = snapshot.state;
      if (name === 'failed' || name === 'waiting') open();
    },
    /** Ends it for good. */
    close() {
      page.abort();
      drop();
      change({ state: { name: 'closed' } });
    },
  };
}
