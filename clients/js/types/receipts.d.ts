/**
 * Reads them, once one is a member, and follows them.
 * @param {Client} client
 * @param {string} name
 * @param {(marks: Receipt[]) => void} fn is told of each change: those of the others, by user id; of nobody in a larger room
 * @param {Pick<import('./env.js').Env, 'setTimeout' | 'clearTimeout'>} [env]
 * @returns {() => void} ends it
 */
export function watchReceipts(client: Client, name: string, fn: (marks: Receipt[]) => void, env?: Pick<import("./env.js").Env, "setTimeout" | "clearTimeout">): () => void;
export type Client = import("./client.js").Client;
/**
 * How far somebody has come: the `seq` up to which it was delivered to them, and up to which they have read.
 */
export type Receipt = {
    user: string;
    name: string;
    delivered: number;
    read: number;
};
export type Move = {
    user: string;
    read?: number;
    delivered?: number;
    isNew?: boolean;
};
