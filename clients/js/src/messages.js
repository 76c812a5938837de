// The messages of a type, each once. Room entries are delivered as the room does: in order and without a gap, including
// missed ones from the history; all other messages as they arrive.

import { ENTRY, isEntry } from './entries.js';

/** @typedef {import('./base.js').BaseClient} BaseClient */

/**
 * Listens to all messages of a type, of the wire's own ones or of the application's: also those that a program sends
 * under a name of the wire's.
 * @param {BaseClient} client
 * @param {string} type
 * @param {(payload: any) => void} fn
 * @param {{ signal?: AbortSignal }} [options]
 * @returns {() => void} ends it
 */
export function onMessage(client, type, fn, options) {
  const [, kind] = ENTRY.exec(type) ?? [];
  if (!kind) return client.on(type, fn, options);
  const offs = [
    client.on('rooms', (change) => change?.what === 'entry' && change.value.type === kind && fn(change.value), options),
    client.on(type, (payload) => isEntry(payload) || fn(payload), options),
  ];
  return () => offs.forEach((off) => off());
}
