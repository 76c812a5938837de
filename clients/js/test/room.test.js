// What a room tells: each entry once, in order, without a hole, against a fake server and clock.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fakeServer } from '../src/testing.js';
import { begin, transcript } from './fake.js';

test('after a cut it comes back and has what it missed, without a hole', async () => {
  const { client, server, clock, states } = begin();
  const seen = transcript(client.room('tea', { join: true }));
  await clock.advance(100);
  server.say('tea', 'bob', 'a');
  await clock.advance(10);
  server.cut();
  await clock.advance(10);
  for (const text of ['b', 'c', 'd']) server.say('tea', 'bob', text);
  await clock.advance(2_000);
  server.say('tea', 'bob', 'e');
  await clock.advance(10);
  assert.deepEqual(seen.slice(-5), ['2 a', '3 b', '4 c', '5 d', '6 e']);
  assert.deepEqual(states, ['authenticating', 'online', 'waiting', 'connecting', 'authenticating', 'online']);
  assert.equal(client.snapshot().rooms[0].unread, 5);
});

test('where the log does not reach back there is one gap, and then what there is', async () => {
  const { client, server, clock } = begin({}, fakeServer({ keep: 3 }));
  const seen = transcript(client.room('tea', { join: true }));
  await clock.advance(100);
  server.cut();
  await clock.advance(10);
  for (let n = 0; n < 10; n += 1) server.say('tea', 'bob', String(n));
  await clock.advance(5_000);
  server.say('tea', 'bob', 'live');
  await clock.advance(10);
  assert.deepEqual(seen.slice(-5), ['gap 1-9 gone', '9 7', '10 8', '11 9', '12 live']);
});

test('of another life of the store nothing that was known holds', async () => {
  const { client, server, clock } = begin();
  const seen = transcript(client.room('tea', { join: true }));
  await clock.advance(100);
  server.say('tea', 'bob', 'before');
  await clock.advance(10);
  server.cut();
  server.forget();
  await clock.advance(5_000);
  server.say('tea', 'bob', 'after');
  await clock.advance(10);
  assert.deepEqual(seen.slice(-3), ['2 before', 'gap 2-1 epoch_changed', '1 after']);
});

test('handlers may ask for what was before, and get each entry once', async () => {
  const { client, server, clock } = begin();
  for (let n = 0; n < 450; n += 1) server.say('tea', 'bob', String(n));
  const room = client.room('tea', { join: true });
  await clock.advance(100);
  const all = [];
  room.on('entry', ({ seq }) => all.push(seq), { from: { seq: 0 } });
  const messages = [];
  room.on('message', ({ text }) => messages.push(text), { from: { seq: 448 } });
  await clock.advance(10);
  server.say('tea', 'bob', 'live');
  await clock.advance(1_000);
  assert.deepEqual(all, Array.from({ length: 452 }, (_, n) => n + 1));
  assert.deepEqual(messages, ['448', '449', 'live']);
});

test('entries can be taken one after the other', async () => {
  const { client, server, clock } = begin();
  const room = client.room('tea', { join: true });
  await clock.advance(100);
  const ends = new AbortController();
  const seen = [];
  const taking = (async () => {
    for await (const { text } of room.entries({ signal: ends.signal })) seen.push(text);
  })();
  for (const text of ['a', 'b']) server.say('tea', 'bob', text);
  await clock.advance(100);
  server.say('tea', 'bob', 'c');
  await clock.advance(100);
  ends.abort();
  await clock.advance(10);
  await taking;
  assert.deepEqual(seen, ['a', 'b', 'c']);
});

test('what reads a log ends with its client, and waits while one is out of the room', async () => {
  const errors = [];
  const { client, server, clock } = begin({ env: { report: (error) => errors.push(error) } });
  const room = client.room('tea', { join: true });
  await clock.advance(100);
  for (let n = 0; n < 3; n += 1) server.say('tea', 'bob', `${n}`);
  await clock.advance(100);
  const seen = [];
  const removed = [];
  room.on('removed', ({ reason }) => removed.push(reason));
  room.on('message', ({ text }) => seen.push(text), { from: { seq: 1 } });
  client.close();
  await clock.advance(100);
  assert.deepEqual([errors, seen], [[], []]);
  client.retryNow();
  await clock.advance(2_000);
  assert.deepEqual(seen, ['0', '1', '2']);
  void room.leave();
  await clock.advance(100);
  room.on('message', ({ text }) => seen.push(`again ${text}`), { from: { seq: 1 } });
  await clock.advance(100);
  assert.deepEqual(removed, ['left']);
  void room.join();
  await clock.advance(500);
  assert.deepEqual(seen.slice(3), ['again 0', 'again 1', 'again 2']);
});

test('who reads a log from somewhere reads a new one from its beginning', async () => {
  const { client, server, clock } = begin();
  const room = client.room('tea', { join: true });
  await clock.advance(100);
  for (let n = 0; n < 5; n += 1) server.say('tea', 'bob', `old${n}`);
  const seen = [];
  room.on('message', ({ text }) => seen.push(text), { from: { seq: 0 } });
  await clock.advance(100);
  server.forget();
  server.cut();
  await clock.advance(3_000);
  for (let n = 0; n < 3; n += 1) server.say('tea', 'bob', `new${n}`);
  await clock.advance(500);
  assert.deepEqual(seen, ['old0', 'old1', 'old2', 'old3', 'old4', 'new0', 'new1', 'new2']);
});

test('an entry of a kind that nobody knows has its number, live and in a page', async () => {
  const { client, server, clock } = begin();
  const room = client.room('tea', { join: true });
  const seen = [];
  room.on('entry', ({ seq, type }) => seen.push(`${seq} ${type}`));
  await clock.advance(100);
  const { user } = server.sockets[0];
  const note = () => server.append('tea', 'app:note', { from: user });
  note();
  server.say('tea', 'bob', 'a');
  await clock.advance(100);
  assert.deepEqual(seen.slice(-2), ['2 app:note', '3 message']);
  server.cut();
  await clock.advance(10);
  for (let n = 0; n < 3; n += 1) note();
  await clock.advance(2_000);
  assert.deepEqual(seen.slice(-3), ['4 app:note', '5 app:note', '6 app:note']);
  const [{ entries }] = await Promise.all([room.history({ after: 3 }), clock.advance(100)]);
  assert.equal(entries.length, 3);
});

test('a room is read on where the store has refused that another client of the user left it', async () => {
  const { client, server, clock } = begin({}, fakeServer({ keep: 3 }));
  const seen = transcript(client.room('tea', { join: true }));
  await clock.advance(100);
  server.cut();
  await clock.advance(10);
  for (let n = 0; n < 10; n += 1) server.say('tea', 'bob', String(n));
  server.refuse('chat:history', { code: 'not_member' }, { code: 'not_member' });
  await clock.advance(10_000);
  assert.deepEqual(seen.slice(-4), ['gap 1-9 gone', '9 7', '10 8', '11 9']);
});

test('a mark that could not be told is told on the next connection', async () => {
  const { client, server, clock } = begin();
  const room = client.room('tea', { join: true });
  await clock.advance(100);
  const seq = server.say('tea', 'bob', 'a');
  await clock.advance(100);
  server.refuse('chat:read', { code: 'unavailable' });
  room.markRead(seq);
  await clock.advance(1_500);
  assert.notEqual(server.rooms.get('tea').reads.get('ada'), seq);
  server.cut();
  await clock.advance(5_000);
  assert.equal(server.rooms.get('tea').reads.get('ada'), seq);
});

test('typing is told every 3 s at most, and ends by itself', async () => {
  const { client, server, clock } = begin();
  const room = client.room('tea', { join: true });
  server.admit('tea', 'bob');
  await clock.advance(100);
  for (let n = 0; n < 10; n += 1) {
    room.typing();
    await clock.advance(400);
  }
  const told = server.sockets[0].heard.filter(({ type }) => type === 'chat:typing');
  assert.equal(told.length, 2);
  const seen = [];
  room.on('typing', ({ user, typing }) => seen.push(`${user} ${typing}`));
  server.push('chat:typing', { room: 'tea', user: 'bob', typing: true });
  await clock.advance(10);
  assert.deepEqual(room.typists, ['bob']);
  await clock.advance(6_100);
  assert.deepEqual([room.typists, seen], [[], ['bob true', 'bob false']]);
});

test('what came is acknowledged and what was read is marked, once a second', async () => {
  const { client, server, clock } = begin();
  const room = client.room('tea', { join: true });
  await clock.advance(100);
  for (let n = 0; n < 20; n += 1) server.say('tea', 'bob', String(n));
  await clock.advance(10);
  assert.equal(room.unread, 20);
  for (let seq = 2; seq <= 21; seq += 1) room.markRead(seq);
  await clock.advance(1_500);
  const heard = server.sockets[0].heard;
  assert.equal(heard.filter(({ type }) => type === 'chat:read').length, 1);
  assert.deepEqual(heard.findLast(({ type }) => type === 'chat:ack').payload, { rooms: { tea: 21 } });
  assert.equal(room.unread, 0);
});

test('what is asked of a room in its first moment finds one in it', async () => {
  const { client, server, clock } = begin();
  server.say('tea', 'bob', 'a');
  const room = client.room('tea', { join: true });
  const [page] = await Promise.all([room.history(), clock.advance(100)]);
  assert.equal(page.entries.length, 2);
  const [later] = await Promise.all([client.room('coffee', { join: true }).history(), clock.advance(100)]);
  assert.deepEqual(later.entries.map(({ type }) => type), ['joined']);
});

test('what came is acknowledged as soon as the pace allows it', async () => {
  const { client, server, clock } = begin({}, fakeServer({ limits: { requests_per_second: 2, burst: 5 } }));
  client.room('tea', { join: true });
  await clock.advance(100);
  server.say('tea', 'bob', 'a');
  await clock.advance(100);
  for (let n = 0; n < 6; n += 1) client.request('ping').catch(() => {});
  await clock.advance(20_000);
  assert.deepEqual(server.sockets[0].heard.findLast(({ type }) => type === 'chat:ack')?.payload, { rooms: { tea: 2 } });
});

test('what comes while the outbox opens is told once, and is no room that one is not in', async () => {
  const server = fakeServer();
  const { clock } = server;
  const outbox = { open: () => new Promise((resolve) => clock.setTimeout(resolve, 100)), put() {}, remove() {}, close() {} };
  const { client } = begin({ outbox }, server);
  const gaps = [];
  client.room('tea').on('gap', ({ reason }) => gaps.push(reason));
  const seen = transcript(client.room('tea'));
  server.say('tea', 'bob', 'before');
  await clock.advance(50);
  assert.equal(client.hello?.user.id, 'ada');
  // Another connection of ours joins meanwhile.
  server.admit('tea', 'ada');
  server.rooms.get('tea').reads.set('ada', 1);
  server.say('tea', 'bob', 'meanwhile');
  await clock.advance(500);
  server.say('tea', 'bob', 'after');
  await clock.advance(100);
  assert.deepEqual([seen, gaps], [['2 meanwhile', '3 after'], []]);
  assert.equal(client.room('tea').membership, 'member');
  assert.equal(client.snapshot().rooms[0].unread, 2);
});

test('who was refused comes in when they are invited, also where they were away', async () => {
  const { client, server, clock } = begin();
  await clock.advance(100);
  const refusal = { code: 'not_member' };
  server.refuse('room:join', refusal, refusal);
  const room = client.room('tea', { join: true });
  await clock.advance(100);
  assert.equal(room.membership, 'refused');
  server.push('room:invited', { room: 'tea', title: '', by: 'bob' });
  await clock.advance(10);
  assert.equal(room.membership, 'refused', 'it is asked for, and refused again');
  server.push('room:invited', { room: 'tea', title: '', by: 'bob' });
  await clock.advance(10);
  assert.equal(room.membership, 'member');
  server.refuse('room:join', refusal);
  const other = client.room('coffee', { join: true });
  await clock.advance(100);
  assert.equal(other.membership, 'refused');
  server.cut();
  await clock.advance(3_000);
  assert.equal(other.membership, 'member');
  server.push('room:invited', { room: 'cocoa', title: '', by: 'bob' });
  await clock.advance(100);
  assert.equal(server.rooms.has('cocoa'), false, 'nobody is taken into a room that they have not asked for');
});

test('a room is only read until one is to join it, and comes alive when one is added', async () => {
  const { client, server, clock } = begin();
  const room = client.room('seven');
  const seen = transcript(room);
  const memberships = [];
  client.on('rooms', (change) => change?.what === 'membership' && memberships.push(room.membership));
  assert.equal(room.membership, 'unknown');
  await clock.advance(100);
  assert.equal(client.room('seven').membership, 'none');
  assert.equal(client.room('eight').membership, 'none', 'also of one that is asked for later');
  server.cut();
  await clock.advance(5_000);
  assert.equal(server.rooms.has('seven'), false);
  const said = room.send('too soon');
  await clock.advance(100);
  assert.deepEqual([said.status, said.error.code, room.membership], ['failed', 'not_member', 'none']);
  // Its owner makes it, and adds one.
  for (let n = 1; n <= 3; n += 1) server.say('seven', 'bob', String(n));
  server.rooms.get('seven').title = 'Seven';
  server.admit('seven', 'ada');
  server.append('seven', 'room:joined', { user: 'ada', by: 'bob' });
  await clock.advance(100);
  assert.deepEqual([room.membership, room.title, room.unread, seen], ['member', 'Seven', 3, ['4 joined']]);
  server.say('seven', 'bob', '4');
  said.retry();
  await clock.advance(100);
  assert.deepEqual([room.title, room.unread, seen], ['Seven', 0, ['4 joined', '5 4', '6 too soon']]);
  assert.deepEqual(memberships, ['none', 'member']);
  assert.equal(server.sockets.flatMap(({ heard }) => heard).some(({ type }) => type === 'room:join'), false);
});

test('who is told to join joins as soon as there is a connection, and not again what was left', async () => {
  const { client, server, clock } = begin();
  const joins = () => server.sockets.flatMap(({ heard }) => heard).filter(({ type }) => type === 'room:join').length;
  const room = client.room('tea');
  client.room('tea', { join: true });
  await clock.advance(100);
  assert.deepEqual([room.membership, joins()], ['member', 1]);
  room.leave();
  await clock.advance(100);
  client.room('tea', { join: true });
  await clock.advance(100);
  assert.deepEqual([room.membership, joins()], ['left', 1]);
});

test('a name that is a number is the text that it is', async () => {
  const { client, clock, server } = await begin();
  const room = client.room(7, { join: true });
  assert.equal(room, client.room('7'));
  await clock.advance(100);
  assert.deepEqual([room.name, room.membership, [...server.rooms.get('7').members]], ['7', 'member', ['ada']]);
  assert.equal(client.direct(2).name, 'dm:2:ada');
});
