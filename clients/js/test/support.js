// What tests against the real server begin with: the server, and clients whose network fails when it is told to.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { setTimeout as rest } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connect } from '../src/index.js';
import { fakeBrowser } from '../src/testing.js';
import { freePort } from '../../../tests/free-port.mjs';

export { freePort };

const PATIENCE_MS = 20_000;
const ROOT = new URL('../../../', import.meta.url);
export const BINARY = process.env.PARLOR_BIN ?? fileURLToPath(new URL('target/release/parlor', ROOT));
/** What Node.js 20 has none of. */
export const { WebSocket } = createRequire(new URL('tests/', ROOT))('ws');

/** Waits until something holds, for 20 s at most. */
export async function until(holds, what = 'it') {
  const end = Date.now() + PATIENCE_MS;
  while (!(await holds())) {
    assert.ok(Date.now() < end, `${what} never came to be`);
    await rest(10);
  }
}

/** Numbers that look random, and are the same each time. */
export function chance(seed) {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** All of a room's log. */
export async function log(room) {
  const all = [];
  for (let after = 0, more = true; more; after = all.at(-1).seq) {
    const page = await room.history({ after });
    all.push(...page.entries);
    more = page.more;
  }
  return all;
}

/** A client whose sockets can be cut, and what it sends be changed, or lost, by `network.forge`. */
export function cuttable(url, user, options = {}) {
  const sockets = new Set();
  const network = { forge: undefined };
  class Cuttable extends WebSocket {
    constructor(at) {
      super(at);
      sockets.add(this);
      this.on('close', () => sockets.delete(this));
    }
    send(text) {
      if (!network.forge) return super.send(text);
      void network.forge(text).then((forged) => forged !== undefined && super.send(forged));
    }
  }
  const made = connect(`${url}/ws?user=${user}`, { backoff: { min: 5, max: 50 }, ...options, env: { WebSocket: Cuttable } });
  return Object.assign(made, { network, cut: () => sockets.forEach((socket) => socket.terminate()) });
}

/** A client for which no WebSocket opens; what goes by events and calls can be cut. */
export function behindFirewall(url, user, options = {}) {
  let ends = new AbortController();
  const network = { isOpen: false };
  class Blocked {
    constructor(at) {
      if (network.isOpen) return new WebSocket(at);
      setTimeout(() => this.onclose?.({ code: 1006 }), 1);
    }
    close() {}
  }
  const env = {
    WebSocket: Blocked,
    fetch: (at, how) => fetch(at, { ...how, signal: AbortSignal.any([how.signal, ends.signal]) }),
    // The minute after which a WebSocket is tried again.
    setTimeout: (fn, ms) => setTimeout(fn, ms === 60_000 ? 50 : ms),
  };
  const made = connect(`${url}/ws?user=${user}`, { backoff: { min: 5, max: 50 }, fallback: 'sse', quality: { interval: 0 }, ...options, env });
  const cut = () => (ends.abort(), (ends = new AbortController()));
  return Object.assign(made, { cut, network });
}

/** A browser whose tabs have real sockets and a real clock, and can end without a word. @param {() => void} [opened] called for each socket */
export function browser(opened = () => {}) {
  // What is set on it is called, as by the sockets of the kit.
  class Socket {
    constructor(url) {
      opened();
      this.below = new WebSocket(url);
      this.below.binaryType = 'arraybuffer';
      this.below.on('error', () => {});
      for (const name of ['open', 'message', 'close']) this.below.addEventListener(name, (event) => this[`on${name}`]?.(event));
    }
    get readyState() {
      return this.below.readyState;
    }
    send(text) {
      this.below.send(text);
    }
    close(code) {
      this.below.close(code);
    }
  }
  const clock = { now: Date.now, setTimeout, clearTimeout };
  return fakeBrowser({ clock, env: { ...clock, random: Math.random, WebSocket: Socket } });
}

/** Starts a server, in memory unless told otherwise. @param {...string} more arguments of `parlor serve` */
export async function serve(...more) {
  assert.ok(existsSync(BINARY), `${BINARY} is missing: cargo build --release, or set PARLOR_BIN`);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  // Its own variables have this prefix, and an unknown one is an error.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('PARLOR_')));
  const data = more.includes('--data') ? [] : ['--data', ':memory:'];
  const args = ['serve', '--listen', `127.0.0.1:${port}`, ...data, '--set', 'log.level=error', ...more];
  let child;
  const start = async () => {
    child = spawn(BINARY, args, { stdio: ['ignore', 'ignore', 'inherit'], env });
    await until(async () => {
      assert.equal(child.exitCode, null, 'the server ended');
      return (await fetch(`${url}/healthz`).catch(() => null))?.ok;
    }, 'the server');
  };
  process.on('exit', () => child.kill('SIGKILL'));
  await start();
  return {
    url,
    end: (/** @type {NodeJS.Signals} */ signal = 'SIGKILL') => child.kill(signal),
    /** Kills it, and starts it anew where it was. */
    async restart() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
      await start();
    },
  };
}
