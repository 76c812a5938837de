/** Who is here. */
export function usePresence(): {
    isOnline: (user: string | number) => boolean;
    users: import("./presence.js").Present[];
    count: number;
    counted: boolean;
    refusal?: import("./errors.js").ParlorError;
};
/** The messages of a room: those in its log and those on their way. @param {Name} room @returns {MessageRow[]} */
export function useMessages(room: Name): MessageRow[];
/** Who is typing in a room: ids. @param {Name} room @returns {string[]} */
export function useTyping(room: Name): string[];
/**
 * Who has got and who has read what, in a room of up to 50 members: how far each of the others has come, and of a message
 * (its `seq`) the ids of those who have it and of those who have read it.
 * @param {Name} room
 */
export function useReceipts(room: Name): {
    marks: import("./receipts.js").Receipt[];
    deliveredTo: (seq: number) => string[];
    readBy: (seq: number) => string[];
};
/** How much is unread, in a room or in all. @param {string} [room] @returns {number} */
export function useUnread(room?: string): number;
/** What is not yet on the server's disk, in all rooms: sent again by `retry(id)`, taken back by `cancel(id)`. */
export function useOutbox(): {
    messages: import("./chat-stores.js").Unsent[];
    count: number;
    failed: number;
    retry: (id: string) => boolean;
    cancel: (id: string) => boolean;
};
/**
 * A room: what it shows, what is known of it and what can be done in it. It is only read, unless an option says
 * more: `join` joins it; `leaveOnUnmount` leaves it when the component is gone.
 * @param {Name} name
 * @param {{ join?: boolean, leaveOnUnmount?: boolean }} [options]
 */
export function useRoom(name: Name, { join, leaveOnUnmount }?: {
    join?: boolean;
    leaveOnUnmount?: boolean;
}): {
    isMember: boolean;
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
    refusal: import("./errors.js").ParlorError | null;
    membership: import("./room.js").Membership;
    last: number;
    read: number;
    unread: number;
    typists: string[];
    name: import("./chat-stores.js").Name;
};
/**
 * The connection of the provider above; without one, that of `webSocketService`, signed in with a token for as long
 * as somebody uses it. Without a token it waits for one.
 * @param {string | null} [token]
 */
export function useWebSocket(token?: string | null): {
    client: import("./client.js").Client<any> | null;
    /** @param {string} type @param {any} [payload] */
    send: (type: string, payload?: any) => boolean;
    on: (type: string, handler: (payload: any) => void) => () => void;
    retryNow: () => void | undefined;
    pause: (reason?: string) => void | undefined;
    why: () => import("./connection.js").Step[];
    state: import("./connection.js").State["name"];
    isOnline: boolean;
    /**
     * the number of the next attempt, while it waits for one
     */
    attempt: number;
    /**
     * to the next attempt, rounded up
     */
    seconds: number | null;
    /**
     * when that is, in ms since 1970
     */
    until: number | null;
    /**
     * why it is not online
     */
    reason: string | null;
    code: number | string | null;
    /**
     * what to tell people: it says nothing of what passes within two seconds
     */
    status: import("./stores.js").Status;
    connected: boolean;
};
/** A room as a conversation, which is only read; its name may be a number. @param {string | number | null | undefined} room */
export function useChatWebSocket(room: string | number | null | undefined): {
    connected: boolean;
    sendMessage: (text: string, more?: {
        data?: any;
        replyTo?: number;
        cid?: string;
    }) => import("./outbox.js").Ticket;
    sendTyping: (isTyping?: boolean) => void;
    typingUsers: string[];
    isMember: boolean;
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
    refusal: import("./errors.js").ParlorError | null;
    membership: import("./room.js").Membership;
    last: number;
    read: number;
    unread: number;
    typists: string[];
    name: import("./chat-stores.js").Name;
};
/** Who is here: ids. @returns {string[]} */
export function useOnlineUsers(): string[];
/** As that of react-streams.js, with a whole client. @type {(props: import('./react-client.js').ProviderProps<Client, Options>) => import('react').ReactElement} */
export const ParlorProvider: (props: import("./react-client.js").ProviderProps<Client, Options>) => import("react").ReactElement;
export function useParlor<M extends import("./wire.js").Messages<M> = any>(): Client<M> | null;
export function hooksFor<M extends import("./wire.js").Messages<M>>(): {
    useParlor: () => Client<M> | null;
    useOnMessage: <T extends import("./wire.js").Heard<M>>(type: T, handler: (payload: import("./wire.js").Event<M, T>) => void) => void;
};
export type Client<M extends import("./wire.js").Messages<M> = any> = import("./client.js").Client<M>;
export type Options = import("./client.js").Options;
export type MessageRow = import("./transcript.js").MessageRow;
export type Quality = import("./react-streams.js").Quality;
export type StreamOptions = import("./react-streams.js").StreamOptions;
export type StreamStale = import("./react-streams.js").StreamStale;
export type Connected = import("./react-streams.js").Connected;
export type Connection = import("./react-streams.js").Connection;
export type Draw = import("./react-streams.js").Draw;
export type ReactNode = import("react").ReactNode;
export type ChatStores = import("./chat-stores.js").ChatStores;
export type Name = import("./chat-stores.js").Name;
export type Store<T> = import("./stores.js").Store<T>;
import { useOnMessage } from './react-streams.js';
import { useReliableWebSocket } from './react-reliable.js';
export { ParlorProvider as WebSocketProvider, useOnMessage as useWebSocketMessage, useReliableWebSocket };
export { ConnectionBadge, ConnectionStatus, useConnection, useOnMessage, useQuality, useStream } from "./react-streams.js";
