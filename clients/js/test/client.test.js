import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from '../src/index.js';
import { fakePage, fakeServer } from '../src/testing.js';

/** A client of a fake server, and what it says. */
function begin(options = {}, server = fakeServer()) {
  const page = fakePage();
  const client = connect('http://host/ws?user=ada', { ...options, env: { ...server.env, ...page, ...options.env } });
  const states = [];
  client.on('state', ({ name }) => states.push(name));
  return { client, server, page, states, clock: server.clock };
}

/** All entries of a room, as text. */
function transcript(room) {
  const seen = [];
  room.on('entry', ({ seq, type, text }) => seen.push(type === 'message' ? `${seq} ${text}` : `${seq} ${type}`));
  room.on('gap', ({ after, before, reason }) => seen.push(`gap ${after}-${before} ${reason}`));
  return seen;
}

test('what is sent is acknowledged, once and in order', async () => {
  const { client, clock, states } = begin();
  const room = client.room('tea');
  const seen = transcript(room);
  const sent = ['one', 'two', 'three'].map((text) => room.send(text));
  assert.deepEqual(sent.map(({ status }) => status), ['queued', 'queued', 'queued']);
  await clock.advance(100);
  assert.deepEqual(states, ['authenticating', 'online']);
  assert.deepEqual(await Promise.all(sent.map(async (ticket) => (await ticket).seq)), [2, 3, 4]);
  assert.deepEqual(seen.slice(-3), ['2 one', '3 two', '4 three']);
  assert.deepEqual(client.unsent, []);
});

test('after a cut it comes back and has what it missed, without a hole', async () => {
  const { client, server, clock, states } = begin();
  const seen = transcript(client.room('tea'));
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

test('a reply that is lost is no second message', async () => {
  const { client, server, clock } = begin();
  const room = client.room('tea');
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
  const room = client.room('tea');
  await clock.advance(100);
  const tickets = ['1', '2', '3'].map((text) => room.send(text));
  server.cut();
  await clock.advance(5_000);
  assert.deepEqual(tickets.map(({ status, seq }) => `${status} ${seq}`), ['acked 2', 'acked 3', 'acked 4']);
  assert.equal(server.rooms.get('tea').head, 4);
});

test('a refusal that may pass is tried again, another fails and lets the next go', async () => {
  const { client, server, clock } = begin();
  const room = client.room('tea');
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
  const room = client.room('tea');
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

test('where the log does not reach back there is one gap, and then what there is', async () => {
  const { client, server, clock } = begin({}, fakeServer({ keep: 3 }));
  const seen = transcript(client.room('tea'));
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
  const seen = transcript(client.room('tea'));
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

test('the codes that end it end it, and the others do not', async () => {
  for (const [code, state] of [[4003, 'failed'], [1009, 'failed'], [1002, 'failed'], [1000, 'waiting'], [1001, 'waiting'], [4103, 'waiting'], [4999, 'waiting']]) {
    const { client, server, clock } = begin();
    await clock.advance(100);
    server.cut(code);
    await clock.advance(10);
    assert.equal(client.state.name, state, String(code));
    client.close();
  }
});

test('the waits grow, and are as many as one wants', async () => {
  const { client, server, clock } = begin({ backoff: { attempts: 4 } });
  await clock.advance(100);
  server.faults.unreachable = true;
  server.cut();
  const waits = [];
  client.on('state', (state) => state.name === 'waiting' && waits.push(state.until - clock.now()));
  await clock.advance(60_000);
  assert.deepEqual(waits, [500, 1_000, 2_000, 4_000]);
  assert.equal(client.state.name, 'failed');
  assert.equal(server.attempts, 5);
  assert.equal(client.why().at(-1).state, 'failed');
  server.faults.unreachable = false;
  client.retryNow();
  await clock.advance(100);
  assert.equal(client.state.name, 'online');
});

test('a restart says over how long to come back', async () => {
  const { client, server, clock } = begin();
  await clock.advance(100);
  server.drain(20_000);
  await clock.advance(600);
  assert.equal(client.state.name, 'waiting');
  assert.ok(client.state.until - clock.now() > 9_000);
  await clock.advance(12_000);
  assert.equal(client.state.name, 'online');
});

test('a token is asked for first, when it expires, when it is rejected, and not with every connection', async () => {
  const asked = [];
  const server = fakeServer();
  const { clock } = server;
  const token = async ({ reason }) => (asked.push(reason), `ada.${asked.length}`);
  const client = connect('ws://host/ws', { token, env: server.env });
  await clock.advance(100);
  assert.equal(client.snapshot().user.id, 'ada');
  server.cut();
  await clock.advance(2_000);
  assert.deepEqual(asked, ['first']);
  server.push('notice', { code: 'token_expiring', expires: 0 });
  await clock.advance(10);
  assert.deepEqual(asked, ['first', 'expiring']);
  assert.equal(server.sockets[0].heard.at(-1).payload.token, 'ada.2');
  server.cut(4201);
  await clock.advance(5_000);
  assert.deepEqual(asked, ['first', 'expiring', 'rejected']);
  assert.equal(client.state.name, 'online');
  // An old one that is refused is asked for once more; a new one that is refused is the end.
  server.faults.rejectTokens = 2;
  server.cut();
  await clock.advance(10_000);
  assert.deepEqual(asked.slice(3), ['rejected']);
  assert.deepEqual([client.state.name, client.state.code], ['failed', 4001]);
});

test('a token that cannot be had now is asked for again', async () => {
  let attempts = 0;
  const server = fakeServer();
  const token = async () => {
    attempts += 1;
    if (attempts < 3) throw new Error('no network');
    return 'ada.x';
  };
  const client = connect('ws://host/ws', { token, env: server.env });
  await server.clock.advance(10_000);
  assert.equal(client.state.name, 'online');
  assert.equal(client.why()[1].cause, 'no token: no network');
});

test('handlers may ask for what was before, and get each entry once', async () => {
  const { client, server, clock } = begin();
  for (let n = 0; n < 450; n += 1) server.say('tea', 'bob', String(n));
  const room = client.room('tea');
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
  const room = client.room('tea');
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

test('what one handler throws does not keep anything from another', async () => {
  const reported = [];
  const { client, server, clock } = begin({ env: { report: (error) => reported.push(error.message) } });
  const room = client.room('tea');
  room.on('message', () => {
    throw new Error('mine');
  });
  const seen = transcript(room);
  await clock.advance(100);
  server.say('tea', 'bob', 'a');
  await clock.advance(10);
  assert.deepEqual(reported, ['mine']);
  assert.deepEqual(seen.at(-1), '2 a');
});

test('requests wait for a connection, keep the pace, and end', async () => {
  const { client, server, clock } = begin({}, fakeServer({ limits: { requests_per_second: 10, burst: 12 } }));
  const answers = [];
  for (let n = 0; n < 30; n += 1) client.request('ping').then(() => answers.push(clock.now()));
  await clock.advance(500);
  assert.ok(answers.length >= 8 && answers.length <= 14, String(answers.length));
  await clock.advance(5_000);
  assert.equal(answers.length, 30);
  server.refuse('ping', { code: 'rate_limited', retry_after_ms: 2_000 });
  const begun = clock.now();
  const late = client.request('ping').then(() => clock.now() - begun);
  await clock.advance(4_000);
  assert.ok((await late) >= 2_000);
  server.faults.silent = true;
  const silent = assert.rejects(client.request('info', {}, { timeout: 3_000 }), { code: 'timeout' });
  const ends = new AbortController();
  const cancelled = assert.rejects(client.request('info', {}, { signal: ends.signal }), { code: 'cancelled' });
  ends.abort();
  await clock.advance(4_000);
  await Promise.all([silent, cancelled]);
  client.close();
  await assert.rejects(client.request('ping'), { code: 'closed' });
});

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

test('a server that says nothing is given up while somebody looks, and not while nobody does', async () => {
  const { client, server, clock, page, states } = begin();
  await clock.advance(100);
  server.faults.silent = true;
  page.hide();
  await clock.advance(60_000);
  assert.equal(client.state.name, 'online');
  page.show();
  await clock.advance(6_000);
  assert.ok(states.includes('waiting'), states.join());
});

test('a page that is put away lets go of its socket, and takes another when it is back', async () => {
  const { client, server, clock, page } = begin();
  await clock.advance(100);
  page.fire('pagehide', { persisted: true });
  await clock.advance(10);
  assert.deepEqual([client.state.name, server.sockets.length], ['paused', 0]);
  page.fire('pageshow', { persisted: true });
  await clock.advance(100);
  assert.equal(client.state.name, 'online');
  client.close();
  page.fire('pageshow', { persisted: true });
  await clock.advance(100);
  assert.equal(client.state.name, 'closed');
});

test('one that was closed and is opened again watches its page as before', async () => {
  const { client, clock, page } = begin();
  await clock.advance(100);
  client.close();
  assert.equal(client.state.name, 'closed');
  page.fire('pageshow');
  await clock.advance(100);
  assert.equal(client.state.name, 'closed', 'it was meant to end');
  client.retryNow();
  await clock.advance(100);
  assert.equal(client.state.name, 'online');
  page.fire('pagehide');
  assert.equal(client.state.name, 'paused');
  page.fire('pageshow');
  await clock.advance(100);
  assert.equal(client.state.name, 'online');
});

test('what reads a log ends with its client, and waits while one is out of the room', async () => {
  const errors = [];
  const { client, server, clock } = begin({ env: { report: (error) => errors.push(error) } });
  const room = client.room('tea');
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

test('tokens of a few seconds are renewed at half their time, and not as fast as one can', async () => {
  let asked = 0;
  const server = fakeServer();
  const token = () => ((asked += 1), `ada.${asked}`);
  const client = connect('http://host/ws', { token, env: server.env });
  const tell = () => server.push('notice', { code: 'token_expiring', message: '', expires: server.clock.now() + 3_000 });
  await server.clock.advance(100);
  for (let n = 0; n < 4; n += 1) {
    tell();
    await server.clock.advance(100);
  }
  assert.equal(asked, 2);
  await server.clock.advance(1_500);
  assert.equal(asked, 3);
  assert.equal(client.state.name, 'online');
});

test('who is here is told to who asks for it by the client, too', async () => {
  const { client, clock } = begin();
  await clock.advance(100);
  const told = [];
  client.on('presence', ({ users }) => told.push(users.length));
  await clock.advance(100);
  assert.deepEqual(told, [1]);
});

test('nothing that one person has asked for is done in the name of another', async () => {
  const server = fakeServer({ limits: { requests_per_second: 1, burst: 4 } });
  let who = 'ada';
  const client = connect('http://host/ws', { token: () => `${who}.1`, backoff: { min: 10, max: 20 }, env: server.env });
  server.admit('tea', 'ada');
  server.admit('tea', 'bob');
  server.say('tea', 'eve', 'a');
  await server.clock.advance(100);
  const room = client.room('tea');
  for (let n = 0; n < 3; n += 1) client.request('ping').catch(() => {});
  const ticket = room.send('of ada');
  room.markRead(1);
  who = 'bob';
  server.cut(4201);
  await server.clock.advance(20_000);
  assert.equal(client.hello.user.id, 'bob');
  assert.equal(ticket.status, 'cancelled');
  const { entries, reads } = server.rooms.get('tea');
  assert.equal(entries.some(({ payload }) => payload.text === 'of ada'), false);
  assert.equal(reads.get('bob'), undefined);
});

test('what waits for the pace when a client is closed is unsent, and not refused', async () => {
  const stored = new Map();
  const outbox = { open: async () => {}, put: (kept) => stored.set(kept.id, kept), remove: (id) => stored.delete(id), close() {} };
  const server = fakeServer({ limits: { requests_per_second: 1, burst: 4 } });
  const { client, clock } = begin({ outbox }, server);
  server.admit('tea', 'ada');
  await clock.advance(100);
  for (let n = 0; n < 3; n += 1) client.request('ping').catch(() => {});
  const ticket = client.room('tea').send('later');
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

test('who reads a log from somewhere reads a new one from its beginning', async () => {
  const { client, server, clock } = begin();
  const room = client.room('tea');
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
  const room = client.room('tea');
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

test('a mark that could not be told is told on the next connection', async () => {
  const { client, server, clock } = begin();
  const room = client.room('tea');
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
  const room = client.room('tea');
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
  const room = client.room('tea');
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

test('messages of the application come as they are', async () => {
  const { client, server, clock } = begin();
  const seen = [];
  client.on('game:move', (payload) => seen.push(payload));
  await clock.advance(100);
  server.push('game:move', { x: 1 });
  await clock.advance(10);
  assert.deepEqual(seen, [{ x: 1 }]);
  const refused = assert.rejects(client.request('game:start'), { code: 'unknown_type' });
  await clock.advance(10);
  await refused;
});

test('the snapshot is the same object until something has changed', async () => {
  const { client, server, clock } = begin();
  await clock.advance(100);
  const before = client.snapshot();
  assert.equal(client.snapshot(), before);
  client.room('tea');
  await clock.advance(100);
  assert.notEqual(client.snapshot(), before);
  server.cut();
  await clock.advance(10);
  assert.equal(client.snapshot().state.name, 'waiting');
});
