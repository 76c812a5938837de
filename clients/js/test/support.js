// A server for those who need the real one: found, started on a port of its own, and ended with the process.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { setTimeout as rest } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ROOT = new URL('../../../', import.meta.url);
export const BINARY = process.env.PARLOR_BIN ?? fileURLToPath(new URL('target/release/parlor', ROOT));
/** What Node.js 20 has none of. */
export const { WebSocket } = createRequire(new URL('tests/', ROOT))('ws');

export function freePort() {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

/** @param {...string} more arguments of `parlor serve` */
export async function serve(...more) {
  assert.ok(existsSync(BINARY), `${BINARY} is missing: cargo build --release, or set PARLOR_BIN`);
  const port = await freePort();
  // Its own variables have this prefix, and an unknown one is an error.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('PARLOR_')));
  const args = ['serve', '--listen', `127.0.0.1:${port}`, '--data', ':memory:', '--log', 'error', ...more];
  const child = spawn(BINARY, args, { stdio: ['ignore', 'ignore', 'inherit'], env });
  const end = (/** @type {NodeJS.Signals} */ signal = 'SIGKILL') => child.kill(signal);
  process.on('exit', () => end());
  const url = `http://127.0.0.1:${port}`;
  while (!(await fetch(`${url}/healthz`).catch(() => null))?.ok) {
    assert.equal(child.exitCode, null, 'the server ended');
    await rest(10);
  }
  return { url, end };
}
