// A browser with tabs, which share locks, channels and databases.

import { fakeDatabases } from './indexeddb.js';

/** @typedef {import('../env.js').Env} Env */

/**
 * A browser with tabs: each has an `env` whose Web Locks, channels and IndexedDB are those of the others, too, and can end
 * without a word.
 * @param {ReturnType<typeof import('./server.js').fakeServer>} server
 */
export function fakeBrowser(server) {
  const { clock } = server;
  /** @type {Map<string, { tab: any, run: () => void, reject: (error: Error) => void }[]>} the first holds it */
  const locks = new Map();
  /** @type {Set<any>} */
  const channels = new Set();
  const databases = fakeDatabases(server);
  const queue = (/** @type {string} */ name) => locks.get(name) ?? locks.set(name, []).get(name) ?? [];
  const drop = (/** @type {string} */ name, /** @type {any} */ one) => {
    const all = queue(name);
    const place = all.indexOf(one);
    if (place < 0) return;
    all.splice(place, 1);
    if (place === 0) all[0]?.run();
  };

  /** @param {any} tab */
  const manager = (tab) => ({
    /** @param {string} name @param {...any} rest */
    request(name, ...rest) {
      const [{ signal, steal }, act] = /** @type {[any, any]} */ (rest.length > 1 ? rest : [{}, rest[0]]);
      return new Promise((resolve, reject) => {
        if (tab.isGone) return;
        let isRunning = false;
        const one = {
          tab,
          reject,
          run() {
            isRunning = true;
            queueMicrotask(() => tab.act(async () => {
              const result = await act({ name });
              drop(name, one);
              resolve(result);
            }));
          },
        };
        const all = queue(name);
        signal?.addEventListener('abort', () => {
          if (isRunning) return;
          drop(name, one);
          reject(new Error('AbortError'));
        });
        if (steal) {
          all.shift()?.reject(new Error('AbortError'));
          all.unshift(one);
        } else all.push(one);
        if (all[0] === one) one.run();
      });
    },
    query: async () => ({ held: [...locks].filter(([, all]) => all.length > 0).map(([name]) => ({ name })), pending: [] }),
  });

  /** What a tab has for itself. */
  const session = () => {
    /** @type {Map<string, string>} */
    const items = new Map();
    return {
      getItem: (/** @type {string} */ name) => items.get(name) ?? null,
      setItem: (/** @type {string} */ name, /** @type {string} */ text) => void items.set(name, text),
      removeItem: (/** @type {string} */ name) => void items.delete(name),
    };
  };

  return {
    /** What is in a store of a database. */
    rows: databases.rows,
    /** Opens a tab, or loads one again: then it is given its `sessionStorage`. */
    tab(sessionStorage = session()) {
      /** @type {(() => void)[] | null} what waits until a frozen tab wakes */
      let asleep = null;
      const tab = {
        isGone: false,
        /** @param {() => any} fn */
        act(fn) {
          if (asleep) asleep.push(fn);
          else if (!tab.isGone) fn();
        },
      };
      /** @type {Set<any>} */
      const sockets = new Set();
      class Channel {
        /** @type {any} */ onmessage = null;
        /** @param {string} name */
        constructor(name) {
          this.name = name;
          this.tab = tab;
          channels.add(this);
        }

        /** @param {any} data */
        postMessage(data) {
          if (tab.isGone) return;
          if (!channels.has(this)) throw new Error('InvalidStateError: Channel is closed');
          for (const other of channels) {
            if (other === this || other.name !== this.name) continue;
            clock.setTimeout(() => other.tab.act(() => channels.has(other) && other.onmessage?.({ data: structuredClone(data) })), 1);
          }
        }

        close() {
          channels.delete(this);
        }
      }
      const Socket = /** @type {any} */ (server.env.WebSocket);
      const env = {
        ...server.env,
        locks: manager(tab),
        indexedDB: databases.of(tab),
        sessionStorage,
        BroadcastChannel: Channel,
        WebSocket: class extends Socket {
          /** @param {string} url */
          constructor(url) {
            super(url);
            sockets.add(this);
            for (const name of ['onopen', 'onmessage', 'onclose']) {
              /** @type {any} */
              let handler = null;
              const take = (/** @type {any} */ event) => tab.act(() => handler?.(event));
              Object.defineProperty(this, name, { get: () => take, set: (fn) => (handler = fn) });
            }
          }
        },
        // Timers of a closed tab never fire.
        setTimeout: (/** @type {() => void} */ fn, /** @type {number} */ ms) => clock.setTimeout(() => tab.act(fn), ms),
      };
      return {
        env: /** @type {Partial<Env>} */ (/** @type {unknown} */ (env)),
        /** Nothing happens in it any more, and it says so to nobody. */
        freeze() {
          asleep ??= [];
        },
        /** All that has waited happens. */
        thaw() {
          const waiting = asleep ?? [];
          asleep = null;
          for (const fn of waiting) tab.act(fn);
        },
        /** It ends as by a crash: nobody is told. */
        crash() {
          tab.isGone = true;
          for (const socket of sockets) {
            socket.onopen = socket.onmessage = socket.onclose = null;
            socket.close();
          }
          for (const [name, all] of locks) for (const one of all.filter(({ tab: whose }) => whose === tab)) drop(name, one);
        },
      };
    },
  };
}
