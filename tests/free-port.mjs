// A free port for a server of a test.

import { createServer } from 'node:net';

/** Below those that Linux gives to outgoing connections: one of these could take the port while its server is away. */
const SERVER_PORTS = { from: 20_000, to: 32_000 };

export async function freePort() {
  for (;;) {
    const port = SERVER_PORTS.from + Math.floor(Math.random() * (SERVER_PORTS.to - SERVER_PORTS.from));
    if (await isFree(port)) return port;
  }
}

function isFree(port) {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.on('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
