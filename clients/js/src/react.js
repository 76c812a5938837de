'use client';

// All hooks, for React 18 and 19: those of react-streams.js, and those of the chat.

import { useContext, useEffect, useMemo } from 'react';
import { NO_CHAT_STORES, chatStoresOf, outboxIn, presenceIn, receiptsIn, roomActions, unreadIn } from './chat-stores.js';
import { connect } from './client.js';
import { onMessage } from './messages.js';
import { Context, providerOf, useClient, useStore } from './react-client.js';
import { hooksFor as hooksForStreams, useConnection, useOnMessage } from './react-streams.js';
import { useReliableWebSocket } from './react-reliable.js';
import { webSocketService } from './service.js';
import { CONNECTION_GRACE_MS, graced } from './stores.js';

/** @template {import('./wire.js').Messages<M>} [M=any] @typedef {import('./client.js').Client<M>} Client */
/** @typedef {import('./client.js').Options} Options */
/** @typedef {import('./transcript.js').MessageRow} MessageRow */
/** @typedef {import('./react-streams.js').Quality} Quality */
/** @typedef {import('./react-streams.js').StreamOptions} StreamOptions */
/** @typedef {import('./react-streams.js').StreamStale} StreamStale */
/** @typedef {import('./react-streams.js').Connected} Connected */
/** @typedef {import('./react-streams.js').Connection} Connection */
/** @typedef {import('./react-streams.js').Draw} Draw */
/** @typedef {import('react').ReactNode} ReactNode */
/** @typedef {import('./chat-stores.js').ChatStores} ChatStores */
/** @typedef {import('./chat-stores.js').Name} Name */
/** @template T @typedef {import('./stores.js').Store<T>} Store */

export { ConnectionBadge, ConnectionStatus, useConnection, useOnMessage, useQuality, useStream } from './react-streams.js';

/** As that of react-streams.js, with a whole client. @type {(props: import('./react-client.js').ProviderProps<Client, Options>) => import('react').ReactElement} */
export const ParlorProvider = /* @__PURE__ */ providerOf(connect);
export { ParlorProvider as WebSocketProvider };

/**
 * The client: that of the provider, else that of `webSocketService`; null while there is none, and on a server.
 * @template {import('./wire.js').Messages<M>} [M=any] the application's own messages
 * @returns {Client<M> | null}
 */
export const useParlor = () => /** @type {Client | null} */ (useClient());

/** @template T @param {(stores: ChatStores) => Store<T>} pick @param {Store<T>} none @returns {T} */
function useChat(pick, none) {
  const client = useParlor();
  return useStore(client ? pick(chatStoresOf(client)) : none);
}

/** Who is here. */
export function usePresence() {
  const value = useChat(({ presence }) => presence, NO_CHAT_STORES.presence);
  return useMemo(() => presenceIn(value), [value]);
}

/** @param {Name} name */
const useFacts = (name) => useChat((all) => (name ? all.facts(name) : NO_CHAT_STORES.facts), NO_CHAT_STORES.facts);
/** @param {Name} name */
const useTranscript = (name) => useChat((all) => (name ? all.transcript(name) : NO_CHAT_STORES.transcript), NO_CHAT_STORES.transcript);

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
  const marks = useChat((all) => (room ? all.receipts(room) : NO_CHAT_STORES.receipts), NO_CHAT_STORES.receipts);
  return useMemo(() => receiptsIn(marks), [marks]);
}

/** How much is unread, in a room or in all. @param {string} [room] @returns {number} */
export function useUnread(room) {
  const client = useParlor();
  const { subscribe, get, getServer } = client ? chatStoresOf(client).rooms : NO_CHAT_STORES.rooms;
  return useStore({ subscribe, get: () => unreadIn(get(), room), getServer: () => unreadIn(getServer(), room) });
}

/** What is not yet on the server's disk, in all rooms: sent again by `retry(id)`, taken back by `cancel(id)`. */
export function useOutbox() {
  const client = useParlor();
  const messages = useChat(({ outbox }) => outbox, NO_CHAT_STORES.outbox);
  return useMemo(() => outboxIn(client, messages), [client, messages]);
}

/**
 * The same hooks for an application that says what its messages are: misspelt types, and payloads that are not theirs, are
 * errors of the compiler. To be called once, beside the map.
 * @template {import('./wire.js').Messages<M>} M the application's own messages
 * @returns {{ useParlor: () => Client<M> | null,
 *   useOnMessage: <T extends import('./wire.js').Heard<M>>(type: T, handler: (payload: import('./wire.js').Event<M, T>) => void) => void }}
 */
export const hooksFor = () => /** @type {any} */ (hooksForStreams());

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
  useEffect(() => (client && name && join ? chatStoresOf(client).join(name)() : undefined), [client, name, join]);
  useEffect(() => (client && name && leaveOnUnmount ? chatStoresOf(client).stay(name)(join) : undefined), [client, name, join, leaveOnUnmount]);
  const actions = useMemo(() => roomActions(client, name), [client, name]);
  return useMemo(() => ({ name, ...known, ...shown, ...actions, isMember: known.membership === 'member' }), [name, known, shown, actions]);
}

// --- Under the names that applications use today ---

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
      // It may have been disconnected meanwhile.
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
  const { users } = useChat(({ presence }) => presence, NO_CHAT_STORES.presence);
  return useMemo(() => users.map(({ user }) => user), [users]);
}
