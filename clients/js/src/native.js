// For React Native: what a browser would tell and keep, from what the application hands in.

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
      this.#parameters = this.#parameters.filter((one) => one.split('=')[0] !== name);
    },
  };

  /** @param {string} url */
  constructor(url) {
    const parts = /^(wss?:|https?:)(\/\/[^/?#]+[^?#]*)(?:\?([^#]*))?/i.exec(url);
    if (!parts) throw new TypeError(`"${url}" is no whole URL: an application has no page to which it could be relative`);
    [, this.protocol, this.#place] = parts;
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
      // Also what has changed while nobody asked.
      judge(AppState.currentState, () => {});
      const subscription = AppState.addEventListener('change', (state) => judge(state, dispatch));
      return () => subscription.remove();
    }),
    { visibilityState: 'visible' },
  );
  /** @param {string | null} state @param {(type: string) => void} dispatch */
  function judge(state, dispatch) {
    // All others pass, as while iOS asks something.
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

/** What all outboxes on one storage share: what is done is done in its order, and no two send the same. @type {WeakMap<AsyncStorageLike, { turn: Promise<any>, held: Set<string> }>} */
const shared = new WeakMap();

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
  const common = shared.get(storage) ?? { turn: Promise.resolve(), held: new Set() };
  shared.set(storage, common);
  const prefix = `${name}:`;
  /** Which are this outbox's. @type {Set<string>} */
  const mine = new Set();
  /** @type {string | undefined} */
  let user;
  let order = 0;
  let isOpen = false;
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

  /** All that is there, in order; what cannot be read is reported, and stays. @returns {Promise<Row[]>} */
  const rows = async () => {
    const keys = (await storage.getAllKeys()).filter((key) => key.startsWith(prefix));
    const texts = await Promise.all(keys.map((key) => storage.getItem(key)));
    /** @param {string} key @param {string | null} text @returns {Row[]} */
    const parsed = (key, text) => {
      try {
        const row = JSON.parse(text ?? 'null');
        // That of an outbox whose name begins as this one's.
        if (text === null || (typeof row?.outbox === 'string' && row.outbox !== name)) return [];
        if (row?.outbox === name && `${prefix}${row.id}` === key) return [row];
      } catch {
        // It is none.
      }
      report(new Error(`what is kept as "${key}" is no message, and stays where it is`));
      return [];
    };
    return keys.flatMap((key, at) => parsed(key, texts[at])).sort((a, b) => a.at - b.at || a.order - b.order);
  };

  /** What is left of a user, and what was written when nobody was known. @param {string} whose */
  const takeOver = (whose) =>
    inTurn(async () => {
      const left = (await rows()).filter((row) => (row.user === whose || row.user === '') && !common.held.has(row.id));
      if (!isOpen || user !== whose) return;
      take(left.map(({ user: by, order: _order, outbox: _outbox, ...kept }) => {
        common.held.add(kept.id);
        mine.add(kept.id);
        // It may be another's who had this device before.
        return by ? { ...kept, user: by } : { ...kept, failed: 'unconfirmed' };
      }));
    });

  const release = () => {
    for (const id of mine) common.held.delete(id);
    mine.clear();
  };

  return {
    begin(url, { user: given, token }, taker) {
      const known = given ?? /[?&]user=([^&#]*)/.exec(url)?.slice(1).map(decodeURIComponent)[0] ?? subjectOf(token) ?? undefined;
      [isOpen, take, user] = [true, taker, known];
      if (known !== undefined) takeOver(known).catch(report);
      return known;
    },
    async open(whose, taker) {
      [isOpen, take, user] = [true, taker, whose];
      const opening = (async () => {
        await takeOver(whose);
        return inTurn(async () => {
          const last = await storage.getItem(name);
          if (last !== whose) await storage.setItem(name, whose);
          return last !== null && last !== whose;
        });
      })();
      /** @type {any} */
      let timer;
      const late = new Promise((_, reject) => (timer = env.setTimeout(() => reject(new Error('the storage does not answer: what is unsent in it waits')), STORAGE_MS)));
      try {
        return await /** @type {Promise<boolean>} */ (Promise.race([opening, late]));
      } catch (error) {
        report(error);
        return undefined;
      } finally {
        env.clearTimeout(timer);
        opening.catch(() => {});
      }
    },
    put(kept) {
      common.held.add(kept.id);
      mine.add(kept.id);
      const row = { ...kept, user: kept.user ?? '', order: (order += 1), outbox: name };
      write(() => storage.setItem(prefix + kept.id, JSON.stringify(row)));
    },
    remove(id) {
      write(async () => {
        await storage.removeItem(prefix + id);
        common.held.delete(id);
        mine.delete(id);
      });
    },
    async signOut({ keep = false } = {}) {
      await inTurn(async () => {
        const left = (await rows()).filter((row) => row.user === user || row.user === '');
        if (!keep) for (const { id } of left) await storage.removeItem(prefix + id);
        await storage.removeItem(name);
      });
      this.close();
    },
    close() {
      isOpen = false;
      release();
    },
  };
}
