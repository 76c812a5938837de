/**
 * The client of the plugin, or of who provides one above; null where there is none, and on a server. A client for streams
 * alone has no rooms.
 * @template {import('./wire.js').Messages<M>} [M=any] the application's own messages
 * @returns {Client<M> | null}
 */
export function useParlor<M extends import("./wire.js").Messages<M> = any>(): Client<M> | null;
/** The connection's state, for people and for programs. */
export function useConnection(): {
    retryNow: () => void | undefined;
    /** @param {string} [reason] */
    pause: (reason?: string) => void | undefined;
    why: () => import("./connection.js").Step[];
    state: import("vue").ComputedRef<"failed" | "waiting" | "closed" | "connecting" | "idle" | "paused" | "online" | "authenticating">;
    isOnline: import("vue").ComputedRef<boolean>;
    /**
     * the number of the next attempt, while it waits for one
     */
    attempt: import("vue").ComputedRef<number>;
    /**
     * to the next attempt, rounded up
     */
    seconds: import("vue").ComputedRef<number | null>;
    /**
     * when that is, in ms since 1970
     */
    until: import("vue").ComputedRef<number | null>;
    /**
     * why it is not online
     */
    reason: import("vue").ComputedRef<string | null>;
    code: import("vue").ComputedRef<string | number | null>;
    /**
     * what to tell people: it says nothing of what passes within two seconds
     */
    status: import("vue").ComputedRef<import("./stores.js").Status>;
};
/** The round trip and its level, once it is measured. */
export function useQuality(): import("vue").ComputedRef<import("./connection.js").Quality | null>;
/**
 * A stream's newest event. Its options are those of who asks for it first.
 * @template [T=any] what is in its events
 * @param {Given<Name>} name
 * @param {import('./stream.js').StreamOptions} [options]
 * @returns {Refs<Omit<import('./stores.js').Watched, "data"> & { data: T | undefined }> & { publish: (data: T, options?: { id?: string }) => Promise<import('./wire.js').Published> }}
 */
export function useStream<T = any>(name: Given<Name>, options?: import("./stream.js").StreamOptions): Refs<Omit<import("./stores.js").Watched, "data"> & {
    data: T | undefined;
}> & {
    publish: (data: T, options?: {
        id?: string;
    }) => Promise<import("./wire.js").Published>;
};
/**
 * Calls the handler with each message of a type, once and in order, while the scope is there.
 * @param {string} type
 * @param {(payload: any) => void} handler
 */
export function useOnMessage(type: string, handler: (payload: any) => void): void;
/** Who is here. */
export function usePresence(): {
    users: import("vue").ComputedRef<import("./presence.js").Present[]>;
    count: import("vue").ComputedRef<number>;
    counted: import("vue").ComputedRef<boolean>;
    refusal: import("vue").ComputedRef<ParlorError | undefined>;
    isOnline: (user: string | number) => boolean;
};
/** The messages of a room: those in its log and those on their way. @param {Given<Name>} room @returns {Seen<import('./transcript.js').MessageRow[]>} */
export function useMessages(room: Given<Name>): Seen<import("./transcript.js").MessageRow[]>;
/** Who is typing in a room: ids. @param {Given<Name>} room @returns {Seen<string[]>} */
export function useTyping(room: Given<Name>): Seen<string[]>;
/** How much is unread, in a room or, without one, in all. @param {Given<Name>} [room] @returns {Seen<number>} */
export function useUnread(room?: Given<Name>): Seen<number>;
/**
 * Who has got and who has read what, in a room of up to 50 members: how far each of the others has come, and of a message
 * (its `seq`) the ids of those who have it and of those who have read it.
 * @param {Given<Name>} room
 */
export function useReceipts(room: Given<Name>): {
    marks: import("vue").ComputedRef<import("./receipts.js").Receipt[]>;
    deliveredTo: (seq: number) => string[];
    readBy: (seq: number) => string[];
};
/** What is not yet on the server's disk, in all rooms: sent again by `retry(id)`, taken back by `cancel(id)`. */
export function useOutbox(): {
    messages: import("vue").ComputedRef<import("./chat-stores.js").Unsent[]>;
    count: import("vue").ComputedRef<number>;
    failed: import("vue").ComputedRef<number>;
    retry: (id: string) => boolean;
    cancel: (id: string) => boolean;
};
/**
 * A room: what it shows, what is known of it and what can be done in it. It is only read, unless an option says
 * more: `join` joins it; `leaveOnUnmount` leaves it when the scope is gone.
 * @param {Given<Name>} name
 * @param {{ join?: boolean, leaveOnUnmount?: boolean }} [options]
 */
export function useRoom(name: Given<Name>, { join, leaveOnUnmount }?: {
    join?: boolean;
    leaveOnUnmount?: boolean;
}): {
    isMember: import("vue").ComputedRef<boolean>;
    send: (text: string, more?: {
        data?: any;
        replyTo?: number;
        cid?: string;
    }) => import("./outbox.js").Ticket;
    edit: (seq: number, text: string) => Promise<import("./wire-table.js").Stored>;
    remove: (seq: number) => Promise<import("./wire-table.js").Stored>;
    react: (seq: number, emoji: string, on?: boolean) => Promise<import("./wire-table.js").Stored>;
    typing: (isTyping?: boolean) => void;
    markRead: (seq?: number) => void;
    loadOlder: () => Promise<boolean>;
    retry: (id: string) => boolean;
    cancel: (id: string) => boolean;
    join: () => Promise<import("./wire-table.js").Room>;
    leave: () => Promise<{
        room: string;
    }>;
    /**
     * all, from the oldest to the newest
     */
    rows: import("vue").ComputedRef<import("./transcript.js").Row[]>;
    /**
     * those of them that are messages
     */
    messages: import("vue").ComputedRef<import("./transcript.js").MessageRow[]>;
    /**
     * whether the log may have more before the first
     */
    hasOlder: import("vue").ComputedRef<boolean>;
    /**
     * as many are kept as may be: no older ones are loaded
     */
    isFull: import("vue").ComputedRef<boolean>;
    /**
     * whether the newest page was there
     */
    isLoaded: import("vue").ComputedRef<boolean>;
    isLoading: import("vue").ComputedRef<boolean>;
    /**
     * why the newest page, or an older one, did not come
     */
    error: import("vue").ComputedRef<ParlorError | null>;
    title: import("vue").ComputedRef<string | undefined>;
    refusal: import("vue").ComputedRef<ParlorError | null>;
    membership: import("vue").ComputedRef<import("./room.js").Membership>;
    last: import("vue").ComputedRef<number>;
    read: import("vue").ComputedRef<number>;
    unread: import("vue").ComputedRef<number>;
    typists: import("vue").ComputedRef<string[]>;
    name: import("vue").ComputedRef<string | null | undefined>;
};
/**
 * The plugin: `app.use(parlor, client)`. The client stays yours to close; null on a server.
 * @type {import('vue').Plugin<[StreamsClient | null]>}
 */
export const parlor: import("vue").Plugin<[StreamsClient | null]>;
export function provideParlor(client: StreamsClient | null): void;
export function composablesFor<M extends import("./wire.js").Messages<M>>(): {
    useParlor: () => Client<M> | null;
    useOnMessage: <T extends import("./wire.js").Heard<M>>(type: T, handler: (payload: import("./wire.js").Event<M, T>) => void) => void;
};
export type Client<M extends import("./wire.js").Messages<M> = any> = import("./client.js").Client<M>;
export type StreamsClient<M extends import("./wire.js").Messages<M> = any> = import("./streams.js").StreamsClient<M>;
export type Name = import("./chat-stores.js").Name;
export type Given<T> = import("vue").MaybeRefOrGetter<T>;
export type Seen<T> = import("vue").ComputedRef<T>;
export type Store<T> = import("./stores.js").Store<T>;
export type Refs<T> = { [K in keyof T]: Seen<T[K]>; };
import { ParlorError } from './errors.js';
