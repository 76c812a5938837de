'use client';

// The base of the React hooks. The connection and its data live outside of React; components read cached snapshots,
// which change at most once per animation frame. Unused resources end after a second: a route change, or StrictMode,
// which mounts everything twice, neither reconnects nor leaves and rejoins a room.

import { createContext, createElement, useContext, useEffect, useInsertionEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react';
import { pageClient } from './page-client.js';
import { CONNECTION_GRACE_MS, graced } from './stores.js';
import { renewToken, subjectOf } from './tokens.js';

/** @typedef {import('./streams.js').StreamsClient} StreamsClient */
/** @typedef {import('react').ReactNode} ReactNode */
/** @template T @typedef {import('./stores.js').Store<T>} Store */
/** @template C, O @typedef {{ client: C | null, options: O | undefined, token: unknown, open: () => C | null, hold: () => () => void }} Shared */
/** @template C, O @typedef {{ client?: C, url?: string, options?: O, user?: string | number, children?: ReactNode }} ProviderProps */

/** How long a connection waits for the component that asked for it to be mounted: it may be suspended. */
const UNMOUNTED_MS = 10_000;

/** @type {import('react').Context<{ client: StreamsClient | null } | null>} */
export const Context = /* @__PURE__ */ createContext(/** @type {{ client: StreamsClient | null } | null} */ (null));

/**
 * The provider for one kind of client.
 * @template {StreamsClient} C
 * @template {import('./base.js').BaseOptions} O
 * @param {(url: string, options?: O) => C} connect
 */
export function providerOf(connect) {
  /** @type {Map<string, Shared<C, O>>} */
  const clients = new Map();

  /**
   * The one client of a place and a user, for all who ask for it.
   * @param {string} url
   * @param {O | undefined} options
   * @param {string | number | undefined} user
   * @returns {Shared<C, O>}
   */
  function sharedClient(url, options, user) {
    const given = options?.token;
    const key = JSON.stringify([url, user, typeof given === 'string' ? (subjectOf(given) ?? given) : null]);
    const known = clients.get(key);
    if (known) return Object.assign(known, { options });
    const token = () => shared.options?.token;
    const hold = graced(() => {
      // The newest render's function is called: its closure may have newer values than the first one's.
      const ask = (/** @type {any} */ asked) => {
        const newest = token();
        return typeof newest === 'function' ? newest(asked) : newest;
      };
      shared.token = token();
      shared.client = connect(url, /** @type {any} */ ({ user: subjectOf(shared.token) ?? undefined, ...shared.options, token: shared.token === undefined ? undefined : ask }));
      clients.set(key, shared);
      return () => {
        shared.client?.close();
        shared.client = null;
        clients.delete(key);
      };
    }, CONNECTION_GRACE_MS);
    let release = () => {};
    /** @type {Shared<C, O>} */
    const shared = {
      client: null,
      options,
      token: undefined,
      open: () => {
        if (!shared.client) {
          release = hold();
          setTimeout(release, UNMOUNTED_MS);
        }
        return shared.client;
      },
      hold: () => {
        const letGo = hold();
        release();
        return letGo;
      },
    };
    clients.set(key, shared);
    return shared;
  }

  /**
   * Gives those below it a client: one of yours, which stays yours to close, or that of a URL, which is opened for the
   * first provider of it and closed a second after the last is gone. Another `user` or another user's token (as a text) is
   * another client; a newer token of the same user (by the `sub` of a JWT) is not. With neither a client nor a URL it changes
   * nothing: what is below it has what is above it, or the page's `webSocketService`.
   * @param {ProviderProps<C, O>} props
   */
  return function ParlorProvider({ client, url, options, user, children }) {
    // On a server nothing is connected.
    const isOurs = !client && url !== undefined && typeof window !== 'undefined';
    const shared = isOurs ? sharedClient(url, options, user) : null;
    const used = client ?? shared?.open() ?? null;
    // The client is another one if the first was given up because too much time has passed since its render.
    const [, renew] = useState(used);
    useEffect(() => {
      if (!shared) return undefined;
      const release = shared.hold();
      renew(shared.client);
      return release;
    }, [shared]);
    const token = options?.token;
    useEffect(() => {
      if (!shared?.client || typeof token !== 'string' || token === shared.token) return;
      shared.token = token;
      renewToken(shared.client, token);
    }, [shared, token]);
    const above = useContext(Context);
    const isNone = !client && url === undefined;
    const value = useMemo(() => (isNone ? above : { client: used }), [isNone, above, used]);
    return createElement(Context.Provider, { value }, children);
  };
}

/** The client of the provider, else that of the page's `webSocketService`; null while there is none, and on a server. @returns {StreamsClient | null} */
export function useClient() {
  const given = useContext(Context);
  const ofPage = useSyncExternalStore(pageClient.subscribe, pageClient.get, pageClient.getServer);
  return given ? given.client : ofPage;
}

/** @template T @param {Store<T>} store @returns {T} */
export const useStore = ({ subscribe, get, getServer }) => useSyncExternalStore(subscribe, get, getServer);

/** Always the newest of its values, for what is called later. @template T @param {T} value */
export function useLatest(value) {
  const latest = useRef(value);
  useInsertionEffect(() => {
    latest.current = value;
  });
  return latest;
}
