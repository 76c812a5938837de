/** A message of bytes: n, n bytes of the stream's name, 8 of its `seq`, the data. @param {ArrayBuffer} message */
export function bytesOf(message: ArrayBuffer): {
    name: string;
    seq: number;
    data: Uint8Array<ArrayBuffer>;
};
export function isLog(snapshot: any): any;
/** @template [T=any] what is in its events */
export class Stream<T = any> {
    /** @param {string} name @param {StreamOptions} options @param {import('./env.js').Core} core */
    constructor(name: string, options: StreamOptions, core: import("./env.js").Core);
    /** The newest event. @type {StreamEvent<T> | null} */
    latest: StreamEvent<T> | null;
    /** Why it cannot be watched. @type {import('./errors.js').ParlorError | null} */
    refusal: import("./errors.js").ParlorError | null;
    /** That nothing was heard of it for too long. @type {StreamStale | null} */
    stale: StreamStale | null;
    name: string;
    /**
     * Listens to its events, the snapshot first; by `"gap"`, `"refused"`, `"stale"` as the first argument to these.
     * @overload
     * @param {(data: T, event: StreamEvent<T>) => void} event
     * @param {{ signal?: AbortSignal }} [fn]
     * @returns {() => void} ends it
     */
    on(event: (data: T, event: StreamEvent<T>) => void, fn?: {
        signal?: AbortSignal;
    } | undefined): () => void;
    /**
     * @overload
     * @param {"gap"} event
     * @param {(gap: StreamGap) => void} fn
     * @param {{ signal?: AbortSignal }} [options]
     * @returns {() => void}
     */
    on(event: "gap", fn: (gap: StreamGap) => void, options?: {
        signal?: AbortSignal;
    } | undefined): () => void;
    /**
     * @overload
     * @param {"stale"} event
     * @param {(stale: StreamStale | null) => void} fn null when something is heard of it again
     * @param {{ signal?: AbortSignal }} [options]
     * @returns {() => void}
     */
    on(event: "stale", fn: (stale: StreamStale | null) => void, options?: {
        signal?: AbortSignal;
    } | undefined): () => void;
    /**
     * @overload
     * @param {"refused"} event
     * @param {(error: import('./errors.js').ParlorError) => void} fn
     * @param {{ signal?: AbortSignal }} [options]
     * @returns {() => void}
     */
    on(event: "refused", fn: (error: import("./errors.js").ParlorError) => void, options?: {
        signal?: AbortSignal;
    } | undefined): () => void;
    /** Who watches is another: what one was told is not the other's. */
    forget(): void;
    /** The connection is another, or gone. */
    lost(): void;
    /** Subscribes or not, as is wanted now. */
    settle(): void;
    /** Takes an event, or how old the stream is. @param {any} told */
    push(told: any): void;
    /**
     * Publishes to it. With an `id` of one's own a repeat is answered as the first was, with `duplicate`.
     * @param {T} data
     * @param {{ id?: string }} [options]
     * @returns {Promise<import('./wire.js').Published>}
     */
    publish(data: T, options?: {
        id?: string;
    }): Promise<import("./wire.js").Published>;
    #private;
}
export type Env = import("./env.js").Env;
/**
 * `skipped`: some were left out, as the stream or the rate allows.
 */
export type StreamEvent<T = any> = {
    stream: string;
    seq: number;
    data: T;
    ts?: number;
    skipped?: boolean;
};
/**
 * What is missing of a log.
 */
export type StreamGap = {
    stream: string;
    after: number;
    reason: string;
};
/**
 * When something was heard of it last, and how long ago that was when this was told.
 */
export type StreamStale = {
    since: number;
    ageMs: number;
};
export type StreamOptions = {
    filter?: Record<string, any>;
    maxRate?: number;
    whenHidden?: "pause" | "keep";
};
