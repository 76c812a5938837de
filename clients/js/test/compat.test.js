// The service of the application Sohbet over this client: its shapes, its numbers, its booleans.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { idOf } from '../src/compat/ids.js';
import { WebSocketService as Sohbet } from '../src/compat/sohbet-service.js';
import { connect } from '../src/index.js';
import { WebSocketService } from '../src/service.js';
import { fakeServer } from '../src/testing.js';

async function begin() {
  const server = fakeServer();
  const { clock } = server;
  for (const user of ['1', '2']) server.admit('7', user);
  const service = new Sohbet(new WebSocketService({ url: 'http://host/ws', env: server.env }));
  const other = connect('http://host/ws', { env: server.env, token: '2.token' });
  service.connect('1.token');
  await clock.advance(100);
  return { server, clock, service, other };
}

test('a name that is a number is one, and every other stays a text', () => {
  assert.deepEqual(['0', '7', '10042', '-3'].map(idOf), [0, 7, 10_042, -3]);
  const texts = ['ada', '', ' 7', '07', '7.0', '1e3', '0x10', '9007199254740993', 'NaN', 'Infinity', '-0', 'dm:1:2'];
  assert.deepEqual(texts.map(idOf), texts);
});

test('handlers get the message whole, in the words of the application', async () => {
  const { server, clock, service, other } = await begin();
  const heard = [];
  const handler = (message) => heard.push(message);
  service.on('chat:message', handler);
  service.on('chat:message', handler);
  other.room('7').send('hello');
  await clock.advance(100);
  assert.equal(heard.length, 1);
  const [{ type, payload }] = heard.splice(0);
  assert.equal(type, 'chat:message');
  assert.deepEqual({ ...payload, created_at: typeof payload.created_at }, { id: 1, conversation_id: 7, sender_id: 2, content: 'hello', created_at: 'string' });
  assert.ok(Math.abs(new Date(payload.created_at) - clock.now()) < 1_000);
  // One's own come, too, as the application's server has sent them.
  assert.equal(service.sendChatMessage(7, 'hi'), true);
  await clock.advance(100);
  assert.deepEqual(heard.splice(0).map(({ payload: { sender_id, content } }) => [sender_id, content]), [[1, 'hi']]);
  // What a program sends in these words itself is not touched.
  const own = { id: 900, conversation_id: 7, sender_id: 3, content: 'of a program' };
  server.push('chat:message', own);
  service.on('voice:offer', handler);
  server.push('voice:offer', { channel_id: 5 });
  await clock.advance(100);
  assert.deepEqual(heard.splice(0), [{ type: 'chat:message', payload: own }, { type: 'voice:offer', payload: { channel_id: 5 } }]);
  service.off('chat:message', handler);
  other.room('7').send('not heard');
  await clock.advance(100);
  assert.deepEqual(heard, []);
});

test('what is said without a connection is taken, goes later, and what was missed comes', async () => {
  const { server, clock, service, other } = await begin();
  const heard = [];
  service.on('chat:message', ({ payload }) => heard.push(payload.content));
  server.faults.unreachable = true;
  server.cut();
  await clock.advance(100);
  assert.equal(service.isConnected(), false);
  assert.deepEqual([service.sendChatMessage(7, 'later'), service.sendTypingIndicator(7), service.send('voice:mute', {})], [true, false, false]);
  server.faults.unreachable = false;
  await clock.advance(60_000);
  other.retryNow();
  await clock.advance(100);
  other.room('7').send('from the other');
  await clock.advance(100);
  assert.deepEqual(heard, ['later', 'from the other']);
});

test('without a conversation, or a connection that was asked for, nothing is taken and nothing thrown', async () => {
  const { service } = await begin();
  for (const none of [null, undefined, '']) assert.deepEqual([service.sendChatMessage(none, 'x'), service.sendTypingIndicator(none)], [false, false]);
  service.disconnect();
  assert.deepEqual([service.sendChatMessage(7, 'x'), service.sendTypingIndicator(7), service.isConnected()], [false, false, false]);
});

test('the application\'s own words for sending are understood', async () => {
  const { clock, service, other } = await begin();
  const texts = [];
  const typing = [];
  other.room('7').on('message', ({ text }) => texts.push(text));
  other.room('7').on('typing', ({ user }) => typing.push(user));
  await clock.advance(100);
  assert.equal(service.send('chat:typing', { conversation_id: 7 }), true);
  await clock.advance(100);
  assert.equal(service.send('chat:send', { conversation_id: 7, content: 'as it was' }), true);
  await clock.advance(100);
  assert.deepEqual([texts, typing[0]], [['as it was'], '1']);
});

test('who types comes with number and name, and that they stop is not told', async () => {
  const { clock, service, other } = await begin();
  const heard = [];
  service.on('chat:typing', (message) => heard.push(message));
  await clock.advance(100);
  other.room('7').typing();
  await clock.advance(100);
  other.room('7').typing(false);
  await clock.advance(100);
  assert.deepEqual(heard, [{ type: 'chat:typing', payload: { conversation_id: 7, user_id: 2, username: '2' } }]);
});

test('each user is told once when they come and once when they go, those too who were there, however often one listens', async () => {
  const { server, clock, service, other } = await begin();
  const heard = [];
  let off = [];
  const listen = () => {
    for (const end of off) end();
    off = ['user:online', 'user:offline'].map((type) => service.on(type, ({ payload }) => heard.push([type, payload.user_id])));
  };
  listen();
  await clock.advance(100);
  assert.deepEqual(heard.splice(0), [['user:online', 1], ['user:online', 2]]);
  listen();
  listen();
  await clock.advance(100);
  assert.deepEqual(heard, []);
  other.close();
  server.push('user:offline', { users: ['2'], version: 2 });
  await clock.advance(100);
  assert.deepEqual(heard.splice(0), [['user:offline', 2]]);
  server.push('user:online', { user_id: 9, username: 'of a program' });
  await clock.advance(100);
  assert.deepEqual(heard.splice(0), [['user:online', 9]]);
  // A loss is none: whoever is still there is not told anew.
  server.cut();
  await clock.advance(60_000);
  assert.deepEqual(heard, []);
});

test('whoever listens later is told of those who are there, and what one throws, or takes off, is no other\'s loss', async () => {
  const { server, clock, service } = await begin();
  const [thrown, heard, taken, late] = [[], [], [], []];
  service.on('user:offline', () => {});
  await clock.advance(100);
  const watched = service.on('user:online', ({ payload }) => taken.push(payload.user_id));
  service.on('user:online', ({ payload }) => {
    thrown.push(payload.user_id);
    watched();
    throw new Error('of the application');
  });
  await clock.advance(100);
  service.on('user:online', ({ payload }) => heard.push(payload.user_id));
  assert.deepEqual([taken, thrown, heard], [[1, 2], [1, 2], [1, 2]]);
  for (const [at, user] of ['8', '9'].entries()) server.push('user:online', { users: [user], version: 2 + at });
  await clock.advance(100);
  assert.deepEqual([taken, thrown, heard], [[1, 2], [1, 2, 8, 9], [1, 2, 8, 9]]);
  const off = service.on('user:online', ({ payload }) => late.push(payload.user_id));
  off();
  await clock.advance(100);
  service.on('user:online', ({ payload }) => late.push(payload.user_id));
  assert.deepEqual(late, [1, 2, 8, 9, 1, 2, 8, 9]);
});

test('what the server refuses is told in the console', async (t) => {
  const { clock, service } = await begin();
  const error = t.mock.method(console, 'error', () => {});
  assert.equal(service.sendChatMessage(8, 'not ours'), true);
  await clock.advance(100);
  assert.equal(error.mock.callCount(), 1);
  assert.match(error.mock.calls[0].arguments[0], /conversation 8 was not delivered.*not_member/);
});

test('handlers stay over another sign-in', async () => {
  const { server, clock, service } = await begin();
  const heard = [];
  service.on('chat:message', ({ payload }) => heard.push(payload.content));
  service.disconnect();
  service.connect('2.token');
  await clock.advance(100);
  server.append('7', 'chat:message', { from: '1', text: 'still heard' });
  await clock.advance(100);
  assert.deepEqual(heard, ['still heard']);
});
