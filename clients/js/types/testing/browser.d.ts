/** @typedef {import('../env.js').Env} Env */
/**
 * A browser with tabs: each has an `env` whose Web Locks, channels and IndexedDB are those of the others, too, and can end
 * without a word.
 * @param {ReturnType<typeof import('./server.js').fakeServer>} server
 */
export function fakeBrowser(server: ReturnType<typeof import("./server.js").fakeServer>): {
    /** What is in a store of a database. */
    rows: (database: string, store: string) => any[];
    /** Opens a tab, or loads one again: then it is given its `sessionStorage`. */
    tab(sessionStorage?: {
        getItem: (name: string) => string | null;
        setItem: (name: string, text: string) => undefined;
        removeItem: (name: string) => undefined;
    }): {
        env: Partial<Env>;
        /** Nothing happens in it any more, and it says so to nobody. */
        freeze(): void;
        /** All that has waited happens. */
        thaw(): void;
        /** It ends as by a crash: nobody is told. */
        crash(): void;
    };
};
export type Env = import("../env.js").Env;
