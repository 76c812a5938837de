// For React Native: builds what a browser would provide from what the application passes in.

import { environment } from './env.js';
import { subjectOf } from './tokens.js';

/** @typedef {import('./outbox.js').OutboxStore} OutboxStore */
/** @typedef {import('./outbox.js').Kept} Kept */
/** @typedef {import('./outbox.js').Take} Take */
/** That of `react-native`. @typedef {{ currentState: string | null, addEventListener(type: "change", fn: (state: string) => void): { remove(): void } }} AppStateLike */
/** That of `@react-native-community/netinfo`. @typedef {{ addEventListener(fn: (state: { isConnected: boolean | null }) => void): () => void }} NetInfoLike */
/**
 * That of `@react-native-async-storage/async-storage`, or whatever has these.
 * @typedef {{ getItem(key: string): Promise<string | null>, setItem(key: string, value: string): Promise<void>, removeItem(key: string): Promise<void>,
 *   getAllKeys(): Promise<readonly string[]> }} AsyncStorageLike
 */
/** @typedef {Kept & { user: string, order: number, outbox: string }} Row `user` is '' while it is not known who wrote it */

/** So long the storage is waited for before a client goes online without what is in it. */
const STORAGE_MS = 5_000;

/** What does not belong in a URL as it is. @param {string} text */
const encoded = (text) => text.replace(/[^\x21-\x7e]/gu, encodeURIComponent);
/** A part of a query (`application/x-www-form-urlencoded`), or nothing where it is none. @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}

/** As much of a URL as a connection needs: React Native's own has no parameters that could be set. */
class WholeURL {
  protocol;
  #place;
  /** @type {string[]} */
  #parameters;
  searchParams = {
    set: (/** @type {string} */ name, /** @type {string} */ value) => {
      this.searchParams.delete(name);
      this.#parameters.push(`${name}=${encodeURIComponent(value)}`);
    },
    delete: (/** @type {string} */ name) => {
      this.#parameters = this.#parameters.filter((one) => decoded(one.split('=')[0]) !== name);
    },
  };

  /** @param {string} url */
  constructor(url) {
    const parts = /^(wss?:|https?:)(\/\/[^/?#]+[^?#]*)(?:\?([^#]*))?/i.exec(encoded(url.trim()));
    if (!parts) throw new TypeError(`"${url}" is no whole URL: an application has no page to which it could be relative`);
    [, , this.#place] = parts;
    this.protocol = parts[1].toLowerCase();
    this.#parameters = (parts[3] ?? '').split('&').filter((one) => one !== '');
  }

  get href() {
    return `${this.protocol}${this.#place}${this.#parameters.length > 0 ? '?' : ''}${this.#parameters.join('&')}`;
  }
}

/** Whom events can be awaited of; what is behind it is listened to while somebody awaits one. @param {(dispatch: (type: string) => void) => () => void} listen */
function eventsOf(listen) {
  /** @type {Set<{ type: string, fn: (event: any) => void }>} */
  const listeners = new Set();
  let end = () => {};
  const dispatch = (/** @type {string} */ type) => {
    for (const one of [...listeners]) if (one.type === type && listeners.has(one)) one.fn({ type });
  };
  return {
    /** @param {string} type @param {(event: any) => void} fn @param {{ signal?: AbortSignal }} [options] */
    addEventListener(type, fn, { signal } = {}) {
      if (signal?.aborted) return;
      const one = { type, fn };
      if (listeners.size === 0) end = listen(dispatch);
      listeners.add(one);
      signal?.addEventListener('abort', () => {
        if (listeners.delete(one) && listeners.size === 0) end();
      });
    },
  };
}

/**
 * What a client is told of its surroundings, as `env` of `connect`: that the application is seen or put away, and, where
 * there is a `NetInfo`, that the network is gone or back. One for each client.
 * @param {{ AppState: AppStateLike, NetInfo?: NetInfoLike }} world
 * @returns {Partial<import('./env.js').Env>}
 */
export function nativeEnv({ AppState, NetInfo }) {
  const document = Object.assign(
    eventsOf((dispatch) => {
      // Also applies a change from before the subscription.
      judge(AppState.currentState, () => {});
      const subscription = AppState.addEventListener('change', (state) => judge(state, dispatch));
      return () => subscription.remove();
    }),
    { visibilityState: 'visible' },
  );
  /** @param {string | null} state @param {(type: string) => void} dispatch */
  function judge(state, dispatch) {
    // Other states are temporary, for instance while iOS shows a prompt.
    if (state !== 'active' && state !== 'background') return;
    const now = state === 'active' ? 'visible' : 'hidden';
    if (now === document.visibilityState) return;
    document.visibilityState = now;
    dispatch('visibilitychange');
  }
  judge(AppState.currentState, () => {});
  const window = eventsOf((dispatch) => {
    /** @type {boolean | null} */
    let was = null;
    return NetInfo?.addEventListener(({ isConnected }) => {
      if (isConnected !== null && was !== null && isConnected !== was) dispatch(isConnected ? 'online' : 'offline');
      was = isConnected ?? was;
    }) ?? (() => {});
  });
  return /** @type {any} */ ({ document, window, URL: WholeURL });
}

/** What all outboxes on one storage share: what is done is done in its order, and no two send the same. @type {WeakMap<AsyncStorageLike, { turn: Promise<any>, held: Set<string>, closed: number }>} */
const shared = new WeakMap();

/** What is in a text, if it is JSON. @param {string} text @returns {any} */
function read(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
/** @param {any} row @returns {row is Row} */
const isRow = (row) => ['id', 'room', 'text', 'user', 'outbox'].every((name) => typeof row?.[name] === 'string') && ['at', 'order'].every((name) => typeof row[name] === 'number');

/**
 * An outbox in an application's storage: what is unsent survives its end. Each message belongs to the user who wrote it;
 * nobody else sends or deletes it.
 * @param {AsyncStorageLike} storage
 * @param {{ name?: string, env?: Partial<import('./env.js').Env> }} [options] `name`: what its keys begin with; `env.report` takes what the storage could not do
 * @returns {OutboxStore & { signOut: (options?: { keep?: boolean }) => Promise<void> }} `signOut`: when the client is paused and before it is closed; unless it is to be `keep`t, what this user has left is deleted
 */
export function storageOutbox(storage, { name = 'parlor-outbox', env: own } = {}) {
  const env = environment(own);
  const { report } = env;
  const common = shared.get(storage) ?? { turn: Promise.resolve(), held: new Set(), closed: 0 };
  shared.set(storage, common);
  const prefix = `${name}:`;
  /** Which this outbox has. @type {Set<string>} */
  const mine = new Set();
  /** Which it had when it was closed: another may have taken them since. @type {Set<string>} */
  const before = new Set();
  /** Of whom all is here, and how many outboxes were closed by then. @type {Map<string, number>} */
  const taken = new Map();
  /** @type {string | undefined} */
  let user;
  let order = 0;
  let isOpen = false;
  // The user has signed out, and none of their data may stay.
  let discards = false;
  /** @type {Take} */
  let take = () => {};

  /** @template T @param {() => Promise<T>} act @returns {Promise<T>} */
  const inTurn = (act) => {
    const done = common.turn.then(act);
    common.turn = done.catch(() => {});
    return done;
  };
  /** @param {() => Promise<any>} act */
  const write = (act) => void inTurn(act).catch(report);

  /** @param {string} key @returns {Promise<Row[]>} none, if it cannot be read or is no message: that is reported, and stays */
  const rowAt = async (key) => {
    let text;
    try {
      text = await storage.getItem(key);
    } catch (error) {
      report(error);
    }
    if (typeof text !== 'string') return [];
    const row = read(text);
    if (isRow(row) && `${row.outbox}:${row.id}` === key) return row.outbox === name ? [row] : [];
    // The row of an outbox with a longer name.
    if (row?.outbox !== key) report(new Error(`what is kept as "${key}" is no message, and stays where it is`));
    return [];
  };
  /** All that is there, in order. @returns {Promise<Row[]>} */
  const rows = async () => {
    const keys = (await storage.getAllKeys()).filter((key) => key.startsWith(prefix));
    return (await Promise.all(keys.map(rowAt))).flat().sort((a, b) => a.at - b.at || a.order - b.order);
  };

  /** What is left of a user, and what was written when nobody was known. @param {string} whose */
  const takeOver = (whose) =>
    inTurn(async () => {
      // Only this process writes to it.
      if (taken.get(whose) === common.closed) return;
      const all = (await rows()).filter((row) => row.user === whose || row.user === '');
      if (!isOpen || user !== whose) return;
      const left = all.filter(({ id }) => !common.held.has(id));
      const gone = [...before].filter((id) => !left.some((row) => row.id === id));
      before.clear();
      taken.set(whose, common.closed);
      take(left.map(({ user: by, order: _order, outbox: _outbox, ...kept }) => {
        common.held.add(kept.id);
        mine.add(kept.id);
        // It may belong to a previous user of this device.
        return by ? { ...kept, user: by } : { ...kept, failed: 'unconfirmed' };
      }), gone);
    });

  const close = () => {
    isOpen = false;
    taken.clear();
    common.closed += 1;
    for (const id of mine) {
      common.held.delete(id);
      before.add(id);
    }
    mine.clear();
  };

  /** Who was here last. @returns {Promise<string | undefined>} */
  const lastUser = async () => read((await storage.getItem(name)) ?? '')?.last;
  /** Notes who is here from now on; whether that is another. @param {string} whose */
  const follow = (whose) =>
    inTurn(async () => {
      const last = await lastUser();
      if (last !== whose) await storage.setItem(name, JSON.stringify({ outbox: name, last: whose })).catch(report);
      return last !== undefined && last !== whose;
    });

  return {
    begin(url, { user: given, token }, taker) {
      const inUrl = /[?&]user=([^&#]*)/.exec(url)?.[1];
      const known = given ?? (inUrl === undefined ? undefined : decoded(inUrl)) ?? subjectOf(token) ?? undefined;
      [isOpen, take, user, discards] = [true, taker, known, false];
      const asked = known === undefined ? inTurn(lastUser) : Promise.resolve(known);
      asked.then((last) => {
        user ??= last;
        return last !== undefined && last === user ? takeOver(last) : undefined;
      }).catch(report);
      return known;
    },
    async open(whose, taker) {
      [isOpen, take, user, discards] = [true, taker, whose, false];
      /** @type {any} */
      let timer;
      const late = new Promise((_, reject) => (timer = env.setTimeout(() => reject(new Error('the storage does not answer: what is unsent in it waits')), STORAGE_MS)));
      const [following, taking] = [follow(whose), takeOver(whose)];
      taking.catch(() => {});
      try {
        const isAnother = await Promise.race([following, late]);
        await Promise.race([taking, late]).catch(report);
        return /** @type {boolean} */ (isAnother);
      } catch (error) {
        report(error);
        // The last user is unknown: earlier messages may be theirs.
        return true;
      } finally {
        env.clearTimeout(timer);
        late.catch(() => {});
      }
    },
    put(kept) {
      if (discards) return;
      if (isOpen) common.held.add(kept.id);
      (isOpen ? mine : before).add(kept.id);
      const row = { ...kept, user: kept.user ?? '', order: (order += 1), outbox: name };
      write(() => storage.setItem(prefix + kept.id, JSON.stringify(row)));
    },
    remove(id) {
      before.delete(id);
      write(async () => {
        await storage.removeItem(prefix + id);
        common.held.delete(id);
        mine.delete(id);
      });
    },
    async signOut({ keep = false } = {}) {
      discards = !keep;
      await inTurn(async () => {
        const left = (await rows()).filter((row) => row.user === user || row.user === '');
        if (!keep) for (const { id } of left) await storage.removeItem(prefix + id);
        await storage.removeItem(name);
      });
      close();
    },
    close,
  };
}
