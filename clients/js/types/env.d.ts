/**
 * What is used of a `WebSocket`: that of `ws` will do as well.
 * @typedef {{ binaryType: any, readonly readyState: number, onopen: Handler, onmessage: Handler, onclose: Handler, onerror: Handler,
 *   send(data: string): void, close(code?: number): void }} SocketLike
 */
/** @typedef {((event: any) => any) | null} Handler */
/**
 * @typedef {object} Env
 * @property {() => number} now ms since 1970
 * @property {() => number} random from 0 to 1
 * @property {(fn: () => void, ms: number) => any} setTimeout
 * @property {(timer: any) => void} clearTimeout
 * @property {new (url: string) => SocketLike} WebSocket
 * @property {new (url: string, base?: string) => Pick<URL, "protocol" | "href"> & { searchParams: Pick<URLSearchParams, "set" | "delete"> }} URL
 * @property {EventTarget & { visibilityState?: string } | undefined} document
 * @property {EventTarget | undefined} window
 * @property {{ href: string } | undefined} location
 * @property {LockManager | undefined} [locks] the world's, if this is left out; so are the next three
 * @property {typeof BroadcastChannel | undefined} [BroadcastChannel]
 * @property {IDBFactory | undefined} [indexedDB]
 * @property {typeof fetch | undefined} [fetch]
 * @property {(error: unknown) => void} report takes what a handler has thrown
 */
/**
 * What the parts of a client know of it.
 * @typedef {object} Core
 * @property {Env} env
 * @property {Listeners} listeners
 * @property {import('./connection.js').Connection} connection
 * @property {import('./wire.js').Hello | null} hello
 * @property {(type: any, payload?: any, options?: import('./requests.js').AskOptions) => Promise<any>} request
 * @property {(type: any, payload: any) => boolean} send
 * @property {(topic: string, value?: any) => void} changed
 */
/**
 * @param {Partial<Env>} [own]
 * @returns {Env}
 */
export function environment(own?: Partial<Env>): Env;
/**
 * Calls a function when a signal is aborted, at once if it is.
 * @param {AbortSignal | undefined} signal
 * @param {() => void} fn
 * @returns {() => void} ends it
 */
export function onAbort(signal: AbortSignal | undefined, fn: () => void): () => void;
export function rest(env: Env, ms: number): Promise<void>;
/** The names that were listened to, for whoever looks for misspelt ones (`hint.js`). @type {Set<string>} */
export const heard: Set<string>;
/**
 * Whoever listens, by the name of what they listen to. What one of them throws does not keep it from the others.
 */
export class Listeners {
    /** @param {(error: unknown) => void} report */
    constructor(report: (error: unknown) => void);
    /**
     * @param {string} event
     * @param {(value: any) => void} fn
     * @param {{ signal?: AbortSignal }} [options]
     * @param {() => void} [onAborted] called when the signal has ended it
     * @returns {() => void} ends it
     */
    on(event: string, fn: (value: any) => void, { signal }?: {
        signal?: AbortSignal;
    }, onAborted?: () => void): () => void;
    /** Waits for an event, or until the signal is aborted. @param {string} event @param {AbortSignal} [signal] @returns {Promise<void>} */
    next(event: string, signal?: AbortSignal): Promise<void>;
    /** @param {string} event */
    has(event: string): boolean;
    /** @param {string} event @param {any} [value] */
    emit(event: string, value?: any): void;
    /** @param {(value: any) => void} fn @param {any} value */
    call(fn: (value: any) => void, value: any): void;
    #private;
}
/**
 * What is used of a `WebSocket`: that of `ws` will do as well.
 */
export type SocketLike = {
    binaryType: any;
    readonly readyState: number;
    onopen: Handler;
    onmessage: Handler;
    onclose: Handler;
    onerror: Handler;
    send(data: string): void;
    close(code?: number): void;
};
export type Handler = ((event: any) => any) | null;
export type Env = {
    /**
     * ms since 1970
     */
    now: () => number;
    /**
     * from 0 to 1
     */
    random: () => number;
    setTimeout: (fn: () => void, ms: number) => any;
    clearTimeout: (timer: any) => void;
    WebSocket: new (url: string) => SocketLike;
    URL: new (url: string, base?: string) => Pick<URL, "protocol" | "href"> & {
        searchParams: Pick<URLSearchParams, "set" | "delete">;
    };
    document: (EventTarget & {
        visibilityState?: string;
    }) | undefined;
    window: EventTarget | undefined;
    location: {
        href: string;
    } | undefined;
    /**
     * the world's, if this is left out; so are the next three
     */
    locks?: LockManager | undefined;
    BroadcastChannel?: typeof BroadcastChannel | undefined;
    indexedDB?: IDBFactory | undefined;
    fetch?: typeof fetch | undefined;
    /**
     * takes what a handler has thrown
     */
    report: (error: unknown) => void;
};
/**
 * What the parts of a client know of it.
 */
export type Core = {
    env: Env;
    listeners: Listeners;
    connection: import("./connection.js").Connection;
    hello: import("./wire.js").Hello | null;
    request: (type: any, payload?: any, options?: import("./requests.js").AskOptions) => Promise<any>;
    send: (type: any, payload: any) => boolean;
    changed: (topic: string, value?: any) => void;
};
