/**
 * Where it is kept: one for each origin. What another user has left is forgotten when one signs in.
 * @param {{ name?: string, env?: Partial<import('./env.js').Env> }} [options]
 * @returns {OutboxStore}
 */
export function indexedDbOutbox({ name, env: own }?: {
    name?: string;
    env?: Partial<import("./env.js").Env>;
}): OutboxStore;
export type OutboxStore = import("./outbox.js").OutboxStore;
export type Kept = import("./outbox.js").Kept;
export type Row = Kept & {
    user: string;
    owner: string;
    order: number;
};
