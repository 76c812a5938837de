// ws on Node. `node server.mjs ADDRESS:PORT [--deflate]`; each message comes back on any path but
// these: on `/all` it goes to all connections there, and on `/u/K` a text `K BODY` goes to all
// connections on `/u/K`, as `BODY`.

import { WebSocketServer } from 'ws';

const [address = '127.0.0.1:9001', option] = process.argv.slice(2);
const [host, port] = address.split(':');
const perMessageDeflate =
  option === '--deflate' && { serverNoContextTakeover: true, clientNoContextTakeover: true };
const server = new WebSocketServer({
  host,
  port: Number(port),
  backlog: 4096,
  perMessageDeflate,
  maxPayload: 16 * 1024 * 1024,
});

const everybody = new Set();
const users = new Map();

// Sends what one read has brought together: a socket is corked with its first message, and all are
// uncorked when what was read has been handled.
const corked = new Set();
function send(connection, data, options) {
  const { socket } = connection;
  if (!corked.has(socket)) {
    if (corked.size === 0) process.nextTick(uncorkAll);
    corked.add(socket);
    socket.cork();
  }
  connection.webSocket.send(data, options);
}
function uncorkAll() {
  for (const socket of corked) socket.uncork();
  corked.clear();
}

const BINARY = { binary: true };
const TEXT = { binary: false };
const SPACE = 0x20;

server.on('connection', (webSocket, request) => {
  const connection = { webSocket, socket: request.socket };
  webSocket.on('error', () => {});
  if (request.url.startsWith('/u/')) {
    const user = request.url.slice('/u/'.length);
    const connections = users.get(user) ?? new Set();
    users.set(user, connections.add(connection));
    webSocket.on('close', () => connections.delete(connection));
    webSocket.on('message', (data, isBinary) => {
      const space = data.indexOf(SPACE);
      const recipients = users.get(data.toString('latin1', 0, space));
      const body = data.subarray(space + 1);
      for (const recipient of recipients ?? []) send(recipient, body, isBinary ? BINARY : TEXT);
    });
  } else if (request.url === '/all') {
    everybody.add(connection);
    webSocket.on('close', () => everybody.delete(connection));
    webSocket.on('message', (data, isBinary) => {
      for (const recipient of everybody) send(recipient, data, isBinary ? BINARY : TEXT);
    });
  } else {
    webSocket.on('message', (data, isBinary) => send(connection, data, isBinary ? BINARY : TEXT));
  }
});
