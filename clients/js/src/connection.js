// One WebSocket at a time, for as long as the application wants one: opens it, signs in, checks its silence, and
// reconnects after a loss as the range of the close code requires. It knows nothing of rooms.

import { verdict } from './errors.js';
import { requestQueue } from './requests.js';

/** @typedef {import('./env.js').Env} Env */
/** @typedef {import('./errors.js').Verdict} Verdict */
/** @typedef {ReturnType<typeof connectionOf>} Connection */
/** @typedef {"first" | "expiring" | "rejected"} TokenReason */
/** @typedef {(asked: { reason: TokenReason }) => string | null | undefined | Promise<string | null | undefined>} TokenSource */
/** @typedef {{ min: number, max: number, factor: number, jitter: "full" | "none", attempts: number, stable: number }} Backoff in ms; `stable`: after so long it begins anew */
/**
 * @typedef {{ name: "idle" | "connecting" | "authenticating" | "closed" }
 *   | { name: "online", since: number, via?: "sse" }
 *   | { name: "waiting", until: number, attempt: number, reason: string, code?: number }
 *   | { name: "paused", reason: string }
 *   | { name: "failed", code: number | string, reason: string }} State
 */
/** @typedef {{ at: number, state: State["name"], cause: string, code?: number | string, advice: string }} Step */
/** @typedef {"excellent" | "good" | "fair" | "poor" | "critical" | "lost"} Level */
/** @typedef {{ level: Level, rtt: number, jitter: number }} Quality `rtt` and `jitter` in ms */
/**
 * @typedef {object} Hooks
 * @property {() => void} onState
 * @property {(hello: any) => void | Promise<void>} onHello what is to be done before it is online
 * @property {(type: string, payload: any) => void} onPush
 * @property {(data: ArrayBuffer) => void} [onBinary]
 * @property {(event: string, value: any) => void} changed tells of something else
 */
/**
 * @typedef {object} ConnectionOptions
 * @property {string} url
 * @property {string | TokenSource} [token]
 * @property {Backoff} backoff
 * @property {(code: number) => boolean} [fatal]
 * @property {number} interval of the quality's pings, in ms; 0 for none
 * @property {number} timeout of requests, in ms
 * @property {"none" | "sse"} [fallback]
 */

const STEPS_MAX = 20;
// A little longer than a server waits for a token, so that the server reports that none came.
const OPENING_MS = 15_000;
const REFRESH_MS = 60_000;
const ANSWER_MS = 10_000;
const HIDDEN_SILENCE_MS = 75_000;
// After so long an attempt is stale, and a silence is checked.
const STALE_MS = 3_000;
const PROBE_MS = 5_000;
// So many WebSockets in a row that did not open mean a network that blocks them.
const UNOPENED_MAX = 3;
const LEVELS = /** @type {const} */ ([['excellent', 20], ['good', 50], ['fair', 100], ['poor', 200]]);

/** @param {ConnectionOptions} options @param {Env} env @param {Hooks} hooks */
export function connectionOf({ url, token: source, backoff, fatal, interval, timeout, fallback }, env, hooks) {
  /** @type {import('./env.js').SocketLike | null} */
  let socket = null;
  // Work begun under another number is void.
  let serial = 0;
  /** @type {string | null} */
  let token = null;
  let isFresh = false;
  /** @type {TokenReason} */
  let why = 'first';
  let attempt = 0;
  let unopened = 0;
  /** @type {{ via?: "sse" }} */
  let via = {};
  let heartbeat = 0;
  // Of two requests one is for who asks something, and not a measurement.
  let msOfTwo = 0;
  let openedAt = 0;
  let lastFrame = 0;
  let refreshedAt = 0;
  /** What the server said before it closed. @type {Record<string, any> | null} */
  let announced = null;
  /** @type {number | null} */
  let spread = null;
  /** @type {Record<string, any>} */
  const timers = {};
  // A closing socket sends nothing, and browsers log each attempt on the console.
  const requests = requestQueue(env, timeout, (text) => /** @type {any} */ (socket)?.readyState > 1 || socket?.send(text));

  // The value changes, so it is read each time.
  const isHidden = () => env.document?.visibilityState === 'hidden';

  /** @param {string} name */
  const clear = (name) => {
    env.clearTimeout(timers[name]);
    delete timers[name];
  };

  /** @param {string} name @param {number} ms @param {() => void} fn */
  const after = (name, ms, fn) => {
    clear(name);
    timers[name] = env.setTimeout(() => {
      clear(name);
      fn();
    }, ms);
  };

  /** @param {State} state @param {string} cause @param {number | string} [code] @param {Verdict | ""} [advice] */
  const enter = (state, cause, code, advice = '') => {
    self.state = state;
    self.steps = [...self.steps, { at: env.now(), state: state.name, cause, code, advice }].slice(-STEPS_MAX);
    hooks.onState();
  };

  // Drops the socket without waiting for it: its later events are about a connection that is over.
  const drop = () => {
    serial += 1;
    for (const name in timers) clear(name);
    const old = socket;
    socket = announced = spread = null;
    requests.pause();
    if (!old) return;
    old.onopen = old.onmessage = old.onclose = null;
    old.close(1000);
  };

  /** @param {number | string} code @param {string} reason @param {Verdict} [asked] */
  const fail = (code, reason, asked = 'ends') => {
    drop();
    requests.end();
    // Opening it again starts afresh.
    attempt = 0;
    token = null;
    why = 'rejected';
    enter({ name: 'failed', code, reason }, reason, code, asked);
  };

  /** @param {string} reason @param {number} [code] @param {Verdict} [asked] */
  const retry = (reason, code, asked = 'comes back') => {
    const { min, max, factor, jitter, attempts } = backoff;
    let wait = spread ?? Math.min(max, min * factor ** attempt);
    if (spread || jitter === 'full') wait *= env.random();
    wait += announced?.retry_after_ms || 0;
    drop();
    if (attempt >= attempts) return fail('attempts', reason, asked);
    attempt += 1;
    after('waiting', wait, () => self.open('waited'));
    enter({ name: 'waiting', until: env.now() + wait, attempt, reason, code }, reason, code, asked);
  };

  /** @param {number} code @param {string} [cause] */
  const lost = (code, cause = announced ? `${announced.code}: ${announced.message}` : `close ${code}`) => {
    if (!via.via && self.state.name === 'connecting') unopened += 1;
    if (self.quality) qualify('lost', self.quality.rtt);
    if (fatal?.(code)) return fail(code, cause);
    const asked = verdict(code);
    // A fresh token that is refused is not requested again at once.
    if (typeof source === 'function' && (asked === 'asks for a token' || (code === 4001 && token !== null && !isFresh))) {
      token = null;
      why = 'rejected';
      retry(cause, code, 'asks for a token');
    } else if (asked !== 'comes back' && (asked === 'ends' || source || /\Wtoken=/.test(url))) fail(code, cause);
    // Without a token a cookie says who asks: it may be good again.
    else retry(cause, code);
  };
  const late = () => lost(1006, 'no answer in time');

  /** @param {Level} level @param {number} rtt */
  const qualify = (level, rtt) => {
    const before = self.quality;
    // RFC 3550 §6.4.1.
    self.quality = { level, rtt, jitter: before ? before.jitter + (Math.abs(rtt - before.rtt) - before.jitter) / 16 : 0 };
    hooks.changed('quality', self.quality);
  };

  // Measures while the page is visible: timers of hidden pages are not accurate.
  const measure = () => {
    const every = Math.max(interval || heartbeat, msOfTwo);
    after('measure', every, measure);
    const asked = env.now();
    if (isHidden() || timers.answer || (!interval && asked - lastFrame < every)) return;
    after('answer', ANSWER_MS, () => {
      // Our clock stops during sleep: then ask again instead of judging.
      if (!isHidden() && env.now() - asked < 2 * ANSWER_MS && lastFrame <= asked) late();
    });
    requests.ask('ping', {}, { first: true }).then(
      () => {
        clear('answer');
        const rtt = env.now() - asked;
        if (interval) qualify(LEVELS.find(([, bound]) => rtt < bound)?.[0] ?? 'critical', rtt);
      },
      // A request's timeout says nothing yet, and a lost connection has no timers.
      () => {},
    );
  };

  const refresh = async () => {
    const own = serial;
    refreshedAt = env.now();
    try {
      const given = await /** @type {TokenSource} */ (source)({ reason: 'expiring' });
      if (own !== serial || !given) return;
      await requests.ask('auth', { token: given }, { first: true });
      token = given;
    } catch {
      // Also where there is no function. Nothing changes: when the token expires the server says so, and another is requested.
    }
  };

  const upgrade = () => {
    unopened = 0;
    self.open('WebSocket opens');
  };

  const address = () => {
    const at = new env.URL(url, env.location?.href);
    at.protocol = at.protocol.replace('http', 'ws');
    if (token === null) at.searchParams.set('resume', '1');
    // A client with a token is not a guest.
    else at.searchParams.delete('anonymous');
    return at.href;
  };

  /** @param {any} hello */
  const welcome = async (hello) => {
    const own = serial;
    heartbeat = hello.heartbeat_ms || ANSWER_MS;
    // The token is valid: if it is refused later, another is requested once.
    isFresh = false;
    why = 'first';
    msOfTwo = requests.begin(hello.limits);
    after('opening', OPENING_MS, late);
    try {
      await hooks.onHello(hello);
    } catch (error) {
      if (own === serial) lost(1006, String(error));
    }
    if (own !== serial) return;
    clear('opening');
    after('stable', backoff.stable, () => (attempt = 0));
    enter({ name: 'online', since: env.now(), ...via }, 'hello');
    if (own !== serial) return;
    requests.release();
    measure();
  };

  /** @param {string | ArrayBuffer} data */
  const frame = (data) => {
    lastFrame = env.now();
    clear('probe');
    if (typeof data !== 'string') return hooks.onBinary?.(data);
    const { type, id, payload = {} } = JSON.parse(data);
    if (type === 'hello') void welcome(payload);
    else if (type === 'reply' || type === 'error') {
      if (payload.close) announced = payload;
      requests.settle({ type, id, payload });
      if (id === undefined) hooks.onPush(type, payload);
    } else {
      if (payload.code === 'draining') spread = payload.spread_ms;
      if (payload.code === 'token_expiring') {
        // A token valid for less than a minute counts as expiring at once.
        const isNew = env.now() - refreshedAt < REFRESH_MS;
        after('refresh', isNew ? Math.max(0, payload.expires - env.now()) / 2 : 0, refresh);
      }
      hooks.onPush(type, payload);
    }
  };

  /** @param {number} own */
  const begin = async (own) => {
    if (source !== undefined && token === null) {
      try {
        const given = (typeof source === 'string' ? source : await source({ reason: why })) ?? null;
        if (own !== serial) return;
        token = given;
        isFresh = true;
      } catch (/** @type {any} */ error) {
        if (own !== serial) return;
        const reason = `no token: ${error?.message ?? error}`;
        return error?.fatal ? fail('token', reason) : retry(reason);
      }
    }
    try {
      const isFallback = fallback === 'sse' && unopened >= UNOPENED_MAX;
      const Socket = isFallback ? (await import('./sse.js')).eventsSocket(env, upgrade) : env.WebSocket;
      if (own !== serial) return;
      socket = new Socket(address());
      via = isFallback ? { via: 'sse' } : {};
    } catch (error) {
      env.report(error);
      return fail('url', String(error));
    }
    const opened = socket;
    opened.binaryType = 'arraybuffer';
    // The close event has the same information; in Node.js there may be no other listener.
    opened.onerror = () => {};
    opened.onopen = () => {
      lastFrame = env.now();
      if (!via.via) unopened = 0;
      enter({ name: 'authenticating' }, 'open');
      // In the first message, not in the URL: only the close code tells a page why the token is refused.
      if (token !== null) opened.send(JSON.stringify({ type: 'auth', payload: { token, resume: true } }));
    };
    opened.onmessage = ({ data }) => frame(data);
    // Some proxies drop the code: the error before it contained it.
    opened.onclose = ({ code }) => lost(announced?.close || code);
  };

  const self = {
    /** @type {State} */
    state: { name: 'idle' },
    /** @type {Quality | null} */
    quality: null,
    /** @type {Step[]} */
    steps: [],
    /** @type {import('./requests.js').Requests} */
    requests,
    isHidden,
    isOnline: () => self.state.name === 'online',

    /** Opens now, whatever was planned. @param {string} cause */
    open(cause) {
      drop();
      openedAt = env.now();
      after('opening', OPENING_MS, late);
      const own = serial;
      enter({ name: 'connecting' }, cause);
      if (own === serial) void begin(own);
    },

    /** Ends it for good, by intent. */
    close() {
      drop();
      requests.end();
      enter({ name: 'closed' }, 'close()');
    },

    /** Lets go of it until `open`: what is asked meanwhile waits. @param {string} reason */
    pause(reason) {
      if (/closed|failed|paused/.test(self.state.name)) return;
      drop();
      enter({ name: 'paused', reason }, reason);
    },

    /** Something woke us (the page is seen again, the network is back): judge before the clock says so. @param {string} cause */
    wake(cause) {
      const now = env.now();
      const { name } = self.state;
      // It failed for good, or only because the allowed attempts are used up.
      if (name === 'waiting' || (name === 'failed' && self.steps.at(-1)?.advice !== 'ends') || (/connecting|authenticating/.test(name) && now - openedAt > STALE_MS)) self.open(cause);
      else if (now - lastFrame > (isHidden() ? HIDDEN_SILENCE_MS : STALE_MS)) self.probe();
    },

    /** Asks whether the server is there, and gives the connection up if it does not say so soon. */
    probe() {
      if (!self.isOnline() || timers.probe) return;
      after('probe', PROBE_MS, late);
      requests.ask('ping', {}, { first: true }).catch(() => {});
    },
  };
  return self;
}
