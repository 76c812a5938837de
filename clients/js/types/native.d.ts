/**
 * What a client is told of its surroundings, as `env` of `connect`: that the application is seen or put away, and, where
 * there is a `NetInfo`, that the network is gone or back. One for each client.
 * @param {{ AppState: AppStateLike, NetInfo?: NetInfoLike }} world
 * @returns {Partial<import('./env.js').Env>}
 */
export function nativeEnv({ AppState, NetInfo }: {
    AppState: AppStateLike;
    NetInfo?: NetInfoLike;
}): Partial<import("./env.js").Env>;
/**
 * An outbox in an application's storage: what is unsent survives its end. Each message belongs to the user who wrote it;
 * nobody else sends or deletes it.
 * @param {AsyncStorageLike} storage
 * @param {{ name?: string, env?: Partial<import('./env.js').Env> }} [options] `name`: what its keys begin with; `env.report` takes what the storage could not do
 * @returns {OutboxStore & { signOut: (options?: { keep?: boolean }) => Promise<void> }} `signOut`: when the client is paused and before it is closed; unless it is to be `keep`t, what this user has left is deleted
 */
export function storageOutbox(storage: AsyncStorageLike, { name, env: own }?: {
    name?: string;
    env?: Partial<import("./env.js").Env>;
}): OutboxStore & {
    signOut: (options?: {
        keep?: boolean;
    }) => Promise<void>;
};
export type OutboxStore = import("./outbox.js").OutboxStore;
export type Kept = import("./outbox.js").Kept;
export type Take = import("./outbox.js").Take;
/**
 * That of `react-native`.
 */
export type AppStateLike = {
    currentState: string | null;
    addEventListener(type: "change", fn: (state: string) => void): {
        remove(): void;
    };
};
/**
 * That of `@react-native-community/netinfo`.
 */
export type NetInfoLike = {
    addEventListener(fn: (state: {
        isConnected: boolean | null;
    }) => void): () => void;
};
/**
 * That of `@react-native-async-storage/async-storage`, or whatever has these.
 */
export type AsyncStorageLike = {
    getItem(key: string): Promise<string | null>;
    setItem(key: string, value: string): Promise<void>;
    removeItem(key: string): Promise<void>;
    getAllKeys(): Promise<readonly string[]>;
};
/**
 * `user` is '' while it is not known who wrote it
 */
export type Row = Kept & {
    user: string;
    order: number;
    outbox: string;
};
