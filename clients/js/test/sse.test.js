// What is in a WebSocket's place where none comes through, against answers that are written by hand.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventsOf, eventsSocket } from '../src/sse.js';
import { fakeClock } from '../src/testing.js';

const hello = { type: 'connected', payload: { heartbeat_ms: 1_000 } };

/** A socket whose events are written by `write`, and what it says. */
function begin() {
  const clock = fakeClock();
  let body;
  const fetch = async () => new Response(new ReadableStream({ start: (controller) => (body = controller) }));
  const Socket = eventsSocket({ ...clock, random: () => 0.5, fetch, WebSocket: class {} });
  const socket = new Socket('ws://host/ws?user=ada&resume=1');
  const said = [];
  socket.onmessage = ({ data }) => said.push(JSON.parse(data).type);
  socket.onclose = ({ code }) => said.push(code);
  const write = (text) => body.enqueue(new TextEncoder().encode(text));
  return { clock, socket, said, write, tell: (message) => write(`data: ${JSON.stringify(message)}\n\n`) };
}

test('events that do not come any more are a connection that is gone', async () => {
  const { clock, said, write, tell } = begin();
  await clock.settle();
  tell(hello);
  await clock.advance(2_000);
  // Anything is a sign of life.
  for (let beat = 0; beat < 10; beat += 1) {
    write(': here\n');
    await clock.advance(1_000);
  }
  assert.deepEqual(said, ['hello']);
  await clock.advance(2_500);
  assert.deepEqual(said, ['hello', 1006]);
  assert.equal(clock.pending(), 0);
});

test('also where nothing comes after the first', async () => {
  const { clock, said, tell } = begin();
  await clock.settle();
  tell(hello);
  await clock.advance(80_000);
  assert.deepEqual(said, ['hello', 1006]);
});

test('one that is closed leaves no timer', async () => {
  const { clock, socket, said, tell } = begin();
  await clock.settle();
  tell(hello);
  await clock.advance(100);
  socket.close();
  assert.equal(clock.pending(), 0);
  assert.deepEqual(said, ['hello', 1005]);
});

test('a call that is refused ends the connection of a token, and is only refused to one without', async () => {
  for (const [token, last] of [[null, 'error'], ['ada.1', 4201]]) {
    const clock = fakeClock();
    let body;
    const refused = { error: { code: 'unauthorized', message: 'say who you are' } };
    const fetch = async (at, how) => (how.method === 'POST' ? Response.json(refused, { status: 401 }) : new Response(new ReadableStream({ start: (controller) => (body = controller) })));
    const Socket = eventsSocket({ ...clock, random: () => 0.5, fetch, WebSocket: class {} });
    const socket = new Socket(`ws://host/ws${token ? '' : '?anonymous=1&resume=1'}`);
    const said = [];
    socket.onmessage = ({ data }) => said.push(JSON.parse(data).type);
    socket.onclose = ({ code }) => said.push(code);
    await clock.settle();
    if (token) socket.send(JSON.stringify({ type: 'auth', payload: { token } }));
    await clock.advance(10);
    body.enqueue(new TextEncoder().encode(`data: ${JSON.stringify(hello)}\n\n`));
    await clock.advance(10);
    socket.send(JSON.stringify({ type: 'queue.join', id: 1, payload: {} }));
    await clock.advance(10);
    assert.equal(said.at(-1), last);
    socket.close();
  }
});

test('events are read however they are cut', async () => {
  const text = ': a comment\nevent: message\ndata: {"of":"ä"}\n\ndata: one\ndata: two\nid: 7\n\nretry: 5\n\ndata: unfinished\n';
  const all = new TextEncoder().encode(text);
  for (let size = 1; size <= all.length; size += 1) {
    const chunks = [];
    for (let at = 0; at < all.length; at += size) chunks.push(all.slice(at, at + size));
    const found = [];
    for await (const data of eventsOf(ReadableStream.from(chunks))) found.push(data);
    assert.deepEqual(found, ['{"of":"ä"}', 'one\ntwo'], String(size));
  }
});
