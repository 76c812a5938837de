// Composables for Vue 3 over the stores of all adapters. Each returns refs, which are updated as long as the scope that
// requested them exists. A name may be a text, a ref or a getter.

import { computed, getCurrentInstance, getCurrentScope, hasInjectionContext, inject, markRaw, onMounted, onScopeDispose, provide, shallowRef, toRaw, toValue, watch } from 'vue';
import { NO_CHAT_STORES, chatStoresOf, outboxIn, presenceIn, receiptsIn, roomActions, unreadIn } from './chat-stores.js';
import { ParlorError } from './errors.js';
import { onMessage } from './messages.js';
import { NO_CLIENT, NO_STORES, missing, storesOf } from './stores.js';

/** @template {import('./wire.js').Messages<M>} [M=any] @typedef {import('./client.js').Client<M>} Client */
/** @template {import('./wire.js').Messages<M>} [M=any] @typedef {import('./streams.js').StreamsClient<M>} StreamsClient */
/** @typedef {import('./chat-stores.js').Name} Name */
/** @template T @typedef {import('vue').MaybeRefOrGetter<T>} Given */
/** @template T @typedef {import('vue').ComputedRef<T>} Seen */
/** @template T @typedef {import('./stores.js').Store<T>} Store */
/** @template T @typedef {{ [K in keyof T]: Seen<T[K]> }} Refs */

const KEY = /* @__PURE__ */ Symbol('parlor');
// A proxy of the client would not be a client.
const raw = (/** @type {StreamsClient | null} */ client) => client && markRaw(toRaw(client));

/**
 * The plugin: `app.use(parlor, client)`. The client stays yours to close; null on a server.
 * @type {import('vue').Plugin<[StreamsClient | null]>}
 */
export const parlor = { install: (app, client) => void app.provide(KEY, raw(client)) };

/** Gives the components below another client than that of the plugin. @param {StreamsClient | null} client */
export const provideParlor = (client) => provide(KEY, raw(client));

/**
 * The client of the plugin, or of who provides one above; null where there is none, and on a server. A client for streams
 * alone has no rooms.
 * @template {import('./wire.js').Messages<M>} [M=any] the application's own messages
 * @returns {Client<M> | null}
 */
export function useParlor() {
  const given = hasInjectionContext() ? inject(KEY, undefined) : undefined;
  if (given === undefined) missing('app.use(parlor, client), and ask while a component is set up, before anything is awaited; null says that there is none');
  return given ?? null;
}

/**
 * What a store has, for as long as the scope is there.
 * @template T
 * @param {() => Store<T>} pick
 * @returns {Seen<T>}
 */
function useStore(pick) {
  const store = computed(pick);
  // A browser starts with what the server has rendered.
  const isDrawn = Boolean(getCurrentInstance()?.vnode.el);
  if (typeof window === 'undefined') return computed(() => store.value.getServer());
  const value = shallowRef(isDrawn ? store.value.getServer() : store.value.get());
  const follow = () => watch(store, (now, _before, onCleanup) => {
    onCleanup(now.subscribe(() => (value.value = now.get())));
    value.value = now.get();
  }, { immediate: true, flush: 'sync' });
  // It belongs to the scope that requested it, whichever component is mounted first.
  const scope = getCurrentScope();
  if (isDrawn) onMounted(() => scope?.active && scope.run(follow));
  else follow();
  return computed(() => value.value);
}

/** A ref for each member. @template {object} T @param {Seen<T>} all @returns {Refs<T>} */
function membersOf(all) {
  const names = /** @type {(keyof T)[]} */ (Object.keys(all.value));
  return /** @type {Refs<T>} */ (Object.fromEntries(names.map((name) => [name, computed(() => all.value[name])])));
}

/** Holds something while the scope is there, and what it depends on is the same. @param {() => (() => () => void) | null | undefined} pick */
function useHold(pick) {
  if (typeof window === 'undefined') return;
  watch(pick, (hold, _before, onCleanup) => hold && onCleanup(hold()), { immediate: true });
}

/** The connection's state, for people and for programs. */
export function useConnection() {
  const client = useParlor();
  return {
    ...membersOf(useStore(() => (client ? storesOf(client).connection : NO_STORES.connection))),
    retryNow: () => client?.retryNow(),
    /** @param {string} [reason] */
    pause: (reason) => client?.pause(reason),
    why: () => client?.why() ?? [],
  };
}

/** The round trip and its level, once it is measured. */
export function useQuality() {
  const client = useParlor();
  return useStore(() => (client ? storesOf(client).quality : NO_STORES.quality));
}

/**
 * A stream's newest event. Its options are those of who asks for it first.
 * @template [T=any] what is in its events
 * @param {Given<Name>} name
 * @param {import('./stream.js').StreamOptions} [options]
 * @returns {Refs<Omit<import('./stores.js').Watched, "data"> & { data: T | undefined }> & { publish: (data: T, options?: { id?: string }) => Promise<import('./wire.js').Published> }}
 */
export function useStream(name, options) {
  const client = useParlor();
  const watched = useStore(() => {
    const of = toValue(name);
    if (!client || !of) return NO_STORES.stream;
    // Before anything else requests the stream without options.
    client.stream(of, options);
    return storesOf(client).stream(of);
  });
  return {
    ...membersOf(watched),
    publish: (data, how) => {
      const of = toValue(name);
      if (!client) throw new ParlorError('not_ready', { message: NO_CLIENT });
      if (!of) throw new ParlorError('not_ready', { message: 'no stream is named' });
      return client.stream(of).publish(data, how);
    },
  };
}

/**
 * Calls the handler with each message of a type, once and in order, while the scope is there.
 * @param {string} type
 * @param {(payload: any) => void} handler
 */
export function useOnMessage(type, handler) {
  const client = useParlor();
  if (client) onScopeDispose(onMessage(client, type, handler));
}

/**
 * The same for an application that says what its messages are. To be called once, beside the map.
 * @template {import('./wire.js').Messages<M>} M the application's own messages
 * @returns {{ useParlor: () => Client<M> | null,
 *   useOnMessage: <T extends import('./wire.js').Heard<M>>(type: T, handler: (payload: import('./wire.js').Event<M, T>) => void) => void }}
 */
export const composablesFor = () => ({ useParlor, useOnMessage });

// --- The chat ---

/** @template T @param {(stores: import('./chat-stores.js').ChatStores) => Store<T> | null | undefined} pick @param {Store<T>} none */
function useChat(pick, none) {
  const client = useParlor();
  return useStore(() => (client && pick(chatStoresOf(client))) || none);
}

/** @param {Given<Name>} name @param {"facts" | "transcript" | "receipts"} what @returns {Seen<any>} */
const useOfRoom = (name, what) => useChat((all) => {
  const of = toValue(name);
  return of ? /** @type {Store<any>} */ (all[what](of)) : null;
}, /** @type {Store<any>} */ (NO_CHAT_STORES[what]));

/** Who is here. */
export function usePresence() {
  const all = useChat(({ presence }) => presence, NO_CHAT_STORES.presence);
  const value = computed(() => presenceIn(all.value));
  const { users, count, counted } = membersOf(value);
  return { users, count, counted, refusal: computed(() => value.value.refusal), isOnline: (/** @type {string | number} */ user) => value.value.isOnline(user) };
}

/** The messages of a room: those in its log and those on their way. @param {Given<Name>} room @returns {Seen<import('./transcript.js').MessageRow[]>} */
export function useMessages(room) {
  const shown = useOfRoom(room, 'transcript');
  return computed(() => shown.value.messages);
}

/** Who is typing in a room: ids. @param {Given<Name>} room @returns {Seen<string[]>} */
export function useTyping(room) {
  const facts = useOfRoom(room, 'facts');
  return computed(() => facts.value.typists);
}

/** How much is unread, in a room or, without one, in all. @param {Given<Name>} [room] @returns {Seen<number>} */
export function useUnread(room) {
  const rooms = useChat((all) => all.rooms, NO_CHAT_STORES.rooms);
  return computed(() => unreadIn(rooms.value, room === undefined ? undefined : (toValue(room) ?? null)));
}

/**
 * Who has got and who has read what, in a room of up to 50 members: how far each of the others has come, and of a message
 * (its `seq`) the ids of those who have it and of those who have read it.
 * @param {Given<Name>} room
 */
export function useReceipts(room) {
  const marks = useOfRoom(room, 'receipts');
  const value = computed(() => receiptsIn(marks.value));
  return {
    marks: computed(() => value.value.marks),
    deliveredTo: (/** @type {number} */ seq) => value.value.deliveredTo(seq),
    readBy: (/** @type {number} */ seq) => value.value.readBy(seq),
  };
}

/** What is not yet on the server's disk, in all rooms: sent again by `retry(id)`, taken back by `cancel(id)`. */
export function useOutbox() {
  const client = useParlor();
  const all = useChat(({ outbox }) => outbox, NO_CHAT_STORES.outbox);
  const value = computed(() => outboxIn(client, all.value));
  const { messages, count, failed } = membersOf(value);
  return { messages, count, failed, retry: (/** @type {string} */ id) => value.value.retry(id), cancel: (/** @type {string} */ id) => value.value.cancel(id) };
}

/**
 * A room: what it shows, what is known of it and what can be done in it. It is only read, unless an option says
 * more: `join` joins it; `leaveOnUnmount` leaves it when the scope is gone.
 * @param {Given<Name>} name
 * @param {{ join?: boolean, leaveOnUnmount?: boolean }} [options]
 */
export function useRoom(name, { join = false, leaveOnUnmount = false } = {}) {
  const client = useParlor();
  /** @type {Seen<import('./chat-stores.js').Facts>} */
  const facts = useOfRoom(name, 'facts');
  /** @type {Seen<import('./transcript.js').Shown>} */
  const shown = useOfRoom(name, 'transcript');
  const of = computed(() => toValue(name));
  useHold(() => (client && of.value && join ? chatStoresOf(client).join(of.value) : null));
  useHold(() => {
    const stay = client && of.value && leaveOnUnmount ? chatStoresOf(client).stay(of.value) : null;
    return stay && (() => stay(join));
  });
  const actions = computed(() => roomActions(client, of.value));
  const names = /** @type {(keyof typeof actions.value)[]} */ (Object.keys(actions.value));
  /** @type {typeof actions.value} */
  const bound = /** @type {any} */ (Object.fromEntries(names.map((action) => [action, (/** @type {any[]} */ ...args) => /** @type {any} */ (actions.value[action])(...args)])));
  return { name: of, ...membersOf(facts), ...membersOf(shown), ...bound, isMember: computed(() => facts.value.membership === 'member') };
}
