// An outbox in IndexedDB: what is unsent survives a reload, a crash of the tab, and the browser's end. Each tab sends
// its own; what a tab has left that is gone is taken over by the next one that opens.

import { environment } from './env.js';

/** @typedef {import('./outbox.js').OutboxStore} OutboxStore */
/** @typedef {import('./outbox.js').Kept} Kept */
/** @typedef {Kept & { user: string, owner: string, order: number }} Row */

const STORE = 'messages';
// The row that says who was here last: whoever writes before the server has said who they are is taken for them.
const LAST = '';

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/**
 * Where it is kept: one for each origin. What another user has left is forgotten when one signs in.
 * @param {{ name?: string, env?: Partial<import('./env.js').Env> }} [options]
 * @returns {OutboxStore}
 */
export function indexedDbOutbox({ name = 'parlor-outbox', env: own } = {}) {
  const env = environment(own);
  const { locks, indexedDB } = env;
  const tab = `${name}:${Math.floor(env.random() * 2 ** 52).toString(36)}${env.now().toString(36)}`;
  /** @type {Promise<IDBDatabase> | null} */
  let opening = null;
  let user = '';
  let order = 0;
  let isOpen = false;
  /** @type {() => void} */
  let release = () => {};

  const database = () =>
    (opening ??= new Promise((resolve, reject) => {
      if (!indexedDB) return reject(new Error('there is no IndexedDB: what is unsent ends with the page'));
      const request = indexedDB.open(name, 1);
      request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: 'id' });
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
    }));

  /** @template T @param {(rows: IDBObjectStore) => IDBRequest<T>} act @returns {Promise<T>} */
  const within = async (act) => {
    const transaction = (await database()).transaction(STORE, 'readwrite');
    const request = act(transaction.objectStore(STORE));
    // A page that ends before the request's answer is back would otherwise take it along.
    transaction.commit?.();
    return done(request);
  };
  /** @param {Promise<any>} promise */
  const reported = (promise) => void promise.catch(env.report);

  // Held for as long as the tab lives: by this others see that it does.
  /** @type {Promise<any> | null} */
  let living = null;
  const live = () =>
    (living ??= new Promise((resolve) => {
      if (!locks) return resolve(null);
      const ends = new Promise((end) => (release = () => end(null)));
      reported(locks.request(tab, () => (resolve(null), ends)));
    }));
  // Also while it is still waited for: then it ends as soon as it is held.
  const leave = () => {
    release();
    living = null;
  };

  /** What others have left, who live no more; and who live still, and have something. @returns {Promise<[Kept[], Set<string>]>} */
  const adopt = async () => {
    const alive = new Set((await locks?.query())?.held?.map((lock) => lock.name));
    const rows = (/** @type {Row[]} */ (await within((all) => all.getAll()))).filter((row) => row.owner !== tab);
    const last = rows.find((row) => row.id === LAST)?.user ?? user;
    const isOwn = (/** @type {Row} */ row) => (row.user || last) === user;
    const left = rows.filter((row) => row.id !== LAST && !alive.has(row.owner));
    const mine = left.filter(isOwn).sort((a, b) => a.at - b.at || a.order - b.order);
    for (const row of left) if (!isOwn(row)) await within((all) => all.delete(row.id));
    await within((all) => all.put({ id: LAST, user }));
    for (const row of mine) await within((all) => all.put({ ...row, owner: tab, order: (order += 1) }));
    const others = rows.filter((row) => row.id !== LAST && alive.has(row.owner)).map((row) => row.owner);
    return [mine.map(({ user: _user, owner: _owner, order: _order, ...kept }) => kept), new Set(others)];
  };

  // Other tabs of which it is awaited that they end: a tab that was just closed lives a moment longer.
  /** @type {Set<string>} */
  const awaited = new Set();
  /** @param {string} whose @param {(left: Kept[]) => void} take */
  const takeOver = async (whose, take) => {
    // Two that open at once must not both take over the same.
    const [left, others] = await (locks ? locks.request(`${name}:adopt`, adopt) : adopt());
    take(left);
    for (const other of others) {
      if (awaited.has(other)) continue;
      awaited.add(other);
      const gone = locks?.request(other, () => {}).then(() => {
        awaited.delete(other);
        return isOpen && user === whose ? takeOver(whose, take) : undefined;
      });
      if (gone) reported(gone);
    }
  };

  // A lock keeps a page out of the back/forward cache, as an open connection does: what it has is another's while it
  // is there. It is taken again when the page is back online.
  env.window?.addEventListener('pagehide', leave);
  // Opened at once: what is sent in a page's first moments is to be kept, too.
  if (indexedDB) reported(database());

  return {
    async open(whose, take) {
      user = whose;
      isOpen = true;
      await database();
      if (isOpen) await live();
      if (isOpen) await takeOver(whose, take);
    },
    put: (kept) => reported(within((all) => all.put({ ...kept, user, owner: tab, order: (order += 1) }))),
    remove: (id) => reported(within((all) => all.delete(id))),
    close() {
      isOpen = false;
      leave();
      if (opening) reported(opening.then((open) => open.close()));
      opening = null;
    },
  };
}
