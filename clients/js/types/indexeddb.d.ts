/**
 * Where it is kept: one for each origin.
 * @param {{ name?: string, env?: Partial<import('./env.js').Env> & { sessionStorage?: Session } }} [options]
 * @returns {OutboxStore & { signOut: SignOut }}
 */
export function indexedDbOutbox({ name, env: own }?: {
    name?: string;
    env?: Partial<import("./env.js").Env> & {
        sessionStorage?: Session;
    };
}): OutboxStore & {
    signOut: SignOut;
};
export type OutboxStore = import("./outbox.js").OutboxStore;
export type Kept = import("./outbox.js").Kept;
export type Take = import("./outbox.js").Take;
/**
 * `user` is '' while it is not known who wrote it; then `tab` says in which tab, over its reloads.
 */
export type Row = Kept & {
    user: string;
    tab: string;
    owner: string;
    order: number;
};
export type Session = Pick<Storage, "getItem" | "setItem" | "removeItem">;
/**
 * For signing out, when the client is paused and before it is closed. This tab forgets who was here; unless it is to be
 * `keep`t, what this user has left is deleted, but for what other open tabs of theirs are about to send.
 */
export type SignOut = (options?: {
    keep?: boolean;
}) => Promise<void>;
