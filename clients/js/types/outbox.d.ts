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
    /** @param {{ seq: number, ts: number }} entry */
    succeed(entry: {
        seq: number;
        ts: number;
    }): void;
    /** @param {ParlorError} error */
    fail(error: ParlorError): void;
    #private;
}
export class Outbox {
    /** @param {OutboxStore} store @param {Pick<import('./env.js').Core, "env" | "ask" | "changed">} core */
    constructor(store: OutboxStore, core: Pick<import("./env.js").Core, "env" | "ask" | "changed">);
    /** Those that are not acknowledged, in order: of a room, or all. @param {string} [room] @returns {Ticket[]} */
    of(room?: string): Ticket[];
    /** Somebody is here: what they have left unsent is sent, before anything else. @param {string} user or none: a guest leaves nothing */
    own(user: string): Promise<void>;
    /** @param {Omit<Kept, "id" | "at">} what @param {string} [id] @returns {Ticket} */
    add(what: Omit<Kept, "id" | "at">, id?: string): Ticket;
    /** @param {Ticket} ticket */
    again(ticket: Ticket): void;
    /** @param {Ticket} ticket */
    cancel(ticket: Ticket): boolean;
    /** One's own message was pushed: it is on the disk, whatever became of the reply. @param {string} cid @param {{ room: string, seq: number, ts: number }} entry */
    shown(cid: string, entry: {
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
 * Where tickets are kept. Of what goes wrong it tells by itself: the ticket is sent all the same.
 */
export type OutboxStore = {
    /**
     * with each connection: hands over what
     * is left of this user's, in order, before it is done, and what others leave later; other users' is forgotten
     */
    open: (user: string, take: (left: Kept[]) => void) => Promise<any>;
    put: (kept: Kept) => void;
    remove: (id: string) => void;
    close: () => void;
};
import { ParlorError } from './errors.js';
