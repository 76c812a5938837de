// An outbox in IndexedDB: unsent messages survive a reload, a crash of the tab, and closing the browser. Each row
// belongs to the user who wrote it and to the tab that sends it. A tab takes over its user's rows from tabs that are
// gone; it never reads those of another user.

import { environment } from './env.js';
import { subjectOf } from './tokens.js';
import { wider } from './world.js';

/** @typedef {import('./outbox.js').OutboxStore} OutboxStore */
/** @typedef {import('./outbox.js').Kept} Kept */
/** @typedef {import('./outbox.js').Take} Take */
/**
 * `user` is '' while it is not known who wrote it; then `tab` says in which tab, over its reloads.
 * @typedef {Kept & { user: string, tab: string, owner: string, order: number }} Row
 */
/** @typedef {Pick<Storage, "getItem" | "setItem" | "removeItem">} Session */
/**
 * For signing out, when the client is paused and before it is closed. This tab forgets who was here; unless it is to be
 * `keep`t, what this user has left is deleted, but for what other open tabs of theirs are about to send.
 * @typedef {(options?: { keep?: boolean }) => Promise<void>} SignOut
 */

const STORE = 'messages';
const VERSION = 2;

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** Who one is by the URL of a server in open mode. @param {string} url @param {string} [base] */
function userOf(url, base = 'ws://host') {
  try {
    return new URL(url, base).searchParams.get('user');
  } catch {
    // The connection reports an invalid URL.
  }
}

/** What a tab has for itself, and has still after a reload. @returns {Session | undefined} */
function sessionOfTab() {
  try {
    return globalThis.sessionStorage;
  } catch {
    // Storage is forbidden: the last user is then unknown.
  }
}

/**
 * Where it is kept: one for each origin.
 * @param {{ name?: string, env?: Partial<import('./env.js').Env> & { sessionStorage?: Session } }} [options]
 * @returns {OutboxStore & { signOut: SignOut }}
 */
export function indexedDbOutbox({ name = 'parlor-outbox', env: own = {} } = {}) {
  const env = wider(environment(own));
  const { locks, indexedDB } = env;
  const session = own.sessionStorage ?? sessionOfTab();
  /** The names that this page has had: what is in one of them is its own. @type {Set<string>} */
  const names = new Set();
  const newName = () => `${name}:${Math.floor(env.random() * 2 ** 52).toString(36)}${env.now().toString(36)}${names.size}`;
  /** @type {Promise<IDBDatabase> | null} */
  let opening = null;
  /** Whose rows are taken over. @type {string | undefined} */
  let user;
  /** The name of the lock by which others see that this page is alive, with this user. */
  let owner = '';
  let order = 0;
  let isOpen = false;
  /** @type {Take} */
  let take = () => {};
  /** @type {() => void} */
  let release = () => {};
  /** Which rows are in this page's name, and whose. @type {Map<string, string>} */
  const stored = new Map();
  /** Those that were when it let go of its name: another tab may have taken them since. @type {Map<string, string>} */
  const before = new Map();
  /** Those that are over since what is left began to be read: what was read of them is old. @type {Set<string>} */
  const over = new Set();
  /** How many times it is being read. */
  let reading = 0;

  /** This tab, and who was here last. @returns {{ tab: string, user?: string }} */
  const recall = () => {
    try {
      return JSON.parse(session?.getItem(name) ?? '');
    } catch {
      return { tab: '' };
    }
  };
  /** @param {{ tab: string, user?: string }} here */
  const remember = (here) => {
    try {
      session?.setItem(name, JSON.stringify(here));
    } catch {
      // Storage is full or forbidden.
    }
    return here;
  };
  const tab = recall().tab || remember({ tab: newName() }).tab;

  const database = () =>
    (opening ??= new Promise((resolve, reject) => {
      if (!indexedDB) return reject(new Error('there is no IndexedDB: what is unsent ends with the page'));
      const request = indexedDB.open(name, VERSION);
      request.onupgradeneeded = ({ oldVersion }) => {
        const rows = oldVersion > 0 ? /** @type {IDBTransaction} */ (request.transaction).objectStore(STORE) : request.result.createObjectStore(STORE, { keyPath: 'id' });
        rows.createIndex('user', 'user');
        // Version 1 stored the last user here.
        rows.delete('');
      };
      request.onsuccess = () => {
        // A page of a later version must not wait for this one.
        request.result.onversionchange = () => request.result.close();
        resolve(request.result);
      };
      request.onerror = () => reject(request.error);
    }));

  /** @template T @param {(rows: IDBObjectStore) => IDBRequest<T>} act @returns {Promise<T>} */
  const within = async (act) => {
    const transaction = (await database()).transaction(STORE, 'readwrite');
    const request = act(transaction.objectStore(STORE));
    // Otherwise a page that ends before the request is answered would lose it.
    transaction.commit?.();
    return done(request);
  };
  /** @param {Promise<any>} promise */
  const reported = (promise) => void promise.catch(env.report);
  /** @param {Row} row */
  const put = (row) => within((all) => all.put(row));
  /** @template T @param {() => Promise<T>} act @returns {Promise<T>} two tabs that open at once must not both take over the same */
  const alone = (act) => (locks ? /** @type {Promise<any>} */ (locks.request(`${name}:adopt`, act)) : act());

  // Held for as long as the page lives with this user.
  /** @type {Promise<any> | null} */
  let living = null;
  const live = () =>
    (living ??= new Promise((resolve) => {
      if (!locks) return resolve(null);
      const ends = new Promise((end) => (release = () => end(null)));
      reported(locks.request(owner, () => (resolve(null), ends)));
    }));
  // Also while the lock is still pending: it is then released as soon as it is granted. Any tab of this user may take
  // over the rows of the old name.
  const leave = () => {
    release();
    living = null;
    owner = newName();
    names.add(owner);
    for (const [id, whose] of stored) before.set(id, whose);
    stored.clear();
  };
  leave();

  /** The rows of a user, and those that this tab wrote when it did not know whose they were; and whether another tab that lives has one. @param {string | undefined} whose @returns {Promise<[Row[], (row: Row) => boolean]>} */
  const look = async (whose) => {
    const { held = [], pending = [] } = (await locks?.query()) ?? {};
    const of = (/** @type {string} */ one) => within((all) => /** @type {IDBRequest<Row[]>} */ (all.index('user').getAll(one)));
    const rows = [...(whose ? await of(whose) : []), ...(await of('')).filter((row) => row.tab === tab)];
    const alive = new Set([...held, ...pending].map((lock) => lock.name));
    return [rows, (row) => alive.has(row.owner) && !names.has(row.owner)];
  };

  /** What pages have left that live no more; and the names of those that live, and have something. @param {string | undefined} whose @param {string} mine @returns {Promise<[Kept[], string[]]>} */
  const adopt = async (whose, mine) => {
    const [rows, isTaken] = await look(whose);
    const left = rows.filter((row) => row.owner !== mine && !isTaken(row) && !over.has(row.id)).sort((a, b) => a.at - b.at || a.order - b.order);
    for (const row of left) {
      // An earlier page in this tab wrote it and never learned its user.
      if (!row.user && !names.has(row.owner)) row.failed = 'unconfirmed';
      Object.assign(row, { owner: mine, order: (order += 1) });
    }
    // All or none: one page continues what another wrote, in its order.
    if (left.length > 0) await within((all) => left.map((row) => all.put(row))[0]);
    const others = rows.filter(isTaken).map((row) => row.owner);
    return [left.map(({ user: by, tab: _tab, owner: _owner, order: _order, ...kept }) => ({ ...kept, user: by || undefined })), others];
  };

  // Other tabs that may be about to end: a tab that was just closed lives a moment longer.
  /** @type {Set<string>} */
  const awaited = new Set();
  const takeOver = async () => {
    const [whose, mine] = [user, owner];
    reading += 1;
    const [left, others] = await alone(() => adopt(whose, mine)).finally(() => (reading -= 1));
    const fresh = left.filter(({ id }) => !over.has(id));
    if (reading === 0) over.clear();
    // The outbox was closed meanwhile, or the user changed: no living tab owns the rows it has taken.
    if (owner !== mine) return;
    for (const { id, user: by = '' } of fresh) {
      before.delete(id);
      stored.set(id, by);
    }
    const gone = [...before].filter(([, by]) => !by || by === whose).map(([id]) => id);
    for (const id of gone) before.delete(id);
    take(fresh, gone);
    for (const other of others) {
      if (awaited.has(other)) continue;
      awaited.add(other);
      const ended = locks?.request(other, () => {}).then(() => {
        awaited.delete(other);
        return owner === mine ? takeOver() : undefined;
      });
      if (ended) reported(ended);
    }
  };

  // A lock keeps a page out of the back/forward cache, as an open connection does. While the page is cached another tab
  // may take its rows; on return it takes back the rest.
  env.window?.addEventListener('pagehide', leave);
  env.window?.addEventListener('pageshow', (event) => {
    if (isOpen && /** @type {PageTransitionEvent} */ (event).persisted) reported(live().then(takeOver));
  });
  // Opened at once, so that messages sent in a page's first moments are stored, too.
  if (indexedDB) reported(database());

  return {
    begin(url, { user: given, token }, taker) {
      const known = given ?? userOf(url, env.location?.href) ?? subjectOf(token) ?? undefined;
      const { user: last } = remember({ ...recall(), tab });
      [isOpen, take, user] = [true, taker, known ?? last];
      if (indexedDB) reported(live().then(takeOver));
      return known;
    },
    async open(whose, taker) {
      if (user !== undefined && user !== whose) leave();
      const last = recall().user;
      [isOpen, take, user] = [true, taker, whose];
      remember({ tab, user: whose });
      try {
        await database();
        if (isOpen) await live();
        if (isOpen) await takeOver();
      } catch (error) {
        env.report(error);
      }
      return last !== undefined && last !== whose;
    },
    put(kept) {
      // Another tab may have it by now: this one learns of that first.
      if (before.has(kept.id)) return;
      reported(put({ ...kept, user: kept.user ?? '', tab, owner, order: (order += 1) }).then(() => stored.set(kept.id, kept.user ?? '')));
    },
    remove(id) {
      if (reading > 0) over.add(id);
      for (const ids of [stored, before]) ids.delete(id);
      reported(within((all) => all.delete(id)));
    },
    async signOut({ keep = false } = {}) {
      await alone(async () => {
        const [rows, isTaken] = await look(user);
        const left = rows.filter((row) => !isTaken(row));
        if (!keep && left.length > 0) await within((all) => left.map(({ id }) => all.delete(id))[0]);
        // Messages by an unknown user wait for the next user of this tab.
        if (keep && rows.some((row) => !row.user)) remember({ tab });
        else session?.removeItem(name);
      });
      this.close();
    },
    close() {
      isOpen = false;
      leave();
      if (opening) reported(opening.then((open) => open.close()));
      opening = null;
    },
  };
}
