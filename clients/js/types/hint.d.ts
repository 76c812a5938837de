/** @param {Client} client @param {string} url @param {Record<string, any>} options */
export function hint(client: Client, url: string, options: Record<string, any>): void;
export type Client = import("./client.js").Client;
