/**
 * Reads events (WHATWG HTML §9.2.6): the data of each.
 * @param {ReadableStream<Uint8Array>} body
 * @param {() => void} [alive] called with all that comes, also with comments
 * @returns {AsyncGenerator<string, void>}
 */
export function eventsOf(body: ReadableStream<Uint8Array>, alive?: () => void): AsyncGenerator<string, void>;
export function eventsSocket(env: Env, upgrade?: () => void): new (url: string) => WebSocket;
export type Env = import("./env.js").Env;
