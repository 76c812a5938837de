// What close codes and refusals require (docs/protocol.md, "Closing", "Errors"). A code that is not listed is judged by
// its range. README.md describes each.

/** What a client does then. @typedef {"ends" | "asks for a token" | "comes back"} Verdict */

/** What a close code asks of a client. @type {(code: number) => Verdict} */
export const verdict = (/** @type {any} */ code) => (/^(40..|100[2379])$/.test(code) ? 'ends' : /^42..$/.test(code) ? 'asks for a token' : 'comes back');

/**
 * A refusal of the server's, or our own: `disconnected` (the connection ended before the answer: whether it was
 * done is not known), `timeout`, `cancelled`, `expired`, `closed`.
 */
export class ParlorError extends Error {
  name = 'ParlorError';

  /**
   * @param {string} code
   * @param {Record<string, any>} [detail] what the server said beside the code: `message`, `retry_after_ms`, `limit`, `field` …
   */
  constructor(code, detail = {}) {
    super(detail.message ?? code);
    this.code = code;
    this.detail = detail;
  }

  /** In how many ms the same may be tried again, if the server said so; else 0. */
  get retryAfter() {
    return this.detail.retry_after_ms || 0;
  }

  /** Whether the same request may succeed later: a code of the application's does not say so. */
  get passing() {
    return !this.detail.by && /^(rate_limited|unavailable|overloaded|internal|disconnected|timeout)$/.test(this.code);
  }
}
