/** @param {Env} env @param {number} patience for an answer, in ms @param {(text: string) => void} transmit */
export function requestQueue(env: Env, patience: number, transmit: (text: string) => void): {
    /** A connection has said hello; its limits hold from now on. Returns how long two requests take at least, in ms. @param {any} [limits] */
    begin(limits?: any): number;
    /** It is online: what has waited goes. */
    release(): void;
    /** The connection is gone: nothing that was asked on it is answered any more. */
    pause(): void;
    /** None will come, or none of these is for who is there now. */
    end(code?: string): void;
    /**
     * Asks. Rejects with a {@link ParlorError}.
     * @param {string} type
     * @param {any} [payload]
     * @param {AskOptions} [options]
     * @returns {Promise<any>}
     */
    ask: (type: string, payload?: any, { timeout, signal, first, now }?: AskOptions) => Promise<any>;
    /** Says something that is worth nothing later: now or never. @param {string} type @param {any} payload @returns {boolean} */
    tell(type: string, payload: any): boolean;
    /** Takes a `reply` or an `error` of the server. @param {any} message */
    settle({ type, id, payload }: any): void;
};
export type Env = import("./env.js").Env;
export type Requests = ReturnType<typeof requestQueue>;
export type Asked = {
    type: string;
    payload: any;
    first: boolean;
    /**
     * the one it was sent with last; 0 before
     */
    id: number;
    /**
     * how often the server had no time for it
     */
    limited: number;
    resolve: (payload: any) => void;
    reject: (error: ParlorError) => void;
};
/**
 * `now`: before it is online, on this connection or never
 */
export type AskOptions = {
    timeout?: number;
    signal?: AbortSignal;
    first?: boolean;
    now?: boolean;
};
import { ParlorError } from './errors.js';
