// An independent client, Node's `ws`, against examples/echo and against parlor: node --test.
// PARLOR_BIN and PARLOR_ECHO name other binaries than those in target/release.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freePort } from '../free-port.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PATIENCE_MS = 5_000;
const LIMIT = { timeout: 30_000 };

const { default: WebSocket } = await import('ws').catch(() => {
  throw new Error('the package ws is missing: npm ci --prefix tests');
});

function binary(variable, path, how) {
  const found = process.env[variable] || join(ROOT, path);
  if (!existsSync(found)) throw new Error(`${found} is missing: ${how}, or set ${variable}`);
  return found;
}

/** What a promise gives, or a failure that says what never came. */
function inTime(what, promise, ms = PATIENCE_MS) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A server of this test's own: ended by its own handle, and nothing else is. */
class Server {
  static async start(command, args, port, directory) {
    const server = new Server();
    server.port = port;
    server.directory = directory;
    server.said = '';
    // The server's variables are its configuration.
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('PARLOR_')));
    server.process = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [server.process.stdout, server.process.stderr]) {
      stream.on('data', (bytes) => (server.said += bytes));
    }
    server.ended = new Promise((resolve) => server.process.once('exit', resolve));
    for (const end = Date.now() + 10_000; ; await sleep(20)) {
      if (server.process.exitCode !== null) throw new Error(`the server ended at its start:\n${server.said}`);
      if (Date.now() > end) {
        await server.kill();
        throw new Error(`the server does not serve:\n${server.said}`);
      }
      if (await fetch(`http://127.0.0.1:${port}/healthz`).then(() => true, () => false)) return server;
    }
  }

  static async echo() {
    const command = binary('PARLOR_ECHO', 'target/release/examples/echo', 'cargo build --release --example echo');
    const port = await freePort();
    return Server.start(command, [`127.0.0.1:${port}`], port);
  }

  static async parlor({ directory = mkdtempSync(join(tmpdir(), 'parlor-ws-')), port, set = [] } = {}) {
    const command = binary('PARLOR_BIN', 'target/release/parlor', 'cargo build --release');
    port ??= await freePort();
    const values = ['limits.requests_per_second=10000', 'limits.burst=10000', ...set];
    const args = ['serve', '--listen', `127.0.0.1:${port}`, '--data', directory];
    return Server.start(command, [...args, ...values.flatMap((value) => ['--set', value])], port, directory);
  }

  async kill() {
    this.process.kill('SIGKILL');
    await this.ended;
  }

  async end() {
    await this.kill();
    if (this.directory) rmSync(this.directory, { recursive: true, force: true });
  }
}

/** A connection whose messages are taken one by one. */
class Client {
  static async open(server, path = '/', options = {}) {
    const { protocols = [], ...rest } = options;
    const client = new Client();
    client.messages = [];
    client.waiting = [];
    client.pongs = [];
    client.socket = new WebSocket(`ws://127.0.0.1:${server.port}${path}`, protocols, {
      perMessageDeflate: false,
      handshakeTimeout: PATIENCE_MS,
      ...rest,
    });
    client.socket.on('message', (data, isBinary) => {
      client.messages.push(isBinary ? data : data.toString());
      client.waiting.shift()?.();
    });
    client.socket.on('pong', (data) => client.pongs.push(data.toString()));
    client.closed = new Promise((resolve) => {
      client.socket.once('close', (code, reason) => resolve({ code, reason: reason.toString() }));
    });
    await inTime('open', new Promise((resolve, reject) => {
      client.socket.once('open', resolve);
      client.socket.once('error', reject);
      client.socket.once('unexpected-response', (_, answer) => reject(new Error(`HTTP ${answer.statusCode}`)));
    }));
    client.socket.on('error', () => {});
    return client;
  }

  async next() {
    while (this.messages.length === 0) {
      await inTime('a message', new Promise((resolve) => this.waiting.push(resolve)));
    }
    return this.messages.shift();
  }

  async end() {
    this.socket.terminate();
    await this.closed;
  }
}

/** A user of parlor: requests wait for their answers, what is pushed meanwhile is kept. */
class Chat extends Client {
  static async enter(server, user, query = '') {
    const chat = Object.setPrototypeOf(await Client.open(server, `/ws?user=${user}${query}`), Chat.prototype);
    chat.pushes = [];
    chat.ids = 0;
    chat.hello = await chat.push('hello');
    return chat;
  }

  async request(type, payload = {}) {
    const id = `${type} ${++this.ids}`;
    this.socket.send(JSON.stringify({ type, id, payload }));
    for (;;) {
      const message = JSON.parse(await this.next());
      if (message.id !== id) {
        this.pushes.push(message);
      } else if (message.type === 'error') {
        throw Object.assign(new Error(message.payload.message), message.payload);
      } else {
        return message.payload;
      }
    }
  }

  async push(type) {
    for (;;) {
      const place = this.pushes.findIndex((message) => message.type === type);
      if (place >= 0) return this.pushes.splice(place, 1)[0].payload;
      this.pushes.push(JSON.parse(await this.next()));
    }
  }
}

/** Runs a test with clients that are ended after it, and with what the server said if it fails. */
function scene(name, server, run) {
  test(name, LIMIT, async () => {
    const clients = [];
    const keep = async (client) => {
      clients.push(await client);
      return client;
    };
    try {
      await run(keep);
    } catch (error) {
      error.message += `\nthe server said:\n${server()?.said.slice(-4_000)}`;
      throw error;
    } finally {
      await Promise.all(clients.map((client) => client.end()));
    }
  });
}

describe('ws and the echo server', () => {
  let server;
  before(async () => (server = await Server.echo()), LIMIT);
  after(() => server?.end());
  const here = () => server;

  scene('messages of every kind come back', here, async (keep) => {
    const client = await keep(Client.open(server));
    for (const message of ['Hello – 😀', '', 'x'.repeat(125), 'x'.repeat(126), 'x'.repeat(65_536)]) {
      client.socket.send(message);
      assert.equal(await client.next(), message);
    }
    for (const message of [Buffer.alloc(0), randomBytes(127), randomBytes(1_000_003)]) {
      client.socket.send(message);
      assert.deepEqual(await client.next(), message);
    }
  });

  scene('fragments are joined and pings between them answered', here, async (keep) => {
    const client = await keep(Client.open(server));
    client.socket.send('one ', { fin: false });
    client.socket.ping('within');
    client.socket.send('', { fin: false });
    client.socket.send('two', { fin: true });
    assert.equal(await client.next(), 'one two');
    assert.deepEqual(client.pongs, ['within']);
  });

  for (const offer of [
    true,
    { serverNoContextTakeover: true, clientNoContextTakeover: true },
    { serverMaxWindowBits: 9, clientMaxWindowBits: 10 },
    { serverMaxWindowBits: 12, clientNoContextTakeover: true, threshold: 0 },
  ]) {
    scene(`messages are compressed both ways with ${JSON.stringify(offer)}`, here, async (keep) => {
      const client = await keep(Client.open(server, '/', { perMessageDeflate: offer }));
      assert.match(client.socket.extensions, /^permessage-deflate/);
      for (const message of ['again and again '.repeat(1_000), 'short', '', 'x'.repeat(300_000), 'again and again '.repeat(9_000)]) {
        client.socket.send(message);
        assert.equal(await client.next(), message);
      }
      const noise = randomBytes(100_003);
      client.socket.send(noise);
      assert.deepEqual(await client.next(), noise);
      client.socket.send('frag', { fin: false });
      client.socket.send('ments '.repeat(1_000), { fin: true });
      assert.equal(await client.next(), `frag${'ments '.repeat(1_000)}`);
    });
  }

  scene('subprotocols that nobody speaks are not accepted', here, async () => {
    const opening = Client.open(server, '/', { protocols: ['soap'] });
    await assert.rejects(opening, /Server sent no subprotocol/);
  });

  for (const code of [1000, 1001, 1003, 1007, 1011, 3000, 4999]) {
    scene(`a close with ${code} is answered with it`, here, async (keep) => {
      const client = await keep(Client.open(server));
      client.socket.close(code, 'bye – bye');
      assert.equal((await inTime('the close', client.closed)).code, code);
    });
  }

  scene('a close without a code is answered', here, async (keep) => {
    const client = await keep(Client.open(server));
    client.socket.close();
    assert.ok([1000, 1005].includes((await inTime('the close', client.closed)).code));
  });

  scene('a broken frame is closed with 1002, and text that is none with 1007', here, async (keep) => {
    const reserved = await keep(Client.open(server));
    reserved.socket._socket.write(Buffer.from([0x83, 0x80, 0, 0, 0, 0]));
    assert.equal((await inTime('the close', reserved.closed)).code, 1002);
    const text = await keep(Client.open(server));
    text.socket.send(Buffer.from([0xff]), { binary: false });
    assert.equal((await inTime('the close', text.closed)).code, 1007);
  });

  scene('a message too large is closed with 1009', here, async (keep) => {
    const client = await keep(Client.open(server));
    // Its header alone: of what is sent after the Close a server reads only so much.
    const header = Buffer.from([0x82, 0xff, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0]);
    client.socket._socket.write(header);
    assert.equal((await inTime('the close', client.closed)).code, 1009);
  });
});

describe('ws and parlor', () => {
  let server;
  before(async () => (server = await Server.parlor()), LIMIT);
  after(() => server?.end());
  const here = () => server;

  scene('two people chat', here, async (keep) => {
    const ada = await keep(Chat.enter(server, 'ada'));
    const bob = await keep(Chat.enter(server, 'bob'));
    await ada.request('room:join', { room: 'lobby' });
    await bob.request('room:join', { room: 'lobby' });
    await ada.request('chat:typing', { room: 'lobby' });
    assert.deepEqual(await bob.push('chat:typing'), { room: 'lobby', user: 'ada', typing: true });
    const sent = await ada.request('chat:send', { room: 'lobby', text: 'Hello – 😀', data: { k: 1 }, cid: 'c' });
    const message = { room: 'lobby', seq: sent.seq, from: 'ada', text: 'Hello – 😀', data: { k: 1 }, ts: sent.ts };
    assert.deepEqual(await bob.push('chat:message'), message);
    assert.deepEqual(await ada.push('chat:message'), { ...message, cid: 'c' });
    const again = await ada.request('chat:send', { room: 'lobby', text: 'Hello – 😀', data: { k: 1 }, cid: 'c' });
    assert.deepEqual(again, { ...sent, duplicate: true });
    const page = await bob.request('chat:history', { room: 'lobby' });
    assert.deepEqual(page.entries.map((entry) => entry.type), ['room:joined', 'room:joined', 'chat:message']);
    assert.equal((await bob.request('chat:read', { room: 'lobby', seq: sent.seq })).unread, 0);
    assert.deepEqual(await ada.push('chat:read'), { room: 'lobby', user: 'bob', seq: sent.seq });
    const there = await ada.request('presence:list');
    assert.deepEqual(there.users.map(({ user }) => user), ['ada', 'bob']);
    await bob.request('room:leave', { room: 'lobby' });
    assert.equal((await ada.push('room:left')).user, 'bob');
    await assert.rejects(bob.request('chat:send', { room: 'lobby', text: '?' }), { code: 'not_member' });
  });

  scene('a request in fragments, with pings between them, is a request', here, async (keep) => {
    const ada = await keep(Chat.enter(server, 'ada'));
    const text = JSON.stringify({ type: 'ping', id: 'pieces', payload: { x: 'é'.repeat(100) } });
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += 7) {
      const last = at + 7 >= bytes.length;
      ada.socket.send(bytes.subarray(at, at + 7), { binary: false, fin: last });
      ada.socket.ping(String(at));
    }
    for (;;) {
      const message = JSON.parse(await ada.next());
      if (message.id === 'pieces') break;
    }
    // RFC 6455 §5.5.3: of pings that wait, the newest may be answered alone.
    const last = String(bytes.length - 1 - ((bytes.length - 1) % 7));
    for (const end = Date.now() + PATIENCE_MS; ada.pongs.at(-1) !== last; await sleep(10)) {
      assert.ok(Date.now() < end, `the newest ping ${last} has no pong, but ${ada.pongs.at(-1)}`);
    }
  });

  scene('a binary message is refused and the connection stays', here, async (keep) => {
    const ada = await keep(Chat.enter(server, 'ada'));
    ada.socket.send(Buffer.from('{"type":"ping"}'));
    assert.equal((await ada.push('error')).code, 'bad_request');
    await ada.request('ping');
  });

  scene('a message too large is closed with 1009', here, async (keep) => {
    const ada = await keep(Chat.enter(server, 'ada'));
    ada.socket.send('x'.repeat(65_537));
    assert.equal((await inTime('the close', ada.closed)).code, 1009);
  });

  scene('nobody comes in without a name, or from another page', here, async () => {
    await assert.rejects(Client.open(server, '/ws'), /HTTP 401/);
    await assert.rejects(Client.open(server, '/ws?user=a%20b'), /HTTP 400/);
    await assert.rejects(Client.open(server, '/ws?user=ada', { origin: 'http://evil.example' }), /HTTP 403/);
    await assert.rejects(Client.open(server, '/nowhere?user=ada'), /HTTP 404/);
  });

  scene('a close is answered with its code', here, async (keep) => {
    const ada = await keep(Chat.enter(server, 'ada'));
    ada.socket.close(4321, 'enough');
    assert.equal((await inTime('the close', ada.closed)).code, 4321);
  });
});

test('one connection too many of a user is closed with 4004 and the reason told', LIMIT, async () => {
  const server = await Server.parlor({ set: ['limits.connections_per_user=1'] });
  try {
    const first = await Chat.enter(server, 'ada');
    const second = await Client.open(server, '/ws?user=ada');
    const { type, payload } = JSON.parse(await second.next());
    assert.deepEqual([type, payload.code, payload.close], ['error', 'too_many', 4004]);
    assert.equal((await inTime('the close', second.closed)).code, 4004);
    await first.end();
  } finally {
    await server.end();
  }
});

test('a client resumes after kill -9, and is closed with 1012 when the server restarts', LIMIT, async () => {
  let server = await Server.parlor();
  try {
    const ada = await Chat.enter(server, 'ada');
    await ada.request('room:join', { room: 'lobby' });
    for (let number = 0; number < 20; number += 1) {
      await ada.request('chat:send', { room: 'lobby', text: String(number) });
    }
    await server.kill();
    assert.equal((await inTime('the end', ada.closed)).code, 1006);
    server = await Server.parlor({ directory: server.directory, port: server.port });
    const again = await Chat.enter(server, 'ada', '&resume=1');
    assert.equal(again.hello.epoch, ada.hello.epoch);
    const resumed = await again.request('resume', { epoch: ada.hello.epoch, rooms: { lobby: 11 } });
    assert.deepEqual(resumed, { rooms: { lobby: { from: 11, head: 21 } }, refused: {} });
    for (let seq = 12; seq <= 21; seq += 1) {
      const message = await again.push('chat:message');
      assert.deepEqual([message.seq, message.text], [seq, String(seq - 2)]);
    }
    server.process.kill('SIGTERM');
    const { code, spread_ms: spread } = await again.push('notice');
    assert.deepEqual([code, spread >= 1000], ['draining', true]);
    assert.equal((await inTime('the close', again.closed)).code, 1012);
    assert.equal(await inTime('the end of the process', server.ended), 0);
  } finally {
    await server.end();
  }
});
