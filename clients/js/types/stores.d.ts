/**
 * Begins with the first who holds it, and ends some time after the last has let go.
 * @param {() => () => void} begin
 * @param {number} [ms]
 * @returns {() => () => void} holds it, and returns what lets go
 */
export function graced(begin: () => () => void, ms?: number): () => () => void;
/**
 * What components read: a snapshot that is made anew once per frame at most, while somebody looks.
 * @template T
 * @param {{ read: (before?: T) => T, watch: (changed: () => void) => () => void, server: T, grace?: number }} source
 * @returns {Store<T>}
 */
export function storeOf<T>({ read, watch, server, grace }: {
    read: (before?: T) => T;
    watch: (changed: () => void) => () => void;
    server: T;
    grace?: number;
}): Store<T>;
/** @param {Client} client */
export function storesOf(client: Client): {
    connection: Store<Connected>;
    quality: Store<import("./connection.js").Quality | null>;
    presence: Store<import("./presence.js").Presences>;
    rooms: Store<import("./client.js").RoomSnapshot[]>;
    outbox: Store<Unsent[]>;
    facts: (name: string) => Store<Facts>;
    receipts: (name: string) => Store<import("./receipts.js").Receipt[]>;
    transcript: (name: string) => Store<import("./transcript.js").Shown>;
    loadOlder: (name: string) => Promise<boolean>;
    /** Joins for as long as somebody holds it, whoever is signed in. */
    join: (name: string) => () => () => void;
    /** Held by those who want one to leave when they have gone. */
    stay: (name: string) => (join: boolean) => () => void;
    stream: (name: string) => Store<Watched>;
};
/** That of a connection: over it rooms are left whose second has passed. */
export const CONNECTION_GRACE_MS: number;
export function constant<T>(value: T): Store<T>;
export namespace NO_STORES {
    namespace connection {
        let subscribe: (fn: () => void) => () => void;
        let get: () => Connected;
        let getServer: () => Connected;
    }
    namespace quality {
        let subscribe_1: (fn: () => void) => () => void;
        export { subscribe_1 as subscribe };
        let get_1: () => import("./connection.js").Quality | null;
        export { get_1 as get };
        let getServer_1: () => import("./connection.js").Quality | null;
        export { getServer_1 as getServer };
    }
    namespace presence {
        let subscribe_2: (fn: () => void) => () => void;
        export { subscribe_2 as subscribe };
        let get_2: () => import("./presence.js").Presences;
        export { get_2 as get };
        let getServer_2: () => import("./presence.js").Presences;
        export { getServer_2 as getServer };
    }
    namespace rooms {
        let subscribe_3: (fn: () => void) => () => void;
        export { subscribe_3 as subscribe };
        let get_3: () => import("./client.js").RoomSnapshot[];
        export { get_3 as get };
        let getServer_3: () => import("./client.js").RoomSnapshot[];
        export { getServer_3 as getServer };
    }
    namespace outbox {
        let subscribe_4: (fn: () => void) => () => void;
        export { subscribe_4 as subscribe };
        let get_4: () => Unsent[];
        export { get_4 as get };
        let getServer_4: () => Unsent[];
        export { getServer_4 as getServer };
    }
    namespace facts {
        let subscribe_5: (fn: () => void) => () => void;
        export { subscribe_5 as subscribe };
        let get_5: () => Facts;
        export { get_5 as get };
        let getServer_5: () => Facts;
        export { getServer_5 as getServer };
    }
    namespace receipts {
        let subscribe_6: (fn: () => void) => () => void;
        export { subscribe_6 as subscribe };
        let get_6: () => import("./receipts.js").Receipt[];
        export { get_6 as get };
        let getServer_6: () => import("./receipts.js").Receipt[];
        export { getServer_6 as getServer };
    }
    namespace transcript {
        let subscribe_7: (fn: () => void) => () => void;
        export { subscribe_7 as subscribe };
        let get_7: () => import("./transcript.js").Shown;
        export { get_7 as get };
        let getServer_7: () => import("./transcript.js").Shown;
        export { getServer_7 as getServer };
    }
    namespace stream {
        let subscribe_8: (fn: () => void) => () => void;
        export { subscribe_8 as subscribe };
        let get_8: () => Watched;
        export { get_8 as get };
        let getServer_8: () => Watched;
        export { getServer_8 as getServer };
    }
}
export type Client = import("./client.js").Client;
export type ParlorError = import("./errors.js").ParlorError;
export type Room = import("./room.js").Room;
export type Quality = import("./connection.js").Quality;
export type Shown = import("./transcript.js").Shown;
export type Stores = ReturnType<typeof makeStores>;
export type Status = "live" | "connecting" | "reconnecting" | "disconnected" | null;
export type Connected = {
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
    status: Status;
};
export type Store<T> = {
    subscribe: (fn: () => void) => () => void;
    /**
     * the same object until something has changed, and for a frame at least
     */
    get: () => T;
    getServer: () => T;
};
export type Facts = Pick<Room, "membership" | "refusal" | "title" | "last" | "read" | "unread" | "typists">;
export type Watched = {
    data: any;
    seq: number;
    ts: number | undefined;
    skipped: boolean;
    refusal: ParlorError | null;
    stale: import("./stream.js").StreamStale | null;
};
export type Receipt = import("./receipts.js").Receipt;
export type Ticket = import("./outbox.js").Ticket;
export type Unsent = Pick<Ticket, "id" | "text" | "data" | "status" | "error"> & {
    room: string;
    at: number;
};
/** @param {Client} client */
declare function makeStores(client: Client): {
    connection: Store<Connected>;
    quality: Store<import("./connection.js").Quality | null>;
    presence: Store<import("./presence.js").Presences>;
    rooms: Store<import("./client.js").RoomSnapshot[]>;
    outbox: Store<Unsent[]>;
    facts: (name: string) => Store<Facts>;
    receipts: (name: string) => Store<import("./receipts.js").Receipt[]>;
    transcript: (name: string) => Store<import("./transcript.js").Shown>;
    loadOlder: (name: string) => Promise<boolean>;
    /** Joins for as long as somebody holds it, whoever is signed in. */
    join: (name: string) => () => () => void;
    /** Held by those who want one to leave when they have gone. */
    stay: (name: string) => (join: boolean) => () => void;
    stream: (name: string) => Store<Watched>;
};
export {};
