'use client';

// Hooks for streams alone, in React 18 and 19: what a dashboard needs, without the chat. react.js has all hooks.

import { createElement, useCallback, useEffect, useMemo } from 'react';
import { ParlorError } from './errors.js';
import { onMessage } from './messages.js';
import { providerOf, useClient, useLatest, useStore } from './react-client.js';
import { NO_CLIENT, NO_STORES, storesOf } from './stores.js';
import { connect } from './streams.js';

/** @template {import('./wire.js').Messages<M>} [M=any] @typedef {import('./streams.js').StreamsClient<M>} StreamsClient */
/** @typedef {import('./connection.js').Quality} Quality */
/** @typedef {import('./stream.js').StreamOptions} StreamOptions */
/** @typedef {import('./stream.js').StreamStale} StreamStale */
/** @typedef {import('./stores.js').Connected} Connected */
/** @typedef {import('react').ReactNode} ReactNode */
/** @typedef {string | null | undefined} Name none: there is nothing to be shown yet */

export { useReliableWebSocket } from './react-reliable.js';

/** As that of react.js, with a client for streams alone. @type {(props: import('./react-client.js').ProviderProps<StreamsClient, import('./base.js').BaseOptions>) => import('react').ReactElement} */
export const ParlorProvider = /* @__PURE__ */ providerOf(connect);

/**
 * The client: that of the provider, else that of `webSocketService`; null while there is none, and on a server.
 * @template {import('./wire.js').Messages<M>} [M=any] the application's own messages
 * @returns {StreamsClient<M> | null}
 */
export const useParlor = () => useClient();

/** The connection's state, for people and for programs. Renders each second while it waits. */
export function useConnection() {
  const client = useClient();
  const known = useStore(client ? storesOf(client).connection : NO_STORES.connection);
  const actions = useMemo(() => ({
    retryNow: () => client?.retryNow(),
    /** @param {string} [reason] */
    pause: (reason) => client?.pause(reason),
    why: () => client?.why() ?? [],
  }), [client]);
  return useMemo(() => ({ ...known, ...actions }), [known, actions]);
}

/** The round trip and its level, once it is measured. @returns {Quality | null} */
export function useQuality() {
  const client = useClient();
  return useStore(client ? storesOf(client).quality : NO_STORES.quality);
}

/**
 * A stream's newest event. Its options are those of who asks for it first.
 * @template [T=any] what is in its events
 * @param {Name} name
 * @param {StreamOptions} [options]
 * @returns {{ data: T | undefined, seq: number, ts: number | undefined, skipped: boolean, refusal: ParlorError | null, stale: StreamStale | null, publish: (data: T, options?: { id?: string }) => Promise<import('./wire.js').Published> }}
 */
export function useStream(name, options) {
  const client = useClient();
  // Before anything else requests the stream without options.
  if (name) client?.stream(name, options);
  const watched = useStore(client && name ? storesOf(client).stream(name) : NO_STORES.stream);
  const publish = useCallback((/** @type {T} */ data, /** @type {{ id?: string } | undefined} */ options) => {
    if (!client) throw new ParlorError('not_ready', { message: NO_CLIENT });
    if (!name) throw new ParlorError('not_ready', { message: 'no stream is named' });
    return client.stream(name).publish(data, options);
  }, [client, name]);
  return useMemo(() => ({ ...watched, publish }), [watched, publish]);
}

/**
 * Is called with each message of a type, once and in order, whatever is rendered meanwhile; the newest handler is.
 * @param {string} type
 * @param {(payload: any) => void} handler
 */
export function useOnMessage(type, handler) {
  const client = useClient();
  const latest = useLatest(handler);
  useEffect(() => (client ? onMessage(client, type, (payload) => latest.current(payload)) : undefined), [client, type, latest]);
}

/**
 * The same hooks for an application that says what its messages are: misspelt types, and payloads that are not theirs, are
 * errors of the compiler. To be called once, beside the map.
 * @template {import('./wire.js').Messages<M>} M the application's own messages
 * @returns {{ useParlor: () => StreamsClient<M> | null,
 *   useOnMessage: <T extends import('./wire.js').Heard<M>>(type: T, handler: (payload: import('./wire.js').Event<M, T>) => void) => void }}
 */
export const hooksFor = () => ({ useParlor, useOnMessage });

// --- Display ---

/** @typedef {ReturnType<typeof useConnection>} Connection */
/** @typedef {(connection: Connection) => ReactNode} Draw */

/** A connection's status in words; none while there is nothing to say. @param {Connected} connection */
function words({ status: of, seconds }) {
  if (of === null) return null;
  if (of === 'live') return 'Live';
  if (of === 'disconnected') return 'Disconnected';
  const doing = of === 'connecting' ? 'Connecting' : 'Reconnecting';
  // The seconds are visible, but should not be read aloud one after another.
  return [doing, seconds ? createElement('span', { key: 'seconds', 'aria-hidden': true }, ` in ${seconds} s`) : null];
}

/**
 * The connection's status, where screen readers tell of it. What is in it is yours: a function as a child, or as
 * `render`, is given what `useConnection()` has. Without one it says something only while it is not live.
 * @param {{ children?: ReactNode | Draw, render?: Draw, [attribute: string]: any }} props
 */
export function ConnectionStatus({ children, render, ...attributes }) {
  const connection = useConnection();
  const draw = render ?? (typeof children === 'function' ? children : null);
  const inside = draw ? draw(connection) : (children ?? (connection.status === 'live' ? null : words(connection)));
  return createElement('span', { role: 'status', 'data-status': connection.status ?? undefined, ...attributes }, /** @type {ReactNode} */ (inside));
}

const COLOURS = { live: '#1a7f37', connecting: '#9a6700', reconnecting: '#9a6700', disconnected: '#cf222e' };
const BADGE = { display: 'inline-flex', alignItems: 'center', gap: '0.5em', font: '0.875em/1.4 system-ui, sans-serif' };
const DOT = { width: '0.6em', height: '0.6em', borderRadius: '50%' };

/**
 * The same with words and a dot: Live, Reconnecting in 5 s, Disconnected.
 * @param {{ style?: Record<string, any>, [attribute: string]: any }} props
 */
export function ConnectionBadge({ style, ...attributes }) {
  const render = (/** @type {Connection} */ connection) => {
    if (connection.status === null) return null;
    const dot = createElement('span', { 'aria-hidden': true, style: { ...DOT, background: COLOURS[connection.status] } });
    return createElement('span', { style: { ...BADGE, ...style } }, dot, createElement('span', null, words(connection)));
  };
  return createElement(ConnectionStatus, { ...attributes, render });
}
