/** @typedef {{ keyPath: string, indexes: Map<string, string>, rows: Map<any, any> }} Store */
/** @typedef {{ version: number, stores: Map<string, Store> }} Database */
/**
 * The databases of a browser: `of(tab)` is what a tab has as `indexedDB`.
 * @param {{ clock: { setTimeout: (fn: () => void, ms: number) => any } }} server
 */
export function fakeDatabases({ clock }: {
    clock: {
        setTimeout: (fn: () => void, ms: number) => any;
    };
}): {
    /** What is in a store, for whoever looks from outside. @param {string} database @param {string} store @returns {any[]} */
    rows: (database: string, store: string) => any[];
    /** @param {{ isGone: boolean, act: (fn: () => any) => void }} tab @returns {IDBFactory} */
    of(tab: {
        isGone: boolean;
        act: (fn: () => any) => void;
    }): IDBFactory;
};
export type Store = {
    keyPath: string;
    indexes: Map<string, string>;
    rows: Map<any, any>;
};
export type Database = {
    version: number;
    stores: Map<string, Store>;
};
