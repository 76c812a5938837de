/** Who is here. @param {import('./presence.js').Presences} value */
export function presenceIn(value: import("./presence.js").Presences): {
    isOnline: (user: string | number) => boolean;
    users: import("./presence.js").Present[];
    count: number;
    counted: boolean;
    refusal?: import("./errors.js").ParlorError;
};
/** Who has got and who has read what. @param {Receipt[]} marks */
export function receiptsIn(marks: Receipt[]): {
    marks: import("./receipts.js").Receipt[];
    deliveredTo: (seq: number) => string[];
    readBy: (seq: number) => string[];
};
/** What is unsent, and what can be done about it. @param {Client | null} client @param {Unsent[]} messages */
export function outboxIn(client: Client | null, messages: Unsent[]): {
    messages: Unsent[];
    count: number;
    failed: number;
    retry: (id: string) => boolean;
    cancel: (id: string) => boolean;
};
/** What can be done in a room. @param {Client | null} client @param {Name} name */
export function roomActions(client: Client | null, name: Name): {
    /** @param {string} text @param {{ data?: any, replyTo?: number, cid?: string }} [more] */
    send: (text: string, more?: {
        data?: any;
        replyTo?: number;
        cid?: string;
    }) => import("./outbox.js").Ticket;
    /** @param {number} seq @param {string} text */
    edit: (seq: number, text: string) => Promise<import("./wire-table.js").Stored>;
    /** @param {number} seq */
    remove: (seq: number) => Promise<import("./wire-table.js").Stored>;
    /** @param {number} seq @param {string} emoji @param {boolean} [on] */
    react: (seq: number, emoji: string, on?: boolean) => Promise<import("./wire-table.js").Stored>;
    /** @param {boolean} [isTyping] */
    typing: (isTyping?: boolean) => void;
    /** @param {number} [seq] */
    markRead: (seq?: number) => void;
    /** Reads a page before the first row; whether there was one. */
    loadOlder: () => Promise<boolean>;
    /** @param {string} id */
    retry: (id: string) => boolean;
    /** @param {string} id */
    cancel: (id: string) => boolean;
    join: () => Promise<import("./wire-table.js").Room>;
    leave: () => Promise<{
        room: string;
    }>;
};
export namespace NO_CHAT_STORES {
    let presence: import("./stores.js").Store<import("./presence.js").Presences>;
    let rooms: import("./stores.js").Store<import("./client.js").RoomSnapshot[]>;
    let outbox: import("./stores.js").Store<Unsent[]>;
    let facts: import("./stores.js").Store<Facts>;
    let receipts: import("./stores.js").Store<import("./receipts.js").Receipt[]>;
    let transcript: import("./stores.js").Store<import("./transcript.js").Shown>;
}
export const chatStoresOf: (client: import("./client.js").Client<any>) => {
    presence: import("./stores.js").Store<import("./presence.js").Presences>;
    rooms: import("./stores.js").Store<import("./client.js").RoomSnapshot[]>;
    outbox: import("./stores.js").Store<Unsent[]>;
    facts: (name: string) => import("./stores.js").Store<Facts>;
    receipts: (name: string) => import("./stores.js").Store<import("./receipts.js").Receipt[]>;
    transcript: (name: string) => import("./stores.js").Store<import("./transcript.js").Shown>;
    loadOlder: (name: string) => Promise<boolean>;
    /** Joins for as long as somebody holds it, whoever is signed in. */
    join: (name: string) => () => () => void;
    /** Held by those who want one to leave when they have gone. */
    stay: (name: string) => (join: boolean) => () => void;
};
export function unreadIn(rooms: import("./client.js").RoomSnapshot[], room?: Name): number;
export type Client = import("./client.js").Client;
export type Room = import("./room.js").Room;
export type Shown = import("./transcript.js").Shown;
export type ChatStores = ReturnType<typeof chatStoresOf>;
/**
 * none: there is nothing to be shown yet
 */
export type Name = string | null | undefined;
export type Facts = Pick<Room, "membership" | "refusal" | "title" | "last" | "read" | "unread" | "typists">;
export type Receipt = import("./receipts.js").Receipt;
export type Ticket = import("./outbox.js").Ticket;
export type Unsent = Pick<Ticket, "id" | "text" | "data" | "status" | "error"> & {
    room: string;
    at: number;
};
import { ParlorError } from './errors.js';
