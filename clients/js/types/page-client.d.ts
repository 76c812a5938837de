/** @type {import('./stores.js').Store<Client | null> & { set(next: Client | null): void }} */
export const pageClient: import("./stores.js").Store<Client | null> & {
    set(next: Client | null): void;
};
export type Client = import("./client.js").Client;
