// The client for streams alone, against the real server: what it has is what the whole client has, and nothing comes to it
// that it cannot show.

import assert from 'node:assert/strict';
import { after, before, test as begin } from 'node:test';
import { connect as connectWhole } from '../src/index.js';
import { chatStoresOf } from '../src/chat-stores.js';
import { leaderTab } from '../src/leader.js';
import * as streams from '../src/streams.js';
import { WebSocket, browser, serve, until } from './support.js';

const STREAMS = 'streams={ board = { publish = true }, log = { keep = 100, publish = true } }';
const options = { backoff: { min: 20, max: 100 }, quality: { interval: 0 } };
// What is tried for ever would hold these tests for ever.
const test = (name, fn) => begin(name, { timeout: 30_000 }, fn);
const clients = new Set();
let server;
let writer;

function made(connect, user, more = {}) {
  const client = connect(`${server.url}/ws?user=${user}`, { ...options, ...more, env: { WebSocket, ...more.env } });
  clients.add(client);
  return client;
}

before(async () => {
  server = await serve('--set', STREAMS, '--set', 'limits.requests_per_second=1000', '--set', 'limits.burst=1000');
  writer = made(connectWhole, 'writer');
  await writer.ready();
});
after(() => {
  for (const client of clients) client.close();
  server?.end();
});

test('it watches, publishes and goes on without a hole after a loss', async () => {
  const sockets = [];
  class Kept extends WebSocket {
    constructor(url) {
      super(url);
      sockets.push(this);
    }
  }
  const client = made(streams.connect, 'ada', { env: { WebSocket: Kept } });
  assert.ok(client instanceof streams.StreamsClient);
  assert.equal(client.state.name, 'connecting');
  const seen = [];
  client.stream('log').on((data) => seen.push(data));
  await client.ready();
  await writer.stream('log').publish(1);
  await until(() => seen.length === 1);
  sockets.at(-1).terminate();
  await until(() => client.why().some(({ state }) => state === 'waiting'));
  for (const n of [2, 3]) await writer.stream('log').publish(n);
  const { seq } = await client.stream('log').publish(4, { id: 'fourth' });
  assert.equal((await client.stream('log').publish(4, { id: 'fourth' })).duplicate, true);
  await until(() => seen.length === 4);
  assert.deepEqual([seen, client.stream('log').latest.seq], [[1, 2, 3, 4], seq]);
  assert.deepEqual([client.snapshot().user.id, client.hello.user.id, client.snapshot().limits.page], ['ada', 'ada', 200]);
  assert.equal(client.snapshot(), client.snapshot());
  client.close();
  assert.equal(client.state.name, 'closed');
  client.retryNow();
  await client.ready();
});

test('of the rooms of its user nothing comes, and pushes and requests of the application do', async () => {
  const ada = made(connectWhole, 'cy');
  await ada.room('tea', { join: true }).join();
  const client = made(streams.connect, 'cy');
  const pushed = [];
  for (const type of ['chat:message', 'chat:typing', 'room:joined', 'event']) client.on(type, () => pushed.push(type));
  client.stream('board').on(() => {});
  await client.ready();
  await writer.room('tea').join();
  await writer.room('tea').send('hello');
  await until(() => ada.room('tea').last >= 3);
  await client.stream('board').publish({ n: 1 });
  await until(() => client.stream('board').latest);
  assert.deepEqual(pushed, ['event']);
  assert.ok((await client.request('room:list')).rooms.length > 0);
  await assert.rejects(client.request('no:such'), { code: 'unknown_type' });
  assert.equal(client.send('chat:typing', { room: 'tea' }), true);
});

test('what components would show of rooms says that it has none', () => {
  const client = made(streams.connect, 'dan');
  assert.throws(() => chatStoresOf(client), { code: 'not_ready', message: /^a client for streams alone has no rooms/ });
  client.close();
});

test('in tabs with one connection it stands beside the whole client, whoever leads', async () => {
  for (const order of [[streams.connect, connectWhole], [connectWhole, streams.connect]]) {
    let sockets = 0;
    const { tab } = browser(() => (sockets += 1));
    const two = order.map((connect, at) => {
      const client = connect(`${server.url}/ws?user=tabs`, { ...options, tabs: leaderTab(), env: tab().env });
      clients.add(client);
      client.stream('board').on(() => {});
      return { client, at };
    });
    await Promise.all(two.map(({ client }) => client.ready()));
    const whole = two.map(({ client }) => client).find((client) => 'room' in client);
    const room = whole.room('den', { join: true });
    const heard = [];
    await until(() => room.membership === 'member');
    room.on('message', ({ text }) => heard.push(text));
    await writer.room('den').join();
    await writer.room('den').send('hello');
    const { seq } = await writer.stream('board').publish({ n: 2 });
    await until(() => heard.length === 1 && two.every(({ client }) => client.stream('board').latest?.seq === seq));
    assert.equal(sockets, 1);
    for (const { client } of two) client.close();
  }
});
