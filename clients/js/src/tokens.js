// Tokens as texts, passed in by applications: a newer token of the same user needs no other connection.

/** Whose a token is, if it is a JWT and says so (RFC 7519 §4.1.2). @param {unknown} token @returns {string | null} */
export function subjectOf(token) {
  try {
    const payload = String(token).split('.')[1].replace(/-/g, '+').replace(/_/g, '/');
    const bytes = Uint8Array.from(atob(payload), (char) => char.charCodeAt(0));
    const { sub } = JSON.parse(new TextDecoder().decode(bytes));
    return typeof sub === 'string' ? sub : null;
  } catch {
    return null;
  }
}

/** Whether both are the same user's, as far as they say. @param {unknown} one @param {unknown} other */
export function isSameUser(one, other) {
  return one === other || (typeof one === 'string' && typeof other === 'string' && subjectOf(one) !== null && subjectOf(one) === subjectOf(other));
}

/**
 * Has a connection go on with a newer token of its user: at once if it is open, else when it is asked for one.
 * @param {import('./base.js').BaseClient} client
 * @param {string} token
 */
export function renewToken(client, token) {
  if (client.state.name === 'failed') client.retryNow();
  else if (client.state.name === 'online') client.request('auth', { token }).catch(() => {});
}
