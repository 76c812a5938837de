/** @typedef {import('../env.js').Env} Env */
/** @typedef {{ type: string, id?: any, payload: any }} Message */
/** @typedef {{ entries: Message[], head: number, members: Set<string>, reads: Map<string, number>, delivered: Map<string, number>, cids: Map<string, Message>, title?: string }} Log */
/**
 * A server in memory: the requests of the client's own methods, and those that `handle` is given. `env` has its
 * `WebSocket` and its clock.
 * @param {{ clock?: ReturnType<typeof fakeClock>, keep?: number, limits?: any }} [options] `keep`: entries that a log keeps
 */
export function fakeServer({ clock, keep, limits }?: {
    clock?: ReturnType<typeof fakeClock>;
    keep?: number;
    limits?: any;
}): {
    clock: {
        now: () => number;
        setTimeout: (fn: () => void, ms: number) => number;
        clearTimeout: (id: number) => undefined;
        pending: () => number;
        settle: () => Promise<any>;
        advance(ms: number): Promise<void>;
    };
    faults: {
        unreachable: boolean;
        silent: boolean;
        loseReplies: number;
        rejectTokens: number;
    };
    rooms: Map<string, Log>;
    /** How many WebSockets were asked for. */
    attempts: number;
    env: Partial<Env>;
    /** The connections that are open. */
    readonly sockets: any[];
    /** Somebody says something, on no connection. @param {string} name @param {string} from @param {string} text */
    say(name: string, from: string, text: string): any;
    /** Puts an entry of any kind into a room's log. @param {string} name @param {string} type @param {any} payload */
    append(name: string, type: string, payload: any): any;
    /** Makes somebody a member. @param {string} name @param {string} user */
    admit(name: string, user: string): void;
    /** Publishes to a stream, which comes into being; a `Uint8Array` as bytes. @param {string} name @param {any} data @param {string} [published] */
    publish(name: string, data: any, published?: string): {
        seq: number;
        epoch: string;
        data: any;
        ts: number;
        published: string | undefined;
    };
    /** Sends everybody a message. @param {string} type @param {any} payload */
    push(type: string, payload: any): void;
    /**
     * Answers requests of a type; what it throws with a `code` refuses them.
     * @param {string} type
     * @param {(payload: any, user: string) => any} fn
     */
    handle(type: string, fn: (payload: any, user: string) => any): void;
    /** The next requests of a type are refused with these. @param {string} type @param {...{ code: string, [member: string]: any }} with_ */
    refuse(type: string, ...with_: {
        code: string;
        [member: string]: any;
    }[]): void;
    /** Ends all connections: with a close code, or as a network does. @param {number} [code] */
    cut(code?: number): void;
    /** Announces a restart, and carries it out. @param {number} spread_ms */
    drain(spread_ms: number): void;
    /** Begins all logs anew, as after a loss of the store. */
    forget(): void;
};
export type Env = import("../env.js").Env;
export type Message = {
    type: string;
    id?: any;
    payload: any;
};
export type Log = {
    entries: Message[];
    head: number;
    members: Set<string>;
    reads: Map<string, number>;
    delivered: Map<string, number>;
    cids: Map<string, Message>;
    title?: string;
};
import { fakeClock } from './page.js';
