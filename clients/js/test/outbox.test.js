// What is sent: tickets, through losses, refusals and changes of who one is, against a fake server and clock.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ParlorError, connect } from '../src/index.js';
import { fakeServer } from '../src/testing.js';
import { begin, transcript } from './fake.js';

test('what is sent is acknowledged, once and in order', async () => {
  const { client, clock, states } = begin();
  const room = client.room('tea', { join: true });
  const seen = transcript(room);
  const sent = ['one', 'two', 'three'].map((text) => room.send(text));
  assert.deepEqual(sent.map(({ status }) => status), ['queued', 'queued', 'queued']);
  await clock.advance(100);
  assert.deepEqual(states, ['authenticating', 'online']);
  assert.deepEqual(await Promise.all(sent.map(async (ticket) => (await ticket).seq)), [2, 3, 4]);
  assert.deepEqual(seen.slice(-3), ['2 one', '3 two', '4 three']);
  assert.deepEqual(client.unsent, []);
});

test('who closes before the answer to a join is refused by nobody', async () => {
  const { client, clock } = begin();
  const room = client.room('tea');
  const joins = room.join().catch(({ code }) => code);
  const ticket = room.send('kept');
  client.close();
  assert.equal(await joins, 'closed');
  await clock.advance(100);
  assert.equal(ticket.status, 'queued');
  assert.notEqual(room.membership, 'refused');
});

test('a reply that is lost is no second message', async () => {
  const { client, server, clock } = begin();
  const room = client.room('tea', { join: true });
  await clock.advance(100);
  server.faults.loseReplies = 1;
  const ticket = room.send('once');
  // One's own message is as good as the reply.
  await clock.advance(10);
  assert.equal(ticket.status, 'acked');
  assert.equal((await ticket).seq, 2);
  server.cut();
  await clock.advance(2_000);
  assert.equal(server.rooms.get('tea').head, 2);
});

test('what was under way at a cut goes again, with the same cid', async () => {
  const { client, server, clock } = begin();
  const room = client.room('tea', { join: true });
  await clock.advance(100);
  const tickets = ['1', '2', '3'].map((text) => room.send(text));
  server.cut();
  await clock.advance(5_000);
  assert.deepEqual(tickets.map(({ status, seq }) => `${status} ${seq}`), ['acked 2', 'acked 3', 'acked 4']);
  assert.equal(server.rooms.get('tea').head, 4);
});

test('a refusal that may pass is tried again, another fails and lets the next go', async () => {
  const { client, server, clock } = begin();
  const room = client.room('tea', { join: true });
  await clock.advance(100);
  server.refuse('chat:send', { code: 'unavailable' }, { code: 'unavailable' });
  const first = room.send('patient');
  await clock.advance(10_000);
  assert.equal(first.status, 'acked');
  server.refuse('chat:send', { code: 'forbidden' });
  const [second, third] = [room.send('no'), room.send('yes')];
  await clock.advance(100);
  assert.deepEqual([second.status, second.error.code, third.status], ['failed', 'forbidden', 'acked']);
  await assert.rejects(async () => second, { code: 'forbidden' });
  assert.deepEqual(room.unsent, [second]);
  assert.equal(second.retry(), true);
  await clock.advance(100);
  assert.equal((await second).seq, 4);
});

test('what waits can be taken back, and is too old one day', async () => {
  const { client, server, clock } = begin();
  const room = client.room('tea', { join: true });
  await clock.advance(100);
  server.faults.unreachable = true;
  server.cut();
  await clock.advance(10);
  const [taken, old] = [room.send('taken'), room.send('old')];
  assert.equal(taken.cancel(), true);
  await clock.advance(49 * 3_600_000);
  server.faults.unreachable = false;
  await clock.advance(60_000);
  assert.deepEqual([taken.status, old.status], ['cancelled', 'expired']);
  assert.equal(server.rooms.get('tea').head, 1);
});

test('nothing that one person has asked for is done in the name of another', async () => {
  const server = fakeServer({ limits: { requests_per_second: 1, burst: 4 } });
  let who = 'ada';
  const client = connect('http://host/ws', { token: () => `${who}.1`, backoff: { min: 10, max: 20 }, env: server.env });
  server.admit('tea', 'ada');
  server.admit('tea', 'bob');
  server.say('tea', 'eve', 'a');
  await server.clock.advance(100);
  const room = client.room('tea', { join: true });
  for (let n = 0; n < 3; n += 1) client.request('ping').catch(() => {});
  const ticket = room.send('of ada');
  room.markRead(1);
  who = 'bob';
  server.cut(4201);
  await server.clock.advance(20_000);
  assert.equal(client.hello.user.id, 'bob');
  assert.deepEqual([ticket.status, client.unsent], ['queued', []], 'it waits, and is not shown');
  const { entries, reads } = server.rooms.get('tea');
  const sent = () => entries.filter(({ type }) => type === 'chat:message').map(({ payload: { from, text } }) => `${from} ${text}`);
  assert.deepEqual(sent(), ['eve a']);
  assert.equal(reads.get('bob'), undefined);
  const other = client.room('tea').send('of bob');
  await server.clock.advance(5_000);
  assert.equal(other.status, 'acked');
  who = 'ada';
  server.cut(4201);
  await server.clock.advance(20_000);
  assert.equal(ticket.status, 'acked');
  assert.deepEqual(sent(), ['eve a', 'bob of bob', 'ada of ada']);
});

test('what is too old shows as such without a connection, and goes when it is asked to', async () => {
  const { client, server, clock } = begin();
  const room = client.room('tea', { join: true });
  await clock.advance(100);
  server.faults.unreachable = true;
  server.cut();
  await clock.advance(10);
  const [one, two] = [room.send('one'), room.send('two')];
  await clock.advance(49 * 3_600_000);
  assert.deepEqual([one.status, two.status, client.state.name === 'online'], ['expired', 'expired', false]);
  assert.deepEqual(client.unsent, [one, two]);
  assert.equal(two.cancel(), true);
  assert.equal(one.retry(), true);
  server.faults.unreachable = false;
  await clock.advance(60_000);
  assert.deepEqual([one.status, client.unsent], ['acked', []]);
});

test('more than is kept in one tab fails, is not kept, and may be tried again', async () => {
  const { client, server, clock } = begin();
  const room = client.room('tea');
  await clock.advance(100);
  server.faults.unreachable = true;
  server.cut();
  await clock.advance(10);
  const tickets = Array.from({ length: 10_001 }, (_, at) => room.send(String(at)));
  assert.deepEqual([tickets[9_999].status, tickets[10_000].status, tickets[10_000].error.code], ['queued', 'failed', 'outbox_full']);
  assert.equal(client.unsent.length, 10_000);
  assert.equal(tickets[0].cancel(), true);
  assert.equal(tickets[10_000].retry(), true);
  assert.deepEqual([tickets[10_000].status, client.unsent.at(-1)], ['queued', tickets[10_000]]);
});

test('what waits for the pace when a client is closed is unsent, and not refused', async () => {
  const stored = new Map();
  const outbox = { open: async () => {}, put: (kept) => stored.set(kept.id, kept), remove: (id) => stored.delete(id), close() {} };
  const server = fakeServer({ limits: { requests_per_second: 1, burst: 4 } });
  const { client, clock } = begin({ outbox }, server);
  server.admit('tea', 'ada');
  await clock.advance(100);
  for (let n = 0; n < 3; n += 1) client.request('ping').catch(() => {});
  const ticket = client.room('tea', { join: true }).send('later');
  await clock.advance(10);
  client.close();
  await clock.advance(100);
  assert.deepEqual([...stored.values()].map(({ text, failed }) => [text, failed]), [['later', undefined]]);
  assert.equal(ticket.status, 'queued');
  assert.equal(ticket.cancel(), false, 'it may have been sent');
  client.retryNow();
  await clock.advance(10_000);
  assert.equal(ticket.status, 'acked');
});

test('a code of the application\'s is no reason to try again', () => {
  for (const code of ['unavailable', 'rate_limited', 'internal']) {
    assert.equal(new ParlorError(code).passing, true, code);
    assert.equal(new ParlorError(code, { by: 'application' }).passing, false, code);
  }
});
