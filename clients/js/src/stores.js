// What components read of a client: snapshots that are cached and change once per animation frame at most, for as long as
// somebody looks, and a second longer. It knows of no framework; react.js is made of it.

import { Transcript } from './transcript.js';

/** @typedef {import('./client.js').Client} Client */
/** @typedef {import('./errors.js').ParlorError} ParlorError */
/** @typedef {import('./room.js').Room} Room */
/** @typedef {import('./connection.js').Quality} Quality */
/** @typedef {import('./transcript.js').Shown} Shown */
/** @typedef {ReturnType<typeof makeStores>} Stores */
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
    if (refresh()) for (const fn of [...listeners]) fn();
  };
  const hold = graced(() => {
    const end = watch(() => onFrame(update));
    // What was read for a first render may be old by now.
    refresh();
    return () => {
      end();
      due.delete(update);
      cached = null;
    };
  }, grace);
  return {
    subscribe(fn) {
      // Each call counts, also with the same function.
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
function same(before, value) {
  const members = Object.keys(value);
  if (!before || members.length !== Object.keys(before).length) return value;
  const isSame = members.every((name) => Object.is(Reflect.get(before, name), Reflect.get(value, name)));
  return isSame ? before : value;
}

// --- What is read of a client ---

/** @type {Connected} */
const NOT_CONNECTED = { state: 'idle', isOnline: false, attempt: 0, seconds: null, until: null, reason: null, code: null, status: null };
/** @type {import('./presence.js').Presences} */
const NOBODY = { users: [], count: 0, counted: false };
/** @type {Shown} */
const NOTHING = { rows: [], messages: [], hasOlder: false, isFull: false, isLoaded: false, isLoading: false, error: null };
/** @typedef {Pick<Room, "membership" | "refusal" | "title" | "last" | "read" | "unread" | "typists">} Facts */
/** @type {Facts} */
const UNKNOWN = { membership: 'unknown', refusal: null, title: undefined, last: 0, read: 0, unread: 0, typists: [] };
/** @typedef {{ data: any, seq: number, ts: number | undefined, skipped: boolean, refusal: ParlorError | null, stale: import('./stream.js').StreamStale | null }} Watched */
/** @type {Watched} */
const NO_EVENT = { data: undefined, seq: 0, ts: undefined, skipped: false, refusal: null, stale: null };
/** @typedef {import('./receipts.js').Receipt} Receipt */
/** @type {Receipt[]} */
const NO_RECEIPTS = [];
/** @typedef {import('./outbox.js').Ticket} Ticket */
/** @typedef {Pick<Ticket, "id" | "text" | "data" | "status" | "error"> & { room: string, at: number }} Unsent */
/** @type {Unsent[]} */
const NONE = [];
/** @type {import('./client.js').RoomSnapshot[]} */
const NO_ROOMS = [];
export const NO_STORES = {
  connection: constant(NOT_CONNECTED),
  quality: constant(/** @type {Quality | null} */ (null)),
  presence: constant(NOBODY),
  rooms: constant(NO_ROOMS),
  outbox: constant(NONE),
  facts: constant(UNKNOWN),
  receipts: constant(NO_RECEIPTS),
  transcript: constant(NOTHING),
  stream: constant(NO_EVENT),
};

/** @type {WeakMap<Client, ReturnType<typeof makeStores>>} */
const stores = new WeakMap();

/** @param {Client} client */
export function storesOf(client) {
  const known = stores.get(client) ?? makeStores(client);
  stores.set(client, known);
  return known;
}

/** @param {Client} client */
function makeStores(client) {
  /** @template T @param {(name: string) => T} make @returns {(name: string) => T} */
  const byName = (make) => {
    /** @type {Map<string, T>} */
    const all = new Map();
    return (name) => {
      const one = all.get(name) ?? make(name);
      all.set(name, one);
      return one;
    };
  };
  /** @param {...string} events */
  const events = (...events) => (/** @type {() => void} */ changed) => {
    const ends = events.map((event) => client.on(event, changed));
    return () => ends.forEach((end) => end());
  };
  /** Those that are read now. @type {Map<string, Transcript>} */
  const transcripts = new Map();
  /** @type {Map<string, Receipt[]>} */
  const receipts = new Map();

  return {
    connection: storeOf({
      read: (before) => same(before, connected(client)),
      watch: (changed) => watchConnection(client, changed),
      server: NOT_CONNECTED,
    }),
    quality: storeOf({ read: () => client.quality, watch: events('quality'), server: /** @type {Quality | null} */ (null) }),
    presence: storeOf({ read: () => client.presence.value, watch: (changed) => client.presence.on(changed), server: NOBODY }),
    rooms: storeOf({ read: () => client.snapshot().rooms, watch: events('rooms', 'state'), server: NO_ROOMS }),
    outbox: storeOf({ read: () => client.unsent.map(unsent), watch: events('outbox'), server: NONE }),
    facts: byName((name) => storeOf({
      read: (before) => facts(client.room(name), before),
      watch: events('rooms', 'state'),
      server: UNKNOWN,
    })),
    receipts: byName((name) => storeOf({
      read: () => receipts.get(name) ?? NO_RECEIPTS,
      watch: (changed) => {
        let end = () => {};
        let isOver = false;
        void import('./receipts.js').then(({ watchReceipts }) => {
          if (!isOver) end = watchReceipts(client, name, (marks) => {
            receipts.set(name, marks);
            changed();
          });
        });
        return () => ((isOver = true), end());
      },
      server: NO_RECEIPTS,
    })),
    transcript: byName((name) => storeOf({
      read: () => transcripts.get(name)?.snapshot() ?? NOTHING,
      watch: (changed) => {
        const transcript = new Transcript(client, name);
        transcripts.set(name, transcript);
        transcript.on(changed);
        return () => {
          transcript.close();
          transcripts.delete(name);
        };
      },
      server: NOTHING,
    })),
    loadOlder: async (/** @type {string} */ name) => (await transcripts.get(name)?.loadOlder()) ?? false,
    /** Joins for as long as somebody holds it, whoever is signed in. */
    join: byName((name) => graced(() => {
      const join = () => void client.room(name, { join: true });
      join();
      return client.on('state', join);
    })),
    /** Held by those who want one to leave when they have gone. */
    stay: byName((name) => {
      /** @type {Promise<any> | null} */
      let leaving = null;
      let joins = false;
      const hold = graced(() => {
        let isHeld = true;
        // A component that returns while one leaves wants one in the room, too.
        leaving?.then(() => (isHeld && joins ? client.room(name).join() : null)).catch(() => {});
        return () => {
          isHeld = false;
          leaving = client.room(name).leave().catch(() => {});
        };
      });
      return (/** @type {boolean} */ join) => {
        joins = join;
        return hold();
      };
    }),
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
  };
}

/** @param {Room} room @param {Facts} [before] @returns {Facts} */
function facts({ membership, refusal, title, last, read, unread, typists }, before) {
  return same(before, { membership, refusal, title, last, read, unread, typists: same(before?.typists, typists) });
}

/** @param {import('./outbox.js').Ticket} ticket @returns {Unsent} */
const unsent = ({ id, text, data, status, error, kept: { room, at } }) => ({ id, room, text, data, at, status, error });

/** @param {Client} client @returns {Connected} */
function connected(client) {
  const { state } = client;
  const about = /** @type {{ attempt?: number, until?: number, reason?: string, code?: number | string }} */ (state);
  const { attempt = 0, until = null, reason = null, code = null } = about;
  const seconds = until === null ? null : Math.max(0, Math.ceil((until - Date.now()) / 1_000));
  return { state: state.name, isOnline: state.name === 'online', attempt, seconds, until, reason, code, status: status(client) };
}

/** @param {Client} client @returns {Status} */
function status(client) {
  const { name } = client.state;
  if (name === 'online') return 'live';
  const { since, wasOnline, isUnseen } = outage(client);
  if (isUnseen) return wasOnline ? 'live' : null;
  if (name === 'closed' || name === 'failed' || name === 'paused') return 'disconnected';
  if (Date.now() - since < BLIP_MS) return wasOnline ? 'live' : null;
  return wasOnline ? 'reconnecting' : 'connecting';
}

/** Since when it is not online while somebody looks, and whether it ever was. @param {Client} client */
function outage(client) {
  const steps = client.why();
  /** @param {import('./connection.js').Step} step */
  const isUnseen = ({ state, cause }) => state === 'paused' && (cause === 'hidden' || cause === 'pagehide');
  const last = steps.findLastIndex((step) => step.state === 'online' || isUnseen(step));
  // Of more steps than are known some were online, as far as people are concerned.
  const wasOnline = steps.some(({ state }) => state === 'online') || steps[0]?.cause !== 'connect()';
  const newest = steps.at(-1);
  return { since: steps[last + 1]?.at ?? Date.now(), wasOnline, isUnseen: newest !== undefined && isUnseen(newest) };
}

/**
 * Is told of each state, of when a blip is one no more, and of each second of a wait.
 * @param {Client} client
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
