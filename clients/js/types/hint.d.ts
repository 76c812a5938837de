/** @param {Client} client @param {string} url @param {Record<string, any>} options @param {Set<string>} heard what was ever listened to */
export function hint(client: Client, url: string, options: Record<string, any>, heard: Set<string>): void;
export type Client = import("./base.js").BaseClient;
