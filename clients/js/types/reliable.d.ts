/**
 * Connects, and comes back. Listen to `message`, to `open`, and to `change` of what `snapshot()` says.
 * @param {string} url `ws:`, `wss:`, `http:`, `https:`, or relative to the page
 * @param {ReliableOptions} [options]
 */
export function reliable(url: string, options?: ReliableOptions): {
    /** @returns {ReliableSnapshot} the same object until something has changed */
    snapshot: () => ReliableSnapshot;
    on: (event: string, fn: (value: any) => void, { signal }?: {
        signal?: AbortSignal;
    }, onAborted?: () => void) => () => void;
    /** Sends a value as JSON: now or never. @param {any} value @returns {boolean} whether it was sent */
    send(value: any): boolean;
    /** Does not wait any longer; also comes back from `failed`, whatever the cause. */
    retryNow(): void;
    /** Ends it for good. */
    close(): void;
};
export type State = import("./connection.js").State;
/**
 * `rtt`: how long it took to open, in ms; nothing else is told by any server
 */
export type OpeningQuality = {
    level: string;
    rtt: number;
};
export type ReliableSnapshot = {
    state: State;
    /**
     * the number of the next attempt in a row; 0 while it is open
     */
    attempt: number;
    quality: OpeningQuality | null;
    /**
     * ms since 1970
     */
    lastMessageAt: number | null;
};
export type ReliableOptions = {
    /**
     * the bound of the first wait, in ms; it doubles with each
     */
    minDelay?: number | undefined;
    /**
     * the bound of the longest wait, in ms
     */
    maxDelay?: number | undefined;
    /**
     * how many in a row; it never gives up, if not told otherwise
     */
    attempts?: number | undefined;
    /**
     * whether a close code is one from which it is not to come back; those of the protocol, if not told otherwise
     */
    fatal?: ((code: number) => boolean) | undefined;
    /**
     * whether it is kept while nobody sees the page
     */
    whileHidden?: boolean | undefined;
    env?: Partial<import("./env.js").Env> | undefined;
};
