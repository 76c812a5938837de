// What components read of a client: cached snapshots that change at most once per animation frame, kept while they are
// used and a second longer. Independent of any framework; the adapters build on it, chat-stores.js has the rest.

/** @typedef {import('./base.js').BaseClient} BaseClient */
/** @typedef {import('./streams.js').StreamsClient} StreamsClient */
/** @typedef {import('./errors.js').ParlorError} ParlorError */
/** @typedef {import('./connection.js').Quality} Quality */
/** @typedef {"live" | "connecting" | "reconnecting" | "disconnected" | null} Status */
/**
 * @typedef {object} Connected
 * @property {import('./connection.js').State["name"]} state
 * @property {boolean} isOnline
 * @property {number} attempt the number of the next attempt, while it waits for one
 * @property {number | null} seconds to the next attempt, rounded up
 * @property {number | null} until when that is, in ms since 1970
 * @property {string | null} reason why it is not online
 * @property {number | string | null} code
 * @property {Status} status what to tell people: it says nothing of what passes within two seconds
 */
/**
 * @template T
 * @typedef {object} Store
 * @property {(fn: () => void) => () => void} subscribe
 * @property {() => T} get the same object until something has changed, and for a frame at least
 * @property {() => T} getServer
 */

const GRACE_MS = 1_000;
/** That of a connection: over it rooms are left whose second has passed. */
export const CONNECTION_GRACE_MS = GRACE_MS + 100;
/** When a frame does not come: that of a page that is hidden does not. */
const FRAME_MS_MAX = 250;
const BLIP_MS = 2_000;

// --- Frames, counts, stores ---

/** @type {Set<() => void>} */
const due = new Set();
/** @type {any} */
let frame = null;
/** @type {any} */
let late = null;

function flush() {
  clearTimeout(late);
  globalThis.cancelAnimationFrame?.(frame);
  frame = late = null;
  const all = [...due];
  due.clear();
  for (const fn of all) fn();
}

/** Does it with the next frame; all that is due then in one go, for one render. @param {() => void} fn */
function onFrame(fn) {
  due.add(fn);
  if (late !== null) return;
  frame = globalThis.requestAnimationFrame?.(flush);
  late = setTimeout(flush, FRAME_MS_MAX);
}

/**
 * Begins with the first who holds it, and ends some time after the last has let go.
 * @param {() => () => void} begin
 * @param {number} [ms]
 * @returns {() => () => void} holds it, and returns what lets go
 */
export function graced(begin, ms = GRACE_MS) {
  let count = 0;
  /** @type {any} */
  let timer = null;
  /** @type {(() => void) | null} */
  let end = null;
  return () => {
    clearTimeout(timer);
    count += 1;
    end ??= begin();
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      count -= 1;
      if (count > 0) return;
      timer = setTimeout(() => {
        end?.();
        end = null;
      }, ms);
    };
  };
}

/**
 * What components read: a snapshot that is made anew once per frame at most, while somebody looks.
 * @template T
 * @param {{ read: (before?: T) => T, watch: (changed: () => void) => () => void, server: T, grace?: number }} source
 * @returns {Store<T>}
 */
export function storeOf({ read, watch, server, grace }) {
  /** @type {{ value: T } | null} */
  let cached = null;
  const listeners = new Set();
  const refresh = () => {
    const before = cached;
    cached = { value: read(before?.value) };
    return !before || !Object.is(before.value, cached.value);
  };
  const update = () => {
    // Another listener may have removed this one.
    if (refresh()) for (const fn of [...listeners]) if (listeners.has(fn)) fn();
  };
  const hold = graced(() => {
    const end = watch(() => onFrame(update));
    // The value of a first render may be outdated by now.
    refresh();
    return () => {
      end();
      due.delete(update);
      cached = null;
    };
  }, grace);
  return {
    subscribe(fn) {
      // Each call counts, even with the same function.
      const listener = () => fn();
      const release = hold();
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
        release();
      };
    },
    get: () => (cached ??= { value: read() }).value,
    getServer: () => server,
  };
}

/** A store that never changes. @template T @param {T} value @returns {Store<T>} */
export const constant = (value) => ({ subscribe: () => () => {}, get: () => value, getServer: () => value });

/** The one before, if it has the same members. @template {object} T @param {T | undefined} before @param {T} value @returns {T} */
export function same(before, value) {
  const members = Object.keys(value);
  if (!before || members.length !== Object.keys(before).length) return value;
  const isSame = members.every((name) => Object.is(Reflect.get(before, name), Reflect.get(value, name)));
  return isSame ? before : value;
}

// --- What is read of a client with streams ---

/** One for each name. @template T @param {(name: string) => T} make @returns {(name: string) => T} */
export const byName = (make) => {
  /** @type {Map<string, T>} */
  const all = new Map();
  return (name) => {
    const one = all.get(name) ?? make(name);
    all.set(name, one);
    return one;
  };
};

/** Watches some events of a client. @param {BaseClient} client @param {...string} events */
export const watching = (client, ...events) => (/** @type {() => void} */ changed) => {
  const ends = events.map((event) => client.on(/** @type {any} */ (event), changed));
  return () => ends.forEach((end) => end());
};

/** @type {Connected} */
const NOT_CONNECTED = { state: 'idle', isOnline: false, attempt: 0, seconds: null, until: null, reason: null, code: null, status: null };
/** @typedef {{ data: any, seq: number, ts: number | undefined, skipped: boolean, refusal: ParlorError | null, stale: import('./stream.js').StreamStale | null }} Watched */
/** @type {Watched} */
const NO_EVENT = { data: undefined, seq: 0, ts: undefined, skipped: false, refusal: null, stale: null };
/** What is said to who wants to do something without a client. */
export const NO_CLIENT = 'there is no client: none is provided above, and webSocketService is not connected';
let isMissing = false;
/** Says once, to whoever builds a page, that no client was ever given. @param {string} how */
export function missing(how) {
  if (isMissing || typeof window === 'undefined' || !/localhost|127\.0/.test(globalThis.location?.href)) return;
  isMissing = true;
  console.warn(`parlor-client: no client was given: ${how}`);
}
/** What components read while there is no client. */
export const NO_STORES = {
  connection: constant(NOT_CONNECTED),
  quality: constant(/** @type {Quality | null} */ (null)),
  stream: constant(NO_EVENT),
};

/** What is made once of each client. @template {BaseClient} C @template T @param {(client: C) => T} make @returns {(client: C) => T} */
export const ofEach = (make) => {
  /** @type {WeakMap<C, T>} */
  const all = new WeakMap();
  return (client) => {
    const known = all.get(client) ?? make(client);
    all.set(client, known);
    return known;
  };
};

export const storesOf = /* @__PURE__ */ ofEach((/** @type {StreamsClient} */ client) => ({
  connection: storeOf({
    read: (before) => same(before, connected(client)),
    watch: (changed) => watchConnection(client, changed),
    server: NOT_CONNECTED,
  }),
  quality: storeOf({ read: () => client.quality, watch: watching(client, 'quality'), server: /** @type {Quality | null} */ (null) }),
  stream: byName((name) => storeOf({
    read: (before) => {
      const { latest, refusal, stale } = client.stream(name);
      return same(before, { data: latest?.data, seq: latest?.seq ?? 0, ts: latest?.ts, skipped: latest?.skipped ?? false, refusal, stale });
    },
    watch: (changed) => {
      const stream = client.stream(name);
      const ends = [stream.on(changed), stream.on('refused', changed), stream.on('stale', changed)];
      return () => ends.forEach((end) => end());
    },
    server: NO_EVENT,
  })),
}));

/** @param {BaseClient} client @returns {Connected} */
function connected(client) {
  const { state } = client;
  const about = /** @type {{ attempt?: number, until?: number, reason?: string, code?: number | string }} */ (state);
  const { attempt = 0, until = null, reason = null, code = null } = about;
  const seconds = until === null ? null : Math.max(0, Math.ceil((until - Date.now()) / 1_000));
  return { state: state.name, isOnline: state.name === 'online', attempt, seconds, until, reason, code, status: status(client) };
}

/** @param {BaseClient} client @returns {Status} */
function status(client) {
  const { name } = client.state;
  if (name === 'online') return 'live';
  const { since, wasOnline, isUnseen } = outage(client);
  if (isUnseen) return wasOnline ? 'live' : null;
  if (name === 'closed' || name === 'failed' || name === 'paused') return 'disconnected';
  if (Date.now() - since < BLIP_MS) return wasOnline ? 'live' : null;
  return wasOnline ? 'reconnecting' : 'connecting';
}

/** Since when it is not online while somebody looks, and whether it ever was. @param {BaseClient} client */
function outage(client) {
  const steps = client.why();
  /** @param {import('./connection.js').Step} step */
  const isUnseen = ({ state, cause }) => state === 'paused' && (cause === 'hidden' || cause === 'pagehide');
  const last = steps.findLastIndex((step) => step.state === 'online' || isUnseen(step));
  // If there were more steps than are known, assume that one of them was online.
  const wasOnline = steps.some(({ state }) => state === 'online') || steps[0]?.cause !== 'connect()';
  const newest = steps.at(-1);
  return { since: steps[last + 1]?.at ?? Date.now(), wasOnline, isUnseen: newest !== undefined && isUnseen(newest) };
}

/**
 * Is told of each state, of when a blip is one no more, and of each second of a wait.
 * @param {BaseClient} client
 * @param {() => void} changed
 */
function watchConnection(client, changed) {
  /** @type {any} */
  let timer = null;
  const judge = () => {
    clearTimeout(timer);
    changed();
    const { state } = client;
    if (!/connecting|authenticating|waiting/.test(state.name)) return;
    const now = Date.now();
    const left = outage(client).since + BLIP_MS - now;
    const toNext = state.name === 'waiting' ? state.until - now : 0;
    const waits = [left, toNext > 0 ? toNext % 1_000 || 1_000 : 0].filter((ms) => ms > 0);
    // A little later: a timer may be early by a fraction.
    if (waits.length > 0) timer = setTimeout(judge, Math.min(...waits) + 5);
  };
  const off = client.on('state', judge);
  judge();
  return () => {
    off();
    clearTimeout(timer);
  };
}
