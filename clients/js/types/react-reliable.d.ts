/**
 * The one socket for all who ask for the same, while somebody does, and what is known of it.
 * @param {{ url: string, enabled: boolean, maxReconnectDelay?: number, maxReconnectAttempts?: number, fatal?: (code: number) => boolean, own?: string,
 *   onMessage: (message: any) => void }} options `own`: whose it is, if it is not for all
 */
export function useSharedSocket({ url, enabled, maxReconnectDelay: maxDelay, maxReconnectAttempts: attempts, fatal, own, onMessage }: {
    url: string;
    enabled: boolean;
    maxReconnectDelay?: number;
    maxReconnectAttempts?: number;
    fatal?: (code: number) => boolean;
    own?: string;
    onMessage: (message: any) => void;
}): {
    shared: Plain | null;
    snapshot: import("./reliable.js").ReliableSnapshot;
};
/**
 * A WebSocket to any path that speaks JSON, which comes back and is let go of while the page is hidden. It never polls:
 * `pollingInterval` is there for who comes from a hook that did. `queryFn` is asked once each time it opens, for what
 * was missed, and whenever `queryKey` is another; `data` is what it said last.
 * @template T what the query says
 * @template [M=any] what the messages are
 * @param {object} options
 * @param {string} options.url
 * @param {readonly unknown[]} [options.queryKey]
 * @param {() => T | Promise<T>} [options.queryFn]
 * @param {(message: M) => void} [options.onMessage] called with each, once and in order
 * @param {boolean} [options.enabled]
 * @param {number} [options.pollingInterval]
 * @param {number} [options.maxReconnectDelay] in ms; 30000
 * @param {number} [options.maxReconnectAttempts] in a row; it never gives up, if not told otherwise
 */
export function useReliableWebSocket<T, M = any>({ url, queryKey, queryFn, onMessage: handler, enabled, maxReconnectDelay, maxReconnectAttempts }: {
    url: string;
    queryKey?: readonly unknown[] | undefined;
    queryFn?: (() => T | Promise<T>) | undefined;
    onMessage?: ((message: M) => void) | undefined;
    enabled?: boolean | undefined;
    pollingInterval?: number | undefined;
    maxReconnectDelay?: number | undefined;
    maxReconnectAttempts?: number | undefined;
}): {
    send: (value: any) => boolean;
    retryNow: () => void | undefined;
    isConnected: boolean;
    state: "failed" | "waiting" | "closed" | "connecting" | "idle" | "paused" | "online" | "authenticating";
    attempt: number;
    quality: import("./reliable.js").OpeningQuality | null;
    lastMessageAt: number | null;
    data: T | undefined;
    error: unknown;
};
export type Store<T> = import("./stores.js").Store<T>;
export type ReliableSnapshot = import("./reliable.js").ReliableSnapshot;
export type Listen = (event: string, fn: (value: any) => void) => () => void;
export type Plain = {
    socket: ReturnType<typeof reliable> | null;
    store: Store<ReliableSnapshot>;
    on: Listen;
};
import { reliable } from './reliable.js';
