export class Room {
    /** @param {string} name @param {import('./env.js').Core & { outbox: Outbox, ack(room: Room): void }} core */
    constructor(name: string, core: import("./env.js").Core & {
        outbox: Outbox;
        ack(room: Room): void;
    });
    /** @type {Membership} */
    membership: Membership;
    /** Why it is refused. @type {ParlorError | null} */
    refusal: ParlorError | null;
    /** @type {string | undefined} */
    title: string | undefined;
    /** The newest entry that was handed over, or the head when one came. @type {number} */
    last: number;
    /** One's own mark. @type {number} */
    read: number;
    /** @type {number} */
    unread: number;
    /** Whether a `resume` names it: it is one of ours, of this epoch. */
    isFollowed: boolean;
    name: string;
    /** Sends a text, and what else is to go with it. @param {string} text @param {{ data?: any, replyTo?: number, cid?: string }} [more] @returns {Ticket} */
    send(text: string, { cid, ...more }?: {
        data?: any;
        replyTo?: number;
        cid?: string;
    }): Ticket;
    /** What is unsent, or has failed, in order. @returns {Ticket[]} */
    get unsent(): Ticket[];
    /** Who is typing: ids. @returns {string[]} */
    get typists(): string[];
    /** @param {number} seq @param {string} text @returns {Promise<import('./wire.js').Logged>} */
    edit(seq: number, text: string): Promise<import("./wire.js").Logged>;
    /** @param {number} seq @returns {Promise<import('./wire.js').Logged>} */
    delete(seq: number): Promise<import("./wire.js").Logged>;
    /** @param {number} seq @param {string} emoji @param {boolean} [on] @returns {Promise<import('./wire.js').Logged>} */
    react(seq: number, emoji: string, on?: boolean): Promise<import("./wire.js").Logged>;
    /**
     * A page of the log, oldest first: after or before a `seq`, or else the newest.
     * @param {{ before?: number, after?: number, limit?: number, signal?: AbortSignal }} [bounds]
     * @returns {Promise<{ entries: Entry[], head: number, more: boolean }>}
     */
    history({ signal, ...bounds }?: {
        before?: number;
        after?: number;
        limit?: number;
        signal?: AbortSignal;
    }): Promise<{
        entries: Entry[];
        head: number;
        more: boolean;
    }>;
    /** All up to here is read; told once a second at most. @param {number} [seq] */
    markRead(seq?: number): void;
    /** One is typing, or is not any more; told every 3 s at most. @param {boolean} [typing] */
    typing(typing?: boolean): void;
    /** @param {{ after?: string, limit?: number }} [bounds] @returns {Promise<{ members: import('./wire.js').Member[], more: boolean }>} */
    members(bounds?: {
        after?: string;
        limit?: number;
    }): Promise<{
        members: import("./wire.js").Member[];
        more: boolean;
    }>;
    /** Joins it; a name that nobody uses becomes an open room of one's own. @returns {Promise<import('./wire.js').RoomInfo>} */
    join(): Promise<import("./wire.js").RoomInfo>;
    /** @returns {Promise<{ room: string }>} */
    leave(): Promise<{
        room: string;
    }>;
    /** Joins it as soon as one may. */
    want(): void;
    /**
     * Listens: to entries (`message`, `edited`, `deleted`, `reacted`, `joined`, `left`, or `entry` for all), to `gap`,
     * `read`, `delivered`, `typing`, `removed`, `updated`, `refused`. Entries come from now on, from where the handlers of that kind have come
     * to (`resume`; at first: from the mark of what is read), or from behind a `seq`.
     * @template {keyof RoomEvents} E
     * @param {E} event
     * @param {(value: RoomEvents[E]) => void} fn
     * @param {{ from?: From, signal?: AbortSignal }} [options]
     * @returns {() => void}
     */
    on<E extends keyof RoomEvents>(event: E, fn: (value: RoomEvents[E]) => void, { from, signal }?: {
        from?: From;
        signal?: AbortSignal;
    }): () => void;
    /**
     * All entries, one after the other, for as long as one asks: none is kept for who does not.
     * @param {{ from?: From, signal?: AbortSignal }} [options]
     * @returns {AsyncGenerator<Entry, void>}
     */
    entries({ from, signal }?: {
        from?: From;
        signal?: AbortSignal;
    }): AsyncGenerator<Entry, void>;
    /** What `hello`, `room:join` or a list says of it. @param {any} room */
    welcome({ head, read, unread, title }: any): void;
    /** It was another user's. */
    end(): void;
    /** One is no member, as `hello` says. */
    missing(): void;
    /** Its log is another: nothing that was known of it holds. @param {number} head */
    reset(head: number): void;
    /** The log goes up to here, and nothing of it comes unasked: where it is refused, not before it is read. @param {number} head @param {string} [refused] */
    behind(head: number, refused?: string): Promise<void>;
    /** Takes a push that is for it. @param {string} type @param {any} payload */
    push(type: string, payload: any): void;
    #private;
}
export type Env = import("./env.js").Env;
export type Outbox = import("./outbox.js").Outbox;
export type Ticket = import("./outbox.js").Ticket;
export type Entry = import("./wire.js").Entry;
export type EntryType = import("./wire.js").EntryType;
/**
 * What a room tells of.
 */
export type RoomEvents = { [T in EntryType]: Extract<Entry, {
    type: T;
}>; } & {
    entry: Entry;
    gap: Gap;
    read: import("./wire.js").Mark;
    delivered: import("./wire.js").Mark;
    typing: import("./wire.js").Typing;
    removed: import("./wire.js").Removal;
    updated: import("./wire.js").Update;
    refused: ParlorError;
};
export type RoomChange = {
    room: Room;
    what: "entry";
    value: Entry;
} | {
    room: Room;
    what: "read" | "typing" | "membership";
    value?: undefined;
};
/**
 * A part of the log that is not kept any more, or that of an earlier one.
 */
export type Gap = {
    room: string;
    after: number;
    before: number;
    reason: string;
};
export type From = "now" | "resume" | {
    seq: number;
};
/**
 * `unknown` until the server has said it; `none`: no member; `left`: a member no longer.
 */
export type Membership = "unknown" | "none" | "joining" | "member" | "refused" | "left";
import { ParlorError } from './errors.js';
