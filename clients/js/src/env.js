// The client's environment: each part can be replaced, for tests and for Node.js.

/**
 * What is used of a `WebSocket`: that of `ws` will do as well.
 * @typedef {{ binaryType: any, readonly readyState: number, onopen: Handler, onmessage: Handler, onclose: Handler, onerror: Handler,
 *   send(data: string): void, close(code?: number): void }} SocketLike
 */
/** @typedef {((event: any) => any) | null} Handler */
/**
 * @typedef {object} Env
 * @property {() => number} now ms since 1970
 * @property {() => number} random from 0 to 1
 * @property {(fn: () => void, ms: number) => any} setTimeout
 * @property {(timer: any) => void} clearTimeout
 * @property {new (url: string) => SocketLike} WebSocket
 * @property {new (url: string, base?: string) => Pick<URL, "protocol" | "href"> & { searchParams: Pick<URLSearchParams, "set" | "delete"> }} URL
 * @property {EventTarget & { visibilityState?: string } | undefined} document
 * @property {EventTarget | undefined} window
 * @property {{ href: string } | undefined} location
 * @property {LockManager | undefined} [locks] the world's, if this is left out; so are the next three
 * @property {typeof BroadcastChannel | undefined} [BroadcastChannel]
 * @property {IDBFactory | undefined} [indexedDB]
 * @property {typeof fetch | undefined} [fetch]
 * @property {(error: unknown) => void} report takes what a handler has thrown
 */

/**
 * What the parts of a client know of it.
 * @typedef {object} Core
 * @property {Env} env
 * @property {Listeners} listeners
 * @property {import('./connection.js').Connection} connection
 * @property {import('./wire.js').Hello | null} hello
 * @property {(type: any, payload?: any, options?: import('./requests.js').AskOptions) => Promise<any>} request
 * @property {(type: any, payload: any) => boolean} send
 * @property {(topic: string, value?: any) => void} changed
 */

/**
 * @param {Partial<Env>} [own]
 * @returns {Env}
 */
export function environment(own = {}) {
  const world = /** @type {any} */ (globalThis);
  return {
    now: () => Date.now(),
    random: Math.random,
    setTimeout: (fn, ms) => setTimeout(fn, ms),
    clearTimeout: (timer) => clearTimeout(timer),
    WebSocket: world.WebSocket,
    URL: world.URL,
    document: world.document,
    window: world.document && world,
    location: world.location,
    report: (error) => (world.reportError ?? console.error)(error),
    ...own,
  };
}

/** @param {Env} env @param {number} ms @returns {Promise<void>} */
export const rest = (env, ms) => new Promise((resolve) => env.setTimeout(resolve, ms));

/**
 * Calls a function when a signal is aborted, at once if it is.
 * @param {AbortSignal | undefined} signal
 * @param {() => void} fn
 * @returns {() => void} ends it
 */
export function onAbort(signal, fn) {
  if (signal?.aborted) fn();
  signal?.addEventListener('abort', fn);
  return () => signal?.removeEventListener('abort', fn);
}

const HEARD_MAX = 1_000;
/** The names that were listened to, for whoever looks for misspelt ones (`hint.js`). @type {Set<string>} */
export const heard = new Set();

/**
 * Whoever listens, by the name of what they listen to. What one of them throws does not keep it from the others.
 */
export class Listeners {
  /** By the names of what is listened to. @type {Map<string, Set<(value: any) => void>>} */
  #lists = new Map();
  #report;

  /** @param {(error: unknown) => void} report */
  constructor(report) {
    this.#report = report;
  }

  /**
   * @param {string} event
   * @param {(value: any) => void} fn
   * @param {{ signal?: AbortSignal }} [options]
   * @param {() => void} [onAborted] called when the signal has ended it
   * @returns {() => void} ends it
   */
  on(event, fn, { signal } = {}, onAborted) {
    if (heard.size < HEARD_MAX) heard.add(event);
    const list = this.#lists.get(event) ?? new Set();
    this.#lists.set(event, list);
    // Each call counts, even with the same function.
    const take = (/** @type {any} */ value) => fn(value);
    list.add(take);
    /** @type {(() => void) | undefined} */
    let unbind;
    const off = () => {
      list.delete(take);
      unbind?.();
    };
    unbind = onAbort(signal, () => {
      off();
      onAborted?.();
    });
    return off;
  }

  /** Waits for an event, or until the signal is aborted. @param {string} event @param {AbortSignal} [signal] @returns {Promise<void>} */
  next(event, signal) {
    return new Promise((resolve) => {
      const off = this.on(event, () => {
        off();
        resolve();
      }, { signal }, resolve);
    });
  }

  /** @param {string} event */
  has(event) {
    return !!this.#lists.get(event)?.size;
  }

  /** @param {string} event @param {any} [value] */
  emit(event, value) {
    const list = this.#lists.get(event) ?? new Set();
    for (const fn of [...list]) {
      // Another listener may have removed this one.
      if (list.has(fn)) this.call(fn, value);
    }
  }

  /** @param {(value: any) => void} fn @param {any} value */
  call(fn, value) {
    try {
      fn(value);
    } catch (error) {
      this.#report(error);
    }
  }
}
