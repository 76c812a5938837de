// The service of a page, of the fake server, and the plain WebSocket that comes back.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reliable } from '../src/reliable.js';
import { WebSocketService, webSocketService } from '../src/service.js';
import { fakePage, fakeServer } from '../src/testing.js';
import { isSameUser, subjectOf } from '../src/tokens.js';

function begin(options = {}, server = fakeServer()) {
  const service = new WebSocketService({ url: 'http://host/ws', env: server.env, ...options });
  const changes = [];
  service.onConnectionChange((connected) => changes.push(connected));
  return { service, server, clock: server.clock, changes };
}

test('it connects, and says so to who waits and to who listens', async () => {
  const { service, clock, changes } = begin();
  assert.equal(service.isConnected(), false);
  const ready = service.connect('ada.token');
  await clock.advance(100);
  await ready;
  assert.equal(service.isConnected(), true);
  assert.equal(service.client.hello.user.id, 'ada');
  service.disconnect();
  assert.equal(service.isConnected(), false);
  assert.deepEqual(changes, [true, false]);
});

test('who connects twice has one connection, and with another token is somebody else', async () => {
  const { service, server, clock, changes } = begin();
  service.connect('ada.token');
  const again = service.connect('ada.token');
  await clock.advance(100);
  await again;
  assert.equal(server.attempts, 1);
  service.connect('bob.token');
  await clock.advance(100);
  assert.deepEqual([service.client.hello.user.id, server.sockets.length], ['bob', 1]);
  assert.deepEqual(changes, [true, false, true]);
  // Whoever has closed what is below it connects anew.
  service.client.close();
  service.connect('bob.token');
  await clock.advance(100);
  assert.deepEqual([service.isConnected(), server.sockets.length], [true, 1]);
});

test('it never gives up by itself', async () => {
  const { service, server, clock, changes } = begin();
  server.faults.unreachable = true;
  const ready = service.connect('ada.token');
  await clock.advance(3_600_000);
  assert.equal(service.client.state.name, 'waiting');
  server.faults.unreachable = false;
  await clock.advance(60_000);
  await ready;
  assert.deepEqual(changes, [true]);
});

test('after as many attempts as are wanted it gives up, and connects again when it is told to', async () => {
  const { service, server, clock } = begin({ attempts: 5 });
  server.faults.unreachable = true;
  const ready = service.connect('ada.token');
  await clock.advance(600_000);
  await assert.rejects(ready, { code: 'attempts' });
  // The first, and five more.
  assert.equal(server.attempts, 6);
  server.faults.unreachable = false;
  const again = service.connect('ada.token');
  await clock.advance(100);
  await again;
  assert.equal(service.isConnected(), true);
});

test('handlers hear each message once, also after another connection, until they are taken off', async () => {
  const { service, server, clock } = begin();
  const heard = [];
  const handler = ({ text, n }) => heard.push(text ?? n);
  service.on('chat:message', handler);
  service.on('chat:message', handler);
  const off = service.on('app:count', handler);
  server.admit('tea', 'ada');
  service.connect('ada.token');
  await clock.advance(100);
  server.say('tea', 'bob', 'one');
  server.push('app:count', { n: 1 });
  await clock.advance(10);
  server.cut();
  await clock.advance(10);
  server.say('tea', 'bob', 'missed');
  await clock.advance(5_000);
  service.disconnect();
  service.connect('ada.token');
  await clock.advance(100);
  server.say('tea', 'bob', 'later');
  off();
  server.push('app:count', { n: 2 });
  await clock.advance(10);
  service.off('chat:message', handler);
  server.say('tea', 'bob', 'unheard');
  await clock.advance(10);
  assert.deepEqual(heard, ['one', 1, 'missed', 'later']);
});

test('handlers hear what a room has read of its log, too', async () => {
  const { service, server, clock } = begin({}, fakeServer({ keep: 3 }));
  const heard = [];
  service.on('chat:message', ({ text }) => heard.push(text));
  server.admit('tea', 'ada');
  service.connect('ada.token');
  await clock.advance(100);
  server.cut();
  await clock.advance(10);
  // More than is kept: nothing of it is replayed.
  for (let n = 1; n <= 10; n += 1) server.say('tea', 'bob', String(n));
  await clock.advance(5_000);
  assert.deepEqual(heard, ['8', '9', '10']);
});

test('what is said while there is no connection is taken, and sent once', async () => {
  const { service, server, clock } = begin();
  server.admit('7', 'ada');
  assert.equal(service.sendChatMessage(7, 'nobody is there'), false);
  service.connect('ada.token');
  assert.equal(service.sendChatMessage(7, 'early'), true);
  await clock.advance(100);
  server.cut();
  await clock.advance(10);
  assert.equal(service.sendChatMessage('7', 'late'), true);
  await clock.advance(5_000);
  const texts = server.rooms.get('7').entries.filter(({ type }) => type === 'chat:message').map(({ payload }) => payload.text);
  assert.deepEqual(texts, ['early', 'late']);
  service.disconnect();
  assert.equal(service.sendChatMessage(7, 'over'), false);
});

test('typing and messages of one\'s own go now or never, with names for numbers', async () => {
  const { service, server, clock } = begin();
  assert.equal(service.sendTypingIndicator(7), false);
  assert.equal(service.send('app:wave', {}), false);
  service.connect('ada.token');
  await clock.advance(100);
  service.sendChatMessage(7, 'hello');
  await clock.advance(100);
  // What was sent ends the typing; the next word begins it again.
  assert.equal(service.sendTypingIndicator(7), true);
  assert.equal(service.send('app:wave', { room: 7, to: 8, count: 9 }), true);
  const [socket] = server.sockets;
  const heard = (wanted) => socket.heard.filter(({ type }) => type === wanted).map(({ payload }) => payload);
  assert.deepEqual(heard('chat:typing'), [{ room: '7' }]);
  assert.deepEqual(heard('app:wave'), [{ room: '7', to: '8', count: 9 }]);
});

test('where it connects to is said before it does', async () => {
  const server = fakeServer();
  const service = new WebSocketService();
  service.configure({ url: 'http://elsewhere/socket', env: server.env, attempts: 0 });
  service.connect('ada.token');
  await server.clock.advance(100);
  assert.equal(server.sockets[0].url.href, 'ws://elsewhere/socket');
  assert.equal(webSocketService.client, null);
});

/** A plain server: it takes whoever comes, and says what it is told to. */
function plain(page = fakePage()) {
  const server = fakeServer();
  const socket = reliable('http://host/any', { attempts: 2, env: { ...server.env, ...page } });
  const states = [];
  socket.on('change', () => {
    const { name } = socket.snapshot().state;
    if (name !== states.at(-1)) states.push(name);
  });
  return { socket, server, page, states, clock: server.clock };
}

test('a plain WebSocket hands over each message, and tells how long it took to open', async () => {
  const { socket, server, clock } = plain();
  const heard = [];
  socket.on('message', (message) => heard.push(message));
  await clock.advance(10);
  assert.deepEqual(socket.snapshot().quality, { level: 'excellent', rtt: 1 });
  assert.equal(socket.snapshot().lastMessageAt, null);
  server.push('tick', 1);
  server.push('tick', 2);
  await clock.advance(10);
  assert.deepEqual(heard.map(({ payload }) => payload), [1, 2]);
  assert.equal(socket.snapshot().lastMessageAt, clock.now() - 9);
});

test('a plain WebSocket comes back, gives up after so many attempts, and not before', async () => {
  const { socket, server, clock, states } = plain();
  await clock.advance(10);
  server.cut();
  await clock.advance(5_000);
  assert.equal(socket.snapshot().state.name, 'online');
  server.faults.unreachable = true;
  server.cut();
  await clock.advance(600_000);
  assert.deepEqual(states, ['online', 'waiting', 'connecting', 'online', 'waiting', 'connecting', 'failed']);
  server.faults.unreachable = false;
  socket.retryNow();
  await clock.advance(40_000);
  assert.deepEqual([socket.snapshot().state.name, socket.snapshot().attempt], ['online', 0]);
});

test('a plain WebSocket that is refused for good stays away', async () => {
  const { socket, server, clock } = plain();
  await clock.advance(10);
  server.cut(4003);
  await clock.advance(600_000);
  assert.deepEqual([socket.snapshot().state.name, socket.snapshot().state.code, server.attempts], ['failed', 4003, 1]);
});

test('a plain WebSocket is let go of while nobody looks, and not tried meanwhile', async () => {
  const { socket, server, clock, page } = plain();
  await clock.advance(10);
  page.hide();
  await clock.advance(600_000);
  assert.deepEqual([socket.snapshot().state.name, server.sockets.length, server.attempts], ['paused', 0, 1]);
  page.show();
  await clock.advance(10);
  assert.equal(socket.snapshot().state.name, 'online');
  socket.close();
  page.hide();
  page.show();
  await clock.advance(10);
  assert.deepEqual([socket.snapshot().state.name, server.sockets.length], ['closed', 0]);
});

/** A token of which the fake server reads the first part, and the client the `sub`. */
const jwt = (user, number, sub = user) => `${user}.${Buffer.from(JSON.stringify({ sub, number })).toString('base64url')}.x`;

test('a newer token of the same user changes nothing of what is there, and is the one that holds', async () => {
  const { service, server, clock, changes } = begin();
  service.connect(jwt('ada', 1));
  await clock.advance(100);
  const { client } = service;
  server.admit('tea', 'ada');
  server.faults.unreachable = true;
  server.cut();
  await clock.advance(10);
  assert.equal(service.sendChatMessage('tea', 'precious'), true);
  service.connect(jwt('ada', 2));
  assert.equal(service.client, client);
  server.faults.unreachable = false;
  await clock.advance(20_000);
  assert.ok(server.rooms.get('tea').entries.some(({ payload }) => payload.text === 'precious'));
  // Open as it is, the connection is told.
  service.connect(jwt('ada', 3));
  await clock.advance(100);
  const { payload } = server.sockets[0].heard.findLast(({ type }) => type === 'auth');
  assert.deepEqual([payload.token, service.client, changes], [jwt('ada', 3), client, [true, false, true]]);
  // What was refused comes back with it.
  server.faults.rejectTokens = 2;
  server.cut();
  await clock.advance(60_000);
  assert.equal(client.state.name, 'failed');
  service.connect(jwt('ada', 4));
  await clock.advance(100);
  assert.deepEqual([client.state.name, service.client], ['online', client]);
  service.connect(jwt('bob', 1));
  assert.notEqual(service.client, client);
});

test('whose a token is, it says itself, or nobody knows', () => {
  assert.equal(subjectOf(jwt('x', 1, 'Zoë ☃ 漢字?>')), 'Zoë ☃ 漢字?>');
  for (const token of [undefined, null, '', 'opaque', 'a.b.c', 'a..c', `a.${Buffer.from('{"sub":5}').toString('base64url')}.c`]) {
    assert.equal(subjectOf(token), null, String(token));
  }
  assert.equal(isSameUser('opaque', 'opaque'), true);
  assert.equal(isSameUser('opaque', 'another'), false);
  assert.equal(isSameUser(jwt('ada', 1), jwt('ada', 2)), true);
  assert.equal(isSameUser(jwt('ada', 1), jwt('bob', 1)), false);
});

test('a plain WebSocket that is closing sends nothing, and says so', async () => {
  const server = fakeServer();
  const socket = reliable('http://host/any', { env: server.env });
  await server.clock.advance(100);
  const [below] = server.sockets;
  below.send = () => assert.fail('it was sent');
  below.readyState = 2;
  assert.equal(socket.snapshot().state.name, 'online');
  assert.equal(socket.send({}), false);
});

test('a plain WebSocket that is open is at no attempt, and counts on if it ends at once', async () => {
  const server = fakeServer();
  const socket = reliable('http://host/any', { env: server.env });
  await server.clock.advance(100);
  const attempts = [];
  for (let n = 0; n < 3; n += 1) {
    server.cut();
    await server.clock.advance(10);
    attempts.push(socket.snapshot().attempt);
    await server.clock.advance(20_000);
    attempts.push(socket.snapshot().attempt);
  }
  assert.deepEqual(attempts, [1, 0, 2, 0, 3, 0]);
});
