// Streams, and who is here, against a fake server and clock.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from '../src/index.js';
import { Stream } from '../src/stream.js';
import { fakeServer } from '../src/testing.js';
import { begin } from './fake.js';

test('who is here is listed and followed', async () => {
  const { client, server, clock } = begin();
  const seen = [];
  client.presence.on(({ users, count, counted }) => seen.push(counted ? count : users.map(({ user }) => user).join()));
  await clock.advance(100);
  server.push('user:online', { users: ['bob'], version: 2 });
  server.push('user:offline', { users: ['ada'], version: 2 });
  await clock.advance(10);
  server.push('user:offline', { users: ['bob'], version: 3 });
  await clock.advance(10);
  server.push('user:count', { online: 700, version: 4 });
  await clock.advance(10);
  assert.deepEqual(seen, ['ada', 'ada,bob', 'ada', 700]);
});

test('a list of pages that begins with nothing changed misses nothing that comes meanwhile', async () => {
  const { client, server, clock } = begin();
  await clock.advance(100);
  server.faults.loseReplies = 2;
  const answer = async (payload) => {
    const { id } = server.sockets[0].heard.findLast(({ type }) => type === 'presence:list');
    server.sockets[0].say({ type: 'reply', id, payload });
    await clock.advance(10);
  };
  const listed = client.presence.list();
  await clock.advance(10);
  await answer({ users: [{ user: 'bob', name: 'Bob' }], version: 0, more: true });
  server.push('user:online', { users: ['ada'], version: 1 });
  await clock.advance(10);
  await answer({ users: [], version: 1, more: false });
  await listed;
  assert.deepEqual(client.presence.value.users.map(({ user }) => user), ['ada', 'bob']);
});

test('it is listed anew when the server says so, also at the version of the last change', async () => {
  const { client, server, clock } = begin();
  client.presence.on(() => {});
  await clock.advance(100);
  const lists = () => server.sockets[0].heard.filter(({ type }) => type === 'presence:list').length;
  server.push('user:online', { users: ['bob'], version: 2 });
  server.push('user:online', { reset: true, users: [], version: 2 });
  await clock.advance(10);
  assert.equal(lists(), 2);
  server.push('user:online', { reset: true, users: [], version: 0 });
  await clock.advance(10);
  assert.deepEqual([lists(), client.presence.value.users.map(({ user }) => user)], [2, ['ada']]);
});

test('what a program says of its own under such a name is its own', async () => {
  const { client, server, clock } = begin();
  const [seen, own] = [[], []];
  client.presence.on(({ users }) => seen.push(users.map(({ user }) => user).join()));
  client.on('user:online', (payload) => own.push(payload));
  await clock.advance(100);
  server.push('user:online', { userId: 2 });
  server.push('user:offline', { userId: 2 });
  server.push('chat:message', { content: 'hello' });
  server.push('user:online', { users: ['bob'], version: 2 });
  await clock.advance(10);
  assert.deepEqual([seen, own], [['ada', 'ada,bob'], [{ userId: 2 }, { users: ['bob'], version: 2 }]]);
});

test('a stream is watched while somebody listens, and goes on after a cut', async () => {
  const { client, server, clock, page } = begin();
  server.publish('state', 1);
  const stream = client.stream('state', { whenHidden: 'pause' });
  const seen = [];
  const off = stream.on((data) => seen.push(data));
  await clock.advance(100);
  server.publish('state', 2);
  await clock.advance(10);
  server.cut();
  server.publish('state', 3);
  await clock.advance(3_000);
  assert.deepEqual(seen, [1, 2, 3]);
  page.hide();
  await clock.advance(10);
  server.publish('state', 4);
  await clock.advance(10);
  assert.deepEqual(seen, [1, 2, 3]);
  page.show();
  await clock.advance(10);
  assert.deepEqual(seen, [1, 2, 3, 4]);
  off();
  await clock.advance(10);
  assert.equal(server.sockets[0].streams.size, 0);
});

test('who is here is told to who asks for it by the client, too', async () => {
  const { client, clock } = begin();
  await clock.advance(100);
  const told = [];
  client.on('presence', ({ users }) => told.push(users.length));
  await clock.advance(100);
  assert.deepEqual(told, [1]);
});

test('the data of a state may be an empty list', async () => {
  const { client, server, clock } = begin();
  server.publish('state', [1, 2]);
  const seen = [];
  client.stream('state').on((data) => seen.push(data));
  await clock.advance(100);
  server.cut();
  await clock.advance(10);
  server.publish('state', []);
  await clock.advance(2_000);
  assert.deepEqual(seen, [[1, 2], []]);
});

test('a stream that is refused in passing is asked for again', async () => {
  const { client, server, clock } = begin();
  server.publish('state', 1);
  server.refuse('subscribe', { code: 'unavailable', retry_after_ms: 500 });
  const seen = [];
  client.stream('state').on((data) => seen.push(data));
  await clock.advance(2_000);
  assert.deepEqual(seen, [1]);
});

test('what a stream told one user is not told to the next one', async () => {
  const server = fakeServer();
  let who = 'ada';
  const client = connect('http://host/ws', { token: () => `${who}.1`, backoff: { min: 10, max: 20 }, env: server.env });
  server.publish('state', 'of ada');
  const stream = client.stream('state');
  const off = stream.on(() => {});
  await server.clock.advance(100);
  assert.equal(stream.latest.data, 'of ada');
  off();
  who = 'bob';
  server.cut(4201);
  await server.clock.advance(1_000);
  assert.equal(client.hello.user.id, 'bob');
  assert.equal(stream.latest, null);
  const seen = [];
  stream.on((data) => seen.push(data));
  await server.clock.advance(100);
  assert.deepEqual(seen, ['of ada'], 'as the server tells it to bob');
  const { payload } = server.sockets[0].heard.findLast(({ type }) => type === 'subscribe');
  assert.equal(payload.since, undefined);
});

test('a client that is closed while it subscribes is not refused', async () => {
  const { client, server, clock } = begin({}, fakeServer({ limits: { requests_per_second: 1, burst: 3 } }));
  server.publish('state', 1);
  const stream = client.stream('state');
  const refusals = [];
  stream.on('refused', (error) => refusals.push(error.code));
  await clock.advance(100);
  client.request('ping').catch(() => {});
  const seen = [];
  stream.on((data) => seen.push(data));
  await clock.advance(10);
  client.close();
  await clock.advance(100);
  assert.deepEqual([refusals, stream.refusal], [[], null]);
  client.retryNow();
  await clock.advance(5_000);
  assert.deepEqual(seen, [1]);
});

test('of another life of a stream it is told, unless nothing was there before', async () => {
  const { client, server, clock } = begin();
  server.publish('old', 1);
  server.publish('empty', 0);
  server.forget();
  server.publish('old', 1);
  const told = [];
  for (const name of ['old', 'empty']) {
    client.stream(name).on((data) => told.push(`${name} ${data}`));
    client.stream(name).on('gap', ({ after, reason }) => told.push(`${name} gap ${after} ${reason}`));
  }
  await clock.advance(100);
  server.forget();
  server.cut();
  for (const name of ['old', 'empty']) server.publish(name, 2);
  await clock.advance(3_000);
  assert.deepEqual(told.sort(), ['empty 2', 'old 1', 'old 2', 'old gap 1 epoch_changed']);
});

for (const [when, wait] of [['at once', () => {}], ['a little later', () => Promise.resolve().then(() => {}).then(() => {})]]) {
  test(`what a shared connection tells before it answers leaves no hole, when the missing events come ${when}`, async () => {
    const answers = [];
    const core = {
      env: { report: assert.fail, setTimeout },
      connection: { isOnline: () => true, isHidden: () => false },
      changed() {},
      request: () => new Promise((resolve) => answers.push(resolve)),
    };
    const settled = () => new Promise((resolve) => setTimeout(resolve));
    const stream = new Stream('log', {}, core);
    const seen = [];
    stream.on((_, { seq }) => seen.push(seq));
    await settled();
    answers.shift()({ streams: [{ seq: 1, epoch: 'e', snapshot: [{ seq: 1, data: 1, ts: 1 }] }] });
    await settled();
    stream.lost();
    stream.settle();
    await settled();
    const event = (seq) => stream.push({ stream: 'log', seq, prev: seq - 1, data: seq, ts: seq });
    event(3);
    answers.shift()({ streams: [{ seq: 3, epoch: 'e', replayed: true }] });
    await wait();
    for (const seq of [2, 3, 4]) event(seq);
    await settled();
    assert.deepEqual(seen, [1, 2, 3, 4]);
  });
}
