/** @typedef {import('../env.js').Env} Env */
/**
 * A browser with tabs: each has an `env` whose Web Locks and channels are those of the others, too, and can end without
 * a word.
 * @param {ReturnType<typeof import('./server.js').fakeServer>} server
 */
export function fakeBrowser(server: ReturnType<typeof import("./server.js").fakeServer>): {
    /** Opens a tab. */
    tab(): {
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
