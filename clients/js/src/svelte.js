// Stores for Svelte 4 and 5 over those of all adapters: `$stream.data` in a component. Request them while a component
// initializes, as with Svelte's own contexts. A name is fixed: use `{#key name}` to start over with another.

import { getContext, onMount, setContext } from 'svelte';
import { NO_CHAT_STORES, chatStoresOf, outboxIn, presenceIn, receiptsIn, roomActions, unreadIn } from './chat-stores.js';
import { ParlorError } from './errors.js';
import { onMessage } from './messages.js';
import { NO_CLIENT, NO_STORES, missing, storesOf } from './stores.js';

/** @template {import('./wire.js').Messages<M>} [M=any] @typedef {import('./client.js').Client<M>} Client */
/** @template {import('./wire.js').Messages<M>} [M=any] @typedef {import('./streams.js').StreamsClient<M>} StreamsClient */
/** @typedef {import('./chat-stores.js').Name} Name */
/** @template T @typedef {import('./stores.js').Store<T>} Store */
/** As Svelte has them: a new value is told at once, and whenever it is another. @template T @typedef {{ subscribe(run: (value: T) => void): () => void }} Readable */

const KEY = /* @__PURE__ */ Symbol('parlor');

/** Gives the components below a client, which stays yours to close; null on a server. @param {StreamsClient | null} client */
export const setParlor = (client) => void setContext(KEY, client);

/**
 * The client that was given above; null where there is none, and on a server. A client for streams alone has no rooms.
 * @template {import('./wire.js').Messages<M>} [M=any] the application's own messages
 * @returns {Client<M> | null}
 */
export function useParlor() {
  const given = getContext(KEY);
  if (given === undefined) missing('setParlor(client) in a component above; null says that there is none');
  return given ?? null;
}

/**
 * What components subscribe to: made of one store or more, and only again when one of them has changed.
 * @template {any[]} S
 * @template T
 * @param {{ [K in keyof S]: Store<S[K]> }} stores
 * @param {(...values: S) => T} make
 * @returns {Readable<T>}
 */
function readable(stores, make) {
  /** @type {{ values: any[], made: T } | null} */
  let last = null;
  const read = () => {
    const values = stores.map(({ get }) => get());
    if (!last || values.some((value, at) => !Object.is(value, last?.values[at]))) last = { values, made: make(.../** @type {S} */ (values)) };
    return last.made;
  };
  return {
    subscribe(run) {
      // Nothing is watched while rendering on a server.
      if (typeof window === 'undefined') {
        run(make(.../** @type {S} */ (stores.map(({ getServer }) => getServer()))));
        return () => {};
      }
      /** @type {{ made: T } | null} */
      let told = null;
      const tell = () => {
        const made = read();
        if (told && Object.is(told.made, made)) return;
        told = { made };
        run(made);
      };
      const ends = stores.map(({ subscribe }) => subscribe(tell));
      tell();
      return () => ends.forEach((end) => end());
    },
  };
}

/** A name is a text: what is asked for stays the same. @param {unknown} name */
function check(name) {
  if (typeof name === 'function') throw new TypeError('a name is a text, which stays what it was: {#key name} begins anew with another');
}

/** @template T @param {T} value */
const asItIs = (value) => value;

/** The connection's state, for people and for programs. */
export function useConnection() {
  const client = useParlor();
  return {
    ...readable([client ? storesOf(client).connection : NO_STORES.connection], asItIs),
    retryNow: () => client?.retryNow(),
    /** @param {string} [reason] */
    pause: (reason) => client?.pause(reason),
    why: () => client?.why() ?? [],
  };
}

/** The round trip and its level, once it is measured. */
export function useQuality() {
  const client = useParlor();
  return readable([client ? storesOf(client).quality : NO_STORES.quality], asItIs);
}

/**
 * A stream's newest event. Its options are those of who asks for it first.
 * @template [T=any] what is in its events
 * @param {Name} name
 * @param {import('./stream.js').StreamOptions} [options]
 * @returns {Readable<Omit<import('./stores.js').Watched, "data"> & { data: T | undefined }> & { publish: (data: T, options?: { id?: string }) => Promise<import('./wire.js').Published> }}
 */
export function useStream(name, options) {
  check(name);
  const client = useParlor();
  // Before anything else requests the stream without options.
  if (name) client?.stream(name, options);
  return {
    ...readable([client && name ? storesOf(client).stream(name) : NO_STORES.stream], asItIs),
    publish: (data, how) => {
      if (!client) throw new ParlorError('not_ready', { message: NO_CLIENT });
      if (!name) throw new ParlorError('not_ready', { message: 'no stream is named' });
      return client.stream(name).publish(data, how);
    },
  };
}

/**
 * Calls the handler with each message of a type, once and in order, while the component is there.
 * @param {string} type
 * @param {(payload: any) => void} handler
 */
export function useOnMessage(type, handler) {
  const client = useParlor();
  onMount(() => (client ? onMessage(client, type, handler) : undefined));
}

/**
 * The same for an application that says what its messages are. To be called once, beside the map.
 * @template {import('./wire.js').Messages<M>} M the application's own messages
 * @returns {{ useParlor: () => Client<M> | null,
 *   useOnMessage: <T extends import('./wire.js').Heard<M>>(type: T, handler: (payload: import('./wire.js').Event<M, T>) => void) => void }}
 */
export const storesFor = () => ({ useParlor, useOnMessage });

// --- The chat ---

/** @template T @param {(stores: import('./chat-stores.js').ChatStores) => Store<T>} pick @param {Store<T>} none @returns {Store<T>} */
function chat(pick, none) {
  const client = useParlor();
  return client ? pick(chatStoresOf(client)) : none;
}

/** @param {Name} name */
const factsOf = (name) => (check(name), chat((all) => (name ? all.facts(name) : NO_CHAT_STORES.facts), NO_CHAT_STORES.facts));
/** @param {Name} name */
const transcriptOf = (name) => (check(name), chat((all) => (name ? all.transcript(name) : NO_CHAT_STORES.transcript), NO_CHAT_STORES.transcript));

/** Who is here. */
export const usePresence = () => readable([chat(({ presence }) => presence, NO_CHAT_STORES.presence)], presenceIn);

/** The messages of a room: those in its log and those on their way. @param {Name} room */
export const useMessages = (room) => readable([transcriptOf(room)], ({ messages }) => messages);

/** Who is typing in a room: ids. @param {Name} room */
export const useTyping = (room) => readable([factsOf(room)], ({ typists }) => typists);

/** How much is unread, in a room or, without one, in all. @param {Name} [room] */
export const useUnread = (room) => readable([chat(({ rooms }) => rooms, NO_CHAT_STORES.rooms)], (rooms) => unreadIn(rooms, room));

/**
 * Who has got and who has read what, in a room of up to 50 members: how far each of the others has come, and of a message
 * (its `seq`) the ids of those who have it and of those who have read it.
 * @param {Name} room
 */
export const useReceipts = (room) => readable([chat((all) => (room ? all.receipts(room) : NO_CHAT_STORES.receipts), NO_CHAT_STORES.receipts)], receiptsIn);

/** What is not yet on the server's disk, in all rooms: sent again by `retry(id)`, taken back by `cancel(id)`. */
export function useOutbox() {
  const client = useParlor();
  return readable([chat(({ outbox }) => outbox, NO_CHAT_STORES.outbox)], (messages) => outboxIn(client, messages));
}

/**
 * A room: what it shows, what is known of it and, beside the store, what can be done in it. It is only read, unless an option
 * says more: `join` joins it; `leaveOnUnmount` leaves it when the component is gone.
 * @param {Name} name
 * @param {{ join?: boolean, leaveOnUnmount?: boolean }} [options]
 */
export function useRoom(name, { join = false, leaveOnUnmount = false } = {}) {
  const client = useParlor();
  onMount(() => (client && name && join ? chatStoresOf(client).join(name)() : undefined));
  onMount(() => (client && name && leaveOnUnmount ? chatStoresOf(client).stay(name)(join) : undefined));
  return {
    ...readable([factsOf(name), transcriptOf(name)], (known, shown) => ({ name, ...known, ...shown, isMember: known.membership === 'member' })),
    ...roomActions(client, name),
  };
}
