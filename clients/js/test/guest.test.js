// Each entry of the package as a guest, against the real server: public streams come, all else is refused once, and
// nothing is tried for ever.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test as begin } from 'node:test';
import { setTimeout as rest } from 'node:timers/promises';
import { connect } from '../src/index.js';
import { indexedDbOutbox } from '../src/indexeddb.js';
import { leaderTab } from '../src/leader.js';
import { reliable } from '../src/reliable.js';
import { WebSocketService } from '../src/service.js';
import { connect as connectStreams } from '../src/streams.js';
import { Transcript } from '../src/transcript.js';
import { WebSocket, browser, serve, until } from './support.js';

const SECRET = 'a secret of more than thirty-two bytes';
const STREAMS = `streams={
  board = { read = "public", publish = true, path = "/board" }, events = { read = "public", keep = 100, publish = true }, staff = { publish = true }, fed = { read = "public", publish = true, stale_ms = 300 } }`;
const backoff = { min: 20, max: 100 };
// What is tried for ever would hold these tests for ever.
const test = (name, fn) => begin(name, { timeout: 30_000 }, fn);
const clients = new Set();
let server;
let directory;
let operator;

/** A token for the server of these tests. */
function token(user, more = {}) {
  const encoded = (part) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const text = `${encoded({ alg: 'HS256', typ: 'JWT' })}.${encoded({ sub: user, exp: Math.floor(Date.now() / 1_000) + 600, ...more })}`;
  return `${text}.${createHmac('sha256', SECRET).update(text).digest('base64url')}`;
}

before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'parlor-guest-'));
  writeFileSync(join(directory, 'secret'), SECRET);
  const settings = [STREAMS, 'auth.anonymous=true', 'limits.requests_per_second=1000', 'limits.burst=1000'];
  server = await serve('--secret-file', join(directory, 'secret'), ...settings.flatMap((setting) => ['--set', setting.replace(/\s+/g, ' ')]));
  operator = connect(`${server.url}/ws`, { token: () => token('operator', { admin: true, streams: { publish: ['*'] } }), backoff, env: { WebSocket } });
  await operator.ready();
});
after(() => {
  operator?.close();
  for (const client of clients) client.close();
  server?.end();
  if (directory) rmSync(directory, { recursive: true });
});

/** A guest, whose connections are counted and can be cut. */
function guest({ connect: by = connect, ...options } = {}) {
  const sockets = [];
  class Counted extends WebSocket {
    heard = [];
    constructor(url) {
      super(url);
      sockets.push(this);
    }
    send(text) {
      this.heard.push(JSON.parse(text).type);
      super.send(text);
    }
  }
  const env = { WebSocket: Counted, ...options.env };
  const client = by(`${server.url}/ws?anonymous=1`, { backoff, quality: { interval: 0 }, ...options, env });
  clients.add(client);
  return { client, sockets, cut: () => sockets.at(-1).terminate(), asked: (type) => sockets.flatMap(({ heard }) => heard).filter((one) => one === type).length };
}

/** What a stream has told, and where something was missing. */
function watched(client, name = 'board') {
  const told = [];
  client.stream(name).on((data) => told.push(data));
  client.stream(name).on('gap', ({ reason }) => told.push(reason));
  return told;
}

const states = (client) => client.why().map(({ state }) => state);

test('a guest watches public streams, and goes on where it was after a loss', async () => {
  const { client, sockets, cut } = guest();
  const [board, events] = [watched(client), watched(client, 'events')];
  await operator.stream('board').publish({ n: 1 });
  for (const n of [1, 2]) await operator.stream('events').publish(n);
  await client.ready();
  assert.equal(client.snapshot().user.anonymous, true);
  await until(() => board.length === 1 && events.length === 2, 'what is there');
  const { latest } = client.stream('board');
  let emptied = 0;
  client.on('stream', () => client.stream('board').latest ?? (emptied += 1));
  cut();
  await until(() => states(client).includes('waiting'), 'the loss');
  const first = await operator.stream('events').publish(3, { id: 'third' });
  assert.deepEqual(await operator.stream('events').publish(3, { id: 'third' }), { ...first, duplicate: true });
  await until(() => events.length === 3, 'what was missed');
  // Another connection is another guest to the server, and the same one to who looks.
  assert.deepEqual([client.stream('board').latest, emptied], [latest, 0]);
  assert.deepEqual(events, [1, 2, 3]);
  assert.deepEqual(states(client).filter((name) => name === 'online').length, 2);
  assert.equal(sockets.length, 2);
  await rest(500);
  assert.equal(client.state.name, 'online');
  assert.equal(sockets.length, 2);
  client.close();
});

test('so does one with the client for streams alone', async () => {
  const { client, sockets, cut, asked } = guest({ connect: connectStreams });
  const board = watched(client);
  const refused = [];
  client.stream('staff').on(() => {});
  client.stream('staff').on('refused', ({ code }) => refused.push(code));
  await operator.stream('board').publish({ n: 'alone' });
  await client.ready();
  await until(() => board.at(-1)?.n === 'alone', 'what is there');
  cut();
  await until(() => states(client).includes('waiting'), 'the loss');
  await operator.stream('board').publish({ n: 'again' });
  await until(() => board.at(-1)?.n === 'again', 'what was missed');
  await rest(500);
  assert.deepEqual([client.state.name, sockets.length, asked('resume'), refused], ['online', 2, 0, ['forbidden', 'forbidden']]);
  client.close();
});

test('all else is refused once, and says so', async () => {
  const { client, sockets, asked } = guest();
  const room = client.room('tea', { join: true });
  const transcript = new Transcript(client, 'tea');
  const here = [];
  client.presence.on((value) => here.push(value.refusal?.code));
  const refused = [];
  client.stream('staff').on(() => {});
  client.stream('staff').on('refused', ({ code }) => refused.push(code));
  const ticket = room.send('hello');
  await client.ready();
  await assert.rejects(client.presence.list(), { code: 'forbidden' });
  await assert.rejects(ticket, { code: 'forbidden' });
  await assert.rejects(client.room('other').join(), { code: 'forbidden' });
  await assert.rejects(client.request('chat:history', { room: 'tea' }), { code: 'forbidden' });
  await until(() => refused.length === 1, 'the refusal');
  await rest(2_500);
  assert.deepEqual([room.membership, room.refusal.code, ticket.status, refused], ['refused', 'forbidden', 'failed', ['forbidden']]);
  assert.deepEqual(here, ['forbidden']);
  assert.equal(client.presence.value.refusal.code, 'forbidden');
  assert.deepEqual(transcript.snapshot().rows.map(({ text, status }) => [text, status]), [['hello', 'failed']]);
  assert.deepEqual([sockets.length, client.state.name], [1, 'online']);
  assert.deepEqual([asked('resume'), asked('chat:send'), asked('subscribe'), asked('room:join')], [0, 1, 1, 2]);
  // One for the list that is awaited, at most one for who listens.
  assert.ok(asked('presence:list') <= 2, String(asked('presence:list')));
  transcript.close();
  client.close();
});

test('where no WebSocket opens it is the same by events and calls', async () => {
  class Blocked {
    constructor() {
      setTimeout(() => this.onclose?.({ code: 1006 }), 1);
    }
    close() {}
  }
  const { client } = guest({ fallback: 'sse', env: { WebSocket: Blocked } });
  const board = watched(client);
  await operator.stream('board').publish({ n: 'events' });
  await client.ready();
  assert.equal(client.state.via, 'sse');
  await until(() => board.at(-1)?.n === 'events', 'the stream');
  await assert.rejects(client.presence.list(), { code: 'forbidden' });
  await assert.rejects(client.room('tea').join(), { code: 'forbidden' });
  await assert.rejects(client.room('tea').send('hello'), { code: 'forbidden' });
  await operator.stream('board').publish({ n: 'later' });
  await until(() => board.at(-1)?.n === 'later', 'what came later');
  assert.equal(states(client).filter((name) => name === 'online').length, 1);
  client.close();
});

test('tabs with one connection watch as guests, too', async () => {
  let sockets = 0;
  const { tab } = browser(() => (sockets += 1));
  const tabs = [1, 2].map(() => ({ client: connect(`${server.url}/ws?anonymous=1`, { tabs: leaderTab(), backoff, env: tab().env }) }));
  for (const { client } of tabs) clients.add(client);
  const boards = tabs.map(({ client }) => watched(client));
  await operator.stream('board').publish({ n: 'tabs' });
  await Promise.all(tabs.map(({ client }) => client.ready()));
  await until(() => boards.every((board) => board.at(-1)?.n === 'tabs'), 'the stream');
  await rest(500);
  assert.deepEqual(tabs.map(({ client }) => states(client).filter((name) => name === 'online').length), [1, 1]);
  assert.equal(sockets, 1);
  for (const { client } of tabs) client.close();
});

test('a service is a guest until it has a token, and again without one', async () => {
  const service = new WebSocketService({ url: `${server.url}/ws?anonymous=1`, backoff, env: { WebSocket } });
  await service.connect();
  assert.equal(service.client.hello.user.anonymous, true);
  const guestBoard = watched(service.client);
  await until(() => guestBoard.length > 0, 'the stream');
  assert.equal(service.sendTypingIndicator('tea'), true);
  service.sendChatMessage('tea', 'hello');
  await until(() => service.client.unsent[0]?.status === 'failed', 'the refusal');
  await service.connect(token('ada'));
  assert.deepEqual([service.client.hello.user.id, service.client.hello.user.anonymous, service.client.unsent], ['ada', undefined, []]);
  service.disconnect();
  await service.connect();
  assert.equal(service.client.hello.user.anonymous, true);
  service.disconnect();
});

test('one client is a guest for as long as there is no token, and nothing of one is the other\'s', async () => {
  let signedIn = null;
  const { client } = guest({ token: () => signedIn });
  const board = watched(client);
  await client.ready();
  assert.equal(client.hello.user.anonymous, true);
  await until(() => board.length > 0, 'the stream');
  signedIn = token('eve', { iat: Math.floor(Date.now() / 1_000) - 60 });
  client.pause();
  const early = client.room('tea').send('of a guest');
  client.retryNow();
  await client.ready();
  // It is no word of eve's: neither sent nor shown as hers.
  assert.deepEqual([client.hello.user.id, early.status, client.unsent], ['eve', 'queued', []]);
  const room = client.room('parlour', { join: true });
  await room.send('of eve');
  // Signed out elsewhere: it is asked for a token, and there is none.
  signedIn = null;
  await operator.request('auth:revoke', { user: 'eve' });
  await until(() => client.hello?.user.anonymous && client.state.name === 'online', 'a guest again');
  assert.equal(client.room('parlour').membership, 'none');
  await operator.stream('board').publish({ n: 'signed out' });
  await until(() => board.at(-1)?.n === 'signed out', 'the stream');
  client.close();
});

test('a guest leaves nothing in the outbox that another would send', async () => {
  const kept = new Map();
  const opened = [];
  const outbox = { open: async (user) => void opened.push(user), put: (one) => kept.set(one.id, one), remove: (id) => kept.delete(id), close() {} };
  const { client } = guest({ outbox });
  const early = client.room('tea').send('before it is known who one is');
  await assert.rejects(early, { code: 'forbidden' });
  await assert.rejects(client.room('tea').send('after'), { code: 'forbidden' });
  assert.deepEqual([opened, [...kept.values()]], [[], []]);
  client.close();
  // In a world without IndexedDB that of the package says so once, and is in nobody's way.
  const reported = [];
  const other = guest({ outbox: indexedDbOutbox({ env: { indexedDB: undefined } }), env: { report: (error) => reported.push(error) } });
  await other.client.ready();
  assert.deepEqual(reported, []);
  other.client.close();
});

test('a plain WebSocket has a public stream\'s own path', async () => {
  const socket = reliable(`${server.url}/board`, { env: { WebSocket } });
  const told = [];
  socket.on('message', (message) => told.push(message));
  await operator.stream('board').publish({ n: 'plain' });
  await until(() => told.at(-1)?.data.n === 'plain', 'the stream');
  socket.close();
});

test('a guest comes back after the server was away', async () => {
  const { client } = guest();
  const board = watched(client);
  await client.ready();
  await server.restart();
  await operator.ready();
  await operator.stream('board').publish({ n: 'after' });
  await until(() => board.at(-1)?.n === 'after', 'the stream');
  assert.equal(client.state.name, 'online');
  client.close();
});

test('a stream that nobody feeds any more is stale, and is not when it is fed again', async () => {
  await operator.stream('fed').publish({ n: 1 });
  const { client } = guest();
  const fed = client.stream('fed');
  const told = [];
  fed.on('stale', (stale) => told.push(stale));
  fed.on(() => {});
  await until(() => fed.stale);
  const { since, ageMs } = fed.stale;
  assert.ok(ageMs >= 300 && since <= Date.now() - 250, JSON.stringify(fed.stale));
  assert.deepEqual(fed.latest.data, { n: 1 });
  const late = guest().client.stream('fed');
  late.on(() => {});
  await until(() => late.stale);
  assert.equal(late.stale.since, since);
  await operator.stream('fed').publish({ n: 2 });
  await until(() => fed.latest.data.n === 2 && late.latest?.data.n === 2);
  assert.deepEqual([fed.stale, late.stale], [null, null]);
  assert.deepEqual(told, [{ since, ageMs }, null]);
});
