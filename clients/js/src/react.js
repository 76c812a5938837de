'use client';

// Bindings for React 18 and 19. The connection and what is known of it live outside of React; components read cached
// snapshots, which change once per animation frame at most. What is no longer used ends a second after: a route that
// changes, or StrictMode, which mounts everything twice, neither reconnects nor leaves a room and joins it again.

import { createContext, createElement, useCallback, useContext, useEffect, useMemo, useState, useSyncExternalStore } from 'react';
import { connect } from './client.js';
import { ParlorError } from './errors.js';
import { onMessage } from './messages.js';
import { useLatest, useReliableWebSocket } from './react-reliable.js';
import { webSocketService } from './service.js';
import { CONNECTION_GRACE_MS, NO_STORES, graced, storesOf } from './stores.js';
import { renewToken, subjectOf } from './tokens.js';

/** @template {import('./wire.js').Messages<M>} [M=any] @typedef {import('./client.js').Client<M>} Client */
/** @typedef {import('./client.js').Options} Options */
/** @typedef {import('./connection.js').Quality} Quality */
/** @typedef {import('./stream.js').StreamOptions} StreamOptions */
/** @typedef {import('./stream.js').StreamStale} StreamStale */
/** @typedef {import('./transcript.js').MessageRow} MessageRow */
/** @typedef {import('react').ReactNode} ReactNode */
/** @typedef {import('./stores.js').Stores} Stores */
/** @typedef {import('./stores.js').Connected} Connected */
/** @template T @typedef {import('./stores.js').Store<T>} Store */
/** @typedef {string | null | undefined} Name none: there is nothing to be shown yet */

/** How long a connection waits for the component that asked for it to be mounted: it may be suspended. */
const UNMOUNTED_MS = 10_000;
const NO_CLIENT = 'there is no client: no <ParlorProvider> above, and webSocketService is not connected';

// --- The provider ---

/** @typedef {{ client: Client | null, options: Options | undefined, token: unknown, open: () => Client | null, hold: () => () => void }} Shared */

/** @type {Map<string, Shared>} */
const clients = new Map();

/**
 * The one client of a place and a user, for all who ask for it.
 * @param {string} url
 * @param {Options | undefined} options
 * @param {string | number | undefined} user
 * @returns {Shared}
 */
function sharedClient(url, options, user) {
  const given = options?.token;
  const key = JSON.stringify([url, user, typeof given === 'string' ? (subjectOf(given) ?? given) : null]);
  const known = clients.get(key);
  if (known) return Object.assign(known, { options });
  const token = () => shared.options?.token;
  const hold = graced(() => {
    // That of the newest render is asked: it may close over what the first did not know.
    const ask = (/** @type {any} */ asked) => {
      const newest = token();
      return typeof newest === 'function' ? newest(asked) : newest;
    };
    shared.token = token();
    shared.client = connect(url, { user: subjectOf(shared.token) ?? undefined, ...shared.options, token: shared.token === undefined ? undefined : ask });
    clients.set(key, shared);
    return () => {
      shared.client?.close();
      shared.client = null;
      clients.delete(key);
    };
  }, CONNECTION_GRACE_MS);
  let release = () => {};
  /** @type {Shared} */
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

/** @type {import('react').Context<{ client: Client | null } | null>} */
const Context = createContext(/** @type {{ client: Client | null } | null} */ (null));

/**
 * Gives those below it a client: one of yours, which stays yours to close, or that of a URL, which is opened for the
 * first provider of it and closed a second after the last is gone. Another `user` or another user's token (as a text) is
 * another client; a newer token of the same user (by the `sub` of a JWT) is not. With neither a client nor a URL it changes
 * nothing: what is below it has what is above it, or the page's `webSocketService`.
 * @param {{ client?: Client, url?: string, options?: Options, user?: string | number, children?: ReactNode }} props
 */
export function ParlorProvider({ client, url, options, user, children }) {
  // On a server nothing is connected.
  const isOurs = !client && url !== undefined && typeof window !== 'undefined';
  const shared = isOurs ? sharedClient(url, options, user) : null;
  const used = client ?? shared?.open() ?? null;
  // It is another if so much time has passed since it was rendered that the first was given up.
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
}

export { ParlorProvider as WebSocketProvider };

const onService = (/** @type {() => void} */ fn) => webSocketService.onClientChange(fn);
const ofService = () => webSocketService.client;
const noClient = () => null;

/**
 * The client: that of the provider, else that of `webSocketService`; null while there is none, and on a server.
 * @template {import('./wire.js').Messages<M>} [M=any] the application's own messages
 * @returns {Client<M> | null}
 */
export function useParlor() {
  const given = useContext(Context);
  const ofPage = useSyncExternalStore(onService, ofService, noClient);
  return given ? given.client : ofPage;
}

/** @template T @param {(stores: Stores) => Store<T>} pick @param {Store<T>} none @returns {T} */
function useStore(pick, none) {
  const client = useParlor();
  const { subscribe, get, getServer } = client ? pick(storesOf(client)) : none;
  return useSyncExternalStore(subscribe, get, getServer);
}

// --- The hooks ---

/** The connection's state, for people and for programs. Renders each second while it waits. */
export function useConnection() {
  const client = useParlor();
  const known = useStore(({ connection }) => connection, NO_STORES.connection);
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
  return useStore(({ quality }) => quality, NO_STORES.quality);
}

/** Who is here. */
export function usePresence() {
  const value = useStore(({ presence }) => presence, NO_STORES.presence);
  return useMemo(() => {
    const ids = new Set(value.users.map(({ user }) => user));
    return { ...value, isOnline: (/** @type {string | number} */ user) => ids.has(String(user)) };
  }, [value]);
}

/** @param {Name} name */
const useFacts = (name) => useStore((all) => (name ? all.facts(name) : NO_STORES.facts), NO_STORES.facts);
/** @param {Name} name */
const useTranscript = (name) => useStore((all) => (name ? all.transcript(name) : NO_STORES.transcript), NO_STORES.transcript);

/** The messages of a room: those in its log and those on their way. @param {Name} room @returns {MessageRow[]} */
export function useMessages(room) {
  return useTranscript(room).messages;
}

/** Who is typing in a room: ids. @param {Name} room @returns {string[]} */
export function useTyping(room) {
  return useFacts(room).typists;
}

/**
 * Who has got and who has read what, in a room of up to 50 members: how far each of the others has come, and of a message
 * (its `seq`) the ids of those who have it and of those who have read it.
 * @param {Name} room
 */
export function useReceipts(room) {
  const marks = useStore((all) => (room ? all.receipts(room) : NO_STORES.receipts), NO_STORES.receipts);
  return useMemo(() => {
    const reached = (/** @type {"read" | "delivered"} */ by, /** @type {number} */ seq) => marks.filter((mark) => mark[by] >= seq).map(({ user }) => user);
    return { marks, deliveredTo: (/** @type {number} */ seq) => reached('delivered', seq), readBy: (/** @type {number} */ seq) => reached('read', seq) };
  }, [marks]);
}

/** How much is unread, in a room or in all. @param {string} [room] @returns {number} */
export function useUnread(room) {
  const client = useParlor();
  const { subscribe, get, getServer } = client ? storesOf(client).rooms : NO_STORES.rooms;
  const count = (/** @type {() => import('./client.js').RoomSnapshot[]} */ rooms) => () =>
    rooms().reduce((sum, { room: name, unread }) => (room === undefined || name === room ? sum + unread : sum), 0);
  return useSyncExternalStore(subscribe, count(get), count(getServer));
}

/** What is not yet on the server's disk, in all rooms: sent again by `retry(id)`, taken back by `cancel(id)`. */
export function useOutbox() {
  const client = useParlor();
  const messages = useStore(({ outbox }) => outbox, NO_STORES.outbox);
  return useMemo(() => {
    const find = (/** @type {string} */ id) => client?.unsent.find((ticket) => ticket.id === id);
    return {
      messages,
      count: messages.length,
      failed: messages.filter(({ status: of }) => of === 'failed' || of === 'expired').length,
      retry: (/** @type {string} */ id) => find(id)?.retry() ?? false,
      cancel: (/** @type {string} */ id) => find(id)?.cancel() ?? false,
    };
  }, [client, messages]);
}

/**
 * A stream's newest event. Its options are those of who asks for it first.
 * @template [T=any] what is in its events
 * @param {Name} name
 * @param {StreamOptions} [options]
 * @returns {{ data: T | undefined, seq: number, ts: number | undefined, skipped: boolean, refusal: ParlorError | null, stale: StreamStale | null, publish: (data: T, options?: { id?: string }) => Promise<import('./wire.js').Published> }}
 */
export function useStream(name, options) {
  const client = useParlor();
  // Before anything else asks for it without.
  if (name) client?.stream(name, options);
  const watched = useStore((all) => (name ? all.stream(name) : NO_STORES.stream), NO_STORES.stream);
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
  const client = useParlor();
  const latest = useLatest(handler);
  useEffect(() => (client ? onMessage(client, type, (payload) => latest.current(payload)) : undefined), [client, type, latest]);
}

/**
 * The same hooks for an application that says what its messages are: misspelt types, and payloads that are not theirs, are
 * errors of the compiler. To be called once, beside the map.
 * @template {import('./wire.js').Messages<M>} M the application's own messages
 * @returns {{ useParlor: () => Client<M> | null,
 *   useOnMessage: <T extends import('./wire.js').Heard<M>>(type: T, handler: (payload: import('./wire.js').Event<M, T>) => void) => void }}
 */
export const hooksFor = () => ({ useParlor, useOnMessage });

export { useOnMessage as useWebSocketMessage, useReliableWebSocket };

/**
 * A room: what it shows, what is known of it and what can be done in it. It is only read, unless an option says
 * more: `join` joins it; `leaveOnUnmount` leaves it when the component is gone.
 * @param {Name} name
 * @param {{ join?: boolean, leaveOnUnmount?: boolean }} [options]
 */
export function useRoom(name, { join = false, leaveOnUnmount = false } = {}) {
  const client = useParlor();
  const known = useFacts(name);
  const shown = useTranscript(name);
  useEffect(() => (client && name && join ? storesOf(client).join(name)() : undefined), [client, name, join]);
  useEffect(() => (client && name && leaveOnUnmount ? storesOf(client).stay(name)(join) : undefined), [client, name, join, leaveOnUnmount]);
  const actions = useMemo(() => roomActions(client, name), [client, name]);
  return useMemo(() => ({ name, ...known, ...shown, ...actions, isMember: known.membership === 'member' }), [name, known, shown, actions]);
}

/** @param {Client | null} client @param {Name} name */
function roomActions(client, name) {
  const room = () => {
    if (!client) throw new ParlorError('not_ready', { message: NO_CLIENT });
    if (!name) throw new ParlorError('not_ready', { message: 'no room is named' });
    return client.room(name);
  };
  const ticket = (/** @type {string} */ id) => room().unsent.find((one) => one.id === id);
  return {
    /** @param {string} text @param {{ data?: any, replyTo?: number, cid?: string }} [more] */
    send: (text, more) => room().send(text, more),
    /** @param {number} seq @param {string} text */
    edit: (seq, text) => room().edit(seq, text),
    /** @param {number} seq */
    remove: (seq) => room().delete(seq),
    /** @param {number} seq @param {string} emoji @param {boolean} [on] */
    react: (seq, emoji, on) => room().react(seq, emoji, on),
    /** @param {boolean} [isTyping] */
    typing: (isTyping) => room().typing(isTyping),
    /** @param {number} [seq] */
    markRead: (seq) => room().markRead(seq),
    /** Reads a page before the first row; whether there was one. */
    loadOlder: async () => (client && name ? storesOf(client).loadOlder(name) : false),
    /** @param {string} id */
    retry: (id) => ticket(id)?.retry() ?? false,
    /** @param {string} id */
    cancel: (id) => ticket(id)?.cancel() ?? false,
    join: () => room().join(),
    leave: () => room().leave(),
  };
}

// --- Under the names that applications have today ---

/** @type {{ token: string, hold: () => () => void } | null} */
let signedIn = null;

/** The page's service with a token, for all who ask for it with the same. @param {string} token */
function sharedService(token) {
  if (signedIn?.token === token) return signedIn;
  const hold = graced(() => {
    webSocketService.connect(token).catch(() => {});
    // Another token may have taken its place.
    return () => {
      if (signedIn !== own) return;
      signedIn = null;
      webSocketService.disconnect();
    };
  }, CONNECTION_GRACE_MS);
  const own = {
    token,
    hold: () => {
      const letGo = hold();
      // Somebody may have disconnected it meanwhile.
      if (!webSocketService.client) webSocketService.connect(token).catch(() => {});
      return letGo;
    },
  };
  signedIn = own;
  return own;
}

/**
 * The connection of the provider above; without one, that of `webSocketService`, signed in with a token for as long
 * as somebody uses it. Without a token it waits for one.
 * @param {string | null} [token]
 */
export function useWebSocket(token) {
  const hasProvider = useContext(Context) !== null;
  const client = useParlor();
  useEffect(() => (token && !hasProvider ? sharedService(token).hold() : undefined), [token, hasProvider]);
  const connection = useConnection();
  const actions = useMemo(() => ({
    client,
    /** @param {string} type @param {any} [payload] */
    send: (type, payload) => client?.send(type, payload) ?? false,
    on: (/** @type {string} */ type, /** @type {(payload: any) => void} */ handler) => (client ? onMessage(client, type, handler) : () => {}),
  }), [client]);
  return useMemo(() => ({ connected: connection.isOnline, ...connection, ...actions }), [connection, actions]);
}

/** A room as a conversation, which is only read; its name may be a number. @param {string | number | null | undefined} room */
export function useChatWebSocket(room) {
  const of = useRoom(typeof room === 'number' ? String(room) : room);
  const { isOnline: connected } = useConnection();
  return useMemo(() => ({ ...of, connected, sendMessage: of.send, sendTyping: of.typing, typingUsers: of.typists }), [of, connected]);
}

/** Who is here: ids. @returns {string[]} */
export function useOnlineUsers() {
  const { users } = useStore(({ presence }) => presence, NO_STORES.presence);
  return useMemo(() => users.map(({ user }) => user), [users]);
}

// --- To be shown ---

/** @typedef {ReturnType<typeof useConnection>} Connection */
/** @typedef {(connection: Connection) => ReactNode} Draw */

/** A connection's status in words; none while there is nothing to say. @param {Connected} connection */
function words({ status: of, seconds }) {
  if (of === null) return null;
  if (of === 'live') return 'Live';
  if (of === 'disconnected') return 'Disconnected';
  const doing = of === 'connecting' ? 'Connecting' : 'Reconnecting';
  // The seconds are to be seen: nobody wants them read aloud one after the other.
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
