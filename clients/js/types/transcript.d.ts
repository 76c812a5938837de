/** @typedef {import('./client.js').Client} Client */
/** @typedef {import('./errors.js').ParlorError} ParlorError */
/** @typedef {import('./outbox.js').Ticket} Ticket */
/** @typedef {import('./wire.js').Entry} Entry */
/** @typedef {Extract<Entry, { target: number }>} Change an entry that changes another */
/** @typedef {Exclude<Entry, Change>} RowEntry an entry that is a row */
/** @typedef {import('./room.js').Gap} Gap */
/** @typedef {import('./room.js').Room} Room */
/**
 * @typedef {object} MessageRow
 * @property {"message"} type
 * @property {string} key the same from when it is sent to when it is in the log, and ever after
 * @property {string | undefined} id its ticket's, if it is one's own
 * @property {number | undefined} seq none before it is on the server's disk
 * @property {string | undefined} from
 * @property {boolean} isOwn
 * @property {string | undefined} text none once it is deleted
 * @property {any} data
 * @property {number | undefined} replyTo
 * @property {number} ts ms since 1970
 * @property {import('./outbox.js').Status} status
 * @property {ParlorError | undefined} error why it has failed
 * @property {number} edited the `seq` of its newest edit, or 0
 * @property {boolean} deleted
 * @property {Record<string, string[]>} reactions who reacted, by emoji
 */
/** @typedef {{ type: "joined" | "left", key: string, seq: number, user: string, by?: string, ts: number }} MemberRow */
/** @typedef {{ type: "gap", key: string, after: number, before: number, reason: string }} GapRow */
/** @typedef {MessageRow | MemberRow | GapRow} Row */
/**
 * @typedef {object} Shown
 * @property {Row[]} rows all, from the oldest to the newest
 * @property {MessageRow[]} messages those of them that are messages
 * @property {boolean} hasOlder whether the log may have more before the first
 * @property {boolean} isFull as many are kept as may be: no older ones are loaded
 * @property {boolean} isLoaded whether the newest page was there
 * @property {boolean} isLoading
 * @property {ParlorError | null} error why the newest page, or an older one, did not come
 */
/**
 * A row with its place in the log, and up to which entry its state is known.
 * @typedef {{ at: number, asOf: number, row: Row }} Kept
 */
/** Rows that are kept, if not said otherwise; one page more while older ones are read. */
export const ROWS_MAX: 2000;
/** Entries that are asked for at once. */
export const PAGE: 50;
export class Transcript {
    /**
     * Begins to read a room, once one is a member.
     * @param {Client} client
     * @param {string} name
     * @param {{ max?: number, page?: number, env?: Partial<import('./env.js').Env> }} [options] `max` of rows
     */
    constructor(client: Client, name: string, { max, page, env }?: {
        max?: number;
        page?: number;
        env?: Partial<import("./env.js").Env>;
    });
    /** What is to be shown; the same object until something has changed. @returns {Shown} */
    snapshot(): Shown;
    /** Is told of each change. @param {() => void} fn @param {{ signal?: AbortSignal }} [options] @returns {() => void} ends it */
    on(fn: () => void, options?: {
        signal?: AbortSignal;
    }): () => void;
    /** Reads what is before the first row; whether it did. @returns {Promise<boolean>} */
    loadOlder(): Promise<boolean>;
    /** Sends one again that has failed. @param {string} id @returns {boolean} whether it goes */
    retry(id: string): boolean;
    /** Takes one back. @param {string} id @returns {boolean} whether that was still possible */
    cancel(id: string): boolean;
    /** Reads no more. */
    close(): void;
    #private;
}
export type Client = import("./client.js").Client;
export type ParlorError = import("./errors.js").ParlorError;
export type Ticket = import("./outbox.js").Ticket;
export type Entry = import("./wire.js").Entry;
/**
 * an entry that changes another
 */
export type Change = Extract<Entry, {
    target: number;
}>;
/**
 * an entry that is a row
 */
export type RowEntry = Exclude<Entry, Change>;
export type Gap = import("./room.js").Gap;
export type Room = import("./room.js").Room;
export type MessageRow = {
    type: "message";
    /**
     * the same from when it is sent to when it is in the log, and ever after
     */
    key: string;
    /**
     * its ticket's, if it is one's own
     */
    id: string | undefined;
    /**
     * none before it is on the server's disk
     */
    seq: number | undefined;
    from: string | undefined;
    isOwn: boolean;
    /**
     * none once it is deleted
     */
    text: string | undefined;
    data: any;
    replyTo: number | undefined;
    /**
     * ms since 1970
     */
    ts: number;
    status: import("./outbox.js").Status;
    /**
     * why it has failed
     */
    error: ParlorError | undefined;
    /**
     * the `seq` of its newest edit, or 0
     */
    edited: number;
    deleted: boolean;
    /**
     * who reacted, by emoji
     */
    reactions: Record<string, string[]>;
};
export type MemberRow = {
    type: "joined" | "left";
    key: string;
    seq: number;
    user: string;
    by?: string;
    ts: number;
};
export type GapRow = {
    type: "gap";
    key: string;
    after: number;
    before: number;
    reason: string;
};
export type Row = MessageRow | MemberRow | GapRow;
export type Shown = {
    /**
     * all, from the oldest to the newest
     */
    rows: Row[];
    /**
     * those of them that are messages
     */
    messages: MessageRow[];
    /**
     * whether the log may have more before the first
     */
    hasOlder: boolean;
    /**
     * as many are kept as may be: no older ones are loaded
     */
    isFull: boolean;
    /**
     * whether the newest page was there
     */
    isLoaded: boolean;
    isLoading: boolean;
    /**
     * why the newest page, or an older one, did not come
     */
    error: ParlorError | null;
};
/**
 * A row with its place in the log, and up to which entry its state is known.
 */
export type Kept = {
    at: number;
    asOf: number;
    row: Row;
};
