// The client of the page's own service, for hooks without a provider; a page that does not use the service does not
// load it.

/** @typedef {import('./client.js').Client} Client */

/** @type {Client | null} */
let client = null;
/** @type {Set<() => void>} */
const listeners = new Set();

/** @type {import('./stores.js').Store<Client | null> & { set(next: Client | null): void }} */
export const pageClient = {
  subscribe(fn) {
    listeners.add(fn);
    return () => listeners.delete(fn);
  },
  get: () => client,
  getServer: () => null,
  /** By the service alone. @param {Client | null} next */
  set(next) {
    client = next;
    for (const fn of [...listeners]) fn();
  },
};
