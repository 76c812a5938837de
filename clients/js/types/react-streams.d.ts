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
export { useReliableWebSocket } from "./react-reliable.js";
/** As that of react.js, with a client for streams alone. @type {(props: import('./react-client.js').ProviderProps<StreamsClient, import('./base.js').BaseOptions>) => import('react').ReactElement} */
export const ParlorProvider: (props: import("./react-client.js").ProviderProps<StreamsClient, import("./base.js").BaseOptions>) => import("react").ReactElement;
export function useParlor<M extends import("./wire.js").Messages<M> = any>(): StreamsClient<M> | null;
export function hooksFor<M extends import("./wire.js").Messages<M>>(): {
    useParlor: () => StreamsClient<M> | null;
    useOnMessage: <T extends import("./wire.js").Heard<M>>(type: T, handler: (payload: import("./wire.js").Event<M, T>) => void) => void;
};
export type Connection = ReturnType<typeof useConnection>;
export type Draw = (connection: Connection) => ReactNode;
export type StreamsClient<M extends import("./wire.js").Messages<M> = any> = import("./streams.js").StreamsClient<M>;
export type Quality = import("./connection.js").Quality;
export type StreamOptions = import("./stream.js").StreamOptions;
export type StreamStale = import("./stream.js").StreamStale;
export type Connected = import("./stores.js").Connected;
export type ReactNode = import("react").ReactNode;
/**
 * none: there is nothing to be shown yet
 */
export type Name = string | null | undefined;
import { ParlorError } from './errors.js';
