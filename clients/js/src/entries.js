// Pushed entries of rooms' logs.

/** Their types. */
export const ENTRY = /^(?:chat|room):(message|edited|deleted|reacted|joined|left)$/;

/** Whether a push is an entry of a room's log: such a one has these, and nothing else has them all. @param {any} payload */
export const isEntry = (payload) => ['room', 'seq', 'ts'].every((name) => payload?.[name] !== undefined);
