// Who has got and who has read what.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from '../src/index.js';
import { watchReceipts } from '../src/receipts.js';
import { fakeServer } from '../src/testing.js';

async function begin({ members = ['ada', 'bob'] } = {}) {
  const server = fakeServer();
  const { clock } = server;
  for (const user of members) server.admit('tea', user);
  const open = (user) => connect(`http://host/ws?user=${user}`, { env: server.env });
  const [ada, bob] = [open('ada'), open('bob')];
  let told = [];
  const end = watchReceipts(ada, 'tea', (marks) => (told = marks), server.env);
  await clock.advance(200);
  const marks = () => told.map(({ user, delivered, read }) => [user, delivered, read]);
  return { server, clock, ada, bob, end, marks };
}

test('what another has got and read is known, at first and as it changes', async () => {
  const { clock, ada, bob, marks, end } = await begin();
  assert.deepEqual(marks(), [['bob', 0, 0]]);
  ada.room('tea').send('one');
  await clock.advance(100);
  assert.deepEqual(marks(), [['bob', 0, 0]]);
  await clock.advance(1_500);
  assert.deepEqual(marks(), [['bob', 1, 0]], 'acknowledged by the client that has it');
  bob.room('tea').markRead();
  await clock.advance(1_500);
  assert.deepEqual(marks(), [['bob', 1, 1]]);
  // Who answers has read what is before.
  ada.room('tea').send('two');
  await clock.advance(50);
  bob.room('tea').send('three');
  await clock.advance(100);
  assert.deepEqual(marks(), [['bob', 3, 3]]);
  end();
});

test('what was missed while one was away is read anew, and who comes and goes is in the list or not', async () => {
  const { server, clock, ada, bob, marks, end } = await begin();
  ada.room('tea').send('one');
  await clock.advance(1_500);
  ada.pause();
  bob.room('tea').markRead();
  await clock.advance(1_500);
  assert.deepEqual(marks(), [['bob', 1, 0]]);
  ada.retryNow();
  await clock.advance(200);
  assert.deepEqual(marks(), [['bob', 1, 1]]);
  server.append('tea', 'room:joined', { user: 'eve' });
  await clock.advance(100);
  assert.deepEqual(marks(), [['bob', 1, 1], ['eve', 2, 2]]);
  server.append('tea', 'room:left', { user: 'bob' });
  await clock.advance(100);
  assert.deepEqual(marks(), [['eve', 2, 2]]);
  end();
});

test('of a room of more than fifty nothing is told, and nothing is guessed', async () => {
  const many = Array.from({ length: 51 }, (_, at) => `u${at}`);
  const { server, clock, ada, marks, end } = await begin({ members: ['ada', ...many] });
  assert.deepEqual(marks(), []);
  server.append('tea', 'room:joined', { user: 'eve' });
  ada.room('tea').send('one');
  await clock.advance(1_500);
  assert.deepEqual(marks(), []);
  end();
});

test('it asks again where the server was too busy, and not where it refuses', async () => {
  const { server, clock, ada, end, marks } = await begin();
  end();
  const asked = () => server.sockets.flatMap(({ heard }) => heard).filter(({ type }) => type === 'room:members').length;
  const before = asked();
  server.refuse('room:members', { code: 'overloaded' }, { code: 'forbidden' });
  const told = [];
  const endAgain = watchReceipts(ada, 'tea', (all) => told.push(all), server.env);
  await clock.advance(60_000);
  assert.equal(asked() - before, 2);
  assert.deepEqual([told, marks()], [[[]], [['bob', 0, 0]]]);
  endAgain();
});
