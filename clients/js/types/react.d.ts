/**
 * Gives those below it a client: one of yours, which stays yours to close, or that of a URL, which is opened for the
 * first provider of it and closed a second after the last is gone. Another `user` or another user's token (as a text) is
 * another client; a newer token of the same user (by the `sub` of a JWT) is not. With neither a client nor a URL it changes
 * nothing: what is below it has what is above it, or the page's `webSocketService`.
 * @param {{ client?: Client, url?: string, options?: Options, user?: string | number, children?: ReactNode }} props
 */
export function ParlorProvider({ client, url, options, user, children }: {
    client?: Client;
    url?: string;
    options?: Options;
    user?: string | number;
    children?: ReactNode;
}): import("react").FunctionComponentElement<import("react").ProviderProps<{
    client: Client | null;
} | null>>;
/**
 * The client: that of the provider, else that of `webSocketService`; null while there is none, and on a server.
 * @template {import('./wire.js').Messages<M>} [M=any] the application's own messages
 * @returns {Client<M> | null}
 */
export function useParlor<M extends import("./wire.js").Messages<M> = any>(): Client<M> | null;
/** The connection's state, for people and for programs. Renders each second while it waits. */
export function useConnection(): {
    retryNow: () => void | undefined;
    /** @param {string} [reason] */
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
};
/** The round trip and its level, once it is measured. @returns {Quality | null} */
export function useQuality(): Quality | null;
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
    messages: import("./stores.js").Unsent[];
    count: number;
    failed: number;
    retry: (id: string) => boolean;
    cancel: (id: string) => boolean;
};
/**
 * A stream's newest event. Its options are those of who asks for it first.
 * @template [T=any] what is in its events
 * @param {Name} name
 * @param {StreamOptions} [options]
 * @returns {{ data: T | undefined, seq: number, ts: number | undefined, skipped: boolean, refusal: ParlorError | null, stale: StreamStale | null, publish: (data: T, options?: { id?: string }) => Promise<import('./wire.js').Published> }}
 */
export function useStream<T = any>(name: Name, options?: StreamOptions): {
    data: T | undefined;
    seq: number;
    ts: number | undefined;
    skipped: boolean;
    refusal: ParlorError | null;
    stale: StreamStale | null;
    publish: (data: T, options?: {
        id?: string;
    }) => Promise<import("./wire.js").Published>;
};
/**
 * Is called with each message of a type, once and in order, whatever is rendered meanwhile; the newest handler is.
 * @param {string} type
 * @param {(payload: any) => void} handler
 */
export function useOnMessage(type: string, handler: (payload: any) => void): void;
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
    /** @param {string} text @param {{ data?: any, replyTo?: number, cid?: string }} [more] */
    send: (text: string, more?: {
        data?: any;
        replyTo?: number;
        cid?: string;
    }) => import("./outbox.js").Ticket;
    /** @param {number} seq @param {string} text */
    edit: (seq: number, text: string) => Promise<import("./wire.js").Logged>;
    /** @param {number} seq */
    remove: (seq: number) => Promise<import("./wire.js").Logged>;
    /** @param {number} seq @param {string} emoji @param {boolean} [on] */
    react: (seq: number, emoji: string, on?: boolean) => Promise<import("./wire.js").Logged>;
    /** @param {boolean} [isTyping] */
    typing: (isTyping?: boolean) => void;
    /** @param {number} [seq] */
    markRead: (seq?: number) => void;
    /** Reads a page before the first row; whether there was one. */
    loadOlder: () => Promise<boolean>;
    /** @param {string} id */
    retry: (id: string) => boolean;
    /** @param {string} id */
    cancel: (id: string) => boolean;
    join: () => Promise<import("./wire.js").RoomInfo>;
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
    refusal: ParlorError | null;
    read: number;
    membership: import("./room.js").Membership;
    unread: number;
    last: number;
    typists: string[];
    name: Name;
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
    /** @param {string} [reason] */
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
    /** @param {string} text @param {{ data?: any, replyTo?: number, cid?: string }} [more] */
    send: (text: string, more?: {
        data?: any;
        replyTo?: number;
        cid?: string;
    }) => import("./outbox.js").Ticket;
    /** @param {number} seq @param {string} text */
    edit: (seq: number, text: string) => Promise<import("./wire.js").Logged>;
    /** @param {number} seq */
    remove: (seq: number) => Promise<import("./wire.js").Logged>;
    /** @param {number} seq @param {string} emoji @param {boolean} [on] */
    react: (seq: number, emoji: string, on?: boolean) => Promise<import("./wire.js").Logged>;
    /** @param {boolean} [isTyping] */
    typing: (isTyping?: boolean) => void;
    /** @param {number} [seq] */
    markRead: (seq?: number) => void;
    /** Reads a page before the first row; whether there was one. */
    loadOlder: () => Promise<boolean>;
    /** @param {string} id */
    retry: (id: string) => boolean;
    /** @param {string} id */
    cancel: (id: string) => boolean;
    join: () => Promise<import("./wire.js").RoomInfo>;
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
    refusal: ParlorError | null;
    read: number;
    membership: import("./room.js").Membership;
    unread: number;
    last: number;
    typists: string[];
    name: Name;
};
/** Who is here: ids. @returns {string[]} */
export function useOnlineUsers(): string[];
/**
 * The connection's status, where screen readers tell of it. What is in it is yours: a function as a child, or as
 * `render`, is given what `useConnection()` has. Without one it says something only while it is not live.
 * @param {{ children?: ReactNode | Draw, render?: Draw, [attribute: string]: any }} props
 */
export function ConnectionStatus({ children, render, ...attributes }: {
    children?: ReactNode | Draw;
    render?: Draw;
    [attribute: string]: any;
}): import("react").DetailedReactHTMLElement<{
    role: "status";
    'data-status': "connecting" | "disconnected" | "live" | "reconnecting" | undefined;
}, HTMLElement>;
/**
 * The same with words and a dot: Live, Reconnecting in 5 s, Disconnected.
 * @param {{ style?: Record<string, any>, [attribute: string]: any }} props
 */
export function ConnectionBadge({ style, ...attributes }: {
    style?: Record<string, any>;
    [attribute: string]: any;
}): import("react").FunctionComponentElement<{
    [attribute: string]: any;
    children?: ReactNode | Draw;
    render?: Draw;
}>;
export function hooksFor<M extends import("./wire.js").Messages<M>>(): {
    useParlor: () => Client<M> | null;
    useOnMessage: <T extends import("./wire.js").Heard<M>>(type: T, handler: (payload: import("./wire.js").Event<M, T>) => void) => void;
};
export type Connection = ReturnType<typeof useConnection>;
export type Draw = (connection: Connection) => ReactNode;
export type Client<M extends import("./wire.js").Messages<M> = any> = import("./client.js").Client<M>;
export type Options = import("./client.js").Options;
export type Quality = import("./connection.js").Quality;
export type StreamOptions = import("./stream.js").StreamOptions;
export type StreamStale = import("./stream.js").StreamStale;
export type MessageRow = import("./transcript.js").MessageRow;
export type ReactNode = import("react").ReactNode;
export type Stores = import("./stores.js").Stores;
export type Connected = import("./stores.js").Connected;
export type Store<T> = import("./stores.js").Store<T>;
/**
 * none: there is nothing to be shown yet
 */
export type Name = string | null | undefined;
export type Shared = {
    client: Client | null;
    options: Options | undefined;
    token: unknown;
    open: () => Client | null;
    hold: () => () => void;
};
import { ParlorError } from './errors.js';
import { useReliableWebSocket } from './react-reliable.js';
export { ParlorProvider as WebSocketProvider, useOnMessage as useWebSocketMessage, useReliableWebSocket };
