/** Whose a token is, if it is a JWT and says so (RFC 7519 §4.1.2). @param {unknown} token @returns {string | null} */
export function subjectOf(token: unknown): string | null;
/** Whether both are the same user's, as far as they say. @param {unknown} one @param {unknown} other */
export function isSameUser(one: unknown, other: unknown): boolean;
/**
 * Has a connection go on with a newer token of its user: at once if it is open, else when it is asked for one.
 * @param {import('./base.js').BaseClient} client
 * @param {string} token
 */
export function renewToken(client: import("./base.js").BaseClient, token: string): void;
