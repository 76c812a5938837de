/** @typedef {string | number} Id */
/** A name as a number, if it is one that comes back as the same text. @param {string} name @returns {any} */
export function idOf(name: string): any;
export type Id = string | number;
