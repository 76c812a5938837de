'use client';

// A hook for a WebSocket to any path that speaks JSON: it knows nothing of parlor.

import { useEffect, useMemo, useState, useSyncExternalStore } from 'react';
import { useLatest } from './react-client.js';
import { reliable } from './reliable.js';
import { constant, graced, storeOf } from './stores.js';

/** @template T @typedef {import('./stores.js').Store<T>} Store */
/** @typedef {import('./reliable.js').ReliableSnapshot} ReliableSnapshot */
/** @typedef {(event: string, fn: (value: any) => void) => () => void} Listen */
/** @typedef {{ socket: ReturnType<typeof reliable> | null, store: Store<ReliableSnapshot>, on: Listen }} Plain */
/** @type {ReliableSnapshot} */
const NOT_OPEN = { state: { name: 'idle' }, attempt: 0, quality: null, lastMessageAt: null };
const NOT_OPEN_STORE = /* @__PURE__ */ constant(NOT_OPEN);
/** @type {Map<string, Plain>} */
const sockets = new Map();

/** One socket for all who ask for the same. @param {string} url @param {import('./reliable.js').ReliableOptions} options @param {string} [own] whose it is, if it is not for all @returns {Plain} */
function sharedSocket(url, options, own) {
  const key = JSON.stringify([url, options, own]);
  const known = sockets.get(key);
  if (known) return known;
  const hold = graced(() => {
    plain.socket = reliable(url, options);
    sockets.set(key, plain);
    return () => {
      plain.socket?.close();
      plain.socket = null;
      sockets.delete(key);
    };
  });
  /** @type {Plain} */
  const plain = {
    socket: null,
    store: storeOf({
      read: () => plain.socket?.snapshot() ?? NOT_OPEN,
      watch: (changed) => {
        const release = hold();
        const off = plain.socket?.on('change', changed);
        return () => (off?.(), release());
      },
      server: NOT_OPEN,
      // The socket has its own grace period.
      grace: 0,
    }),
    on: (event, fn) => {
      const release = hold();
      const off = plain.socket?.on(event, fn);
      return () => (off?.(), release());
    },
  };
  sockets.set(key, plain);
  return plain;
}

/**
 * The one socket for all who ask for the same, while somebody does, and what is known of it.
 * @param {{ url: string, enabled: boolean, maxReconnectDelay?: number, maxReconnectAttempts?: number, fatal?: (code: number) => boolean, own?: string,
 *   onMessage: (message: any) => void }} options `own`: whose it is, if it is not for all
 */
export function useSharedSocket({ url, enabled, maxReconnectDelay: maxDelay, maxReconnectAttempts: attempts, fatal, own, onMessage }) {
  const shared = useMemo(
    () => (enabled && url && typeof window !== 'undefined' ? sharedSocket(url, { maxDelay, attempts, fatal }, own) : null),
    [url, enabled, maxDelay, attempts, fatal, own],
  );
  const { subscribe, get, getServer } = shared?.store ?? NOT_OPEN_STORE;
  const snapshot = useSyncExternalStore(subscribe, get, getServer);
  const latest = useLatest(onMessage);
  useEffect(() => shared?.on('message', (message) => latest.current(message)), [shared, latest]);
  return { shared, snapshot };
}

/**
 * A WebSocket to any path that speaks JSON, which comes back and is let go of while the page is hidden. It never polls:
 * `pollingInterval` is there for who comes from a hook that did. `queryFn` is asked once each time it opens, for what
 * was missed, and whenever `queryKey` is another; `data` is what it said last.
 * @template T what the query says
 * @template [M=any] what the messages are
 * @param {object} options
 * @param {string} options.url
 * @param {readonly unknown[]} [options.queryKey]
 * @param {() => T | Promise<T>} [options.queryFn]
 * @param {(message: M) => void} [options.onMessage] called with each, once and in order
 * @param {boolean} [options.enabled]
 * @param {number} [options.pollingInterval]
 * @param {number} [options.maxReconnectDelay] in ms; 30000
 * @param {number} [options.maxReconnectAttempts] in a row; it never gives up, if not told otherwise
 */
export function useReliableWebSocket({ url, queryKey, queryFn, onMessage: handler, enabled = true, maxReconnectDelay, maxReconnectAttempts }) {
  const { shared, snapshot } = useSharedSocket({ url, enabled, maxReconnectDelay, maxReconnectAttempts, onMessage: (message) => handler?.(message) });
  const latest = useLatest(queryFn);
  const [answer, setAnswer] = useState(/** @type {{ data?: T, error?: unknown }} */ ({}));

  const key = JSON.stringify(queryKey);
  useEffect(() => {
    if (!shared) return undefined;
    let serial = 0;
    const ask = async () => {
      const own = (serial += 1);
      const query = latest.current;
      if (!query) return;
      try {
        const data = await query();
        if (own === serial) setAnswer({ data });
      } catch (error) {
        if (own === serial) setAnswer(({ data }) => ({ data, error }));
      }
    };
    const off = shared.on('open', ask);
    if (shared.socket?.snapshot().state.name === 'online') void ask();
    return () => {
      serial += 1;
      off();
    };
  }, [shared, key, latest]);

  const actions = useMemo(() => ({
    send: (/** @type {any} */ value) => shared?.socket?.send(value) ?? false,
    retryNow: () => shared?.socket?.retryNow(),
  }), [shared]);
  return useMemo(() => {
    const { state: { name: state }, attempt, quality, lastMessageAt } = snapshot;
    const { data, error = null } = answer;
    return { isConnected: state === 'online', state, attempt, quality, lastMessageAt, data, error, ...actions };
  }, [snapshot, answer, actions]);
}
