// The environment of optional parts: a page that does not use them does not load it.

/** @typedef {import('./env.js').Env} Env */

/** With the world's own of what is not replaced. @param {Env} env @returns {Env} */
export function wider(env) {
  const world = /** @type {any} */ (globalThis);
  const { BroadcastChannel, indexedDB } = world;
  return { locks: world.navigator?.locks, BroadcastChannel, indexedDB, fetch: world.fetch?.bind(world), ...env };
}
