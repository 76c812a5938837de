/**
 * Connects.
 * @template {import('./wire.js').Messages<M>} [M=any] the application's own messages
 * @param {string} url of the server's `/ws`: `ws:`, `wss:`, `http:`, `https:`, or relative to the page
 * @param {Options} [options]
 * @returns {Client<M>}
 */
export function connect<M extends import("./wire.js").Messages<M> = any>(url: string, options?: Options): Client<M>;
/** @template {import('./wire.js').Messages<M>} [M=any] the application's own messages */
export class Client<M extends import("./wire.js").Messages<M> = any> {
    /** @param {string} url @param {Options} [options] */
    constructor(url: string, options?: Options);
    presence: Presence;
    /** @returns {State} */
    get state(): State;
    /** The round trip, once it was measured. @returns {Quality | null} */
    get quality(): Quality | null;
    /** What the server has said of itself and of its limits, once it has. @returns {import('./wire.js').Hello | null} */
    get hello(): import("./wire.js").Hello | null;
    /** The last 20 changes of the connection's state, each with its cause and what is done about it. @returns {import('./connection.js').Step[]} */
    why(): import("./connection.js").Step[];
    /** All that is known now; the same object until something has changed. @returns {Snapshot} */
    snapshot(): Snapshot;
    /** Resolves when it is online; rejects when it has ended for good. @param {{ signal?: AbortSignal }} [options] @returns {Promise<void>} */
    ready({ signal }?: {
        signal?: AbortSignal;
    }): Promise<void>;
    /** Does not wait any longer; also comes back from `failed`, `paused` and `closed`. */
    retryNow(): void;
    /** Lets go of the connection until `retryNow()`; what is sent meanwhile waits. @param {string} [reason] */
    pause(reason?: string): void;
    /** Ends it. What is unsent is in the outbox. */
    close(): void;
    /**
     * Listens: to `state`, `quality`, `rooms`, `outbox`, `presence`, `notice`, `error`, or to messages of any other type,
     * the application's own ones.
     * @template {import('./wire.js').Heard<M>} T
     * @param {T} event
     * @param {(payload: import('./wire.js').Event<M, T>) => void} fn
     * @param {{ signal?: AbortSignal }} [options]
     * @returns {() => void} ends it
     */
    on<T extends import("./wire.js").Heard<M>>(event: T, fn: (payload: import("./wire.js").Event<M, T>) => void, options?: {
        signal?: AbortSignal;
    }): () => void;
    /** A room, to read. With `join` one joins it, as soon as one may. @param {string | number} name @param {{ join?: boolean }} [options] @returns {Room} */
    room(name: string | number, { join }?: {
        join?: boolean;
    }): Room;
    /** The direct messages with somebody: once it is known who one is, as after `ready()`. @param {string | number} user @returns {Room} */
    direct(user: string | number): Room;
    /** A stream. @template [T=any] @param {string} name @param {import('./stream.js').StreamOptions} [options] @returns {Stream<T>} */
    stream<T = any>(name: string, options?: import("./stream.js").StreamOptions): Stream<T>;
    /** What is unsent, or has failed. @returns {import('./outbox.js').Ticket[]} */
    get unsent(): import("./outbox.js").Ticket[];
    send<T extends import("./wire.js").Said<M>>(type: T, ...rest: import("./wire.js").With<import("./wire.js").Payload<M, T>, []>): boolean;
    request<T extends import("./wire.js").Asked<M>>(type: T, ...rest: import("./wire.js").With<import("./wire.js").Payload<M, T>, [options?: AskOptions]>): Promise<import("./wire.js").Answer<M, T>>;
    #private;
}
export type State = import("./connection.js").State;
export type Quality = import("./connection.js").Quality;
export type AskOptions = import("./requests.js").AskOptions;
export type Options = {
    /**
     * asked for at first, when it expires, when it is rejected: not with every reconnection
     */
    token?: string | import("./connection.js").TokenSource | undefined;
    outbox?: import("./outbox.js").OutboxStore | undefined;
    /**
     * by which id the server knows who this is, if the page knows it: what they have left unsent is there before the server has answered
     */
    user?: string | undefined;
    backoff?: Partial<import("./connection.js").Backoff> | undefined;
    /**
     * whether a close code is one from which it is not to come back, beside those of the protocol
     */
    fatal?: ((code: number) => boolean) | undefined;
    /**
     * how often the round trip is measured while somebody looks, in ms; 0 for never
     */
    quality?: {
        interval: number;
    } | undefined;
    /**
     * whether the whole connection is let go of some time after the page is hidden
     */
    whenHidden?: "keep" | {
        afterMs: number;
    } | undefined;
    /**
     * what is tried when no WebSocket comes through
     */
    fallback?: "none" | "sse" | undefined;
    /**
     * whether each tab has a connection of its own, as it does, or `leaderTab()` one for all
     */
    tabs?: Tabs | undefined;
    /**
     * of requests, in ms
     */
    timeout?: number | undefined;
    env?: Partial<import("./env.js").Env> | undefined;
};
/**
 * What hands a client its WebSockets.
 */
export type Tabs = (env: import("./env.js").Env, url: string) => import("./env.js").Env;
export type Snapshot = {
    state: State;
    user: import("./wire.js").User | null;
    quality: Quality | null;
    rooms: RoomSnapshot[];
    limits: import("./wire.js").Limits;
};
export type RoomSnapshot = {
    room: string;
    title?: string;
    head: number;
    read: number;
    unread: number;
    membership: import("./room.js").Membership;
};
import { Presence } from './presence.js';
import { Room } from './room.js';
import { Stream } from './stream.js';
