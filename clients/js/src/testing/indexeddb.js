// The part of IndexedDB that an outbox needs: stores with a key and indexes, transactions run one after another. A
// request of a page that then ends is carried out only if it was committed.

/** @typedef {{ keyPath: string, indexes: Map<string, string>, rows: Map<any, any> }} Store */
/** @typedef {{ version: number, stores: Map<string, Store> }} Database */

/**
 * The databases of a browser: `of(tab)` is what a tab has as `indexedDB`.
 * @param {{ clock: { setTimeout: (fn: () => void, ms: number) => any } }} server
 */
export function fakeDatabases({ clock }) {
  /** @type {Map<string, Database>} */
  const databases = new Map();

  /** @param {Store} store @param {(act: () => any) => any} ask */
  const storeOf = ({ keyPath, indexes, rows }, ask) => ({
    /** @param {any} row */
    put: (row) => ask(() => void rows.set(row[keyPath], structuredClone(row))),
    /** @param {any} key */
    delete: (key) => ask(() => void rows.delete(key)),
    /** @param {any} key */
    get: (key) => ask(() => structuredClone(rows.get(key))),
    getAll: () => ask(() => structuredClone([...rows.values()])),
    /** @param {string} name @param {string} path */
    createIndex: (name, path) => void indexes.set(name, path),
    /** @param {string} name */
    index: (name) => ({
      /** @param {any} value */
      getAll: (value) => ask(() => structuredClone([...rows.values()].filter((row) => row[indexes.get(name) ?? ''] === value))),
    }),
  });

  return {
    /** What is in a store, for whoever looks from outside. @param {string} database @param {string} store @returns {any[]} */
    rows: (database, store) => [...(databases.get(database)?.stores.get(store)?.rows.values() ?? [])],

    /** @param {{ isGone: boolean, act: (fn: () => any) => void }} tab @returns {IDBFactory} */
    of(tab) {
      /** A request is done a little later. @param {() => any} act @param {() => boolean} [isKept] whether also without the page */
      const request = (act, isKept = () => false) => {
        /** @type {any} */
        const one = { result: undefined, error: null, onsuccess: null, onerror: null, onupgradeneeded: null };
        const wasGone = tab.isGone;
        clock.setTimeout(() => {
          if (wasGone || (tab.isGone && !isKept())) return;
          one.result = act();
          tab.act(() => one.onsuccess?.({ target: one }));
        }, 1);
        return one;
      };

      /** @param {Database} database */
      const connection = (database) => ({
        close() {},
        onversionchange: null,
        /** @param {string} name @param {{ keyPath: string }} options */
        createObjectStore(name, { keyPath }) {
          database.stores.set(name, { keyPath, indexes: new Map(), rows: new Map() });
          return storeOf(/** @type {Store} */ (database.stores.get(name)), (act) => act());
        },
        /** @param {string} name */
        transaction(name) {
          let isCommitted = false;
          const store = /** @type {Store} */ (database.stores.get(name));
          return {
            objectStore: () => storeOf(store, (act) => request(act, () => isCommitted)),
            commit: () => void (isCommitted = true),
          };
        },
      });

      const open = (/** @type {string} */ name, /** @type {number} */ version) => {
        const opening = request(() => {
          const database = databases.get(name) ?? { version: 0, stores: new Map() };
          databases.set(name, database);
          const { version: oldVersion } = database;
          opening.result = connection(database);
          opening.transaction = { objectStore: (/** @type {string} */ store) => storeOf(/** @type {Store} */ (database.stores.get(store)), (act) => act()) };
          if (oldVersion < version) opening.onupgradeneeded?.({ oldVersion });
          database.version = Math.max(oldVersion, version);
          return opening.result;
        });
        return opening;
      };
      return /** @type {IDBFactory} */ (/** @type {unknown} */ ({ open }));
    },
  };
}
