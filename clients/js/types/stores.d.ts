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
/** The one before, if it has the same members. @template {object} T @param {T | undefined} before @param {T} value @returns {T} */
export function same<T extends object>(before: T | undefined, value: T): T;
/** Says once, to whoever builds a page, that no client was ever given. @param {string} how */
export function missing(how: string): void;
/** That of a connection: over it rooms are left whose second has passed. */
export const CONNECTION_GRACE_MS: number;
export function constant<T>(value: T): Store<T>;
export function byName<T>(make: (name: string) => T): (name: string) => T;
export function watching(client: BaseClient, ...events: string[]): (/** @type {() => void} */ changed: () => void) => () => void;
/** What is said to who wants to do something without a client. */
export const NO_CLIENT: "there is no client: none is provided above, and webSocketService is not connected";
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
    namespace stream {
        let subscribe_2: (fn: () => void) => () => void;
        export { subscribe_2 as subscribe };
        let get_2: () => Watched;
        export { get_2 as get };
        let getServer_2: () => Watched;
        export { getServer_2 as getServer };
    }
}
export function ofEach<C extends BaseClient, T>(make: (client: C) => T): (client: C) => T;
export const storesOf: (client: import("./streams.js").StreamsClient<any>) => {
    connection: Store<Connected>;
    quality: Store<import("./connection.js").Quality | null>;
    stream: (name: string) => Store<Watched>;
};
export type BaseClient = import("./base.js").BaseClient;
export type StreamsClient = import("./streams.js").StreamsClient;
export type ParlorError = import("./errors.js").ParlorError;
export type Quality = import("./connection.js").Quality;
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
export type Watched = {
    data: any;
    seq: number;
    ts: number | undefined;
    skipped: boolean;
    refusal: ParlorError | null;
    stale: import("./stream.js").StreamStale | null;
};
