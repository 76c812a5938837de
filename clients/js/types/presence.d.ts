export class Presence {
    /** @param {import('./env.js').Core} core */
    constructor(core: import("./env.js").Core);
    /** Listens to who is here; told at once if it is known. @param {(value: Presences) => void} fn @param {{ signal?: AbortSignal }} [options] */
    on(fn: (value: Presences) => void, options?: {
        signal?: AbortSignal;
    }): () => void;
    /** Everybody who is here. @returns {Promise<Presences>} */
    list(): Promise<Presences>;
    /** @returns {Presences} the same one until it changes */
    get value(): Presences;
    /** @param {string} user */
    has(user: string): boolean;
    /** The connection is another: what was known is of the one before. */
    lost(): void;
    /** Asks for the list, if somebody wants to know. @returns {Promise<void>} */
    begin(): Promise<void>;
    /** Takes a push about presence. @param {string} type @param {any} payload */
    push(type: string, payload: any): void;
    #private;
}
export type Present = {
    user: string;
    name: string;
    connections?: number;
    since?: number;
};
/**
 * `counted`: there are so many that only their number is told; `refusal`: why one is not told who is here.
 */
export type Presences = {
    users: Present[];
    count: number;
    counted: boolean;
    refusal?: import("./errors.js").ParlorError;
};
