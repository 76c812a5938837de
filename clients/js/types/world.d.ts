/** @typedef {import('./env.js').Env} Env */
/** With the world's own of what is not replaced. @param {Env} env @returns {Env} */
export function wider(env: Env): Env;
export type Env = import("./env.js").Env;
