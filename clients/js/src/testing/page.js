// A clock that advances on command, and a page that is visible or hidden.

/** A clock that stands still until it is advanced. */
export function fakeClock(start = 1_750_000_000_000) {
  let now = start;
  let lastId = 0;
  /** @type {Map<number, { at: number, fn: () => void }>} */
  const timers = new Map();
  // Pending promises settle before the clock advances.
  const { setImmediate: soon = (/** @type {() => void} */ fn) => setTimeout(fn, 0) } = /** @type {any} */ (globalThis);
  const settle = () => new Promise((resolve) => void soon(resolve));
  return {
    now: () => now,
    setTimeout: (/** @type {() => void} */ fn, /** @type {number} */ ms) => {
      timers.set((lastId += 1), { at: now + Math.max(0, ms), fn });
      return lastId;
    },
    clearTimeout: (/** @type {number} */ id) => void timers.delete(id),
    /** How many timers there are. */
    pending: () => timers.size,
    settle,
    /** Lets so many ms pass, and all happen that is due in them. @param {number} ms */
    async advance(ms) {
      const end = now + ms;
      await settle();
      for (;;) {
        const next = [...timers].filter(([, { at }]) => at <= end).sort((a, b) => a[1].at - b[1].at || a[0] - b[0])[0];
        if (!next) break;
        timers.delete(next[0]);
        now = Math.max(now, next[1].at);
        next[1].fn();
        await settle();
      }
      now = end;
      await settle();
    },
  };
}

/**
 * A page that is seen or hidden, in front or not: what `env` wants as `document` and `window`.
 */
export function fakePage() {
  const document = Object.assign(new EventTarget(), { visibilityState: 'visible' });
  const window = new EventTarget();
  return {
    document,
    window,
    /** @param {string} type @param {Record<string, any>} [members] */
    fire(type, members = {}) {
      const target = ['visibilitychange', 'resume', 'freeze'].includes(type) ? document : window;
      target.dispatchEvent(Object.assign(new Event(type), members));
    },
    hide() {
      document.visibilityState = 'hidden';
      this.fire('visibilitychange');
    },
    show() {
      document.visibilityState = 'visible';
      this.fire('visibilitychange');
    },
  };
}
