/**
 * The client that was given above; null where there is none, and on a server. A client for streams alone has no rooms.
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
    subscribe(run: (value: import("./stores.js").Connected) => void): () => void;
};
/** The round trip and its level, once it is measured. */
export function useQuality(): Readable<import("./connection.js").Quality | null>;
/**
 * A stream's newest event. Its options are those of who asks for it first.
 * @template [T=any] what is in its events
 * @param {Name} name
 * @param {import('./stream.js').StreamOptions} [options]
 * @returns {Readable<Omit<import('./stores.js').Watched, "data"> & { data: T | undefined }> & { publish: (data: T, options?: { id?: string }) => Promise<import('./wire.js').Published> }}
 */
export function useStream<T = any>(name: Name, options?: import("./stream.js").StreamOptions): Readable<Omit<import("./stores.js").Watched, "data"> & {
    data: T | undefined;
}> & {
    publish: (data: T, options?: {
        id?: string;
    }) => Promise<import("./wire.js").Published>;
};
/**
 * Calls the handler with each message of a type, once and in order, while the component is there.
 * @param {string} type
 * @param {(payload: any) => void} handler
 */
export function useOnMessage(type: string, handler: (payload: any) => void): void;
/** What is not yet on the server's disk, in all rooms: sent again by `retry(id)`, taken back by `cancel(id)`. */
export function useOutbox(): Readable<{
    messages: import("./chat-stores.js").Unsent[];
    count: number;
    failed: number;
    retry: (id: string) => boolean;
    cancel: (id: string) => boolean;
}>;
/**
 * A room: what it shows, what is known of it and, beside the store, what can be done in it. It is only read, unless an option
 * says more: `join` joins it; `leaveOnUnmount` leaves it when the component is gone.
 * @param {Name} name
 * @param {{ join?: boolean, leaveOnUnmount?: boolean }} [options]
 */
export function useRoom(name: Name, { join, leaveOnUnmount }?: {
    join?: boolean;
    leaveOnUnmount?: boolean;
}): {
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
    subscribe(run: (value: {
        isMember: boolean;
        /**
         * all, from the oldest to the newest
         */
        rows: import("./transcript.js").Row[];
        /**
         * those of them that are messages
         */
        messages: import("./transcript.js").MessageRow[];
        /**
         * whether the log may have more before the first
         */
        hasOlder: boolean;
        /**
         * as many are kept as may be: no older ones are loaded
         */
        isFull: boolean;
        /**
         * whether the newest page was there
         */
        isLoaded: boolean;
        isLoading: boolean;
        /**
         * why the newest page, or an older one, did not come
         */
        error: import("./transcript.js").ParlorError | null;
        title: string | undefined;
        refusal: ParlorError | null;
        membership: import("./room.js").Membership;
        last: number;
        read: number;
        unread: number;
        typists: string[];
        name: import("./chat-stores.js").Name;
    }) => void): () => void;
};
export function setParlor(client: StreamsClient | null): undefined;
export function storesFor<M extends import("./wire.js").Messages<M>>(): {
    useParlor: () => Client<M> | null;
    useOnMessage: <T extends import("./wire.js").Heard<M>>(type: T, handler: (payload: import("./wire.js").Event<M, T>) => void) => void;
};
export function usePresence(): Readable<{
    isOnline: (user: string | number) => boolean;
    users: import("./presence.js").Present[];
    count: number;
    counted: boolean;
    refusal?: import("./errors.js").ParlorError;
}>;
export function useMessages(room: Name): Readable<import("./transcript.js").MessageRow[]>;
export function useTyping(room: Name): Readable<string[]>;
export function useUnread(room?: Name): Readable<number>;
export function useReceipts(room: Name): Readable<{
    marks: import("./receipts.js").Receipt[];
    deliveredTo: (seq: number) => string[];
    readBy: (seq: number) => string[];
}>;
export type Client<M extends import("./wire.js").Messages<M> = any> = import("./client.js").Client<M>;
export type StreamsClient<M extends import("./wire.js").Messages<M> = any> = import("./streams.js").StreamsClient<M>;
export type Name = import("./chat-stores.js").Name;
export type Store<T> = import("./stores.js").Store<T>;
/**
 * As Svelte has them: a new value is told at once, and whenever it is another.
 */
export type Readable<T> = {
    subscribe(run: (value: T) => void): () => void;
};
import { ParlorError } from './errors.js';
