/** Keeps nothing: what is unsent ends with the page. @returns {OutboxStore} */
export function memoryOutbox(): OutboxStore;
/**
 * A message on its way. Await it for `{ room, seq, ts }`, once it is on the server's disk; whoever does not is not
 * told of its failure by an unhandled rejection.
 * @implements {PromiseLike<{ room: string, seq: number, ts: number }>}
 */
export class Ticket implements PromiseLike<{
    room: string;
    seq: number;
    ts: number;
}> {
    /** @param {Outbox} outbox @param {Kept} kept */
    constructor(outbox: Outbox, kept: Kept);
    /** @type {Status} */
    status: Status;
    /** @type {number | undefined} */
    seq: number | undefined;
    /** @type {number | undefined} */
    ts: number | undefined;
    /** @type {ParlorError | undefined} */
    error: ParlorError | undefined;
    /** It may be on the server's disk, whatever came back. */
    wasSent: boolean;
    kept: Kept;
    /** The `cid` of the wire. */
    get id(): string;
    get text(): string;
    get data(): any;
    then<TResult1 = {
        room: string;
        seq: number;
        ts: number;
    }, TResult2 = never>(onfulfilled?: ((value: {
        room: string;
        seq: number;
        ts: number;
    }) => TResult1 | PromiseLike<TResult1>) | null | undefined, onrejected?: ((reason: any) => TResult2 | PromiseLike<TResult2>) | null | undefined): PromiseLike<TResult1 | TResult2>;
    /** @template T @param {(error: ParlorError) => T} onRejected */
    catch<T>(onRejected: (error: ParlorError) => T): Promise<any>;
    /** @param {() => void} onSettled */
    finally(onSettled: () => void): Promise<any>;
    /** Takes it back; whether that was still possible: what was sent may be on the disk already. @returns {boolean} */
    cancel(): boolean;
    /** Sends it again, after it has failed or was too old; whether it was. @returns {boolean} */
    retry(): boolean;
    /** @param {{ room: string, seq: number, ts: number }} entry */
    succeed(entry: {
        room: string;
        seq: number;
        ts: number;
    }): void;
    /** @param {string} code @param {ParlorError} [error] */
    fail(code: string, error?: ParlorError): void;
    #private;
}
export class Outbox {
    /**
     * @param {OutboxStore} store
     * @param {import('./env.js').Core} core
     * @param {string} url
     * @param {import('./client.js').Options} options
     */
    constructor(store: OutboxStore, core: import("./env.js").Core, url: string, options: import("./client.js").Options);
    /** Those that are not acknowledged, of who is here, in order: of a room, or all. @param {string} [room] @returns {Ticket[]} */
    of(room?: string): Ticket[];
    /** Somebody is here: what they have left unsent is sent before anything else; what is another's waits for them. @param {string} user or none: a guest leaves nothing */
    own(user: string): Promise<void>;
    /** @param {Omit<Kept, "id" | "at">} what @param {string} [id] @returns {Ticket} */
    add(what: Omit<Kept, "id" | "at">, id?: string): Ticket;
    /** @param {Ticket} ticket */
    again(ticket: Ticket): void;
    /** @param {Ticket} ticket */
    cancel(ticket: Ticket): boolean;
    /** One's own message was pushed: it is on the disk, whatever became of the reply. @param {{ cid?: string, room: string, seq: number, ts: number }} entry */
    shown({ cid, room, seq, ts }: {
        cid?: string;
        room: string;
        seq: number;
        ts: number;
    }): void;
    /** One may not write there any more. @param {string} room @param {string} code */
    refuse(room: string, code: string): void;
    /** @param {boolean} isOnline */
    set online(isOnline: boolean);
    close(): void;
    #private;
}
export type Env = import("./env.js").Env;
export type Status = "queued" | "sent" | "acked" | "failed" | "expired" | "cancelled";
/**
 * What is kept of a ticket.
 */
export type Kept = {
    id: string;
    /**
     * who wrote it, once that is known
     */
    user?: string | undefined;
    room: string;
    text: string;
    data?: any;
    replyTo?: number | undefined;
    /**
     * ms since 1970
     */
    at: number;
    /**
     * the code for which it was refused
     */
    failed?: string | undefined;
};
/**
 * Hands over what is left of a user's in order, and says what another tab of theirs has taken over.
 */
export type Take = (left: Kept[], gone?: string[]) => void;
/**
 * Where tickets are kept, by user. A store reports its failures by itself, and `open` does not reject: tickets are sent all the same.
 */
export type OutboxStore = {
    /**
     * called when a client
     * is made: returns its user, if that is certain, and hands over what is theirs
     */
    begin?: ((url: string, options: import("./client.js").Options, take: Take) => string | undefined) | undefined;
    /**
     * called with each `hello`: hands over what is this
     * user's, and resolves to whether what was written before, by nobody who was known, may be another's
     */
    open: (user: string, take: Take) => Promise<boolean | void>;
    put: (kept: Kept) => void;
    remove: (id: string) => void;
    close: () => void;
};
import { ParlorError } from './errors.js';
