// A free port for a server of a test, which no other test gets meanwhile.

import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

/** Below those that Linux gives to outgoing connections: one of these could take the port while its server is away. */
const SERVER_PORTS = { from: 20_000, to: 32_000 };

/**
 * A server that restarts leaves its port for a moment. So the newest ports of this process are taken for UDP, too, as tests/clients/harness.py does: the
 * servers of tests before these have ended.
 */
const held = [];
const HELD_MAX = 256;

export async function freePort() {
  for (;;) {
    const port = SERVER_PORTS.from + Math.floor(Math.random() * (SERVER_PORTS.to - SERVER_PORTS.from));
    const holder = await taken(port);
    if (!holder) continue;
    if (await isFree(port)) {
      held.push(holder);
      if (held.length > HELD_MAX) held.shift().close();
      return port;
    }
    holder.close();
  }
}

function taken(port) {
  return new Promise((resolve) => {
    const holder = createSocket('udp4');
    holder.on('error', () => resolve(null));
    holder.bind({ port, address: '127.0.0.1', exclusive: true }, () => resolve(holder));
    holder.unref();
  });
}

function isFree(port) {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.on('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
