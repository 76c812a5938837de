// Numeric names, for applications that number their users and conversations.

/** @typedef {string | number} Id */

/** A name as a number, if it is one that comes back as the same text. @param {string} name @returns {any} */
export function idOf(name) {
  const number = Number(name);
  return Number.isSafeInteger(number) && String(number) === name ? number : name;
}
