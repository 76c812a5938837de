/** @typedef {import('./base.js').BaseClient} BaseClient */
/**
 * Listens to all messages of a type, of the wire's own ones or of the application's: also those that a program sends
 * under a name of the wire's.
 * @param {BaseClient} client
 * @param {string} type
 * @param {(payload: any) => void} fn
 * @param {{ signal?: AbortSignal }} [options]
 * @returns {() => void} ends it
 */
export function onMessage(client: BaseClient, type: string, fn: (payload: any) => void, options?: {
    signal?: AbortSignal;
}): () => void;
export type BaseClient = import("./base.js").BaseClient;
