// The connection: its states, waits, tokens and requests, and what the page does to it, against a fake server and clock.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { environment } from '../src/env.js';
import { connect } from '../src/index.js';
import { fakeServer } from '../src/testing.js';
import { begin, transcript } from './fake.js';

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

test('it does not come back before the server says that it may', async () => {
  for (const [told, least] of [[7_000, 7_000], [undefined, 0]]) {
    const { client, server, clock } = begin({ backoff: { jitter: 'none', min: 1_000 } });
    await clock.advance(100);
    server.push('error', { code: 'rate', message: 'you ask for too much work at once', close: 4103, ...(told && { retry_after_ms: told }) });
    server.cut(4103);
    await clock.advance(10);
    assert.deepEqual([client.state.name, client.state.code], ['waiting', 4103]);
    const { attempts } = server;
    await clock.advance(least + 900);
    assert.equal(server.attempts, attempts, String(told));
    await clock.advance(500);
    assert.equal(client.state.name, 'online');
    // That was for this once.
    server.cut();
    await clock.advance(10);
    assert.ok(client.state.until - clock.now() <= 2_000);
    client.close();
  }
});

test('it begins anew once it was stable for as long as one wants', async () => {
  const { client, server, clock } = begin({ backoff: { stable: 5_000, jitter: 'none' } });
  await clock.advance(100);
  const waits = [];
  client.on('state', (state) => state.name === 'waiting' && waits.push(state.until - clock.now()));
  for (const ms of [4_000, 4_000, 6_000]) {
    server.cut();
    await clock.advance(10);
    await clock.advance(waits.at(-1) + ms);
  }
  server.cut();
  await clock.advance(10);
  assert.deepEqual(waits, [1_000, 2_000, 4_000, 1_000]);
});

test('a server that is silent is left, also if requests are waited for less long', async () => {
  for (const timeout of [1_000, 20_000]) {
    const { client, server, clock } = begin({ timeout });
    await clock.advance(100);
    server.faults.silent = true;
    await clock.advance(15_500);
    assert.notEqual(client.state.name, 'online', String(timeout));
  }
});

test('a code that the application calls fatal ends it', async () => {
  const { client, server, clock } = begin({ fatal: (code) => code === 4999 });
  await clock.advance(100);
  server.cut(4998);
  await clock.advance(2_000);
  assert.equal(client.state.name, 'online');
  server.cut(4999);
  await clock.advance(10);
  assert.deepEqual([client.state.name, client.state.code], ['failed', 4999]);
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

test('what one handler throws does not keep anything from another', async () => {
  const reported = [];
  const { client, server, clock } = begin({ env: { report: (error) => reported.push(error.message) } });
  const room = client.room('tea', { join: true });
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
  client.room('tea', { join: true });
  await clock.advance(100);
  assert.notEqual(client.snapshot(), before);
  server.cut();
  await clock.advance(10);
  assert.equal(client.snapshot().state.name, 'waiting');
});

test('what is too large is not sent, and ends nothing', async () => {
  const { client, server, clock } = begin({}, fakeServer({ limits: { message_bytes: 1_000 } }));
  await clock.advance(100);
  const heard = () => server.sockets[0].heard.filter(({ type }) => type === 'app:note').length;
  assert.equal(client.send('app:note', { text: 'é'.repeat(500) }), false);
  assert.equal(client.send('app:note', { text: 'é'.repeat(400) }), true);
  assert.equal(heard(), 1);
  await assert.rejects(client.request('app:note', { text: 'é'.repeat(500) }), { code: 'too_large' });
});

test('on a socket that is closing nothing is sent: a browser complains of each on its console', async () => {
  const { client, server, clock } = begin();
  await clock.advance(100);
  const [socket] = server.sockets;
  socket.readyState = 2;
  socket.send = () => assert.fail('it was sent');
  client.send('app:note', {});
  const asked = client.request('app:note', {});
  server.cut(1012);
  await assert.rejects(Promise.race([asked, clock.advance(10)]), { code: 'disconnected' });
  assert.equal(client.state.name, 'waiting');
});

test('the quality of a connection that is lost is lost', async () => {
  const { client, server, clock } = begin();
  await clock.advance(6_000);
  assert.equal(client.quality.level, 'excellent');
  const told = [];
  client.on('quality', ({ level }) => told.push(level));
  server.cut();
  await clock.advance(10);
  assert.deepEqual([client.quality.level, told], ['lost', ['lost']]);
  await clock.advance(10_000);
  assert.equal(client.quality.level, 'excellent');
});

test('measurements leave half of the rate to who asks something', async () => {
  const { client, server, clock } = begin({ quality: { interval: 100 } }, fakeServer({ limits: { requests_per_second: 2, burst: 10 } }));
  await clock.advance(20_000);
  const answered = [];
  for (let n = 0; n < 5; n += 1) client.request('presence:list').then(() => answered.push(n));
  await clock.advance(10_000);
  assert.deepEqual(answered, [0, 1, 2, 3, 4]);
  assert.ok(server.sockets[0].heard.filter(({ type }) => type === 'ping').length > 20, 'it goes on being measured');
});

test('where there is no WebSocket it says so, also to who does not look', async () => {
  const reported = [];
  const { client } = begin({ env: { WebSocket: undefined, report: (error) => reported.push(String(error)) } });
  await Promise.resolve();
  assert.deepEqual([client.state.name, client.state.code, reported.length], ['failed', 'url', 1]);
});

test('what a handler throws is told to the console where nothing else takes it', async (t) => {
  const told = [];
  t.mock.method(console, 'error', (error) => told.push(error.message));
  const { report } = environment();
  report(new Error('mine'));
  assert.deepEqual(told, ['mine']);
});

test('the fake server answers what it is told to, and what the client has methods for', async () => {
  const { client, server, clock } = begin();
  server.handle('queue.join', ({ name }, user) => {
    if (name === 'full') throw { code: 'forbidden' };
    return { place: `${user} in ${name}` };
  });
  const answers = Promise.all([
    client.request('queue.join', { name: 'a' }),
    client.request('queue.join', { name: 'full' }).catch(({ code }) => code),
    client.stream('state').publish(5),
    client.room('tea', { join: true }).members(),
  ]);
  await clock.advance(100);
  const [joined, refused, published, { members }] = await answers;
  assert.deepEqual([joined, refused, published.seq, members.map(({ user }) => user)], [{ place: 'ada in a' }, 'forbidden', 1, ['ada']]);
  const publish = (data) => client.stream('state').publish(data, { id: 'six' }).catch(({ code }) => code);
  const [first, again, other] = await Promise.all([publish(6), publish(6), publish(7), clock.advance(100)]);
  assert.deepEqual([again, other], [{ ...first, duplicate: true }, 'duplicate_mismatch']);
});

test('who is here is asked once where it is refused, however often the page is hidden and seen', async () => {
  const { client, server, page, clock } = begin();
  server.refuse('presence:list', ...Array.from({ length: 50 }, () => ({ code: 'forbidden' })));
  const told = [];
  client.presence.on(({ refusal }) => told.push(refusal.code));
  await clock.advance(100);
  for (let turn = 0; turn < 5; turn += 1) {
    page.hide();
    await clock.advance(100);
    page.show();
    await clock.advance(100);
  }
  assert.deepEqual(told, ['forbidden']);
});

test('what a handler of the state sends goes behind what was left, and can be taken back by the next', async () => {
  const { client, server, clock } = begin();
  for (const room of ['tea', 'den']) server.admit(room, 'ada');
  await clock.advance(100);
  server.cut();
  await clock.advance(1);
  client.room('den').send('older');
  const tickets = [];
  client.on('state', ({ name }) => name === 'online' && tickets.push(client.room('tea').send('from the handler')));
  client.on('state', ({ name }) => name === 'online' && tickets.push(tickets[0].status, client.room('den').send('taken back').cancel()));
  await clock.advance(5_000);
  assert.deepEqual(tickets.slice(1), ['queued', true]);
  const sent = server.sockets.values().next().value.heard.filter(({ type }) => type === 'chat:send').map(({ payload: { text } }) => text);
  assert.deepEqual(sent, ['older', 'from the handler']);
});

test('of the rooms of who was here before nothing is shown to the next, whatever is told of first', async () => {
  let who = 'ada';
  const server = fakeServer();
  server.admit('mine', 'ada');
  server.publish('board', 1);
  const client = connect('ws://host/ws', { token: () => `${who}.1`, env: server.env });
  client.stream('board').on(() => {});
  await server.clock.advance(100);
  assert.deepEqual(client.snapshot().rooms.map(({ room }) => room), ['mine']);
  const seen = [];
  client.on('stream', () => seen.push(...client.snapshot().rooms.map(({ room }) => `${room} of ${client.hello.user.id}`)));
  who = 'bob';
  server.cut(4201);
  await server.clock.advance(5_000);
  assert.equal(client.hello.user.id, 'bob');
  assert.deepEqual(seen, []);
});

test('without a token a client comes back after codes of tokens; with one in its URL it does not', async () => {
  for (const [url, name] of [['ws://host/ws?user=ada', 'online'], ['ws://host/ws?user=ada&token=t', 'failed'], ['ws://host/ws?user=ada&csrftoken=t', 'online']]) {
    const server = fakeServer();
    const client = connect(url, { env: server.env });
    await server.clock.advance(100);
    server.cut(4200);
    await server.clock.advance(5_000);
    assert.equal(client.state.name, name);
  }
});
