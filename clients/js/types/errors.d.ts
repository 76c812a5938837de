/** What a client does then. @typedef {"ends" | "asks for a token" | "comes back"} Verdict */
/** What a close code asks of a client. @type {(code: number) => Verdict} */
export const verdict: (code: number) => Verdict;
/**
 * A refusal of the server's, or our own: `disconnected` (the connection ended before the answer: whether it was
 * done is not known), `timeout`, `cancelled`, `expired`, `closed`.
 */
export class ParlorError extends Error {
    /**
     * @param {string} code
     * @param {Record<string, any>} [detail] what the server said beside the code: `message`, `retry_after_ms`, `limit`, `field` …
     */
    constructor(code: string, detail?: Record<string, any>);
    code: string;
    detail: Record<string, any>;
    /** In how many ms the same may be tried again, if the server said so; else 0. */
    get retryAfter(): any;
    /** Whether the same request may succeed later: a code of the application's does not say so. */
    get passing(): boolean;
}
/**
 * What a client does then.
 */
export type Verdict = "ends" | "asks for a token" | "comes back";
