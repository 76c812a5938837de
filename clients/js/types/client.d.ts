/** @template {import('./wire.js').Messages<M>} [M=any] the application's own messages @extends {StreamsClient<M>} */
export class Client<M extends import("./wire.js").Messages<M> = any> extends StreamsClient<M> {
    /** @param {string} url @param {Options} [options] */
    constructor(url: string, options?: Options);
    /** @protected */
    protected outbox: Outbox;
    presence: Presence;
    /** The same, made anew. @returns {Snapshot} */
    read(): Snapshot;
    /** A room, to read. With `join` one joins it, as soon as one may. @param {string | number} name @param {{ join?: boolean }} [options] @returns {Room} */
    room(name: string | number, { join }?: {
        join?: boolean;
    }): Room;
    /** The direct messages with somebody: once it is known who one is, as after `ready()`. @param {string | number} user @returns {Room} */
    direct(user: string | number): Room;
    /** What is unsent, or has failed. @returns {import('./outbox.js').Ticket[]} */
    get unsent(): import("./outbox.js").Ticket[];
    /** @protected @param {any} hello */
    protected onHello(hello: any): Promise<void>;
    /** All that came is here, also of this room. @protected @param {Room} [room] */
    protected ack(room?: Room): void;
    #private;
}
export function connect<M extends import("./wire.js").Messages<M> = any>(url: string, options?: Options): Client<M>;
export type Tabs = import("./base.js").Tabs;
export type Snapshot = import("./base.js").BaseSnapshot & {
    rooms: RoomSnapshot[];
};
export type RoomSnapshot = {
    room: string;
    title?: string;
    head: number;
    read: number;
    unread: number;
    membership: import("./room.js").Membership;
};
export type ChatOptions = {
    outbox?: import("./outbox.js").OutboxStore | undefined;
    /**
     * by which id the server knows who this is, if the page knows it: what they have left unsent is there before the server has answered
     */
    user?: string | undefined;
};
export type Options = import("./base.js").BaseOptions & ChatOptions;
import { StreamsClient } from './streams.js';
import { Outbox } from './outbox.js';
import { Presence } from './presence.js';
import { Room } from './room.js';
