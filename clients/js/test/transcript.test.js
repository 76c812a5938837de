// What a room shows, of the fake server: entries applied, tickets behind them, pages before them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connect } from '../src/index.js';
import { fakeServer } from '../src/testing.js';
import { Transcript } from '../src/transcript.js';

/** Somebody who reads a room. */
async function begin({ server = fakeServer(), user = 'ada', ...options } = {}) {
  const client = connect(`http://host/ws?user=${user}`, { env: server.env });
  const room = client.room('tea', { join: true });
  const transcript = new Transcript(client, 'tea', { env: server.env, ...options });
  await server.clock.advance(100);
  return { client, room, server, clock: server.clock, transcript };
}

const shown = (transcript) =>
  transcript.snapshot().rows.map((row) => {
    if (row.type === 'gap') return `gap ${row.after}-${row.before} ${row.reason}`;
    return row.type === 'message' ? `${row.seq ?? '-'} ${row.deleted ? 'deleted' : row.text} ${row.status}` : `${row.seq} ${row.user} ${row.type}`;
  });
const change = (server, type, payload) => {
  const socket = server.sockets[0];
  socket.send(JSON.stringify({ type, payload: { room: 'tea', ...payload } }));
};

test('a message keeps its key and its place on its way into the log', async () => {
  const { room, server, clock, transcript } = await begin();
  server.faults.unreachable = true;
  server.cut();
  await clock.advance(10);
  const tickets = [room.send('one'), room.send('two')];
  assert.deepEqual(shown(transcript), ['1 ada joined', '- one queued', '- two queued']);
  const keys = transcript.snapshot().messages.map(({ key }) => key);
  assert.deepEqual(keys, tickets.map(({ id }) => id));
  server.say('tea', 'bob', 'between');
  server.faults.unreachable = false;
  const orders = new Set();
  transcript.on(() => orders.add(transcript.snapshot().messages.map(({ text }) => text).join(' ')));
  await clock.advance(60_000);
  assert.deepEqual(shown(transcript), ['1 ada joined', '2 between acked', '3 one acked', '4 two acked']);
  assert.deepEqual(transcript.snapshot().messages.slice(1).map(({ key }) => key), keys);
  // At no moment was one missing, there twice, or in another place.
  assert.deepEqual([...orders], ['one two', 'between one two']);
});

test('a message whose reply comes before its own entry is shown all the while', async () => {
  const { client, room, server, clock, transcript } = await begin();
  const counts = [];
  transcript.on(() => counts.push(transcript.snapshot().messages.length));
  // The entry waits until the connection is another; the reply does not.
  server.sockets[0].waits.add('tea');
  const ticket = room.send('once');
  await clock.advance(50);
  assert.equal(ticket.status, 'acked');
  assert.deepEqual(client.unsent, []);
  assert.deepEqual(shown(transcript), ['1 ada joined', '2 once acked']);
  server.cut();
  await clock.advance(5_000);
  assert.deepEqual(shown(transcript), ['1 ada joined', '2 once acked']);
  assert.deepEqual([...new Set(counts)], [1]);
});

test('a message that was in the log all along is shown once, and where it is', async () => {
  const server = fakeServer();
  const first = await begin({ server });
  first.room.send('mine', { cid: 'k' });
  await server.clock.advance(50);
  server.refuse('chat:send', { code: 'unavailable' });
  const { transcript, room } = await begin({ server });
  // Its reply was lost with the page before: it is sent again, once the server has time.
  const ticket = room.send('mine', { cid: 'k' });
  await server.clock.advance(100);
  assert.equal(ticket.status, 'queued');
  assert.deepEqual(shown(transcript), ['1 ada joined', '2 mine acked']);
  await server.clock.advance(5_000);
  assert.equal(ticket.status, 'acked');
  for (let n = 1; n <= 5; n += 1) server.say('tea', 'bob', String(n));
  const short = await begin({ server, page: 2 });
  short.room.send('mine', { cid: 'k' });
  await server.clock.advance(100);
  assert.deepEqual(shown(short.transcript), ['6 4 acked', '7 5 acked']);
});

test('what has failed stays, goes again, and can be taken back', async () => {
  const { room, server, clock, transcript } = await begin();
  server.refuse('chat:send', { code: 'forbidden' }, { code: 'forbidden' });
  const [first, second] = [room.send('first'), room.send('second')];
  await clock.advance(100);
  assert.deepEqual(shown(transcript).slice(1), ['- first failed', '- second failed']);
  assert.equal(transcript.snapshot().messages[0].error.code, 'forbidden');
  assert.equal(transcript.cancel(first.id), true);
  assert.equal(transcript.retry(second.id), true);
  assert.equal(transcript.retry('of nobody'), false);
  await clock.advance(100);
  assert.deepEqual(shown(transcript).slice(1), ['2 second acked']);
});

test('edits, deletions and reactions change the message that they name, and no row that was shown before', async () => {
  const { server, clock, transcript } = await begin();
  server.say('tea', 'bob', 'draft');
  server.say('tea', 'bob', 'wrong');
  await clock.advance(10);
  const [before] = transcript.snapshot().messages;
  change(server, 'chat:edit', { seq: 2, text: 'final' });
  change(server, 'chat:react', { seq: 2, emoji: '+1', on: true });
  change(server, 'chat:react', { seq: 2, emoji: 'x', on: true });
  change(server, 'chat:react', { seq: 2, emoji: 'x', on: false });
  change(server, 'chat:delete', { seq: 3 });
  await clock.advance(10);
  const [message] = transcript.snapshot().messages;
  assert.deepEqual([message.text, message.edited, message.reactions], ['final', 4, { '+1': ['ada'] }]);
  assert.deepEqual(shown(transcript), ['1 ada joined', '2 final acked', '3 deleted acked']);
  assert.equal(before.text, 'draft');
  assert.equal(transcript.snapshot(), transcript.snapshot());
});

test('older pages are put before the first row until the log has no more', async () => {
  const server = fakeServer();
  for (let n = 1; n <= 10; n += 1) server.say('tea', 'bob', String(n));
  const { transcript, clock } = await begin({ server, page: 4 });
  const texts = () => transcript.snapshot().messages.map(({ text }) => text).join(' ');
  assert.equal(texts(), '8 9 10');
  assert.equal(transcript.snapshot().hasOlder, true);
  for (const expected of ['4 5 6 7 8 9 10', '1 2 3 4 5 6 7 8 9 10']) {
    const loading = transcript.loadOlder();
    assert.equal(transcript.snapshot().isLoading, true);
    await clock.advance(10);
    assert.equal(await loading, true);
    assert.equal(texts(), expected);
  }
  assert.equal(transcript.snapshot().hasOlder, false);
  assert.equal(await transcript.loadOlder(), false);
});

test('a page with nothing to be shown is not the end', async () => {
  const server = fakeServer();
  server.say('tea', 'bob', 'first');
  const { transcript, clock } = await begin({ server, page: 2 });
  for (let n = 0; n < 7; n += 1) change(server, 'chat:react', { seq: 1, emoji: '+1', on: n % 2 === 0 });
  await clock.advance(10);
  transcript.close();
  const other = await begin({ server, user: 'eve', page: 2 });
  assert.deepEqual(shown(other.transcript), ['10 eve joined']);
  const loading = other.transcript.loadOlder();
  await clock.advance(100);
  assert.equal(await loading, true);
  assert.deepEqual(shown(other.transcript), ['1 first acked', '2 ada joined', '10 eve joined']);
  // As it is now, and not as its reactions were one after the other.
  assert.deepEqual(other.transcript.snapshot().messages[0].reactions, { '+1': ['ada'] });
});

test('a change that comes while a page does is not lost', async () => {
  const server = fakeServer();
  for (let n = 1; n <= 6; n += 1) server.say('tea', 'bob', String(n));
  const { transcript, clock, client } = await begin({ server, page: 3 });
  // The page is as of before the edit, and is handed over after it.
  const room = client.room('tea', { join: true });
  const { history } = room;
  room.history = async (bounds) => {
    const page = await history.call(room, bounds);
    change(server, 'chat:edit', { seq: 2, text: 'edited' });
    await new Promise((resolve) => room.on('edited', resolve));
    return page;
  };
  const loading = transcript.loadOlder();
  await clock.advance(50);
  await loading;
  assert.equal(transcript.snapshot().messages.find(({ seq }) => seq === 2).text, 'edited');
});

test('a change that a page has already is not applied to it again', async () => {
  const server = fakeServer();
  server.say('tea', 'bob', 'one');
  const client = connect('http://host/ws?user=ada', { env: server.env });
  const room = client.room('tea', { join: true });
  const { history } = room;
  // As a page that is newer than what was handed over.
  room.history = async (bounds) => ({ ...(await history.call(room, bounds)), head: 3 });
  const transcript = new Transcript(client, 'tea', { env: server.env });
  await server.clock.advance(100);
  for (const emoji of ['known', 'new']) change(server, 'chat:react', { seq: 1, emoji, on: true });
  await server.clock.advance(10);
  assert.deepEqual(transcript.snapshot().messages[0].reactions, { new: ['ada'] });
});

test('of a replay a message is shown as it is, and not as it was in between', async () => {
  const { server, clock, transcript } = await begin();
  server.admit('tea', 'ada');
  server.cut();
  await clock.advance(10);
  const editor = await begin({ server, user: 'bob' });
  for (const text of ['draft', 'gone']) editor.room.send(text);
  await clock.advance(20);
  const [edited, deleted] = editor.transcript.snapshot().messages;
  for (const text of ['second', 'third']) change(server, 'chat:edit', { seq: edited.seq, text });
  change(server, 'chat:edit', { seq: deleted.seq, text: 'of no use' });
  change(server, 'chat:delete', { seq: deleted.seq });
  const texts = new Set();
  transcript.on(() => transcript.snapshot().messages.forEach(({ text }) => texts.add(text)));
  await clock.advance(5_000);
  assert.equal(transcript.snapshot().messages.length, 2);
  assert.deepEqual([...texts], ['third', undefined]);
});

test('where the log does not reach back there is a row that says so', async () => {
  const { server, clock, transcript } = await begin({ server: fakeServer({ keep: 3 }) });
  server.cut();
  await clock.advance(10);
  for (let n = 0; n < 10; n += 1) server.say('tea', 'bob', String(n));
  await clock.advance(5_000);
  server.say('tea', 'bob', 'live');
  await clock.advance(10);
  assert.deepEqual(shown(transcript), ['1 ada joined', 'gap 1-9 gone', '9 7 acked', '10 8 acked', '11 9 acked', '12 live acked']);
});

test('a gap that only somebody else has come to is none here', async () => {
  const server = fakeServer({ keep: 3 });
  for (let n = 1; n <= 6; n += 1) server.say('tea', 'bob', String(n));
  const { clock, room, transcript } = await begin({ server });
  const gaps = [];
  room.on('gap', (gap) => gaps.push(gap));
  room.on('message', () => {}, { from: { seq: 0 } });
  await clock.advance(100);
  assert.equal(gaps.length, 1);
  assert.deepEqual(shown(transcript), ['5 5 acked', '6 6 acked', '7 ada joined']);
});

test('of another life of the store nothing is kept that was shown', async () => {
  const { server, clock, transcript } = await begin();
  server.say('tea', 'bob', 'before');
  await clock.advance(10);
  server.cut();
  server.forget();
  await clock.advance(5_000);
  server.say('tea', 'bob', 'after');
  await clock.advance(10);
  assert.deepEqual(shown(transcript), ['gap 2-1 epoch_changed', '1 after acked']);
});

test('what was said while one had left is there when one is back', async () => {
  const { server, clock, room, transcript } = await begin();
  server.say('tea', 'bob', 'one');
  await clock.advance(10);
  const left = room.leave();
  await clock.advance(10);
  await left;
  for (const text of ['two', 'three']) server.say('tea', 'bob', text);
  const joined = room.join();
  await clock.advance(100);
  await joined;
  assert.deepEqual(transcript.snapshot().messages.map(({ text }) => text), ['one', 'two', 'three']);
});

test('what passes a page while one had left is not shown as its neighbour', async () => {
  const { server, clock, room, transcript } = await begin({ page: 2 });
  server.say('tea', 'bob', 'before');
  await clock.advance(10);
  const left = room.leave();
  await clock.advance(10);
  await left;
  for (let n = 1; n <= 5; n += 1) server.say('tea', 'bob', String(n));
  const joined = room.join();
  await clock.advance(100);
  await joined;
  assert.deepEqual(shown(transcript), ['8 5 acked', '9 ada joined']);
  assert.equal(transcript.snapshot().hasOlder, true);
});

test('an older page that comes too late leaves no hole', async () => {
  const server = fakeServer();
  for (let n = 1; n <= 6; n += 1) server.say('tea', 'bob', String(n));
  const { clock, transcript } = await begin({ server, max: 4, page: 3 });
  // They are handed over before the page is.
  for (let n = 7; n <= 12; n += 1) server.say('tea', 'bob', String(n));
  const loading = transcript.loadOlder();
  await clock.advance(50);
  await loading;
  assert.deepEqual(transcript.snapshot().messages.map(({ text }) => text), ['9', '10', '11', '12']);
});

test('no more rows are kept than may be, and older ones make way', async () => {
  const { server, clock, transcript } = await begin({ max: 5, page: 2 });
  for (let n = 1; n <= 20; n += 1) server.say('tea', 'bob', String(n));
  await clock.advance(10);
  assert.deepEqual(transcript.snapshot().messages.map(({ text }) => text), ['16', '17', '18', '19', '20']);
  assert.deepEqual([transcript.snapshot().hasOlder, transcript.snapshot().isFull], [true, true]);
  assert.equal(await transcript.loadOlder(), false);
});

test('a page that cannot be had now is asked for again', async () => {
  const server = fakeServer();
  server.say('tea', 'bob', 'one');
  server.refuse('chat:history', { code: 'unavailable' });
  const { transcript, clock } = await begin({ server });
  assert.equal(transcript.snapshot().error.code, 'unavailable');
  assert.equal(transcript.snapshot().isLoaded, false);
  await clock.advance(3_000);
  assert.deepEqual([transcript.snapshot().error, transcript.snapshot().isLoaded], [null, true]);
  assert.deepEqual(shown(transcript), ['1 one acked', '2 ada joined']);
});

test('what has changed since is shown as it is now, whoever reads it and whenever', async () => {
  const server = fakeServer();
  const { transcript, clock } = await begin({ server });
  for (const text of ['draft', 'wrong']) server.say('tea', 'bob', text);
  change(server, 'chat:edit', { seq: 2, text: 'final' });
  change(server, 'chat:delete', { seq: 3 });
  change(server, 'chat:react', { seq: 2, emoji: '+1', on: true });
  await clock.advance(10);
  const other = await begin({ server, user: 'bob' });
  for (const { snapshot } of [transcript, other.transcript].map((one) => ({ snapshot: one.snapshot() }))) {
    assert.deepEqual(snapshot.messages.map(({ text, edited, deleted, reactions }) => [text, edited, deleted, reactions]), [
      ['final', 4, false, { '+1': ['ada'] }],
      [undefined, 0, true, {}],
    ]);
  }
});

test('whoever has closed it is told of nothing', async () => {
  const { server, clock, transcript } = await begin();
  let told = 0;
  transcript.on(() => (told += 1));
  transcript.close();
  server.say('tea', 'bob', 'one');
  await clock.advance(10);
  assert.equal(told, 0);
});
