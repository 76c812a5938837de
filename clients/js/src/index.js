export { Client, connect } from './client.js';
export { ParlorError } from './errors.js';
export { memoryOutbox, Ticket } from './outbox.js';
export { Room } from './room.js';
export { Stream } from './stream.js';
export { Presence } from './presence.js';

/** Each tab has a connection of its own. @returns {undefined} */
export function eachTab() {}

// The types that users of the client write down.
/** @typedef {import('./client.js').Options} Options */
/** @typedef {import('./client.js').Snapshot} Snapshot */
/** @typedef {import('./client.js').RoomSnapshot} RoomSnapshot */
/** @typedef {import('./connection.js').State} State */
/** @typedef {import('./connection.js').Step} Step */
/** @typedef {import('./connection.js').Quality} Quality */
/** @typedef {import('./connection.js').TokenSource} TokenSource */
/** @typedef {import('./env.js').Env} Env */
/** @typedef {import('./outbox.js').OutboxStore} OutboxStore */
/** @typedef {import('./outbox.js').Status} Status */
/** @typedef {import('./presence.js').Presences} Presences */
/** @typedef {import('./requests.js').AskOptions} AskOptions */
/** @typedef {import('./wire.js').Entry} Entry */
/** @typedef {import('./wire.js').MessageEntry} MessageEntry */
/** @typedef {import('./room.js').RoomEvents} RoomEvents */
/** @typedef {import('./room.js').Gap} Gap */
/** @typedef {import('./room.js').From} From */
/** @typedef {import('./stream.js').StreamOptions} StreamOptions */
/** @typedef {import('./wire.js').Events} Events */
/** @typedef {import('./wire.js').Requests} Requests */
/** @typedef {import('./wire.js').Hello} Hello */
/** @typedef {import('./wire.js').Notice} Notice */
