/** @template {import('./wire.js').Messages<M>} [M=any] the application's own messages */
export class BaseClient<M extends import("./wire.js").Messages<M> = any> {
    /** It is `idle` until it begins. @param {string} url @param {BaseOptions} options */
    constructor(url: string, options: BaseOptions);
    /** What the server has said of itself and of its limits, once it has. @type {import('./wire.js').Hello | null} */
    hello: import("./wire.js").Hello | null;
    /** Whose is what is here; all guests are one: each connection of theirs has another name. @protected @type {string | undefined} */
    protected owner: string | undefined;
    /** @protected */
    protected env: import("./env.js").Env;
    /** @protected */
    protected listeners: Listeners;
    /** @protected */
    protected connection: {
        state: import("./connection.js").State;
        quality: import("./connection.js").Quality | null;
        steps: import("./connection.js").Step[];
        requests: import("./requests.js").Requests;
        isHidden: () => boolean;
        isOnline: () => boolean;
        open(cause: string): void;
        close(): void;
        pause(reason: string): void;
        wake(cause: string): void;
        probe(): void;
    };
    /** @protected @param {string} url @returns {this} */
    protected begin(url: string): this;
    /** @returns {State} */
    get state(): State;
    /** The round trip, once it was measured. @returns {Quality | null} */
    get quality(): Quality | null;
    /** The last 20 changes of the connection's state, each with its cause and what is done about it. @returns {import('./connection.js').Step[]} */
    why(): import("./connection.js").Step[];
    /** All that is known now; the same object until something has changed. @returns {ReturnType<this["read"]>} */
    snapshot(): ReturnType<this["read"]>;
    /** The same, made anew. @returns {BaseSnapshot} */
    read(): BaseSnapshot;
    /** Resolves when it is online; rejects when it has ended for good. @param {{ signal?: AbortSignal }} [options] @returns {Promise<void>} */
    ready({ signal }?: {
        signal?: AbortSignal;
    }): Promise<void>;
    /** Does not wait any longer; also comes back from `failed`, `paused` and `closed`. */
    retryNow(): void;
    /** Lets go of the connection until `retryNow()`; what is asked meanwhile waits. @param {string} [reason] */
    pause(reason?: string): void;
    /** Ends it. */
    close(): void;
    /**
     * Listens: to `state`, `quality`, `notice`, `error`, to what a client with more parts tells of, or to messages of any other
     * type, the application's own ones.
     * @template {import('./wire.js').Heard<M>} T
     * @param {T} event
     * @param {(payload: import('./wire.js').Event<M, T>) => void} fn
     * @param {{ signal?: AbortSignal }} [options]
     * @returns {() => void} ends it
     */
    on<T extends import("./wire.js").Heard<M>>(event: T, fn: (payload: import("./wire.js").Event<M, T>) => void, options?: {
        signal?: AbortSignal;
    }): () => void;
    send<T extends import("./wire.js").Said<M>>(type: T, ...rest: import("./wire.js").With<import("./wire.js").Payload<M, T>, []>): boolean;
    request<T extends import("./wire.js").Asked<M>>(type: T, ...rest: import("./wire.js").With<import("./wire.js").Payload<M, T>, [options?: AskOptions]>): Promise<import("./wire.js").Answer<M, T>>;
    /** @protected */
    protected onState(): void;
    /** @protected @param {any} hello @returns {void | Promise<void>} */
    protected onHello(hello: any): void | Promise<void>;
    /** Also for whoever wants to see all that comes. @protected @param {string} type @param {any} payload */
    protected onPush(type: string, payload: any): void;
    /** The connection is another, or gone. @protected */
    protected lost(): void;
    /** The state is another, or whether the page is seen: does what is to be done now. @protected */
    protected settle(): void;
    /** Nothing that one person has asked for or read is done in the name of another. @protected */
    protected forget(): void;
    /** @protected @param {string} event @param {any} [value] */
    protected changed(event: string, value?: any): void;
    #private;
}
export type State = import("./connection.js").State;
export type Quality = import("./connection.js").Quality;
export type AskOptions = import("./requests.js").AskOptions;
export type BaseOptions = {
    /**
     * asked for at first, when it expires, when it is rejected: not with every reconnection
     */
    token?: string | import("./connection.js").TokenSource | undefined;
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
export type BaseSnapshot = {
    state: State;
    user: import("./wire.js").User | null;
    quality: Quality | null;
    limits: import("./wire.js").Limits;
};
import { Listeners } from './env.js';
