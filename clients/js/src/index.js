export { Client, connect } from './client.js';
export { ParlorError } from './errors.js';
export { memoryOutbox, Ticket } from './outbox.js';
export { Room } from './room.js';
export { Stream } from './stream.js';
export { Presence } from './presence.js';

/** Each tab has a connection of its own. @returns {undefined} */
export const eachTab = () => undefined;
